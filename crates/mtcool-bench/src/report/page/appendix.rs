//! [`Appendix`]: where the results come from: configurations and environments of the runs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use maud::{Markup, html};
use serde_json::Value;

use crate::record::read;
use crate::report::provenance::Provenance;
use crate::report::table::Table;

/// The entries of an environment, sorted by name.
type Entries = Vec<(String, String)>;

/// Configurations and environments of the runs behind a table.
pub(in crate::report) struct Appendix {
    /// For each method with finished runs: its label, and the configuration of its first run as TOML.
    pub(super) configurations: Vec<(String, String)>,
    /// Each environment as sorted entries, with the names of the runs that were made in it.
    pub(super) environments: Vec<(Entries, Vec<String>)>,
}

impl Appendix {
    /// Of the runs of `table`.
    ///
    /// # Errors
    /// If a file of a run cannot be read.
    pub(in crate::report) fn of(table: &Table) -> Result<Self> {
        let mut configurations = Vec::new();
        let mut environments: BTreeMap<Vec<(String, String)>, Vec<String>> = BTreeMap::new();
        for row in &table.rows {
            if let Some(first) = row.stored.first() {
                let text = String::from_utf8_lossy(&read(&first.folder.join("config.toml"))?).into_owned();
                configurations.push((row.method.label.to_string(), text));
            }
            for run in &row.stored {
                let path = run.folder.join("environment.json");
                let environment: Value =
                    serde_json::from_slice(&read(&path)?).with_context(|| format!("`{}`", path.display()))?;
                environments.entry(entries(&environment)).or_default().push(run.name());
            }
        }
        Ok(Self { configurations, environments: environments.into_iter().collect() })
    }

    /// The appendix as sections of the page.
    pub(super) fn markup(&self) -> Markup {
        html! {
            @if !self.configurations.is_empty() {
                section {
                    h2 { "Configuration" }
                    p.note { "Everything that determines a run's result, for the first run of each method." }
                    @for (label, text) in &self.configurations { details { summary { (label) } pre { (text) } } }
                }
            }
            @if !self.environments.is_empty() {
                section {
                    h2 { "Environment" }
                    @for (entries, runs) in &self.environments {
                        details {
                            summary { (runs.len()) " runs: " (runs.join(", ")) }
                            dl { @for (key, value) in entries { dt { (key) } dd { (value) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Where the numbers come from; empty without runs.
pub(super) fn provenance(provenance: &Provenance) -> Markup {
    let counted = |all: &[(String, usize)]| {
        all.iter().map(|(text, runs)| format!("{text} (runs: {runs})")).collect::<Vec<String>>().join("; ")
    };
    let mut facts = vec![("runs", provenance.runs.to_string())];
    facts.extend(provenance.period.as_ref().map(|(start, end)| ("made", format!("from {start} to {end}"))));
    facts.push(("program", counted(&provenance.programs)));
    facts.push(("machine", counted(&provenance.machines)));
    facts.extend(provenance.data.iter().map(|fact| ("data", fact.clone())));
    let pairs =
        |pairs: &[(String, String)]| html! { dl { @for (key, value) in pairs { dt { (key) } dd { (value) } } } };
    html! {
        @if provenance.runs > 0 {
            section {
                h2 { "Where this comes from" }
                dl { @for (name, fact) in &facts { dt { (name) } dd { (fact) } } }
                p.note { "To repeat it:" }
                pre { (provenance.command) }
                details { summary { "Settings of all rows" } (pairs(&provenance.common)) }
                @for row in &provenance.rows {
                    details {
                        summary { (row.label) ": seeds " (row.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) }
                        (pairs(&row.settings))
                    }
                }
            }
        }
    }
}

/// The entries of a JSON object as texts.
fn entries(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entries = value.as_object().into_iter().flatten();
    entries.filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), text(value))).collect()
}
