//! [`Axis`]: the values that a search may give to one setting.

use std::fmt;

use figment::Profile;
use figment::value::{Dict, Value};

use crate::suite::ConfigError;

/// The keys of an axis, of which it has exactly one.
const KINDS: [&str; 3] = ["log", "range", "values"];

/// The values of one setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Axis {
    /// Real numbers between two ends, rounded to three digits.
    Real { ends: [f64; 2], is_log: bool },
    /// Whole numbers from one end to the other.
    Whole { ends: [i64; 2], is_log: bool },
    /// These values.
    Values(Vec<toml::Value>),
}

impl Axis {
    /// Whether `table` describes an axis, and is no table of further settings.
    pub(super) fn is_axis(table: &Dict) -> bool {
        table.keys().any(|key| KINDS.contains(&key.as_str()))
    }

    /// Reads `table`, which is at `key` of the experiment.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key and what is expected there.
    pub(super) fn read(key: &str, table: &Dict) -> Result<Self, ConfigError> {
        // The values of a profile or of a flag replace those of the file's default table, also where these are of another kind.
        let rank = |value: &Value| (value.tag(), value.tag().profile() != Some(Profile::Default));
        let newest = table.values().map(rank).max();
        let given: Vec<(&String, &Value)> = table.iter().filter(|(_, value)| Some(rank(value)) == newest).collect();
        let (kind, value) = match given[..] {
            [(kind, value)] if table.keys().all(|key| KINDS.contains(&key.as_str())) => (kind, value),
            _ => {
                let keys: Vec<&str> = table.keys().map(String::as_str).collect();
                return Err(ConfigError::new(format!(
                    "`{key}` has the keys {}: expected one of `log`, `range` and `values`",
                    keys.join(", ")
                )));
            }
        };
        let refused = |expected: &str| {
            let found =
                value.clone().deserialize::<toml::Value>().map_or_else(|_| "no value".into(), |v| v.to_string());
            ConfigError::new(format!("`{key}.{kind}` is {found}: expected {expected}"))
        };
        match kind.as_str() {
            "values" => {
                Self::read_values(value).ok_or_else(|| refused("a list of different values, such as [1, 2, 4]"))
            }
            "range" => Self::read_ends(value, false)
                .ok_or_else(|| refused("two numbers, the smaller one first, such as [0.0, 0.9]")),
            _ => Self::read_ends(value, true)
                .ok_or_else(|| refused("two numbers above 0, the smaller one first, such as [0.001, 0.1]")),
        }
    }

    fn read_values(value: &Value) -> Option<Self> {
        let values: Vec<toml::Value> = value.clone().deserialize().ok()?;
        let has_twice = (0..values.len()).any(|at| values[..at].contains(&values[at]));
        (!values.is_empty() && !has_twice).then_some(Self::Values(values))
    }

    fn read_ends(value: &Value, is_log: bool) -> Option<Self> {
        let ends: [toml::Value; 2] = value.clone().deserialize().ok()?;
        let number = |end: &toml::Value| end.as_float().or_else(|| end.as_integer().map(|end| end as f64));
        let (low, high) = (number(&ends[0])?, number(&ends[1])?);
        if low >= high || is_log && low <= 0.0 {
            return None;
        }
        Some(match (ends[0].as_integer(), ends[1].as_integer()) {
            (Some(low), Some(high)) => Self::Whole { ends: [low, high], is_log },
            _ => Self::Real { ends: [low, high], is_log },
        })
    }

    /// The value at `unit`, a number of `0..1`.
    pub(super) fn at(&self, unit: f64) -> toml::Value {
        let between = |low: f64, high: f64, is_log: bool| {
            if is_log { (low.ln() + unit * (high / low).ln()).exp() } else { low + unit * (high - low) }
        };
        match self {
            Self::Real { ends: [low, high], is_log } => {
                toml::Value::Float(rounded(between(*low, *high, *is_log)).clamp(*low, *high))
            }
            Self::Whole { ends: [low, high], is_log } => {
                // Each whole number has the part of the interval that is nearest to it.
                let value = between(*low as f64 - 0.5, *high as f64 + 0.5, *is_log).round() as i64;
                toml::Value::Integer(value.clamp(*low, *high))
            }
            Self::Values(values) => {
                let at = (unit * values.len() as f64) as usize;
                values[at.min(values.len() - 1)].clone()
            }
        }
    }

