//! What the progress display shows of a run's metrics.

use crate::plan::score;
use crate::record::Row;
use crate::suite::{Column, Split};

/// (epoch, mean of `columns` on the validation part) for each epoch in which all of them have a number; a column where smaller values
/// are better counts with the opposite sign.
pub(super) fn curve(rows: &[Row], columns: &[Column]) -> Vec<(f64, f64)> {
    let of_validation: Vec<&Row> = rows.iter().filter(|row| row.split == Split::Validation.name()).collect();
    let mut epochs: Vec<u64> = of_validation.iter().map(|row| row.epoch).collect();
    epochs.dedup();
    let point = |epoch: u64| {
        let value = |column: &Column| {
            let is_cell = |row: &&&Row| {
                row.epoch == epoch && row.task == *column.task && row.metric == *column.metric && row.value.is_finite()
            };
            of_validation.iter().find(is_cell).map(|row| row.value)
        };
        let values: Vec<f64> = columns.iter().map(value).collect::<Option<_>>()?;
        Some((epoch as f64, score(&values, columns))).filter(|(_, score)| score.is_finite())
    };
    epochs.into_iter().filter_map(point).collect()
}

/// The share of steps in which gradients were in conflict in the last epoch, as a mean over the pairs of tasks; `None` if the method does
/// not measure it.
pub(super) fn conflict(rows: &[Row]) -> Option<f64> {
    let measured = || rows.iter().filter(|row| row.metric == "gradient_conflict_rate");
    let last = measured().next_back()?.epoch;
    let shares: Vec<f64> = measured().filter(|row| row.epoch == last).map(|row| row.value).collect();
    Some(shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64, split: &str, task: &str, metric: &str, value: f64) -> Row {
        Row { step: epoch, epoch, split: split.into(), task: task.into(), metric: metric.into(), value }
    }

    #[test]
    fn an_epoch_counts_if_all_columns_have_a_number() {
        let columns = [Column::new("a", "accuracy", "A"), Column::new("b", "error", "B").lower_is_better()];
        let rows = [
            row(1, "validation", "a", "accuracy", 90.0),
            row(1, "validation", "b", "error", 10.0),
            row(1, "train", "a", "accuracy", 0.0),
            row(2, "validation", "a", "accuracy", 92.0),
            row(2, "validation", "b", "error", f64::NAN),
            row(3, "validation", "a", "accuracy", 94.0),
            row(3, "validation", "b", "error", 6.0),
        ];
        assert_eq!(curve(&rows, &columns), [(1.0, 40.0), (3.0, 44.0)]);
        assert!(curve(&rows, &[Column::new("c", "accuracy", "C")]).is_empty());
        assert!(curve(&[], &columns).is_empty());
    }

    #[test]
    fn conflicts_are_those_of_the_last_epoch() {
        let rate = |epoch, pair: &str, value| row(epoch, "train", pair, "gradient_conflict_rate", value);
        let rows = [rate(1, "a/b", 1.0), rate(2, "a/b", 0.5), rate(2, "a/c", 0.25), row(2, "train", "a", "loss", 9.0)];
        assert_eq!((conflict(&rows), conflict(&rows[3..])), (Some(0.375), None));
    }
}
