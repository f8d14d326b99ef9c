//! [`Extract`]: a few samples of a data set, for checks and diagnoses that are no results.

use std::collections::BTreeSet;

use super::error::ConfigError;

/// Which samples of a data set are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extract {
    /// One batch of the validation part and one of the test part, as large as the data set's batches in an evaluation. The training
    /// part stays as it is.
    OneBatch,
    /// This number of training samples, unchanged by any augmentation, which are the validation part and the test part as well.
    Overfit(usize),
}

/// Checks that there are `count` training samples to overfit.
///
/// # Errors
/// If there are fewer.
pub fn check_overfit(count: usize, there: usize) -> Result<(), ConfigError> {
    if count <= there {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "`overfit` is {count}, but the training part has {there} examples: expected 1 to {there}, as in `--overfit {}`",
        there.min(8)
    )))
}

/// `count` samples that are as different as possible, ascending; all of them if there are not more. `features[n]` are the features of
/// sample n, such as its class: each pick is the first sample with the most features that the picks since the last repetition lack.
/// So every class comes once before one of them comes again.
pub fn varied(features: &[Vec<u32>], count: usize) -> Vec<u32> {
    let most = features.iter().map(Vec::len).max().unwrap_or(0);
    let mut left: Vec<usize> = (0..features.len()).collect();
    let mut picked = Vec::new();
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    while picked.len() < count.min(features.len()) {
        let mut best = (0, 0);
        for (place, &sample) in left.iter().enumerate() {
            let new = features[sample].iter().filter(|feature| !seen.contains(*feature)).count();
            if new > best.1 {
                best = (place, new);
            }
            if best.1 == most {
                break;
            }
        }
        if best.1 == 0 && !seen.is_empty() {
            seen.clear();
            continue;
        }
        let sample = left.remove(best.0);
        seen.extend(&features[sample]);
        picked.push(sample as u32);
    }
    picked.sort_unstable();
    picked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn picks_are_different_and_every_class_comes_before_one_comes_again(
            classes in proptest::collection::vec(0u32..4, 0..40),
            count in 0usize..50,
        ) {
            let features: Vec<Vec<u32>> = classes.iter().map(|&class| vec![class]).collect();
            let picked = varied(&features, count);
            prop_assert_eq!(picked.len(), count.min(classes.len()));
            prop_assert!(picked.windows(2).all(|pair| pair[0] < pair[1]), "{picked:?}");
            let of = |class: u32, samples: &mut dyn Iterator<Item = u32>| {
                samples.filter(|&sample| classes[sample as usize] == class).count()
            };
            for class in 0..4 {
                let own = of(class, &mut picked.iter().copied());
                let all = of(class, &mut (0..classes.len() as u32));
                for other in 0..4 {
                    // A class may come less often than another one only if it has no further sample.
                    let others = of(other, &mut picked.iter().copied());
                    prop_assert!(own + 1 >= others || own == all, "class {class}: {own} of {all}, class {other}: {others}");
                }
            }
        }
    }

    #[test]
    fn samples_with_several_new_features_come_first_and_samples_without_any_last() {
        assert_eq!(varied(&[vec![0], vec![], vec![0, 1], vec![2]], 2), [2, 3]);
        assert_eq!(varied(&[vec![], vec![], vec![0]], 2), [0, 2]);
        assert_eq!(varied(&[vec![], vec![]], 1), [0]);
        assert!(varied(&[], 3).is_empty());
    }
}
