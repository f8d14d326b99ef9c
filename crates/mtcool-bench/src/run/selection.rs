//! The best epoch of a run by the validation split: `training.select = "best"`.

use anyhow::{Context, Result};
use mtcool_core::Parameters;

use crate::plan::score;
use crate::record::{BestEpoch, Checkpoint, Position};
use crate::suite::{Column, Evaluation};

/// Keeps the current parameters of `state` if `evaluation`, that of the validation split, is better than that of every epoch before.
/// An epoch in which a column of `objective` is not a number is never the best.
///
/// # Errors
/// If a column is not measured on the validation split.
pub(super) fn keep_if_best(state: &mut Checkpoint, objective: &[Column], evaluation: &Evaluation) -> Result<()> {
    let value = |column: &Column| {
        let mut found = evaluation.measurements.iter().filter(|found| found.task == column.task);
        let found = found.find(|found| found.metric == *column.metric).with_context(|| {
            format!(
                "`{}` is not measured on the validation split, so that no epoch can be selected by it; let `training.select_by` name \
                 columns that are, or give the data a validation part",
                column.key()
            )
        });
        Ok(found?.value)
    };
    let values = objective.iter().map(value).collect::<Result<Vec<_>>>()?;
    let score = score(&values, objective);
    if !score.is_nan() && state.position.best.is_none_or(|best| score > best.score) {
        let Position { epoch, step, .. } = state.position;
        state.position.best = Some(BestEpoch { epoch, step, score });
        state.best = Some(state.parameters.clone());
    }
    Ok(())
}

/// Whether the last `patience` epochs brought no better one.
pub(super) fn is_out_of_patience(position: &Position, patience: Option<u64>) -> bool {
    let best = position.best.map_or(0, |best| best.epoch);
    patience.is_some_and(|patience| position.epoch >= best.saturating_add(patience))
}

/// The network with which a run ends.
pub(super) struct Chosen {
    /// Its parameters.
    pub(super) parameters: Parameters,
    /// The epoch at whose end it had them.
    pub(super) epoch: u64,
    /// The step of the method after which it had them.
    pub(super) step: u64,
}

/// The network of the best epoch if the run selects it and an epoch has a score, else that of the last one.
pub(super) fn chosen(state: &Checkpoint) -> Chosen {
    match (&state.best, state.position.best) {
        (Some(parameters), Some(BestEpoch { epoch, step, .. })) => {
            Chosen { parameters: parameters.clone(), epoch, step }
        }
        _ => {
            let Position { epoch, step, .. } = state.position;
            Chosen { parameters: state.parameters.clone(), epoch, step }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_counts_epochs_since_the_best_one() {
        let at = |epoch, best: Option<u64>| Position {
            epoch,
            best: best.map(|epoch| BestEpoch { epoch, step: epoch, score: 1.0 }),
            ..Position::default()
        };
        assert!(!is_out_of_patience(&at(9, Some(2)), None));
        assert!(!is_out_of_patience(&at(4, Some(2)), Some(3)));
        assert!(is_out_of_patience(&at(5, Some(2)), Some(3)));
        // Without any epoch that has a score, patience counts from the beginning.
        assert!(!is_out_of_patience(&at(2, None), Some(3)) && is_out_of_patience(&at(3, None), Some(3)));
    }
}
