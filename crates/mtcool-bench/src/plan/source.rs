//! Finds an experiment's file, and the experiment's name in it.

use std::path::{Path, PathBuf};

use crate::suite::ConfigError;

/// The experiments that come with the program, so that it also works outside of its source folder. The crate's folder
/// `experiments` has links to the files in the workspace's, so that a package of this crate contains them.
const BUILT_IN: [(&str, &str); 5] = [
    ("table1", include_str!("../../experiments/table1.toml")),
    ("table2", include_str!("../../experiments/table2.toml")),
    ("table3", include_str!("../../experiments/table3.toml")),
    ("ablation", include_str!("../../experiments/ablation.toml")),
    ("architectures", include_str!("../../experiments/architectures.toml")),
];

/// A checkout without symbolic links has files that contain nothing but the path of another file.
const _: () = {
    let mut index = 0;
    while index < BUILT_IN.len() {
        assert!(
            BUILT_IN[index].1.len() > 100,
            "crates/mtcool-bench/experiments has to contain symbolic links: set `git config core.symlinks true` and check out again"
        );
        index += 1;
    }
};

/// An experiment before its settings are read.
#[derive(Clone, Debug)]
pub struct ExperimentSource {
    /// The experiment's name, which is the name of its folder of results: the key `name` of the file's table `default`, or else
    /// the name of the file without `.toml`.
    pub name: String,
    /// Its file; `None` if it comes with the program.
    pub file: Option<PathBuf>,
    /// The content of the file.
    pub text: String,
}

impl ExperimentSource {
    /// The experiment that the command line calls `given`: a path that ends in `.toml`, a file in `experiments/`, or an
    /// experiment that comes with the program.
    ///
    /// # Errors
    /// If there is no such experiment; the message lists the experiments that come with the program. If its name is no name of
    /// a folder.
    pub fn find(given: &str) -> Result<Self, ConfigError> {
        let local = Path::new("experiments").join(format!("{given}.toml"));
        let is_path = given.ends_with(".toml");
        let path = if is_path { Path::new(given) } else { &local };
        let (file, text) = match (std::fs::read_to_string(path), BUILT_IN.iter().find(|(known, _)| *known == given)) {
            (Ok(text), _) => (Some(path.to_owned()), text),
            (Err(_), Some((_, text))) => (None, (*text).to_owned()),
            (Err(error), None) if is_path => {
                return Err(ConfigError::new(format!("experiment `{given}`: {error}")));
            }
            (Err(_), None) => return Err(unknown(given)),
        };
        let of_file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name_in(&text).unwrap_or_else(|| of_file.strip_suffix(".toml").unwrap_or(&of_file).to_owned());
        let is_folder = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
        if !is_folder {
            let message = format!("`name` is `{name}`: expected the name of a folder, without `/`, `\\` and `:`");
            return Err(ConfigError::new(message).within(path.display()));
        }
        Ok(Self { name, file, text })
    }

    /// The experiment called `name` that comes with the program.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Some(Self { name: (*name).to_owned(), file: None, text: (*text).to_owned() })
    }

    /// The place of the text in error messages.
    pub fn place(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None => format!("built-in {}.toml", self.name),
        }
    }
}

/// The error for an experiment that is not there, with what the writer may have meant.
fn unknown(given: &str) -> ConfigError {
    let folder = given.trim_end_matches('/');
    let file = format!("{folder}.toml");
    if Path::new(&file).is_file() {
        return ConfigError::new(format!("unknown experiment `{given}`; did you mean the file `{file}`?"));
    }
    if Path::new(given).is_dir() {
        return ConfigError::new(format!(
            "`{given}` is a folder; expected the file of an experiment: `mtcool data init {folder} --out {file}` writes one for a \
             folder of your own pictures"
        ));
    }
    ConfigError::unknown("experiment", given, &BUILT_IN.map(|(known, _)| known))
}

/// The key `name` of the table `default`. Other mistakes in the text are found when its settings are read.
fn name_in(text: &str) -> Option<String> {
    let tables = text.parse::<toml::Table>().ok()?;
    tables.get("default")?.get("name")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_is_called_by_its_key_or_else_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let name = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::write(&path, text).unwrap();
            ExperimentSource::find(path.to_str().unwrap()).map(|source| source.name)
        };
        assert_eq!(name("mine.toml", "").unwrap(), "mine");
        assert_eq!(name("lr0.01.toml", "").unwrap(), "lr0.01");
        assert_eq!(name("lr0.01.toml", "[default]\nname = \"rates\"\n[paper]\nname = \"other\"\n").unwrap(), "rates");
        for wrong in ["", "a/b", "..", "c:d"] {
            let text = format!("[default]\nname = \"{wrong}\"\n");
            let message = name("mine.toml", &text).unwrap_err().to_string();
            assert!(message.contains("mine.toml") && message.contains(&format!("`name` is `{wrong}`")), "{message}");
        }
        assert_eq!(ExperimentSource::find("table1").unwrap().name, "table1");
        let [written, pictures] = ["mine", "pictures"].map(|name| folder.path().join(name));
        std::fs::create_dir(&pictures).unwrap();
        let message = |given: &Path| unknown(given.to_str().unwrap()).to_string();
        assert!(message(&written).contains("did you mean the file `") && message(&written).contains("mine.toml`?"));
        assert!(message(&pictures).contains("is a folder") && message(&pictures).contains("mtcool data init"));
        assert!(ExperimentSource::find("tabel1").unwrap_err().to_string().contains("did you mean `table1`?"));
    }
}
