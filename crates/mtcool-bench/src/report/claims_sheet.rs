//! [`ClaimsSheet`]: what the judged claims show, as texts.

use mtcool_metrics::Seeds;

use super::claims::{Finding, JudgedClaim, JudgedPair};
use super::paired_sheet::p_value;
use super::table::Table;
use crate::plan::Direction;

/// What the judged claims show.
pub(super) struct ClaimsSheet {
    /// Its title.
    pub(super) title: String,
    /// Each claim in words, with its finding.
    pub(super) claims: Vec<(Finding, String)>,
    /// The texts of the header of the comparisons.
    pub(super) head: Vec<String>,
    /// The comparisons of all claims, each with its finding.
    pub(super) lines: Vec<(Finding, Vec<String>)>,
    /// The rule, and what was compared.
    pub(super) notes: Vec<String>,
}

impl ClaimsSheet {
    /// The claims of `table`; `None` if it has none.
    pub(super) fn of(table: &Table) -> Option<Self> {
        if table.claims.is_empty() {
            return None;
        }
        let all = || table.claims.iter().flat_map(|claim| &claim.comparisons);
        let has_paper = table.paper_obstacle.is_none() && all().any(|pair| pair.paper.is_some());
        let mut head: Vec<String> =
            ["claim", "comparison", "column", "difference", "95 % interval", "p", ""].map(str::to_owned).into();
        head.extend(has_paper.then(|| "in the paper".to_owned()));
        let lines = table.claims.iter().enumerate().flat_map(|(at, claim)| {
            claim.comparisons.iter().map(move |pair| (pair.finding, line(table, at + 1, pair, has_paper)))
        });
        Some(Self {
            title: format!(
                "Claims of the paper, judged by these runs{}",
                if table.is_synthetic { " on synthetic data" } else { "" }
            ),
            claims: table.claims.iter().map(|claim| (claim.finding, in_words(claim))).collect(),
            head,
            lines: lines.collect(),
            notes: notes(table),
        })
    }
}

/// The claim with its margin and the methods that it lacks.
fn in_words(judged: &JudgedClaim) -> String {
    let claim = &judged.claim;
    let margin = match claim.direction {
        Direction::Better if claim.margin == 0.0 => String::new(),
        Direction::Better => format!(" (by more than {})", claim.margin),
        Direction::Near => format!(" (within {})", claim.margin),
    };
    let missing = match &judged.missing[..] {
        [] => String::new(),
        missing => format!("; no finished run of {}", missing.join(", ")),
    };
    format!("{}{margin}{missing}", claim.text)
}

fn line(table: &Table, number: usize, pair: &JudgedPair, has_paper: bool) -> Vec<String> {
    let runs = if pair.adjusted_p.is_none() {
        match pair.runs {
            [1, 1] => " (one network each)".to_owned(),
            [own, other] => format!(" ({own} and {other} networks)"),
        }
    } else {
        String::new()
    };
    let digits = table.digits(&pair.column);
    let [low, high] = [pair.difference.low, pair.difference.high].map(|end| digits.signed(end));
    let mut cells = vec![
        number.to_string(),
        format!("{} minus {}{runs}", pair.method, pair.against),
        pair.column.label.to_string(),
        digits.signed(pair.difference.estimate),
        format!("{low} to {high}"),
        pair.adjusted_p.map_or_else(|| "-".into(), p_value),
        pair.finding.mark().into(),
    ];
    if has_paper {
        cells.push(pair.paper.map_or_else(|| "-".into(), |paper| digits.signed(paper)));
    }
    cells
}

