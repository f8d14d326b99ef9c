//! A small set in the official layout, computed by a rule, so that every pixel is known.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, Luma, Rgb, RgbImage};
use mtcool_data::hrf_av::{Class, PhotographId, Role, SetShape};

/// Three photographs of each group.
pub(crate) const SMALL: SetShape = SetShape { numbers: 3, size: [48, 36] };

/// The colour of a pixel in the photograph, before JPEG.
pub(crate) fn colour(id: PhotographId, x: u32, y: u32) -> [u8; 3] {
    [(40 + 4 * x) as u8, (30 + 5 * y) as u8, id.number * 40 + id.group as u8 * 10]
}

/// The class of a pixel: a vertical artery and a horizontal vein that cross, at places that differ between photographs.
pub(crate) fn class(id: PhotographId, x: u32, y: u32) -> Class {
    let artery = x.abs_diff(15 + 3 * u32::from(id.number)) < 3;
    let vein = y.abs_diff(14 + 2 * id.group as u32) < 2;
    match (artery && in_field(x, y), vein && in_field(x, y)) {
        (true, true) => Class::Crossing,
        (true, false) => Class::Artery,
        (false, true) => Class::Vein,
        (false, false) => Class::Background,
    }
}

/// Whether a pixel lies in the field of view, an ellipse that does not reach the corners.
pub(crate) fn in_field(x: u32, y: u32) -> bool {
    ((f64::from(x) - 23.5) / 22.0).powi(2) + ((f64::from(y) - 17.5) / 17.0).powi(2) <= 1.0
}

/// Writes all files of [`SMALL`] except those of `manual1`.
pub(crate) fn write(folder: &Path) {
    for role in [Role::Image, Role::Field, Role::Labels] {
        std::fs::create_dir_all(folder.join(role.folder())).unwrap();
    }
    for id in SMALL.photographs() {
        write_image(&folder.join(Role::Image.path(id)), SMALL.size, |x, y| colour(id, x, y));
        picture(SMALL.size, |x, y| [if in_field(x, y) { 255 } else { 0 }; 3])
            .save(folder.join(Role::Field.path(id)))
            .unwrap();
        picture(SMALL.size, |x, y| class(id, x, y).colour()).save(folder.join(Role::Labels.path(id))).unwrap();
    }
}

/// A photograph as a JPEG file of the best quality.
pub(crate) fn write_image(path: &Path, size: [usize; 2], colour: impl Fn(u32, u32) -> [u8; 3]) {
    let file = std::fs::File::create(path).unwrap();
    JpegEncoder::new_with_quality(file, 100).encode_image(&picture(size, colour)).unwrap();
}

/// A picture whose pixels are computed by `colour`.
pub(crate) fn picture([width, height]: [usize; 2], colour: impl Fn(u32, u32) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(width as u32, height as u32, |x, y| Rgb(colour(x, y)))
}

/// Writes a file of `manual1` with the vessels that `is_vessel` defines.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn write_vessels(folder: &Path, id: PhotographId, is_vessel: impl Fn(u32, u32) -> bool) {
    std::fs::create_dir_all(folder.join(Role::Vessels.folder())).unwrap();
    let [width, height] = SMALL.size.map(|side| side as u32);
    let pixels = GrayImage::from_fn(width, height, |x, y| Luma([if is_vessel(x, y) { 255 } else { 0 }]));
    pixels.save(folder.join(Role::Vessels.path(id))).unwrap();
}

/// The path of a photograph's file.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn path(folder: &Path, role: Role, id: &str) -> PathBuf {
    let id = SMALL.photographs().find(|other| other.to_string() == id).unwrap();
    folder.join(role.path(id))
}

/// `jpeg` with a tag of EXIF that gives the orientation, as cameras write it.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    let exif = [&b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}
