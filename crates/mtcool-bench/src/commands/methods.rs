//! `mtcool methods`: the list of methods.

use crate::suite::{MethodEntry, Registry};

/// A table of all methods. Each column is as wide as its longest entry; two spaces separate the columns.
pub(super) fn methods_table(registry: &Registry) -> String {
    let header = ["NAME", "IN TABLES", "KIND", "WHAT IT DOES", "WHAT A STEP NEEDS", "PAPER"].map(str::to_owned);
    let row = |entry: &'_ MethodEntry| -> [String; 6] {
        [&*entry.name, &*entry.label, entry.kind.label(), &*entry.summary, &*entry.needs, &*entry.reference]
            .map(str::to_owned)
    };
    let rows: Vec<_> = std::iter::once(header).chain(registry.methods().iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}  "));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
