//! Ranges that hold for numbers wherever they are in an experiment: finite, and small enough that no later arithmetic overflows.

use std::fmt::Display;

use figment::Figment;
use figment::value::{Dict, Num, Tag, Value};

use crate::suite::{ConfigError, NetworkConfig, TrainingConfig};

/// The most epochs that an experiment may have; more is a mistake, and would overflow counts of batches.
const MOST_EPOCHS: u64 = 1_000_000;
/// The most examples of an overfit diagnosis.
const MOST_OVERFITTED: u64 = 1_000_000;
/// The largest width of a network's layer.
const MOST_CHANNELS: u64 = 1 << 16;
/// The largest number of batches over which an update averages.
const MOST_ACCUMULATED: u64 = 1_000_000;

/// Checks that every number of `figment` is finite.
///
/// # Errors
/// [`ConfigError`] with the key and the place of the first one that is not.
pub(super) fn all_finite(figment: &Figment) -> Result<(), ConfigError> {
    let mut found = None;
    for (key, value) in &merged(figment) {
        find(key.clone(), value, &mut found);
    }
    match found {
        None => Ok(()),
        Some((key, number, tag)) => {
            let place = figment.get_metadata(tag).map(|metadata| format!(" in {}", metadata.name)).unwrap_or_default();
            Err(ConfigError::new(format!("`{key}`{place} is {number}: expected a finite number")))
        }
    }
}

/// All tables of the selected profile; every value remembers its source.
pub(super) fn merged(figment: &Figment) -> Dict {
    figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default()
}

fn find(key: String, value: &Value, found: &mut Option<(String, f64, Tag)>) {
    match value {
        Value::Dict(_, table) => table.iter().for_each(|(name, value)| find(format!("{key}.{name}"), value, found)),
        Value::Array(_, items) => items.iter().for_each(|value| find(key.clone(), value, found)),
        Value::Num(tag, number) => {
            let number = match number {
                Num::F64(number) => *number,
                Num::F32(number) => f64::from(*number),
                _ => 0.0,
            };
            if !number.is_finite() && found.is_none() {
                *found = Some((key, number, *tag));
            }
        }
        _ => {}
    }
}

/// Checks the sizes that other parts of the program multiply.
///
/// # Errors
/// [`ConfigError`] with the first one that is out of range.
pub(super) fn check_sizes(training: &TrainingConfig, network: &NetworkConfig) -> Result<(), ConfigError> {
    within("training.epochs", training.epochs, 1, MOST_EPOCHS)?;
    within("training.batch_size", training.batch_size as u64, 1, u64::from(u32::MAX))?;
    within("training.accumulate", training.accumulate as u64, 1, MOST_ACCUMULATED)?;
    for &width in &network.widths {
        within("network.widths", width as u64, 1, MOST_CHANNELS)?;
    }
    if let Some(groups) = network.groups {
        within("network.groups", groups as u64, 1, MOST_CHANNELS)?;
    }
    Ok(())
}

/// Checks the number of examples of an overfit diagnosis.
///
/// # Errors
/// [`ConfigError`] if it is out of range.
pub(super) fn check_overfit(examples: Option<u64>) -> Result<(), ConfigError> {
    examples.map_or(Ok(()), |examples| within("overfit", examples, 1, MOST_OVERFITTED))
}

/// Checks that `value` is `least` to `most`.
fn within(key: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    let refuse = |expected: &dyn Display| Err(ConfigError::new(format!("`{key}` is {value}: expected {expected}")));
    match value {
        value if value < least => refuse(&format!("at least {least}")),
        value if value > most => refuse(&format!("at most {most}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::known_keys;
    use super::super::layers::Overrides;
    use super::super::resolve::Plan;
    use super::*;
    use crate::suite::Registry;

    fn load(table: &str, assignment: String) -> Result<Plan, ConfigError> {
        let overrides = Overrides { profile: None, assignments: vec![assignment] };
        Plan::load(&Registry::builtin(), table, &overrides)
    }

    /// Large whole numbers that harm nothing: seeds, numbers of steps, and sizes that are checked when a set is drawn.
    const MAY_BE_LARGE: [&str; 10] = [
        "seed",
        "split_seed",
        "probe_every",
        "log_every",
        "warmup_iterations",
        "train",
        "test",
        "shrink",
        "window",
        "update_weights_every",
    ];

    #[test]
    fn numbers_without_a_meaning_are_refused_before_any_data_is_read() {
        let registry = Registry::builtin();
        let mut accepted = Vec::new();
        for table in ["table1", "table2", "table3"] {
            let dataset = load(table, "seeds=1".into()).unwrap().dataset.name.to_string();
            let keys = known_keys(&Figment::from(("dataset", dataset)), &registry);
            assert!(keys.len() > 50, "{keys:?}");
            for key in keys {
                // Whatever the key is, no number ends the program.
                for number in ["-1", "0", "1e300"] {
                    let _ = load(table, format!("{key}={number}"));
                }
                let name = key.rsplit('.').next().unwrap();
                let large = load(table, format!("{key}=9223372036854775807"));
                if large.is_ok() && !MAY_BE_LARGE.contains(&name) && !is_real(table, &key) {
                    accepted.push(format!("{table}: {key}"));
                }
                for number in ["nan", "-inf"] {
                    let message = load(table, format!("{key}={number}")).err().map(|error| error.to_string());
                    let is_told = message.is_some_and(|message| message.contains("expected a finite number"));
                    assert!(is_told, "{key}={number}");
                }
            }
        }
        assert!(accepted.is_empty(), "absurdly large numbers are accepted: {accepted:#?}");
    }

    /// Whether the key takes numbers with a fraction, for which a large number is a rate like any other.
    fn is_real(table: &str, key: &str) -> bool {
        load(table, format!("{key}=0.5")).is_ok()
    }
}
