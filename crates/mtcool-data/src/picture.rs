//! Photographs and masks from files of any usual format, turned as they are to be shown. Truncated files are refused, drawn
//! photographs are recognised, and pictures can be reduced by whole factors.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result, at};
use crate::files::{hex, is_transient};
use crate::jpeg::check_whole;

/// An 8-bit picture `[H, W, C]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 3 for red, green, blue; 1 for grey.
    pub channels: usize,
    /// `height * width * channels` bytes.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Width and height, in this order.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// Reads `file` as red, green and blue, upright as its file says that it is to be shown.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not a picture, or a truncated one; [`Error::Io`] if it cannot be read.
    pub fn read_rgb(file: &Path) -> Result<Self> {
        read(file).map(Self::rgb)
    }

    /// Reads `file` as grey, upright as its file says that it is to be shown.
    ///
    /// # Errors
    /// As for [`Self::read_rgb`].
    pub fn read_grey(file: &Path) -> Result<Self> {
        let picture = read(file)?.into_luma8();
        let [height, width] = [picture.height() as usize, picture.width() as usize];
        Ok(Self { height, width, channels: 1, bytes: picture.into_raw() })
    }

    /// A decoded picture as red, green and blue.
    pub(crate) fn rgb(picture: DynamicImage) -> Self {
        let picture = picture.into_rgb8();
        let [height, width] = [picture.height() as usize, picture.width() as usize];
        Self { height, width, channels: 3, bytes: picture.into_raw() }
    }

    /// Replaces every block of `scale` x `scale` pixels by its mean, rounded (halves up). Rows and columns after the last whole
    /// block are cut off.
    ///
    /// # Errors
    /// If `scale` is 0 or larger than the picture.
    pub fn reduced(self, scale: usize) -> Result<Self> {
        let [height, width] = reduced_size(self.height, self.width, scale)?;
        if scale == 1 {
            return Ok(self);
        }
        let (line, channels) = (self.width * self.channels, self.channels);
        let mut bytes = Vec::with_capacity(height * width * channels);
        let mut sums = vec![0u32; width * channels];
        let area = (scale * scale) as u32;
        for rows in self.bytes.chunks_exact(line * scale) {
            sums.fill(0);
            for row in rows.chunks_exact(line) {
                for (sums, block) in sums.chunks_exact_mut(channels).zip(row.chunks_exact(channels * scale)) {
                    for pixel in block.chunks_exact(channels) {
                        sums.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += u32::from(byte));
                    }
                }
            }
            bytes.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
        }
        Ok(Self { height, width, channels, bytes })
    }
}

/// Height and width after a reduction by `scale`.
///
/// # Errors
/// If `scale` is 0 or larger than a side.
pub(crate) fn reduced_size(height: usize, width: usize, scale: usize) -> Result<[usize; 2]> {
    if !(1..=height.min(width)).contains(&scale) {
        return Err(Error::OutOfRange {
            key: "scale",
            value: scale,
            expected: format!("at least 1 and at most {}, the picture's smaller side", height.min(width)),
        });
    }
    Ok([height / scale, width / scale])
}

fn read(file: &Path) -> Result<DynamicImage> {
    let bytes = std::fs::read(file).map_err(at(file))?;
    decode_upright(&bytes).map(|(picture, _)| picture).map_err(|got| Error::Corrupt {
        file: file.to_owned(),
        expected: "a whole picture".into(),
        got,
        remedy: "replace the file by an intact copy",
    })
}

/// The picture in `bytes`; its format is recognised by its content.
///
/// # Errors
/// A description of what is wrong, if it is not a picture or was cut off.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    if bytes.starts_with(&[0xff, 0xd8]) {
        check_whole(bytes)?;
    }
    let format = image::guess_format(bytes).map_err(|_| "a file of no known picture format".to_owned())?;
    image::load_from_memory_with_format(bytes, format).map_err(|error| match error {
        ImageError::Unsupported(error) => {
            format!("{error}; save it as PNG, JPEG, BMP or TIFF, with unsigned numbers of 8 or 16 bits")
        }
        error => error.to_string(),
    })
}

