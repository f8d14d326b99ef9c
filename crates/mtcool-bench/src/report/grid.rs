//! Markdown tables that are aligned for a terminal.

/// The header and the lines as a Markdown table. Each column is as wide as its longest entry.
pub(crate) fn grid(head: &[String], lines: &[Vec<String>]) -> String {
    let all = || std::iter::once(head).chain(lines.iter().map(Vec::as_slice));
    let width = |at: usize| all().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let padded =
        |line: &[String]| row(line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect());
    let rule = row(widths.iter().map(|&width| "-".repeat(width)).collect());
    padded(head) + &rule + &lines.iter().map(|line| padded(line)).collect::<String>()
}
