//! [`Sheet`]: what the table shows, as texts with their marks. Markdown and the page are two views of it.

use super::overall::{Overall, overall};
use super::places::{Place, places};
use super::row::TableRow;
use super::table::Table;
use super::verdict::Verdict;
use crate::suite::{Column, Digits};

/// What the table shows.
pub(super) struct Sheet {
    /// The texts of the header.
    pub(super) head: Vec<String>,
    /// For each column, whether it explains the column before it: the paper's results, and the differences from them.
    pub(super) explains: Vec<bool>,
    /// The lines: the methods of the experiment's file, then other methods; a block may be empty.
    pub(super) blocks: [Vec<Vec<Entry>>; 2],
    /// What the header's words and signs mean.
    pub(super) legend: String,
    /// Sentences that name the best methods of the columns.
    pub(super) best: Vec<String>,
}

/// A cell of the sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its text.
    pub(super) text: String,
    /// The row's place in this column.
    pub(super) place: Option<Place>,
    /// The verdict that the text carries.
    pub(super) verdict: Option<Verdict>,
}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Sheet {
    /// The sheet of `table`.
    pub(super) fn of(table: &Table) -> Self {
        let shows_paper: Vec<bool> = (0..table.columns.len()).map(|at| shows_paper(table, at)).collect();
        let all = overall(&table.rows, &table.columns, &table.roles.alone);
        let shows = [all.iter().any(|row| row.delta_m.is_some()), all.iter().any(|row| row.mean_rank.is_some())];
        let mut head = vec!["Method".to_owned(), "Params".into()];
        for (column, shows_paper) in table.columns.iter().zip(&shows_paper) {
            head.push(column.label.to_string());
            head.extend(if *shows_paper { vec!["paper".to_owned(), "difference".into()] } else { Vec::new() });
        }
        let further = ["Δm %", "rank"].into_iter().zip(shows).filter_map(|(name, shown)| shown.then_some(name));
        head.extend(further.chain(["runs", "s/epoch"]).map(str::to_owned));
        let mut explains = vec![false; 2];
        shows_paper.iter().for_each(|shows| explains.extend(if *shows { &[false, true, true][..] } else { &[false] }));
        explains.resize(head.len(), false);
        let places = all_places(table, &all);
        let digits: Vec<Digits> = table.columns.iter().map(|column| table.digits(column)).collect();
        let mut blocks = [Vec::new(), Vec::new()];
        for ((row, overall), places) in table.rows.iter().zip(&all).zip(&places) {
            blocks[usize::from(!row.is_in_first_block)].push(line(row, overall, places, &digits, &shows_paper, shows));
        }
        Self { head, explains, blocks, legend: legend(table, shows), best: best_methods(table, &shows_paper) }
    }
}

/// Whether the paper's results of column `at` stand beside ours: only where they can be compared.
fn shows_paper(table: &Table, at: usize) -> bool {
    table.paper_obstacle.is_none() && table.rows.iter().any(|row| row.against_paper[at].is_some())
}

/// For each row: its place in each column, then in delta-m and in the mean rank.
fn all_places(table: &Table, all: &[Overall]) -> Vec<Vec<Option<Place>>> {
    let of_column = |(at, column): (usize, &Column)| {
        let means: Vec<Option<f64>> = table.rows.iter().map(|row| mean(row, at)).collect();
        places(&means, column.is_lower_better)
    };
    let mut by_column: Vec<Vec<Option<Place>>> = table.columns.iter().enumerate().map(of_column).collect();
    by_column.push(places(&all.iter().map(|row| row.delta_m).collect::<Vec<_>>(), false));
    by_column.push(places(&all.iter().map(|row| row.mean_rank).collect::<Vec<_>>(), true));
    (0..table.rows.len()).map(|row| by_column.iter().map(|column| column[row]).collect()).collect()
}

fn mean(row: &TableRow, at: usize) -> Option<f64> {
    row.cells[at].map(|cell| cell.mean)
}

