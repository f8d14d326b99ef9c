//! Pictures as PNG files.

use std::io::Cursor;

use anyhow::{Context, Result};
use image::{DynamicImage, ImageFormat, RgbImage};

/// `rgb` `[H, W, 3]` as a PNG file.
///
/// # Errors
/// If the length does not fit the size, or the picture cannot be encoded.
pub(super) fn png(width: usize, height: usize, rgb: Vec<u8>) -> Result<Vec<u8>> {
    let length = rgb.len();
    let picture = RgbImage::from_raw(width as u32, height as u32, rgb);
    let picture = picture.with_context(|| format!("{length} bytes for a picture of {height}x{width}"))?;
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(picture).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}
