//! Mean and standard deviation of each channel, by which a network's input is standardised.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::labels::FIELD;
use super::photograph::Photograph;

/// About so many columns of a photograph are read: a quarter of the published ones, which is as good as all of them.
const ENOUGH: usize = 876;

/// Mean and standard deviation of red, green and blue on the scale 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatistics {
    /// The means.
    pub mean: [f64; 3],
    /// The standard deviations, at least one grey level, so that a constant channel can be divided by it.
    pub deviation: [f64; 3],
}

impl ChannelStatistics {
    /// The statistics of the pixels of `photographs` inside the field of view; of large photographs, only every n-th row and
    /// column is read. They are rounded to four decimals, so that they stay equal when they are written to a file and read again.
    pub fn of(photographs: &[Arc<Photograph>]) -> Self {
        // The sums are integers, so the order of addition does not matter.
        let sums = photographs
            .par_iter()
            .map(|photograph| ChannelSums::of(photograph))
            .reduce(ChannelSums::default, ChannelSums::plus);
        let count = sums.count.max(1) as f64;
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        let mean = sums.values.map(|sum| sum as f64 / count);
        let deviation = [0, 1, 2].map(|channel| {
            let variance = sums.squares[channel] as f64 / count - mean[channel] * mean[channel];
            variance.max(1.0).sqrt()
        });
        Self {
            mean: mean.map(|level| rounded(level / 255.0)),
            deviation: deviation.map(|level| rounded(level / 255.0)),
        }
    }
}

/// Sums over the bytes of some pixels.
#[derive(Clone, Copy, Default)]
struct ChannelSums {
    count: u64,
    values: [u64; 3],
    squares: [u64; 3],
}

impl ChannelSums {
    fn of(photograph: &Photograph) -> Self {
        let (pixels, marks) = (photograph.pixels(), photograph.marks());
        let step = (marks.width / ENOUGH).max(1);
        let mut sums = Self::default();
        for row in (0..marks.height).step_by(step) {
            for column in (0..marks.width).step_by(step) {
                let at = row * marks.width + column;
                if marks.bytes[at] & FIELD == 0 {
                    continue;
                }
                sums.count += 1;
                for (channel, &byte) in pixels.bytes[3 * at..3 * at + 3].iter().enumerate() {
                    sums.values[channel] += u64::from(byte);
                    sums.squares[channel] += u64::from(byte) * u64::from(byte);
                }
            }
        }
        sums
    }

    fn plus(self, other: Self) -> Self {
        let add = |a: [u64; 3], b: [u64; 3]| [0, 1, 2].map(|channel| a[channel] + b[channel]);
        Self {
            count: self.count + other.count,
            values: add(self.values, other.values),
            squares: add(self.squares, other.squares),
        }
    }
}
