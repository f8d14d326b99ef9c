//! The folder of an experiment's results: whose it is, and where its parts are.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::files::{create_folder, read, write_whole};
use crate::plan::ExperimentSource;

/// The folder of an experiment's results, which belongs to one experiment.
pub struct ExperimentFolder {
    path: PathBuf,
}

/// `experiment.json`: the experiment to which the folder belongs.
#[derive(Serialize, Deserialize)]
struct Owner {
    /// The experiment's name.
    name: String,
    /// The path of its file, relative to the folder; `None` if it comes with the program.
    file: Option<PathBuf>,
}

impl ExperimentFolder {
    /// The folder of `source` in `results`, whether or not it exists.
    ///
    /// # Errors
    /// If the folder belongs to another experiment of the same name.
    pub fn find(results: &Path, source: &ExperimentSource) -> Result<Self> {
        let folder = Self { path: results.join(&source.name) };
        folder.check_owner(source)?;
        Ok(folder)
    }

    /// The same; creates the folder and remembers to whom it belongs.
    ///
    /// # Errors
    /// If the folder belongs to another experiment of the same name, or cannot be written.
    pub fn create(results: &Path, source: &ExperimentSource) -> Result<Self> {
        let folder = Self::find(results, source)?;
        create_folder(&folder.path)?;
        let file = match &source.file {
            Some(file) => Some(relative(&folder.path, file)?),
            None => None,
        };
        let owner = serde_json::to_vec_pretty(&Owner { name: source.name.clone(), file })?;
        write_whole(&folder.owner(), &owner)?;
        Ok(folder)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds the folders of its runs.
    pub fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// The folder of its search.
    pub fn search(&self) -> PathBuf {
        self.path.join("search")
    }

    /// The folder of the diagnosis called `name`, apart from its tables and their runs.
    pub fn diagnosis(&self, name: &str) -> PathBuf {
        self.path.join("diagnosis").join(name)
    }

    /// The folder of its job arrays.
    pub fn sweeps(&self) -> PathBuf {
        self.path.join("sweeps")
    }

    fn owner(&self) -> PathBuf {
        self.path.join("experiment.json")
    }

    /// Checks that the folder belongs to `source`: to its file, or to a file with the same content. A file that is gone may have
    /// been moved or renamed, so that the folder is free.
    fn check_owner(&self, source: &ExperimentSource) -> Result<()> {
        let path = self.owner();
        if !path.exists() {
            return Ok(());
        }
        let owner: Owner = serde_json::from_slice(&read(&path)?).with_context(|| {
            format!("`{}` is damaged; delete it, and the next `reproduce` writes it again", path.display())
        })?;
        let (other, text) = match owner.file {
            Some(file) => {
                let Ok(file) = self.path.join(file).canonicalize() else { return Ok(()) };
                let Ok(text) = std::fs::read_to_string(&file) else { return Ok(()) };
                if source.file.as_ref().is_some_and(|own| own.canonicalize().is_ok_and(|own| own == file)) {
                    return Ok(());
                }
                (format!("`{}`", file.display()), text)
            }
            None => match ExperimentSource::built_in(&owner.name) {
                _ if source.file.is_none() => return Ok(()),
                Some(built_in) => {
                    (format!("the experiment `{}` that comes with the program", owner.name), built_in.text)
                }
                None => return Ok(()),
            },
        };
        if text == source.text {
            return Ok(());
        }
        bail!(
            "the results in `{}` belong to {other}, not to `{}`: set `name = \"...\"` in the table `[default]` of one of the two, \
             or choose another folder with `--results DIR`",
            self.path.display(),
            source.place()
        )
    }
}

/// The path of `file` relative to `folder`, so that both may be moved together.
fn relative(folder: &Path, file: &Path) -> Result<PathBuf> {
    let absolute = |path: &Path| path.canonicalize().with_context(|| format!("`{}`", path.display()));
    let (folder, file) = (absolute(folder)?, absolute(file)?);
    let common = folder.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return Ok(file);
    }
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    Ok(up.chain(file.components().skip(common)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_file() {
        let place = tempfile::tempdir().unwrap();
        let results = place.path().join("results");
        let source = |path: &str, text: &str| {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            ExperimentSource::find(path.to_str().unwrap()).unwrap()
        };
        let first = source("a/mine.toml", "# one");
        let folder = ExperimentFolder::create(&results, &first).unwrap();
        assert_eq!(folder.path(), results.join("mine"));
        let owner: Owner = serde_json::from_slice(&std::fs::read(folder.owner()).unwrap()).unwrap();
        assert_eq!(owner.file.unwrap(), Path::new("../../a/mine.toml"));

        let second = source("b/mine.toml", "# another");
        for refused in [ExperimentFolder::create(&results, &second), ExperimentFolder::find(&results, &second)] {
            let message = refused.err().unwrap().to_string();
            for part in ["results/mine", "a/mine.toml", "b/mine.toml", "set `name", "--results DIR"] {
                assert!(message.contains(part), "no `{part}` in {message}");
            }
        }
        let named = source("b/mine.toml", "[default]\nname = \"other\"");
        assert_eq!(ExperimentFolder::create(&results, &named).unwrap().path(), results.join("other"));
        // A copy with the same content is the same experiment, and so is a changed file at the same place.
        ExperimentFolder::create(&results, &source("b/mine.toml", "# one")).unwrap();
        ExperimentFolder::create(&results, &source("b/mine.toml", "# changed")).unwrap();
        assert!(ExperimentFolder::find(&results, &source("a/mine.toml", "# one")).is_err());
        // The folder goes along when both are moved, and it is free when the file is gone.
        std::fs::rename(place.path().join("b"), place.path().join("c")).unwrap();
        ExperimentFolder::create(&results, &source("a/mine.toml", "# one")).unwrap();
        let all = place.path().join("moved");
        std::fs::create_dir(&all).unwrap();
        std::fs::rename(place.path().join("a"), all.join("a")).unwrap();
        std::fs::rename(&results, all.join("results")).unwrap();
        std::fs::create_dir(place.path().join("a")).unwrap();
        assert!(ExperimentFolder::find(&all.join("results"), &source("moved/a/mine.toml", "# newer")).is_ok());
        assert!(ExperimentFolder::find(&all.join("results"), &source("d/mine.toml", "# else")).is_err());
    }

    #[test]
    fn an_experiment_of_the_program_is_told_from_a_file_of_its_name() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("table1.toml");
        std::fs::write(&own, "# own").unwrap();
        let own = ExperimentSource::find(own.to_str().unwrap()).unwrap();
        let built_in = ExperimentSource::built_in("table1").unwrap();
        ExperimentFolder::create(place.path(), &built_in).unwrap();
        ExperimentFolder::create(place.path(), &built_in).unwrap();
        let message = ExperimentFolder::create(place.path(), &own).err().unwrap().to_string();
        assert!(message.contains("`table1` that comes with the program"), "{message}");
        std::fs::remove_dir_all(place.path().join("table1")).unwrap();
        ExperimentFolder::create(place.path(), &own).unwrap();
        let message = ExperimentFolder::find(place.path(), &built_in).err().unwrap().to_string();
        assert!(message.contains("not to `built-in table1.toml`"), "{message}");
    }
}
