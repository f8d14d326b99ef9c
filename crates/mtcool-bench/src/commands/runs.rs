//! `mtcool runs`: the list of an experiment's runs, the check of their files, and their removal.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use super::columns::{as_csv, in_columns};
use super::listing::{Listed, Listing, status_word};
use crate::cli::{OfExperiment, Runs, RunsAction};
use crate::output::print;
use crate::plan::StoredConfig;
use crate::record::{Settings, Status, damaged_files, differing_keys, final_rows, read_rows, remove_run};
use crate::suite::{Column, Registry, number_of};

/// Lists, checks or removes runs.
///
/// # Errors
/// If the experiment or a condition is unknown; if a file is damaged; if runs could not be removed.
pub(super) fn runs(registry: &Registry, arguments: &Runs) -> Result<()> {
    match (&arguments.action, &arguments.experiment) {
        (Some(RunsAction::Verify(of)), _) => verify(of),
        (Some(RunsAction::Rm { of, conditions, yes }), _) => remove(of, conditions, *yes),
        (None, Some(experiment)) => {
            let listing = Listing::read(experiment, &arguments.results)?;
            let runs = listing.select(&arguments.conditions)?;
            let (table, mut damaged) = table(registry, &runs);
            damaged.extend(listing.damaged.iter().cloned());
            if arguments.csv {
                print(&as_csv(&table))?;
            } else {
                print(&format!("{}\n\n{}\n", summary(&listing, &runs), in_columns(&table)))?;
            }
            ensure!(damaged.is_empty(), "these runs cannot be read:\n{}", damaged.join("\n"));
            Ok(())
        }
        (None, None) => bail!("name an experiment, such as `table1`"),
    }
}

/// A sentence with the number of runs of each status.
fn summary(listing: &Listing, runs: &[&Listed]) -> String {
    let of = |status: Status| {
        let count = runs.iter().filter(|run| run.stored.status.status == status).count();
        (count > 0).then(|| format!("{count} {}", status_word(status)))
    };
    let counts = [Status::Finished, Status::Running, Status::Interrupted, Status::Failed].into_iter().filter_map(of);
    let counts: Vec<String> = counts.collect();
    let (all, folder) = (listing.runs.len(), listing.runs_folder());
    let shown =
        if runs.len() == all { number_of(all, "run") } else { format!("{} of {}", runs.len(), number_of(all, "run")) };
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    format!("{shown} in `{}`{counts}", folder.display())
}

/// A line of names, then a line per run: names, the settings that differ, and the final value of each of the table's columns;
/// and the reasons why metrics cannot be read.
fn table(registry: &Registry, runs: &[&Listed]) -> (Vec<Vec<String>>, Vec<String>) {
    let keys = keys_to_show(runs);
    let columns = columns(registry, runs);
    let mut head: Vec<String> = ["label", "seed", "status", "epochs"].map(str::to_owned).into();
    head.extend(keys.iter().cloned());
    head.extend(columns.iter().map(Column::key));
    head.push("run".into());
    let (mut table, mut damaged) = (vec![head], Vec::new());
    for run in runs {
        let status = status_word(run.stored.status.status).to_owned();
        let mut line = vec![run.stored.label.clone(), run.stored.seed.to_string(), status, run.epochs()];
        line.extend(keys.iter().map(|key| run.settings.get(key).cloned().unwrap_or_else(|| "-".into())));
        match values(run, &columns) {
            Ok(values) => line.extend(values),
            Err(error) => {
                line.extend(columns.iter().map(|_| "damaged".to_owned()));
                damaged.push(format!("{}: {error:#}", run.folder_name()));
            }
        }
        line.push(run.folder_name());
        table.push(line);
    }
    (table, damaged)
}

/// The settings on which runs differ. Of a method's own settings, only those on which runs of one method differ, since other
/// methods have other settings.
fn keys_to_show(runs: &[&Listed]) -> Vec<String> {
    let is_own = |key: &String| key.starts_with("settings.");
    let all = differing_keys(runs.iter().map(|run| &run.settings)).into_iter().filter(|key| !is_own(key));
    let methods: BTreeSet<&str> = runs.iter().map(|run| run.stored.method.as_str()).collect();
    let of_method = |method: &str| -> BTreeSet<String> {
        let same: Vec<&Settings> =
            runs.iter().filter(|run| run.stored.method == method).map(|run| &run.settings).collect();
        differing_keys(same)
    };
    let own = methods.into_iter().flat_map(of_method).filter(is_own);
    all.chain(own).collect::<BTreeSet<String>>().into_iter().collect()
}

