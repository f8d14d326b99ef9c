//! The report of the diagnosis `test-selection`: how much better results look if the epoch is chosen on the test split. It is no table:
//! no figure of it may stand beside results whose epoch was chosen without the test split.

use std::path::Path;

use anyhow::Result;
use mtcool_metrics::Summary;
use polars::prelude::{Column as Series, DataFrame};

use super::grid::grid;
use crate::plan::{DataIdentity, Diagnosis, Plan, score};
use crate::record::{Row, Status, StoredRun, csv_bytes, read_rows, write_whole};
use crate::suite::{Column, Digits, Split};

/// A finished run of the diagnosis.
struct Diagnosed {
    /// The name of its method in tables.
    label: String,
    seed: u64,
    /// In the order of the epochs.
    epochs: Vec<Epoch>,
}

/// The columns of the table at the end of an epoch.
struct Epoch {
    epoch: u64,
    /// On the test split.
    test: Vec<f64>,
    /// On the validation split; `None` if a column is not measured there.
    validation: Option<Vec<f64>>,
}

/// Writes `report.md` and `epochs.csv` about the finished runs among `stored` into `folder`. Returns the Markdown.
///
/// # Errors
/// If a file of a run is damaged, or a file cannot be written.
pub fn write_diagnosis(
    plan: &Plan,
    diagnosis: Diagnosis,
    data: &DataIdentity,
    stored: &[StoredRun],
    folder: &Path,
) -> Result<String> {
    let mut runs = Vec::new();
    for planned in plan.runs(data) {
        let is_run = |run: &&StoredRun| planned.config.has_hash(&run.hash) && run.status.status == Status::Finished;
        if let Some(run) = stored.iter().find(is_run) {
            let rows = read_rows(&run.folder.join("metrics.parquet"))?;
            let epochs = epochs(&rows, diagnosis, &plan.spec.columns);
            runs.push(Diagnosed { label: planned.method.entry.label.to_string(), seed: planned.config.seed, epochs });
        }
    }
    let heading = if data.origin.is_null() { "" } else { " - SYNTHETIC DATA" };
    let title = format!("{}{heading}", plan.experiment.title);
    let text = markdown(&title, diagnosis, &plan.spec.columns, &runs);
    write_whole(&folder.join("report.md"), text.as_bytes())?;
    write_whole(&folder.join("epochs.csv"), &csv(diagnosis, &plan.spec.columns, &runs)?)?;
    Ok(text)
}

/// The epochs of which every column is measured on the test split.
fn epochs(rows: &[Row], diagnosis: Diagnosis, columns: &[Column]) -> Vec<Epoch> {
    let values = |split: &str, epoch: u64| -> Option<Vec<f64>> {
        let value = |column: &Column| {
            let is_cell = |row: &&Row| {
                row.split == split && row.epoch == epoch && row.task == *column.task && row.metric == *column.metric
            };
            rows.iter().find(is_cell).map(|row| row.value)
        };
        columns.iter().map(value).collect()
    };
    let mut numbers: Vec<u64> = rows.iter().filter(|row| row.split == diagnosis.split()).map(|row| row.epoch).collect();
    numbers.dedup();
    let of_epoch = |epoch: u64| {
        let validation = values(Split::Validation.name(), epoch);
        values(diagnosis.split(), epoch).map(|test| Epoch { epoch, test, validation })
    };
    numbers.into_iter().filter_map(of_epoch).collect()
}

/// The first of the epochs with the highest score of what `pick` picks; `None` if no epoch has a score.
fn best<'a>(
    epochs: &'a [Epoch],
    columns: &[Column],
    pick: impl Fn(&'a Epoch) -> Option<&'a Vec<f64>>,
) -> Option<&'a Epoch> {
    let mut best: Option<(&Epoch, f64)> = None;
    for epoch in epochs {
        let Some(score) = pick(epoch).map(|values| score(values, columns)).filter(|score| !score.is_nan()) else {
            continue;
        };
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((epoch, score));
        }
    }
    best.map(|(epoch, _)| epoch)
}

/// The three networks of a run whose figures on the test split are compared.
struct Choices<'a> {
    on_test: Option<&'a Epoch>,
    on_validation: Option<&'a Epoch>,
    last: Option<&'a Epoch>,
}

impl<'a> Choices<'a> {
    fn of(run: &'a Diagnosed, columns: &[Column]) -> Self {
        Self {
            on_test: best(&run.epochs, columns, |epoch| Some(&epoch.test)),
            on_validation: best(&run.epochs, columns, |epoch| epoch.validation.as_ref()),
            last: run.epochs.last(),
        }
    }
}

