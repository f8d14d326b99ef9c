//! `mtcool compare`: two runs, or two rows or configurations of an experiment, side by side.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use mtcool_metrics::{PairedTTest, Summary, holm};

use super::columns::in_columns;
use super::conditions::Conditions;
use super::listing::{Listed, Listing};
use crate::cli::Compare;
use crate::output::print;
use crate::record::{Row, Settings, Status, differing_keys, final_rows, read_rows, stored_runs};
use crate::report::{Paired, compare_runs};
use crate::suite::{Column, number_of};

/// One side of a comparison: finished runs of one configuration.
struct Side {
    name: String,
    runs: Vec<Listed>,
    /// The final rows of each run.
    rows: Vec<Vec<Row>>,
}

/// A split, a task and a metric.
type Place = (String, String, String);
/// The key that the configuration of a run has only if the run is an overfit diagnosis.
const OVERFIT: &str = "overfit";
/// Differences that are equal to this relative accuracy differ by rounding errors alone.
const EQUAL: f64 = 1e-9;

/// Prints the settings that differ, the metrics side by side, and paired tests.
///
/// # Errors
/// If a side names no finished run or several configurations, or files are damaged.
pub(super) fn compare(arguments: &Compare) -> Result<()> {
    let [a, b] = match &arguments.sides[..] {
        [a, b] => [side_of_folder(a)?, side_of_folder(b)?],
        [experiment, a, b] => {
            let side = |text: &str| side_of_experiment(experiment, &arguments.results, text);
            [side(a)?, side(b)?]
        }
        _ => bail!("expected two runs, or an experiment and two of its rows"),
    };
    print(&text(&a, &b)?)
}

/// The run in a folder.
fn side_of_folder(given: &str) -> Result<Side> {
    let folder = Path::new(given);
    let advice = "expected the folder of a run, such as `results/table1/runs/joint-s0-0123abcd`; or name the experiment first: \
                  `mtcool compare table1 mtcool joint`";
    let Ok(path) = folder.canonicalize() else { bail!("`{given}` is not there: {advice}") };
    let index = stored_runs(path.parent().unwrap_or(&path))?;
    let Some(run) = index.runs.into_iter().find(|run| run.folder == path) else {
        bail!("`{given}` is not the folder of a run: {advice}");
    };
    Side::new(given, vec![Listed::new(run)])
}

/// The finished runs of an experiment that `text` names: conditions, the name of a row, or the beginning of a folder's name.
fn side_of_experiment(experiment: &str, results: &Path, text: &str) -> Result<Side> {
    Side::new(text, chosen_runs(Listing::read(experiment, results)?, experiment, text)?)
}

/// The runs of `listing` that `text` names. Those of an overfit diagnosis are left out, unless a condition is about `overfit`.
fn chosen_runs(listing: Listing, experiment: &str, text: &str) -> Result<Vec<Listed>> {
    let is_condition = text.contains(['=', '<', '>']);
    let with_overfit = is_condition && Conditions::parse(text)?.name(OVERFIT);
    let is_chosen: Box<dyn Fn(&Listed) -> bool> = if is_condition {
        let chosen: Vec<PathBuf> = listing.select(text)?.iter().map(|run| run.stored.folder.clone()).collect();
        Box::new(move |run| chosen.contains(&run.stored.folder))
    } else if listing.runs.iter().any(|run| run.stored.label == text) {
        Box::new(|run| run.stored.label == text)
    } else {
        Box::new(|run| run.folder_name().starts_with(text))
    };
    let mut labels: Vec<String> = listing.runs.iter().map(|run| run.stored.label.clone()).collect();
    labels.dedup();
    let runs: Vec<Listed> = listing.runs.into_iter().filter(|run| is_chosen(run)).collect();
    ensure!(
        !runs.is_empty(),
        "no run of `{experiment}` is `{text}`: expected a row ({}), the name of a run's folder, or conditions such as \
         `label=mtcool,seed<3`",
        labels.join(", ")
    );
    let (overfit, usual): (Vec<Listed>, Vec<Listed>) =
        runs.into_iter().partition(|run| !with_overfit && run.settings.contains_key(OVERFIT));
    // Whoever writes the whole name of a folder means this run.
    if overfit.iter().any(|run| run.folder_name() == text) {
        return Ok(overfit);
    }
    ensure!(
        !usual.is_empty(),
        "`{text}` names only runs of the diagnosis `--overfit`, which are no results ({}): to compare them nevertheless, name the key, \
         such as `label=mtcool,{OVERFIT}={}`",
        overfit.iter().map(Listed::folder_name).collect::<Vec<_>>().join(", "),
        overfit.first().and_then(|run| run.settings.get(OVERFIT)).map_or("8", String::as_str)
    );
    Ok(usual)
}

