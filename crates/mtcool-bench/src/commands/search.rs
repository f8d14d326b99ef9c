//! `mtcool search`: good settings of the methods, found by the validation split.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use mtcool_ops::open_device;

use super::experiment::{checkpoint_interval, identity_of, prepare, stopped, warn};
use super::flags::overrides;
use super::interrupt;
use crate::cli;
use crate::logging;
use crate::output::print;
use crate::plan::{ExperimentSource, Overrides, Plan, Search, Winner, with_winners};
use crate::progress::Console;
use crate::record::{ExperimentFolder, TrialRecord, create_folder, utc_text, write_trials, write_whole};
use crate::report::SearchReport;
use crate::run::Halving;
use crate::suite::{Registry, number_of};

/// Searches the settings of the experiment's methods, writes all trials and the report, and prints the report.
///
/// # Errors
/// If the experiment, its spaces or its data are invalid, if a file cannot be written, or if the process is asked to stop.
pub(super) fn search(registry: &Registry, arguments: &cli::Search) -> Result<()> {
    let stop = interrupt::announced()?;
    let console = Console::new(arguments.training.progress.into(), Arc::clone(&stop));
    let mut given = overrides(&arguments.config)?;
    given.assignments.extend(arguments.trials.map(|trials| format!("search.trials={trials}")));
    let source = ExperimentSource::find(&arguments.experiment)?;
    let (plan, search) = Search::load(registry, &source, &given)?;
    let given = given.with_variables()?;
    let device = open_device(&plan.experiment.device)?;
    let every = checkpoint_interval(&arguments.training)?;
    let folder = ExperimentFolder::create(&arguments.training.results, &source)?.search();
    create_folder(&folder)?;
    logging::start(&console, Some(&folder.join("log.jsonl")))?;
    warn(&plan);
    for method in
        plan.methods.iter().filter(|method| search.spaces.iter().all(|space| space.method != *method.entry.name))
    {
        tracing::warn!("{} is not searched: `search.{}` is missing", method.entry.name, method.entry.name);
    }
    let suite = prepare(&plan)?;
    let data = identity_of(&plan, suite.as_ref());
    let runs = folder.join("runs");
    let halving = Halving {
        registry,
        source: &source,
        overrides: &given,
        search: &search,
        suite: suite.as_ref(),
        data: &data,
        device: &device,
        runs: &runs,
        checkpoint_every: every,
        stop: &stop,
    };
    interrupt::watch(&stop)?;
    let mut trials = Vec::new();
    let known = |records: &[TrialRecord]| {
        trials = records.to_vec();
        write_trials(&folder, records)
    };
    let outcome = rayon::scope(|_| halving.execute(&console, known))?;
    let done = trials.iter().map(|trial: &TrialRecord| trial.rung + 1).max().unwrap_or(0);
    if let Some(ended) = stopped(&outcome, &format!("{done} of {} rungs are finished", search.rungs.len()), &stop) {
        return Err(ended.into());
    }
    let caveats = suite.caveats();
    let report = SearchReport {
        plan: &plan,
        search: &search,
        overrides: &given,
        data: &data,
        caveats: &caveats,
        trials: &trials,
    };
    print(&report.write(&folder)?)?;
    if arguments.write {
        print(&write(registry, (&source, &plan), &given, (&search, &trials), &report.command())?)?;
    }
    Ok(())
}

/// Writes the best settings into the experiment's file, if it has one. Returns what to print.
///
/// # Errors
/// If every trial diverged, if the file was changed meanwhile or cannot be written, or if it would not be valid any more.
fn write(
    registry: &Registry,
    (source, plan): (&ExperimentSource, &Plan),
    given: &Overrides,
    (search, trials): (&Search, &[TrialRecord]),
    command: &str,
) -> Result<String> {
    let day = utc_text(SystemTime::now());
    let day = day.split('T').next().unwrap_or_default();
    let seeds: Vec<String> = plan.experiment.seeds.all().iter().map(u64::to_string).collect();
    let winner = |method: &str| {
        let best = TrialRecord::best_of(trials, method)?;
        let origin = format!(
            "trial {} of {}, score {:.3} on the validation split after {}, seed{} {}, {day}",
            best.trial,
            search.trials,
            best.score?,
            number_of(best.epochs, "epoch"),
            if seeds.len() == 1 { "" } else { "s" },
            seeds.join(", ")
        );
        Some(Winner { method: method.to_owned(), settings: best.settings.clone(), origin })
    };
    let winners: Vec<Winner> = search.spaces.iter().filter_map(|space| winner(&space.method)).collect();
    ensure!(!winners.is_empty(), "every trial diverged, so that there is nothing to write");
    let profile = given.profile.as_deref().unwrap_or("default");
    let Some(file) = &source.file else {
        let lines = with_winners("", profile, command, &winners)?;
        return Ok(format!("\nThe experiment has no file to write into; these are its lines:\n\n{lines}"));
    };
    let text = with_winners(&source.text, profile, command, &winners)?;
    let written = ExperimentSource { text: text.clone(), ..source.clone() };
    Search::load(registry, &written, given)
        .context("with the best settings the file would not be valid, so it stays as it is")?;
    write_winners(file, source, &text)?;
    Ok(format!("\nThe best settings are in `{}`, in the tables `[{profile}.method.*]`.\n", file.display()))
}

/// Writes `text` into `file`, unless someone has changed the file since the search began.
fn write_winners(file: &Path, source: &ExperimentSource, text: &str) -> Result<()> {
    let is_unchanged = std::fs::read_to_string(file).is_ok_and(|present| present == source.text);
    ensure!(
        is_unchanged,
        "`{}` was changed while the search ran, so that nothing is written into it; start the same command again",
        file.display()
    );
    Ok(write_whole(file, text.as_bytes())?)
}
