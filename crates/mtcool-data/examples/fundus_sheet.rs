//! Draws the README's contact sheet: `cargo run --package mtcool-data --example fundus_sheet docs/fundus.jpg`.

use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::replace;
use image::{ImageError, RgbImage};
use mtcool_data::fundus::Fundus;

const SIDE: u32 = 360;
const COLUMNS: u32 = 4;
const COUNT: u32 = 8;
const SEED: u64 = 1;
const QUALITY: u8 = 85;

fn main() -> Result<(), ImageError> {
    let file = std::env::args().nth(1).map_or_else(|| PathBuf::from("fundus.jpg"), PathBuf::from);
    let mut sheet = RgbImage::new(COLUMNS * SIDE, COUNT.div_ceil(COLUMNS) * SIDE);
    for index in 0..COUNT {
        let fundus = Fundus::draw(SEED, index.into(), [SIDE as usize; 2]);
        let Some(photograph) = RgbImage::from_raw(SIDE, SIDE, fundus.pixels) else { continue };
        replace(&mut sheet, &photograph, (index % COLUMNS * SIDE).into(), (index / COLUMNS * SIDE).into());
    }
    sheet.write_with_encoder(JpegEncoder::new_with_quality(std::fs::File::create(file)?, QUALITY))
}
