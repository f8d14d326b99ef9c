//! `trials.parquet` and `trials.csv` in the folder of a search: a row for each trial of each rung.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use polars::prelude::{Column as Series, DataFrame};

use super::files::write_whole;
use super::tabular::{csv_bytes, parquet_bytes};

/// A trial of a search in one rung: a setting of a method, and what its runs reached on the validation split.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// The name of the method or the variant.
    pub method: String,
    /// The number of the trial among those of its method, from 0.
    pub trial: usize,
    /// The number of the rung, from 0.
    pub rung: usize,
    /// Number of epochs of its runs.
    pub epochs: u64,
    /// The searched settings: dotted key, value.
    pub settings: Vec<(String, toml::Value)>,
    /// Number of its runs, one per seed.
    pub runs: usize,
    /// Number of them that diverged.
    pub diverged: usize,
    /// The mean over its runs of each column of the score, by `task.metric`; `None` if a run diverged or a value is undefined.
    pub values: Vec<(String, Option<f64>)>,
    /// The mean of the columns, where smaller values of a column are better with the opposite sign; `None` if a column has none.
    pub score: Option<f64>,
    /// The standard deviation of the score over the runs, if there are several.
    pub deviation: Option<f64>,
    /// Whether its settings go on to the next rung.
    pub is_promoted: bool,
    /// Training time of its runs in seconds.
    pub train_seconds: f64,
    /// The names of the folders of its runs.
    pub folders: Vec<String>,
}

impl TrialRecord {
    /// The best trial of `method` in the last rung that it has reached; of equal scores the first one.
    pub fn best_of<'a>(trials: &'a [Self], method: &str) -> Option<&'a Self> {
        let of_method = || trials.iter().filter(move |trial| trial.method == method);
        let last = of_method().map(|trial| trial.rung).max()?;
        let scored = of_method().filter(|trial| trial.rung == last).filter_map(|trial| Some((trial.score?, trial)));
        scored.max_by(|(a, one), (b, other)| a.total_cmp(b).then(other.trial.cmp(&one.trial))).map(|(_, trial)| trial)
    }
}

/// Writes the trials into `folder`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_trials(folder: &Path, trials: &[TrialRecord]) -> Result<()> {
    let frame = trials_frame(trials)?;
    write_whole(&folder.join("trials.csv"), &csv_bytes(frame.clone())?)?;
    Ok(write_whole(&folder.join("trials.parquet"), &parquet_bytes(frame)?)?)
}

/// The trials as a data frame (method, trial, rung, epochs, runs, diverged, score, deviation, promoted, a column per column of the score
/// and per setting, train_seconds, folders). A setting that a method does not have is empty.
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub fn trials_frame(trials: &[TrialRecord]) -> Result<DataFrame> {
    let count = |name: &str, pick: &dyn Fn(&TrialRecord) -> u64| {
        Series::new(name.into(), trials.iter().map(pick).collect::<Vec<_>>())
    };
    let number = |name: &str, pick: &dyn Fn(&TrialRecord) -> Option<f64>| {
        Series::new(name.into(), trials.iter().map(pick).collect::<Vec<_>>())
    };
    let mut columns = vec![
        Series::new("method".into(), trials.iter().map(|trial| trial.method.as_str()).collect::<Vec<_>>()),
        count("trial", &|trial| trial.trial as u64),
        count("rung", &|trial| trial.rung as u64),
        count("epochs", &|trial| trial.epochs),
        count("runs", &|trial| trial.runs as u64),
        count("diverged", &|trial| trial.diverged as u64),
        number("score", &|trial| trial.score),
        number("deviation", &|trial| trial.deviation),
        Series::new("promoted".into(), trials.iter().map(|trial| trial.is_promoted).collect::<Vec<_>>()),
    ];
    let names: Vec<&String> =
        trials.first().into_iter().flat_map(|trial| trial.values.iter().map(|(name, _)| name)).collect();
    for name in names {
        columns.push(number(name, &|trial| {
            trial.values.iter().find(|(other, _)| other == name).and_then(|(_, value)| *value)
        }));
    }
    let mut keys: BTreeMap<&str, bool> = BTreeMap::new();
    for (key, value) in trials.iter().flat_map(|trial| &trial.settings) {
        *keys.entry(key).or_insert(true) &= as_number(value).is_some();
    }
    for (key, is_number) in keys {
        let of_trial = |trial: &'_ TrialRecord| {
            trial.settings.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
        };
        let name = format!("settings.{key}");
        columns.push(if is_number {
            number(&name, &|trial| as_number(&of_trial(trial)?))
        } else {
            Series::new(
                name.into(),
                trials.iter().map(|trial| of_trial(trial).map(|value| value.to_string())).collect::<Vec<_>>(),
            )
        });
    }
    columns.push(number("train_seconds", &|trial| Some(trial.train_seconds)));
    columns.push(Series::new("folders".into(), trials.iter().map(|trial| trial.folders.join(" ")).collect::<Vec<_>>()));
    Ok(DataFrame::new(trials.len(), columns)?)
}

/// The value of a setting that is a number.
fn as_number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(method: &str, settings: &[(&str, toml::Value)], score: Option<f64>) -> TrialRecord {
        TrialRecord {
            method: method.into(),
            trial: 1,
            rung: 0,
            epochs: 2,
            settings: settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            runs: 1,
            diverged: usize::from(score.is_none()),
            values: vec![("even.accuracy".into(), score)],
            score,
            deviation: None,
            is_promoted: score.is_some(),
            train_seconds: 1.5,
            folders: vec!["a".into(), "b".into()],
        }
    }

    #[test]
    fn the_best_trial_is_one_of_the_last_rung() {
        let of = |trial_number, rung, score| TrialRecord { trial: trial_number, rung, ..trial("joint", &[], score) };
        let trials =
            [of(0, 0, Some(99.0)), of(1, 0, Some(98.0)), of(0, 1, Some(97.0)), of(1, 1, Some(97.0)), of(2, 1, None)];
        let best = TrialRecord::best_of(&trials, "joint").unwrap();
        assert_eq!((best.trial, best.rung), (0, 1));
        assert!(
            TrialRecord::best_of(&trials[4..], "joint").is_none() && TrialRecord::best_of(&trials, "mgda").is_none()
        );
    }

    #[test]
    fn every_setting_is_a_column_of_its_own_kind() {
        let trials = [
            trial("joint", &[("learning_rate", 0.1.into())], Some(99.0)),
            trial("mtcool", &[("samples", 2.into()), ("schedule", "jacobi".into())], None),
        ];
        let frame = trials_frame(&trials).unwrap();
        let numbers = |name: &str| frame.column(name).unwrap().f64().unwrap().iter().collect::<Vec<_>>();
        assert_eq!(numbers("settings.learning_rate"), [Some(0.1), None]);
        assert_eq!(numbers("settings.samples"), [None, Some(2.0)]);
        assert_eq!(numbers("even.accuracy"), [Some(99.0), None]);
        let text = |name: &str| frame.column(name).unwrap().str().unwrap().iter().collect::<Vec<_>>();
        assert_eq!(text("settings.schedule"), [None, Some("\"jacobi\"")]);
        assert_eq!(text("folders"), [Some("a b"); 2]);
        let folder = tempfile::tempdir().unwrap();
        write_trials(folder.path(), &trials).unwrap();
        assert!(folder.path().join("trials.parquet").exists());
        let csv = std::fs::read_to_string(folder.path().join("trials.csv")).unwrap();
        assert!(csv.starts_with("method,trial,rung,epochs,") && csv.lines().count() == 3, "{csv}");
    }
}
