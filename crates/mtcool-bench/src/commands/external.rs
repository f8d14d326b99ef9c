//! The folders that an experiment names under `external`: checked before training, measured after it.

use anyhow::{Context, Result};

use crate::external::measure_and_keep;
use crate::plan::{DataIdentity, ExternalConfig, Plan};
use crate::record::{ExperimentFolder, Status, StoredRun, stored_runs};
use crate::suite::{ExternalFolder, Registry, TrainedOn};

fn folder_of<'a>(plan: &'a Plan, external: &'a ExternalConfig) -> ExternalFolder<'a> {
    ExternalFolder { folder: &external.folder, cache: plan.experiment.data.cache(), layout: &external.layout }
}

/// Opens each folder as for the runs that are to come, so that a mistake is found before training.
///
/// # Errors
/// If something is wrong with a folder or its settings.
pub(super) fn check(plan: &Plan, data: &DataIdentity) -> Result<()> {
    let Some(open) = plan.dataset.external else { return Ok(()) };
    for external in &plan.experiment.external {
        let seed = plan.experiment.seeds.all().first().copied().unwrap_or(0);
        let trained = TrainedOn { settings: &plan.data_settings, files: &data.files, seed };
        let set = open(trained, folder_of(plan, external)).with_context(|| format!("external.{}", external.name))?;
        for note in set.notes() {
            tracing::warn!("external.{}: {note}", external.name);
        }
    }
    Ok(())
}

/// Measures the finished runs of the table of `plan` on each folder, unless that has been done.
///
/// # Errors
/// If a folder cannot be read, or a run cannot be measured.
pub(super) fn measure(registry: &Registry, plan: &Plan, data: &DataIdentity, folder: &ExperimentFolder) -> Result<()> {
    if plan.experiment.external.is_empty() {
        return Ok(());
    }
    let index = stored_runs(&folder.runs())?;
    let is_in_table = |run: &&StoredRun| {
        run.status.status == Status::Finished && plan.has_run(&run.method, run.seed, &run.hash, data)
    };
    let runs: Vec<&StoredRun> = index.runs.iter().filter(is_in_table).collect();
    let work = || -> Result<()> {
        for external in &plan.experiment.external {
            for run in &runs {
                let kept = measure_and_keep(registry, &run.folder, &external.name, folder_of(plan, external));
                kept.with_context(|| format!("external.{}", external.name))?;
            }
        }
        Ok(())
    };
    // As in training, the parallel parts do not have to change the thread.
    rayon::scope(|_| work())
}
