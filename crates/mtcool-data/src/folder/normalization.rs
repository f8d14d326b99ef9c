//! Mean and standard deviation of each channel, by which a network's input is standardised.

use serde::{Deserialize, Serialize};

/// Mean and standard deviation of each channel on the scale 0..1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// The means, one per channel.
    pub mean: Vec<f32>,
    /// The standard deviations, one per channel, at least one grey level of 8 bits, so that a constant channel can be divided by
    /// it.
    pub deviation: Vec<f32>,
}

impl Normalization {
    /// Standardises `values` `[C, ...]` in 0..=1.
    ///
    /// # Panics
    /// If there are fewer values than channels.
    pub fn apply(&self, values: &mut [f32]) {
        let plane = values.len() / self.mean.len();
        for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            values.iter_mut().for_each(|value| *value = (*value - mean) / deviation);
        }
    }
}

/// Sums over the samples of each channel on the scale of 16 bits. They are whole numbers, so the order of addition does not
/// matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ChannelSums {
    count: u128,
    /// Per channel: sum and sum of squares.
    sums: Vec<[u128; 2]>,
}

impl ChannelSums {
    /// Adds `count` pixels of white `white`, of which `sums` are each channel's sum and sum of squares.
    pub(super) fn add(&mut self, count: u64, sums: &[[u64; 2]], white: u16) {
        let scale = u128::from(u16::MAX / white);
        self.count += u128::from(count);
        self.sums.resize(self.sums.len().max(sums.len()), [0; 2]);
        for (total, [sum, squares]) in self.sums.iter_mut().zip(sums) {
            total[0] += scale * u128::from(*sum);
            total[1] += scale * scale * u128::from(*squares);
        }
    }

    /// Mean and deviation of all pixels; `None` if there are none.
    pub(super) fn normalization(&self) -> Option<Normalization> {
        if self.count == 0 {
            return None;
        }
        let (count, white) = (self.count as f64, f64::from(u16::MAX));
        let statistics = self.sums.iter().map(|[sum, squares]| {
            let mean = *sum as f64 / count;
            let variance = *squares as f64 / count - mean * mean;
            let least = white / 255.0;
            ((mean / white) as f32, (variance.max(least * least).sqrt() / white) as f32)
        });
        let (mean, deviation) = statistics.unzip();
        Some(Normalization { mean, deviation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_all_pixels_whatever_their_depth() {
        let mut sums = ChannelSums::default();
        assert_eq!(sums.normalization(), None);
        // 8 bits: 0 and 255; 16 bits: 0 and 65535. The second channel is constant.
        sums.add(2, &[[255, 255 * 255], [200, 2 * 100 * 100]], 255);
        sums.add(2, &[[65535, 65535 * 65535], [2 * 25700, 2 * 25700 * 25700]], 65535);
        let normalization = sums.normalization().unwrap();
        assert_eq!(normalization.mean, [0.5, 100.0 / 255.0]);
        assert_eq!(normalization.deviation, [0.5, 1.0 / 255.0]);
        let mut values = [1.0, 0.0, 100.0 / 255.0, 101.0 / 255.0];
        normalization.apply(&mut values);
        assert!(values.iter().zip([1.0, -1.0, 0.0, 1.0]).all(|(value, expected)| (value - expected).abs() < 1e-4));
    }
}
