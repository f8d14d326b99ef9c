//! Claims on made-up results with known answers.

use mtcool_metrics::{CrossedDifference, SeedNoise, Summary};

use super::*;
use crate::plan::{Overrides, Plan};
use crate::record::Row;
use crate::suite::Registry;

/// A row of `method` whose runs reached `values` in the column `even.accuracy` of Table 1; nothing is known of single images.
fn row(method: &str, values: &[f64]) -> TableRow {
    let cell = Summary::of(values);
    let history = |&value: &f64| {
        let (split, task, metric) = ("test".into(), "even".into(), "accuracy".into());
        vec![Row { step: 1, epoch: 1, split, task, metric, value }]
    };
    let mut row = TableRow::example(method, 1.0, vec![cell, None]);
    row.histories = values.iter().map(history).collect();
    row
}

fn claim(against: &[&str], direction: Direction, margin: f64) -> Claim {
    Claim {
        text: "a claim".into(),
        methods: vec!["mtcool".into()],
        against: against.iter().map(|name| (*name).to_owned()).collect(),
        columns: vec!["even.accuracy".into()],
        direction,
        margin,
    }
}

fn judged(claims: Vec<Claim>, rows: &[TableRow]) -> Vec<JudgedClaim> {
    let mut plan = Plan::load(&Registry::builtin(), "table1", &Overrides::default()).unwrap();
    plan.experiment.claims = claims;
    judge(&plan.experiment, rows, &plan.spec.columns, "test").unwrap()
}

#[test]
fn differences_far_beyond_chance_decide_and_small_ones_do_not() {
    let rows = [
        row("mtcool", &[99.0, 99.1, 99.2, 99.1]),
        row("joint", &[95.0, 95.1, 95.2, 95.1]),
        row("mgda", &[99.0, 99.3, 98.9, 99.1]),
    ];
    let (better, near) = (Direction::Better, Direction::Near);
    let claims = vec![
        claim(&["joint"], better, 0.0),
        claim(&["joint"], better, 3.0),
        claim(&["joint"], better, 5.0),
        claim(&["mgda"], better, 0.0),
        claim(&["mgda"], near, 1.0),
        claim(&["joint"], near, 1.0),
        claim(&["joint", "mgda"], better, 0.0),
        claim(&["joint", "cagrad"], better, 0.0),
    ];
    let judged = judged(claims, &rows);
    let (yes, no, unknown) = (Finding::Supported, Finding::NotSupported, Finding::Undecided);
    let findings: Vec<Finding> = judged.iter().map(|claim| claim.finding).collect();
    assert_eq!(findings, [yes, yes, no, unknown, yes, no, unknown, unknown]);
    assert_eq!(judged[7].missing, ["cagrad"], "a claim about a method without runs is never supported");
    assert_eq!(judged[7].comparisons[0].finding, yes);
    let pair = &judged[0].comparisons[0];
    assert!((pair.difference.estimate - 4.0).abs() < 1e-9 && (pair.shown.unwrap() - 4.0).abs() < 1e-9);
    assert!(pair.difference.low > 3.75 && pair.difference.high < 4.25, "{:?}", pair.difference);
    assert_eq!((pair.runs, pair.images), ([4, 4], None));
    // In the paper's Table 1, MT-COOL has 99.72 and Joint 99.60.
    assert!((pair.paper.unwrap() - 0.12).abs() < 1e-9);
    assert!(pair.adjusted_p.unwrap() < 1e-6, "{pair:?}");
    // Nine comparisons, four of which have smaller p-values; the noise of seeds is that of all three rows.
    let pair = &judged[4].comparisons[0];
    let values = [[99.0, 99.1, 99.2, 99.1], [95.0, 95.1, 95.2, 95.1], [99.0, 99.3, 98.9, 99.1]].map(Vec::from);
    let seeds = Seeds::PairedAmong(SeedNoise::of(&values).unwrap().unwrap());
    let alone = CrossedDifference::of_values(&values[0], &values[2], seeds).unwrap();
    assert!((pair.adjusted_p.unwrap() - 5.0 * alone.p_at_least(1.0)).abs() < 1e-9, "{pair:?}");
}

#[test]
fn one_network_each_decides_nothing_and_methods_without_runs_make_no_claim() {
    let rows = [row("mtcool", &[99.0]), row("joint", &[90.0]), row("mgda", &[])];
    let judged =
        judged(vec![claim(&["joint"], Direction::Better, 0.0), claim(&["mgda"], Direction::Better, 0.0)], &rows);
    assert_eq!(judged.len(), 1);
    let pair = &judged[0].comparisons[0];
    assert_eq!((judged[0].finding, pair.adjusted_p), (Finding::Undecided, None));
    assert!((pair.difference.estimate - 9.0).abs() < 1e-9, "the difference is shown all the same");
}