fn notes(table: &Table) -> Vec<String> {
    let all = || table.claims.iter().flat_map(|claim| &claim.comparisons);
    let rules = Finding::ALL.map(|finding| format!("{} {}: {}", finding.mark(), finding.words(), finding.rule()));
    let mut notes = vec![
        format!("{}.", rules.join("; ")),
        "The intervals are those of Student's t over other seeds and other images: the variances of the mean over both are added, with \
         Satterthwaite's degrees of freedom. With one network of a method, they say nothing about other seeds."
            .into(),
    ];
    if all().any(|pair| pair.seeds != Seeds::Independent && pair.runs[0] > 1) {
        notes.push(
            "Networks of one seed are paired, since they began with the same weights and saw the same data; what seeds then still change is \
             estimated from all rows with the same seeds, or from the two rows alone, whichever is larger."
                .into(),
        );
    }
    let tested = all().filter(|pair| pair.adjusted_p.is_some()).count();
    if tested > 0 {
        notes.push(format!(
            "The p-value is that of the hypothesis that the claim is wrong for this comparison, two-sided, with Holm's correction for \
             all {tested} comparisons."
        ));
    }
    let mut whole: Vec<&str> = all().filter(|pair| pair.images.is_none()).map(|pair| &*pair.column.label).collect();
    whole.dedup();
    if !whole.is_empty() {
        notes.push(format!(
            "Not known for single images, so that the interval is that over other seeds alone: {}.",
            whole.join(", ")
        ));
    }
    let differs = |pair: &&JudgedPair| {
        let most = table.digits(&pair.column).half_of_last();
        pair.shown.is_some_and(|shown| (shown - pair.difference.estimate).abs() > most)
    };
    if all().any(|pair| differs(&pair)) {
        notes.push(
            "A difference here is the mean over images of the scores of single images; a cell of the table pools all pixels, so that \
             its difference may be another."
                .into(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use mtcool_metrics::Interval;

    use super::*;
    use crate::plan::Claim;
    use crate::suite::Column;

    fn table(adjusted_p: Option<f64>, runs: [usize; 2]) -> Table {
        let claim = Claim {
            text: "MT-COOL is near Independent".into(),
            methods: vec!["mtcool".into()],
            against: vec!["independent".into()],
            columns: vec!["task.f1".into()],
            direction: Direction::Near,
            margin: 4.0,
        };
        let pair = JudgedPair {
            method: "MT-COOL".into(),
            against: "Independent".into(),
            column: Column::new("task", "f1", "F1"),
            runs,
            seeds: Seeds::Paired,
            images: Some(30),
            difference: Interval { estimate: -1.25, low: -2.0, high: 0.5, undefined: 0 },
            shown: Some(-1.0),
            adjusted_p,
            paper: Some(-3.28),
            finding: Finding::Supported,
        };
        let judged = JudgedClaim { claim, comparisons: vec![pair], missing: Vec::new(), finding: Finding::Supported };
        Table { claims: vec![judged], ..Table::example(None) }
    }

    #[test]
    fn a_claim_stands_with_its_margin_its_numbers_and_the_rule() {
        let sheet = ClaimsSheet::of(&table(Some(0.0123), [3, 3])).unwrap();
        assert_eq!(sheet.claims, [(Finding::Supported, "MT-COOL is near Independent (within 4)".to_owned())]);
        let cells = ["1", "MT-COOL minus Independent", "F1", "-1.25", "-2.00 to +0.50", "0.012", "✓", "-3.28"];
        assert_eq!(sheet.lines, [(Finding::Supported, cells.map(str::to_owned).to_vec())]);
        assert_eq!(sheet.head.len(), cells.len());
        let notes = sheet.notes.join(" ");
        for words in
            ["supported: p is below 0.05", "all 1 comparisons", "pools all pixels", "Student's t", "are paired"]
        {
            assert!(notes.contains(words), "no `{words}` in `{notes}`");
        }
        assert!(!notes.contains("over other seeds alone"), "{notes}");
        assert!(ClaimsSheet::of(&Table::example(None)).is_none());
    }

    #[test]
    fn a_single_network_has_no_p_value() {
        let sheet = ClaimsSheet::of(&table(None, [1, 1])).unwrap();
        assert_eq!(sheet.lines[0].1[1], "MT-COOL minus Independent (one network each)");
        assert_eq!(sheet.lines[0].1[5], "-");
        let notes = sheet.notes.join(" ");
        assert!(!notes.contains("p-value is") && !notes.contains("are paired"), "{notes}");
    }
}
