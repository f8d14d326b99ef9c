//! [`AgainstPaper`]: a cell of the table next to the paper's result.

use anyhow::Result;
use mtcool_metrics::{MeanDifference, Summary};

use super::context::TableContext;
use super::verdict::{Verdict, difference};
use crate::plan::Cell;
use crate::suite::{Column, Split};

/// A cell of the paper's table and what ours says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgainstPaper {
    /// The paper's result.
    pub paper: Cell,
    /// Our mean minus the paper's mean; `None` if they have nothing in common that can be compared, or if we have no mean.
    pub difference: Option<f64>,
    /// The difference with its interval; `None` if we have fewer than two runs.
    pub interval: Option<MeanDifference>,
    /// Whether the paper's result is reproduced.
    pub verdict: Verdict,
}

impl AgainstPaper {
    /// Compares `ours` with the paper's cell for `method` and `column`; `None` if the paper has no such cell.
    ///
    /// # Errors
    /// If a number is not finite.
    pub(super) fn of(
        context: &TableContext<'_>,
        method: &str,
        column: &Column,
        ours: Option<&Summary>,
    ) -> Result<Option<Self>> {
        let (experiment, key) = (&context.plan.experiment, format!("{}.{}", column.task, column.metric));
        let paper = experiment.reference.get(method).and_then(|row| row.cells.get(&key)).copied();
        let (Some(paper), Some(setting)) = (paper, &experiment.paper) else { return Ok(None) };
        let verdict = Verdict::CannotBeCompared;
        let Some(ours) = ours.filter(|_| obstacle(context).is_none()) else {
            return Ok(Some(Self { paper, difference: None, interval: None, verdict }));
        };
        let interval = difference(ours, &paper, setting.runs)?;
        let verdict = match (interval, setting.tolerance.get(&key)) {
            (Some(interval), Some(&tolerance)) if !experiment.has_changed_settings => Verdict::of(&interval, tolerance),
            _ => verdict,
        };
        Ok(Some(Self { paper, difference: Some(ours.mean - paper.mean), interval, verdict }))
    }
}

/// Why no result of the table can be compared with the paper, if that is so.
pub(super) fn obstacle(context: &TableContext<'_>) -> Option<String> {
    if !context.data.origin.is_null() {
        return Some("ours belong to synthetic data".into());
    }
    if context.plan.experiment.report == Split::Validation {
        return Some("ours belong to the validation split".into());
    }
    context.caveats.iter().find(|caveat| !caveat.is_comparable).map(|caveat| caveat.text.clone())
}