impl Side {
    fn new(name: &str, runs: Vec<Listed>) -> Result<Self> {
        let (finished, others): (Vec<Listed>, Vec<Listed>) =
            runs.into_iter().partition(|run| run.stored.status.status == Status::Finished);
        ensure!(!finished.is_empty(), "`{name}` has no finished run, only {}", number_of(others.len(), "other"));
        let differing = differing_keys(finished.iter().map(|run| &run.settings));
        let values = |key: &String| {
            let mut values: Vec<&str> =
                finished.iter().map(|run| run.settings.get(key).map_or("-", String::as_str)).collect();
            values.sort_unstable();
            values.dedup();
            format!("`{key}` ({})", values.join(", "))
        };
        ensure!(
            differing.is_empty(),
            "`{name}` has runs of several configurations, which differ in {}: choose one by a condition such as `label=mtcool,{}=...` \
             (`KEY=-`: runs without the key)",
            differing.iter().map(values).collect::<Vec<_>>().join(", "),
            differing.first().map_or("", String::as_str)
        );
        let read = |run: &Listed| -> Result<Vec<Row>> {
            let rows = read_rows(&run.stored.folder.join("metrics.parquet"))?;
            Ok(final_rows(&rows, run.stored.status.selected_epoch).into_iter().cloned().collect())
        };
        let rows = finished.iter().map(read).collect::<Result<_>>()?;
        Ok(Self { name: name.to_owned(), runs: finished, rows })
    }

    fn settings(&self) -> &Settings {
        &self.runs[0].settings
    }

    /// Its settings, and the method.
    fn described(&self) -> Settings {
        let mut settings = self.settings().clone();
        settings.insert("method".into(), self.runs[0].stored.method.clone());
        settings
    }

