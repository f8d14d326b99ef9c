//! Squares around the disc, cut once and kept in a cache: crops are parts of them.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::codes::{MaskCodes, Vote, rule};
use super::config::RefugeConfig;
use super::examine::vote;
use super::facts::Facts;
use super::inventory::Inventory;
use super::mask::Mask;
use crate::cache::{Array, Cache, CacheKey, Cached};
use crate::error::{Error, Result, at};
use crate::fundus::BACKGROUND;
use crate::picture::Picture;
use crate::progress::PhotographProgress;

/// Names what makes the cache entries and in which version; it changes when squares are cut in another way.
const KIND: &str = "refuge crops 4";
/// The same for the entries with what masks say about the meaning of their values.
const VOTES: &str = "refuge masks 1";

/// How the photographs of one scale are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SquareCut {
    /// Side of the square, in pixels of the photograph.
    pub(super) crop: usize,
    /// How many times shorter its sides become.
    pub(super) shrink: usize,
}

impl SquareCut {
    /// The centred crops of photographs that are `scale` times smaller than the official ones.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if a side is 0, or one length does not divide the other.
    pub(super) fn new(config: &RefugeConfig, scale: usize) -> Result<Self> {
        let RefugeConfig { crop, side, .. } = *config;
        let out_of_range = |key, value, expected| Err(Error::OutOfRange { key, value, expected });
        if !(1..=8192).contains(&crop) {
            return out_of_range("crop", crop, "1 to 8192 pixels".to_owned());
        }
        if !crop.is_multiple_of(scale) {
            let why = format!("these photographs are {scale} times smaller than the official ones");
            return out_of_range("crop", crop, format!("a multiple of {scale}, since {why}"));
        }
        let own = crop / scale;
        if side == 0 || !own.is_multiple_of(side) {
            let which = format!("a crop of {crop} official pixels has on these photographs");
            return out_of_range("side", side, format!("a divisor of the {own} pixels that {which}"));
        }
        Ok(Self { crop: own, shrink: own / side })
    }

    /// Squares that reach `margin` pixels farther on each side, counted after the reduction.
    pub(super) fn widened(self, margin: usize) -> Self {
        Self { crop: self.crop + 2 * margin * self.shrink, ..self }
    }
}

/// The squares of all cases, the name of the cache entry, which says what they were made of, and SHA-256 of each image file: array 3n
/// is the image `[S, S, 3]` of case n, array 3n + 1 its classes `[S, S]`, array 3n + 2 its [`Facts`].
pub(super) fn open(
    inventory: &Inventory,
    cache: &Path,
    cut: SquareCut,
    progress: &PhotographProgress<'_>,
) -> Result<(Cached, String, Vec<String>)> {
    let cache = Cache::new(cache);
    let files: Vec<&Path> =
        inventory.found.iter().flat_map(|found| [&found.image, &found.mask]).flatten().map(AsRef::as_ref).collect();
    // The files have gigabytes, so they are not read before every training.
    let checksums = cache.checksums(&files)?;
    let codes = codes(inventory, &cache, &checksums)?;
    let key = CacheKey::new(KIND).setting("crop", cut.crop).setting("shrink", cut.shrink);
    // Files are examined differently if the set says that it is synthetic.
    let mut key = key.setting("synthetic", inventory.manifest.is_some());
    for (found, checksums) in inventory.found.iter().zip(checksums.chunks(2)) {
        key = key.setting(&found.name.text(), checksums.join(" "));
    }
    let done = AtomicUsize::new(0);
    let cached = cache.entry_of(&key, inventory.found.len(), |index| {
        let examined = inventory.examine(&inventory.found[index], Some(codes));
        let has_defect = examined.findings.iter().any(|finding| finding.is_defect);
        match examined.decoded {
            Some((image, mask, facts)) if !has_defect => {
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, inventory.found.len());
                cut_out(&image, &mask, &facts, cut)
            }
            _ => Err(inventory.report(examined.findings).into_error()),
        }
    })?;
    let images = checksums.chunks(2).map(|pair| pair[0].clone()).collect();
    Ok((cached, key.name(), images))
}

