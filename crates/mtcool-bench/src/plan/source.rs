//! Finds an experiment's file.

use std::path::{Path, PathBuf};

use crate::suite::ConfigError;

/// The experiments that come with the program, so that it also works outside of its source folder.
const BUILT_IN: [(&str, &str); 3] = [
    ("table1", include_str!("../../../../experiments/table1.toml")),
    ("table2", include_str!("../../../../experiments/table2.toml")),
    ("table3", include_str!("../../../../experiments/table3.toml")),
];
/// The source and the text of experiment `name`: a path that ends in `.toml`, a file in `experiments/`, or an experiment that
/// comes with the program.
///
/// # Errors
/// If there is no such experiment; the message lists the experiments that come with the program.
pub(super) fn find_experiment(name: &str) -> Result<(PathBuf, String), ConfigError> {
    let given = Path::new(name);
    let local = Path::new("experiments").join(format!("{name}.toml"));
    let path = if given.extension().is_some_and(|extension| extension == "toml") { given } else { &local };
    match (std::fs::read_to_string(path), BUILT_IN.iter().find(|(known, _)| *known == name)) {
        (Ok(text), _) => Ok((path.to_owned(), text)),
        (Err(_), Some((known, text))) => Ok((PathBuf::from(format!("built-in {known}.toml")), (*text).to_owned())),
        (Err(error), None) if path == given => Err(ConfigError::new(format!("experiment `{name}`: {error}"))),
        (Err(_), None) => Err(ConfigError::unknown("experiment", name, &BUILT_IN.map(|(known, _)| known))),
    }
}

/// The name of the results of `experiment`: the name of its file without the extension.
pub fn experiment_name(experiment: &str) -> String {
    Path::new(experiment).file_stem().map_or_else(|| experiment.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
