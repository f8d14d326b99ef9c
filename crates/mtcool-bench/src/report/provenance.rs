//! "Where this comes from": the settings, programs, machines and data of a table's runs, and the command that repeats them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::context::TableContext;
use super::row::TableRow;
use crate::plan::{ExperimentSource, Overrides};
use crate::record::{RecordedRun, Settings, differing_keys, settings_of, shell_word};
use crate::suite::number_of;

/// Where the numbers of a table come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// Number of finished runs.
    pub runs: usize,
    /// When the first run began and when the last one ended, in UTC, if that is known.
    pub period: Option<(String, String)>,
    /// The programs that made the runs, each with its number of runs.
    pub programs: Vec<(String, usize)>,
    /// The machines on which the runs were made, each with its number of runs.
    pub machines: Vec<(String, usize)>,
    /// Facts about the data: name, digest, and which samples train, select and test.
    pub data: Vec<String>,
    /// The settings that all rows have in common: (dotted key, value).
    pub common: Vec<(String, String)>,
    /// What differs between the rows.
    pub rows: Vec<RowOrigin>,
    /// The command that makes the runs again.
    pub command: String,
}

/// What a row has for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowOrigin {
    /// The row's label in the table.
    pub label: String,
    /// The seeds of its runs.
    pub seeds: Vec<u64>,
    /// The settings in which it differs from another row: (dotted key, value).
    pub settings: Vec<(String, String)>,
}

/// The largest number of names that are listed; of more, only the number is told.
const FEW: usize = 3;
/// Tables of a configuration that describe the data and have a line of their own.
const OF_DATA: [&str; 2] = ["origin", "files"];

impl Provenance {
    /// Collects what `runs`, the finished runs of `rows`, say about themselves.
    pub fn collect(context: &TableContext<'_>, rows: &[TableRow], runs: &[RecordedRun]) -> Self {
        let of_row = |row: &TableRow| -> Vec<&RecordedRun> {
            runs.iter().filter(|run| run.stored.label == *row.method.name).collect()
        };
        let settings: Vec<Settings> = runs.iter().map(|run| settings_of(&run.stored.config)).collect();
        let differing = differing_keys(&settings);
        let split = |all: &Settings, is_wanted: &dyn Fn(&String) -> bool| -> Vec<(String, String)> {
            let is_of_data = |key: &String| OF_DATA.iter().any(|table| key.split('.').next() == Some(table));
            let wanted = all.iter().filter(|(key, _)| is_wanted(key) && !is_of_data(key));
            wanted.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let origin = |row: &TableRow| {
            let runs = of_row(row);
            let first = settings_of(&runs.first()?.stored.config);
            let settings = split(&first, &|key| differing.contains(key));
            let seeds = runs.iter().map(|run| run.stored.seed).collect();
            Some(RowOrigin { label: row.method.label.to_string(), seeds, settings })
        };
        let start = runs.iter().filter_map(RecordedRun::started).min();
        let end = runs.iter().filter_map(RecordedRun::ended).max();
        Self {
            runs: runs.len(),
            period: start.zip(end),
            programs: counted(runs.iter().map(program)),
            machines: counted(runs.iter().map(machine)),
            data: data(context, runs),
            common: settings.first().map(|first| split(first, &|key| !differing.contains(key))).unwrap_or_default(),
            rows: rows.iter().filter_map(origin).collect(),
            command: command(context, rows),
        }
    }

    /// The block below a table.
    pub fn markdown(&self) -> String {
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(|(key, value)| format!("`{key}` {value}")).collect::<Vec<_>>().join(", ")
        };
        let each = |all: &[(String, usize)]| match all {
            [(only, _)] => only.clone(),
            several => {
                let several = several.iter().map(|(text, runs)| format!("{text} ({})", number_of(*runs, "run")));
                several.collect::<Vec<_>>().join("; ")
            }
        };
        let mut lines = Vec::new();
        if self.runs > 0 {
            let period = self.period.as_ref().map(|(start, end)| format!(", made from {start} to {end}"));
            lines.push(format!(
                "Runs: {}{}, {}; `runs.csv` and `runs.parquet` have every run of every number.",
                self.runs,
                period.unwrap_or_default(),
                self.seeds()
            ));
            lines.push(format!("Program: {}.", each(&self.programs)));
            lines.push(format!("Machine: {}.", each(&self.machines)));
        }
        lines.extend(self.data.iter().map(|fact| format!("Data: {fact}.")));
        if !self.common.is_empty() {
            lines.push(format!("Settings of all rows: {}.", pairs(&self.common)));
        }
        let own = self.rows.iter().filter(|row| !row.settings.is_empty());
        let own: Vec<String> = own.map(|row| format!("{}: {}", row.label, pairs(&row.settings))).collect();
        if !own.is_empty() {
            lines.push(format!("Settings that differ between rows. {}.", own.join(". ")));
        }
        lines.push(format!("To repeat it: `{}`", self.command));
        let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
        format!("\n### Where this comes from\n\n{lines}")
    }

