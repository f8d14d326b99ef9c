//! `report.md` of a search.

use super::content::{SearchReport, in_words};
use crate::plan::Search;
use crate::record::TrialRecord;
use crate::report::grid::grid;
use crate::suite::number_of;

/// Distances from the best score; the report says which share of the trials lies within each of them.
const WITHIN: [f64; 4] = [0.1, 0.3, 1.0, 3.0];

pub(super) fn markdown(report: &SearchReport<'_>) -> String {
    let SearchReport { plan, .. } = report;
    let synthetic = if report.data.origin.is_null() { "" } else { " - SYNTHETIC DATA" };
    let mut text = format!("## Search: {}{synthetic}\n\n", plan.experiment.title);
    for fact in facts(report) {
        text += &format!("- {fact}\n");
    }
    text += &format!("\n### Best settings\n\n{}", best(report));
    let epochs: u64 = report.search.rungs.iter().map(|rung| rung.epochs * rung.trials as u64).sum();
    text += &format!(
        "\nThe runs of each method have {} per seed in all{}; a method whose epochs cost more has used more time. Minutes: training \
         time of all its runs.\n",
        number_of(epochs, "epoch"),
        if report.trials.iter().any(|trial| trial.diverged > 0) { ", fewer where trials diverged" } else { "" }
    );
    text += &format!("\n### How flat the optimum is\n\n{}", flatness(report));
    text += "\nShares of the trials of the first rung whose score is within this distance of the method's best score in this rung. \
             `report.html` shows each setting against the score.\n";
    text += &format!("\n### What was tried\n\n{}", spaces(report));
    text + &format!("\n- To repeat it: `{}`\n", report.command())
}

fn list(numbers: impl Iterator<Item = String>) -> String {
    let numbers: Vec<String> = numbers.collect();
    match numbers.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => numbers.concat(),
    }
}

fn facts(report: &SearchReport<'_>) -> Vec<String> {
    let SearchReport { plan, search, caveats, .. } = report;
    let seeds = plan.experiment.seeds.all();
    let columns = search.objective.iter().map(|column| format!("`{}`", column.key()));
    let signs = if search.objective.iter().any(|column| column.is_lower_better) {
        "; columns in which smaller values are better count with the opposite sign"
    } else {
        ""
    };
    let mut facts = vec![
        format!("{} {}", trials(search), rungs(search)),
        format!(
            "Seed{} of the runs: {}.",
            if seeds.len() == 1 { "" } else { "s" },
            list(seeds.iter().map(u64::to_string))
        ),
        format!(
            "Score: the mean of {} on the validation split at the end of a run{signs}; the test split was not read.",
            list(columns)
        ),
    ];
    facts.extend(caveats.iter().map(|caveat| format!("{}.", caveat.text)));
    facts
}

/// How many trials there are, and where their settings come from.
fn trials(search: &Search) -> String {
    let others = match search.trials {
        1 => String::new(),
        2 => format!(", the other one is drawn with the seed {}", search.seed),
        _ => format!(", the others are drawn with the seed {}", search.seed),
    };
    format!("{} of each method: trial 0 has the settings of the experiment{others}.", number_of(search.trials, "trial"))
}

/// How long the runs are, and which trials go on.
fn rungs(search: &Search) -> String {
    match &search.rungs[..] {
        [rung] => format!("One rung, with runs of {}: its scores decide.", number_of(rung.epochs, "epoch")),
        rungs => {
            let epochs = list(rungs.iter().map(|rung| rung.epochs.to_string()));
            let counts = list(rungs.iter().map(|rung| rung.trials.to_string()));
            let trials = match rungs.first().filter(|first| rungs.iter().all(|rung| rung.trials == first.trials)) {
                Some(first) => format!(", each with {}", number_of(first.trials, "trial")),
                None => format!(" and {counts} trials"),
            };
            format!(
                "Rungs with runs of {epochs} epochs{trials} of each method: the best trials of a rung start again in the next one."
            )
        }
    }
}

fn score(score: Option<f64>) -> String {
    score.map_or_else(|| "-".into(), |score| format!("{score:.3}"))
}

fn best(report: &SearchReport<'_>) -> String {
    let head = ["Method", "score", "trial", "settings", "second", "minutes"].map(str::to_owned);
    let line = |method: &str| {
        let winner = TrialRecord::best_of(report.trials, method);
        let others = winner.into_iter().flat_map(|winner| {
            report
                .of(method, winner.rung)
                .filter(move |trial| trial.trial != winner.trial)
                .filter_map(|trial| trial.score)
        });
        let second = others.max_by(f64::total_cmp);
        let seconds: f64 =
            report.trials.iter().filter(|trial| trial.method == method).map(|trial| trial.train_seconds).sum();
        let deviation = winner.and_then(|winner| winner.deviation).map(|deviation| format!(" ± {deviation:.3}"));
        vec![
            report.label(method).to_string(),
            score(winner.and_then(|winner| winner.score)) + &deviation.unwrap_or_default(),
            winner.map_or_else(|| "-".into(), |winner| winner.trial.to_string()),
            winner.map_or_else(|| "every trial diverged".into(), |winner| in_words(&winner.settings)),
            score(second),
            format!("{:.1}", seconds / 60.0),
        ]
    };
    grid(&head, &report.methods().map(line).collect::<Vec<_>>())
}

fn flatness(report: &SearchReport<'_>) -> String {
    let within = WITHIN.iter().map(|distance| format!("within {distance}"));
    let head: Vec<String> =
        ["Method".to_owned(), "best".to_owned()].into_iter().chain(within).chain(["diverged".to_owned()]).collect();
    let line = |method: &str| {
        let trials: Vec<&TrialRecord> = report.of(method, 0).collect();
        let best = trials.iter().filter_map(|trial| trial.score).max_by(f64::total_cmp);
        let share = |is_counted: &dyn Fn(&TrialRecord) -> bool| {
            let counted = trials.iter().filter(|trial| is_counted(trial)).count();
            format!("{:.0} %", 100.0 * counted as f64 / trials.len().max(1) as f64)
        };
        // The scores are means of numbers with few digits, so that a difference of exactly 0.1 is not lost by rounding.
        let near = |distance: f64| {
            share(&|trial| trial.score.zip(best).is_some_and(|(score, best)| best - score <= distance + 1e-9))
        };
        let shares = WITHIN.iter().map(|distance| near(*distance));
        let diverged = share(&|trial| trial.score.is_none());
        [report.label(method).to_string(), score(best)].into_iter().chain(shares).chain([diverged]).collect()
    };
    grid(&head, &report.methods().map(line).collect::<Vec<Vec<String>>>())
}

fn spaces(report: &SearchReport<'_>) -> String {
    let head = ["Method", "setting", "values"].map(str::to_owned);
    let of_space = |space: &crate::plan::Space| {
        let label = report.label(&space.method);
        let line = |(key, values, _): (&str, String, bool)| vec![label.to_string(), format!("`{key}`"), values];
        space.settings().map(line).collect::<Vec<_>>()
    };
    grid(&head, &report.search.spaces.iter().flat_map(of_space).collect::<Vec<_>>())
}
