//! What each subcommand does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use figment::Figment;
use figment::value::Dict;
use mtcool_ops::open_device;
use serde::{Deserialize, Serialize};

use crate::cli::{Cli, Command, ConfigFlags, Data, Report, Reproduce};
use crate::config::{self, DataConfig, DataIdentity, DataSource, Experiment, Overrides, SyntheticConfig};
use crate::datasets::{Caveat, Suite};
use crate::methods::{METHODS, MethodEntry};
use crate::progress::Console;
use crate::record::{create_folder, read, write_whole};
use crate::report::{self, TableContext};
use crate::{datasets, logging, predict, sweep};

/// Carries out a command line.
///
/// # Errors
/// In words for whoever typed it.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Reproduce(arguments) => reproduce(&arguments),
        Command::Report(arguments) => report(&arguments),
        Command::Predict(arguments) => {
            logging::start(&Console::default(), None)?;
            predict::run(&arguments)
        }
        Command::Data(arguments) => data(arguments),
        Command::Methods => {
            print!("{}", methods_table());
            Ok(())
        }
    }
}

/// What a sweep was started with, so that a report needs no flags: `sweep.json`.
#[derive(Serialize, Deserialize)]
struct SweepRecord {
    profile: Option<String>,
    assignments: Vec<String>,
    #[serde(flatten)]
    data: DataIdentity,
    #[serde(default)]
    caveats: Vec<Caveat>,
}

fn reproduce(arguments: &Reproduce) -> Result<()> {
    let console = Console::default();
    let overrides = overrides(&arguments.config);
    let (experiment, figment, name) = load(&arguments.experiment, &overrides)?;
    let overrides = overrides.with_variables();
    // Before any download: a mistake in the file should not cost one.
    let checked = config::resolve(&name, &experiment, &figment, &DataIdentity::default())?;
    // And before any data is looked at, whether there is such a device.
    let device = open_device(&experiment.device)?;
    let dataset = datasets::find(&experiment.dataset)?;
    ensure!(
        arguments.checkpoint_seconds >= 0.0 && arguments.checkpoint_seconds.is_finite(),
        "`--checkpoint-seconds` is {}: expected a number of seconds, at least 0",
        arguments.checkpoint_seconds
    );
    if let Some(threads) = arguments.threads {
        ensure!(threads >= 1, "`--threads` is 0: expected at least 1");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")?;
    }
    let folder = arguments.results.join(&name);
    create_folder(&folder)?;
    logging::start(&console, Some(&folder.join("log.jsonl")))?;
    for (run, settings) in checked.iter().filter(|(run, _)| run.seed == 0) {
        if let Some(warning) = settings.warning() {
            tracing::warn!("method.{}: {warning}", run.method);
        }
    }
    let suite = dataset.prepare(&experiment.data, &config::data_settings(&experiment, &figment)?)?;
    let data = identity_of(suite.as_ref());
    let runs = config::resolve(&name, &experiment, &figment, &data)?;
    sweep::check(&runs, suite.as_ref(), &device)?;
    let Overrides { profile, assignments } = overrides;
    let record = SweepRecord { profile, assignments, data, caveats: suite.caveats() };
    write_whole(&folder.join("sweep.json"), &serde_json::to_vec_pretty(&record)?)?;
    let every = Duration::from_secs_f64(arguments.checkpoint_seconds);
    // Inside the thread pool: the parallel parts of a step then need no hand-over from one thread to another.
    let work = || sweep::sweep(&runs, suite.as_ref(), &device, &folder.join("runs"), every, &console);
    let outcome = rayon::scope(|_| work());
    let table = write_table(&name, &experiment, &figment, &record, &folder, Some(suite.as_ref()));
    let failures = outcome?;
    print!("{}", table?);
    ensure!(failures.is_empty(), "{} of {} runs failed:\n{}", failures.len(), runs.len(), failures.join("\n"));
    Ok(())
}

fn report(arguments: &Report) -> Result<()> {
    logging::start(&Console::default(), None)?;
    let given = overrides(&arguments.config);
    let name = experiment_name(&arguments.experiment);
    let folder = arguments.results.join(&name);
    let path = folder.join("sweep.json");
    let none_yet = || format!("nothing to report: run `cargo xtask reproduce {}` first", arguments.experiment);
    let record: SweepRecord =
        serde_json::from_slice(&read(&path).with_context(none_yet)?).with_context(|| path.display().to_string())?;
    let as_run = given.profile.is_none() && given.assignments.is_empty();
    let of_run = || Overrides { profile: record.profile.clone(), assignments: record.assignments.clone() };
    let overrides = if as_run { of_run() } else { given };
    let (experiment, figment, name) = load(&arguments.experiment, &overrides)?;
    let suite = open_again(&experiment, &figment, &record.data);
    print!("{}", write_table(&name, &experiment, &figment, &record, &folder, suite.as_deref())?);
    Ok(())
}

