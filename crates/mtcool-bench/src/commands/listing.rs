//! The runs of an experiment as the commands `runs`, `compare` and `status` see them.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::conditions::Conditions;
use crate::plan::ExperimentSource;
use crate::record::{ExperimentFolder, Settings, Status, StoredRun, settings_of, stored_runs};

/// All runs of an experiment.
pub(super) struct Listing {
    /// The experiment's folder of results.
    pub(super) folder: PathBuf,
    /// Its runs, sorted by label, seed and hash.
    pub(super) runs: Vec<Listed>,
    /// The folders that cannot be read, with the reason.
    pub(super) damaged: Vec<String>,
}

/// A run with its settings.
pub(super) struct Listed {
    /// The run.
    pub(super) stored: StoredRun,
    /// Its settings, by dotted key.
    pub(super) settings: Settings,
    /// The same and its names: what conditions are about.
    facts: Settings,
}

impl Listing {
    /// The runs of the experiment that the command line calls `experiment`. Its file may be gone, if its results are there.
    ///
    /// # Errors
    /// If there is no such experiment, or its folder belongs to another one or cannot be read.
    pub(super) fn read(experiment: &str, results: &Path) -> Result<Self> {
        let folder = match ExperimentSource::find(experiment) {
            Ok(source) => ExperimentFolder::find(results, &source)?.path().to_owned(),
            Err(error) => {
                let folder = results.join(experiment);
                ensure!(!experiment.ends_with(".toml") && folder.join("runs").is_dir(), error);
                folder
            }
        };
        let index = stored_runs(&folder.join("runs"))?;
        let damaged =
            index.damaged.iter().map(|(folder, error)| format!("`{}`: {error:#}", folder.display())).collect();
        Ok(Self { folder, runs: index.runs.into_iter().map(Listed::new).collect(), damaged })
    }

    /// The runs for which the conditions hold.
    ///
    /// # Errors
    /// If the text is no condition, or a key is unknown.
    pub(super) fn select(&self, conditions: &str) -> Result<Vec<&Listed>> {
        let facts: Vec<&Settings> = self.runs.iter().map(|run| &run.facts).collect();
        let hold = Conditions::parse(conditions)?.hold(&facts)?;
        Ok(self.runs.iter().zip(hold).filter(|(_, holds)| *holds).map(|(run, _)| run).collect())
    }

    /// The folder of the runs.
    pub(super) fn runs_folder(&self) -> PathBuf {
        self.folder.join("runs")
    }
}

impl Listed {
    /// The run with its settings.
    pub(super) fn new(stored: StoredRun) -> Self {
        let settings = settings_of(&stored.config);
        let mut facts = settings.clone();
        let status = &stored.status;
        for (key, value) in [
            ("label", stored.label.clone()),
            ("method", stored.method.clone()),
            ("seed", stored.seed.to_string()),
            ("hash", stored.hash.clone()),
            ("status", status_word(status.status).to_owned()),
            ("epoch", status.epoch.to_string()),
            ("run", folder_name(&stored.folder)),
        ] {
            facts.insert(key.to_owned(), value);
        }
        Self { stored, settings, facts }
    }

    /// The name of its folder.
    pub(super) fn folder_name(&self) -> String {
        folder_name(&self.stored.folder)
    }

    /// Its completed epochs, such as `3 of 10`, or `10` if it used its whole budget; with the best one if it selects that.
    pub(super) fn epochs(&self) -> String {
        let status = &self.stored.status;
        let done = match status.status {
            Status::Finished if status.epoch == status.epochs => status.epochs.to_string(),
            _ => format!("{} of {}", status.epoch, status.epochs),
        };
        status.selected_epoch.map_or_else(|| done.clone(), |selected| format!("{done}, best {selected}"))
    }
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The status as a word.
pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Interrupted => "interrupted",
        Status::Finished => "finished",
        Status::Failed => "failed",
    }
}
