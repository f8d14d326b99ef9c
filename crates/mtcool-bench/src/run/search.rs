//! A search: the rungs of successive halving, each of which is a sweep over the trials that are left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::{Result, bail};
use candle_core::Device;
use mtcool_metrics::Summary;

use super::sweep::{Outcome, Sweep};
use crate::plan::{DataIdentity, ExperimentSource, Overrides, Plan, PlannedRun, Rung, Search, Trial, score};
use crate::progress::Console;
use crate::record::{Row, Status, StoredRun, TrialRecord, final_rows, read_rows, stored_runs};
use crate::suite::{Column, Registry, Split, Suite};

/// A search with everything that is needed to execute it.
pub struct Halving<'a> {
    /// The entries that the experiment names.
    pub registry: &'a Registry,
    /// The experiment.
    pub source: &'a ExperimentSource,
    /// The flags of the search.
    pub overrides: &'a Overrides,
    /// What is searched.
    pub search: &'a Search,
    /// The data.
    pub suite: &'a dyn Suite,
    /// Its identity.
    pub data: &'a DataIdentity,
    /// The device that trains.
    pub device: &'a Device,
    /// The folder that holds the folders of all runs of the search.
    pub runs: &'a Path,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// The number of the signal that asked the process to stop; 0 before.
    pub stop: &'a AtomicUsize,
}

impl Halving<'_> {
    /// Executes the rungs that are not finished, together with any other process that works on the same search, and calls `is_known`
    /// with all trials so far after each rung. A trial goes on by the results of the complete rung, so that it does not matter which
    /// process executes which run, or when. Returns how the last sweep ended.
    ///
    /// # Errors
    /// If the settings of the first rung do not fit the data, if files cannot be written or read, or the first error of `is_known`.
    pub fn execute(
        &self,
        console: &Console,
        mut is_known: impl FnMut(&[TrialRecord]) -> Result<()>,
    ) -> Result<Outcome> {
        let mut trials = self.search.trials()?;
        let mut known: Vec<TrialRecord> = Vec::new();
        let mut outcome = Outcome::default();
        for (index, rung) in self.search.rungs.iter().enumerate() {
            let plan = Search::rung(self.registry, self.source, self.overrides, &trials, rung.epochs)?;
            let runs = plan.runs(self.data);
            outcome = self.sweep(&plan, &runs, index == 0, console)?;
            if outcome.is_stopped {
                return Ok(outcome);
            }
            let mut records = self.records(&trials, (index, *rung), &runs, &outcome.failures)?;
            let next = self.search.rungs.get(index + 1).map_or(0, |next| next.trials);
            promote(&mut records, next);
            let is_promoted = |trial: &Trial| {
                records
                    .iter()
                    .any(|record| (&record.method, record.trial) == (&trial.method, trial.index) && record.is_promoted)
            };
            trials.retain(is_promoted);
            known.extend(records);
            is_known(&known)?;
            if trials.is_empty() {
                break;
            }
        }
        Ok(outcome)
    }

    fn sweep(&self, plan: &Plan, runs: &[PlannedRun], is_first: bool, console: &Console) -> Result<Outcome> {
        let sweep = Sweep {
            plan,
            runs,
            suite: self.suite,
            device: self.device,
            folder: self.runs,
            checkpoint_every: self.checkpoint_every,
            // Another process that left now would have to be replaced in the next rung.
            waits: true,
            stop: self.stop,
        };
        if is_first {
            sweep.check()?;
        }
        sweep.execute(console)
    }

    /// What the runs of the rung's `trials` have reached.
    fn records(
        &self,
        trials: &[Trial],
        (index, rung): (usize, Rung),
        runs: &[PlannedRun],
        failures: &[String],
    ) -> Result<Vec<TrialRecord>> {
        let stored: BTreeMap<String, StoredRun> =
            stored_runs(self.runs)?.runs.into_iter().map(|run| (run.hash.clone(), run)).collect();
        let record = |trial: &Trial| -> Result<TrialRecord> {
            let name = trial.name();
            let of_trial = runs.iter().filter(|run| *run.method.entry.name == *name);
            let found = of_trial.map(|run| match stored.get(&run.config.hash()) {
                Some(found) if found.status.status.is_over() => Ok(found),
                // What failed for another reason than its settings, such as data that cannot be read, says nothing about them.
                _ => bail!("{} could not be executed: {}", run.method.run_name(run.config.seed), failures.join("; ")),
            });
            let found: Vec<&StoredRun> = found.collect::<Result<_>>()?;
            let has_failed = |run: &&&StoredRun| run.status.status == Status::Failed;
            let diverged = found.iter().filter(has_failed).count();
            let finished = found.iter().filter(|run| !has_failed(run));
            let values: Vec<Vec<f64>> =
                finished.map(|run| values(run, &self.search.objective)).collect::<Result<_>>()?;
            let mean = |at: usize| {
                let of_column: Vec<f64> = values.iter().map(|run| run[at]).collect();
                let mean = of_column.iter().sum::<f64>() / of_column.len() as f64;
                Some(mean).filter(|mean| mean.is_finite() && diverged == 0)
            };
            let columns = self.search.objective.iter().enumerate();
            let named = columns.map(|(at, column)| (column.key(), mean(at)));
            let scores: Vec<f64> = values.iter().map(|run| score(run, &self.search.objective)).collect();
            let summary = Summary::of(&scores).filter(|summary| summary.mean.is_finite() && diverged == 0);
            let folder = |run: &&StoredRun| run.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(TrialRecord {
                method: trial.method.clone(),
                trial: trial.index,
                rung: index,
                epochs: rung.epochs,
                settings: trial.settings.clone(),
                runs: found.len(),
                diverged,
                values: named.collect(),
                score: summary.map(|summary| summary.mean),
                deviation: summary.and_then(|summary| summary.std),
                is_promoted: false,
                train_seconds: found.iter().map(|run| run.status.train_seconds).sum(),
                folders: found.iter().map(folder).collect(),
            })
        };
        trials.iter().map(record).collect()
    }
}

