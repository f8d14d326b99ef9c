//! `mtcool methods`: the list of methods.

use super::columns::in_columns;
use crate::suite::{MethodEntry, Registry};

/// A table of all methods.
pub(super) fn methods_table(registry: &Registry) -> String {
    let header = ["NAME", "IN TABLES", "KIND", "WHAT IT DOES", "WHAT A STEP NEEDS", "PAPER"];
    let row = |entry: &MethodEntry| {
        [&*entry.name, &*entry.label, entry.kind.label(), &*entry.summary, &*entry.needs, &*entry.reference]
            .map(str::to_owned)
            .to_vec()
    };
    let rows = registry.methods().iter().map(row);
    in_columns(&std::iter::once(header.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())
}
