//! Whole images through a network that sees a tile at a time.

use candle_core::{D, DType, Device, Result, Tensor, bail};

/// How an image is covered by tiles.
///
/// A pixel's class probabilities are a weighted mean over the tiles that show it. A tile counts for nothing within `margin` of a
/// border where the image goes on, from there on evenly more, and wholly from `overlap - margin` on. So a network of
/// convolutions that sees no further than `margin` gives the same wherever the grid falls. Normalisation sees the whole tile, and
/// a deep U-Net far: with these, what the grid changes is small but not nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Side of a tile in pixels, a multiple of `multiple`.
    pub side: usize,
    /// Pixels that neighbouring tiles share at least; at most `side - multiple`.
    pub overlap: usize,
    /// Pixels at a tile's inner border that are not used; below half of `overlap`.
    pub margin: usize,
    /// What the network's input sides must be divisible by, 2^depth for a U-Net: tiles start at multiples of it, so that poolings
    /// always fall on the same pixels, and images are padded to a multiple by their mirror image.
    pub multiple: usize,
}

impl Tiling {
    /// # Errors
    /// If tiles would not cover an image.
    pub fn check(&self) -> Result<()> {
        let Self { side, overlap, margin, multiple } = *self;
        let fits = multiple > 0 && side > 0 && side % multiple == 0 && overlap + multiple <= side;
        if !fits || 2 * margin >= overlap.max(1) {
            bail!(
                "tiling: expected a side that is a multiple of {multiple}, an overlap below it by at least as much, and a margin \
                 below half the overlap, got {self:?}"
            );
        }
        Ok(())
    }

    /// Class probabilities `[K, H, W]` of each head, from `image` `[C, H, W]`; `forward` gives each head's logits `[1, K, h, w]` on a
    /// tile `[1, C, h, w]`. Besides the answer, memory is needed for one tile. An image no larger than a tile is one tile.
    ///
    /// # Errors
    /// If the tiling is no tiling, the image is empty, or `forward` fails.
    pub fn probabilities(
        &self,
        image: &Tensor,
        mut forward: impl FnMut(&Tensor) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        self.check()?;
        let (_, height, width) = image.dims3()?;
        if height == 0 || width == 0 {
            bail!("tiling: a {height}x{width} image has no pixels");
        }
        let (rows, columns) = (self.spans(height), self.spans(width));
        let mut sums: Vec<Blend> = Vec::new();
        for row in &rows {
            for column in &columns {
                let tile = part(&part(image, 1, row)?, 2, column)?.unsqueeze(0)?;
                let outputs = forward(&tile)?;
                if sums.is_empty() {
                    let blend = |output: &Tensor| Ok(Blend::new(output.dim(1)?, height, width));
                    sums = outputs.iter().map(blend).collect::<Result<_>>()?;
                }
                for (sum, output) in sums.iter_mut().zip(&outputs) {
                    sum.add(&softmax_of_tile(output)?, row, column)?;
                }
            }
        }
        sums.into_iter().map(Blend::into_tensor).collect()
    }

    /// Tiles along a side of `length` pixels.
    fn spans(&self, length: usize) -> Vec<Span> {
        let padded = length.next_multiple_of(self.multiple);
        let size = self.side.min(padded);
        // Poolings must fall on the same pixels in every tile.
        let step = (self.side - self.overlap) / self.multiple * self.multiple;
        let last = padded - size;
        let span = |index: usize| {
            let start = (index * step).min(last);
            let used = size.min(length - start);
            let weights = (0..used).map(|at| {
                let from_left = if start == 0 { usize::MAX } else { at };
                let from_right = if start == last { usize::MAX } else { size - 1 - at };
                self.weight(from_left.min(from_right))
            });
            Span { start, size, used, weights: weights.collect() }
        };
        (0..=last.div_ceil(step)).map(span).collect()
    }

    /// Of a pixel with `distance` pixels between it and an inner border.
    fn weight(&self, distance: usize) -> f32 {
        let ramp = self.overlap - 2 * self.margin;
        match distance.checked_sub(self.margin) {
            None => 0.0,
            Some(inside) => ((inside as f32 + 0.5) / ramp as f32).min(1.0),
        }
    }
}

/// A tile along one side.
struct Span {
    start: usize,
    /// With padding.
    size: usize,
    /// Without.
    used: usize,
    /// `[used]`.
    weights: Vec<f32>,
}

/// The pixels of `span` along `dim`, mirrored beyond the image's end.
fn part(image: &Tensor, dim: usize, span: &Span) -> Result<Tensor> {
    let used = image.narrow(dim, span.start, span.used)?;
    if span.size == span.used {
        return Ok(used);
    }
    // 0 1 2 | 2 1 0 0 1 2 ...
    let mirrored = (span.used..span.size).map(|at| {
        let at = at % (2 * span.used);
        at.min(2 * span.used - 1 - at) as u32
    });
    let mirrored = Tensor::from_iter(mirrored, image.device())?;
    Tensor::cat(&[&used, &used.contiguous()?.index_select(&mirrored, dim)?], dim)
}

fn softmax_of_tile(logits: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(&logits.to_dtype(DType::F32)?, 1)?.squeeze(0)
}

/// A weighted mean in the making.
struct Blend {
    classes: usize,
    height: usize,
    width: usize,
    /// `[K, H, W]`.
    sums: Vec<f32>,
    /// `[H, W]`.
    weights: Vec<f32>,
}

impl Blend {
    fn new(classes: usize, height: usize, width: usize) -> Self {
        let pixels = height * width;
        Self { classes, height, width, sums: vec![0.0; classes * pixels], weights: vec![0.0; pixels] }
    }

    /// Adds the probabilities `[K, h, w]` of a tile.
    fn add(&mut self, tile: &Tensor, row: &Span, column: &Span) -> Result<()> {
        let tile = tile.narrow(1, 0, row.used)?.narrow(D::Minus1, 0, column.used)?.flatten_all()?.to_vec1::<f32>()?;
        let pixels = self.height * self.width;
        for (y, down) in row.weights.iter().enumerate() {
            for (x, across) in column.weights.iter().enumerate() {
                let (weight, at) = (down * across, (row.start + y) * self.width + column.start + x);
                self.weights[at] += weight;
                for class in 0..self.classes {
                    self.sums[class * pixels + at] += weight * tile[(class * row.used + y) * column.used + x];
                }
            }
        }
        Ok(())
    }

    fn into_tensor(mut self) -> Result<Tensor> {
        for sums in self.sums.chunks_exact_mut(self.weights.len()) {
            sums.iter_mut().zip(&self.weights).for_each(|(sum, weight)| *sum /= weight);
        }
        Tensor::from_vec(self.sums, (self.classes, self.height, self.width), &Device::Cpu)
    }
}
