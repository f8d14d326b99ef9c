//! Whether the two truths of a photograph's vessels, `manual1` and the labels of arteries and veins, show the same vessels.

use super::labels::Labels;

/// The least share that the vessels of both must have in common, of the pixels that are vessels in either.
const LEAST: f64 = 0.2;

/// How two vessel maps `[H * W]` agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Agreement {
    /// The share of pixels that are equal in both.
    equal: f64,
    /// The pixels that are vessels in both, as a share of those that are vessels in either.
    shared: f64,
    /// The same if black and white of the first one are exchanged.
    shared_inverted: f64,
}

impl Agreement {
    /// The agreement of `vessels` with the vessels of all classes of `labels`.
    pub(super) fn of(vessels: &[bool], labels: &Labels) -> Self {
        // By whether a pixel is a vessel in the first and in the second map.
        let mut counts = [[0usize; 2]; 2];
        for (&vessel, &class) in vessels.iter().zip(&labels.classes) {
            counts[usize::from(vessel)][usize::from(class != 0)] += 1;
        }
        let [[neither, only_labels], [only_vessels, both]] = counts;
        let share = |part: usize, of: usize| if of > 0 { part as f64 / of as f64 } else { 1.0 };
        Self {
            equal: share(neither + both, vessels.len()),
            shared: share(both, both + only_labels + only_vessels),
            shared_inverted: share(only_labels, only_labels + both + neither),
        }
    }

    /// What is wrong if both contradict each other nearly everywhere.
    pub(super) fn contradiction(self) -> Option<String> {
        let Self { equal, shared, shared_inverted } = self;
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let seen = format!(
            "a picture that agrees with it on {} of the pixels and on {} of the vessels",
            percent(equal),
            percent(shared)
        );
        match (shared < LEAST, shared_inverted >= LEAST && equal < 0.5) {
            (false, _) => None,
            (true, true) => {
                Some(format!("{seen}; inverted, it agrees on {} of the pixels: invert it", percent(1.0 - equal)))
            }
            (true, false) => Some(format!("{seen}; it belongs to another photograph, or was turned")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(vessels: &[bool]) -> Agreement {
        // Two of ten pixels are vessels.
        let mut classes = vec![0; 10];
        (classes[3], classes[4]) = (1, 2);
        Agreement::of(vessels, &Labels { height: 1, width: 10, classes, snapped: 0, foreign: (0, None) })
    }

    #[test]
    fn inverted_and_foreign_vessels_are_told_with_their_agreement() {
        let vessels = |places: &[usize]| (0..10).map(|at| places.contains(&at)).collect::<Vec<bool>>();
        assert_eq!(agreement(&vessels(&[3, 4])).contradiction(), None);
        assert_eq!(agreement(&vessels(&[3, 5])).contradiction(), None);
        let inverted = agreement(&vessels(&[0, 1, 2, 5, 6, 7, 8, 9])).contradiction().unwrap();
        assert!(
            inverted.contains("on 0 % of the pixels and on 0 % of the vessels; inverted, it agrees on 100 %"),
            "{inverted}"
        );
        let foreign = agreement(&vessels(&[8, 9])).contradiction().unwrap();
        assert!(
            foreign.contains("on 60 % of the pixels and on 0 %") && foreign.contains("another photograph"),
            "{foreign}"
        );
    }
}
