//! Which cases a folder has of which nothing is known but its files: for a configuration to start from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::cases::case_name;
use super::discover::{Files, PictureKind, kinds};
use super::notes::counted;
use super::reasons::Reasons;
use super::table::{ReadParquet, Table};
use crate::error::Error;

/// The cases of the folder, and the kinds of pictures that they have.
pub(super) struct Cases {
    /// The table and the position of the column with the names.
    pub(super) table: Option<(Table, usize)>,
    /// The kinds of pictures; the first one fits the most cases.
    pub(super) kinds: Vec<PictureKind>,
    /// Number of cases.
    pub(super) count: usize,
}

impl Cases {
    /// The table and column whose cells are in the names of most pictures; without any, the names of the pictures.
    pub(super) fn find(
        root: &Path,
        files: &Files,
        read_parquet: Option<ReadParquet>,
        reasons: &mut Reasons,
    ) -> Option<Self> {
        let mut best: Option<Self> = None;
        for file in &files.tables {
            let table = match Table::read(&root.join(file), None, read_parquet) {
                Ok(table) => table,
                Err(error) => {
                    let got = if let Error::Corrupt { got, .. } = error { got } else { error.to_string() };
                    reasons.add("table", format!("`{}` is left out: {got}", file.display()));
                    continue;
                }
            };
            for column in 0..table.header.len() {
                let names: BTreeSet<&str> =
                    table.cells(column).map(case_name).filter(|name| !name.is_empty()).collect();
                if names.len() < table.rows.len() {
                    if names_pictures(&names, &files.pictures) {
                        let (file, column) = (file.display(), &table.header[column]);
                        reasons.add(
                            "table",
                            format!(
                                "column `{column}` of `{file}` names pictures in several rows; keep one row of each"
                            ),
                        );
                    }
                    continue;
                }
                let names: Vec<&str> = names.into_iter().collect();
                let kinds = kinds(&files.pictures, &names);
                let fits = |cases: &Self| cases.kinds.first().map_or(0, |kind| kind.files.len());
                let found = Self { table: Some((table.clone(), column)), kinds, count: names.len() };
                if fits(&found) > best.as_ref().map_or(0, fits) {
                    best = Some(found);
                }
            }
        }
        if let Some(Self { table: Some((table, column)), .. }) = &best {
            let rows = counted(table.rows.len(), "row");
            let file = table.file.strip_prefix(root).unwrap_or(&table.file).display();
            reasons.add(
                "table",
                format!("`{file}` has {rows}; its column `{}` names the pictures", table.header[*column]),
            );
            return best;
        }
        reasons.add("table", "no table has a column that names the pictures, so the pictures are the cases".into());
        let mut folders: BTreeMap<&Path, Vec<&PathBuf>> = BTreeMap::new();
        for picture in &files.pictures {
            folders.entry(picture.parent().unwrap_or(Path::new(""))).or_default().push(picture);
        }
        let largest = folders.into_values().max_by_key(Vec::len)?;
        let stem = |picture: &&PathBuf| Some(picture.file_stem()?.to_str()?.to_owned());
        let names: Vec<String> = largest.iter().filter_map(stem).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let kinds = kinds(&files.pictures, &names);
        (!kinds.is_empty()).then_some(Self { table: None, kinds, count: names.len() })
    }
}

/// Whether most of `names` are those of pictures.
fn names_pictures(names: &BTreeSet<&str>, pictures: &[PathBuf]) -> bool {
    let stems: BTreeSet<&str> = pictures.iter().filter_map(|picture| picture.file_stem()?.to_str()).collect();
    2 * names.iter().filter(|name| stems.contains(**name)).count() > names.len()
}
