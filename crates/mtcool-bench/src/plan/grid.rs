//! A grid: variants of methods that are made from lists of values, such as `method.mtcool.bound = [0.01, 0.02]`.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use crate::suite::ConfigError;

/// The table of a variant whose values replace those of the experiment's table `training`.
pub(super) const TRAINING: &str = "training";
/// The same for the experiment's table `network`.
pub(super) const NETWORK: &str = "network";
/// How rows differ in settings that a grid cannot have.
const VARIANTS: &str = "rows with other values of `training` and `network` are variants with names of their own in the experiment's \
                        file: a table `[default.method.joint_long]` with `like = \"joint\"` and `training = { epochs = 16 }`";

/// One point of a grid: a variant of `base` with one value for each of the grid's keys of `base`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GridPoint {
    /// The variant's name, which follows from base, keys and values.
    pub(super) name: String,
    /// The method or the variant whose settings it changes.
    pub(super) base: String,
    /// Keys and values in words, for the variant's label.
    pub(super) words: String,
    /// The changed settings: key within the method's table, value.
    pub(super) settings: Vec<(String, toml::Value)>,
}

/// All points of `grid`, the experiment's table `grid`: for each method, every combination of the values of its keys.
///
/// # Errors
/// If a key is no setting of a method, or has no list of different values.
pub(super) fn points(grid: &Dict) -> Result<Vec<GridPoint>, ConfigError> {
    let mut axes = BTreeMap::new();
    for (key, value) in grid {
        flatten(key, value, &mut axes);
    }
    let mut of_base: BTreeMap<String, Vec<(String, Vec<toml::Value>)>> = BTreeMap::new();
    for (key, value) in axes {
        let (base, setting) = key.strip_prefix("method.").and_then(|key| key.split_once('.')).ok_or_else(|| {
            ConfigError::new(format!(
                "`grid.{key}`: expected a setting of a method, such as `method.mtcool.bound`; all other settings are common to the \
                 rows of a table, so that each of their values needs a table of its own ({VARIANTS})"
            ))
        })?;
        if [TRAINING, NETWORK].iter().any(|table| setting.split('.').next() == Some(table)) {
            return Err(ConfigError::new(format!(
                "`grid.{key}`: a grid has settings of the method itself ({VARIANTS})"
            )));
        }
        of_base.entry(base.to_owned()).or_default().push((setting.to_owned(), values(&key, value)?));
    }
    let mut points = Vec::new();
    for (base, axes) in of_base {
        let combinations = axes.iter().fold(vec![Vec::new()], |all, (key, values)| {
            let extended = |chosen: &Vec<(String, toml::Value)>| -> Vec<Vec<(String, toml::Value)>> {
                values.iter().map(|value| [&chosen[..], &[(key.clone(), value.clone())]].concat()).collect()
            };
            all.iter().flat_map(extended).collect()
        });
        points.extend(combinations.into_iter().map(|settings| point(&base, settings)));
    }
    for (at, point) in points.iter().enumerate() {
        if let Some(other) = points[..at].iter().find(|other| other.name == point.name) {
            let message = format!(
                "`grid`: {} and {} of `{}` would both be called `{}`: name them as variants in the file",
                other.words, point.words, point.base, point.name
            );
            return Err(ConfigError::new(message));
        }
    }
    Ok(points)
}

/// Collects the lists below `key`, by their dotted key.
fn flatten(key: &str, value: &Value, axes: &mut BTreeMap<String, Value>) {
    match value.as_dict() {
        Some(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, axes);
            }
        }
        None => {
            axes.insert(key.to_owned(), value.clone());
        }
    }
}

fn values(key: &str, value: Value) -> Result<Vec<toml::Value>, ConfigError> {
    let expected = |what: &str| ConfigError::new(format!("`grid.{key}`: expected {what}, such as [0.01, 0.02, 0.05]"));
    let values: Vec<toml::Value> = value.deserialize().map_err(|_| expected("a list of values"))?;
    let has_twice = (0..values.len()).any(|at| values[..at].contains(&values[at]));
    if values.is_empty() || has_twice { Err(expected("a list of different values")) } else { Ok(values) }
}

fn point(base: &str, settings: Vec<(String, toml::Value)>) -> GridPoint {
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let in_name = |text: String| text.replace(|c: char| !(c.is_ascii_alphanumeric() || "._+-".contains(c)), "_");
    let name =
        settings.iter().fold(base.to_owned(), |name, (key, value)| format!("{name}_{key}_{}", in_name(text(value))));
    let words: Vec<String> = settings.iter().map(|(key, value)| format!("{key} {}", text(value))).collect();
    GridPoint { name, base: base.to_owned(), words: words.join(", "), settings }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Result<Vec<GridPoint>, ConfigError> {
        let value: Value = Value::serialize(text.parse::<toml::Table>().unwrap()).unwrap();
        points(value.as_dict().unwrap())
    }

    #[test]
    fn every_combination_of_a_methods_values_is_a_point() {
        let found = grid(
            "method.mtcool.bound = [0.01, 0.05]\nmethod.mtcool.alpha = [0.1, 0.2]\nmethod.f_mtl.around = [\"mgda\"]",
        );
        let found = found.unwrap();
        let names: Vec<&str> = found.iter().map(|point| point.name.as_str()).collect();
        let want = [
            "f_mtl_around_mgda",
            "mtcool_alpha_0.1_bound_0.01",
            "mtcool_alpha_0.1_bound_0.05",
            "mtcool_alpha_0.2_bound_0.01",
            "mtcool_alpha_0.2_bound_0.05",
        ];
        assert_eq!(names, want);
        assert_eq!((found[1].base.as_str(), found[1].words.as_str()), ("mtcool", "alpha 0.1, bound 0.01"));
        assert_eq!(found[1].settings[1], ("bound".to_owned(), toml::Value::Float(0.01)));
        assert_eq!(grid("").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_a_methods_setting_is_named() {
        for (text, part) in [
            ("training.epochs = [1, 2]", "`grid.training.epochs`: expected a setting of a method"),
            ("method.joint.training.epochs = [1, 2]", "variants with names of their own"),
            ("method.mtcool = [1]", "`grid.method.mtcool`: expected a setting of a method"),
            ("method.mtcool.bound = 0.1", "`grid.method.mtcool.bound`: expected a list of values"),
            ("method.mtcool.bound = []", "expected a list of different values"),
            ("method.mtcool.bound = [0.1, 0.1]", "expected a list of different values"),
            ("method.x.a = [\"b,c\", \"b;c\"]", "would both be called `x_a_b_c`"),
        ] {
            let message = grid(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
