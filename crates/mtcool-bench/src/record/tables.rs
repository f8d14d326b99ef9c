//! The tables in an experiment's folder: one folder for each question that was asked of the runs, and the main table beside them.
//!
//! `tables/{id}/` holds the table of one configuration of all rows, and `sweep.json` with the flags that ask for it. The
//! experiment's folder itself holds a copy of the last table, unless that has fewer results than the one that is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::experiment_folder::ExperimentFolder;
use super::files::{StorageError, create_folder, read, write_whole};
use super::lease::{Holder, Lease, Terms};
use crate::plan::{DataIdentity, Overrides};
use crate::suite::{Caveat, parquet_frame};

const RECORD: &str = "sweep.json";
/// Age of a new table's folder after which its process is taken for dead.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Time between two attempts to publish a table while another process publishes one.
const PATIENCE: Duration = Duration::from_millis(100);

/// `sweep.json`: what a table asks of the runs, so that a later report needs no flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// The name of the profile.
    pub profile: Option<String>,
    /// The assignments of variables and flags.
    pub assignments: Vec<String>,
    /// The identity of the data.
    #[serde(flatten)]
    pub data: DataIdentity,
    /// How the data files differ from the published ones.
    #[serde(default)]
    pub caveats: Vec<Caveat>,
    /// The identity of the table, and the name of its folder; empty in files of earlier versions.
    #[serde(default)]
    pub table: String,
    /// The files of the table. (The identity of the data has the key `files`.)
    #[serde(default, rename = "table_files")]
    pub files: Vec<String>,
    /// Whether the table is a diagnosis (`overfit`), which never becomes the main table of its experiment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_diagnosis: bool,
}

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is the main table of its experiment.
    Main,
    /// It is a diagnosis, and only in this folder of its own.
    Apart(PathBuf),
    /// A table at this place has more results and was kept; the table itself is in its own folder if there is one.
    Kept {
        /// The table that was kept.
        path: PathBuf,
        /// Number of results of the table that was kept.
        there: u64,
        /// Number of results of the new table.
        here: u64,
        /// The folder of the new table, if it was written.
        own: Option<PathBuf>,
    },
}

impl SweepRecord {
    /// Profile and assignments.
    pub fn overrides(&self) -> Overrides {
        Overrides { profile: self.profile.clone(), assignments: self.assignments.clone() }
    }
}

impl ExperimentFolder {
    /// Writes `record` into the folder of its table, before the table exists.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin_table(&self, record: &SweepRecord) -> Result<()> {
        let folder = self.table(&record.table);
        create_folder(&folder)?;
        write_record(&folder, record)
    }

    /// The records of all tables, the last one first: that of the main table, then the others by the time of their sweep.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn records(&self) -> Result<Vec<SweepRecord>> {
        let folders = std::fs::read_dir(self.path().join("tables")).into_iter().flatten().flatten();
        let time = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
        let mut paths: Vec<PathBuf> =
            folders.map(|folder| folder.path().join(RECORD)).filter(|path| path.exists()).collect();
        paths.sort_by_key(|path| std::cmp::Reverse(time(path)));
        let main = Some(self.path().join(RECORD)).filter(|path| path.exists());
        main.into_iter().chain(paths).map(|path| read_record(&path)).collect()
    }

    /// A folder for the files of a new table, which is removed with the returned value.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn new_table(&self) -> Result<TempDir> {
        const PREFIX: &str = ".tmp-table-";
        // What killed processes left. A table is written in seconds or minutes.
        let entries = std::fs::read_dir(self.path()).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
            let age = entry.metadata().and_then(|folder| folder.modified()).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let path = entry.path();
                std::fs::remove_dir_all(&path).map_err(|error| StorageError::new("remove", &path, error))?;
            }
        }
        let new = tempfile::Builder::new().prefix(PREFIX).tempdir_in(self.path());
        Ok(new.map_err(|error| StorageError::new("write into", self.path(), error))?)
    }

    /// Makes the files in `written`, a new table, the table of `record` and the main table of the experiment. A table with fewer
    /// results does not replace one with more, unless `force` is set.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn publish(&self, record: &SweepRecord, written: &Path, force: bool) -> Result<Published> {
        // Several processes may finish at the same time.
        let lease = self.wait_for_tables()?;
        let (here, own) = (results(written)?, self.table(&record.table));
        let fuller = |folder: &Path| -> Result<Option<u64>> {
            Ok(Some(results(folder)?).filter(|&there| there > here && !force))
        };
        if let Some(there) = fuller(&own)? {
            return Ok(Published::Kept { path: own.join("table.md"), there, here, own: None });
        }
        lease.confirm()?;
        create_folder(&own)?;
        copy(written, &own)?;
        let record = SweepRecord { files: files(&own)?, ..record.clone() };
        write_record(&own, &record)?;
        if record.is_diagnosis {
            return Ok(Published::Apart(own));
        }
        if let Some(there) = fuller(self.path())? {
            return Ok(Published::Kept { path: self.path().join("table.md"), there, here, own: Some(own) });
        }
        let before =
            Some(self.path().join(RECORD)).filter(|path| path.exists()).map(|path| read_record(&path)).transpose()?;
        lease.confirm()?;
        copy(&own, self.path())?;
        for old in before.iter().flat_map(|record| &record.files).filter(|old| !record.files.contains(old)) {
            let path = self.path().join(old);
            if path.exists() {
                std::fs::remove_file(&path).map_err(|error| StorageError::new("remove", &path, error))?;
            }
        }
        write_record(self.path(), &record)?;
        Ok(Published::Main)
    }

    /// The lease for publishing a table, once it is free.
    fn wait_for_tables(&self) -> Result<Lease, StorageError> {
        loop {
            let lease = Lease::take(&self.path().join(".table-lease"), Holder::of_process(), Terms::USUAL)?;
            match lease {
                Some(lease) => return Ok(lease),
                None => std::thread::sleep(PATIENCE),
            }
        }
    }

    fn table(&self, id: &str) -> PathBuf {
        self.path().join("tables").join(id)
    }
}

fn read_record(path: &Path) -> Result<SweepRecord> {
    serde_json::from_slice(&read(path)?).with_context(|| format!("`{}` is damaged", path.display()))
}

fn write_record(folder: &Path, record: &SweepRecord) -> Result<()> {
    Ok(write_whole(&folder.join(RECORD), &serde_json::to_vec_pretty(record)?)?)
}

/// The names of a table's files in `folder`.
fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| StorageError::new("read", folder, error))?;
    let names = entries.flatten().filter(|entry| entry.path().is_file()).map(|entry| entry.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name != RECORD && !name.starts_with('.')).collect();
    names.sort();
    Ok(names)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for name in files(from)? {
        write_whole(&to.join(&name), &read(&from.join(&name))?)?;
    }
    Ok(())
}

/// Number of finished runs in the rows of the table in `folder`; 0 without a table.
fn results(folder: &Path) -> Result<u64> {
    let path = folder.join("table.parquet");
    if !path.exists() {
        return Ok(0);
    }
    let parse = || -> Result<u64> {
        let frame = parquet_frame(read(&path)?)?;
        let (methods, runs) = (frame.column("method")?.str()?, frame.column("runs")?.u64()?);
        let of_row = |at: usize| Some((methods.get(at)?.to_owned(), runs.get(at)?));
        let by_method: BTreeMap<String, u64> = (0..frame.height()).filter_map(of_row).collect();
        Ok(by_method.values().sum())
    };
    parse().with_context(|| format!("`{}` is damaged; delete it to write it again", path.display()))
}
