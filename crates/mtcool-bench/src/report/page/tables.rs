//! The tables of the page.

use std::ops::Range;

use maud::{Markup, html};

use crate::plan::Direction;
use crate::report::chart::interval_mark;
use crate::report::claims::{Finding, JudgedClaim};
use crate::report::claims_sheet::ClaimsSheet;
use crate::report::clamped::ClampedSheet;
use crate::report::external_sheet::ExternalSheet;
use crate::report::paired_sheet::PairedSheet;
use crate::report::places::Place;
use crate::report::sheet::{Entry, Sheet};
use crate::report::table::Table;
use crate::report::verdict::Verdict;

/// The table of results with its notes. The best and the second best result of each column are marked, and differences from the
/// paper have the colours of their verdicts. The paper's result and the difference stand below ours, so that all columns fit on a screen.
pub(super) fn results(table: &Table) -> Markup {
    let sheet = Sheet::of(table);
    let stacks = stacks(&sheet.explains);
    let has_places = sheet.blocks.iter().flatten().flatten().any(|entry| entry.place.is_some());
    html! {
        div.scroll {
            table {
                thead { tr { @for stack in &stacks { (head(&sheet.head[stack.clone()])) } } }
                @for block in sheet.blocks.iter().filter(|block| !block.is_empty()) {
                    tbody { @for line in block { tr { @for stack in &stacks { (cell(&line[stack.clone()])) } } } }
                }
            }
        }
        ul.notes {
            @if has_places { li { b { "Best" } " and " u { "second best" } " of each column are marked." } }
            li { (sheet.legend) }
            @for note in &table.notes { li { (note) } }
        }
    }
}

/// The places of the columns that stand on top of each other: each column with those that explain it.
fn stacks(explains: &[bool]) -> Vec<Range<usize>> {
    let mut stacks: Vec<Range<usize>> = Vec::new();
    for (at, explains) in explains.iter().enumerate() {
        match stacks.last_mut() {
            Some(stack) if *explains => stack.end = at + 1,
            _ => stacks.push(at..at + 1),
        }
    }
    stacks
}

fn head(names: &[String]) -> Markup {
    html! {
        th {
            @if let [name, below @ ..] = names {
                (name)
                @if !below.is_empty() { div.below { (below.join(", ")) } }
            }
        }
    }
}

fn cell(entries: &[Entry]) -> Markup {
    html! {
        td {
            @if let [entry, below @ ..] = entries {
                (text(entry))
                @if !below.is_empty() { div.below { @for entry in below { (text(entry)) " " } } }
            }
        }
    }
}

fn text(entry: &Entry) -> Markup {
    html! {
        @match (entry.place, entry.verdict) {
            (Some(Place::Best), _) => { b { (entry.text) } }
            (Some(Place::Second), _) => { u { (entry.text) } }
            (None, Some(verdict)) => {
                span class=(verdict_class(verdict)) title=(verdict.words()) { (entry.text) " " (verdict.mark()) }
            }
            (None, None) => { (entry.text) }
        }
    }
}

fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Reproduced => "good",
        Verdict::NotReproduced => "bad",
        Verdict::CannotBeCompared => "open",
    }
}

fn finding_class(finding: Finding) -> &'static str {
    match finding {
        Finding::Supported => "good",
        Finding::NotSupported => "bad",
        Finding::Undecided => "open",
    }
}

/// The claims, each with its comparisons as numbers and intervals; `None` if there are none.
pub(super) fn claims(table: &Table) -> Option<Markup> {
    let sheet = ClaimsSheet::of(table)?;
    let mut lines = sheet.lines.iter();
    let blocks = table.claims.iter().zip(&sheet.claims).map(|(judged, (finding, words))| {
        let comparisons = judged.comparisons.iter().zip(lines.by_ref());
        let comparisons: Vec<Markup> =
            comparisons.map(|(pair, (finding, cells))| claim_line(judged, pair.difference, *finding, cells)).collect();
        html! {
            tbody {
                tr.claim {
                    th colspan=(sheet.head.len()) scope="rowgroup" {
                        div { span class=(format!("badge {}", finding_class(*finding))) { (finding.words()) } " " (words) }
                    }
                }
                @for line in &comparisons { (line) }
            }
        }
    });
    let blocks: Vec<Markup> = blocks.collect();
    Some(html! {
        h2 { (sheet.title) }
        div.scroll {
            table {
                thead { tr { @for name in sheet.head.iter().skip(1) { th { (name) } } th {} } }
                @for block in &blocks { (block) }
            }
        }
        p.note { (sheet.notes.join(" ")) }
    })
}

/// The cells of a comparison without the claim's number, and its interval as a drawing with the claim's range.
fn claim_line(
    judged: &JudgedClaim,
    difference: mtcool_metrics::Interval,
    finding: Finding,
    cells: &[String],
) -> Markup {
    let margin = judged.claim.margin;
    let marks = match judged.claim.direction {
        Direction::Better if margin == 0.0 => vec![0.0],
        Direction::Better => vec![0.0, margin],
        Direction::Near => vec![0.0, -margin, margin],
    };
    let ends = judged.comparisons.iter().flat_map(|pair| [pair.difference.low, pair.difference.high]);
    let range = ends.chain(marks.iter().copied());
    let range = range.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], end| [low.min(end), high.max(end)]);
    html! {
        tr {
            @for cell in cells.iter().skip(1) { td { (cell) } }
            td class=(finding_class(finding)) {
                (interval_mark(difference.estimate, [difference.low, difference.high], range, &marks))
            }
        }
    }
}

/// The results on the external folders, one by one.
pub(super) fn external(table: &Table) -> Vec<Markup> {
    let block = |ExternalSheet { title, head, lines, notes }: ExternalSheet| {
        html! {
            h2 { (title) }
            @if !lines.is_empty() { (plain(&head, &lines)) }
            ul.notes { @for note in &notes { li { (note) } } }
        }
    };
    ExternalSheet::all(table).into_iter().map(block).collect()
}

/// What the clamp moved; `None` if no run has recorded it.
pub(super) fn clamped(table: &Table) -> Option<Markup> {
    let ClampedSheet { title, head, lines, note } = ClampedSheet::of(table)?;
    Some(html! {
        h2 { (title) }
        (plain(&head, &lines))
        p.note { (note) }
    })
}

/// A table of texts, which may be wider than the page.
fn plain(head: &[String], lines: &[Vec<String>]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for name in head { th { (name) } } } }
                tbody { @for line in lines { tr { @for cell in line { td { (cell) } } } } }
            }
        }
    }
}

/// The paired comparison; `None` if there is none.
pub(super) fn paired(table: &Table) -> Option<Markup> {
    let PairedSheet { title, head, lines, notes } = PairedSheet::of(table)?;
    Some(html! {
        h2 { (title) }
        (plain(&head, &lines))
        p.note { (notes.join(" ")) }
    })
}