/// The columns of the experiment's table; empty if this program does not know its data set.
fn columns(registry: &Registry, runs: &[&Listed]) -> Vec<Column> {
    let of_run = |run: &&Listed| -> Result<Vec<Column>> {
        let stored = StoredConfig::parse(&toml::to_string(&run.stored.config.table)?)?;
        Ok((registry.dataset(&stored.dataset)?.spec)(&stored.data)?.columns)
    };
    runs.iter().find_map(|run| of_run(run).ok()).unwrap_or_default()
}

/// The final value of each column on the split that the run reports; `-` where there is none yet.
fn values(run: &Listed, columns: &[Column]) -> Result<Vec<String>> {
    if run.stored.status.status != Status::Finished {
        return Ok(vec!["-".to_owned(); columns.len()]);
    }
    let split = run.settings.get("report").map_or("test", String::as_str);
    let rows = read_rows(&run.stored.folder.join("metrics.parquet"))?;
    let last = final_rows(&rows, run.stored.status.selected_epoch);
    let value = |column: &Column| {
        let found =
            last.iter().find(|row| row.split == split && row.task == column.task && row.metric == column.metric);
        found.map_or_else(|| "-".to_owned(), |row| format!("{:.4}", row.value))
    };
    Ok(columns.iter().map(value).collect())
}

/// Checks every file of every finished run.
fn verify(of: &OfExperiment) -> Result<()> {
    let listing = Listing::read(&of.experiment, &of.results)?;
    let (mut whole, mut unfinished, mut without_list) = (0_usize, 0_usize, Vec::new());
    let mut damaged = listing.damaged.clone();
    let mut damaged_runs = damaged.len();
    for run in &listing.runs {
        match damaged_files(&run.stored.folder) {
            Ok(Some(files)) if files.is_empty() => whole += 1,
            Ok(Some(files)) => {
                damaged_runs += 1;
                damaged.extend(files.iter().map(|file| format!("{}: {file}", run.folder_name())));
            }
            Ok(None) if run.stored.status.status == Status::Finished => without_list.push(run.folder_name()),
            Ok(None) => unfinished += 1,
            Err(error) => {
                damaged_runs += 1;
                damaged.push(format!("{}: {error:#}", run.folder_name()));
            }
        }
    }
    let place = listing.runs_folder();
    let others = match damaged_runs {
        0 => String::new(),
        count => format!("{} damaged; of the others, ", number_of(count, "run")),
    };
    let mut told =
        format!("`{}`: {others}all files as they were written: {}.\n", place.display(), number_of(whole, "run"));
    if unfinished > 0 {
        told += &format!("Not checked, since they are not finished: {}.\n", number_of(unfinished, "run"));
    }
    if !without_list.is_empty() {
        told += &format!(
            "Not checked, since an earlier version made no list of their files: {}.\n",
            without_list.join(", ")
        );
    }
    print(&told)?;
    ensure!(
        damaged.is_empty(),
        "damaged or missing; restore from a copy, or remove the run (`mtcool runs rm`) and run it again:\n{}",
        damaged.join("\n")
    );
    Ok(())
}

/// Removes the runs for which the conditions hold, after a question.
fn remove(of: &OfExperiment, conditions: &str, yes: bool) -> Result<()> {
    let listing = Listing::read(&of.experiment, &of.results)?;
    let runs = listing.select(conditions)?;
    ensure!(
        !runs.is_empty(),
        "no run in `{}` fulfils `{conditions}`; `mtcool runs {}` lists all runs",
        listing.runs_folder().display(),
        of.experiment
    );
    let lines: Vec<Vec<String>> = runs
        .iter()
        .map(|run| vec![run.folder_name(), status_word(run.stored.status.status).to_owned(), run.epochs()])
        .collect();
    print(&in_columns(&lines))?;
    if !yes {
        print(&format!("Remove {} with everything computed? [y/N] ", number_of(runs.len(), "run")))?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).context("standard input")?;
        ensure!(
            ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()),
            "nothing was removed; answer `y`, or give `--yes`"
        );
    }
    let mut kept = Vec::new();
    for run in &runs {
        if !remove_run(&listing.runs_folder(), &run.stored)? {
            kept.push(run.folder_name());
        }
    }
    let removed = number_of(runs.len() - kept.len(), "run");
    print(&format!("Removed: {removed}. Tables keep their numbers until `mtcool report`.\n"))?;
    ensure!(kept.is_empty(), "these runs were kept, since a process is working on them: {}", kept.join(", "));
    Ok(())
}
