//! The table `search` of an experiment: how long a search runs, and which values it gives to the settings of which methods.

mod axis;
mod space;

use figment::value::Dict;
use serde::Deserialize;

use crate::suite::ConfigError;

pub use space::{Space, Trial};

/// The largest number of trials per method.
const MOST_TRIALS: usize = 1000;

/// A rung of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Number of epochs of its runs.
    pub epochs: u64,
    /// Number of trials of each method.
    pub trials: usize,
}

/// The keys of the table `search` that are no spaces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SearchKeys {
    /// Number of trials of each method.
    pub(super) trials: usize,
    /// The seed of the settings.
    pub(super) seed: u64,
    /// The lengths of the runs of the rungs, as shares of `training.epochs`.
    rungs: Vec<f64>,
    /// The share of a rung's trials that go on to the next one.
    keep: f64,
    /// The columns of the score; empty for all columns.
    pub(super) objective: Vec<String>,
}

impl Default for SearchKeys {
    fn default() -> Self {
        Self { trials: 12, seed: 0, rungs: vec![0.25, 0.5, 1.0], keep: 0.5, objective: Vec::new() }
    }
}

impl SearchKeys {
    /// # Errors
    /// [`ConfigError`] with the first value that is out of range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refused = |key: &str, value: &dyn std::fmt::Debug, expected: &str| {
            Err(ConfigError::new(format!("`search.{key}` is {value:?}: expected {expected}")))
        };
        let is_ascending = self.rungs.windows(2).all(|pair| pair[0] < pair[1]);
        let is_share = |share: &f64| *share > 0.0 && *share <= 1.0;
        if !(1..=MOST_TRIALS).contains(&self.trials) {
            return refused("trials", &self.trials, &format!("1 to {MOST_TRIALS}"));
        }
        if self.rungs.is_empty() || !is_ascending || !self.rungs.iter().all(is_share) {
            return refused("rungs", &self.rungs, "ascending shares of `training.epochs`, such as [0.25, 0.5, 1.0]");
        }
        if !is_share(&self.keep) {
            return refused("keep", &self.keep, "a share of the trials, above 0 and at most 1, such as 0.5");
        }
        Ok(())
    }

    /// The rungs of runs of up to `epochs` epochs. Rungs that would have the same length are one.
    pub(super) fn rungs(&self, epochs: u64) -> Vec<Rung> {
        let mut rungs: Vec<Rung> = Vec::new();
        let mut trials = self.trials;
        for share in &self.rungs {
            let epochs = ((share * epochs as f64).round() as u64).max(1);
            match rungs.last_mut() {
                Some(last) if last.epochs == epochs => continue,
                Some(_) => trials = ((trials as f64 * self.keep).ceil() as usize).max(1),
                None => {}
            }
            rungs.push(Rung { epochs, trials });
        }
        rungs
    }
}

/// The spaces in `table`, the experiment's table `search`: its entries that are tables.
///
/// # Errors
/// [`ConfigError`] with the first key or value that is wrong.
pub(super) fn spaces(table: &Dict) -> Result<Vec<Space>, ConfigError> {
    let tables = table.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_dict()?)));
    tables.map(|(method, space)| Space::read(method, space)).collect()
}
