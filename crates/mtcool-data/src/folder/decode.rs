//! Decodes picture files of any usual format.

use std::fs;
use std::path::Path;

use image::DynamicImage;

use super::bands;
use super::pixels::Pixels;
use crate::error::{Error, Result, at};
use crate::picture;

impl Pixels {
    /// Reads `file`: PNG, JPEG, TIFF or BMP, recognised by its content. An alpha channel is left out, and grey becomes red,
    /// green and blue, or the other way round, if that gives `channels`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is no whole picture or has another number of channels; [`Error::Io`] if it cannot be read.
    pub fn read(file: &Path, channels: usize) -> Result<Self> {
        let bytes = fs::read(file).map_err(at(file))?;
        decode(&bytes).and_then(|decoded| decoded.with_channels(channels)).map_err(|got| Error::Corrupt {
            file: file.to_owned(),
            expected: format!("a whole picture with {channels} channels"),
            got,
            remedy: "replace the file, or correct `channels`",
        })
    }
}

/// A picture as its file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// All channels of the file.
    pub(super) pixels: Pixels,
    /// Whether the last channel is alpha.
    pub(super) has_alpha: bool,
}

/// The picture in `bytes`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    if bands::is_tiff(bytes)
        && let Some((pixels, orientation)) = bands::many_channels(bytes)?
    {
        return Ok(Decoded { pixels: pixels.upright(orientation), has_alpha: false });
    }
    let picture = picture::decode(bytes)?;
    let color = picture.color();
    let [height, width] = [picture.height() as usize, picture.width() as usize];
    let is_deep = match &picture {
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_) => false,
        DynamicImage::ImageLuma16(_)
        | DynamicImage::ImageLumaA16(_)
        | DynamicImage::ImageRgb16(_)
        | DynamicImage::ImageRgba16(_) => true,
        _ => return Err(format!("samples of the kind {color:?}; expected unsigned numbers of 8 or 16 bits")),
    };
    let channels = usize::from(color.channel_count());
    let pixels = Pixels { height, width, channels, is_deep, bytes: picture.into_bytes() };
    Ok(Decoded { pixels: pixels.upright(picture::orientation(bytes).to_exif()), has_alpha: color.has_alpha() })
}

impl Decoded {
    /// The pixels without alpha.
    pub(super) fn opaque(self) -> Pixels {
        if !self.has_alpha {
            return self.pixels;
        }
        let kept: Vec<usize> = (0..self.pixels.channels - 1).collect();
        self.pixels.selected(&kept)
    }

    /// The picture with `channels` channels, as [`Pixels::read`] describes it.
    ///
    /// # Errors
    /// What it has instead.
    pub(super) fn with_channels(self, channels: usize) -> Result<Pixels, String> {
        if self.pixels.channels == channels {
            return Ok(self.pixels);
        }
        let opaque = self.opaque();
        match (opaque.channels, channels) {
            (has, wanted) if has == wanted => Ok(opaque),
            (1, 3) => Ok(opaque.selected(&[0, 0, 0])),
            (3, 1) => Ok(opaque.grey()),
            (has, _) => Err(format!("a picture with {has} channel{}", if has == 1 { "" } else { "s" })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, channels: usize) -> Pixels {
        let bytes = (0..height * width * channels).map(|k| (k * 37 % 251) as u8).collect();
        Pixels { height, width, channels, is_deep: false, bytes }
    }

    #[test]
    fn channels_are_adapted_where_that_has_a_meaning() {
        let decoded = |channels, has_alpha| Decoded { pixels: picture(2, 2, channels), has_alpha };
        let with = |decoded: Decoded, channels| decoded.with_channels(channels);
        assert_eq!(with(decoded(4, true), 4).unwrap(), picture(2, 2, 4));
        let opaque = with(decoded(4, true), 3).unwrap();
        assert_eq!(opaque.pixel(1), &picture(2, 2, 4).pixel(1)[..3]);
        let grey = with(decoded(2, true), 3).unwrap();
        assert_eq!(grey.pixel(1), [picture(2, 2, 2).pixel(1)[0]; 3]);
        let color = with(decoded(3, false), 1).unwrap();
        let [r, g, b] = [0, 1, 2].map(|c| f64::from(picture(2, 2, 3).bytes[c]));
        assert_eq!(f64::from(color.bytes[0]), (0.2126 * r + 0.7152 * g + 0.0722 * b).round());
        assert_eq!(with(decoded(4, false), 3).unwrap_err(), "a picture with 4 channels");
        assert_eq!(with(decoded(1, false), 5).unwrap_err(), "a picture with 1 channel");
    }
}
