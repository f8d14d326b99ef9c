//! Pictures of any number of channels, with 8 or 16 bits.

/// A picture `[H, W, C]`, upright as its file says that it is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Whether a sample has 16 bits, as two bytes in the machine's order; otherwise it has 8.
    pub is_deep: bool,
    /// The samples of all pixels, row by row.
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// The same as red, green and blue of 8 bits, `[H, W, 3]`, for people to look at: of more channels, the first three; of one
    /// or two channels, the first one as grey.
    pub fn to_rgb8(&self) -> Vec<u8> {
        let from = if self.channels < 3 { [0; 3] } else { [0, 1, 2] };
        let pixels = 0..self.height * self.width;
        pixels.flat_map(|pixel| from.map(|channel| (self.sample(pixel, channel) >> self.extra_bits()) as u8)).collect()
    }

    /// Size, channels and depth, for messages.
    pub(super) fn description(&self) -> String {
        let Self { height, width, channels, .. } = self;
        format!("{width}x{height} with {channels} channels of {} bits", 8 + self.extra_bits())
    }

    /// The bytes of pixel number `pixel`.
    pub(super) fn pixel(&self, pixel: usize) -> &[u8] {
        let length = self.bytes_per_pixel();
        &self.bytes[pixel * length..(pixel + 1) * length]
    }

    /// The value of a channel of pixel number `pixel`.
    pub(super) fn sample(&self, pixel: usize, channel: usize) -> u16 {
        let index = pixel * self.channels + channel;
        match self.is_deep {
            false => self.bytes[index].into(),
            true => u16::from_ne_bytes([self.bytes[2 * index], self.bytes[2 * index + 1]]),
        }
    }

    /// The value of white.
    pub(super) fn white(&self) -> u16 {
        if self.is_deep { u16::MAX } else { u8::MAX.into() }
    }

    fn extra_bits(&self) -> u8 {
        if self.is_deep { 8 } else { 0 }
    }

    pub(super) fn bytes_per_pixel(&self) -> usize {
        self.channels * (1 + usize::from(self.is_deep))
    }

    /// Keeps the channels `kept` of each pixel.
    pub(super) fn selected(&self, kept: &[usize]) -> Self {
        let sample = 1 + usize::from(self.is_deep);
        let bytes = self.bytes.chunks_exact(self.bytes_per_pixel());
        let bytes = bytes.flat_map(|pixel| kept.iter().flat_map(move |&k| &pixel[k * sample..(k + 1) * sample]));
        Self { channels: kept.len(), bytes: bytes.copied().collect(), ..*self }
    }

    /// The mean of red, green and blue weighted by their brightness (ITU-R BT.709).
    pub(super) fn grey(&self) -> Self {
        let pixels = 0..self.height * self.width;
        let values = pixels.map(|pixel| {
            let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(self.sample(pixel, channel)));
            ((2126 * red + 7152 * green + 722 * blue + 5000) / 10000) as u16
        });
        let bytes = match self.is_deep {
            false => values.map(|value| value as u8).collect(),
            true => values.flat_map(u16::to_ne_bytes).collect(),
        };
        Self { channels: 1, bytes, ..*self }
    }

    /// The same with the pixels in the order in which they are to be shown; `orientation` is that of EXIF, 1 to 8.
    pub(super) fn upright(self, orientation: u8) -> Self {
        let [rows, columns] = [self.height, self.width];
        // Where pixel (row, column) of the upright picture lies in the stored one.
        let source: fn(usize, usize, usize, usize) -> [usize; 2] = match orientation {
            2 => |row, column, _, columns| [row, columns - 1 - column],
            3 => |row, column, rows, columns| [rows - 1 - row, columns - 1 - column],
            4 => |row, column, rows, _| [rows - 1 - row, column],
            5 => |row, column, _, _| [column, row],
            6 => |row, column, rows, _| [rows - 1 - column, row],
            7 => |row, column, rows, columns| [rows - 1 - column, columns - 1 - row],
            8 => |row, column, _, columns| [column, columns - 1 - row],
            _ => return self,
        };
        let [height, width] = if orientation >= 5 { [columns, rows] } else { [rows, columns] };
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for row in 0..height {
            for column in 0..width {
                let [source_row, source_column] = source(row, column, rows, columns);
                bytes.extend_from_slice(self.pixel(source_row * columns + source_column));
            }
        }
        Self { height, width, bytes, ..self }
    }
}

#[cfg(test)]
mod tests {
    use image::DynamicImage;

    use super::*;

    fn picture(height: usize, width: usize, channels: usize, is_deep: bool) -> Pixels {
        let length = height * width * channels * (1 + usize::from(is_deep));
        Pixels { height, width, channels, is_deep, bytes: (0..length).map(|k| (k * 37 % 251) as u8).collect() }
    }

    /// The picture as the library turns it.
    fn turned_by_the_library(pixels: &Pixels, orientation: u8) -> Pixels {
        let image = image::RgbImage::from_raw(pixels.width as u32, pixels.height as u32, pixels.bytes.clone()).unwrap();
        let mut image = DynamicImage::ImageRgb8(image);
        image.apply_orientation(image::metadata::Orientation::from_exif(orientation).unwrap());
        let [height, width] = [image.height() as usize, image.width() as usize];
        Pixels { height, width, bytes: image.into_bytes(), ..*pixels }
    }

    #[test]
    fn pictures_are_shown_upright() {
        let stored = picture(3, 5, 3, false);
        for orientation in 1..=8 {
            let expected = turned_by_the_library(&stored, orientation);
            assert_eq!(stored.clone().upright(orientation), expected, "orientation {orientation}");
        }
        assert_eq!(stored.clone().upright(0), stored);
        let deep = picture(2, 3, 2, true).upright(6);
        assert_eq!((deep.height, deep.width, deep.bytes.len()), (3, 2, 24));
        assert_eq!(deep.pixel(1), picture(2, 3, 2, true).pixel(0), "turned to the right");
    }
}
