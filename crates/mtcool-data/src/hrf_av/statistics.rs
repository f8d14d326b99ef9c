//! How bright photographs are and how far that spreads, channel by channel: what a network's input is standardised by.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Photograph;
use super::labels::FIELD;

/// Columns of a photograph that are looked at: a quarter of the published ones, which say as much as all of them.
const ENOUGH: usize = 876;

/// Mean and standard deviation of red, green and blue on the scale 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatistics {
    /// Means.
    pub mean: [f64; 3],
    /// Standard deviations, at least a grey level: a channel that is alike everywhere divides by something.
    pub deviation: [f64; 3],
}

impl ChannelStatistics {
    /// Of the pixels of `photographs` inside the field of view; of large photographs, of every n-th row and column. To four
    /// decimals, so that they read the same wherever they are written down.
    pub fn of(photographs: &[Arc<Photograph>]) -> Self {
        // Whole numbers: the order in which they are added changes nothing.
        let sums = photographs.par_iter().map(|photograph| Sums::of(photograph)).reduce(Sums::default, Sums::plus);
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

/// Of the bytes of some pixels.
#[derive(Clone, Copy, Default)]
struct Sums {
    count: u64,
    values: [u64; 3],
    squares: [u64; 3],
}

impl Sums {
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
