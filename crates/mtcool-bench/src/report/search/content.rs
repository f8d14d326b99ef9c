//! [`SearchReport`]: what a search has found, for both forms of its report.

use crate::plan::{DataIdentity, Overrides, Plan, Search};
use crate::record::TrialRecord;
use crate::report::provenance::command_line;
use crate::suite::{Caveat, Name};

/// What a search has found, and everything that its report says about it.
pub struct SearchReport<'a> {
    /// The experiment with the validation split as its reported split.
    pub plan: &'a Plan,
    /// What was searched.
    pub search: &'a Search,
    /// The flags of the search.
    pub overrides: &'a Overrides,
    /// The identity of the data.
    pub data: &'a DataIdentity,
    /// How the data files differ from the published ones.
    pub caveats: &'a [Caveat],
    /// The trials of all rungs.
    pub trials: &'a [TrialRecord],
}

impl SearchReport<'_> {
    /// The command that makes the search again.
    pub fn command(&self) -> String {
        command_line("search", &self.plan.source, self.overrides)
    }

    /// The name of `method` in tables.
    pub(super) fn label(&self, method: &str) -> Name {
        let found = self.plan.methods.iter().find(|planned| planned.entry.name == *method);
        found.map_or_else(|| method.to_owned().into(), |planned| planned.entry.label.clone())
    }

    /// The searched methods, in the order of the table's rows.
    pub(super) fn methods(&self) -> impl Iterator<Item = &str> {
        self.search.spaces.iter().map(|space| space.method.as_str())
    }

    /// The trials of `method` in `rung`.
    pub(super) fn of(&self, method: &str, rung: usize) -> impl Iterator<Item = &TrialRecord> {
        self.trials.iter().filter(move |trial| trial.method == method && trial.rung == rung)
    }
}

/// `settings` in words.
pub(super) fn in_words(settings: &[(String, toml::Value)]) -> String {
    settings.iter().map(|(key, value)| format!("`{key}` {value}")).collect::<Vec<_>>().join(", ")
}
