//! A small table for tests.

use mtcool_metrics::Summary;

use super::against_paper::AgainstPaper;
use super::provenance::Provenance;
use super::row::TableRow;
use super::table::Table;
use super::verdict::Verdict;
use crate::plan::{Cell, Roles};
use crate::suite::Column;

impl Table {
    /// Three columns: one with a deviation in the paper, one without, one that the paper does not have.
    pub(super) fn example(obstacle: Option<&str>) -> Self {
        let cell = |mean| Some(Summary { mean, std: Some(0.25), count: 2 });
        let difference = |value: f64| obstacle.is_none().then_some(value);
        let mut joint = TableRow::example("joint", 1.0, vec![cell(99.25), cell(99.75), cell(1.0)]);
        joint.against_paper = vec![
            against(difference(-0.25), Some(0.0625), Verdict::NotReproduced),
            against(difference(0.25), None, Verdict::Reproduced),
            None,
        ];
        let mut mtcool = TableRow::example("mtcool", 1.0, vec![cell(99.5), None, cell(2.0)]);
        mtcool.against_paper = vec![
            against(difference(0.0), Some(0.0625), Verdict::CannotBeCompared),
            against(None, None, Verdict::CannotBeCompared),
            None,
        ];
        Self {
            title: "A table".into(),
            columns: ["First", "Second", "Third"].map(|label| Column::new("task", "metric", label)).into(),
            rows: vec![joint, mtcool],
            is_synthetic: obstacle.is_some(),
            split: "test",
            roles: Roles::default(),
            comparisons: Vec::new(),
            external: Vec::new(),
            claims: Vec::new(),
            factors: Vec::new(),
            paper_obstacle: obstacle.map(str::to_owned),
            notes: vec!["A note.".into()],
            runs: Vec::new(),
            provenance: Provenance::default(),
        }
    }
}

fn against(difference: Option<f64>, std: Option<f64>, verdict: Verdict) -> Option<AgainstPaper> {
    Some(AgainstPaper { paper: Cell { mean: 99.5, std }, difference, interval: None, verdict })
}