/// The meaning of the values in all masks, which follows from the masks of all photographs together.
///
/// # Errors
/// [`Error::Defective`] if no rule explains them.
fn codes(inventory: &Inventory, cache: &Cache, checksums: &[String]) -> Result<MaskCodes> {
    let masks = checksums.iter().skip(1).step_by(2);
    let key = masks.fold(CacheKey::new(VOTES), |key, checksum| key.setting("mask", checksum));
    let entry = cache.entry_of(&key, inventory.found.len(), |index| {
        let vote = inventory.found[index].mask.as_deref().and_then(vote);
        let bytes = serde_json::to_vec(&vote).map_err(|error| at(Path::new(VOTES))(error.into()))?;
        Ok(vec![Array { shape: vec![bytes.len()], bytes }])
    })?;
    let read =
        |index: usize| serde_json::from_slice(entry.bytes(index)).map_err(|error| at(Path::new(VOTES))(error.into()));
    let votes: Vec<Option<Vote>> = (0..entry.arrays()).map(read).collect::<Result<_>>()?;
    rule(votes.iter().flatten())
        .map_err(|reason| inventory.report(inventory.without_rule(&reason).into_iter().collect()).into_error())
}

/// The square around the centre of the disc's bounding box, padded with black and background, then reduced: image, classes and
/// facts.
fn cut_out(image: &Picture, mask: &Mask, facts: &Facts, SquareCut { crop, shrink }: SquareCut) -> Result<Vec<Array>> {
    let center = disc_center(mask);
    let picture = square(image, center, crop, shrink)?;
    let inside = pixel_of(mask.size, center, crop);
    let side = crop / shrink;
    // Classes have no mean: a block takes the class of its middle pixel.
    let middle = |index: usize| inside(index / side * shrink + shrink / 2, index % side * shrink + shrink / 2);
    let classes = (0..side * side).map(|index| middle(index).map_or(BACKGROUND, |at| mask.classes[at])).collect();
    Ok(vec![
        Array { shape: vec![side, side, 3], bytes: picture.bytes },
        Array { shape: vec![side, side], bytes: classes },
        facts.to_array()?,
    ])
}

/// A square of `crop` x `crop` pixels of `photograph` around `center` (row, column), black outside of the photograph, then
/// reduced so that its sides are `shrink` times shorter.
///
/// # Errors
/// If `shrink` is 0 or larger than `crop`.
pub fn square(photograph: &Picture, center: [usize; 2], crop: usize, shrink: usize) -> Result<Picture> {
    let inside = pixel_of([photograph.height, photograph.width], center, crop);
    let mut pixels = vec![0; 3 * crop * crop];
    for (index, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        if let Some(at) = inside(index / crop, index % crop) {
            pixel.copy_from_slice(&photograph.bytes[3 * at..3 * at + 3]);
        }
    }
    Picture { height: crop, width: crop, channels: 3, bytes: pixels }.reduced(shrink)
}