fn line(
    row: &TableRow,
    overall: &Overall,
    places: &[Option<Place>],
    digits: &[Digits],
    shows_paper: &[bool],
    shows: [bool; 2],
) -> Vec<Entry> {
    let mut line = vec![Entry::from(row.method.label.to_string()), number(row.params, 2).into()];
    for (at, shows_paper) in shows_paper.iter().enumerate() {
        let text = row.cells[at].map_or_else(missing, |cell| digits[at].spread(cell.mean, cell.std));
        line.push(Entry { text, place: places[at], verdict: None });
        if *shows_paper {
            let paper = row.against_paper[at];
            line.push(paper.map_or_else(missing, |cell| digits[at].spread(cell.paper.mean, cell.paper.std)).into());
            let difference = paper.and_then(|cell| Some((digits[at].signed(cell.difference?), cell.verdict)));
            line.push(match difference {
                Some((text, verdict)) => Entry { text, place: None, verdict: Some(verdict) },
                None => missing().into(),
            });
        }
    }
    let columns = shows_paper.len();
    let signed = overall.delta_m.map_or_else(missing, |delta| format!("{delta:+.2}"));
    let further = [(signed, places[columns]), (number(overall.mean_rank, 1), places[columns + 1])];
    for ((text, place), _) in further.into_iter().zip(shows).filter(|(_, shown)| *shown) {
        line.push(Entry { text, place, verdict: None });
    }
    line.push(row.runs.to_string().into());
    line.push(number(row.seconds_per_epoch, 1).into());
    line
}

/// A sentence for each word and sign of the header and the cells that is not plain.
fn legend(table: &Table, [shows_delta, shows_rank]: [bool; 2]) -> String {
    let mut sentences = vec!["Params: number of parameters divided by that of Joint's network.".to_owned()];
    if table.rows.iter().flat_map(|row| &row.cells).flatten().any(|cell| cell.std.is_some()) {
        sentences.push("±: standard deviation over the runs, which differ in their seeds.".into());
    }
    if shows_delta {
        let alone = table.rows.iter().find(|row| row.method.name == table.roles.alone.as_str());
        let alone = alone.map_or_else(|| table.roles.alone.clone(), |row| row.method.label.to_string());
        sentences.push(format!(
            "Δm %: relative difference from {alone}, mean over the tasks in per cent; positive is better."
        ));
    }
    if shows_rank {
        sentences.push("rank: mean rank over the columns among the complete rows; 1 is best.".into());
    }
    sentences.push("s/epoch: training time in seconds per epoch.".into());
    sentences.join(" ")
}

/// Sentences that name the best methods of each column, here and in the paper; columns with the same best methods share a
/// sentence.
fn best_methods(table: &Table, shows_paper: &[bool]) -> Vec<String> {
    let best = |column: &Column, figure: &dyn Fn(&TableRow) -> Option<f64>| {
        let figures: Vec<Option<f64>> = table.rows.iter().map(figure).collect();
        let found = table.rows.iter().zip(places(&figures, column.is_lower_better));
        let labels: Vec<&str> =
            found.filter(|(_, place)| *place == Some(Place::Best)).map(|(row, _)| &*row.method.label).collect();
        (!labels.is_empty()).then(|| labels.join(", "))
    };
    let mut sentences: Vec<(String, Vec<&str>)> = Vec::new();
    for (at, column) in table.columns.iter().enumerate() {
        let Some(here) = best(column, &|row| mean(row, at)) else { continue };
        let paper = best(column, &|row| row.against_paper[at].map(|cell| cell.paper.mean)).filter(|_| shows_paper[at]);
        let paper = paper.map(|labels| format!("; in the paper, among these rows: {labels}")).unwrap_or_default();
        let words = here + &paper;
        match sentences.iter_mut().find(|(known, _)| *known == words) {
            Some((_, columns)) => columns.push(&*column.label),
            None => sentences.push((words, vec![&*column.label])),
        }
    }
    let sentence = |(words, columns): (String, Vec<&str>)| format!("Best on {}: {words}.", columns.join(", "));
    sentences.into_iter().map(sentence).collect()
}

