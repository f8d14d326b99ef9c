//! `mtcool status`: how far an experiment is.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use indicatif::HumanDuration;

use super::columns::in_columns;
use super::listing::{Listed, Listing, status_word};
use super::planned::{PlannedName, planned_names};
use crate::cli::OfExperiment;
use crate::output::print;
use crate::record::{
    Environment, EpochTimes, Status, missing_results, newest_position, parse_utc, read_rows, stored_runs, utc_text,
};
use crate::suite::{Registry, number_of};

/// The status of a finished run that lacks a file of its results.
const DAMAGED: &str = "damaged";
/// The status of a run that has not begun.
const WAITING: &str = "waiting";
/// The columns of a list of runs.
const HEAD: [&str; 4] = ["run", "status", "epochs done", "details"];

/// Prints a line per run of the last sweep, finished or not, and of other runs that are not over; and how far a search is.
///
/// # Errors
/// If the experiment is unknown or has no results.
pub(super) fn status(registry: &Registry, arguments: &OfExperiment) -> Result<()> {
    let listing = Listing::read(&arguments.experiment, &arguments.results)?;
    let is_running = |run: &&Listed| run.stored.status.status == Status::Running;
    let running = listing.runs.iter().filter(is_running).map(|run| run.stored.hash.as_str()).collect();
    let planned = planned_names(registry, &arguments.experiment, &arguments.results, &running);
    let now = SystemTime::now();
    let searched = search(&listing.folder.join("search"), now)?;
    let has_runs = planned.as_ref().is_ok_and(|planned| !planned.is_empty()) || !listing.runs.is_empty();
    ensure!(
        has_runs || !searched.is_empty(),
        "`{}` has no runs: start them with `mtcool reproduce {}`",
        listing.runs_folder().display(),
        arguments.experiment
    );
    let unknown = planned.as_ref().err().map(|error| format!("which runs wait is not known: {error:#}\n"));
    let told = if has_runs {
        text(&listing, &planned.unwrap_or_default(), now)
    } else {
        format!("{}: no run of a table has begun\n", listing.folder.display())
    };
    print(&(told + &unknown.unwrap_or_default() + &searched))
}

/// How far the search in `folder` is: how many runs of its trials have which status, and the runs that are not over; empty without a
/// search. Which runs wait is not known before the end of the rung that chooses them.
fn search(folder: &Path, now: SystemTime) -> Result<String> {
    if !folder.is_dir() {
        return Ok(String::new());
    }
    let index = stored_runs(&folder.join("runs"))?;
    let runs: Vec<Listed> = index.runs.into_iter().map(Listed::new).collect();
    let shown: Vec<(&Listed, &str)> = runs.iter().map(|run| (run, word_of(run))).collect();
    let counts = counts(&shown, 0);
    let is_open = |(run, word): &&(&Listed, &str)| !run.stored.status.status.is_over() || *word == DAMAGED;
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(shown.iter().filter(is_open).map(|(run, word)| line(run, word, now)));
    let open = if lines.len() > 1 { format!("\n{}", in_columns(&lines)) } else { String::new() };
    let damaged = index.damaged.iter();
    let damaged: String =
        damaged.map(|(run, error)| format!("cannot be read: `{}`: {error:#}\n", run.display())).collect();
    Ok(format!(
        "\nSearch in `{}`: {} of trials{}{}; its log is `{}`\n{open}{damaged}",
        folder.display(),
        number_of(runs.len(), "run"),
        if counts.is_empty() { "" } else { ": " },
        counts.join(", "),
        folder.join("log.jsonl").display()
    ))
}

/// Whether a run is finished, but a file of its results is gone.
fn is_damaged(run: &Listed) -> bool {
    run.stored.status.status == Status::Finished && missing_results(&run.stored.folder).is_some()
}

/// The line of a run in the list.
fn line(run: &Listed, word: &str, now: SystemTime) -> Vec<String> {
    vec![run.stored.name(), word.to_owned(), run.epochs(), details(run, now)]
}

/// The status of a run as a word.
fn word_of(run: &Listed) -> &'static str {
    if is_damaged(run) { DAMAGED } else { status_word(run.stored.status.status) }
}

