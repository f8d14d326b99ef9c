//! The paper's results in the experiments' files against a copy of the printed tables, cell by cell.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use mtcool_bench::Registry;
use mtcool_bench::plan::{Cell, Experiment, Overrides, Plan};
use serde::Deserialize;

/// A table as printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Printed {
    runs: usize,
    headings: Vec<String>,
    /// The factor of each column to per cent.
    unit: Vec<f64>,
    mean: BTreeMap<String, Vec<f64>>,
    /// Empty if the paper gives no standard deviations.
    #[serde(default)]
    std: BTreeMap<String, Vec<f64>>,
}

impl Printed {
    /// The printed numbers of a heading, by method.
    fn column(&self, heading: &str) -> BTreeMap<&str, f64> {
        let at = self.headings.iter().position(|printed| printed == heading).unwrap();
        self.mean.iter().map(|(method, row)| (method.as_str(), row[at])).collect()
    }
}

/// The columns of each table's experiment file, in the order of the printed headings.
const COLUMNS: [(&str, &[&str]); 3] = [
    ("table1", &["even.accuracy", "odd.accuracy"]),
    (
        "table2",
        &[
            // The printed headings are "Cup" and "Disc".
            "segmentation.dice_disc",
            "segmentation.dice_cup",
            "glaucoma.accuracy",
            "glaucoma.auroc",
            "glaucoma.sensitivity",
            "glaucoma.specificity",
        ],
    ),
    (
        "table3",
        &[
            "av.artery_accuracy",
            "av.artery_f1",
            "av.vein_accuracy",
            "av.vein_f1",
            "av.av_accuracy",
            "av.av_f1",
            "binary.accuracy",
            "binary.f1",
        ],
    ),
];

fn printed() -> BTreeMap<String, Printed> {
    toml::from_str(include_str!("golden/paper.toml")).unwrap()
}

fn experiment(table: &str, profile: &str) -> Experiment {
    let overrides = Overrides { profile: Some(profile.into()), assignments: Vec::new() };
    Plan::load(&Registry::builtin(), table, &overrides).unwrap().experiment
}

fn is_equal(got: f64, want: f64) -> bool {
    (got - want).abs() < 1e-9
}

#[test]
fn every_cell_of_the_paper_is_in_its_experiment_and_nothing_else() {
    let printed = printed();
    assert_eq!(printed.keys().collect::<Vec<_>>(), COLUMNS.map(|(table, _)| table).iter().collect::<Vec<_>>());
    let mut compared = 0;
    for (table, columns) in COLUMNS {
        let (paper, experiment) = (&printed[table], experiment(table, "quick"));
        assert_eq!(experiment.paper.as_ref().unwrap().runs, paper.runs, "{table}");
        let methods: Vec<&String> = experiment.reference.keys().collect();
        assert_eq!(methods, paper.mean.keys().collect::<Vec<_>>(), "{table}");
        assert!(paper.std.is_empty() || paper.std.keys().eq(paper.mean.keys()), "{table}");
        for (method, row) in &experiment.reference {
            assert_eq!(row.params, if method == "independent" { 2.0 } else { 1.0 }, "{table}, {method}");
            assert_eq!(row.cells.len(), columns.len(), "{table}, {method}");
            assert_eq!(paper.mean[method].len(), columns.len(), "{table}, {method}");
            for (at, column) in columns.iter().enumerate() {
                let Cell { mean, std } = row.cells[*column];
                assert!(is_equal(mean, paper.mean[method][at] * paper.unit[at]), "{table}, {method}, {column}: {mean}");
                match (std, paper.std.get(method)) {
                    (Some(std), Some(row)) => {
                        assert!(is_equal(std, row[at] * paper.unit[at]), "{table}, {method}, {column}: {std}");
                    }
                    (std, row) => assert!(std.is_none() && row.is_none(), "{table}, {method}, {column}: {std:?}"),
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 9 * 2 + 7 * 6 + 7 * 8);
}

#[test]
fn the_rows_of_the_paper_are_the_rows_of_the_tables_in_every_profile() {
    for (table, columns) in COLUMNS {
        let quick = experiment(table, "quick");
        let mut methods = quick.methods.clone();
        methods.sort();
        assert!(quick.reference.keys().eq(&methods), "{table}");
        for profile in ["default", "paper"] {
            let other = experiment(table, profile);
            assert!(other.reference == quick.reference && other.paper == quick.paper, "{table}, {profile}");
        }
        let overrides = Overrides::default();
        let plan = Plan::load(&Registry::builtin(), table, &overrides).unwrap();
        let shown = plan.spec.columns.iter().map(|column| format!("{}.{}", column.task, column.metric));
        let shown: Vec<String> = shown.collect();
        assert!(columns.iter().all(|column| shown.iter().any(|shown| shown == column)), "{table}: {shown:?}");
    }
}

/// What the notes of Table 2 say about the paper.
#[test]
fn the_printed_headings_of_table_2_are_swapped_and_acc_is_the_mean_of_a_1_to_9_test_set() {
    let printed = printed();
    let table = &printed["table2"];
    let (cup, disc) = (table.column("Cup"), table.column("Disc"));
    // The printed "Cup" is the easier target in every row, by 7 points or more; a disc is easier than its cup.
    assert!(cup.iter().all(|(method, cup)| cup - disc[method] > 7.0), "{cup:?} {disc:?}");
    let (acc, sen, spe) = (table.column("Acc"), table.column("Sen"), table.column("Spe"));
    for (method, acc) in acc {
        let of_both = 0.1 * sen[method] + 0.9 * spe[method];
        assert!((acc - of_both).abs() <= 0.0005, "{method}: {acc}, {of_both}");
    }
}
