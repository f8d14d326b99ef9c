//! Predictions on whole images by a network that sees one tile at a time.

mod band;
mod span;

use candle_core::{Device, Result, Tensor, bail};

use band::{Band, Finished};
use span::Span;

/// How an image is covered by tiles.
///
/// A pixel's class probabilities are a weighted mean over the tiles that show it. Where the image goes on beyond a border of a
/// tile, the weight of the tile's pixels depends on their distance from that border: it is 0 up to the distance `margin`, rises
/// linearly, and is 1 from the distance `overlap - margin` on. So a network of convolutions whose output depends on pixels no
/// further away than `margin` gives the same probabilities, but for rounding, wherever the tiles are placed.
///
/// A U-Net with group norm does not, for two reasons. With depth 4 its output depends on pixels about a hundred pixels away, more
/// than is worth the time as a margin. And each normalisation takes mean and variance over the whole tile, so that every value
/// depends on where the tile is and how large it is. A test with tiles of about a hundred pixels and random weights holds this
/// tolerance: another placement of the tiles changes the probabilities by at most 0.025 in the mean over the pixels, and by at
/// most 0.25 at any pixel. Larger tiles differ less, since each shows more of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Side of a tile in pixels, a multiple of `multiple`.
    pub side: usize,
    /// The least number of pixels that neighbouring tiles share; at most `side - multiple`.
    pub overlap: usize,
    /// Unused pixels at each border of a tile beyond which the image goes on; less than half of `overlap`.
    pub margin: usize,
    /// The sides of the network's input must be divisible by this number, which is 2^depth for a U-Net. Tiles start at multiples
    /// of it, so that poolings always combine the same pixels; images are padded to a multiple of it by their mirror image.
    pub multiple: usize,
}

impl Tiling {
    /// Checks the ranges of the fields.
    ///
    /// # Errors
    /// If tiles of these sizes would not cover an image.
    pub fn check(&self) -> Result<()> {
        let Self { side, overlap, margin, multiple } = *self;
        let fits = multiple > 0 && side > 0 && side % multiple == 0 && overlap + multiple <= side;
        if !fits || 2 * margin >= overlap.max(1) {
            bail!(
                "tiling: expected a side that is a multiple of {multiple}, an overlap of at most side - {multiple}, and a margin \
                 below half of the overlap, got {self:?}"
            );
        }
        Ok(())
    }

    /// The class probabilities `[K, H, W]` of each head for the image `[C, H, W]`. `forward` computes the logits `[1, K, h, w]` of
    /// each head for a tile `[1, C, h, w]`. Besides the image and the result, memory is needed for one row of tiles. An image that
    /// is not larger than a tile is a single tile.
    ///
    /// # Errors
    /// If [`Tiling::check`] fails, the image has no pixels, or `forward` fails.
    pub fn probabilities(
        &self,
        image: &Tensor,
        mut forward: impl FnMut(&Tensor) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        let (_, height, width) = image.dims3()?;
        let image = image.contiguous()?;
        let maps = self.maps([height, width], |tile| forward(&tile.cut_from(&image)?))?;
        let tensor = |map: Vec<f32>| Tensor::from_vec(map, ((), height, width), &Device::Cpu);
        maps.into_iter().map(tensor).collect()
    }

