//! One change of a picture and its labels, and how it is applied.

use super::view::{Crop, PixelView, floor, index};

/// A drawn change: a picture and its labels are changed by the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// A matrix from an offset (x, y) from the crop's centre to the offset in the source.
    pub(super) to_source: [[f64; 2]; 2],
    /// Value v in 0..=1 of channel c becomes `gain[c] * v^exponent + offset`.
    pub(super) exponent: f64,
    pub(super) gain: [f64; 3],
    pub(super) offset: f64,
}

impl Change {
    /// No change.
    pub const NONE: Self = Self { to_source: [[1.0, 0.0], [0.0, 1.0]], exponent: 1.0, gain: [1.0; 3], offset: 0.0 };

    /// The matrix, row by row, from an offset (x, y) from the crop's centre to the offset in the source.
    pub fn to_source(&self) -> [[f64; 2]; 2] {
        self.to_source
    }

    /// The changed values, in 0..=1, of each of the 256 values of red, green and blue.
    pub fn levels(&self) -> [[f32; 3]; 256] {
        Levels::new(self).0
    }

    /// Cuts `crop` from a picture of three channels into `out` `[3, H, W]`, values in 0..=1, by bilinear interpolation. Outside
    /// of the picture, pixels are black, and black is changed like any other value.
    ///
    /// # Panics
    /// If the lengths of the slices do not fit.
    pub fn picture(&self, source: PixelView<'_>, crop: Crop, out: &mut [f32]) {
        assert_eq!(source.bytes.len(), source.height * source.width * 3, "three channels");
        let plane = crop.size[0] * crop.size[1];
        assert_eq!(out.len(), 3 * plane, "three channels out");
        let (red, rest) = out.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let levels = Levels::new(self);
        for (index, [x, y]) in self.places(crop).enumerate() {
            let pixel = levels.blend(source, x - 0.5, y - 0.5);
            (red[index], green[index], blue[index]) = (pixel[0], pixel[1], pixel[2]);
        }
    }

    /// Cuts `crop` from labels of one channel into `out` `[H, W]`: each pixel takes the label of its place, or `outside` where
    /// its place lies outside of the source.
    ///
    /// # Panics
    /// If the lengths of the slices do not fit.
    pub fn labels(&self, source: PixelView<'_>, crop: Crop, outside: u8, out: &mut [u8]) {
        assert_eq!(source.bytes.len(), source.height * source.width, "one channel");
        assert_eq!(out.len(), crop.size[0] * crop.size[1], "one channel out");
        for (label, [x, y]) in out.iter_mut().zip(self.places(crop)) {
            let index = index(source, floor(x), floor(y));
            *label = index.map_or(outside, |index| source.bytes[index]);
        }
    }

    /// Where the centres of the result's pixels lie in the source, row by row.
    pub(super) fn places(&self, crop: Crop) -> impl Iterator<Item = [f64; 2]> + '_ {
        let [height, width] = crop.size;
        let [[xx, xy], [yx, yy]] = self.to_source;
        (0..height).flat_map(move |row| {
            let dy = row as f64 + 0.5 - height as f64 / 2.0;
            let (x, y) = (crop.center[0] + xy * dy, crop.center[1] + yy * dy);
            (0..width).map(move |column| {
                let dx = column as f64 + 0.5 - width as f64 / 2.0;
                [x + xx * dx, y + yx * dx]
            })
        })
    }
}

/// The changed values of each of the 256 values of red, green and blue.
pub(super) struct Levels(pub(super) [[f32; 3]; 256]);

impl Levels {
    pub(super) fn new(change: &Change) -> Self {
        let mut levels = [[0.0; 3]; 256];
        for (value, level) in levels.iter_mut().enumerate() {
            let bright = value as f64 / 255.0;
            let bright = if change.exponent == 1.0 { bright } else { bright.powf(change.exponent) };
            *level = change.gain.map(|gain| (gain * bright + change.offset).clamp(0.0, 1.0) as f32);
        }
        Self(levels)
    }

    fn of(&self, pixel: &[u8]) -> [f32; 3] {
        [0, 1, 2].map(|channel| self.0[usize::from(pixel[channel])][channel])
    }

    /// The mean of the four pixels whose centres surround a place, weighted by nearness; pixels outside of the picture are
    /// black. A place on a centre takes that pixel's value, equal to the bit.
    fn blend(&self, source: PixelView<'_>, x: f64, y: f64) -> [f32; 3] {
        let (left, top) = (floor(x), floor(y));
        let (right_share, bottom_share) = ((x - left as f64) as f32, (y - top as f64) as f32);
        let at = |x: isize, y: isize| match index(source, x, y) {
            Some(index) => self.of(&source.bytes[3 * index..3 * index + 3]),
            None => self.0[0],
        };
        if right_share == 0.0 && bottom_share == 0.0 {
            return at(left, top);
        }
        let corners = match (index(source, left, top), index(source, left + 1, top + 1)) {
            // Nearly always all four pixels exist: two neighbours in each of two rows.
            (Some(first), Some(last)) => {
                let (upper, lower) = (&source.bytes[3 * first..][..6], &source.bytes[3 * last - 3..][..6]);
                [self.of(&upper[..3]), self.of(&upper[3..]), self.of(&lower[..3]), self.of(&lower[3..])]
            }
            _ => [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)],
        };
        [0, 1, 2].map(|channel| {
            let [a, b, c, d] = corners.map(|corner| corner[channel]);
            let (upper, lower) = (a + right_share * (b - a), c + right_share * (d - c));
            upper + bottom_share * (lower - upper)
        })
    }
}
