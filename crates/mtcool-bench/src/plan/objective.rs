//! The score by which an epoch or a setting is chosen on the validation split: the mean of columns of the table.

use crate::suite::{Column, ConfigError, Selected, TrainingConfig};

/// The columns called `names`, as `task.metric`, or all columns if there are none. They are in per cent, or there is one only: a mean of
/// millimetres and per cent would be another one in metres.
///
/// # Errors
/// If a name is no column of the table, or if the columns have several units.
pub(super) fn columns_named(names: &[String], columns: &[Column]) -> Result<Vec<Column>, ConfigError> {
    let chosen = chosen(names, columns)?;
    let own: Vec<String> = chosen.iter().filter(|column| !column.is_percent).map(Column::key).collect();
    if own.is_empty() || chosen.len() == 1 {
        return Ok(chosen);
    }
    let in_percent: Vec<String> =
        columns.iter().filter(|column| column.is_percent).map(|column| format!("\"{}\"", column.key())).collect();
    let example = if in_percent.is_empty() { format!("\"{}\"", own[0]) } else { in_percent.join(", ") };
    Err(ConfigError::new(format!(
        "the mean of all {} columns would depend on the units of {}, which are not in per cent: name columns in per cent, or a single \
         column, such as [{example}]",
        chosen.len(),
        own.join(", ")
    )))
}

fn chosen(names: &[String], columns: &[Column]) -> Result<Vec<Column>, ConfigError> {
    if names.is_empty() {
        return Ok(columns.to_vec());
    }
    let valid: Vec<String> = columns.iter().map(Column::key).collect();
    let valid: Vec<&str> = valid.iter().map(String::as_str).collect();
    let find = |name: &String| {
        let found = columns.iter().find(|column| column.key() == *name).cloned();
        found.ok_or_else(|| ConfigError::unknown("column", name, &valid))
    };
    names.iter().map(find).collect()
}

/// The columns by which `training` selects the best epoch; `None` if it takes the last one.
///
/// # Errors
/// If a name is no column of the table, or if `select_by` or `patience` is given without `select = "best"`.
pub(super) fn selection(training: &TrainingConfig, columns: &[Column]) -> Result<Option<Vec<Column>>, ConfigError> {
    let of_best = [("select_by", !training.select_by.is_empty()), ("patience", training.patience.is_some())];
    match (training.select, of_best.iter().find(|(_, is_given)| *is_given)) {
        (Selected::Last, Some((key, _))) => Err(ConfigError::new(format!(
            "`training.{key}` is given, but the run ends with its last epoch: add `training.select = \"best\"`, or leave it out"
        ))),
        (Selected::Last, None) => Ok(None),
        (Selected::Best, _) if training.patience == Some(0) => {
            Err(ConfigError::new("`training.patience` is 0: expected at least 1 epoch without a better one"))
        }
        (Selected::Best, _) => {
            columns_named(&training.select_by, columns).map(Some).map_err(|error| error.within("`training.select_by`"))
        }
    }
}

/// The mean of the columns' values; a column where smaller values are better counts with the opposite sign.
pub fn score(values: &[f64], objective: &[Column]) -> f64 {
    let signed =
        values.iter().zip(objective).map(|(value, column)| if column.is_lower_better { -value } else { *value });
    signed.sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_has_one_unit() {
        let dice = Column::new("mask", "dice", "Dice");
        let auroc = Column::new("sick", "auroc", "AUROC");
        let error = Column::new("length", "mae", "MAE").lower_is_better().in_own_unit();
        let all = [dice, auroc, error];
        let keys = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            columns_named(&names, &all).map(|columns| columns.iter().map(Column::key).collect::<Vec<_>>())
        };
        assert_eq!(keys(&["sick.auroc", "mask.dice"]).unwrap(), ["sick.auroc", "mask.dice"]);
        assert_eq!(keys(&["length.mae"]).unwrap(), ["length.mae"]);
        for mixed in [&[][..], &["mask.dice", "length.mae"]] {
            let message = keys(mixed).unwrap_err().to_string();
            assert!(
                message.contains("units of length.mae") && message.contains("[\"mask.dice\", \"sick.auroc\"]"),
                "{message}"
            );
        }
        assert!(keys(&["mask.dize"]).unwrap_err().to_string().contains("mask.dice"));
        assert_eq!(columns_named(&[], &all[..2]).unwrap().len(), 2);
    }
}
