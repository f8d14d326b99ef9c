//! What to say if no run has the settings that a report asks for: which settings there are.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;

use crate::plan::{DataIdentity, Plan, StoredSettings};
use crate::record::StoredRun;
use crate::suite::number_of;

/// Number of configurations that the message lists.
const MOST: usize = 8;

/// The error for a report of `plan` that finds none of `runs`.
pub(super) fn nothing_matches(plan: &Plan, data: &DataIdentity, runs: &[StoredRun], experiment: &str) -> anyhow::Error {
    if runs.is_empty() {
        return anyhow!("nothing to report: no run has begun; run `mtcool reproduce {experiment}` first");
    }
    let mut groups: BTreeMap<BTreeSet<String>, Vec<String>> = BTreeMap::new();
    for run in runs {
        groups.entry(differences(plan, data, run)).or_default().push(run.name());
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(differences, runs)| (std::cmp::Reverse(runs.len()), differences.len()));
    let line = |(differences, runs): &(BTreeSet<String>, Vec<String>)| {
        let settings: Vec<&str> = differences.iter().map(String::as_str).collect();
        format!("\n  {}: {}", runs.join(", "), settings.join("; "))
    };
    let lines: String = groups.iter().take(MOST).map(line).collect();
    let further = groups.len().saturating_sub(MOST);
    let further =
        if further > 0 { format!("\n  and {}", number_of(further, "more configuration")) } else { String::new() };
    anyhow!(
        "no run has the settings that are asked for. There are these, with what differs:{lines}{further}\nGive the settings of one \
         of them with `--set KEY=VALUE`, or execute the runs with `mtcool reproduce {experiment}`"
    )
}

/// The settings of `run` that differ from those that the plan asks for, in words.
fn differences(plan: &Plan, data: &DataIdentity, run: &StoredRun) -> BTreeSet<String> {
    let methods = || plan.methods.iter().chain(&plan.further);
    let of_label = methods().find(|method| method.entry.name == run.label && method.like == run.method);
    let Some(method) = of_label.or_else(|| methods().find(|method| method.like == run.method)) else {
        return BTreeSet::from([format!("method `{}`, which has no valid settings now", run.method)]);
    };
    let asked = plan.run_config(method, run.seed, data).to_toml().ok();
    let asked =
        asked.and_then(|text| StoredSettings::parse(&text).ok()).map(|stored| stored.settings()).unwrap_or_default();
    let there = run.config.settings();
    let keys: BTreeSet<&String> = asked.keys().chain(there.keys()).collect();
    let value =
        |settings: &BTreeMap<String, String>, key: &str| settings.get(key).cloned().unwrap_or_else(|| "not set".into());
    let differs = keys.into_iter().filter(|key| asked.get(*key) != there.get(*key));
    let words = |key: &String| {
        let shown = match key.strip_prefix("settings.") {
            Some(setting) => format!("method.{}.{setting}", method.entry.name),
            None => key.clone(),
        };
        format!("{shown} is {}, asked for is {}", value(&there, key), value(&asked, key))
    };
    differs.map(words).collect()
}
