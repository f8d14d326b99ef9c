//! Masks and probability maps as PNG files.

use anyhow::Result;
use png::{BitDepth, ColorType, Encoder};

use crate::suite::PredictedMap;

/// Height and width of a picture.
pub(super) type Size = [usize; 2];

/// The largest level of a probability map, which stands for probability 1.
pub(super) const FULL: u16 = u16::MAX;

/// A mask of the classes `[H * W]`, by number, of `map`: a pixel has its class's value, and the palette lets viewers show the
/// class's colour.
///
/// # Errors
/// If there are not `size` pixels.
pub(super) fn mask(classes: &[u8], [height, width]: Size, map: &PredictedMap) -> Result<Vec<u8>> {
    let values = map.values();
    let largest = values.iter().copied().max().unwrap_or(0);
    let mut palette = vec![0; 3 * (usize::from(largest) + 1)];
    for (&value, class) in values.iter().zip(&map.classes) {
        palette[3 * usize::from(value)..][..3].copy_from_slice(&class.colour);
    }
    let mask: Vec<u8> = classes.iter().map(|&class| values[usize::from(class)]).collect();
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&mask)?;
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
    use crate::suite::{MapClass, MapPlace};

    fn values(file: &[u8]) -> Vec<u8> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut values = vec![0; 6];
        reader.next_frame(&mut values).unwrap();
        values
    }

    #[test]
    fn a_mask_has_numbers_or_own_values_of_classes_and_colours_for_the_eye() {
        let classes = [("background", [0, 0, 0]), ("rim", [9, 8, 7]), ("cup", [1, 2, 3])];
        let classes = classes.map(|(name, colour)| MapClass::new(name, colour));
        let map = |classes: [MapClass; 3]| PredictedMap {
            kind: "mask".into(),
            classes: classes.into(),
            size: [2, 3],
            probabilities: vec![0.0; 18],
            place: MapPlace::Whole { scale: [1.0; 2] },
        };
        let shown = |file: &[u8]| {
            let seen = image::load_from_memory(file).unwrap().into_rgb8();
            (seen.dimensions(), seen.get_pixel(1, 0).0, seen.get_pixel(2, 0).0)
        };
        let by_number = map(classes.clone());
        let file = mask(&[0, 1, 2, 2, 1, 0], [2, 3], &by_number).unwrap();
        assert_eq!((values(&file), shown(&file)), (vec![0, 1, 2, 2, 1, 0], ((3, 2), [9, 8, 7], [1, 2, 3])));
        assert!(mask(&[0; 5], [2, 3], &by_number).is_err());
        let [background, rim, cup] = classes;
        let by_value = map([background.with_value(255), rim.with_value(128), cup.with_value(7)]);
        let file = mask(&[0, 1, 2, 2, 1, 0], [2, 3], &by_value).unwrap();
        assert_eq!((values(&file), shown(&file)), (vec![255, 128, 7, 7, 128, 255], ((3, 2), [9, 8, 7], [1, 2, 3])));
    }

    #[test]
    fn probabilities_are_rounded_to_the_nearest_level() {
        let file = probabilities(&[0.0, 0.25, 1.0, 1.5], [2, 2]).unwrap();
        let seen = image::load_from_memory(&file).unwrap().into_luma16();
        assert_eq!(seen.into_raw(), [0, 16384, 65535, 65535]);
    }
}
