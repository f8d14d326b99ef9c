//! Masks of disc and cup: the classes of their pixels by the codes of the folder, and the one part that is the disc.

use image::DynamicImage;

use super::codes::{MaskCodes, Vote};
use super::values::MaskValues;
use crate::fundus::{BACKGROUND, CUP, RIM};

/// The smallest and the largest share of a picture that a disc has.
const SHARES: [f64; 2] = [1e-4, 0.75];
/// A further part counts as a speck if it has at most this share of the disc's pixels.
const SPECK: f64 = 0.1;

/// A decoded mask.
#[derive(Debug)]
pub(super) struct Mask {
    pub(super) size: [usize; 2],
    /// [`BACKGROUND`], [`RIM`] or [`CUP`], `[H, W]`.
    pub(super) classes: Vec<u8>,
    pub(super) has_cup: bool,
    /// The pixels of each part that was taken as background, since it hangs not together with the disc; the largest first.
    pub(super) specks: Vec<usize>,
}

/// The classes of a decoded picture, by the codes that hold for its folder.
///
/// # Errors
/// A description of what was found, if the codes do not explain it or it shows no disc.
pub(super) fn decode(picture: &DynamicImage, codes: MaskCodes) -> Result<Mask, String> {
    let values = MaskValues::of(picture)?;
    let MaskCodes { background, rim, cup } = codes;
    if values.palette.iter().any(|&value| !codes.contains(value)) {
        let got = values.listed();
        return Err(format!("expected the values {background} (background), {rim} (rim) and {cup} (cup), got {got}"));
    }
    if let Some(own) = Vote::of(&values).contradiction(codes) {
        return Err(format!(
            "by the places of its values coded {own}, but the folder is coded {codes}; save it in these codes"
        ));
    }
    let class = |value: u16| match value {
        value if value == cup => CUP,
        value if value == rim => RIM,
        _ => BACKGROUND,
    };
    let map: Vec<u8> = values.palette.iter().map(|&value| class(value)).collect();
    let mut classes: Vec<u8> = values.indices.iter().map(|&index| map[usize::from(index)]).collect();
    for (class, what) in [(RIM, "rim"), (BACKGROUND, "background")] {
        if !classes.contains(&class) {
            return Err(format!("expected a disc with a rim on a background, got no {what}"));
        }
    }
    let specks = keep_disc(&mut classes, values.size)?;
    let has_cup = classes.contains(&CUP);
    Ok(Mask { size: values.size, classes, has_cup, specks })
}

/// Keeps the largest part of the disc in `classes`; the other parts become background, and their sizes are returned.
///
/// # Errors
/// If the largest part is no disc, or another part could be one as well.
fn keep_disc(classes: &mut [u8], [height, width]: [usize; 2]) -> Result<Vec<usize>, String> {
    let mut parts = parts(classes, [height, width]);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let Some((disc, specks)) = parts.split_first() else { return Ok(Vec::new()) };
    let share = disc.len() as f64 / classes.len() as f64;
    if share > SHARES[1] {
        return Err(format!(
            "a disc that fills {:.0} % of the picture; photographs and masks must show the surroundings of the disc",
            100.0 * share
        ));
    }
    if share < SHARES[0] {
        return Err(format!("a disc of {} pixels, {:.4} % of the picture, is no disc", disc.len(), 100.0 * share));
    }
    if let Some(second) = specks.first().filter(|second| second.len() as f64 > SPECK * disc.len() as f64) {
        return Err(format!(
            "two discs, of {} and {} pixels; expected one disc, which hangs together",
            disc.len(),
            second.len()
        ));
    }
    specks.iter().flatten().for_each(|&at| classes[at] = BACKGROUND);
    Ok(specks.iter().map(Vec::len).collect())
}

