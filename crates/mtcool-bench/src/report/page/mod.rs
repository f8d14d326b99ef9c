//! `report.html`: everything that is known about an experiment on one page, which loads no other file.

mod appendix;
mod charts;
mod tables;

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use mtcool_metrics::Interval;

use super::flatness::{Flatness, title as flatness_title};
use super::row::TableRow;
use super::table::Table;
use crate::suite::number_of;
use charts::{Charts, Group};

pub(super) use appendix::Appendix;
use appendix::provenance;

/// The style sheet, for light and dark screens.
const STYLE: &str = include_str!("style.css");

/// What the page shows beside the table.
pub(super) struct Parts {
    /// The figure of the cases as SVG.
    pub(super) figure: Option<String>,
    /// The flatness of the runs.
    pub(super) flatness: Option<Flatness>,
    /// Where the results come from.
    pub(super) appendix: Appendix,
}

/// The whole page.
///
/// # Errors
/// If the intervals of the seeds cannot be computed.
pub(super) fn page(table: &Table, parts: &Parts) -> Result<String> {
    let Parts { figure, flatness, appendix } = parts;
    let charts = Charts::of(table, flatness.as_ref())?;
    let has_paper = |row: &TableRow| row.against_paper.iter().any(Option::is_some);
    let is_compared = table.paper_obstacle.is_none() && table.rows.iter().any(has_paper);
    let diamond = if is_compared { "; a diamond is the paper's mean" } else { "" };
    let body = html! {
        header {
            h1 { (table.title) @if table.is_synthetic { " " span.warning { "SYNTHETIC DATA" } } }
            p.facts { (facts(table)) }
        }
        main {
            section { (tables::results(table)) }
            @for external in tables::external(table) { section { (external) } }
            @if let Some(claims) = tables::claims(table) { section { (claims) } }
            (section("Every run", &charts.runs, &format!("A dot is a run, the line its method's mean, the bar the mean's 95 % \
                interval over seeds (Student's t){diamond}.")))
            (section("One factor at a time", &charts.factors, "As above, for rows that differ in one setting, and below them the rows to \
                compare them with."))
            (section("Cost and quality", &charts.cost, ""))
            (section("Learning curves on the validation split", &charts.curves, "Lines are means over the runs, bands the range of \
                the runs."))
            (section("Training", &charts.training, "Losses, weights and gradients of the tasks, as means over the steps of an \
                epoch."))
            (section("Flatness", &charts.flatness, &flatness_note(flatness.as_ref())))
            (section("What the clamp moved", &charts.clamped, "Share of the elements of a task's theta that the clamp moved in an update, \
                as means over the updates of an epoch, by layer; bands are the range of the runs."))
            @if let Some(clamped) = tables::clamped(table) { section { (clamped) } }
            @if let Some(figure) = figure {
                section {
                    h2 { "Cases" }
                    div.scroll.paper-white { (PreEscaped(figure)) }
                }
            }
            @if let Some(paired) = tables::paired(table) { section { (paired) } }
            (provenance(&table.provenance))
            (appendix.markup())
        }
    };
    Ok(document(&table.heading(), &body).into_string())
}

/// A page with this title and body, in the style of all pages.
pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// What the flatness charts show, with the correlations at the largest radius.
fn flatness_note(flatness: Option<&Flatness>) -> String {
    let Some(flatness) = flatness else { return String::new() };
    let largest = flatness.radii.last();
    let at_largest = flatness.correlations.iter().filter(|found| Some(&found.radius) == largest);
    let words = at_largest.map(|found| {
        let Interval { estimate, low, high, .. } = found.value;
        format!("{} {estimate:+.2} ({low:+.2} to {high:+.2})", flatness_title(&found.task, found.moved))
    });
    let words: Vec<String> = words.collect();
    let shown = "Rise of the training loss when weights are moved by uniform noise of half-width r; bands are the 95 % intervals \
                 of the means over runs (Student's t), cut where they reach far beyond the runs.";
    match (words.is_empty(), largest) {
        (false, Some(radius)) => {
            format!(
                "{shown} Spearman's correlation of rise and transfer at r = {radius}: {}. {}",
                words.join("; "),
                flatness.note()
            )
        }
        _ => shown.into(),
    }
}

/// What the table is about, in one line.
fn facts(table: &Table) -> String {
    let with_runs = table.rows.iter().filter(|row| row.runs > 0).count();
    let runs: usize = table.rows.iter().map(|row| row.runs).sum();
    let (methods, runs) = (number_of(with_runs, "method"), number_of(runs, "finished run"));
    format!("{methods}, {runs}, results on the {} split", table.split)
}

