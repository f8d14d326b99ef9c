//! `mtcool reproduce` and `mtcool report`: the runs and the table of an experiment.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mtcool_data::Error as DataError;
use mtcool_ops::open_device;

use super::ended::Ended;
use super::external;
use super::flags::{named_runs, overrides};
use super::interrupt;
use super::nothing::nothing_matches;
use super::table_runs::{TableRuns, table_runs};
use crate::cli::{ConfigFlags, Report, Reproduce, TrainingFlags};
use crate::logging;
use crate::output::print;
use crate::plan::{DataIdentity, DataSource, ExperimentSource, Overrides, Plan, PlannedRun};
use crate::progress::Console;
use crate::record::{ExperimentFolder, Published, SweepRecord, create_folder, stored_runs};
use crate::report::{self, TableContext};
use crate::run::{Outcome, Sweep};
use crate::suite::{Caveat, DataPlace, Extract, Registry, Suite};

/// The longest time between checkpoints: a year.
const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 3600);
/// The largest number of threads; more cores than this are not in one machine.
const MOST_THREADS: usize = 4096;

/// Runs an experiment and prints its table.
///
/// # Errors
/// If the experiment or its data is invalid, if a file cannot be written, or if a run of the sweep is not finished in the end. The
/// table is printed also if runs failed.
pub(super) fn reproduce(registry: &Registry, arguments: &Reproduce) -> Result<()> {
    let stop = interrupt::announced()?;
    let console = Console::new(arguments.training.progress.into(), Arc::clone(&stop));
    let (plan, overrides) = planned(registry, &arguments.experiment, &arguments.config)?;
    // Like the plan, the device is checked before any data is read.
    let device = open_device(&plan.experiment.device)?;
    let every = checkpoint_interval(&arguments.training)?;
    let Ready { folder, suite, record, runs } = Ready::open(&plan, overrides, &arguments.training.results, &console)?;
    let runs = plan.only(runs, &named_runs(&arguments.config)?)?;
    let sweep = Sweep {
        plan: &plan,
        runs: &runs,
        suite: suite.as_ref(),
        device: &device,
        folder: &folder.runs(),
        checkpoint_every: every,
        waits: arguments.wait,
        stop: &stop,
    };
    sweep.check()?;
    external::check(&plan, &record.data)?;
    folder.begin_sweep(&record)?;
    interrupt::watch(&stop)?;
    // The sweep runs inside the thread pool, so that the parallel parts of a step do not have to change the thread.
    let outcome = rayon::scope(|_| sweep.execute(&console));
    if let Ok(outcome) = &outcome
        && let Some(ended) =
            stopped(outcome, &format!("{} of {} runs are finished", outcome.finished, runs.len()), &stop)
    {
        return Err(ended.into());
    }
    if let Ok(Outcome { elsewhere, .. }) = &outcome
        && !elsewhere.is_empty()
    {
        return Err(Ended::left_to_others(elsewhere).into());
    }
    let failures = if arguments.no_table {
        outcome?.failures
    } else {
        let measured = external::measure(registry, &plan, &record.data, &folder);
        let written = write_table(&plan, &record, &folder, Some(suite.as_ref()), arguments.force);
        let failures = outcome?.failures;
        written?;
        measured?;
        failures
    };
    ensure!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), runs.len(), failures.join("\n"));
    Ok(())
}

/// The plan of `experiment` with the flags `config`, and these flags with the `MTCOOL_*` variables. The plan is checked before any
/// download, so that a mistake in the file is found at once.
///
/// # Errors
/// If the experiment or a flag is invalid.
pub(super) fn planned(registry: &Registry, experiment: &str, config: &ConfigFlags) -> Result<(Plan, Overrides)> {
    let overrides = overrides(config)?;
    let plan = Plan::load(registry, experiment, &overrides)?;
    Ok((plan, overrides.with_variables()?))
}

/// An experiment whose data has been opened, so that its runs are known.
pub(super) struct Ready {
    /// The folder of its results.
    pub(super) folder: ExperimentFolder,
    /// Its data.
    pub(super) suite: Box<dyn Suite>,
    /// What its table will ask of the runs.
    pub(super) record: SweepRecord,
    /// All its runs, in the order of their execution.
    pub(super) runs: Vec<PlannedRun>,
}

impl Ready {
    /// Creates the experiment's folder in `results`, begins its log, and obtains and opens its data.
    ///
    /// # Errors
    /// If the folder belongs to another experiment or cannot be written, or if the data cannot be obtained or read.
    pub(super) fn open(plan: &Plan, overrides: Overrides, results: &Path, console: &Console) -> Result<Self> {
        let folder = ExperimentFolder::create(results, &plan.source)?;
        let place = plan.diagnosis.map_or_else(|| folder.path().to_owned(), |found| folder.diagnosis(found.name()));
        create_folder(&place)?;
        logging::start(console, Some(&place.join("log.jsonl")))?;
        warn(plan);
        let suite = prepare(plan)?;
        let data = identity_of(plan, suite.as_ref());
        let notes = plan.notes(&data);
        for note in &notes {
            tracing::warn!("{}", note.text);
        }
        let runs = plan.runs(&data);
        let Overrides { profile, assignments } = overrides;
        let (table, files, is_diagnosis) = (plan.table_id(&data), Vec::new(), plan.experiment.overfit.is_some());
        let record = SweepRecord {
            profile,
            assignments,
            data,
            caveats: [suite.caveats(), notes].concat(),
            table,
            files,
            is_diagnosis,
        };
        Ok(Self { folder, suite, record, runs })
    }
}

