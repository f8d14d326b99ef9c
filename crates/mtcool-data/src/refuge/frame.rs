//! Where crops lie in the larger squares that are stored, in pixels as the network sees them.

use rand_chacha::ChaCha8Rng;

use super::config::RefugeConfig;
use super::placement::CropPlacement;
use crate::augment::Crop;
use crate::error::{Error, Result};

/// Crops and stored squares of one set of photographs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CropFrame {
    /// Side of a crop.
    pub(super) side: usize,
    /// How far a stored square reaches beyond the centred crop on each side: as far as any crop moves.
    pub(super) margin: usize,
    /// Pixels of the official photographs in one pixel.
    unit: usize,
    placement: CropPlacement,
}

impl CropFrame {
    /// For crops as `config` has them; its `side` must divide its `crop`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if crops move so far that the disc's centre leaves them.
    pub(super) fn new(config: &RefugeConfig) -> Result<Self> {
        let RefugeConfig { crop, side, placement, .. } = *config;
        for (key, value) in [("translation", placement.translation), ("jitter", placement.jitter)] {
            if 2 * value >= crop {
                let expected = format!("less than half of the crop, which has {crop} pixels");
                return Err(Error::OutOfRange { key, value, expected });
            }
        }
        let unit = crop / side;
        let margin = in_units(placement.translation.max(placement.jitter) as i64, unit) as usize;
        Ok(Self { side, margin, unit, placement })
    }

    /// Side of a stored square.
    pub(super) fn stored_side(&self) -> usize {
        self.side + 2 * self.margin
    }

    /// Row and column where the evaluation crop of the photograph `case` begins in its stored square.
    pub(super) fn evaluation_corner(&self, case: &str) -> [usize; 2] {
        self.corner(self.placement.evaluation_offset(case))
    }

    /// The evaluation crop of the photograph `case`.
    pub(super) fn evaluation_crop(&self, case: &str) -> Crop {
        self.crop(self.evaluation_corner(case))
    }

    /// A training crop, at a place drawn from `generator`.
    pub(super) fn training_crop(&self, generator: &mut ChaCha8Rng) -> Crop {
        self.crop(self.corner(self.placement.training_offset(generator)))
    }

    /// From an offset in official pixels to the corner of its crop. Whole pixels: crops are never interpolated for it.
    fn corner(&self, offset: [i64; 2]) -> [usize; 2] {
        offset.map(|offset| (self.margin as i64 + in_units(offset, self.unit)) as usize)
    }

    fn crop(&self, [top, left]: [usize; 2]) -> Crop {
        let half = self.side as f64 / 2.0;
        Crop { center: [left as f64 + half, top as f64 + half], size: [self.side; 2] }
    }
}

/// `length` in units of `unit`, rounded to the nearest whole number.
fn in_units(length: i64, unit: usize) -> i64 {
    (length as f64 / unit as f64).round() as i64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn frame(crop: usize, side: usize, translation: usize, jitter: usize) -> Result<CropFrame> {
        let placement = CropPlacement { translation, jitter, seed: 3 };
        CropFrame::new(&RefugeConfig { crop, side, placement, allows_copies: false, cache: "c".into() })
    }

    #[test]
    fn an_offset_is_the_same_part_of_the_retina_at_every_scale() {
        let (large, small) = (frame(512, 512, 0, 48).unwrap(), frame(512, 128, 0, 48).unwrap());
        assert_eq!([large.margin, large.stored_side(), small.margin, small.stored_side()], [48, 608, 12, 152]);
        for case in ["V0001", "T0400", "g0012"] {
            let (large, small) = (large.evaluation_corner(case), small.evaluation_corner(case));
            for (large, small) in large.into_iter().zip(small) {
                assert!(large.abs_diff(4 * small) <= 2, "{large} and 4 x {small}");
            }
        }
    }

    #[test]
    fn training_crops_reach_every_place_of_their_range_and_no_other() {
        let frame = frame(64, 32, 6, 10).unwrap();
        assert_eq!(frame.margin, 5);
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            let Crop { center, size } = frame.training_crop(&mut generator);
            assert_eq!(size, [32, 32]);
            seen.insert(center.map(|at| at as i64 - 16));
        }
        let all = (2..=8).flat_map(|x| (2..=8).map(move |y| [x, y]));
        assert_eq!(seen, all.collect());
    }

    #[test]
    fn without_any_movement_a_crop_is_all_that_is_stored() {
        let frame = frame(64, 32, 0, 0).unwrap();
        let whole = Crop { center: [16.0; 2], size: [32; 2] };
        assert_eq!((frame.stored_side(), frame.evaluation_crop("T0001")), (32, whole));
        assert_eq!(frame.training_crop(&mut ChaCha8Rng::seed_from_u64(1)), whole);
    }

    #[test]
    fn a_crop_keeps_the_discs_centre() {
        assert!(frame(64, 32, 31, 31).is_ok());
        for (translation, jitter, key) in [(32, 0, "`translation` is 32"), (0, 40, "`jitter` is 40")] {
            let message = frame(64, 32, translation, jitter).unwrap_err().to_string();
            assert!(message.starts_with(key) && message.contains("half of the crop"), "{message}");
        }
    }
}