    /// The values that are checked before a search: the ends, or all values.
    pub(super) fn extremes(&self) -> Vec<toml::Value> {
        match self {
            Self::Real { ends, .. } => ends.map(toml::Value::Float).to_vec(),
            Self::Whole { ends, .. } => ends.map(toml::Value::Integer).to_vec(),
            Self::Values(values) => values.clone(),
        }
    }

    /// Number of different values, if they are few.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::Real { .. } => None,
            Self::Whole { ends: [low, high], .. } => usize::try_from(high.checked_sub(*low)?).ok()?.checked_add(1),
            Self::Values(values) => Some(values.len()),
        }
    }

    /// Whether its numbers are spread evenly by their logarithm.
    pub(super) fn is_log(&self) -> bool {
        matches!(self, Self::Real { is_log: true, .. } | Self::Whole { is_log: true, .. })
    }
}

/// `value` with three digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = if self.is_log() { ", by its logarithm" } else { "" };
        match self {
            Self::Real { ends: [low, high], .. } => write!(f, "{low} to {high}{log}"),
            Self::Whole { ends: [low, high], .. } => write!(f, "{low} to {high}, whole numbers{log}"),
            Self::Values(values) => {
                let values: Vec<String> = values.iter().map(toml::Value::to_string).collect();
                f.write_str(&values.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(text: &str) -> Result<Axis, ConfigError> {
        let table: toml::Table = text.parse().unwrap();
        Axis::read("search.joint.x", Value::serialize(table).unwrap().as_dict().unwrap())
    }

    #[test]
    fn values_fill_the_axis_and_keep_three_digits() {
        let floats = |text: &str| [0.0, 0.25, 0.999_999].map(|unit| axis(text).unwrap().at(unit).as_float().unwrap());
        assert_eq!(floats("log = [1e-3, 1e-1]"), [0.001, 0.00316, 0.1]);
        assert_eq!(floats("range = [-1.0, 1.0]"), [-1.0, -0.5, 1.0]);
        let at = |text: &str, unit| axis(text).unwrap().at(unit).as_integer().unwrap();
        let spread = |text: &str, count: usize| {
            let mut times = vec![0; count];
            (0..1200).for_each(|unit| times[at(text, f64::from(unit) / 1200.0) as usize - 1] += 1);
            times
        };
        assert_eq!(spread("range = [1, 4]", 4), [300; 4]);
        assert_eq!(spread("values = [1, 2, 3]", 3), [400; 3]);
        let log = spread("log = [1, 8]", 8);
        assert!(log.windows(2).all(|pair| pair[0] > pair[1]) && log[7] > 0, "{log:?}");
        assert_eq!(axis("values = [\"l2\", \"none\"]").unwrap().at(0.6), toml::Value::from("none"));
    }

    #[test]
    fn an_axis_without_a_meaning_is_refused_with_its_key() {
        for (text, part) in [
            ("log = [0.0, 0.1]", "`search.joint.x.log` is [0.0, 0.1]: expected two numbers above 0"),
            ("log = [0.1, 0.01]", "the smaller one first"),
            ("log = [0.1]", "`search.joint.x.log` is [0.1]"),
            ("range = [1, 1]", "`search.joint.x.range` is [1, 1]"),
            ("range = 3", "`search.joint.x.range` is 3"),
            ("values = []", "`search.joint.x.values` is []: expected a list of different values"),
            ("values = [1, 1]", "different values"),
            ("log = [0.1, 1.0]\nvalues = [1]", "`search.joint.x` has the keys log, values: expected one of"),
        ] {
            let message = axis(text).unwrap_err().to_string();
            assert!(message.contains(part), "no `{part}` in `{message}`");
        }
    }
}
