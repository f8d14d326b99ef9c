//! The values of a mask's pixels, with all bits of the file, and where they lie.

use image::DynamicImage;

/// More different values than this are not told apart: the file is a photograph, or was saved with losses.
const MOST: usize = 255;

/// The grey values of a mask.
pub(super) struct MaskValues {
    /// (height, width).
    pub(super) size: [usize; 2],
    /// The values that occur, ascending, at most 255.
    pub(super) palette: Vec<u16>,
    /// The index of each pixel's value in the palette, `[H, W]`.
    pub(super) indices: Vec<u8>,
}

impl MaskValues {
    /// The values of `picture`; alpha is left out.
    ///
    /// # Errors
    /// What it is instead of a mask of grey values.
    pub(super) fn of(picture: &DynamicImage) -> Result<Self, String> {
        let grey = |samples: &[u8], channels: usize| grey(samples.iter().map(|&sample| sample.into()), channels);
        let deep = |samples: &[u16], channels: usize| self::grey(samples.iter().copied(), channels);
        let values = match picture {
            DynamicImage::ImageLuma8(picture) => grey(picture, 1),
            DynamicImage::ImageLumaA8(picture) => grey(picture, 2),
            DynamicImage::ImageRgb8(picture) => grey(picture, 3),
            DynamicImage::ImageRgba8(picture) => grey(picture, 4),
            DynamicImage::ImageLuma16(picture) => deep(picture, 1),
            DynamicImage::ImageLumaA16(picture) => deep(picture, 2),
            DynamicImage::ImageRgb16(picture) => deep(picture, 3),
            DynamicImage::ImageRgba16(picture) => deep(picture, 4),
            other => Err(format!("expected grey values of 8 or 16 bits, got samples of the kind {:?}", other.color())),
        }?;
        let mut places = vec![None; 1 << 16];
        values.iter().for_each(|&value| places[usize::from(value)] = Some(0u8));
        let palette: Vec<u16> = (0..=u16::MAX).filter(|&value| places[usize::from(value)].is_some()).collect();
        if palette.len() > MOST {
            return Err(format!(
                "expected three values, got {}, as in a photograph or a mask that was saved with losses",
                palette.len()
            ));
        }
        palette.iter().zip(0u8..).for_each(|(&value, index)| places[usize::from(value)] = Some(index));
        let indices = values.iter().map(|&value| places[usize::from(value)].unwrap_or_default()).collect();
        Ok(Self { size: [picture.height() as usize, picture.width() as usize], palette, indices })
    }

    /// The values as text, at most eight of them.
    pub(super) fn listed(&self) -> String {
        let (shown, rest) = self.palette.split_at(self.palette.len().min(8));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        format!("{shown:?}{more}")
    }

    /// The number of pixels of each value.
    pub(super) fn areas(&self) -> Vec<usize> {
        self.count(self.indices.iter())
    }

    /// The number of pixels of each value at the border of the picture.
    pub(super) fn border(&self) -> Vec<usize> {
        let [height, width] = self.size;
        let is_outer = |row: usize| row == 0 || row + 1 == height;
        let rows = self.indices.chunks_exact(width.max(1)).enumerate();
        self.count(rows.flat_map(|(row, line)| {
            let inner = (!is_outer(row)).then(|| [line.first(), line.last()].into_iter().flatten());
            let outer = is_outer(row).then(|| line.iter());
            inner.into_iter().flatten().chain(outer.into_iter().flatten())
        }))
    }

    /// For each value, how often one of its pixels lies beside a pixel of the value number `other`.
    pub(super) fn contacts_with(&self, other: usize) -> Vec<usize> {
        let [height, width] = self.size;
        let mut contacts = vec![0; self.palette.len()];
        let mut meet = |first: u8, second: u8| {
            let (first, second) = (usize::from(first), usize::from(second));
            if first != second {
                match (first == other, second == other) {
                    (true, _) => contacts[second] += 1,
                    (_, true) => contacts[first] += 1,
                    _ => {}
                }
            }
        };
        for row in 0..height {
            for at in row * width..(row + 1) * width {
                if at + 1 < (row + 1) * width {
                    meet(self.indices[at], self.indices[at + 1]);
                }
                if row + 1 < height {
                    meet(self.indices[at], self.indices[at + width]);
                }
            }
        }
        contacts
    }

    fn count<'a>(&self, indices: impl Iterator<Item = &'a u8>) -> Vec<usize> {
        let mut counts = vec![0; self.palette.len()];
        indices.for_each(|&index| counts[usize::from(index)] += 1);
        counts
    }
}

/// One value per pixel, if its color channels are equal.
fn grey(samples: impl Iterator<Item = u16>, channels: usize) -> Result<Vec<u16>, String> {
    let colors = if channels >= 3 { 3 } else { 1 };
    let mut values = Vec::new();
    let mut pixel = [0; 4];
    for (index, sample) in samples.enumerate() {
        pixel[index % channels] = sample;
        if index % channels + 1 == channels {
            let [red, green, blue, _] = pixel;
            if colors == 3 && (red != green || green != blue) {
                return Err(format!("expected grey values, got the colour ({red}, {green}, {blue})"));
            }
            values.push(red);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, GrayImage, Luma, LumaA, Rgb, RgbImage};

    use super::*;

    #[test]
    fn values_are_counted_where_they_lie() {
        let rows = [[7, 7, 7, 7], [7, 1, 1, 7], [7, 1, 9, 7], [7, 7, 7, 1]];
        let values =
            MaskValues::of(&GrayImage::from_fn(4, 4, |x, y| Luma([rows[y as usize][x as usize]])).into()).unwrap();
        assert_eq!((values.size, &values.palette[..]), ([4, 4], &[1, 7, 9][..]));
        assert_eq!((values.areas(), values.border()), (vec![4, 11, 1], vec![1, 11, 0]));
        // Above, left and right of the three, and two sides of the corner; 9 touches the background below and to the right.
        assert_eq!(values.contacts_with(1), [8, 0, 2]);
    }

    #[test]
    fn colours_and_photographs_are_no_masks() {
        let message = |picture: DynamicImage| MaskValues::of(&picture).err().unwrap();
        assert!(message(RgbImage::from_pixel(2, 1, Rgb([255, 0, 0])).into()).contains("the colour (255, 0, 0)"));
        let many = image::ImageBuffer::from_fn(300, 1, |x, _| Luma([x as u16]));
        assert!(message(many.into()).contains("got 300, as in a photograph"));
        let with_alpha = GrayAlphaImage::from_fn(3, 1, |x, _| LumaA([x as u8, 9]));
        assert_eq!(MaskValues::of(&with_alpha.into()).unwrap().palette, [0, 1, 2]);
    }
}
