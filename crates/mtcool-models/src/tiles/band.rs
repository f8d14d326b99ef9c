//! The rows of the result that later tiles may still change.

use candle_core::{D, DType, Result, Tensor};

use super::span::Span;

/// Weighted sums of class probabilities, from the first row that is not finished to the last row that a tile has shown so far.
pub(super) struct Band {
    /// Columns of the image.
    width: usize,
    /// The first row that is not finished.
    first: usize,
    /// The sums of the weights `[rows, W]`.
    weights: Vec<f32>,
    heads: Vec<Sums>,
}

/// The sums of one head.
struct Sums {
    /// K.
    classes: usize,
    /// Weighted sums of probabilities `[rows, K, W]`.
    sums: Vec<f32>,
}

/// Finished rows of one head's result.
pub(super) struct Finished<'a> {
    /// Which head.
    pub(super) head: usize,
    /// The first of the rows, in the image.
    pub(super) row: usize,
    /// K.
    pub(super) classes: usize,
    /// The class probabilities `[rows, K, W]`.
    pub(super) probabilities: &'a [f32],
}

impl Band {
    /// No rows yet, of an image with `width` columns.
    pub(super) fn new(width: usize) -> Self {
        Self { width, first: 0, weights: Vec::new(), heads: Vec::new() }
    }

    /// Adds the probabilities of the tile at `row` and `column`, from the logits `[1, K, h, w]` of each head.
    pub(super) fn add(&mut self, outputs: Vec<Tensor>, row: &Span, column: &Span) -> Result<()> {
        if self.heads.is_empty() {
            let empty = |output: &Tensor| Ok(Sums { classes: output.dim(1)?, sums: Vec::new() });
            self.heads = outputs.iter().map(empty).collect::<Result<_>>()?;
        }
        let (width, top) = (self.width, row.start - self.first);
        let rows = self.weights.len().max((top + row.used) * width) / width;
        self.weights.resize(rows * width, 0.0);
        for (y, down) in row.weights.iter().enumerate() {
            let weights = &mut self.weights[(top + y) * width + column.start..][..column.used];
            weights.iter_mut().zip(&column.weights).for_each(|(sum, across)| *sum += down * across);
        }
        for (Sums { classes, sums }, output) in self.heads.iter_mut().zip(outputs) {
            sums.resize(rows * *classes * width, 0.0);
            let tile = probabilities(&output, row.used, column.used)?;
            for (y, down) in row.weights.iter().enumerate() {
                for class in 0..*classes {
                    let sums = &mut sums[((top + y) * *classes + class) * width + column.start..][..column.used];
                    let tile = &tile[(class * row.used + y) * column.used..][..column.used];
                    for ((sum, across), value) in sums.iter_mut().zip(&column.weights).zip(tile) {
                        *sum += down * across * value;
                    }
                }
            }
        }
        Ok(())
    }

    /// Passes the rows before row `end` of the image to `take`, head by head, and removes them.
    pub(super) fn finish(&mut self, end: usize, mut take: impl FnMut(Finished<'_>)) {
        let (width, pixels) = (self.width, (end - self.first) * self.width);
        for (head, Sums { classes, sums }) in self.heads.iter_mut().enumerate() {
            let finished = &mut sums[..pixels * *classes];
            for (row, weights) in finished.chunks_exact_mut(*classes * width).zip(self.weights.chunks_exact(width)) {
                for class in row.chunks_exact_mut(width) {
                    class.iter_mut().zip(weights).for_each(|(sum, weight)| *sum /= weight);
                }
            }
            take(Finished { head, row: self.first, classes: *classes, probabilities: finished });
            sums.drain(..pixels * *classes);
        }
        self.weights.drain(..pixels);
        self.first = end;
    }
}

/// The softmax of a tile's logits `[1, K, h, w]`, without the padding: `[K, rows, columns]`.
fn probabilities(logits: &Tensor, rows: usize, columns: usize) -> Result<Vec<f32>> {
    let softmax = candle_nn::ops::softmax(&logits.to_dtype(DType::F32)?, 1)?.squeeze(0)?;
    softmax.narrow(1, 0, rows)?.narrow(D::Minus1, 0, columns)?.flatten_all()?.to_vec1()
}