/// The time between checkpoints that `flags` ask for; also sets the number of threads.
///
/// # Errors
/// If a flag is out of range.
pub(super) fn checkpoint_interval(flags: &TrainingFlags) -> Result<Duration> {
    let every = Duration::try_from_secs_f64(flags.checkpoint_seconds);
    let every = every.ok().filter(|every| *every <= LONGEST_INTERVAL).with_context(|| {
        format!(
            "`--checkpoint-seconds` is {}: expected a number of seconds from 0 to {}",
            flags.checkpoint_seconds,
            LONGEST_INTERVAL.as_secs()
        )
    })?;
    if let Some(threads) = flags.threads {
        ensure!((1..=MOST_THREADS).contains(&threads), "`--threads` is {threads}: expected 1 to {MOST_THREADS}");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")?;
    }
    Ok(every)
}

/// Warns of settings that are valid but probably a mistake.
pub(super) fn warn(plan: &Plan) {
    for method in &plan.methods {
        if let Some(warning) = method.settings.warning() {
            tracing::warn!("method.{}: {warning}", method.entry.name);
        }
    }
}

/// The end of a process that a signal has asked to stop; `None` if it was not asked. `done` says what is finished.
pub(super) fn stopped(outcome: &Outcome, done: &str, stop: &AtomicUsize) -> Option<Ended> {
    let kept = outcome.interrupted.as_ref().map(|run| format!("{run}; ")).unwrap_or_default();
    let message = format!("interrupted: {kept}{done}. Nothing is lost: the same command goes on");
    outcome.is_stopped.then(|| Ended { message, status: interrupt::exit_status(stop.load(Ordering::Relaxed)) })
}

/// Writes and prints the table again from the finished runs.
///
/// # Errors
/// If there is nothing to report, or if files are damaged.
pub(super) fn report(registry: &Registry, arguments: &Report) -> Result<()> {
    logging::start(&Console::default(), None)?;
    let Remembered { plan, record, folder } =
        remembered(registry, &arguments.experiment, &arguments.config, &arguments.results)?;
    if let Err(error) = external::measure(registry, &plan, &record.data, &folder) {
        tracing::warn!("runs may lack results on external folders: {error:#}");
    }
    let suite = open_again(&plan, &record.data);
    write_table(&plan, &record, &folder, suite.as_deref(), arguments.force)
}

/// A table that has been written before, possibly with other flags.
pub(super) struct Remembered {
    /// Its experiment with the remembered flags and the given ones.
    pub(super) plan: Plan,
    /// Its record.
    pub(super) record: SweepRecord,
    /// The folder of its experiment.
    pub(super) folder: ExperimentFolder,
}

/// The table of `experiment` whose flags are those of its last table, with `config` added; a later assignment overrides an earlier one.
///
/// # Errors
/// If there is no table yet, or if no run has this configuration.
pub(super) fn remembered(
    registry: &Registry,
    experiment: &str,
    config: &ConfigFlags,
    results: &Path,
) -> Result<Remembered> {
    let given = overrides(config)?;
    let source = ExperimentSource::find(experiment)?;
    let folder = ExperimentFolder::find(results, &source)?;
    let records = folder.records()?;
    let last = records.first().with_context(|| {
        let place = folder.path().display();
        format!("nothing to report in `{place}`: run `mtcool reproduce {experiment}` first")
    })?;
    let mut overrides = last.overrides();
    overrides.profile = given.profile.or(overrides.profile);
    overrides.assignments.extend(given.assignments);
    let plan = Plan::load(registry, experiment, &overrides)?;
    let runs = stored_runs(&folder.runs())?;
    // Other flags may mean the data of an earlier table.
    let has_runs = |record: &&SweepRecord| {
        record.is_diagnosis == plan.experiment.overfit.is_some()
            && runs.runs.iter().any(|run| plan.has_run(&run.method, run.seed, &run.hash, &record.data))
    };
    let Some(of_data) = records.iter().find(has_runs) else {
        return Err(nothing_matches(&plan, &last.data, &runs.runs, experiment));
    };
    let Overrides { profile, assignments } = overrides;
    let table = plan.table_id(&of_data.data);
    let record = SweepRecord { profile, assignments, table, files: Vec::new(), ..of_data.clone() };
    Ok(Remembered { plan, record, folder })
}

