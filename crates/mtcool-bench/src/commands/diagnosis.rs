//! `mtcool reproduce EXPERIMENT --diagnose WHAT`: a sweep for a diagnosis instead of a table.

use anyhow::{Result, ensure};
use mtcool_ops::open_device;

use super::ended::Ended;
use super::experiment::{Ready, checkpoint_interval, planned, stopped};
use super::flags::named_runs;
use super::interrupt;
use crate::cli::Reproduce;
use crate::output::print;
use crate::plan::Diagnosis;
use crate::progress::Console;
use crate::record::stored_runs;
use crate::report::write_diagnosis;
use crate::run::Sweep;
use crate::suite::Registry;

/// Executes the runs of an experiment for `diagnosis`, in a folder of their own, and writes and prints its report.
///
/// # Errors
/// As for a table: if the data is invalid, if a file cannot be written, or if a run is not finished in the end.
pub(super) fn diagnose(registry: &Registry, arguments: &Reproduce, diagnosis: Diagnosis) -> Result<()> {
    let stop = interrupt::announced()?;
    let console = Console::default();
    let (plan, overrides) = planned(registry, &arguments.experiment, &arguments.config)?;
    let plan = plan.diagnosing(diagnosis)?;
    let device = open_device(&plan.experiment.device)?;
    let every = checkpoint_interval(&arguments.training)?;
    let Ready { folder, suite, record, runs } = Ready::open(&plan, overrides, &arguments.training.results, &console)?;
    let runs = plan.only(runs, &named_runs(&arguments.config)?)?;
    let folder = folder.diagnosis(diagnosis.name());
    let sweep = Sweep {
        plan: &plan,
        runs: &runs,
        suite: suite.as_ref(),
        device: &device,
        folder: &folder.join("runs"),
        checkpoint_every: every,
        waits: arguments.wait,
        stop: &stop,
    };
    sweep.check()?;
    tracing::warn!(
        "this reads the test split after every epoch; its figures are {}, and stand in no table",
        diagnosis.label()
    );
    interrupt::watch(&stop)?;
    let outcome = rayon::scope(|_| sweep.execute(&console))?;
    if let Some(ended) = stopped(&outcome, &format!("{} of {} runs are finished", outcome.finished, runs.len()), &stop)
    {
        return Err(ended.into());
    }
    if !outcome.elsewhere.is_empty() {
        return Err(Ended::left_to_others(&outcome.elsewhere).into());
    }
    let index = stored_runs(sweep.folder)?;
    for (path, error) in &index.damaged {
        tracing::warn!("`{}` is left out of the diagnosis: {error:#}", path.display());
    }
    print(&write_diagnosis(&plan, diagnosis, &record.data, &index.runs, &folder)?)?;
    let failures = outcome.failures;
    ensure!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), runs.len(), failures.join("\n"));
    Ok(())
}