/// Whether the extension of `file` is that of a picture that can be read.
pub(crate) fn is_picture(file: &Path) -> bool {
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("jpg" | "jpeg" | "png" | "tif" | "tiff" | "bmp"))
}

/// The pictures that lie in `folder` itself, by their extensions, sorted; without hidden files and others of programs.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be read.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_data = |file: &PathBuf| file.file_name().is_some_and(|name| !is_transient(&name.to_string_lossy()));
    let mut pictures = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        pictures.push(entry.map_err(at(folder))?.path());
    }
    pictures.retain(|file| is_picture(file) && is_data(file) && file.is_file());
    pictures.sort();
    Ok(pictures)
}

/// The picture in `bytes`, turned as its file says that it is to be shown, and the orientation that the file names.
///
/// # Errors
/// As for [`decode`].
pub(crate) fn decode_upright(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let mut picture = decode(bytes)?;
    let orientation = orientation(bytes);
    picture.apply_orientation(orientation);
    Ok((picture, orientation))
}

/// The orientation that the file `bytes` names (the tag of EXIF or TIFF); no transformation if it names none.
pub(crate) fn orientation(bytes: &[u8]) -> Orientation {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok();
    let decoder = reader.and_then(|reader| reader.into_decoder().ok());
    decoder.and_then(|mut decoder| decoder.orientation().ok()).unwrap_or(Orientation::NoTransforms)
}

/// The orientation that a file's `bytes` name, as EXIF numbers it: 1 if the picture is upright as it is stored, up to 8.
pub fn exif_orientation(bytes: &[u8]) -> u8 {
    orientation(bytes).to_exif()
}

/// SHA-256 of the sides and the samples of a picture: the same for copies in other formats without losses.
pub(crate) fn pixels_sha256(sides: [usize; 3], samples: &[u8]) -> String {
    let mut hash = Sha256::new();
    sides.iter().for_each(|&side| hash.update((side as u64).to_le_bytes()));
    hash.update(samples);
    hex(hash.finalize().as_slice())
}

/// The comment in every synthetic photograph; it survives copying and renaming of the file.
const DRAWN: &[u8] = b"drawn by mtcool, not photographed";

/// The JPEG file `bytes` with a comment which says that it was drawn.
pub(crate) fn mark_as_drawn(bytes: &[u8]) -> Vec<u8> {
    let (start, rest) = bytes.split_at(2);
    let length = (DRAWN.len() as u16 + 2).to_be_bytes();
    [start, &[0xff, 0xfe], &length, DRAWN, rest].concat()
}

