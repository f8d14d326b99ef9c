//! Which cases are for training, for selection and for the test.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::case::Case;
use super::names::RefugePart;

/// Indices of cases, each list ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// Nine tenths of the official training and validation parts.
    pub train: Vec<u32>,
    /// The other tenth, held out to choose settings and epochs.
    pub selection: Vec<u32>,
    /// The official test part, to be read once, at the end.
    pub test: Vec<u32>,
}

/// One of this many photographs is held out.
const HELD_OUT: usize = 10;

impl Splits {
    /// Holds out a tenth of every stratum (part and diagnosis), drawn from `seed`.
    pub(super) fn draw(cases: &[Case], seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let of = |part: RefugePart, glaucoma: Option<bool>| -> Vec<u32> {
            let fits = |case: &Case| case.part == part && glaucoma.is_none_or(|glaucoma| case.glaucoma == glaucoma);
            (0u32..).zip(cases).filter(|(_, case)| fits(case)).map(|(index, _)| index).collect()
        };
        let mut splits = Self { train: Vec::new(), selection: Vec::new(), test: of(RefugePart::Test, None) };
        for part in [RefugePart::Train, RefugePart::Validation] {
            for glaucoma in [true, false] {
                let mut stratum = of(part, Some(glaucoma));
                stratum.shuffle(&mut generator);
                // At least one is for selection, unless none would be left for training.
                let least = usize::from(stratum.len() > 1);
                let held_out = ((stratum.len() + HELD_OUT / 2) / HELD_OUT).max(least);
                splits.train.extend(&stratum[held_out..]);
                splits.selection.extend(&stratum[..held_out]);
            }
        }
        splits.train.sort_unstable();
        splits.selection.sort_unstable();
        splits
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{Counts, Name};
    use super::*;

    fn cases(counts: Counts) -> Vec<Case> {
        let case = |name: Name| Case {
            name: name.text(),
            part: name.part(),
            glaucoma: name.text().starts_with('g') || (!name.text().starts_with('n') && name.text().ends_with('7')),
        };
        counts.names().map(case).collect()
    }

    #[test]
    fn a_tenth_of_each_part_and_diagnosis_is_held_out() {
        let cases = cases(Counts::OFFICIAL);
        let splits = Splits::draw(&cases, 4);
        assert_eq!([splits.train.len(), splits.selection.len(), splits.test.len()], [720, 80, 400]);
        for part in [RefugePart::Train, RefugePart::Validation] {
            for (glaucoma, count) in [(true, 4), (false, 36)] {
                let fits = |&&index: &&u32| {
                    let case = &cases[index as usize];
                    case.part == part && case.glaucoma == glaucoma
                };
                assert_eq!(splits.selection.iter().filter(fits).count(), count, "{part:?}, glaucoma: {glaucoma}");
            }
        }
        let mut all = [splits.train.clone(), splits.selection.clone(), splits.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1200).collect::<Vec<u32>>());
        assert!(splits.test.iter().all(|&index| cases[index as usize].part == RefugePart::Test));
        assert_eq!(Splits::draw(&cases, 4), splits);
        assert_ne!(Splits::draw(&cases, 5).selection, splits.selection);
    }

    #[test]
    fn small_sets_leave_both_diagnoses_on_both_sides_where_they_can() {
        let cases = cases(Counts { glaucoma: 2, healthy: 8, validation: 20, test: 3 });
        let splits = Splits::draw(&cases, 0);
        for side in [&splits.train, &splits.selection] {
            for glaucoma in [true, false] {
                assert!(side.iter().any(|&index| cases[index as usize].glaucoma == glaucoma));
            }
        }
        let lonely = Splits::draw(&cases[..1], 0);
        assert_eq!((lonely.train, lonely.selection.len()), (vec![0], 0));
    }
}
