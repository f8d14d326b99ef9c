//! Pictures and masks in the size of the network's input.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};

use super::config::{Fit, FolderConfig};
use super::label::IGNORED;
use super::pixels::Pixels;

impl FolderConfig {
    /// The picture as it is stored: scaled, and in the size of the network's input, unless this takes patches.
    pub(super) fn stored_picture(&self, pixels: Pixels) -> Pixels {
        let size = self.scaled([pixels.height, pixels.width]);
        self.fit.picture(Fit::Resize.picture(pixels, size), self.size)
    }

    /// The classes of a mask of size `from` as they are stored, with their size; as for the picture.
    pub(super) fn stored_classes(&self, classes: Vec<u8>, from: [usize; 2]) -> (Vec<u8>, [usize; 2]) {
        let (classes, size) = Fit::Resize.classes(classes, from, self.scaled(from));
        self.fit.classes(classes, size, self.size)
    }
}

impl Fit {
    /// The picture in `size`, or as it is for patches.
    fn picture(self, pixels: Pixels, size: [usize; 2]) -> Pixels {
        match self {
            Self::Patches => pixels,
            _ if [pixels.height, pixels.width] == size => pixels,
            Self::Crop => middle(&pixels, size, 0),
            Self::Resize => resized(&pixels, size),
        }
    }

    /// The classes `[H, W]` of a mask in `size`, or as they are for patches, with their size.
    fn classes(self, classes: Vec<u8>, from: [usize; 2], size: [usize; 2]) -> (Vec<u8>, [usize; 2]) {
        let [height, width] = from;
        match self {
            Self::Patches => (classes, from),
            _ if from == size => (classes, from),
            Self::Crop => {
                let mask = Pixels { height, width, channels: 1, is_deep: false, bytes: classes };
                (middle(&mask, size, IGNORED).bytes, size)
            }
            Self::Resize => {
                let rows = (0..size[0]).map(|row| nearest(row, size[0], height));
                let columns =
                    |row: usize| (0..size[1]).map(move |column| row * width + nearest(column, size[1], width));
                (rows.flat_map(columns).map(|place| classes[place]).collect(), size)
            }
        }
    }
}

/// The pixel of a side of `from` pixels in which the middle of pixel `index` of `to` pixels lies.
fn nearest(index: usize, to: usize, from: usize) -> usize {
    (2 * index + 1) * from / (2 * to)
}

/// The rows and columns around the middle; beyond the edges, every byte is `beyond`.
fn middle(pixels: &Pixels, [height, width]: [usize; 2], beyond: u8) -> Pixels {
    let pixel = pixels.bytes_per_pixel();
    let mut bytes = vec![beyond; height * width * pixel];
    // Where the first row and column of the result lie in the source, or of the source in the result.
    let (top, above) = (pixels.height.saturating_sub(height) / 2, height.saturating_sub(pixels.height) / 2);
    let (left, before) = (pixels.width.saturating_sub(width) / 2, width.saturating_sub(pixels.width) / 2);
    let line = width.min(pixels.width) * pixel;
    for row in 0..height.min(pixels.height) {
        let source = ((top + row) * pixels.width + left) * pixel;
        let target = ((above + row) * width + before) * pixel;
        bytes[target..target + line].copy_from_slice(&pixels.bytes[source..source + line]);
    }
    Pixels { height, width, bytes, ..*pixels }
}

/// The picture in `size`, each channel by itself, by linear interpolation over the area of a pixel.
fn resized(pixels: &Pixels, size: [usize; 2]) -> Pixels {
    let places = 0..pixels.height * pixels.width;
    let planes: Vec<Vec<u8>> = (0..pixels.channels)
        .map(|channel| match pixels.is_deep {
            false => {
                let plane = places.clone().map(|pixel| pixels.sample(pixel, channel) as u8).collect();
                resized_plane::<u8>(plane, [pixels.height, pixels.width], size)
            }
            true => {
                let plane = places.clone().map(|pixel| pixels.sample(pixel, channel)).collect();
                let plane = resized_plane::<u16>(plane, [pixels.height, pixels.width], size);
                plane.into_iter().flat_map(u16::to_ne_bytes).collect()
            }
        })
        .collect();
    let sample = 1 + usize::from(pixels.is_deep);
    let [height, width] = size;
    let of_pixel = |pixel: usize| planes.iter().flat_map(move |plane| &plane[pixel * sample..(pixel + 1) * sample]);
    Pixels { height, width, bytes: (0..height * width).flat_map(of_pixel).copied().collect(), ..*pixels }
}