    fn seeds(&self) -> String {
        self.runs.iter().map(|run| run.stored.seed.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.runs.iter().map(|run| run.stored.folder.clone()).collect()
    }

    /// The final values of a metric, by seed.
    fn values(&self, (split, task, metric): &Place) -> BTreeMap<u64, f64> {
        let value = |rows: &Vec<Row>| {
            let found = rows.iter().find(|row| row.split == *split && row.task == *task && row.metric == *metric);
            found.map(|row| row.value)
        };
        let all = self.runs.iter().zip(&self.rows);
        all.filter_map(|(run, rows)| Some((run.stored.seed, value(rows)?))).collect()
    }

    /// The split that its runs report.
    fn reported(&self) -> &str {
        self.settings().get("report").map_or("test", String::as_str)
    }
}

/// The whole comparison.
fn text(a: &Side, b: &Side) -> Result<String> {
    let mut text = String::new();
    for (letter, side) in [("A", a), ("B", b)] {
        text += &format!("{letter}: {} (seeds {})\n", side.name, side.seeds());
    }
    text += &format!("\n{}", settings(a, b));
    let places = places(a, b);
    let tests = image_tests(a, b, &places)?;
    text += &format!("\n{}", metrics(a, b, &places, &tests));
    if tests.iter().any(Option::is_some) {
        text += "\np over images: two-sided Wilcoxon signed-rank test (paired t-test for very many images) over the images that both \
                 sides were tested on, of the mean over a side's seeds, with Holm's correction for all tests shown here.\n";
    }
    text += "p over seeds: two-sided paired t-test over the seeds that both sides have, not corrected; - with fewer than two, or \
             if all differences are equal.\n";
    Ok(text)
}

/// The settings that differ, as a table.
fn settings(a: &Side, b: &Side) -> String {
    let (of_a, of_b) = (a.described(), b.described());
    let differing = differing_keys([&of_a, &of_b]);
    if differing.is_empty() {
        return "The settings are the same.\n".into();
    }
    let mut lines = vec![["setting", "A", "B"].map(str::to_owned).to_vec()];
    for key in differing {
        let [of_a, of_b] = [&of_a, &of_b].map(|side| side.get(&key).cloned().unwrap_or_else(|| "-".into()));
        lines.push(vec![key, of_a, of_b]);
    }
    in_columns(&lines)
}

/// The metrics that at least one side has on a split other than the training split, with the reported split first.
fn places(a: &Side, b: &Side) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for row in a.rows.iter().chain(&b.rows).flatten().filter(|row| row.split != "train") {
        let place = (row.split.clone(), row.task.clone(), row.metric.clone());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_by_key(|(split, ..)| split != a.reported());
    places
}

/// The paired tests over images, corrected together; `None` where a metric is not defined for single images.
fn image_tests(a: &Side, b: &Side, places: &[Place]) -> Result<Vec<Option<Paired>>> {
    let (folders_a, folders_b) = (a.folders(), b.folders());
    let test = |(split, task, metric): &Place| {
        if [a.reported(), b.reported()] != [split; 2] {
            return Ok(None);
        }
        compare_runs(&folders_a, &folders_b, &Column::new(task.clone(), metric.clone(), metric.clone()))
    };
    let mut tests = places.iter().map(test).collect::<Result<Vec<_>>>()?;
    let adjusted = holm(&tests.iter().flatten().map(|test| test.p).collect::<Vec<_>>())?;
    for (test, adjusted_p) in tests.iter_mut().flatten().zip(adjusted) {
        test.adjusted_p = adjusted_p;
    }
    Ok(tests)
}

fn metrics(a: &Side, b: &Side, places: &[Place], tests: &[Option<Paired>]) -> String {
    let head = ["split", "task", "metric", "A", "B", "A - B", "images", "p over images", "p over seeds"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for (place, test) in places.iter().zip(tests) {
        let (of_a, of_b) = (a.values(place), b.values(place));
        let [summary_a, summary_b] =
            [&of_a, &of_b].map(|side| Summary::of(&side.values().copied().collect::<Vec<_>>()));
        let shown = |summary: Option<Summary>| match summary {
            Some(Summary { mean, std: Some(std), .. }) => format!("{mean:.3} ± {std:.3}"),
            Some(Summary { mean, .. }) => format!("{mean:.3}"),
            None => "-".into(),
        };
        let difference = summary_a.zip(summary_b).map(|(a, b)| format!("{:+.3}", a.mean - b.mean));
        let (split, task, metric) = place.clone();
        lines.push(vec![
            split,
            task,
            metric,
            shown(summary_a),
            shown(summary_b),
            difference.unwrap_or_else(|| "-".into()),
            test.map_or_else(|| "-".into(), |test| test.images.to_string()),
            p_value(test.map(|test| test.adjusted_p)),
            p_value(seed_test(&of_a, &of_b)),
        ]);
    }
    in_columns(&lines)
}

/// The p-value of the paired t-test over the seeds that both sides have; `None` with fewer than two, or if all differences are equal, as
/// they may be on few images: without any spread, the test is not defined.
fn seed_test(a: &BTreeMap<u64, f64>, b: &BTreeMap<u64, f64>) -> Option<f64> {
    let (a, b): (Vec<f64>, Vec<f64>) = a.iter().filter_map(|(seed, a)| Some((*a, *b.get(seed)?))).unzip();
    let differences = a.iter().zip(&b).map(|(a, b)| b - a);
    let [low, high] = differences.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], difference| {
        [low.min(difference), high.max(difference)]
    });
    let is_spread = high - low > EQUAL * high.abs().max(low.abs());
    if a.len() < 2 || !is_spread { None } else { PairedTTest::new(&a, &b).ok().map(|test| test.p) }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "<0.001".into(),
        Some(p) => format!("{p:.3}"),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StoredSettings;
    use crate::record::{RunStatus, StoredRun};