/// The numbers of runs of each status that some have, in words: of `shown` with their status, and of `waiting` runs that have not begun.
fn counts(shown: &[(&Listed, &str)], waiting: usize) -> Vec<String> {
    let words = [
        status_word(Status::Finished),
        DAMAGED,
        status_word(Status::Running),
        WAITING,
        status_word(Status::Interrupted),
        status_word(Status::Failed),
    ];
    let begun = |word: &str| shown.iter().filter(|(_, of_run)| *of_run == word).count();
    let counts = words.into_iter().map(|word| (if word == WAITING { waiting } else { begun(word) }, word));
    counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect()
}

fn text(listing: &Listing, planned: &[PlannedName], now: SystemTime) -> String {
    let is_planned = |run: &Listed| planned.iter().any(|plan| plan.hash == run.stored.hash);
    let is_shown = |&(run, word): &(&Listed, &str)| is_planned(run) || word != status_word(Status::Finished);
    let shown: Vec<(&Listed, &str)> = listing.runs.iter().map(|run| (run, word_of(run))).filter(is_shown).collect();
    let waiting: Vec<&PlannedName> =
        planned.iter().filter(|plan| !listing.runs.iter().any(|run| run.stored.hash == plan.hash)).collect();
    let counts = counts(&shown, waiting.len());
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(shown.iter().map(|(run, word)| line(run, word, now)));
    lines.extend(waiting.iter().map(|plan| vec![plan.name.clone(), WAITING.into(), "-".into(), String::new()]));
    let finished_others = listing.runs.len() - shown.len();
    let others = match finished_others {
        0 => String::new(),
        1 => "\n1 finished run of other sweeps is not listed; `mtcool runs` lists it.\n".into(),
        count => format!("\n{count} finished runs of other sweeps are not listed; `mtcool runs` lists them.\n"),
    };
    let damaged: String = listing.damaged.iter().map(|damaged| format!("cannot be read: {damaged}\n")).collect();
    format!("{}: {}\n\n{}{others}{damaged}", listing.folder.display(), counts.join(", "), in_columns(&lines))
}

/// What there is to say about a run beside its status: where it is running and how long it will take, or how it ended.
fn details(run: &Listed, now: SystemTime) -> String {
    let status = &run.stored.status;
    let environment = Environment::read(&run.stored.folder).unwrap_or_default();
    let host = environment.host.clone().unwrap_or_else(|| "an unknown machine".into());
    match status.status {
        Status::Running => {
            let process = environment.process.map(|process| format!(" (process {process})")).unwrap_or_default();
            let since = environment.since.clone().map(|since| format!(" since {since}")).unwrap_or_default();
            let left = match time_left(run, &environment, now) {
                Some(left) => format!("about {} left", HumanDuration(left)),
                None => "the time left is known after its first checkpoint".into(),
            };
            let times = read_rows(&run.stored.folder.join("metrics.parquet")).ok();
            let times = times.and_then(|rows| EpochTimes::of_last_epoch(&rows));
            let times = times.map(|times| format!("; {}", times.words())).unwrap_or_default();
            format!("on {host}{process}{since}; {left}{times}")
        }
        Status::Interrupted => format!("last on {host}; the same command goes on"),
        Status::Failed => status.message.clone().unwrap_or_default(),
        Status::Finished if is_damaged(run) => {
            let missing = missing_results(&run.stored.folder).unwrap_or_default();
            format!(
                "`{}` is missing, so that no table has the run: restore it from a copy, or delete the folder of the run to run it again",
                missing.display()
            )
        }
        Status::Finished if status.updated > 0 => {
            let ended = SystemTime::UNIX_EPOCH + Duration::from_secs(status.updated);
            format!("on {host}, {}", utc_text(ended))
        }
        Status::Finished => String::new(),
    }
}

