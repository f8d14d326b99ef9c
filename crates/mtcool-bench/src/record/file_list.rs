//! `files.json`: the SHA-256 of every file of a finished run, or of a checkpoint, so that a changed byte cannot change a result
//! without a word.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{StorageError, read, write_whole};

/// The name of the list in its folder.
const LIST: &str = "files.json";
/// How far above a file its list can be: maps are in `maps/TASK/`.
const DEPTH: usize = 3;

/// SHA-256, in hexadecimal, by the path relative to the folder of the list, with `/` between folders.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileList(BTreeMap<String, String>);

impl FileList {
    /// The files in `folder` and below. Files that change after the list is written, which are the list itself, `run.json`,
    /// checkpoints and incomplete files, are left out.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let mut list = Self::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(inside) = folders.pop() {
            let here = folder.join(&inside);
            let failed = |error| StorageError::new("read", &here, error);
            for entry in std::fs::read_dir(&here).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = inside.join(&name);
                if name.starts_with(".tmp-") || ["checkpoints", "run.json", LIST].contains(&name.as_str()) {
                    continue;
                }
                if entry.path().is_dir() {
                    folders.push(path);
                } else {
                    list.0.insert(with_slashes(&path), digest(&read(&entry.path())?));
                }
            }
        }
        Ok(list)
    }

    /// Adds a file with this content, which is about to be written.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) {
        self.0.insert(name.to_owned(), digest(content));
    }

    /// Writes the list into its folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        Ok(write_whole(&folder.join(LIST), &serde_json::to_vec_pretty(self)?)?)
    }

    /// Removes the list of a run that begins or continues, whose files change.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn remove(folder: &Path) -> Result<(), StorageError> {
        let path = folder.join(LIST);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StorageError::new("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(LIST);
        if !path.exists() {
            return Ok(None);
        }
        let list: Self = serde_json::from_slice(&read(&path)?)
            .with_context(|| format!("`{}` is damaged; restore it from a copy", path.display()))?;
        let is_inside = |name: &String| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if let Some(name) = list.0.keys().find(|name| name.is_empty() || !is_inside(name)) {
            bail!("`{}` names `{name}`, which is no file of this folder; restore it from a copy", path.display());
        }
        Ok(Some(list))
    }
}

/// What is wrong with each file of the run in `folder` that is not as it was written; `None` if the run has no list, because it
/// is not finished or an earlier version of the program made it.
///
/// # Errors
/// If the list is damaged, or a file cannot be read.
pub fn damaged_files(folder: &Path) -> Result<Option<Vec<String>>> {
    let Some(list) = FileList::read(folder)? else { return Ok(None) };
    let mut damaged = Vec::new();
    for (name, expected) in &list.0 {
        let path = folder.join(name);
        if !path.exists() {
            damaged.push(format!("`{name}` is missing"));
        } else if digest(&read(&path)?) != *expected {
            damaged.push(format!("`{name}` is damaged or was changed"));
        }
    }
    Ok(Some(damaged))
}

/// Reads a whole file. If a list above it names the file, its content must be the listed one.
///
/// # Errors
/// If the file cannot be read or is not as it was written; the message names it.
pub fn read_intact(path: &Path) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    if let Some(expected) = listed(path)? {
        let found = digest(&bytes);
        ensure!(
            found == expected,
            "`{}` is damaged or was changed: its SHA-256 is {found}, but {expected} was written; restore it from a copy",
            path.display()
        );
    }
    Ok(bytes)
}

/// Whether there is a file, which a run writes only if it has content for it.
///
/// # Errors
/// If a list above it names the file, so that it was there once.
pub(super) fn exists_intact(path: &Path) -> Result<bool> {
    if !path.exists() && listed(path)?.is_some() {
        bail!("`{}` is missing, but was written; restore it from a copy", path.display());
    }
    Ok(path.exists())
}

/// The digest of a file according to the nearest list above it; `None` if there is none.
fn listed(path: &Path) -> Result<Option<String>> {
    for folder in path.ancestors().skip(1).take(DEPTH) {
        if let (Some(mut list), Ok(inside)) = (FileList::read(folder)?, path.strip_prefix(folder)) {
            return Ok(list.0.remove(&with_slashes(inside)));
        }
    }
    Ok(None)
}

fn with_slashes(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// SHA-256 of `content`, in hexadecimal.
pub(super) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::create_folder;

    #[test]
    fn every_changed_or_missing_file_is_named() {
        let lab = tempfile::tempdir().unwrap();
        let run = lab.path().join("run");
        create_folder(&run.join("maps/av")).unwrap();
        create_folder(&run.join("checkpoints/step-1")).unwrap();
        for name in ["config.toml", "maps/av/1.png", "run.json", "checkpoints/step-1/model", ".tmp-1"] {
            write_whole(&run.join(name), name.as_bytes()).unwrap();
        }
        assert_eq!(damaged_files(&run).unwrap(), None);
        let mut list = FileList::of(&run).unwrap();
        assert_eq!(list.0.keys().collect::<Vec<_>>(), ["config.toml", "maps/av/1.png"]);
        // printf config.toml | sha256sum
        let expected = "28043ff911f28a5cb5742f7638363546311225a63eabc365af5356c70d4deb77";
        assert_eq!(list.0["config.toml"], expected);
        list.add("run.json", b"run.json");
        list.write(&run).unwrap();
        assert_eq!(damaged_files(&run).unwrap(), Some(Vec::new()));
        assert_eq!(read_intact(&run.join("maps/av/1.png")).unwrap(), b"maps/av/1.png");
        // A file that no list names is read as it is.
        assert_eq!(read_intact(&run.join("checkpoints/step-1/model")).unwrap(), b"checkpoints/step-1/model");
        assert!(!exists_intact(&run.join("cases.parquet")).unwrap());

        write_whole(&run.join("maps/av/1.png"), b"maps/av/2.png").unwrap();
        std::fs::remove_file(run.join("config.toml")).unwrap();
        let damaged = damaged_files(&run).unwrap().unwrap();
        assert_eq!(damaged, ["`config.toml` is missing", "`maps/av/1.png` is damaged or was changed"]);
        let message = read_intact(&run.join("maps/av/1.png")).unwrap_err().to_string();
        assert!(message.contains("maps/av/1.png` is damaged or was changed"), "{message}");
        assert!(exists_intact(&run.join("config.toml")).unwrap_err().to_string().contains("config.toml` is missing"));

        // A file elsewhere, which may have no end, is not read.
        for elsewhere in ["/dev/zero", "../run.json", "maps/../../x", ""] {
            let mut list = FileList::default();
            list.add(elsewhere, b"");
            list.write(&run).unwrap();
            let message = damaged_files(&run).unwrap_err().to_string();
            assert!(message.contains("files.json` names") && message.contains(elsewhere), "{message}");
        }

        FileList::remove(&run).unwrap();
        FileList::remove(&run).unwrap();
        assert_eq!(damaged_files(&run).unwrap(), None);
    }
}
