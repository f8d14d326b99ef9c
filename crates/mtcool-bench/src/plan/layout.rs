//! The layout of a folder beside the training data, from flags.

use serde_json::{Map, Value};

use super::layers::assignment_as_toml;
use crate::suite::ConfigError;

/// The settings of a layout that the assignments `KEY=VALUE` of flags give, such as `images=test/{case}.png`; a later one overrides
/// an earlier one.
///
/// # Errors
/// If an assignment has no valid form.
pub fn layout(assignments: &[String]) -> Result<Map<String, Value>, ConfigError> {
    let mut layout = Map::new();
    for assignment in assignments {
        let wrong = |error: &dyn std::fmt::Display| ConfigError::new(format!("`{assignment}`: {error}"));
        let table: toml::Table = assignment_as_toml(assignment)?.parse().map_err(|error| wrong(&error))?;
        if let Value::Object(given) = serde_json::to_value(table).map_err(|error| wrong(&error))? {
            merge(&mut layout, given);
        }
    }
    Ok(layout)
}

fn merge(into: &mut Map<String, Value>, given: Map<String, Value>) {
    for (key, value) in given {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(given)) => merge(inner, given),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_make_a_layout() {
        let given =
            ["images=test/{case}.png", "tasks.disc.mask=a", "tasks.cup.mask=\"b\"", "scale=1.5", "tasks.disc.mask=c"];
        let want = json!({ "images": "test/{case}.png", "tasks": { "disc": { "mask": "c" }, "cup": { "mask": "b" } }, "scale": 1.5 });
        assert_eq!(Value::Object(layout(&given.map(str::to_owned)).unwrap()), want);
        assert!(layout(&["images".to_owned()]).unwrap_err().to_string().contains("KEY=VALUE"));
    }
}