    /// The seeds of the rows, in words.
    fn seeds(&self) -> String {
        let list = |seeds: &[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let different: BTreeSet<&[u64]> = self.rows.iter().map(|row| row.seeds.as_slice()).collect();
        match different.first() {
            Some([seed]) if different.len() == 1 => format!("each row with the seed {seed}"),
            Some(seeds) if different.len() == 1 => format!("each row with the seeds {}", list(seeds)),
            _ => {
                let each = self.rows.iter().map(|row| format!("{} {}", row.label, list(&row.seeds)));
                format!("seeds of the rows: {}", each.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// The texts, each once, with the number of its occurrences.
fn counted(all: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    all.for_each(|text| *counts.entry(text).or_default() += 1);
    counts.into_iter().collect()
}

fn program(run: &RecordedRun) -> String {
    let (revision, is_modified) = run.environment.revision();
    let modified = if is_modified { " with changed files" } else { "" };
    let version = if run.environment.version.is_empty() { "of an unknown version" } else { &run.environment.version };
    let numbers = run.results_version().map(|version| format!(", version {version} of the numbers"));
    format!("mtcool {version}, revision {revision}{modified}{}", numbers.unwrap_or_default())
}

fn machine(run: &RecordedRun) -> String {
    let environment = &run.environment;
    let named = [environment.host.as_deref(), environment.processor.as_deref(), Some(environment.device.as_str())];
    let named: Vec<&str> = named.into_iter().flatten().filter(|name| !name.is_empty()).collect();
    format!("{}, {}", named.join(", "), number_of(environment.threads, "thread"))
}

fn data(context: &TableContext<'_>, runs: &[RecordedRun]) -> Vec<String> {
    let of_run = |run: &RecordedRun| {
        let mut facts = vec![context.plan.dataset.name.to_string()];
        facts.extend(run.data_digest().map(|digest| format!("digest {digest}")));
        if let Some(data) = &run.data {
            let parts = [("training", &data.train), ("validation", &data.validation), ("test", &data.test)];
            let part = |(part, names): (&str, &Vec<String>)| match names.len() {
                0 => None,
                1..=FEW => Some(format!("{part} on {}", names.join(", "))),
                more => Some(format!("{part} on {more} samples")),
            };
            facts.extend(parts.into_iter().filter_map(part));
            facts.push("`data.json` of each run names them".into());
        }
        facts.join("; ")
    };
    counted(runs.iter().map(of_run)).into_iter().map(|(facts, _)| facts).collect()
}

/// The command line that makes the runs of the table again: that of the last command, and the rows and seeds of earlier ones that the
/// table has as well.
fn command(context: &TableContext<'_>, rows: &[TableRow]) -> String {
    let plan = context.plan;
    let shown = rows.iter().filter(|row| row.runs > 0);
    let asked: Vec<&str> = plan.methods.iter().map(|method| &*method.entry.name).collect();
    let further: Vec<&str> = shown.clone().map(|row| &*row.method.name).filter(|name| !asked.contains(name)).collect();
    let seeds = plan.experiment.seeds.all();
    let all: BTreeSet<u64> = shown.flat_map(|row| &row.stored).map(|run| run.seed).chain(seeds.clone()).collect();
    let mut overrides = context.overrides.clone();
    if !further.is_empty() {
        overrides.assignments.push(format!("methods={:?}", [asked, further].concat()));
    }
    if all.len() > seeds.len() {
        overrides.assignments.push(format!("seeds={:?}", all.into_iter().collect::<Vec<_>>()));
    }
    command_line("reproduce", &plan.source, &overrides)
}

/// The command line `verb` for the experiment of `source` with the flags of `overrides`, with the name of this program.
pub(super) fn command_line(verb: &str, source: &ExperimentSource, overrides: &Overrides) -> String {
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program.and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let experiment = match &source.file {
        Some(file) if *file != Path::new("experiments").join(format!("{}.toml", source.name)) => {
            file.display().to_string()
        }
        _ => source.name.clone(),
    };
    let mut words = vec![program.unwrap_or_else(|| "mtcool".into()), verb.into(), experiment];
    if let Some(profile) = &overrides.profile {
        words.extend(["--profile".into(), profile.clone()]);
    }
    for assignment in each_key_once(&overrides.assignments) {
        words.extend(["--set".into(), assignment.clone()]);
    }
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// The assignments with each key once, where it first occurs, with its last value.
fn each_key_once(assignments: &[String]) -> Vec<&String> {
    let key = |assignment: &String| assignment.split('=').next().unwrap_or_default().trim().to_owned();
    let mut kept: Vec<&String> = Vec::new();
    for assignment in assignments {
        match kept.iter_mut().find(|known| key(known) == key(assignment)) {
            Some(known) => *known = assignment,
            None => kept.push(assignment),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_given_twice_counts_once_with_its_last_value() {
        let all = ["training.epochs=2", "seeds=3", "training.epochs = 5"].map(str::to_owned);
        assert_eq!(each_key_once(&all), ["training.epochs = 5", "seeds=3"]);
    }

    #[test]
    fn the_block_has_what_rows_share_and_what_they_do_not() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let row = |label: &str, seeds: &[u64], settings: Vec<(String, String)>| RowOrigin {
            label: label.into(),
            seeds: seeds.into(),
            settings,
        };
        let provenance = Provenance {
            runs: 3,
            period: Some(("2026-01-01T00:00:00Z".into(), "2026-01-02T00:00:00Z".into())),
            programs: vec![("mtcool 1, revision a".into(), 1), ("mtcool 1, revision b".into(), 2)],
            machines: vec![("host, cpu, 2 threads".into(), 3)],
            data: vec!["mnist; digest ab".into()],
            common: vec![pair("training.epochs", "5")],
            rows: vec![row("Joint", &[0, 1], Vec::new()), row("MT-COOL", &[0], vec![pair("settings.bound", "0.01")])],
            command: "mtcool reproduce table1".into(),
        };
        let text = provenance.markdown();
        for line in [
            "- Runs: 3, made from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z, seeds of the rows: Joint 0, 1; MT-COOL 0; `runs.csv`",
            "- Program: mtcool 1, revision a (1 run); mtcool 1, revision b (2 runs).\n",
            "- Machine: host, cpu, 2 threads.\n",
            "- Data: mnist; digest ab.\n",
            "- Settings of all rows: `training.epochs` 5.\n",
            "- Settings that differ between rows. MT-COOL: `settings.bound` 0.01.\n",
            "- To repeat it: `mtcool reproduce table1`\n",
        ] {
            assert!(text.contains(line), "no `{line}` in {text}");
        }
        let none = Provenance { command: "x".into(), ..Provenance::default() }.markdown();
        assert_eq!(none, "\n### Where this comes from\n\n- To repeat it: `x`\n");
    }
}
