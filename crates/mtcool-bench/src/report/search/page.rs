//! `report.html` of a search: for each setting of each method, a dot per trial.

use maud::{Markup, html};

use super::content::{SearchReport, in_words};
use crate::plan::Space;
use crate::record::TrialRecord;
use crate::report::chart::{Sample, Strip, colour, slice, strips};
use crate::report::page::document;
use crate::suite::{Digits, number_of};

/// The whole page.
pub(super) fn page(report: &SearchReport<'_>) -> String {
    let title = format!("Search: {}", report.plan.experiment.title);
    let body = html! {
        header { h1 { (title) @if !report.data.origin.is_null() { " " span.warning { "SYNTHETIC DATA" } } } p.facts { "Scores on the validation split; the test split was not read." } }
        main {
            @for space in &report.search.spaces {
                section {
                    h2 { (report.label(&space.method)) }
                    @if let Some(best) = TrialRecord::best_of(report.trials, &space.method) {
                        p.note { "Best: trial " (best.trial) ", " (in_words(&best.settings)) }
                    }
                    ul.legend {
                        @for (at, rung) in report.search.rungs.iter().enumerate() {
                            li { span class=(format!("swatch {}", colour(at))) {} "reached runs of " (number_of(rung.epochs, "epoch")) }
                        }
                    }
                    div.charts { @for chart in charts(report, space) { (chart) } }
                }
            }
            section { h2 { "Where this comes from" } pre { (report.command()) } }
        }
    };
    document(&title, &body).into_string()
}

/// A chart for each setting: its value against the score in the first rung, in which all trials have runs of one length. The colour
/// says which rung a trial has reached.
fn charts(report: &SearchReport<'_>, space: &Space) -> Vec<Markup> {
    let trials: Vec<&TrialRecord> = report.of(&space.method, 0).collect();
    let reached = |trial: &TrialRecord| {
        let rungs = report.trials.iter().filter(|other| (&other.method, other.trial) == (&trial.method, trial.trial));
        rungs.map(|other| other.rung).max().unwrap_or(0)
    };
    let chart = |(key, _, is_log): (&str, String, bool)| {
        let title = format!("{}: {key}", report.label(&space.method));
        let with_value = trials.iter().filter_map(|trial| {
            let (_, value) = trial.settings.iter().find(|(other, _)| other == key)?;
            Some((*trial, value, trial.score?))
        });
        let sample = |(trial, value, score): (&TrialRecord, &toml::Value, f64)| {
            let value = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))?;
            Some(Sample { label: format!("trial {}", trial.trial), index: reached(trial), value, score })
        };
        match with_value.clone().map(sample).collect::<Option<Vec<_>>>() {
            Some(samples) => slice(&title, [key, "score"], &samples, is_log),
            None => {
                let mut by_text: Vec<Strip> = Vec::new();
                for (_, value, score) in with_value {
                    let label = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    match by_text.iter_mut().find(|strip| strip.label == label) {
                        Some(strip) => strip.values.push(score),
                        None => by_text.push(Strip {
                            label,
                            index: 0,
                            values: vec![score],
                            mean: 0.0,
                            interval: None,
                            paper: None,
                        }),
                    }
                }
                for strip in &mut by_text {
                    strip.mean = strip.values.iter().sum::<f64>() / strip.values.len() as f64;
                }
                strips(&title, &by_text, Digits::default())
            }
        }
    };
    space.settings().filter_map(chart).collect()
}
