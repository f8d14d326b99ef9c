//! The table as Markdown that is aligned for a terminal, with notes and the paired comparison below it.

use super::claims_sheet::ClaimsSheet;
use super::external_sheet::ExternalSheet;
use super::grid::grid;
use super::paired_sheet::PairedSheet;
use super::sheet::{Entry, Sheet};
use super::table::Table;

/// The whole of `table.md`.
pub(super) fn markdown(table: &Table) -> String {
    let sheet = Sheet::of(table);
    let texts = |line: &Vec<Entry>| line.iter().map(text).collect::<Vec<String>>();
    let mut lines: Vec<Vec<String>> = sheet.blocks[0].iter().map(texts).collect();
    if sheet.blocks.iter().all(|block| !block.is_empty()) {
        lines.push(vec![String::new(); sheet.head.len()]);
    }
    lines.extend(sheet.blocks[1].iter().map(texts));
    let mut text = format!("## {}\n\n{}", table.heading(), grid(&sheet.head, &lines));
    for note in [sheet.legend].iter().chain(&table.notes).chain(&sheet.best) {
        text += &format!("\n- {note}");
    }
    text + "\n" + &external(table) + &claims(table) + &paired(table) + &table.provenance.markdown()
}

fn text(entry: &Entry) -> String {
    match entry.verdict {
        Some(verdict) => format!("{} {}", entry.text, verdict.mark()),
        None => entry.text.clone(),
    }
}

/// The results on external folders; empty if there are none.
fn external(table: &Table) -> String {
    let block = |ExternalSheet { title, head, lines, notes }: ExternalSheet| {
        let lines = if lines.is_empty() { String::new() } else { grid(&head, &lines) };
        let notes: String = notes.iter().map(|note| format!("\n- {note}")).collect();
        format!("\n### {title}\n\n{lines}{notes}\n")
    };
    ExternalSheet::all(table).into_iter().map(block).collect()
}

/// The judged claims; empty if there are none.
fn claims(table: &Table) -> String {
    let Some(ClaimsSheet { title, claims, head, lines, notes }) = ClaimsSheet::of(table) else { return String::new() };
    let mut text = format!("\n### {title}\n\n");
    for (at, (finding, claim)) in claims.iter().enumerate() {
        text += &format!("{}. {} {}: {claim}\n", at + 1, finding.mark(), finding.words());
    }
    let lines: Vec<Vec<String>> = lines.into_iter().map(|(_, line)| line).collect();
    text + &format!("\n{}\n{}\n", grid(&head, &lines), notes.join(" "))
}

/// The paired comparison of the subject with each other method; empty if there is none.
fn paired(table: &Table) -> String {
    let Some(PairedSheet { title, head, lines, notes }) = PairedSheet::of(table) else { return String::new() };
    format!("\n### {title}\n\n{}\n{}\n", grid(&head, &lines), notes.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::Verdict;

    /// The cells of the line that begins with `label`.
    fn line<'a>(markdown: &'a str, label: &str) -> Vec<&'a str> {
        let line = markdown.lines().find(|line| line.starts_with(&format!("| {label} "))).unwrap();
        line.trim_matches('|').split('|').map(str::trim).collect()
    }

    #[test]
    fn differences_carry_the_mark_of_their_verdict() {
        let text = markdown(&Table::example(None));
        assert_eq!(
            line(&text, "Joint")[2..8],
            ["99.25 ± 0.250", "99.50 ± 0.062", "-0.25 ✗", "99.75 ± 0.250", "99.50", "+0.25 ✓"]
        );
        assert_eq!(line(&text, "MT-COOL (Ours)")[4], "+0.00 ?");
        let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no `{words}` in {text}"));
        assert!(
            place("\n- Params: ") < place("\n- A note.") && place("\n- A note.") < place("\n- Best on First"),
            "{text}"
        );
    }

    #[test]
    fn nothing_that_cannot_be_compared_has_a_mark() {
        let text = markdown(&Table::example(Some("ours belong to synthetic data")));
        assert_eq!(line(&text, "Joint")[2..5], ["99.25 ± 0.250", "99.75 ± 0.250", "1.00 ± 0.250"]);
        assert!(Verdict::ALL.iter().all(|verdict| !text.contains(&format!(" {} |", verdict.mark()))), "{text}");
    }

    #[test]
    fn the_methods_of_the_file_and_other_methods_are_two_blocks() {
        let mut table = Table::example(None);
        let empty = |text: &str| {
            text.lines().filter(|line| line.replace(['|', ' '], "").is_empty() && line.starts_with('|')).count()
        };
        assert_eq!(empty(&markdown(&table)), 0);
        table.rows[1].is_in_first_block = false;
        assert_eq!(empty(&markdown(&table)), 1);
        table.rows[0].is_in_first_block = false;
        assert_eq!(empty(&markdown(&table)), 0, "one block needs no line");
    }
}
