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
        let (experiment, key) = (&context.plan.experiment, column.key());
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
    if context.plan.experiment.has_other_network {
        return Some("ours belong to another network than the profile's".into());
    }
    context.caveats.iter().find(|caveat| !caveat.is_comparable).map(|caveat| caveat.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DataIdentity, Overrides, Plan};
    use crate::suite::{Caveat, Registry};

    fn plan(table: &str, profile: &str, assignments: &[&str]) -> Plan {
        let assignments = assignments.iter().map(|assignment| (*assignment).to_owned()).collect();
        let overrides = Overrides { profile: Some(profile.into()), assignments };
        Plan::load(&Registry::builtin(), table, &overrides).unwrap()
    }

    /// The comparison of MT-COOL's first column, in which the paper's Table 1 has 99.72 with a standard deviation of 0.03978.
    fn first_cell(context: &TableContext<'_>, mean: f64, std: f64, count: usize) -> AgainstPaper {
        let ours = Summary { mean, std: (count > 1).then_some(std), count };
        AgainstPaper::of(context, "mtcool", &context.plan.spec.columns[0], Some(&ours)).unwrap().unwrap()
    }

    #[test]
    fn cells_on_real_data_are_judged() {
        let (plan, data) = (plan("table1", "paper", &[]), DataIdentity::default());
        let context = TableContext::of_real_data(&plan, &data);
        let close = first_cell(&context, 99.70, 0.05, 5);
        assert_eq!((close.paper.mean, close.paper.std, close.verdict), (99.72, Some(0.03978), Verdict::Reproduced));
        assert!((close.difference.unwrap() + 0.02).abs() < 1e-9);
        // The standard error is sqrt((0.05^2 + 0.03978^2) / 5) = 0.028575. The quantile lies between those for 8 and 4 degrees of
        // freedom, 2.306 and 2.776.
        let interval = close.interval.unwrap();
        let half = (interval.high - interval.low) / 2.0;
        assert!(half > 2.306 * 0.028575 && half < 2.776 * 0.028575, "{half}");
        assert_eq!(first_cell(&context, 99.50, 0.05, 5).verdict, Verdict::NotReproduced);
        assert_eq!(first_cell(&context, 99.50, 0.50, 5).verdict, Verdict::CannotBeCompared);
        let lone = first_cell(&context, 99.70, 0.0, 1);
        assert_eq!((lone.verdict, lone.interval), (Verdict::CannotBeCompared, None));
        assert!(lone.difference.is_some(), "a difference of single runs is shown without a verdict");
        let missing = AgainstPaper::of(&context, "mtcool", &plan.spec.columns[0], None).unwrap().unwrap();
        assert_eq!((missing.verdict, missing.difference), (Verdict::CannotBeCompared, None));
        assert_eq!(AgainstPaper::of(&context, "famo", &plan.spec.columns[0], None).unwrap(), None);
    }

    #[test]
    fn a_changed_setting_leaves_the_difference_and_takes_the_verdict() {
        let (plan, data) = (plan("table1", "paper", &["training.epochs=1"]), DataIdentity::default());
        let cell = first_cell(&TableContext::of_real_data(&plan, &data), 99.70, 0.05, 5);
        assert!(cell.difference.is_some() && cell.interval.is_some());
        assert_eq!(cell.verdict, Verdict::CannotBeCompared);
    }

    #[test]
    fn nothing_is_compared_on_other_data() {
        let (paper, data) = (plan("table1", "paper", &[]), DataIdentity::default());
        let on_validation = plan("table1", "paper", &["report=validation"]);
        let synthetic = DataIdentity { origin: serde_json::json!({ "synthetic": {} }), ..DataIdentity::default() };
        let caveat = |is_comparable| [Caveat { text: "3 photographs were left out".into(), is_comparable }];
        let (harmless, harmful) = (caveat(true), caveat(false));
        let smaller = plan("table1", "paper", &["network.widths=[4, 8, 8]"]);
        let obstacles = [
            TableContext::of_real_data(&smaller, &data),
            TableContext::of_real_data(&on_validation, &data),
            TableContext::of_real_data(&paper, &synthetic),
            TableContext { caveats: &harmful, ..TableContext::of_real_data(&paper, &data) },
        ];
        for context in obstacles {
            let cell = first_cell(&context, 99.70, 0.05, 5);
            assert_eq!((cell.difference, cell.interval, cell.verdict), (None, None, Verdict::CannotBeCompared));
            assert_eq!(cell.paper.mean, 99.72, "the paper's result is in the files all the same");
        }
        let context = TableContext { caveats: &harmless, ..TableContext::of_real_data(&paper, &data) };
        assert_eq!(first_cell(&context, 99.70, 0.05, 5).verdict, Verdict::Reproduced);
    }

    #[test]
    fn a_mean_without_a_deviation_is_taken_as_exact() {
        let (plan, data) = (plan("table3", "quick", &[]), DataIdentity::default());
        let context = TableContext::of_real_data(&plan, &data);
        // Artery Acc of MT-COOL is 98.01 in the paper, with the tolerance 0.3. Standard error 0.1 / sqrt(3), 2 degrees of freedom.
        let cell = first_cell(&context, 98.11, 0.1, 3);
        assert_eq!(cell.verdict, Verdict::Reproduced);
        let half = 4.302_652_7 * 0.1 / 3f64.sqrt();
        assert!((cell.interval.unwrap().high - 0.1 - half).abs() < 1e-6);
    }
}
