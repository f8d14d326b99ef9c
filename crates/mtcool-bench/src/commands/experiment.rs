//! `mtcool reproduce` and `mtcool report`: the runs and the table of an experiment.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mtcool_ops::open_device;
use serde::{Deserialize, Serialize};

use super::flags::overrides;
use crate::cli::{Report, Reproduce};
use crate::plan::{DataIdentity, DataSource, Overrides, Plan, experiment_name};
use crate::progress::Console;
use crate::record::{create_folder, read, write_whole};
use crate::report::{self, TableContext};
use crate::suite::{Caveat, Registry, Suite};
use crate::{logging, run};

/// `sweep.json`: the configuration of a sweep, so that a later report needs no flags.
#[derive(Serialize, Deserialize)]
struct SweepRecord {
    profile: Option<String>,
    assignments: Vec<String>,
    #[serde(flatten)]
    data: DataIdentity,
    #[serde(default)]
    caveats: Vec<Caveat>,
}

/// Runs an experiment and prints its table.
///
/// # Errors
/// If the experiment or its data is invalid, if a file cannot be written, or if runs failed. The table is printed also if runs
/// failed.
pub(super) fn reproduce(registry: &Registry, arguments: &Reproduce) -> Result<()> {
    let console = Console::default();
    let overrides = overrides(&arguments.config, registry);
    // The plan is checked before any download, so that a mistake in the file is found at once.
    let plan = Plan::load(registry, &arguments.experiment, &overrides)?;
    let overrides = overrides.with_variables();
    // The device is opened before any data is read, for the same reason.
    let device = open_device(&plan.experiment.device)?;
    ensure!(
        arguments.checkpoint_seconds >= 0.0 && arguments.checkpoint_seconds.is_finite(),
        "`--checkpoint-seconds` is {}: expected a number of seconds, at least 0",
        arguments.checkpoint_seconds
    );
    if let Some(threads) = arguments.threads {
        ensure!(threads >= 1, "`--threads` is 0: expected at least 1");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")?;
    }
    let folder = arguments.results.join(&plan.name);
    create_folder(&folder)?;
    logging::start(&console, Some(&folder.join("log.jsonl")))?;
    for method in &plan.methods {
        if let Some(warning) = method.settings.warning() {
            tracing::warn!("method.{}: {warning}", method.entry.name);
        }
    }
    let suite = prepare(&plan)?;
    let data = identity_of(suite.as_ref());
    let runs = plan.runs(&data);
    run::check(&plan, &runs, suite.as_ref(), &device)?;
    let Overrides { profile, assignments } = overrides;
    let record = SweepRecord { profile, assignments, data, caveats: suite.caveats() };
    write_whole(&folder.join("sweep.json"), &serde_json::to_vec_pretty(&record)?)?;
    let every = Duration::from_secs_f64(arguments.checkpoint_seconds);
    // The sweep runs inside the thread pool, so that the parallel parts of a step do not have to change the thread.
    let work = || run::sweep(&plan, &runs, suite.as_ref(), &device, &folder.join("runs"), every, &console);
    let outcome = rayon::scope(|_| work());
    let table = write_table(&plan, &record, &folder, Some(suite.as_ref()));
    let failures = outcome?;
    print!("{}", table?);
    ensure!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), runs.len(), failures.join("\n"));
    Ok(())
}

/// Writes and prints the table again from the finished runs.
///
/// # Errors
/// If there is nothing to report, or if files are damaged.
pub(super) fn report(registry: &Registry, arguments: &Report) -> Result<()> {
    logging::start(&Console::default(), None)?;
    let given = overrides(&arguments.config, registry);
    let folder = arguments.results.join(experiment_name(&arguments.experiment));
    let path = folder.join("sweep.json");
    let none_yet = || format!("nothing to report: run `cargo xtask reproduce {}` first", arguments.experiment);
    let record: SweepRecord =
        serde_json::from_slice(&read(&path).with_context(none_yet)?).with_context(|| path.display().to_string())?;
    let as_run = given.profile.is_none() && given.assignments.is_empty();
    let of_run = || Overrides { profile: record.profile.clone(), assignments: record.assignments.clone() };
    let plan = Plan::load(registry, &arguments.experiment, &if as_run { of_run() } else { given })?;
    let suite = open_again(&plan, &record.data);
    print!("{}", write_table(&plan, &record, &folder, suite.as_deref())?);
    Ok(())
}

/// Obtains the data from the configured source and opens it.
fn prepare(plan: &Plan) -> Result<Box<dyn Suite>> {
    let (config, dataset) = (&plan.experiment.data, &plan.dataset);
    let folder = config.folder_of(dataset);
    match config.source {
        DataSource::Fetch => (dataset.fetch)(&folder)?,
        DataSource::Synth => (dataset.synthesize)(&folder, config.synthetic)?,
        DataSource::Folder => {}
    }
    (dataset.open)(&folder, &plan.data_settings)
}

fn identity_of(suite: &dyn Suite) -> DataIdentity {
    DataIdentity { origin: suite.origin(), files: suite.identity() }
}

/// Opens the data of finished runs for the figure; `None`, with a warning, if that is not possible. The table needs no data.
fn open_again(plan: &Plan, data: &DataIdentity) -> Option<Box<dyn Suite>> {
    let open = || -> Result<Box<dyn Suite>> {
        let suite = (plan.dataset.open)(&plan.experiment.data.folder_of(&plan.dataset), &plan.data_settings)?;
        ensure!(identity_of(suite.as_ref()) == *data, "this data is not the data that the runs were trained on");
        Ok(suite)
    };
    let warn = |error: &anyhow::Error| tracing::warn!("no figure is drawn, since it needs the data: {error:#}");
    plan.spec.figure.is_some().then(open)?.inspect_err(warn).ok()
}

fn write_table(plan: &Plan, record: &SweepRecord, folder: &Path, suite: Option<&dyn Suite>) -> Result<String> {
    let SweepRecord { data, caveats, .. } = record;
    report::write(&TableContext { plan, data, caveats, folder }, suite)
}
