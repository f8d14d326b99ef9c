//! The data from which a table is written.

use std::path::Path;

use crate::plan::{DataIdentity, Overrides, Plan};
use crate::record::StoredRun;
use crate::suite::Caveat;

/// The data from which a table is written.
pub struct TableContext<'a> {
    /// The experiment.
    pub plan: &'a Plan,
    /// The identity of the data of its runs.
    pub data: &'a DataIdentity,
    /// How the data files differ from the published ones.
    pub caveats: &'a [Caveat],
    /// The profile and the assignments of variables and flags that ask for the table.
    pub overrides: Overrides,
    /// All runs of the experiment, whatever their configuration.
    pub runs: &'a [StoredRun],
    /// The folder for the files of the table.
    pub folder: &'a Path,
}

#[cfg(test)]
impl<'a> TableContext<'a> {
    /// The context of `plan` on data that is as published.
    pub(super) fn of_real_data(plan: &'a Plan, data: &'a DataIdentity) -> Self {
        Self { plan, data, caveats: &[], overrides: Overrides::default(), runs: &[], folder: Path::new("none") }
    }
}
