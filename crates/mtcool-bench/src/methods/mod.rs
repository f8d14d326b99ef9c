//! The methods that come with the program: the keys of their tables `[method.*]`, and how each method is built.

mod aggregators;
mod entries;
mod fmtl;
mod gradient;
mod mtcool;
mod weightings;

use crate::suite::MethodEntry;

/// All methods: those of `entries.rs`, then further ones, each from a file of its own.
pub(crate) fn entries() -> Vec<MethodEntry> {
    let further = [];
    entries::entries().into_iter().chain(further).collect()
}
