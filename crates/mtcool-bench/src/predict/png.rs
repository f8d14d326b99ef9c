//! Masks and probability maps as PNG files.

use anyhow::Result;
use png::{BitDepth, ColorType, Encoder};

use crate::suite::MapClass;

/// Height and width of a picture.
pub(super) type Size = [usize; 2];

/// The largest level of a probability map, which stands for probability 1.
pub(super) const FULL: u16 = u16::MAX;

/// A mask `[H * W]` with one palette entry for each of `classes`: the value of a pixel is the number of its class, and viewers show
/// the class's colour.
///
/// # Errors
/// If the mask is not made of `size` pixels.
pub(super) fn mask(mask: &[u8], [height, width]: Size, classes: &[MapClass]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(classes.iter().flat_map(|class| class.colour).collect::<Vec<u8>>());
    let mut writer = encoder.write_header()?;
    writer.write_image_data(mask)?;
    writer.finish()?;
    Ok(file)
}

/// Probabilities `[H * W]` as 16-bit grey levels, from 0 to [`FULL`].
///
/// # Errors
/// If there are not `size` probabilities.
pub(super) fn probabilities(probabilities: &[f32], [height, width]: Size) -> Result<Vec<u8>> {
    let level = |probability: &f32| (probability.clamp(0.0, 1.0) * f32::from(FULL)).round() as u16;
    let levels: Vec<u8> = probabilities.iter().flat_map(|probability| level(probability).to_be_bytes()).collect();
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Sixteen);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&levels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_class_numbers_as_values_and_colours_for_the_eye() {
        let classes = [("background", [0, 0, 0]), ("rim", [9, 8, 7]), ("cup", [1, 2, 3])];
        let classes = classes.map(|(name, colour)| MapClass::new(name, colour));
        let file = mask(&[0, 1, 2, 2, 1, 0], [2, 3], &classes).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut values = vec![0; 6];
        reader.next_frame(&mut values).unwrap();
        assert_eq!(values, [0, 1, 2, 2, 1, 0]);
        let seen = image::load_from_memory(&file).unwrap().into_rgb8();
        assert_eq!((seen.dimensions(), seen.get_pixel(1, 0).0, seen.get_pixel(2, 0).0), ((3, 2), [9, 8, 7], [1, 2, 3]));
        assert!(mask(&[0; 5], [2, 3], &classes).is_err());
    }

    #[test]
    fn probabilities_are_rounded_to_the_nearest_level() {
        let file = probabilities(&[0.0, 0.25, 1.0, 1.5], [2, 2]).unwrap();
        let seen = image::load_from_memory(&file).unwrap().into_luma16();
        assert_eq!(seen.into_raw(), [0, 16384, 65535, 65535]);
    }
}
