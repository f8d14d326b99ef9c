//! The network's input: red, green and blue, standardised with the statistics of the training part.

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use mtcool_data::augment::PixelView;
use mtcool_data::hrf_av::ChannelStatistics;
use mtcool_models::Tile;
use serde_json::Value;

/// The statistics of all published photographs, test part included, at a quarter of their size. They belong to runs whose
/// configuration has no statistics: earlier versions of the program standardised with these constants.
const EARLIER: ChannelStatistics = ChannelStatistics { mean: [0.735, 0.237, 0.122], deviation: [0.137, 0.079, 0.046] };

/// Subtracts the mean of each channel and divides by its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standard {
    pub(super) mean: [f32; 3],
    pub(super) deviation: [f32; 3],
}

impl Standard {
    pub(super) fn new(statistics: ChannelStatistics) -> Self {
        let ChannelStatistics { mean, deviation } = statistics;
        Self { mean: mean.map(|value| value as f32), deviation: deviation.map(|value| value as f32) }
    }

    /// The standardisation of a run whose configuration has `files`.
    ///
    /// # Errors
    /// If `files` was written by another version of this program.
    pub(super) fn of_run(files: &Value) -> Result<Self> {
        let statistics = match files.get("mean") {
            None => EARLIER,
            Some(_) => serde_json::from_value(files.clone())
                .context("`files` in the run's config.toml: expected `mean` and `deviation` of three channels")?,
        };
        Ok(Self::new(statistics))
    }

    /// The network's input for `pixels` `[B, 3, H, W]` in 0..1.
    pub(super) fn batch(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        let of = |values: &[f32; 3]| Tensor::new(values, pixels.device())?.reshape((1, 3, 1, 1));
        pixels.broadcast_sub(&of(&self.mean)?)?.broadcast_div(&of(&self.deviation)?)
    }

    /// The network's input for the part of `photograph` inside `tile`, `[1, 3, h, w]`. It is computed directly from the bytes,
    /// so that the whole photograph is never stored as floats.
    pub(super) fn tile(&self, photograph: PixelView<'_>, tile: &Tile) -> candle_core::Result<Tensor> {
        let (rows, columns) = (tile.rows.len(), tile.columns.len());
        let mut values: Vec<f32> = Vec::with_capacity(3 * rows * columns);
        for (channel, (mean, deviation)) in self.mean.iter().zip(&self.deviation).enumerate() {
            let level = |byte: u8| (f32::from(byte) / 255.0 - mean) / deviation;
            for &row in &tile.rows {
                let line = &photograph.bytes[3 * row * photograph.width..][..3 * photograph.width];
                values.extend(tile.columns.iter().map(|&column| level(line[3 * column + channel])));
            }
        }
        Tensor::from_vec(values, (1, 3, rows, columns), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tile_is_a_piece_of_the_batch_to_the_bit() {
        let (height, width) = (5, 7);
        let bytes: Vec<u8> = (0..3 * height * width).map(|at| (at * 29 % 256) as u8).collect();
        let standard = Standard::of_run(&Value::Null).unwrap();
        let planes = (0..3).flat_map(|channel| bytes.iter().skip(channel).step_by(3));
        let values: Vec<f32> = planes.map(|&byte| f32::from(byte) / 255.0).collect();
        let whole = standard.batch(&Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu).unwrap()).unwrap();
        let tile = Tile { rows: vec![3, 4, 4], columns: vec![2, 3, 6, 6, 5] };
        let got = standard.tile(PixelView { bytes: &bytes, height, width }, &tile).unwrap();
        let places = |places: &[usize]| {
            let places: Vec<u32> = places.iter().map(|&place| place as u32).collect();
            Tensor::new(places, &Device::Cpu).unwrap()
        };
        let want = whole.index_select(&places(&tile.rows), 2).unwrap();
        let want = want.index_select(&places(&tile.columns), 3).unwrap();
        let bits = |tensor: &Tensor| -> Vec<u32> {
            tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(got.dims(), [1, 3, 3, 5]);
        assert!(bits(&got) == bits(&want));
    }

    #[test]
    fn a_run_is_standardised_as_it_was_trained() {
        let statistics = ChannelStatistics { mean: [0.7, 0.2, 0.1], deviation: [0.14, 0.08, 0.05] };
        let files = json!({ "digest": "0", "mean": statistics.mean, "deviation": statistics.deviation });
        assert_eq!(Standard::of_run(&files).unwrap(), Standard::new(statistics));
        assert_eq!(Standard::of_run(&json!("0")).unwrap(), Standard::new(EARLIER));
        let message = format!("{:#}", Standard::of_run(&json!({ "mean": 0.5 })).unwrap_err());
        assert!(message.contains("`files`") && message.contains("three channels"), "{message}");
    }
}
