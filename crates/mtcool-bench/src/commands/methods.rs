//! `mtcool methods`: the list of methods, and the explanation of one.

use anyhow::{Result, bail};
use serde_json::Value;

use super::columns::in_columns;
use crate::cli::Methods;
use crate::suite::{MethodEntry, MethodKind, Registry, Settings};

/// What the subcommand prints.
///
/// # Errors
/// If there is no such method or kind.
pub(super) fn methods(registry: &Registry, flags: &Methods) -> Result<String> {
    if let Some(name) = &flags.explain {
        return explanation(registry.method(name)?, registry);
    }
    let kinds = kinds(&flags.kind)?;
    let entries: Vec<&MethodEntry> = registry.methods().iter().filter(|entry| kinds.contains(&entry.kind)).collect();
    Ok(if flags.markdown { markdown(&entries) } else { table(&entries) })
}

/// The kinds with these names; all kinds if there is no name.
fn kinds(names: &[String]) -> Result<Vec<MethodKind>> {
    if names.is_empty() {
        return Ok(MethodKind::ALL.to_vec());
    }
    let kind = |name: &String| match MethodKind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(kind) => Ok(kind),
        None => bail!("`--kind {name}`: expected {}", MethodKind::ALL.map(MethodKind::name).join(", ")),
    };
    names.iter().map(kind).collect()
}

/// A table of methods.
fn table(entries: &[&MethodEntry]) -> String {
    let header = ["NAME", "IN TABLES", "KIND", "WHAT IT DOES", "WHAT A STEP NEEDS", "PAPER"];
    let row = |entry: &&MethodEntry| {
        [&*entry.name, &*entry.label, entry.kind.label(), &*entry.summary, &*entry.needs, &*entry.reference]
            .map(str::to_owned)
            .to_vec()
    };
    let rows = entries.iter().map(row);
    in_columns(&std::iter::once(header.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())
}

/// The table of README.md.
fn markdown(entries: &[&MethodEntry]) -> String {
    let header = "| name | in tables | kind | what it does | paper |\n|---|---|---|---|---|\n";
    let row = |entry: &&MethodEntry| {
        let MethodEntry { name, label, summary, reference, .. } = entry;
        format!("| `{name}` | {label} | {} | {summary} | {reference} |\n", entry.kind.label())
    };
    header.to_owned() + &entries.iter().map(row).collect::<String>()
}

/// Formula, paper, guarantee, cost and settings of one method.
fn explanation(entry: &MethodEntry, registry: &Registry) -> Result<String> {
    let MethodEntry { name, label, summary, needs, reference, details, .. } = entry;
    let mut text = format!("{name}: {label}, {} ({reference})\n{summary}\n\n", entry.kind.label());
    for (title, content) in [("formula", &details.formula), ("guarantee", &details.guarantee), ("a step needs", needs)]
    {
        text += &format!("{title:<14}{content}\n");
    }
    if entry.least_tasks > 1 {
        text += &format!("{:<14}at least {}\n", "tasks", entry.least_tasks);
    }
    if let Some(parent) = &entry.inherits {
        text += &format!("{:<14}what [method.{name}] lacks, it takes from [method.{parent}]\n", "settings");
    }
    let defaults = defaults(entry, registry);
    let mut rows = vec![["SETTING", "VALUES", "DEFAULT", "MEANING"].map(str::to_owned).to_vec()];
    if entry.kind != MethodKind::Alternating {
        rows.push(["learning_rate", "> 0", "-", "step along the direction"].map(str::to_owned).to_vec());
    }
    for setting in &details.settings {
        let default = defaults.get(setting.key).filter(|value| !value.is_null());
        let default = default.map_or_else(|| "-".to_owned(), Value::to_string);
        rows.push(vec![setting.key.into(), setting.range.into(), default, setting.meaning.into()]);
    }
    Ok(text + "\n" + &in_columns(&rows))
}

/// The method's settings if its table has nothing but the learning rate; `null` if it needs more.
fn defaults(entry: &MethodEntry, registry: &Registry) -> Value {
    let settings = (entry.settings)(&Settings::default().or("learning_rate", 0.1), registry.methods());
    settings.map_or(Value::Null, |settings| settings.describe())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::suite::Name;

    /// The settings that `--explain` lists are those that the method has.
    #[test]
    fn every_method_is_explained_with_all_of_its_settings() {
        let registry = Registry::builtin();
        for entry in registry.methods() {
            let details = &entry.details;
            let texts = [&entry.summary, &entry.needs, &details.formula, &details.guarantee];
            assert!(texts.iter().all(|text| text.len() > 3), "{}: {texts:?}", entry.name);
            let listed: BTreeSet<&str> = details.settings.iter().map(|setting| setting.key).collect();
            assert_eq!(listed.len(), details.settings.len(), "{}: a setting twice", entry.name);
            let read = |settings: &Settings| (entry.settings)(settings, registry.methods());
            for key in &listed {
                let needed = match entry.kind {
                    MethodKind::Alternating => Settings::default(),
                    _ => Settings::default().or("learning_rate", 0.1),
                };
                let nonsense = needed.or(key, [["nonsense"]]);
                let unknown = read(&nonsense).err().and_then(|error| error.unknown_key().map(str::to_owned));
                assert_eq!(unknown, None, "{}", entry.name);
            }
            if let Some(known) = defaults(entry, &registry).as_object() {
                let known: BTreeSet<&str> =
                    known.keys().map(String::as_str).filter(|key| *key != "learning_rate").collect();
                assert!(known.is_subset(&listed), "{}: {listed:?} lacks some of {known:?}", entry.name);
            } else {
                assert_eq!(entry.kind, MethodKind::Alternating, "{}: no defaults", entry.name);
            }
            assert!(explanation(entry, &registry).unwrap().contains(&*details.formula));
        }
    }

    #[test]
    fn names_and_papers_are_unique() {
        type Read = fn(&MethodEntry) -> &Name;
        let registry = Registry::builtin();
        let columns: [(&str, Read); 3] =
            [("name", |entry| &entry.name), ("label", |entry| &entry.label), ("paper", |entry| &entry.reference)];
        for (what, of) in columns {
            let mut seen = BTreeSet::new();
            for entry in registry.methods().iter().filter(|entry| &**of(entry) != "-") {
                assert!(seen.insert(of(entry).to_string()), "{what} `{}` twice", of(entry));
            }
        }
    }

    #[test]
    fn the_table_in_the_readme_is_that_of_the_registry() {
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let entries = Registry::builtin();
        let table = markdown(&entries.methods().iter().collect::<Vec<_>>());
        assert!(
            readme.contains(&table),
            "README.md: replace the table of methods by that of `mtcool methods --markdown`:\n{table}"
        );
    }

    #[test]
    fn kinds_filter_the_list_and_unknown_ones_are_named() {
        let registry = Registry::builtin();
        let flags =
            |kinds: &[&str]| Methods { kind: kinds.iter().map(ToString::to_string).collect(), ..Methods::default() };
        let printed = methods(&registry, &flags(&["aggregator", "wrapper"])).unwrap();
        let starts = |name: &str| printed.lines().any(|line| line.starts_with(&format!("{name} ")));
        assert!(starts("fairgrad") && starts("f_mtl") && !starts("joint"), "{printed}");
        let error = methods(&registry, &flags(&["agregator"])).unwrap_err().to_string();
        assert!(error.contains("agregator") && error.contains("aggregator, passes"), "{error}");
    }
}
