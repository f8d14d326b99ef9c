//! `mtcool status`: how far an experiment is.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use indicatif::HumanDuration;

use super::columns::in_columns;
use super::listing::{Listed, Listing, status_word};
use super::planned::{PlannedName, planned_names};
use crate::cli::OfExperiment;
use crate::output::print;
use crate::record::{Environment, EpochTimes, Status, newest_position, parse_utc, read_rows, utc_text};
use crate::suite::Registry;

/// Prints a line per run of the last sweep, finished or not, and of other runs that are not over.
///
/// # Errors
/// If the experiment is unknown or has no results.
pub(super) fn status(registry: &Registry, arguments: &OfExperiment) -> Result<()> {
    let listing = Listing::read(&arguments.experiment, &arguments.results)?;
    let is_running = |run: &&Listed| run.stored.status.status == Status::Running;
    let running = listing.runs.iter().filter(is_running).map(|run| run.stored.hash.as_str()).collect();
    let planned = planned_names(registry, &arguments.experiment, &arguments.results, &running);
    ensure!(
        planned.as_ref().is_ok_and(|planned| !planned.is_empty()) || !listing.runs.is_empty(),
        "`{}` has no runs: start them with `mtcool reproduce {}`",
        listing.runs_folder().display(),
        arguments.experiment
    );
    let unknown = planned.as_ref().err().map(|error| format!("which runs wait is not known: {error:#}\n"));
    let told = text(&listing, &planned.unwrap_or_default(), SystemTime::now());
    print(&(told + &unknown.unwrap_or_default()))
}

fn text(listing: &Listing, planned: &[PlannedName], now: SystemTime) -> String {
    let is_planned = |run: &&Listed| planned.iter().any(|plan| plan.hash == run.stored.hash);
    let is_shown = |run: &&Listed| is_planned(run) || run.stored.status.status != Status::Finished;
    let shown: Vec<&Listed> = listing.runs.iter().filter(is_shown).collect();
    let waiting: Vec<&PlannedName> =
        planned.iter().filter(|plan| !listing.runs.iter().any(|run| run.stored.hash == plan.hash)).collect();
    let count = |status: Status| shown.iter().filter(|run| run.stored.status.status == status).count();
    let counts = [
        (count(Status::Finished), status_word(Status::Finished)),
        (count(Status::Running), status_word(Status::Running)),
        (waiting.len(), "waiting"),
        (count(Status::Interrupted), status_word(Status::Interrupted)),
        (count(Status::Failed), status_word(Status::Failed)),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let mut lines = vec![["run", "status", "epochs done", "details"].map(str::to_owned).to_vec()];
    for run in &shown {
        let status = status_word(run.stored.status.status).to_owned();
        lines.push(vec![run.stored.name(), status, run.epochs(), details(run, now)]);
    }
    lines.extend(waiting.iter().map(|plan| vec![plan.name.clone(), "waiting".into(), "-".into(), String::new()]));
    let finished_others = listing.runs.len() - shown.len();
    let others = match finished_others {
        0 => String::new(),
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