fn missing() -> String {
    "-".into()
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(missing, |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &[Entry]) -> Vec<&str> {
        line.iter().map(|entry| entry.text.as_str()).collect()
    }

    #[test]
    fn differences_carry_their_verdict_and_means_their_place() {
        let sheet = Sheet::of(&Table::example(None));
        let head = [
            "Method",
            "Params",
            "First",
            "paper",
            "difference",
            "Second",
            "paper",
            "difference",
            "Third",
            "runs",
            "s/epoch",
        ];
        assert_eq!(sheet.head, head, "no row is complete but one, so that there are no ranks");
        let explaining: Vec<&str> =
            head.into_iter().zip(&sheet.explains).filter(|(_, is)| **is).map(|(name, _)| name).collect();
        assert_eq!((explaining, sheet.explains.len()), (["paper", "difference"].repeat(2), 11));
        let (joint, mtcool) = (&sheet.blocks[0][0], &sheet.blocks[0][1]);
        let shown = ["99.25 ± 0.250", "99.50 ± 0.062", "-0.25", "99.75 ± 0.250", "99.50", "+0.25", "1.00 ± 0.250"];
        assert_eq!(texts(joint)[2..9], shown);
        assert_eq!(texts(mtcool)[2..9], ["99.50 ± 0.250", "99.50 ± 0.062", "+0.00", "-", "99.50", "-", "2.00 ± 0.250"]);
        let verdicts = |line: &[Entry]| [line[4].verdict, line[7].verdict];
        assert_eq!(verdicts(joint), [Some(Verdict::NotReproduced), Some(Verdict::Reproduced)]);
        assert_eq!(verdicts(mtcool), [Some(Verdict::CannotBeCompared), None]);
        assert_eq!([joint[2].place, mtcool[2].place, joint[5].place], [None, Some(Place::Best), None]);
    }

    #[test]
    fn the_papers_results_are_hidden_where_they_mean_nothing() {
        let sheet = Sheet::of(&Table::example(Some("ours belong to synthetic data")));
        assert_eq!(sheet.head, ["Method", "Params", "First", "Second", "Third", "runs", "s/epoch"]);
        assert!(sheet.best.iter().all(|sentence| !sentence.contains("paper")), "{:?}", sheet.best);
    }

    #[test]
    fn best_methods_are_named_once_and_only_where_there_are_some() {
        let table = Table::example(None);
        assert_eq!(Sheet::of(&table).best, ["Best on First, Third: MT-COOL (Ours)."]);
        let alone = Table { rows: table.rows.into_iter().take(1).collect(), ..Table::example(None) };
        assert_eq!(Sheet::of(&alone).best, Vec::<String>::new(), "one row is not the best");
        let mut equal = Table::example(None);
        for row in &mut equal.rows {
            row.cells = vec![Some(mtcool_metrics::Summary { mean: 90.0, std: None, count: 1 }); 3];
        }
        assert_eq!(Sheet::of(&equal).best, Vec::<String>::new(), "all are equal");
    }

    #[test]
    fn complete_rows_have_a_rank_and_a_difference_from_separate_networks() {
        let mut table = Table::example(None);
        table.roles.alone = "joint".into();
        table.rows[1].cells[1] = table.rows[0].cells[1];
        let sheet = Sheet::of(&table);
        assert_eq!(sheet.head[9..], ["Δm %", "rank", "runs", "s/epoch"]);
        assert_eq!(texts(&sheet.blocks[0][0])[9..11], ["-", "1.8"]);
        // (0.25 / 99.25 + 0 + 1) / 3, in per cent.
        assert_eq!(texts(&sheet.blocks[0][1])[9..11], ["+33.42", "1.2"]);
        for words in ["Params:", "±:", "Δm %: relative difference from Joint,", "rank:"] {
            assert!(sheet.legend.contains(words), "no `{words}` in `{}`", sheet.legend);
        }
    }
}