/// The pixels of each part of the disc; pixels that touch at a side or a corner hang together.
fn parts(classes: &[u8], [height, width]: [usize; 2]) -> Vec<Vec<usize>> {
    let mut is_left: Vec<bool> = classes.iter().map(|&class| class != BACKGROUND).collect();
    let mut parts = Vec::new();
    for start in 0..classes.len() {
        if !std::mem::take(&mut is_left[start]) {
            continue;
        }
        let (mut part, mut next) = (vec![start], 0);
        while let Some(&at) = part.get(next) {
            next += 1;
            let (row, column) = (at / width, at % width);
            for row in row.saturating_sub(1)..height.min(row + 2) {
                for column in column.saturating_sub(1)..width.min(column + 2) {
                    let other = row * width + column;
                    if std::mem::take(&mut is_left[other]) {
                        part.push(other);
                    }
                }
            }
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, RgbImage};

    use super::*;

    /// A row of pixels as a picture.
    fn row(values: &[u8]) -> DynamicImage {
        GrayImage::from_raw(values.len() as u32, 1, values.to_vec()).unwrap().into()
    }

    fn official(picture: &DynamicImage) -> Result<Mask, String> {
        decode(picture, MaskCodes::OFFICIAL)
    }

    #[test]
    fn any_coding_means_the_same() {
        let expected = [BACKGROUND, BACKGROUND, BACKGROUND, RIM, CUP];
        for codes in [[255, 128, 0], [0, 1, 2], [2, 1, 0], [0, 128, 255], [0, 2, 1]] {
            let [background, rim, cup] = codes;
            let picture = row(&[background, background, background, rim, cup]);
            let codes = MaskCodes { background: background.into(), rim: rim.into(), cup: cup.into() };
            let mask = decode(&picture, codes).unwrap();
            assert_eq!((mask.classes, mask.size, mask.has_cup, mask.specks), (expected.to_vec(), [1, 5], true, vec![]));
        }
        // The same values in three equal channels.
        let rgb = RgbImage::from_fn(5, 1, |x, _| image::Rgb([[255, 255, 255, 128, 0][x as usize]; 3]));
        assert_eq!(official(&rgb.into()).unwrap().classes, expected);
    }

    #[test]
    fn a_mask_without_a_cup_is_told() {
        assert!(!official(&row(&[255, 255, 128])).unwrap().has_cup);
    }

    #[test]
    fn other_values_and_other_roles_are_named() {
        let message = |values: &[u8]| official(&row(values)).unwrap_err();
        assert!(message(&[255, 255, 254, 128, 0]).contains("got [0, 128, 254, 255]"));
        assert!(message(&[0, 10, 20, 30, 40, 50, 60, 70, 80, 90]).contains("and 2 more"));
        assert!(
            message(&[0, 0, 0, 128, 255]).contains("coded 0 background, 128 rim, 255 cup, but the folder is coded 255")
        );
        assert!(message(&[128, 128, 128, 255]).contains("coded 128 background, 255 disc"));
        for nothing in [&[255, 255][..], &[0, 0], &[255, 255, 0], &[128, 0]] {
            let message = message(nothing);
            assert!(message.contains("got no ") || message.contains("coded "), "{nothing:?}: {message}");
        }
    }

    /// A picture of 40 x 30 pixels with a disc of 10 x 10 around a cup of 4 x 4, and further discs.
    fn with_specks(specks: &[(u32, u32)]) -> DynamicImage {
        let class = |x: u32, y: u32| {
            let within =
                |margin: u32| (10 + margin..20 - margin).contains(&x) && (5 + margin..15 - margin).contains(&y);
            usize::from(within(0) || specks.contains(&(x, y))) + usize::from(within(3))
        };
        GrayImage::from_fn(40, 30, |x, y| Luma([[255, 128, 0][class(x, y)]])).into()
    }

    #[test]
    fn the_disc_is_the_largest_part_and_specks_are_told() {
        let clean = official(&with_specks(&[])).unwrap();
        let mask = official(&with_specks(&[(39, 29), (0, 0), (1, 1), (0, 1)])).unwrap();
        assert_eq!((mask.classes, mask.specks), (clean.classes, vec![3, 1]));
        // A pixel at a corner of the disc belongs to it.
        assert_eq!(official(&with_specks(&[(20, 15)])).unwrap().specks, Vec::<usize>::new());
        let second: Vec<(u32, u32)> = (0..11).map(|k| (30 + k % 4, 20 + k / 4)).collect();
        assert!(official(&with_specks(&second)).unwrap_err().contains("two discs, of 100 and 11 pixels"));
    }

    #[test]
    fn a_disc_has_a_plausible_size() {
        let disc = |side: u32| {
            let inside = |x: u32, y: u32| (10..10 + side).contains(&x) && (10..10 + side).contains(&y);
            let picture = GrayImage::from_fn(200, 200, |x, y| Luma([if inside(x, y) { 128 } else { 255 }]));
            official(&picture.into()).map(|mask| mask.specks.len())
        };
        assert_eq!(disc(2), Ok(0));
        assert!(disc(1).unwrap_err().contains("a disc of 1 pixels"));
        assert!(disc(180).unwrap_err().contains("a disc that fills 81 % of the picture"));
    }
}
