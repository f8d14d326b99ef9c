//! Changes of pictures with any number of channels, of 8 or 16 bits.

use super::change::Change;
use super::view::{Crop, floor};

/// Interleaved samples `[H, W, C]` of 8 or 16 bits to cut from.
#[derive(Clone, Copy, Debug)]
pub struct SampleView<'a> {
    /// `height * width * channels` samples of one byte, or of two in the machine's order.
    pub bytes: &'a [u8],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Whether a sample has 16 bits.
    pub is_deep: bool,
}

impl SampleView<'_> {
    /// The value of a sample on the scale 0..1; 0 outside of the picture.
    fn at(&self, x: isize, y: isize, channel: usize) -> f32 {
        // A negative number becomes a number that is larger than any side.
        let (x, y) = (x as usize, y as usize);
        if x >= self.width || y >= self.height {
            return 0.0;
        }
        let index = (y * self.width + x) * self.channels + channel;
        match self.is_deep {
            false => f32::from(self.bytes[index]) / 255.0,
            true => f32::from(u16::from_ne_bytes([self.bytes[2 * index], self.bytes[2 * index + 1]])) / 65535.0,
        }
    }
}

impl Change {
    /// As [`Change::picture`], for any number of channels: into `out` `[C, H, W]`. The channels take turns at the three drawn
    /// factors of red, green and blue.
    ///
    /// # Panics
    /// If the lengths of the slices do not fit.
    pub fn channels(&self, source: SampleView<'_>, crop: Crop, out: &mut [f32]) {
        let SampleView { bytes, height, width, channels, is_deep } = source;
        assert_eq!(bytes.len(), height * width * channels * (1 + usize::from(is_deep)), "samples");
        let plane = crop.size[0] * crop.size[1];
        assert_eq!(out.len(), channels * plane, "as many channels out");
        let level = |value: f32, channel: usize| {
            let bright = f64::from(value);
            let bright = if self.exponent == 1.0 { bright } else { bright.powf(self.exponent) };
            (self.gain[channel % 3] * bright + self.offset).clamp(0.0, 1.0) as f32
        };
        for (index, [x, y]) in self.places(crop).enumerate() {
            let (x, y) = (x - 0.5, y - 0.5);
            let (left, top) = (floor(x), floor(y));
            let (right_share, bottom_share) = ((x - left as f64) as f32, (y - top as f64) as f32);
            for channel in 0..channels {
                let at = |x: isize, y: isize| level(source.at(x, y, channel), channel);
                out[channel * plane + index] = if right_share == 0.0 && bottom_share == 0.0 {
                    at(left, top)
                } else {
                    let [a, b] = [at(left, top), at(left + 1, top)];
                    let [c, d] = [at(left, top + 1), at(left + 1, top + 1)];
                    let (upper, lower) = (a + right_share * (b - a), c + right_share * (d - c));
                    upper + bottom_share * (lower - upper)
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::augmentation::Augmentation;
    use super::super::view::PixelView;
    use super::*;

    const SIZE: [usize; 2] = [9, 12];

    fn bytes(channels: usize) -> Vec<u8> {
        (0..SIZE[0] * SIZE[1] * channels).map(|k| (k * 37 % 251) as u8).collect()
    }

    fn view(bytes: &[u8], channels: usize, is_deep: bool) -> SampleView<'_> {
        SampleView { bytes, height: SIZE[0], width: SIZE[1], channels, is_deep }
    }

    fn cut(change: &Change, source: SampleView<'_>, crop: Crop) -> Vec<f32> {
        let mut out = vec![0.0; crop.size[0] * crop.size[1] * source.channels];
        change.channels(source, crop, &mut out);
        out
    }

    #[test]
    fn of_three_channels_it_is_the_fast_way_to_the_last_digit() {
        let augmentation = Augmentation { gamma: 0.3, exposure: 0.2, ..Augmentation::default() };
        let bytes = bytes(3);
        for seed in 0..20 {
            let change = match seed {
                0 => Change::NONE,
                seed => augmentation.draw(&mut ChaCha8Rng::seed_from_u64(seed)),
            };
            let crop = Crop { center: [5.0, 4.5], size: [8, 11] };
            let mut fast = vec![0.0; 3 * 8 * 11];
            change.picture(PixelView { bytes: &bytes, height: SIZE[0], width: SIZE[1] }, crop, &mut fast);
            let general = cut(&change, view(&bytes, 3, false), crop);
            let difference = fast.iter().zip(&general).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-6, "seed {seed}: {difference}");
        }
    }

    #[test]
    fn sixteen_bits_of_the_same_grey_give_the_same_values_and_channels_are_planes() {
        let bytes = bytes(5);
        let deep: Vec<u8> = bytes.iter().flat_map(|&byte| (u16::from(byte) * 257).to_ne_bytes()).collect();
        let change = Augmentation::default().draw(&mut ChaCha8Rng::seed_from_u64(3));
        let crop = Crop { center: [6.0, 4.0], size: [4, 6] };
        let shallow = cut(&change, view(&bytes, 5, false), crop);
        let wide = cut(&change, view(&deep, 5, true), crop);
        assert!(shallow.iter().zip(&wide).all(|(a, b)| (a - b).abs() < 1e-6));
        let whole = Crop { center: [6.0, 4.5], size: SIZE };
        let plain = cut(&Change::NONE, view(&bytes, 5, false), whole);
        for (index, value) in plain.iter().enumerate() {
            let (channel, pixel) = (index / (SIZE[0] * SIZE[1]), index % (SIZE[0] * SIZE[1]));
            assert_eq!(*value, f32::from(bytes[pixel * 5 + channel]) / 255.0);
        }
    }
}