fn identity_of(suite: &dyn Suite) -> DataIdentity {
    DataIdentity { origin: suite.origin(), files: suite.identity() }
}

/// The data of finished runs, for the figure; a table needs none.
fn open_again(experiment: &Experiment, figment: &Figment, data: &DataIdentity) -> Option<Box<dyn Suite>> {
    let open = || -> Result<Box<dyn Suite>> {
        let dataset = datasets::find(&experiment.dataset)?;
        let settings = config::data_settings(experiment, figment)?;
        let suite = (dataset.open)(&dataset.folder(&experiment.data), &settings)?;
        ensure!(identity_of(suite.as_ref()) == *data, "the data there is not what the runs were made from");
        Ok(suite)
    };
    let dataset = datasets::find(&experiment.dataset).ok()?;
    let warn = |error: &anyhow::Error| tracing::warn!("no figure is drawn, since it needs the data: {error:#}");
    dataset.has_figure.then(open)?.inspect_err(warn).ok()
}

fn write_table(
    name: &str,
    experiment: &Experiment,
    figment: &Figment,
    record: &SweepRecord,
    folder: &Path,
    suite: Option<&dyn Suite>,
) -> Result<String> {
    let SweepRecord { data, caveats, .. } = record;
    report::write(&TableContext { name, experiment, figment, data, caveats, folder }, suite)
}

fn data(arguments: Data) -> Result<()> {
    logging::start(&Console::default(), None)?;
    let place = |dataset: &str, folder: Option<PathBuf>, source| -> Result<_> {
        let entry = datasets::find(dataset)?;
        let config = DataConfig { source, folder, synthetic: entry.synthetic, settings: Dict::new() };
        Ok((entry, entry.folder(&config)))
    };
    let (entry, folder) = match arguments {
        Data::Fetch { dataset, data } => {
            let (entry, folder) = place(&dataset, data, DataSource::Fetch)?;
            (entry.fetch)(&folder)?;
            (entry, folder)
        }
        Data::Synth { dataset, data, train, test, seed, shrink } => {
            let (entry, folder) = place(&dataset, data, DataSource::Synth)?;
            let usual = entry.synthetic;
            let (train, test) = (train.unwrap_or(usual.train), test.unwrap_or(usual.test));
            let shrink = shrink.unwrap_or(usual.shrink);
            (entry.synthesize)(&folder, SyntheticConfig { train, test, seed, shrink })?;
            (entry, folder)
        }
        Data::Verify { dataset, data } => place(&dataset, data, DataSource::Folder)?,
    };
    println!("`{}` holds {}", folder.display(), (entry.verify)(&folder)?);
    Ok(())
}

/// Columns as wide as what stands in them, two spaces apart.
fn methods_table() -> String {
    let header = ["NAME", "IN TABLES", "KIND", "WHAT IT DOES", "WHAT A STEP NEEDS", "PAPER"];
    let row = |entry: &MethodEntry| {
        [entry.name, entry.label, entry.kind.label(), entry.summary, entry.needs, entry.reference]
    };
    let rows: Vec<_> = std::iter::once(header).chain(METHODS.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &[&str; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}  "));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn load(experiment: &str, overrides: &Overrides) -> Result<(Experiment, Figment, String)> {
    let (source, text) = config::find_experiment(experiment)?;
    let (loaded, figment) = config::load(&source, &text, overrides)?;
    Ok((loaded, figment, experiment_name(experiment)))
}

/// The folder's name: that of the file without its extension.
fn experiment_name(experiment: &str) -> String {
    Path::new(experiment).file_stem().map_or_else(|| experiment.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Flags as assignments.
fn overrides(flags: &ConfigFlags) -> Overrides {
    let text = |value: &str| toml::Value::from(value).to_string();
    let mut assignments = Vec::new();
    if let Some(seeds) = flags.seeds {
        assignments.push(format!("seeds={seeds}"));
    }
    match flags.methods.as_deref() {
        Some([all]) if all == "all" => {
            let names: Vec<_> = METHODS.iter().map(|entry| text(entry.name)).collect();
            assignments.push(format!("methods=[{}]", names.join(",")));
        }
        Some(methods) => {
            let names: Vec<_> = methods.iter().map(|name| text(name.trim())).collect();
            assignments.push(format!("methods=[{}]", names.join(",")));
        }
        None => {}
    }
    if let Some(device) = &flags.device {
        assignments.push(format!("device={}", text(device)));
    }
    match flags.data.as_deref() {
        Some("synth") => assignments.push("data.source=\"synth\"".into()),
        Some(folder) => {
            assignments.push("data.source=\"folder\"".into());
            assignments.push(format!("data.folder={}", text(folder)));
        }
        None => {}
    }
    assignments.extend(flags.assignments.iter().cloned());
    Overrides { profile: flags.profile.clone(), assignments }
}