/// The time until a running run ends, evaluations included, if it goes on as fast as since its process took it up; `None` before
/// that process has written a checkpoint.
fn time_left(run: &Listed, environment: &Environment, now: SystemTime) -> Option<Duration> {
    let (position, written) = newest_position(&run.stored.folder.join("checkpoints")).ok()??;
    let spent = written.duration_since(parse_utc(environment.since.as_deref()?)?).ok()?;
    let done = position.batches.checked_sub(environment.batches_before).filter(|&done| done > 0)?;
    let rest = run.stored.status.budget.checked_sub(position.batches)?;
    let left = spent.mul_f64(rest as f64 / done as f64);
    Some(left.saturating_sub(now.duration_since(written).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DataIdentity, Overrides, Plan};
    use crate::record::{Claim, NetworkSize, Row, RunFolder, RunProgress, RunRecord};
    use crate::suite::DataRecord;

    /// A run of Joint in the folder `runs` that has ended or stopped with `status`.
    fn stopped(runs: &Path, seed: u64, status: Status) {
        let overrides = Overrides { profile: None, assignments: vec!["methods=[\"joint\"]".into()] };
        let plan = Plan::load(&Registry::builtin(), "table1", &overrides).unwrap();
        let config = plan.run_config(&plan.methods[0], seed, &DataIdentity::default());
        let Claim::Ours(folder) = RunFolder::claim(runs, &config, "joint").unwrap() else { panic!("not free") };
        let record = RunRecord { environment: Environment::of_process("cpu"), data: DataRecord::default() };
        let size = NetworkSize { parameters: 2, joint_parameters: 1 };
        let begun = folder.begin(&config, size, 10, RunProgress::default(), &record).unwrap();
        let (split, task, metric) = ("test".to_owned(), "even".to_owned(), "accuracy".to_owned());
        folder.write_rows(&[Row { step: 10, epoch: 1, split, task, metric, value: 99.0 }]).unwrap();
        folder.set_status(&begun, status, None, RunProgress { epoch: 1, ..RunProgress::default() }).unwrap();
    }

    #[test]
    fn a_search_is_told_with_its_runs_that_are_not_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("search");
        let told = || search(&folder, SystemTime::now()).unwrap();
        assert_eq!(told(), "");
        std::fs::create_dir(&folder).unwrap();
        assert!(told().contains("0 runs of trials; its log is `"), "{}", told());
        stopped(&folder.join("runs"), 0, Status::Finished);
        assert!(told().contains("1 run of trials: 1 finished; its log is `"), "{}", told());
        assert_eq!(told().lines().count(), 2, "{}", told());
        stopped(&folder.join("runs"), 1, Status::Interrupted);
        stopped(&folder.join("runs"), 2, Status::Failed);
        let told = told();
        assert!(told.contains("3 runs of trials: 1 finished, 1 interrupted, 1 failed; its log is `"), "{told}");
        assert!(told.contains("log.jsonl") && told.contains("joint-s1  interrupted"), "{told}");
        assert!(!told.contains("joint-s0") && !told.contains("joint-s2"), "{told}");
    }

    #[test]
    fn a_finished_run_without_its_results_is_damaged() {
        let place = tempfile::tempdir().unwrap();
        let runs = place.path().join("runs");
        stopped(&runs, 0, Status::Finished);
        stopped(&runs, 1, Status::Finished);
        let told = || {
            let index = stored_runs(&runs).unwrap();
            let runs = index.runs.into_iter().map(Listed::new).collect();
            text(&Listing { folder: place.path().into(), runs, damaged: Vec::new() }, &[], SystemTime::now())
        };
        assert!(
            told().contains("2 finished runs of other sweeps are not listed; `mtcool runs` lists them"),
            "{}",
            told()
        );
        let first = stored_runs(&runs).unwrap().runs.remove(0).folder;
        std::fs::remove_file(first.join("metrics.parquet")).unwrap();
        let told = told();
        assert!(told.contains(": 1 damaged\n") && told.contains("joint-s0  damaged"), "{told}");
        assert!(told.contains("metrics.parquet` is missing") && told.contains("restore it from a copy"), "{told}");
        assert!(told.contains("\n1 finished run of other sweeps is not listed; `mtcool runs` lists it.\n"), "{told}");
    }
}
