//! Labelled folders beside the training data, on which finished runs are measured.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::suite::{ConfigError, DatasetEntry};

/// An entry of the list `external` of an experiment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ExternalConfig {
    /// Its name in tables and files.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The settings in which its layout differs from that of the training data; the data set checks them itself.
    #[serde(flatten)]
    pub layout: Map<String, Value>,
}

/// Checks names and folders, and that runs on `dataset` can be measured on other data.
///
/// # Errors
/// [`ConfigError`] with the first wrong entry.
pub(super) fn check_external(external: &[ExternalConfig], dataset: &DatasetEntry) -> Result<(), ConfigError> {
    for (at, ExternalConfig { name, folder, .. }) in external.iter().enumerate() {
        let refused = |key: &str, value: &str, expected: &str| {
            Err(ConfigError::new(format!("`external[{at}].{key}` is \"{value}\": expected {expected}")))
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return refused("name", name, "letters, digits, `_` and `-`, since it names a file");
        }
        if external[..at].iter().any(|other| other.name == *name) {
            return refused("name", name, "another name for each folder");
        }
        if folder.as_os_str().is_empty() {
            return refused("folder", "", "the path of a folder");
        }
    }
    if !external.is_empty() && dataset.external.is_none() {
        let message =
            format!("`external`: runs on `{}` cannot be measured on other folders; leave it out", dataset.name);
        return Err(ConfigError::new(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{Overrides, Plan};
    use crate::suite::Registry;

    fn plan(experiment: &str, external: &str) -> Result<Vec<ExternalConfig>, String> {
        let overrides = Overrides { profile: None, assignments: vec![format!("external={external}")] };
        let plan = Plan::load(&Registry::builtin(), experiment, &overrides);
        plan.map(|plan| plan.experiment.external).map_err(|error| error.to_string())
    }

    #[test]
    fn entries_have_a_name_a_folder_and_a_layout() {
        let found =
            plan("table3", "[{ name = \"drive\", folder = \"d\", images = \"{case}.png\", scale = 1.5 }]").unwrap();
        let want = json!({ "images": "{case}.png", "scale": 1.5 });
        assert_eq!((found[0].name.as_str(), Value::Object(found[0].layout.clone())), ("drive", want));
        for (experiment, external, expected) in [
            ("table3", "[{ folder = \"d\" }]", "name"),
            ("table3", "[{ name = \"a b\", folder = \"d\" }]", "`external[0].name` is \"a b\""),
            ("table3", "[{ name = \"a\", folder = \"\" }]", "`external[0].folder`"),
            ("table3", "[{ name = \"a\", folder = \"d\" }, { name = \"a\", folder = \"e\" }]", "another name"),
            ("table1", "[{ name = \"a\", folder = \"d\" }]", "runs on `mnist` cannot be measured"),
        ] {
            let message = plan(experiment, external).unwrap_err();
            assert!(message.contains(expected), "no `{expected}` in `{message}`");
        }
    }
}
