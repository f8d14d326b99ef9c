//! Masks of disc and cup, in the official coding and in the 0/1/2 coding of some copies.

use image::DynamicImage;

use crate::fundus::{BACKGROUND, CUP, RIM};

/// The values by which a mask encodes its classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// 0 cup, 128 rim, 255 background.
    Official,
    /// 0, 1 and 2, from background to cup or from cup to background.
    Indexed { background: u8 },
}

/// A decoded mask.
#[derive(Debug)]
pub(super) struct Mask {
    pub(super) size: [usize; 2],
    /// [`BACKGROUND`], [`RIM`] or [`CUP`], `[H, W]`.
    pub(super) classes: Vec<u8>,
    pub(super) coding: Coding,
    pub(super) has_cup: bool,
}

/// The classes of a decoded picture.
///
/// # Errors
/// A description of the values that were found, if they belong to no known coding.
pub(super) fn decode(picture: &DynamicImage) -> Result<Mask, String> {
    let rgb = picture.to_rgb8();
    let mut counts = [0usize; 256];
    for pixel in rgb.pixels() {
        let [red, green, blue] = pixel.0;
        if red != green || green != blue {
            return Err(format!("expected grey values, got the colour ({red}, {green}, {blue})"));
        }
        counts[usize::from(red)] += 1;
    }
    let (coding, map) = coding(&counts)?;
    let classes: Vec<u8> = rgb.pixels().map(|pixel| map[usize::from(pixel.0[0])]).collect();
    let has_cup = classes.contains(&CUP);
    for (class, what) in [(RIM, "rim"), (BACKGROUND, "background")] {
        if !classes.contains(&class) {
            return Err(format!("expected a disc with a rim on a background, got no {what}"));
        }
    }
    Ok(Mask { size: [rgb.height() as usize, rgb.width() as usize], classes, coding, has_cup })
}

/// The coding of a mask in which value v occurs `counts[v]` times, and the class of each value.
fn coding(counts: &[usize; 256]) -> Result<(Coding, [u8; 256]), String> {
    let values: Vec<u8> = (0..=255).filter(|&value| counts[usize::from(value)] > 0).collect();
    let only = |allowed: [u8; 3]| values.iter().all(|value| allowed.contains(value));
    let mut map = [BACKGROUND; 256];
    if only([0, 1, 2]) && values.len() > 1 {
        // Most of a photograph is background.
        let background = if counts[0] >= counts[2] { 0 } else { 2 };
        map[usize::from(background)] = BACKGROUND;
        map[1] = RIM;
        map[usize::from(2 - background)] = CUP;
        return Ok((Coding::Indexed { background }, map));
    }
    if only([0, 128, 255]) && values.len() > 1 {
        (map[0], map[128]) = (CUP, RIM);
        return Ok((Coding::Official, map));
    }
    let (shown, rest) = values.split_at(values.len().min(8));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    Err(format!("expected the values 0 (cup), 128 (rim) and 255 (background), got {shown:?}{more}"))
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbImage};

    use super::*;

    /// A row of pixels as a picture.
    fn row(values: &[u8]) -> DynamicImage {
        GrayImage::from_raw(values.len() as u32, 1, values.to_vec()).unwrap().into()
    }

    #[test]
    fn the_three_codings_mean_the_same() {
        let expected = [BACKGROUND, BACKGROUND, BACKGROUND, RIM, CUP];
        let codings = [
            ([255, 255, 255, 128, 0], Coding::Official),
            ([0, 0, 0, 1, 2], Coding::Indexed { background: 0 }),
            ([2, 2, 2, 1, 0], Coding::Indexed { background: 2 }),
        ];
        for (values, coding) in codings {
            let mask = decode(&row(&values)).unwrap();
            assert_eq!((mask.classes, mask.coding, mask.size, mask.has_cup), (expected.to_vec(), coding, [1, 5], true));
        }
        // The same values in three equal channels.
        let rgb = RgbImage::from_fn(5, 1, |x, _| image::Rgb([[255, 255, 255, 128, 0][x as usize]; 3]));
        assert_eq!(decode(&rgb.into()).unwrap().classes, expected);
    }

    #[test]
    fn a_mask_without_a_cup_is_told() {
        assert!(!decode(&row(&[255, 255, 128])).unwrap().has_cup);
        assert!(!decode(&row(&[0, 0, 1])).unwrap().has_cup);
    }

    #[test]
    fn other_values_are_named() {
        let message = |values: &[u8]| decode(&row(values)).unwrap_err();
        assert!(message(&[255, 254, 128, 0]).contains("got [0, 128, 254, 255]"));
        assert!(message(&[0, 1, 2, 3]).contains("got [0, 1, 2, 3]"));
        assert!(message(&[0, 10, 20, 30, 40, 50, 60, 70, 80, 90]).contains("and 2 more"));
        for nothing in [&[255, 255][..], &[0, 0], &[255, 0], &[128, 0], &[0, 2]] {
            let message = message(nothing);
            assert!(message.contains("got no ") || message.contains("got ["), "{nothing:?}: {message}");
        }
        let rgb = RgbImage::from_pixel(2, 1, image::Rgb([255, 0, 0]));
        assert!(decode(&rgb.into()).unwrap_err().contains("the colour (255, 0, 0)"));
    }
}
