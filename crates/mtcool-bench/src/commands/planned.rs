//! The runs that the sweeps of an experiment ask for, whether or not they have begun.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::plan::{ExperimentSource, Plan};
use crate::record::{ExperimentFolder, SweepRecord};
use crate::suite::Registry;

/// A run that a sweep asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedName {
    /// Its name in messages: label and seed.
    pub(super) name: String,
    /// The hash of its configuration.
    pub(super) hash: String,
}

/// The runs that the last sweep of an experiment asks for, and those of other sweeps of which a process is executing a run: one
/// with a hash in `running`.
///
/// # Errors
/// If the experiment is unknown, its folder belongs to another one, or it cannot be read any more.
pub(super) fn planned_names(
    registry: &Registry,
    experiment: &str,
    results: &Path,
    running: &BTreeSet<&str>,
) -> Result<Vec<PlannedName>> {
    let folder = ExperimentFolder::find(results, &ExperimentSource::find(experiment)?)?;
    let mut all: Vec<PlannedName> = Vec::new();
    for (at, record) in folder.sweep_records()?.iter().enumerate() {
        let asked = match asked(registry, experiment, record) {
            Ok(asked) => asked,
            Err(error) if at == 0 => return Err(error),
            // An older sweep may have used a method or a profile that the experiment does not have any more.
            Err(_) => continue,
        };
        if at == 0 || asked.iter().any(|run| running.contains(run.hash.as_str())) {
            let new: Vec<PlannedName> = asked.into_iter().filter(|run| !all.contains(run)).collect();
            all.extend(new);
        }
    }
    Ok(all)
}

fn asked(registry: &Registry, experiment: &str, record: &SweepRecord) -> Result<Vec<PlannedName>> {
    let plan = Plan::load(registry, experiment, &record.overrides())?;
    let runs = plan.runs(&record.data).into_iter();
    Ok(runs.map(|run| PlannedName { name: run.method.run_name(run.config.seed), hash: run.config.hash() }).collect())
}
