//! Which cases are for training, for selection and for the test.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::case::Case;
use super::names::RefugePart;

/// Indices of cases, each list ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// Most of the official training and validation parts.
    pub train: Vec<u32>,
    /// The rest of them, held out to choose settings, epochs and thresholds.
    pub selection: Vec<u32>,
    /// The official test part, to be read once, at the end.
    pub test: Vec<u32>,
}

impl Splits {
    /// The share of the photographs that is held out unless a user chooses another one.
    pub const HELD_OUT: f64 = 0.1;

    /// Holds out the share `held_out`, above 0 and below 1, of every stratum (part and diagnosis), drawn from `seed`.
    pub(super) fn draw(cases: &[Case], seed: u64, held_out: f64) -> Self {
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
                let (selection, training) = stratum.split_at(count(stratum.len(), held_out));
                splits.train.extend(training);
                splits.selection.extend(selection);
            }
        }
        splits.train.sort_unstable();
        splits.selection.sort_unstable();
        splits
    }
}

/// How many photographs of a stratum of `size` are held out: the rounded share, but at least one on both sides where there are two.
fn count(size: usize, share: f64) -> usize {
    let rounded = (share * size as f64).round() as usize;
    if size < 2 { 0 } else { rounded.clamp(1, size - 1) }
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
        let splits = Splits::draw(&cases, 4, 0.1);
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
        assert_eq!(Splits::draw(&cases, 4, 0.1), splits);
        assert_ne!(Splits::draw(&cases, 5, 0.1).selection, splits.selection);
    }

    #[test]
    fn small_sets_leave_both_diagnoses_on_both_sides_where_they_can() {
        let cases = cases(Counts { glaucoma: 2, healthy: 8, validation: 20, test: 3 });
        let splits = Splits::draw(&cases, 0, 0.1);
        for side in [&splits.train, &splits.selection] {
            for glaucoma in [true, false] {
                assert!(side.iter().any(|&index| cases[index as usize].glaucoma == glaucoma));
            }
        }
        let lonely = Splits::draw(&cases[..1], 0, 0.1);
        assert_eq!((lonely.train, lonely.selection.len()), (vec![0], 0));
    }

    #[test]
    fn a_larger_share_is_held_out_of_each_diagnosis() {
        let cases = cases(Counts { glaucoma: 40, healthy: 360, validation: 0, test: 3 });
        let splits = Splits::draw(&cases, 0, 0.25);
        let ill = |indices: &[u32]| indices.iter().filter(|&&index| cases[index as usize].glaucoma).count();
        assert_eq!([splits.train.len(), splits.selection.len()], [300, 100]);
        assert_eq!([ill(&splits.train), ill(&splits.selection)], [30, 10]);
        // The photographs that a smaller share holds out are held out, too.
        let tenth = Splits::draw(&cases, 0, Splits::HELD_OUT).selection;
        assert!(tenth.iter().all(|index| splits.selection.contains(index)));
    }

    #[test]
    fn the_number_held_out_is_rounded_and_leaves_some_on_both_sides() {
        for size in 2..5000 {
            assert_eq!(count(size, 0.1), ((size + 5) / 10).max(1), "{size}");
        }
        assert_eq!([0, 1, 2, 3].map(|size| count(size, 0.99)), [0, 0, 1, 2]);
        assert_eq!([0, 1, 2, 3].map(|size| count(size, 0.01)), [0, 0, 1, 1]);
    }
}