    /// The class probabilities `[K, H, W]` of each head for an image of this height and width, in row-major order. `forward` computes
    /// the logits `[1, K, h, w]` of each head for a tile, whose pixels it reads itself, so no memory is needed for the image.
    ///
    /// # Errors
    /// As for [`Self::probabilities`].
    pub fn maps(
        &self,
        [height, width]: [usize; 2],
        forward: impl FnMut(&Tile) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut maps: Vec<Vec<f32>> = Vec::new();
        let take = |Finished { head, row, classes, probabilities }: Finished<'_>| {
            if head == maps.len() {
                maps.push(vec![0.0; classes * height * width]);
            }
            let map = &mut maps[head];
            for (row, line) in (row..).zip(probabilities.chunks_exact(classes * width)) {
                for (class, values) in line.chunks_exact(width).enumerate() {
                    map[(class * height + row) * width..][..width].copy_from_slice(values);
                }
            }
        };
        self.rows([height, width], forward, take)?;
        Ok(maps)
    }

    /// The likeliest class of each pixel of an image of this height and width: one list `[H * W]` for each head, which has at most
    /// 256 classes. Of equally likely classes it is the first. `forward` computes the logits `[1, K, h, w]` of each head for a
    /// tile, whose pixels it reads itself. So memory is needed for one row of tiles and for the result, one byte per pixel and
    /// head, but not for the image.
    ///
    /// # Errors
    /// As for [`Self::probabilities`].
    pub fn classes(
        &self,
        [height, width]: [usize; 2],
        forward: impl FnMut(&Tile) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Vec<u8>>> {
        let mut maps: Vec<Vec<u8>> = Vec::new();
        let take = |Finished { head, classes, probabilities, .. }: Finished<'_>| {
            if head == maps.len() {
                maps.push(Vec::with_capacity(height * width));
            }
            for line in probabilities.chunks_exact(classes * width) {
                maps[head].extend((0..width).map(|column| likeliest(line, column, width)));
            }
        };
        self.rows([height, width], forward, take)?;
        Ok(maps)
    }

    /// Calls `forward` for one tile after the other, and `take` for the rows of the result, from the top to the bottom, as soon as
    /// no later tile shows them.
    fn rows(
        &self,
        [height, width]: [usize; 2],
        mut forward: impl FnMut(&Tile) -> Result<Vec<Tensor>>,
        mut take: impl FnMut(Finished<'_>),
    ) -> Result<()> {
        self.check()?;
        if height == 0 || width == 0 {
            bail!("tiling: a {height}x{width} image has no pixels");
        }
        let (rows, columns) = (self.spans(height), self.spans(width));
        let mut band = Band::new(width);
        for (index, row) in rows.iter().enumerate() {
            for column in &columns {
                let outputs = forward(&Tile { rows: row.pixels(), columns: column.pixels() })?;
                band.add(outputs, row, column)?;
            }
            band.finish(rows.get(index + 1).map_or(height, |next| next.start), &mut take);
        }
        Ok(())
    }

    /// The tiles along a side of `length` pixels.
    fn spans(&self, length: usize) -> Vec<Span> {
        let padded = length.next_multiple_of(self.multiple);
        let size = self.side.min(padded);
        // Poolings must combine the same pixels in every tile.
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

    /// The weight of a pixel with `distance` pixels between it and the nearest border beyond which the image goes on.
    fn weight(&self, distance: usize) -> f32 {
        let ramp = self.overlap - 2 * self.margin;
        match distance.checked_sub(self.margin) {
            None => 0.0,
            Some(inside) => ((inside as f32 + 0.5) / ramp as f32).min(1.0),
        }
    }
}

/// Which pixels of an image a tile shows; pixels beyond the end of the image are mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The image's row for each row of the tile.
    pub rows: Vec<usize>,
    /// The image's column for each column of the tile.
    pub columns: Vec<usize>,
}

impl Tile {
    /// The pixels `[1, C, h, w]` of the tile, from `image` `[C, H, W]`.
    fn cut_from(&self, image: &Tensor) -> Result<Tensor> {
        let places = |pixels: &[usize]| Tensor::from_iter(pixels.iter().map(|&place| place as u32), image.device());
        image.index_select(&places(&self.rows)?, 1)?.index_select(&places(&self.columns)?, 2)?.unsqueeze(0)
    }
}