/// The value of each column of `objective` on the validation split at the end of `run`.
fn values(run: &StoredRun, objective: &[Column]) -> Result<Vec<f64>> {
    let rows = read_rows(&run.folder.join("metrics.parquet"))?;
    let last = final_rows(&rows, run.status.selected_epoch);
    let value = |column: &Column| {
        let is_cell = |row: &&&Row| {
            row.split == Split::Validation.name() && row.task == *column.task && row.metric == *column.metric
        };
        match last.iter().find(is_cell) {
            Some(row) => Ok(row.value),
            None => bail!(
                "{}: `{}` is not measured on the validation split, so that settings cannot be chosen by it; let `search.objective` name \
                 columns that are, or give the data a validation part",
                run.name(),
                column.key()
            ),
        }
    };
    objective.iter().map(value).collect()
}

/// Marks the best `count` trials of each method. Equal scores go by the number of the trial, and trials without a score never go on.
fn promote(records: &mut [TrialRecord], count: usize) {
    let mut order: Vec<usize> = (0..records.len()).filter(|&at| records[at].score.is_some()).collect();
    let score = |record: &TrialRecord| record.score.unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|&a, &b| {
        let (a, b) = (&records[a], &records[b]);
        score(b).total_cmp(&score(a)).then(a.trial.cmp(&b.trial))
    });
    let mut promoted: BTreeMap<String, usize> = BTreeMap::new();
    for at in order {
        let already = promoted.entry(records[at].method.clone()).or_default();
        records[at].is_promoted = *already < count;
        *already += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(method: &str, trial: usize, score: Option<f64>) -> TrialRecord {
        TrialRecord {
            method: method.into(),
            trial,
            rung: 0,
            epochs: 1,
            settings: Vec::new(),
            runs: 1,
            diverged: 0,
            values: Vec::new(),
            score,
            deviation: None,
            is_promoted: false,
            train_seconds: 0.0,
            folders: Vec::new(),
        }
    }

    #[test]
    fn the_best_trials_of_each_method_go_on_whatever_the_order() {
        let mut records = vec![
            record("joint", 0, Some(97.0)),
            record("joint", 1, None),
            record("joint", 2, Some(98.0)),
            record("joint", 3, Some(97.0)),
            record("mtcool", 0, Some(50.0)),
            record("mtcool", 1, None),
        ];
        let promoted = |records: &[TrialRecord]| {
            let mut names: Vec<(String, usize)> =
                records.iter().filter(|r| r.is_promoted).map(|r| (r.method.clone(), r.trial)).collect();
            names.sort();
            names
        };
        let want = [("joint".to_owned(), 0), ("joint".to_owned(), 2), ("mtcool".to_owned(), 0)];
        promote(&mut records, 2);
        assert_eq!(promoted(&records), want);
        records.reverse();
        promote(&mut records, 2);
        assert_eq!(promoted(&records), want);
        promote(&mut records, 0);
        assert!(promoted(&records).is_empty());
    }

    #[test]
    fn smaller_is_better_counts_with_the_opposite_sign() {
        let column = Column::new("task", "error", "Error");
        assert_eq!(score(&[3.0, 1.0], &[column.clone(), column.clone().lower_is_better()]), 1.0);
        assert!(score(&[f64::NAN], &[column]).is_nan());
    }
}
