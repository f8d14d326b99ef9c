//! `predictions.csv`: one row for each photograph in the folder, so that a spreadsheet or a script needs one file.

use std::path::PathBuf;

use anyhow::{Context, Result};
use polars::prelude::{Column, DataFrame};
use serde_json::Value;

use crate::record::{csv_bytes, read};

/// Facts of a photograph that the table leaves out: they are the same in every row or lists of files.
const LEFT_OUT: [&str; 2] = ["legend", "probability_maps"];
/// A fact that is `null` or has these fields: its columns are the same for all photographs.
const KNOWN_AS: (&str, [&str; 2]) = ("known_as", ["case", "part"]);

/// The table of the photographs whose JSON files are `files`, as CSV. A nested quantity has a column such as
/// `probabilities.glaucoma`; `null` and absent quantities are empty cells. A quantity that is nested for some photographs and `null`
/// for others has the nested columns alone.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn table(files: &[PathBuf]) -> Result<Vec<u8>> {
    let mut names: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<(String, Option<String>)>> = Vec::new();
    for file in files {
        let line: Value = serde_json::from_slice(&read(file)?).with_context(|| format!("`{}`", file.display()))?;
        let mut cells = Vec::new();
        for (key, value) in line.as_object().into_iter().flatten().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()))
        {
            let (known_as, fields) = KNOWN_AS;
            if key == known_as {
                let cell = |field: &str| (format!("{key}.{field}"), value[field].as_str().map(str::to_owned));
                cells.extend(fields.map(cell));
            } else {
                flatten(key.clone(), value, &mut cells);
            }
        }
        for (name, _) in &cells {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        rows.push(cells);
    }
    let cell = |row: &[(String, Option<String>)], name: &str| row.iter().find(|(key, _)| key == name)?.1.clone();
    let is_empty = |name: &String| rows.iter().all(|row| cell(row, name).is_none());
    let all = names.clone();
    let is_nested = |name: &String| all.iter().any(|other| other.starts_with(&format!("{name}.")));
    names.retain(|name| !(is_nested(name) && is_empty(name)));
    let columns = names.iter().map(|name| {
        let cells: Vec<Option<String>> = rows.iter().map(|row| cell(row, name)).collect();
        Column::new(name.as_str().into(), cells)
    });
    csv_bytes(DataFrame::new(rows.len(), columns.collect())?)
}

/// Appends the cells of `value`, whose column is called `key` or begins with it.
fn flatten(key: String, value: &Value, cells: &mut Vec<(String, Option<String>)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(format!("{key}.{name}"), value, cells);
            }
        }
        Value::Null => cells.push((key, None)),
        Value::String(text) => cells.push((key, Some(text.clone()))),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            cells.push((key, (!texts.is_empty()).then(|| texts.join("; "))));
        }
        other => cells.push((key, Some(other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn photographs_of_different_runs_share_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, value: Value| {
            let path = folder.path().join(name);
            std::fs::write(&path, value.to_string()).unwrap();
            path
        };
        let files = [
            file(
                "a.json",
                json!({ "image": "a, b.jpg", "ratio": null, "notices": ["one", "two"], "legend": { "mask": [] } }),
            ),
            file("b.json", json!({ "image": "b.jpg", "ratio": 0.5, "probabilities": { "yes": 1.0 }, "notices": [] })),
        ];
        let text = String::from_utf8(table(&files).unwrap()).unwrap();
        assert_eq!(text, "image,ratio,notices,probabilities.yes\n\"a, b.jpg\",,one; two,\nb.jpg,0.5,,1.0\n");
    }

    #[test]
    fn columns_do_not_depend_on_whether_a_photograph_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, value: Value| {
            let path = folder.path().join(name);
            std::fs::write(&path, value.to_string()).unwrap();
            path
        };
        let new = file("a.json", json!({ "image": "a", "known_as": null, "centre": null }));
        let text = |files: &[PathBuf]| String::from_utf8(table(files).unwrap()).unwrap();
        assert_eq!(text(std::slice::from_ref(&new)), "image,known_as.case,known_as.part,centre\na,,,\n");
        let known = json!({ "image": "b", "known_as": { "case": "T0001", "part": "test" }, "centre": { "x": 3 } });
        let both = [new, file("b.json", known)];
        assert_eq!(text(&both), "image,known_as.case,known_as.part,centre.x\na,,,\nb,T0001,test,3\n");
    }
}