fn markdown(title: &str, diagnosis: Diagnosis, columns: &[Column], runs: &[Diagnosed]) -> String {
    let label = diagnosis.label();
    let chosen_on_test = format!("best epoch ({label})");
    let head = ["Method", "Column", &chosen_on_test, "best epoch by validation", "last epoch", "optimism", "runs"];
    let mut labels: Vec<&str> = Vec::new();
    for run in runs {
        if !labels.contains(&&*run.label) {
            labels.push(&run.label);
        }
    }
    let mut lines = Vec::new();
    for method in &labels {
        let choices: Vec<Choices<'_>> =
            runs.iter().filter(|run| run.label == *method).map(|run| Choices::of(run, columns)).collect();
        for (at, column) in columns.iter().enumerate() {
            lines.push(line(method, (at, column), &choices));
        }
    }
    let epochs: Vec<String> = labels
        .iter()
        .map(|method| {
            let of_method = runs.iter().filter(|run| run.label == *method);
            let chosen = of_method.map(|run| {
                let epoch =
                    Choices::of(run, columns).on_test.map_or_else(|| "-".into(), |found| found.epoch.to_string());
                format!("{epoch} of {}", run.epochs.len())
            });
            format!("{method} {}", chosen.collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!(
        "## {title} - {upper}\n\nA diagnosis, not a result ({label}): these figures may stand in no table, and cannot be compared with \
         any.\n\n{}\n\
         - best epoch ({label}): for each run, the epoch with the highest mean of all columns on the test split, which also measures it; a \
         column where smaller values are better counts with the opposite sign. Too good by the optimism.\n\
         - best epoch by validation, last epoch: the same networks on the same images, chosen without the test split. `-`: the validation \
         split does not measure every column.\n\
         - optimism: best epoch ({label}) minus last epoch. ±: standard deviation over the runs.\n\
         - Chosen epochs ({label}): {}.\n",
        grid(&head.map(str::to_owned), &lines),
        epochs.join("; "),
        upper = label.to_uppercase(),
    )
}

fn line(method: &str, (at, column): (usize, &Column), choices: &[Choices<'_>]) -> Vec<String> {
    let values = |pick: &dyn Fn(&Choices<'_>) -> Option<f64>| -> Option<Summary> {
        let values: Option<Vec<f64>> = choices.iter().map(pick).collect();
        Summary::of(&values?)
    };
    let on_test = |of: &Choices<'_>| of.on_test.map(|epoch| epoch.test[at]);
    let last = |of: &Choices<'_>| of.last.map(|epoch| epoch.test[at]);
    let figures = choices.iter().flat_map(|of| on_test(of).into_iter().chain(last(of)));
    let digits: Digits = column.digits(figures);
    let shown = |summary: Option<Summary>| {
        summary.map_or_else(|| "-".into(), |summary| digits.spread(summary.mean, summary.std))
    };
    let optimism = values(&|of| Some(on_test(of)? - last(of)?));
    vec![
        method.to_owned(),
        column.label.to_string(),
        shown(values(&on_test)),
        shown(values(&|of| of.on_validation.map(|epoch| epoch.test[at]))),
        shown(values(&last)),
        optimism.map_or_else(|| "-".into(), |summary| digits.signed(summary.mean)),
        choices.len().to_string(),
    ]
}

/// A line per run, epoch and column: note, method, seed, epoch, task, metric, optimistic_test, validation.
fn csv(diagnosis: Diagnosis, columns: &[Column], runs: &[Diagnosed]) -> Result<Vec<u8>> {
    let mut lines: Vec<(&Diagnosed, &Epoch, usize)> = Vec::new();
    for run in runs {
        for epoch in &run.epochs {
            lines.extend((0..columns.len()).map(|at| (run, epoch, at)));
        }
    }
    let text = |name: &str, pick: &dyn Fn(&Diagnosed, usize) -> String| {
        Series::new(name.into(), lines.iter().map(|(run, _, at)| pick(run, *at)).collect::<Vec<String>>())
    };
    let number = |name: &str, pick: &dyn Fn(&Epoch, usize) -> Option<f64>| {
        Series::new(name.into(), lines.iter().map(|(_, epoch, at)| pick(epoch, *at)).collect::<Vec<Option<f64>>>())
    };
    let series = vec![
        text("note", &|_, _| diagnosis.label().to_owned()),
        text("method", &|run, _| run.label.clone()),
        Series::new("seed".into(), lines.iter().map(|(run, ..)| run.seed).collect::<Vec<u64>>()),
        Series::new("epoch".into(), lines.iter().map(|(_, epoch, _)| epoch.epoch).collect::<Vec<u64>>()),
        text("task", &|_, at| columns[at].task.to_string()),
        text("metric", &|_, at| columns[at].metric.to_string()),
        number("optimistic_test", &|epoch, at| Some(epoch.test[at])),
        number("validation", &|epoch, at| epoch.validation.as_ref().map(|values| values[at])),
    ];
    csv_bytes(DataFrame::new(lines.len(), series)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Diagnosis = Diagnosis::TestSelection;

    fn columns() -> Vec<Column> {
        vec![Column::new("a", "accuracy", "A"), Column::new("b", "error", "B error").lower_is_better().in_own_unit()]
    }

    /// A run whose columns have these values (accuracy, error), by epoch.
    fn run(label: &str, seed: u64, test: &[[f64; 2]], validation: &[[f64; 2]]) -> Diagnosed {
        let row = |epoch: usize, split: &str, task: &str, metric: &str, value| {
            let (epoch, split, task) = (epoch as u64 + 1, split.to_owned(), task.to_owned());
            Row { step: 10 * epoch, epoch, split, task, metric: metric.to_owned(), value }
        };
        let of_split = |split: &'static str, values: &[[f64; 2]]| {
            let of_epoch = |(epoch, [a, b]): (usize, &[f64; 2])| {
                [
                    row(epoch, split, "a", "accuracy", *a),
                    row(epoch, split, "b", "error", *b),
                    row(epoch, split, "a", "loss", 9.0),
                ]
            };
            values.iter().enumerate().flat_map(of_epoch).collect::<Vec<Row>>()
        };
        let rows = [of_split("optimistic-test", test), of_split("validation", validation)].concat();
        Diagnosed { label: label.into(), seed, epochs: epochs(&rows, TEST, &columns()) }
    }

    #[test]
    fn the_best_epoch_is_that_of_all_columns_and_its_optimism_is_shown() {
        // Means of accuracy and negative error: 44.9, 45.2, 44.95 on the test split; the validation split prefers the first epoch.
        let test = [[90.0, 0.2], [90.5, 0.1], [90.0, 0.1]];
        let first = run("Joint", 0, &test, &[[80.0, 0.1], [79.0, 0.1], [79.0, 0.1]]);
        let second = run("Joint", 1, &test[..2], &[[80.0, 0.1], [81.0, 0.1]]);
        let text = markdown("A table", TEST, &columns(), &[first, second]);
        let cells = |start: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{text}"));
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let expected = ["Joint", "A", "90.50 ± 0.000", "90.25 ± 0.354", "90.25 ± 0.354", "+0.25", "2"];
        assert_eq!(cells("| Joint  | A "), expected, "{text}");
        assert_eq!(cells("| Joint  | B error ")[2..4], ["0.100 ± 0.0000", "0.150 ± 0.0707"], "{text}");
        assert!(text.contains("Joint 2 of 3, 2 of 2."), "{text}");
        assert!(text.starts_with("## A table - OPTIMISTIC: CHOSEN ON THE TEST SPLIT\n"), "{text}");
    }

    #[test]
    fn without_a_validation_split_the_last_epoch_is_compared() {
        let text = markdown("A table", TEST, &columns(), &[run("Joint", 0, &[[90.0, 0.2], [89.0, 0.2]], &[])]);
        let line = text.lines().find(|line| line.starts_with("| Joint  | A ")).unwrap();
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells[2..], ["90.00", "-", "89.00", "+1.00", "1"]);
        let undefined = run("Joint", 0, &[[f64::NAN, 0.2], [89.0, 0.2]], &[]);
        assert_eq!(
            Choices::of(&undefined, &columns()).on_test.unwrap().epoch,
            2,
            "what is no number is never the best"
        );
    }

    #[test]
    fn every_line_of_the_file_says_what_it_is() {
        let bytes = csv(TEST, &columns(), &[run("Joint", 3, &[[90.0, 0.2], [91.0, 0.1]], &[[80.0, 0.1]])]).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "note,method,seed,epoch,task,metric,optimistic_test,validation");
        assert_eq!(lines[1], "optimistic: chosen on the test split,Joint,3,1,a,accuracy,90.0,80.0");
        assert_eq!(lines[4], "optimistic: chosen on the test split,Joint,3,2,b,error,0.1,");
        assert_eq!(lines.len(), 5);
    }
}
