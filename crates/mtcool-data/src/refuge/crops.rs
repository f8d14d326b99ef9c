//! Squares around the disc, cut once and kept in a cache.

use std::path::Path;

use image::RgbImage;
use sha2::{Digest, Sha256};

use super::mask::Mask;
use super::scan::Inventory;
use super::{Progress, RefugeConfig};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::fingerprint::fingerprints;
use crate::fundus::BACKGROUND;

/// Changes when crops are cut differently.
const VERSION: u32 = 1;

/// The crops of all cases: record n is the image `[S, S, 3]`, then the classes `[S, S]`.
pub(super) fn open(inventory: &Inventory, config: &RefugeConfig, progress: &Progress<'_>) -> Result<Cache> {
    let files: Vec<&Path> =
        inventory.found.iter().flat_map(|found| [&found.image, &found.mask]).flatten().map(AsRef::as_ref).collect();
    let checksums = fingerprints(&config.cache, &files)?;
    let mut key = Sha256::new();
    // Whether the set says that it is synthetic decides how its files are examined.
    let synthetic = inventory.manifest.is_some();
    key.update(format!("refuge crops {VERSION}, {} / {}, synthetic {synthetic}\n", config.crop, config.shrink));
    for (found, checksums) in inventory.found.iter().zip(checksums.chunks(2)) {
        key.update(format!("{} {}\n", found.name.text(), checksums.join(" ")));
    }
    let key: String = key.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = config.cache.join(format!("refuge-{}-{}.cache", config.crop / config.shrink, &key[..16]));
    let done = std::sync::atomic::AtomicUsize::new(0);
    Cache::open_or_build(&path, &key, inventory.found.len(), |index| {
        let found = &inventory.found[index];
        let examined = inventory.examine(found);
        if let (Some(image), Some(mask), None) =
            (examined.image, examined.mask, examined.findings.iter().find(|finding| finding.is_defect))
        {
            progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, inventory.found.len());
            return Ok(cut(&image, &mask, config.crop, config.shrink));
        }
        Err(Error::Defective(Box::new(inventory.report(examined.findings))))
    })
}

/// A square of `crop` pixels around the centre of the disc's bounding box, padded with zeros and background, then `shrink`
/// times smaller: image and classes, one after the other.
fn cut(image: &RgbImage, mask: &Mask, crop: usize, shrink: usize) -> Vec<u8> {
    let [height, width] = mask.size;
    let [top, left] = disc_center(mask).map(|center| center as i64 - crop as i64 / 2);
    let side = crop / shrink;
    let (mut pixels, mut classes) = (vec![0; 3 * side * side], vec![BACKGROUND; side * side]);
    let inside = |row: i64, column: i64| {
        let is_inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
        is_inside.then(|| row as usize * width + column as usize)
    };
    let source = image.as_raw();
    for index in 0..side * side {
        let (row, column) = (top + (index / side * shrink) as i64, left + (index % side * shrink) as i64);
        let mut sum = [0usize; 3];
        for at in
            (0..shrink * shrink).filter_map(|at| inside(row + (at / shrink) as i64, column + (at % shrink) as i64))
        {
            sum.iter_mut().zip(&source[3 * at..]).for_each(|(sum, &value)| *sum += usize::from(value));
        }
        let area = shrink * shrink;
        pixels[3 * index..][..3].iter_mut().zip(sum).for_each(|(pixel, sum)| *pixel = ((sum + area / 2) / area) as u8);
        let middle = (shrink / 2) as i64;
        classes[index] = inside(row + middle, column + middle).map_or(BACKGROUND, |at| mask.classes[at]);
    }
    pixels.extend(classes);
    pixels
}

/// Row and column in the middle of the disc's bounding box.
fn disc_center(mask: &Mask) -> [usize; 2] {
    let [mut top, mut bottom, mut left, mut right] = [usize::MAX, 0, usize::MAX, 0];
    for (row, classes) in mask.classes.chunks_exact(mask.size[1]).enumerate() {
        let disc = |&class: &u8| class != BACKGROUND;
        if let (Some(first), Some(last)) = (classes.iter().position(disc), classes.iter().rposition(disc)) {
            (top, bottom) = (top.min(row), bottom.max(row + 1));
            (left, right) = (left.min(first), right.max(last + 1));
        }
    }
    // `mask::decode` lets no mask without a disc pass.
    [(top.min(bottom) + bottom) / 2, (left.min(right) + right) / 2]
}

#[cfg(test)]
mod tests {
    use super::super::mask::Coding;
    use super::*;
    use crate::fundus::{CUP, RIM};

    /// A photograph whose pixels say where they are, with a disc of rows 3..8 and columns 10..14.
    fn photograph() -> (RgbImage, Mask) {
        let image = RgbImage::from_fn(20, 12, |x, y| image::Rgb([10 + x as u8, 100 + y as u8, 7]));
        let class = |index: usize| match (index / 20, index % 20) {
            (5, 12) => CUP,
            (3..8, 10..14) => RIM,
            _ => BACKGROUND,
        };
        let classes = (0..240).map(class).collect();
        (image, Mask { size: [12, 20], classes, coding: Coding::Official, has_cup: true })
    }

    #[test]
    fn a_crop_is_native_pixels_around_the_disc() {
        let (image, mask) = photograph();
        assert_eq!(disc_center(&mask), [5, 12]);
        let record = cut(&image, &mask, 4, 1);
        let (pixels, classes) = record.split_at(48);
        for (index, pixel) in pixels.chunks(3).enumerate() {
            assert_eq!(pixel, [10 + 10 + (index % 4) as u8, 100 + 3 + (index / 4) as u8, 7]);
        }
        assert_eq!(classes, [RIM, RIM, RIM, RIM, RIM, RIM, RIM, RIM, RIM, RIM, CUP, RIM, RIM, RIM, RIM, RIM]);
    }

    #[test]
    fn what_lies_outside_of_the_photograph_is_black_background() {
        let (image, mask) = photograph();
        let record = cut(&image, &mask, 32, 1);
        let (pixels, classes) = record.split_at(3 * 32 * 32);
        // The crop starts at row 5 - 16 and column 12 - 16.
        for row in 0..32usize {
            for column in 0..32usize {
                let index = row * 32 + column;
                let inside = (11..23).contains(&row) && (4..24).contains(&column);
                let expected = if inside { [10 + column as u8 - 4, 100 + row as u8 - 11, 7] } else { [0; 3] };
                assert_eq!(pixels[3 * index..3 * index + 3], expected);
                assert!(inside || classes[index] == BACKGROUND);
            }
        }
        assert_eq!(classes.iter().filter(|&&class| class == RIM).count(), 19);
    }

    #[test]
    fn a_shrunken_crop_is_the_mean_of_its_pixels() {
        let (image, mask) = photograph();
        let (whole, small) = (cut(&image, &mask, 8, 1), cut(&image, &mask, 8, 2));
        assert_eq!(small.len(), 4 * 16);
        let at = |row: usize, column: usize, channel: usize| usize::from(whole[3 * (8 * row + column) + channel]);
        for index in 0..16 {
            let (row, column) = (2 * (index / 4), 2 * (index % 4));
            for channel in 0..3 {
                let sum = at(row, column, channel)
                    + at(row, column + 1, channel)
                    + at(row + 1, column, channel)
                    + at(row + 1, column + 1, channel);
                assert_eq!(usize::from(small[3 * index + channel]), (sum + 2) / 4);
            }
            assert_eq!(small[48 + index], whole[192 + 8 * (row + 1) + column + 1]);
        }
    }
}