/// The most probable class in column `column` of `line` `[K, W]`.
fn likeliest(line: &[f32], column: usize, width: usize) -> u8 {
    let mut best = (0, line[column]);
    for (class, &probability) in line[column..].iter().step_by(width).enumerate() {
        if best.1 < probability {
            best = (class as u8, probability);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use candle_core::{D, DType};

    use super::*;

    /// The slow twin: sums and weights of the whole image, to which one tile after the other is added.
    fn whole_arrays(
        tiling: &Tiling,
        [height, width]: [usize; 2],
        mut forward: impl FnMut([usize; 2]) -> Vec<Tensor>,
    ) -> Vec<Tensor> {
        let mut sums: Vec<(Vec<f32>, Vec<f32>)> = Vec::new();
        for row in tiling.spans(height) {
            for column in tiling.spans(width) {
                for (head, logits) in forward([row.size, column.size]).iter().enumerate() {
                    let tile =
                        candle_nn::ops::softmax(logits, 1).unwrap().squeeze(0).unwrap().to_vec3::<f32>().unwrap();
                    if head == sums.len() {
                        sums.push((vec![0.0; tile.len() * height * width], vec![0.0; height * width]));
                    }
                    let (sums, weights) = &mut sums[head];
                    for (y, down) in row.weights.iter().enumerate() {
                        for (x, across) in column.weights.iter().enumerate() {
                            let (weight, at) = (down * across, (row.start + y) * width + column.start + x);
                            weights[at] += weight;
                            for (class, values) in tile.iter().enumerate() {
                                sums[class * height * width + at] += weight * values[y][x];
                            }
                        }
                    }
                }
            }
        }
        let mean = |(mut sums, weights): (Vec<f32>, Vec<f32>)| {
            for sums in sums.chunks_exact_mut(weights.len()) {
                sums.iter_mut().zip(&weights).for_each(|(sum, weight)| *sum /= weight);
            }
            let classes = sums.len() / weights.len();
            Tensor::from_vec(sums, (classes, height, width), &Device::Cpu).unwrap()
        };
        sums.into_iter().map(mean).collect()
    }

    /// Random logits of a head of two classes and a head of three, different in every pixel of every tile.
    fn random_heads() -> impl FnMut([usize; 2]) -> Vec<Tensor> {
        let mut state = 7u64;
        move |[height, width]| {
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1 << 24) as f32 * 6.0 - 3.0
            };
            let mut head = |classes: usize| {
                let logits: Vec<f32> = (0..classes * height * width).map(|_| draw()).collect();
                Tensor::from_vec(logits, (1, classes, height, width), &Device::Cpu).unwrap()
            };
            vec![head(2), head(3)]
        }
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn rows_that_are_finished_early_are_those_of_whole_arrays_to_the_bit() {
        for (side, overlap, margin, multiple) in
            [(8, 4, 1, 1), (16, 8, 3, 4), (16, 12, 2, 4), (12, 5, 2, 1), (64, 16, 4, 8)]
        {
            let tiling = Tiling { side, overlap, margin, multiple };
            for [height, width] in [[37, 41], [8, 50], [53, 7], [40, 40], [1, 1]] {
                let want = whole_arrays(&tiling, [height, width], random_heads());
                let mut heads = random_heads();
                let image = Tensor::zeros((1, height, width), DType::F32, &Device::Cpu).unwrap();
                let forward = |tile: &Tensor| -> Result<Vec<Tensor>> {
                    let (_, _, height, width) = tile.dims4()?;
                    Ok(heads([height, width]))
                };
                let got = tiling.probabilities(&image, forward).unwrap();
                let mut heads = random_heads();
                let classes = tiling.classes([height, width], |tile| Ok(heads([tile.rows.len(), tile.columns.len()])));
                let classes = classes.unwrap();
                assert_eq!((got.len(), classes.len()), (2, 2));
                for ((got, want), classes) in got.iter().zip(&want).zip(classes) {
                    assert!(bits(got) == bits(want), "{tiling:?} {height}x{width}");
                    let likeliest = want.permute((1, 2, 0)).unwrap().contiguous().unwrap().argmax(D::Minus1).unwrap();
                    let likeliest = likeliest.flatten_all().unwrap().to_vec1::<u32>().unwrap();
                    assert!(classes.iter().map(|&class| u32::from(class)).eq(likeliest), "{tiling:?} {height}x{width}");
                }
            }
        }
    }

    #[test]
    fn a_tile_beyond_the_end_is_mirrored() {
        let tiling = Tiling { side: 8, overlap: 4, margin: 1, multiple: 4 };
        let pixels: Vec<Vec<usize>> = tiling.spans(10).iter().map(Span::pixels).collect();
        assert_eq!(pixels, [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![4, 5, 6, 7, 8, 9, 9, 8]]);
    }
}