/// Obtains the data from the configured source and opens it.
pub(super) fn prepare(plan: &Plan) -> Result<Box<dyn Suite>> {
    let (config, dataset) = (&plan.experiment.data, &plan.dataset);
    let folder = config.folder_of(dataset);
    let obtained = match config.source {
        DataSource::Fetch => (dataset.fetch)(&folder),
        DataSource::Synth => (dataset.synthesize)(&folder, config.synthetic.unwrap_or(dataset.synthetic)),
        DataSource::Folder => Ok(()),
    };
    obtained.map_err(|error| unwritable(error, &folder, "the folder of the data", "data.folder"))?;
    open(plan)
}

/// Opens the data in its folder.
fn open(plan: &Plan) -> Result<Box<dyn Suite>> {
    let config = &plan.experiment.data;
    let (folder, cache) = (config.folder_of(&plan.dataset), config.cache());
    let opened = (plan.dataset.open)(DataPlace { folder: &folder, cache }, &plan.data_settings);
    let suite = opened.map_err(|error| unwritable(error, cache, "the folder for decoded pictures", "data.cache"))?;
    let Some(count) = plan.experiment.overfit else { return Ok(suite) };
    let few = suite.extract(Extract::Overfit(usize::try_from(count)?))?;
    few.with_context(|| {
        format!(
            "`overfit` is {count}: the data set `{}` cannot take a few of its examples; leave it out",
            plan.dataset.name
        )
    })
}

/// The `error`; if it says that `folder` cannot be used, with what the folder is for and the setting that names another one.
pub(super) fn unwritable(error: anyhow::Error, folder: &Path, what: &str, key: &str) -> anyhow::Error {
    let is_inside = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<DataError>() {
        Some(DataError::Io { path, source }) => path.starts_with(folder) && source.kind() != ErrorKind::NotFound,
        _ => false,
    };
    if !error.chain().any(is_inside) {
        return error;
    }
    let remedy = format!("choose another folder with `--set {key}=DIR`, or make this one writable");
    error.context(format!("{what}, `{}`, cannot be used: {remedy}", folder.display()))
}

/// The identity of the data of `suite`.
pub(super) fn identity_of(plan: &Plan, suite: &dyn Suite) -> DataIdentity {
    let samples = (0..plan.spec.tasks.len()).map(|task| suite.samples(task) as u64).collect();
    DataIdentity { origin: suite.origin(), files: suite.identity(), samples }
}

/// Opens the data of finished runs.
///
/// # Errors
/// If it cannot be read, or if it is other data.
pub(super) fn open_data(plan: &Plan, data: &DataIdentity) -> Result<Box<dyn Suite>> {
    let suite = open(plan)?;
    ensure!(identity_of(plan, suite.as_ref()).is_same(data), "this data is not the data that the runs were trained on");
    Ok(suite)
}

/// Opens the data of finished runs for the figure; `None`, with a warning, if that is not possible. The table needs no data.
fn open_again(plan: &Plan, data: &DataIdentity) -> Option<Box<dyn Suite>> {
    let warn = |error: &anyhow::Error| tracing::warn!("no figure is drawn, since it needs the data: {error:#}");
    plan.spec.figure.is_some().then(|| open_data(plan, data))?.inspect_err(warn).ok()
}

/// Prints the table of all runs that `plan` asks for, and writes its files.
fn write_table(
    plan: &Plan,
    record: &SweepRecord,
    folder: &ExperimentFolder,
    suite: Option<&dyn Suite>,
    force: bool,
) -> Result<()> {
    let (markdown, is_main) = publish_table(plan, record, folder, suite, force)?;
    print(&markdown)?;
    if is_main {
        tracing::info!(
            "the page `{}` shows all of this; the table's files lie beside it",
            folder.path().join("report.html").display()
        );
    }
    Ok(())
}

/// Writes the files of the table of all runs that `plan` asks for; those without their files of results are left out with a warning and
/// a note. Returns the table as Markdown, and whether it is now the experiment's main one.
///
/// # Errors
/// If another file of a run is damaged, or if a file cannot be written.
pub(super) fn publish_table(
    plan: &Plan,
    record: &SweepRecord,
    folder: &ExperimentFolder,
    suite: Option<&dyn Suite>,
    force: bool,
) -> Result<(String, bool)> {
    let SweepRecord { data, caveats, .. } = record;
    let TableRuns { runs, note } = table_runs(&folder.runs(), plan, data)?;
    let new = folder.new_table()?;
    let caveats: Vec<Caveat> = caveats.iter().cloned().chain(note).collect();
    let overrides = record.overrides();
    let context = TableContext { plan, data, caveats: &caveats, overrides, runs: &runs, folder: new.path() };
    let markdown = report::write(&context, suite)?;
    let published = folder.publish(record, new.path(), force)?;
    let is_main = matches!(published, Published::Main);
    match published {
        Published::Main => {}
        Published::Apart(own) => tracing::info!(
            "the table of this diagnosis is in `{}`; the experiment's main table stays as it is",
            own.display()
        ),
        Published::Kept { path, there, here, own } => {
            let own = own.map(|own| format!("; this table is in `{}`", own.display())).unwrap_or_default();
            tracing::warn!(
                "`{}` was not replaced, since it has {there} results, and this table has {here}{own}; `--force` replaces it",
                path.display()
            );
        }
    }
    Ok((markdown, is_main))
}