fn resized_plane<T>(plane: Vec<T>, [height, width]: [usize; 2], to: [usize; 2]) -> Vec<T>
where
    T: image::Primitive + 'static,
    Luma<T>: image::Pixel<Subpixel = T>,
{
    let plane: Option<ImageBuffer<Luma<T>, Vec<T>>> = ImageBuffer::from_raw(width as u32, height as u32, plane);
    plane.map_or_else(Vec::new, |plane| resize(&plane, to[1] as u32, to[0] as u32, FilterType::Triangle).into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, channels: usize, is_deep: bool) -> Pixels {
        let length = height * width * channels * (1 + usize::from(is_deep));
        Pixels { height, width, channels, is_deep, bytes: (0..length).map(|k| (k * 37 % 251) as u8).collect() }
    }

    #[test]
    fn a_crop_is_the_middle_and_what_lies_beyond_is_black_and_ignored() {
        let source = picture(5, 6, 2, true);
        let cut = Fit::Crop.picture(source.clone(), [3, 8]);
        assert_eq!((cut.height, cut.width), (3, 8));
        for row in 0..3 {
            for column in 0..8 {
                let expected = match column {
                    1..7 => source.pixel((row + 1) * 6 + column - 1).to_vec(),
                    _ => vec![0; 4],
                };
                assert_eq!(cut.pixel(row * 8 + column), expected, "{row}, {column}");
            }
        }
        let (classes, size) = Fit::Crop.classes(vec![1, 2, 3, 4], [2, 2], [2, 3]);
        assert_eq!((classes, size), (vec![1, 2, IGNORED, 3, 4, IGNORED], [2, 3]));
        assert_eq!(Fit::Patches.picture(source.clone(), [3, 8]), source);
    }

    #[test]
    fn halving_averages_and_masks_keep_their_classes() {
        let flat = Pixels { height: 4, width: 4, channels: 3, is_deep: true, bytes: [7, 1].repeat(48) };
        let half = Fit::Resize.picture(flat.clone(), [2, 2]);
        assert_eq!((half.bytes, half.height), ([7, 1].repeat(12), 2));
        let ramp = Pixels { height: 1, width: 8, channels: 1, is_deep: false, bytes: (0..8).map(|k| 10 * k).collect() };
        let bytes = Fit::Resize.picture(ramp, [1, 4]).bytes;
        assert!(bytes.windows(2).all(|pair| pair[0] < pair[1]), "{bytes:?}");
        let classes: Vec<u8> = (0..6).flat_map(|row| [row, row, row + 10, row + 10]).collect();
        let (half, size) = Fit::Resize.classes(classes.clone(), [6, 4], [3, 2]);
        assert_eq!((half, size), (vec![1, 11, 3, 13, 5, 15], [3, 2]));
        let (double, _) = Fit::Resize.classes(vec![1, 2], [1, 2], [2, 4]);
        assert_eq!(double, [1, 1, 2, 2, 1, 1, 2, 2]);
    }

    #[test]
    fn pictures_and_masks_are_scaled_before_they_are_cut() {
        let text = r#"{ "size": [2, 2], "fit": "crop", "scale": 0.5 }"#;
        let config: FolderConfig = serde_json::from_str(text).unwrap();
        let blocks =
            |values: [u8; 4]| -> Vec<u8> { (0..8).flat_map(|_| values.into_iter().flat_map(|v| [v, v])).collect() };
        let source = Pixels { height: 8, width: 8, channels: 1, is_deep: false, bytes: blocks([10, 20, 30, 40]) };
        let cut = config.stored_picture(source.clone());
        assert_eq!((cut.height, cut.width), (2, 2));
        assert!(cut.bytes[0] < cut.bytes[1] && (15..=35).contains(&cut.bytes[0]), "{:?}", cut.bytes);
        assert_eq!(config.stored_classes(blocks([1, 2, 3, 4]), [8, 8]), (vec![2, 3, 2, 3], [2, 2]));
        let patches = FolderConfig { fit: Fit::Patches, scale: 1.25, ..config };
        let enlarged = patches.stored_picture(source);
        assert_eq!([enlarged.height, enlarged.width], [10, 10]);
        assert_eq!(patches.stored_classes(blocks([1, 2, 3, 4]), [8, 8]).1, [10, 10]);
        assert_eq!(patches.scaled([3, 1]), [4, 1]);
    }

    #[test]
    fn channels_are_resized_one_by_one() {
        for is_deep in [false, true] {
            let source = picture(7, 5, 3, is_deep);
            let whole = Fit::Resize.picture(source.clone(), [4, 9]);
            for channel in 0..3 {
                let plane = Fit::Resize.picture(source.selected(&[channel]), [4, 9]);
                assert_eq!(whole.selected(&[channel]), plane);
            }
        }
    }
}
