//! [`PairedSheet`]: what the paired comparison shows, as texts.

use mtcool_metrics::WilcoxonTest;

use super::comparison::{Comparison, Paired, label_with_runs, note_on_runs};
use super::table::Table;

/// What the paired comparison shows.
pub(super) struct PairedSheet {
    /// Its title.
    pub(super) title: String,
    /// The texts of the header.
    pub(super) head: Vec<String>,
    /// A line for each other method.
    pub(super) lines: Vec<Vec<String>>,
    /// What was tested, and how.
    pub(super) notes: Vec<String>,
}

impl PairedSheet {
    /// The comparison of `table`; `None` if it has none.
    pub(super) fn of(table: &Table) -> Option<Self> {
        let first = table.comparisons.first()?;
        let shown: Vec<usize> = (0..first.pairs.len()).filter(|&at| first.pairs[at].1.is_some()).collect();
        let mut head = vec![format!("{} minus", first.subject)];
        for &at in &shown {
            head.extend([first.pairs[at].0.label.to_string(), "p".into()]);
        }
        let line = |comparison: &Comparison| {
            let mut cells = vec![label_with_runs(comparison)];
            for &at in &shown {
                let pair = comparison.pairs[at].1;
                let digits = table.digits(&comparison.pairs[at].0);
                cells.push(pair.map_or_else(|| "-".into(), |pair| digits.signed(pair.difference)));
                cells.push(pair.map_or_else(|| "-".into(), |pair| p_value(pair.adjusted_p)));
            }
            cells
        };
        let images =
            |at: &usize| first.pairs[*at].1.map(|pair: Paired| format!("{} {}", pair.images, first.pairs[*at].0.label));
        let images: Vec<String> = shown.iter().filter_map(images).collect();
        let count =
            table.comparisons.iter().flat_map(|comparison| &comparison.pairs).filter(|(_, pair)| pair.is_some());
        let mut notes = vec![
            format!("Number of images: {}. The score of an image is the mean over a method's runs.", images.join(", ")),
            format!(
                "The p-value is that of Wilcoxon's signed-rank test (of the paired t-test where more than {} images differ), \
                 two-sided, with Holm's correction for all {} comparisons of this table.",
                WilcoxonTest::MOST_PAIRS,
                count.count()
            ),
            "The test compares these trained networks; networks trained with other seeds may give other differences."
                .into(),
        ];
        let untested = |at: &usize| table.comparisons.iter().all(|comparison| comparison.pairs[*at].1.is_none());
        let untested = (0..first.pairs.len()).filter(untested).map(|at| first.pairs[at].0.label.to_string());
        let untested: Vec<String> = untested.collect();
        if !untested.is_empty() {
            notes.push(format!(
                "Not tested, since they are no means of scores of single images: {}.",
                untested.join(", ")
            ));
        }
        notes.extend(note_on_runs(&table.comparisons));
        Some(Self {
            title: format!("Paired over {} images", table.split),
            head,
            lines: table.comparisons.iter().map(line).collect(),
            notes,
        })
    }
}

/// A p-value with three digits.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".into() } else { format!("{p:.3}") }
}