/// A function from row and column of a square to the index of the pixel in a photograph of `size` (height, width), if that
/// place lies inside of it.
fn pixel_of([height, width]: [usize; 2], center: [usize; 2], crop: usize) -> impl Fn(usize, usize) -> Option<usize> {
    let [top, left] = center.map(|center| center as i64 - crop as i64 / 2);
    move |row, column| {
        let (row, column) = (top + row as i64, left + column as i64);
        let is_inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
        is_inside.then(|| row as usize * width + column as usize)
    }
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
    use super::super::facts::Turn;
    use super::super::placement::CropPlacement;
    use super::*;
    use crate::fundus::{CUP, RIM};

    /// A photograph whose pixels tell their own place, with a disc of rows 3..8 and columns 10..14.
    fn photograph() -> (Picture, Mask) {
        let bytes = (0..240).flat_map(|index| [10 + index % 20, 100 + index / 20, 7]).collect();
        let image = Picture { height: 12, width: 20, channels: 3, bytes };
        let class = |index: usize| match (index / 20, index % 20) {
            (5, 12) => CUP,
            (3..8, 10..14) => RIM,
            _ => BACKGROUND,
        };
        let classes = (0..240).map(class).collect();
        (image, Mask { size: [12, 20], classes, has_cup: true, specks: Vec::new() })
    }

    fn facts() -> Facts {
        let codes = MaskCodes::OFFICIAL;
        let (size, pixels, specks) = ([12, 20], String::new(), Vec::new());
        Facts { size, pixels, is_grey: false, turn: Turn::None, codes, has_cup: true, specks }
    }

    /// The crop's image and classes, one after the other.
    fn record(image: &Picture, mask: &Mask, crop: usize, shrink: usize) -> Vec<u8> {
        cut_out(image, mask, &facts(), SquareCut { crop, shrink })
            .unwrap()
            .into_iter()
            .take(2)
            .flat_map(|array| array.bytes)
            .collect()
    }

    #[test]
    fn a_crop_is_the_same_part_of_photographs_of_every_scale() {
        let cut = |crop, side, scale| {
            let placement = CropPlacement::CENTRED;
            SquareCut::new(&RefugeConfig { crop, side, placement, allows_copies: false, cache: "c".into() }, scale)
        };
        assert_eq!(cut(512, 128, 1).unwrap(), SquareCut { crop: 512, shrink: 4 });
        assert_eq!(cut(512, 128, 4).unwrap(), SquareCut { crop: 128, shrink: 1 });
        assert_eq!(cut(512, 512, 1).unwrap(), SquareCut { crop: 512, shrink: 1 });
        assert_eq!(cut(512, 128, 1).unwrap().widened(12), SquareCut { crop: 608, shrink: 4 });
        let message = |crop, side, scale| cut(crop, side, scale).unwrap_err().to_string();
        assert!(message(500, 125, 16).contains("`crop` is 500: expected a multiple of 16"));
        assert!(message(512, 512, 4).contains("`side` is 512: expected a divisor of the 128 pixels"));
    }

    #[test]
    fn a_crop_is_native_pixels_around_the_disc() {
        let (image, mask) = photograph();
        assert_eq!(disc_center(&mask), [5, 12]);
        let record = record(&image, &mask, 4, 1);
        let (pixels, classes) = record.split_at(48);
        for (index, pixel) in pixels.chunks(3).enumerate() {
            assert_eq!(pixel, [10 + 10 + (index % 4) as u8, 100 + 3 + (index / 4) as u8, 7]);
        }
        assert_eq!(classes, [RIM, RIM, RIM, RIM, RIM, RIM, RIM, RIM, RIM, RIM, CUP, RIM, RIM, RIM, RIM, RIM]);
    }

    #[test]
    fn a_wider_square_has_the_same_crop_in_its_middle() {
        let (image, mask) = photograph();
        for (shrink, margin) in [(1, 3), (2, 1), (2, 4)] {
            let cut = SquareCut { crop: 4, shrink };
            let wide = cut_out(&image, &mask, &facts(), cut.widened(margin)).unwrap();
            let plain = cut_out(&image, &mask, &facts(), cut).unwrap();
            let (side, stored) = (4 / shrink, 4 / shrink + 2 * margin);
            for (array, channels) in [(0, 3), (1, 1)] {
                let row =
                    |row: usize| &wide[array].bytes[((row + margin) * stored + margin) * channels..][..side * channels];
                assert_eq!((0..side).flat_map(row).copied().collect::<Vec<u8>>(), plain[array].bytes);
            }
        }
    }

    #[test]
    fn what_lies_outside_of_the_photograph_is_black_background() {
        let (image, mask) = photograph();
        let record = record(&image, &mask, 32, 1);
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
        let (whole, small) = (record(&image, &mask, 8, 1), record(&image, &mask, 8, 2));
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