/// A section with charts and their legend; empty without charts.
fn section(title: &str, charts: &Group, note: &str) -> Markup {
    html! {
        @if !charts.drawn.is_empty() {
            section {
                h2 { (title) }
                @if !note.is_empty() { p.note { (note) } }
                @if !charts.legend.is_empty() {
                    ul.legend { @for (class, label) in &charts.legend { li { span class=(format!("swatch {class}")) {} (label) } } }
                }
                div.charts { @for chart in &charts.drawn { (chart) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Claim, Direction};
    use crate::record::Row;
    use crate::report::claims::{Finding, JudgedClaim, JudgedPair};
    use crate::report::provenance::Provenance;

    /// The example with two runs per method, over two epochs.
    fn table() -> Table {
        let mut table = Table::example(None);
        let row = |epoch, split: &str, metric: &str, value| Row {
            step: epoch,
            epoch,
            split: split.into(),
            task: "task".into(),
            metric: metric.into(),
            value,
        };
        for (at, table_row) in table.rows.iter_mut().enumerate() {
            let run = |by: f64| {
                let of_epoch = |epoch: u64| {
                    let value = at as f64 + by + epoch as f64;
                    [row(epoch, "train", "weight", value), row(epoch, "validation", "metric", value)]
                };
                let last = row(2, "test", "metric", 99.0 + by);
                [1, 2].into_iter().flat_map(of_epoch).chain([last]).collect::<Vec<Row>>()
            };
            table_row.histories = vec![run(0.0), run(0.5)];
        }
        let claim = Claim {
            text: "A claim with <signs>".into(),
            methods: vec!["mtcool".into()],
            against: vec!["joint".into()],
            columns: vec!["task.metric".into()],
            direction: Direction::Near,
            margin: 1.0,
        };
        let pair = JudgedPair {
            method: "MT-COOL".into(),
            against: "Joint".into(),
            column: table.columns[0].clone(),
            runs: [2, 2],
            seeds: mtcool_metrics::Seeds::Paired,
            images: Some(30),
            difference: Interval { estimate: 0.25, low: -0.5, high: 0.75, undefined: 0 },
            shown: Some(0.25),
            adjusted_p: Some(0.01),
            paper: None,
            finding: Finding::Supported,
        };
        let judged = JudgedClaim { claim, comparisons: vec![pair], missing: Vec::new(), finding: Finding::Supported };
        let provenance = Provenance { runs: 4, command: "mtcool reproduce table1".into(), ..Provenance::default() };
        Table { claims: vec![judged], provenance, ..table }
    }

    fn appendix() -> Appendix {
        Appendix {
            configurations: vec![("Joint".into(), "learning_rate = 0.1".into())],
            environments: vec![(vec![("threads".into(), "2".into())], vec!["joint-s0".into(), "joint-s1".into()])],
        }
    }

    #[test]
    fn a_page_shows_everything_and_loads_nothing() {
        let figure = "<svg id=\"cases\"></svg>".to_owned();
        let text = page(&table(), &Parts { figure: Some(figure), flatness: None, appendix: appendix() }).unwrap();
        let shown = [
            "<h1>A table</h1>",
            "<b>99.50 ± 0.250</b>",
            "<th>First<div class=\"below\">paper, difference</div></th>",
            "<div class=\"below\">99.50 ± 0.062 <span class=\"bad\" title=\"not reproduced\">-0.25 ✗</span> </div>",
            "<span class=\"badge good\">supported</span> A claim with &lt;signs&gt; (within 1)",
            "-0.50 to +0.75",
            "Every run",
            "Learning curves on the validation split",
            "task: weight",
            "<svg id=\"cases\">",
            "Where this comes from",
            "<pre>mtcool reproduce table1</pre>",
            "learning_rate = 0.1",
            "2 runs: joint-s0, joint-s1",
            "A note.",
        ];
        for words in shown {
            assert!(text.contains(words), "no `{words}` in {text}");
        }
        for loading in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
            assert!(!text.contains(loading), "`{loading}` in the page");
        }
        assert!(!text.contains("SYNTHETIC"), "{text}");
        // Each of the two methods has two runs in each of the three columns.
        assert_eq!(text.matches("r=\"3.5\"").count(), 3 * 2 * 2 + 1, "and one estimate of a comparison");
    }

    #[test]
    fn what_is_missing_leaves_no_empty_sections() {
        let empty = Appendix { configurations: Vec::new(), environments: Vec::new() };
        let mut table = Table::example(Some("ours belong to synthetic data"));
        table.rows.truncate(1);
        let text = page(&table, &Parts { figure: None, flatness: None, appendix: empty }).unwrap();
        for title in [
            "Claims",
            "Every run",
            "Cost and quality",
            "Learning curves",
            "Training",
            "Flatness",
            "Cases",
            "Where",
            "Configuration",
            "Environment",
        ] {
            assert!(!text.contains(&format!("<h2>{title}")), "{title}");
        }
        assert!(text.contains("SYNTHETIC DATA</span></h1>"), "{text}");
    }
}
