//! The tables in an experiment's folder: one folder for each question that was asked of the runs, and the main table beside them.
//!
//! `tables/{id}/` holds the table of one configuration of all rows, and `sweep.json` with the flags that ask for it. Sweeps of these
//! rows may differ in their methods and seeds; each of them has a file `sweep-{digest}.json` there from its beginning on. The
//! experiment's folder itself holds a copy of the last table, unless that has fewer results than the one that is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::experiment_folder::ExperimentFolder;
use super::files::{StorageError, create_folder, read, write_whole};
use super::lease::{Holder, Lease, Terms};
use crate::plan::{DataIdentity, Overrides};
use crate::suite::{Caveat, parquet_frame};

/// The file with the flags of a table.
const RECORD: &str = "sweep.json";
/// What the name of the file with the flags of a sweep begins with.
const SWEEP: &str = "sweep-";
/// Age of a new table's folder after which its process is taken for dead.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// Time between two attempts to publish a table while another process publishes one.
const PATIENCE: Duration = Duration::from_millis(100);

/// `sweep.json` and `sweep-*.json`: what a table, or one sweep for it, asks of the runs, so that a later command needs no flags.
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

    /// The name of the sweep's own file: another one for other flags or other data.
    fn file(&self) -> Result<String> {
        let asked = serde_json::to_vec(&(&self.profile, &self.assignments, &self.data))?;
        let digest: String = Sha256::digest(asked).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{SWEEP}{digest}.json"))
    }
}

impl ExperimentFolder {
    /// Writes `record`, that of a sweep that begins or goes on, into the folder of its table, which need not exist yet.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin_sweep(&self, record: &SweepRecord) -> Result<()> {
        let folder = self.table(&record.table);
        create_folder(&folder)?;
        write_record(&folder.join(record.file()?), record)
    }

    /// The records of all tables and sweeps, the last one first: that of the main table, then the others by their time.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn records(&self) -> Result<Vec<SweepRecord>> {
        let main = Some(self.path().join(RECORD)).filter(|path| path.exists());
        main.into_iter().chain(self.record_files()).map(|path| read_record(&path)).collect()
    }

    /// The records of all sweeps, first of the one that has last begun, gone on or written its table. Earlier versions did not tell the
    /// sweeps of one table apart: of their results, the record of each table.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn sweep_records(&self) -> Result<Vec<SweepRecord>> {
        let of_sweep = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SWEEP));
        let sweeps: Vec<PathBuf> = self.record_files().into_iter().filter(of_sweep).collect();
        if !sweeps.is_empty() {
            return sweeps.iter().map(|path| read_record(path)).collect();
        }
        let mut records = self.records()?;
        // The record of the main table is older than that of the same table in its own folder.
        if records.first().is_some_and(|main| records[1..].iter().any(|record| record.table == main.table)) {
            records.remove(0);
        }
        Ok(records)
    }

    /// The files of the records in the folders of all tables, the last one first.
    fn record_files(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.path().join("tables")).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
        let mut paths: Vec<PathBuf> =
            files.filter(|file| is_record(&file.file_name().to_string_lossy())).map(|file| file.path()).collect();
        let time = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
        paths.sort_by_key(|path| std::cmp::Reverse(time(path)));
        paths
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
        let sweep = own.join(record.file()?);
        if sweep.exists() {
            write_record(&sweep, record)?;
        }
        let record = SweepRecord { files: files(&own)?, ..record.clone() };
        write_record(&own.join(RECORD), &record)?;
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
        write_record(&self.path().join(RECORD), &record)?;
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

fn write_record(path: &Path, record: &SweepRecord) -> Result<()> {
    Ok(write_whole(path, &serde_json::to_vec_pretty(record)?)?)
}

/// Whether a file of this name holds a record, in the folder of a table.
fn is_record(name: &str) -> bool {
    name == RECORD || name.starts_with(SWEEP) && name.ends_with(".json")
}

/// The names of a table's files in `folder`.
fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| StorageError::new("read", folder, error))?;
    let names = entries.flatten().filter(|entry| entry.path().is_file()).map(|entry| entry.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !is_record(name) && !name.starts_with('.')).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ExperimentSource;

    #[test]
    fn the_sweeps_of_one_table_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let folder = ExperimentFolder::create(place.path(), &ExperimentSource::built_in("table1").unwrap()).unwrap();
        let record = |seeds: &str| SweepRecord {
            profile: None,
            assignments: vec![format!("seeds={seeds}")],
            data: DataIdentity::default(),
            caveats: Vec::new(),
            table: "1a2b3c4d".into(),
            files: Vec::new(),
            is_diagnosis: false,
        };
        let seeds = || -> Vec<String> {
            // The next file gets a later time.
            std::thread::sleep(Duration::from_millis(20));
            folder.sweep_records().unwrap().iter().map(|record| record.assignments.concat()).collect()
        };
        folder.begin_sweep(&record("2")).unwrap();
        assert_eq!(seeds(), ["seeds=2"]);
        folder.begin_sweep(&record("[7]")).unwrap();
        assert_eq!(seeds(), ["seeds=[7]", "seeds=2"]);
        // The same sweep that goes on, and one that has written its table.
        folder.begin_sweep(&record("2")).unwrap();
        assert_eq!(seeds(), ["seeds=2", "seeds=[7]"]);
        let written = folder.new_table().unwrap();
        std::fs::write(written.path().join("table.md"), "a table").unwrap();
        assert_eq!(folder.publish(&record("[7]"), written.path(), false).unwrap(), Published::Main);
        assert_eq!(seeds(), ["seeds=[7]", "seeds=2"]);
        assert_eq!(folder.records().unwrap()[0].files, ["table.md"], "a record is no file of the table");
        // A report with other flags is no sweep.
        assert_eq!(folder.publish(&record("3"), written.path(), false).unwrap(), Published::Main);
        assert_eq!(seeds(), ["seeds=[7]", "seeds=2"]);
    }

    #[test]
    fn the_sweep_of_a_table_by_an_earlier_version_is_known() {
        let place = tempfile::tempdir().unwrap();
        let folder = ExperimentFolder::create(place.path(), &ExperimentSource::built_in("table1").unwrap()).unwrap();
        let own = folder.table("1a2b3c4d");
        create_folder(&own).unwrap();
        let text = r#"{ "profile": null, "assignments": ["seeds=2"], "origin": null, "table": "1a2b3c4d" }"#;
        for path in [folder.path().join(RECORD), own.join(RECORD)] {
            std::fs::write(path, text).unwrap();
        }
        let known = folder.sweep_records().unwrap();
        assert_eq!(known.iter().map(|record| record.assignments.concat()).collect::<Vec<_>>(), ["seeds=2"]);
    }
}
