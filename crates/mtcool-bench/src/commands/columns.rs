//! Text in columns for a terminal.

/// The rows as lines. Each column is as wide as its longest entry; two spaces separate the columns. All rows have the same number
/// of entries.
pub(super) fn in_columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}  "));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The rows as CSV, with quotes around entries that need them.
pub(super) fn as_csv(rows: &[Vec<String>]) -> String {
    let cell = |text: &String| {
        let needs_quotes = text.contains([',', '"', '\n', '\r']);
        if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.clone() }
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_entry_and_csv_is_quoted() {
        let rows = [["A", "B"], ["long é", "x, \"y\""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(in_columns(&rows), "A       B\nlong é  x, \"y\"\n");
        assert_eq!(as_csv(&rows), "A,B\nlong é,\"x, \"\"y\"\"\"\n");
        assert_eq!(in_columns(&[]), "");
    }
}
