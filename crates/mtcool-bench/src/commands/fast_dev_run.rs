//! `--fast-dev-run`: every row of an experiment goes the whole way in seconds, from the data to the report, and nothing is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mtcool_ops::open_device;
use tempfile::TempDir;

use super::ended::Ended;
use super::experiment::{checkpoint_interval, identity_of, planned, prepare, publish_table, warn};
use super::external;
use super::flags::named_runs;
use super::interrupt;
use crate::cli::{ConfigFlags, TrainingFlags};
use crate::logging;
use crate::output::Output;
use crate::progress::{Console, Display};
use crate::record::{ExperimentFolder, SweepRecord};
use crate::run::Sweep;
use crate::suite::{Extract, Registry, Suite, one_line};

/// Trains each row of `experiment` for one step, evaluates it on one batch of the validation part and one of the test part, and draws
/// the report; prints a line for each row.
///
/// # Errors
/// If the experiment or its data is invalid, if a row fails, or if the report cannot be drawn.
pub(super) fn fast_dev_run(
    registry: &Registry,
    experiment: &str,
    (config, flags): (&ConfigFlags, &TrainingFlags),
) -> Result<()> {
    let stop = interrupt::announced()?;
    let console = Console::new(Display::Lines, Arc::clone(&stop));
    let (plan, overrides) = planned(registry, experiment, config)?;
    let plan = plan.for_fast_dev_run();
    let device = open_device(&plan.experiment.device)?;
    checkpoint_interval(flags)?;
    logging::start(&console, None)?;
    warn(&plan);
    let results = temporary()?;
    let folder = ExperimentFolder::create(results.path(), &plan.source)?;
    let suite = shortened(prepare(&plan)?)?;
    let data = identity_of(&plan, suite.as_ref());
    external::check(&plan, &data)?;
    let runs = plan.only(plan.runs(&data), &named_runs(config)?)?;
    interrupt::watch(&stop)?;
    let mut output = Output::default();
    output.line(&format!(
        "Fast dev run of {}: a training step, a batch of validation and of test per row",
        plan.source.name
    ));
    let width = runs.iter().map(|run| run.method.entry.name.len()).max().unwrap_or(0);
    let mut failed = 0;
    for run in &runs {
        let started = Instant::now();
        let sweep = Sweep {
            plan: &plan,
            runs: std::slice::from_ref(run),
            suite: suite.as_ref(),
            device: &device,
            folder: &folder.runs(),
            checkpoint_every: Duration::MAX,
            waits: false,
            stop: &stop,
        };
        let failure = failure(&sweep, &console)?;
        if stop.load(Ordering::Relaxed) > 0 {
            let status = interrupt::exit_status(stop.load(Ordering::Relaxed));
            return Err(Ended { message: "interrupted; nothing was kept".into(), status }.into());
        }
        failed += usize::from(failure.is_some());
        let told = match failure {
            Some(message) => format!("FAILED: {message}"),
            None => format!("works ({:.1} s)", started.elapsed().as_secs_f64()),
        };
        output.line(&format!("  {:width$}  {told}", run.method.entry.name));
    }
    let (table, caveats) = (plan.table_id(&data), suite.caveats());
    let record = SweepRecord {
        profile: overrides.profile,
        assignments: overrides.assignments,
        data,
        caveats,
        table,
        files: Vec::new(),
        is_diagnosis: false,
    };
    if failed < runs.len() {
        publish_table(&plan, &record, &folder, Some(suite.as_ref()), true).context("the report")?;
    }
    results.close().context("the temporary folder of the results")?;
    let drawn = if failed < runs.len() { "The report was drawn. " } else { "" };
    output.line(&format!(
        "{drawn}Nothing was kept: no run, no table; only data that was fetched, drawn or decoded stays.",
    ));
    output.finish()?;
    ensure!(failed == 0, "{failed} of {} rows failed; the lines above say why", runs.len());
    Ok(())
}

/// Why the run of `sweep` fails; `None` if it works.
///
/// # Errors
/// If the temporary folder cannot be written, which says nothing about the run.
fn failure(sweep: &Sweep<'_>, console: &Console) -> Result<Option<String>> {
    if let Err(error) = sweep.check() {
        return Ok(Some(one_line(&error)));
    }
    // As in training, the parallel parts do not have to change the thread.
    Ok(rayon::scope(|_| sweep.execute(console))?.failures.pop())
}

/// A folder for results that is removed with the returned value.
fn temporary() -> Result<TempDir> {
    tempfile::Builder::new().prefix("mtcool-fast-dev-run-").tempdir().context("a temporary folder for the results")
}

/// The data with one batch in the validation part and in the test part, if it can be shortened.
fn shortened(suite: Box<dyn Suite>) -> Result<Box<dyn Suite>> {
    match suite.extract(Extract::OneBatch)? {
        Some(shorter) => Ok(shorter),
        None => {
            tracing::warn!(
                "this data set evaluates its whole validation part and test part: it has no `Suite::extract`"
            );
            Ok(suite)
        }
    }
}
