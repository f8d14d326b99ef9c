//! Notes that a reader must know before comparing results.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::against_paper::obstacle;
use super::context::TableContext;
use super::paper_notes;
use super::row::TableRow;
use crate::record::{Environment, Status, StoredRun};
use crate::suite::{Caveat, Column, Split};

/// The notes below the table.
///
/// # Errors
/// If a run's files are damaged.
pub(super) fn notes(context: &TableContext<'_>, columns: &[Column], rows: &[TableRow]) -> Result<Vec<String>> {
    let experiment = &context.plan.experiment;
    let mut notes = Vec::new();
    if experiment.report == Split::Validation {
        notes.push(
            "These are results on the validation split, for choosing settings; the test split was not read.".into(),
        );
    }
    if !context.data.origin.is_null() {
        let drawn = words(&context.data.origin);
        notes.push(format!("SYNTHETIC DATA ({drawn}): not comparable with results on real data."));
    }
    for Caveat { text, is_comparable } in context.caveats {
        notes.push(format!("{text}{}", if *is_comparable { "." } else { ": not comparable with published results." }));
    }
    if rows.iter().any(|row| experiment.reference.contains_key(&*row.method.name)) {
        match obstacle(context) {
            Some(reason) => notes.push(format!("The paper's results are not shown: {reason}.")),
            None => {
                notes.extend(paper_notes::compared(context, rows));
                notes.extend(paper_notes::rule(context, rows, columns));
                notes.extend(paper_notes::params(context.plan, rows)?);
                notes.extend(experiment.paper.iter().flat_map(|paper| paper.notes.iter().cloned()));
            }
        }
    }
    notes.extend(experiment.notes.iter().cloned());
    notes.extend(selected(context, rows));
    notes.extend(revisions(rows)?);
    let missing: Vec<_> =
        rows.iter().filter(|row| row.runs == 0 && row.failures.is_empty()).map(|row| &*row.method.name).collect();
    if !missing.is_empty() {
        notes.push(format!("No finished run yet: {}.", missing.join(", ")));
    }
    notes.extend(unfinished(rows));
    for row in rows {
        notes.extend(row.failures.iter().map(|failure| format!("FAILED: {failure}.")));
    }
    Ok(notes)
}

/// The entries of nested JSON objects as words, such as `seed 0, train 400, sizes train 128x128`.
fn words(value: &Value) -> String {
    match value {
        Value::Object(entries) if entries.len() == 1 && entries.values().all(Value::is_object) => {
            entries.values().map(words).collect()
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{} {}", key.replace('_', " "), words(value));
            entries.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Notes on the runs that have begun and are not over.
fn unfinished(rows: &[TableRow]) -> Vec<String> {
    let place = |run: &StoredRun| {
        let status = &run.status;
        format!("{} (epoch {} of {})", run.name(), (status.epoch + 1).min(status.epochs), status.epochs)
    };
    let with = |status: Status| {
        let runs = rows.iter().flat_map(|row| &row.unfinished).filter(|run| run.status.status == status);
        runs.map(place).collect::<Vec<_>>().join(", ")
    };
    let (running, interrupted) = (with(Status::Running), with(Status::Interrupted));
    let mut notes = Vec::new();
    if !running.is_empty() {
        notes.push(format!("Running at the time of this table: {running}."));
    }
    if !interrupted.is_empty() {
        notes.push(format!("Interrupted: {interrupted}; the same command goes on."));
    }
    notes
}

/// A note, if runs ended with the network of their best epoch on the validation split.
fn selected(context: &TableContext<'_>, rows: &[TableRow]) -> Option<String> {
    let of_row = |row: &TableRow| {
        let epochs: Vec<String> =
            row.stored.iter().filter_map(|run| Some(run.status.selected_epoch?.to_string())).collect();
        (!epochs.is_empty()).then(|| format!("{} {}", row.method.label, epochs.join(", ")))
    };
    let epochs: Vec<String> = rows.iter().filter_map(of_row).collect();
    let optimistic = if context.plan.experiment.report == Split::Validation {
        " These are the values that it was chosen by, so they are optimistic."
    } else {
        ""
    };
    (!epochs.is_empty()).then(|| {
        format!(
            "These runs end with the network of their best epoch on the validation split; the epoch of each run: {}.{optimistic}",
            epochs.join("; ")
        )
    })
}

/// A note, if the runs of the table were executed by different revisions of the program.
fn revisions(rows: &[TableRow]) -> Result<Option<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in rows.iter().flat_map(|row| &row.stored) {
        found.entry(Environment::read(&run.folder)?.revision).or_default().push(run.name());
    }
    if found.len() < 2 {
        return Ok(None);
    }
    let of_each = found.iter().map(|(revision, runs)| format!("{revision}: {}", runs.join(", ")));
    let of_each = of_each.collect::<Vec<_>>().join("; ");
    Ok(Some(format!("These runs were made by programs of {} different revisions ({of_each}).", found.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DataIdentity, Overrides, Plan};
    use crate::suite::Registry;

    /// The notes of Table 2 for a row of Joint.
    fn notes_on(origin: Value, caveats: &[Caveat]) -> Vec<String> {
        let overrides = Overrides { profile: Some("paper".into()), assignments: Vec::new() };
        let plan = Plan::load(&Registry::builtin(), "table2", &overrides).unwrap();
        let data = DataIdentity { origin, ..DataIdentity::default() };
        let rows = [TableRow::example("joint", 1.0, vec![None; plan.spec.columns.len()])];
        let context = TableContext { caveats, ..TableContext::of_real_data(&plan, &data) };
        notes(&context, &plan.spec.columns, &rows).unwrap()
    }

    #[test]
    fn copies_that_are_not_as_published_are_told() {
        let caveat = |text: &str, is_comparable| Caveat { text: text.into(), is_comparable };
        let has = |notes: &[String], words: &str| notes.iter().any(|note| note.contains(words));
        let published = notes_on(Value::Null, &[]);
        assert!(!has(&published, "not comparable") && !has(&published, "not shown"), "{published:?}");
        assert!(has(&published, "swapped") && has(&published, "Compared with the paper: real data"), "{published:?}");
        let recoded = notes_on(Value::Null, &[caveat("3 masks", true)]);
        assert!(!has(&recoded, "not comparable") && recoded.contains(&"3 masks.".to_owned()), "{recoded:?}");
        let other = notes_on(Value::Null, &[caveat("3 photographs", false)]);
        assert!(has(&other, "3 photographs: not comparable with published results."), "{other:?}");
        assert!(has(&other, "The paper's results are not shown: 3 photographs."), "{other:?}");
    }

    #[test]
    fn synthetic_data_is_described_in_words_and_the_paper_is_left_out() {
        let sizes = serde_json::json!({ "train": "128x128", "test": "102x102" });
        let notes = notes_on(serde_json::json!({ "synthetic": { "seed": 0, "train": 400, "sizes": sizes } }), &[]);
        let drawn = "SYNTHETIC DATA (seed 0, train 400, sizes train 128x128, test 102x102): not comparable with results on real data.";
        assert!(notes.contains(&drawn.to_owned()), "{notes:?}");
        assert!(
            notes.contains(&"The paper's results are not shown: ours belong to synthetic data.".to_owned()),
            "{notes:?}"
        );
        let of_paper = ["swapped", "Compared with the paper", "0.1 Sen"];
        assert!(notes.iter().all(|note| of_paper.iter().all(|words| !note.contains(words))), "{notes:?}");
    }
}