    /// A run of Joint with this first part of its hash; `overfit` is a line of its configuration.
    fn run(seed: u64, hash: &str, overfit: &str) -> Listed {
        let text = format!("method = \"joint\"\nseed = {seed}\n{overfit}\n[training]\nepochs = 8\n");
        let status = RunStatus {
            hash: hash.into(),
            status: Status::Finished,
            message: None,
            parameters: 1,
            joint_parameters: 1,
            epochs: 8,
            epoch: 8,
            step: 8,
            batches: 8,
            budget: 8,
            train_seconds: 1.0,
            selected_epoch: None,
            started: 0,
            updated: 0,
        };
        Listed::new(StoredRun {
            folder: format!("runs/joint-s{seed}-{hash}").into(),
            label: "joint".into(),
            method: "joint".into(),
            seed,
            hash: hash.into(),
            status,
            config: StoredSettings::parse(&text).unwrap(),
        })
    }

    #[test]
    fn a_row_has_no_runs_of_an_overfit_diagnosis() {
        let chosen = |text: &str| -> Result<Vec<String>> {
            let runs = vec![run(0, "aa", ""), run(0, "bb", "overfit = 8"), run(1, "cc", "")];
            let listing = Listing { folder: "results/own".into(), runs, damaged: Vec::new() };
            Ok(chosen_runs(listing, "own", text)?.iter().map(Listed::folder_name).collect())
        };
        let usual = ["joint-s0-aa", "joint-s1-cc"];
        for text in ["joint", "label=joint", "joint-s", "epochs=8", "overfit=-", "label=joint,overfit=-"] {
            assert_eq!(chosen(text).unwrap(), usual, "{text}");
        }
        for text in ["label=joint,overfit=8", "overfit!=-", "joint-s0-bb"] {
            assert_eq!(chosen(text).unwrap(), ["joint-s0-bb"], "{text}");
        }
        assert_eq!(chosen("overfit!=9").unwrap().len(), 3, "whoever names the key chooses among all runs");
        let message = chosen("hash=bb").unwrap_err().to_string();
        assert!(message.contains("joint-s0-bb") && message.contains("overfit=8"), "{message}");
        assert!(chosen("pcgrad").unwrap_err().to_string().contains("expected a row (joint)"));
    }

    #[test]
    fn seeds_are_paired_by_number() {
        let of = |pairs: &[(u64, f64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
        let (a, b) = (of(&[(0, 1.0), (3, 2.0), (7, 4.0)]), of(&[(0, 0.0), (7, 2.0), (9, 5.0)]));
        // Differences 1 and 2: t = 1.5 / 0.5 = 3 with one degree of freedom, so p = 1 - 2 atan(3) / pi.
        let expected = 1.0 - 2.0 * 3f64.atan() / std::f64::consts::PI;
        assert!((seed_test(&a, &b).unwrap() - expected).abs() < 1e-9);
        assert_eq!(seed_test(&a, &of(&[(0, 1.0)])), None);
        let shifted = of(&[(0, 1.0 + 0.1), (3, 2.0 + 0.1), (7, 4.0 + 0.1)]);
        assert_eq!(seed_test(&a, &shifted), None, "equal differences are no evidence that is stronger than all others");
        assert_eq!(seed_test(&a, &a), None);
        assert_eq!([p_value(Some(0.0004)), p_value(Some(0.25)), p_value(None)], ["<0.001", "0.250", "-"]);
    }
}