/// Whether `bytes`, at least the beginning of a file, contain the comment of [`mark_as_drawn`].
pub(crate) fn is_marked_as_drawn(bytes: &[u8]) -> bool {
    bytes.get(6..6 + DRAWN.len()) == Some(DRAWN)
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, RgbImage};

    use super::*;
    use crate::fundus::Fundus;

    fn noise(width: u32, height: u32) -> RgbImage {
        let byte = |x: u32, y: u32, c: u32| (x * 7 + y * 13 + c * 29 + x * y % 11 * 17) as u8;
        RgbImage::from_fn(width, height, |x, y| image::Rgb([byte(x, y, 0), byte(x, y, 1), byte(x, y, 2)]))
    }

    #[test]
    fn every_truncation_of_a_jpeg_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("photograph.jpg");
        noise(40, 24).save(&file).unwrap();
        let whole = std::fs::read(&file).unwrap();
        assert_eq!(Picture::read_rgb(&file).unwrap().size(), [40, 24]);
        // Cameras may append data of their own.
        std::fs::write(&file, [&whole[..], b"appended"].concat()).unwrap();
        assert!(Picture::read_rgb(&file).is_ok());
        for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            std::fs::write(&file, &whole[..length]).unwrap();
            let message = Picture::read_rgb(&file).unwrap_err().to_string();
            assert!(message.contains("photograph.jpg") && message.contains("intact copy"), "{message}");
        }
        assert!(Picture::read_rgb(&folder.path().join("none.jpg")).unwrap_err().to_string().contains("none.jpg"));
    }

    /// `jpeg` with a tag of EXIF that gives the orientation, as cameras write it.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
        let exif = [&b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn a_photograph_is_turned_as_its_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("photograph.jpg");
        noise(40, 24).save(&file).unwrap();
        let (plain, bytes) = (Picture::read_rgb(&file).unwrap(), std::fs::read(&file).unwrap());
        let at = |picture: &Picture, row: usize, column: usize| {
            picture.bytes[3 * (row * picture.width + column)..][..3].to_vec()
        };
        std::fs::write(&file, with_orientation(&bytes, 6)).unwrap();
        let turned = Picture::read_rgb(&file).unwrap();
        assert_eq!(turned.size(), [24, 40]);
        // 6: the stored rows run from right to left, each from top to bottom.
        for (row, column) in [(0, 0), (5, 3), (39, 23)] {
            assert_eq!(at(&turned, row, column), at(&plain, 23 - column, row));
        }
        std::fs::write(&file, with_orientation(&bytes, 3)).unwrap();
        let turned = Picture::read_rgb(&file).unwrap();
        assert_eq!((turned.size(), at(&turned, 0, 0)), ([40, 24], at(&plain, 23, 39)));
        std::fs::write(&file, with_orientation(&bytes, 1)).unwrap();
        assert_eq!(Picture::read_rgb(&file).unwrap(), plain);
    }

    #[test]
    fn a_picture_is_read_by_its_content_and_not_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mask.jpg");
        noise(9, 4).save_with_format(&file, ImageFormat::Png).unwrap();
        let picture = Picture::read_rgb(&file).unwrap();
        assert_eq!((picture.size(), &picture.bytes), ([9, 4], noise(9, 4).as_raw()));
        assert_eq!(Picture::read_grey(&file).unwrap().bytes.len(), 36);
    }

    #[test]
    fn reduction_is_the_mean_of_whole_blocks() {
        let bytes: Vec<u8> = (0..5 * 7 * 3).map(|k| (k * 37 % 256) as u8).collect();
        let picture = Picture { height: 5, width: 7, channels: 3, bytes: bytes.clone() };
        assert_eq!(picture.clone().reduced(1).unwrap(), picture);
        let reduced = picture.clone().reduced(2).unwrap();
        assert_eq!((reduced.size(), reduced.channels), ([3, 2], 3));
        for (index, &got) in reduced.bytes.iter().enumerate() {
            let (y, x, c) = (index / 9, index / 3 % 3, index % 3);
            let at = |y: usize, x: usize| f64::from(bytes[(y * 7 + x) * 3 + c]);
            let mean =
                (at(2 * y, 2 * x) + at(2 * y, 2 * x + 1) + at(2 * y + 1, 2 * x) + at(2 * y + 1, 2 * x + 1)) / 4.0;
            assert_eq!(f64::from(got), (mean + 0.5).floor());
        }
        for scale in [0, 6] {
            let message = picture.clone().reduced(scale).unwrap_err().to_string();
            assert!(message.contains("`scale`") && message.contains("at most 5"), "{message}");
        }
    }

    #[test]
    fn a_marked_picture_is_the_same_picture() {
        let plain = Fundus::draw(1, 1, [40, 50]).jpeg().unwrap();
        let marked = mark_as_drawn(&plain);
        assert!(is_marked_as_drawn(&marked) && !is_marked_as_drawn(&plain) && !is_marked_as_drawn(b"\xff\xd8"));
        assert_eq!(decode(&marked).unwrap(), decode(&plain).unwrap());
    }

    #[test]
    fn a_picture_that_was_cut_off_anywhere_is_refused() {
        let whole = Fundus::draw(1, 1, [40, 50]).jpeg().unwrap();
        for kept in [0, 1, 2, 3, 20, whole.len() / 2, whole.len() - 3, whole.len() - 2, whole.len() - 1] {
            assert!(decode(&whole[..kept]).is_err(), "{kept} of {} bytes", whole.len());
        }
        let padded = [&whole[..], &[0; 7]].concat();
        assert!(decode(&padded).is_ok());
    }
}
