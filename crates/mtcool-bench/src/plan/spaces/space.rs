//! [`Space`]: the settings of one method that a search tries, drawn from a seed.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use mtcool_core::random::{Purpose, stream, unit};

use super::axis::Axis;
use crate::suite::ConfigError;

/// Number of draws for one trial after which the space is taken for exhausted.
const MOST_DRAWS: u32 = 1000;

/// The settings of a method or a variant that are searched, each with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// The name of the method or the variant.
    pub method: String,
    /// The name of its table in `search`: the method's, or that of a space for several methods.
    table: String,
    /// By the dotted key in the method's table.
    axes: BTreeMap<String, Axis>,
    /// What the experiment gives to these settings now, the first trial: key, value. Keys without a value are missing.
    present: Vec<(String, toml::Value)>,
}

/// Settings of a method that a search tries.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The name of the method or the variant whose settings it changes.
    pub method: String,
    /// Its number among the trials of the method, from 0.
    pub index: usize,
    /// The changed settings: dotted key in the method's table, value.
    pub settings: Vec<(String, toml::Value)>,
}

impl Trial {
    /// The name of the variant that has its settings.
    pub fn name(&self) -> String {
        format!("{}_trial{:02}", self.method, self.index)
    }

    /// The table `[method.*]` of this variant.
    pub(in crate::plan) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        table.insert("like".into(), self.method.clone().into());
        for (key, value) in &self.settings {
            insert(&mut table, key, value.clone());
        }
        table
    }
}

/// Sets the dotted `key` of `table`.
fn insert(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| toml::Table::new().into());
            if let Some(inner) = inner.as_table_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

impl Space {
    /// Reads `table`, the experiment's table `search.{method}`.
    ///
    /// # Errors
    /// [`ConfigError`] with the first key that is no axis.
    pub(super) fn read(method: &str, table: &Dict) -> Result<Self, ConfigError> {
        let mut axes = BTreeMap::new();
        if table.is_empty() {
            return Err(expected(&format!("search.{method}")));
        }
        for (key, value) in table {
            flatten(method, key, value, &mut axes)?;
        }
        Ok(Self { method: method.to_owned(), table: method.to_owned(), axes, present: Vec::new() })
    }

    /// The same space for another method.
    pub(in crate::plan) fn for_method(self, method: String) -> Self {
        Self { method, ..self }
    }

    /// The name of its table in `search`.
    pub(in crate::plan) fn table(&self) -> &str {
        &self.table
    }

    /// The same space, whose first trial has the values that `value_of` knows for its keys: what the experiment has now. So the best
    /// trial is never worse than what a search began with.
    pub(in crate::plan) fn beginning_with(mut self, value_of: impl Fn(&str) -> Option<toml::Value>) -> Self {
        self.present = self.axes.keys().filter_map(|key| Some((key.clone(), value_of(key)?))).collect();
        self
    }

    /// The settings that are searched: key, its values in words, and whether numbers are spread by their logarithm.
    pub fn settings(&self) -> impl Iterator<Item = (&str, String, bool)> {
        self.axes.iter().map(|(key, axis)| (key.as_str(), axis.to_string(), axis.is_log()))
    }

    /// The ends of each axis, or all of its values, which are checked before a search: key, value.
    pub(in crate::plan) fn extremes(&self) -> impl Iterator<Item = (&String, toml::Value)> {
        self.axes.iter().flat_map(|(key, axis)| axis.extremes().into_iter().map(move |value| (key, value)))
    }

    /// The first `count` trials, which are all different: the present settings, if they are known, then drawn ones. A drawn trial
    /// follows from `seed`, its number and the keys alone, so that a longer search begins with the trials of a shorter one.
    ///
    /// # Errors
    /// If there are not as many different settings.
    pub(in crate::plan) fn trials(&self, seed: u64, count: usize) -> Result<Vec<Trial>, ConfigError> {
        let points = self.axes.values().try_fold(1usize, |all, axis| all.checked_mul(axis.count()?));
        let few = |points: usize| {
            ConfigError::new(format!(
                "`search.{}` has {points} different settings, fewer than the {count} of `search.trials`: all methods get the same \
                 number of trials; widen the space, or lower `search.trials`",
                self.method
            ))
        };
        let given = usize::from(!self.present.is_empty());
        if let Some(points) = points.filter(|&points| points.saturating_add(given) < count) {
            return Err(few(points));
        }
        let method = &self.method;
        let present = Trial { method: method.clone(), index: 0, settings: self.present.clone() };
        let mut trials = if given == 1 { vec![present] } else { Vec::new() };
        for index in given..count {
            let mut draws = (0..MOST_DRAWS).map(|draw| self.draw(seed, index, draw));
            let is_new = |settings: &Vec<(String, toml::Value)>| trials.iter().all(|trial| trial.settings != *settings);
            let settings = draws.find(is_new).ok_or_else(|| few(trials.len()))?;
            trials.push(Trial { method: method.clone(), index, settings });
        }
        Ok(trials)
    }

    fn draw(&self, seed: u64, index: usize, draw: u32) -> Vec<(String, toml::Value)> {
        let value = |(key, axis): (&String, &Axis)| {
            let name = format!("{}.{key}", self.method);
            let mut generator = stream(seed, Purpose::Search, [index as u32, draw, 0, 0], &name);
            (key.clone(), axis.at(unit(&mut generator)))
        };
        self.axes.iter().map(value).collect()
    }
}

/// Collects the axes in `value`, which is at `key` of the method's space.
fn flatten(method: &str, key: &str, value: &Value, axes: &mut BTreeMap<String, Axis>) -> Result<(), ConfigError> {
    let place = format!("search.{method}.{key}");
    match value.as_dict() {
        Some(table) if Axis::is_axis(table) => {
            axes.insert(key.to_owned(), Axis::read(&place, table)?);
            Ok(())
        }
        Some(table) if !table.is_empty() => {
            table.iter().try_for_each(|(inner, value)| flatten(method, &format!("{key}.{inner}"), value, axes))
        }
        _ => Err(expected(&place)),
    }
}

fn expected(place: &str) -> ConfigError {
    ConfigError::new(format!(
        "`{place}`: expected values for a setting, such as `learning_rate = {{ log = [0.001, 0.1] }}`, `{{ range = [0.0, 0.9] }}` or \
         `{{ values = [1, 2, 4] }}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> Result<Space, ConfigError> {
        let table: toml::Table = text.parse().unwrap();
        Space::read("joint", Value::serialize(table).unwrap().as_dict().unwrap())
    }

    #[test]
    fn trials_are_different_and_a_longer_search_begins_with_a_shorter_one() {
        let space = space("learning_rate = { log = [1e-3, 1e-1] }\nmomentum = { values = [0.0, 0.9] }").unwrap();
        let (few, many) = (space.trials(3, 4).unwrap(), space.trials(3, 40).unwrap());
        assert_eq!(few, many[..4]);
        assert!((0..40).all(|at| many[..at].iter().all(|trial| trial.settings != many[at].settings)));
        assert_ne!(few[0].settings, space.trials(4, 1).unwrap()[0].settings, "another seed");
        assert_eq!((few[2].name().as_str(), few[2].index), ("joint_trial02", 2));
        // Another setting changes no value of this one.
        let one = super::tests::space("learning_rate = { log = [1e-3, 1e-1] }").unwrap().trials(3, 4).unwrap();
        assert!((0..4).all(|at| one[at].settings[0] == few[at].settings[0]));
    }

    #[test]
    fn a_small_space_is_used_up_and_then_refused() {
        let space = space("a = { values = [1, 2] }\nb = { range = [1, 3] }").unwrap();
        assert_eq!(space.trials(0, 6).unwrap().len(), 6);
        let message = space.trials(0, 7).unwrap_err().to_string();
        assert!(message.contains("`search.joint` has 6 different settings, fewer than the 7"), "{message}");
        let narrow = super::tests::space("a = { range = [1.0, 1.01] }").unwrap();
        assert!(narrow.trials(0, 3).unwrap_err().to_string().contains("has 2 different settings"));
    }

    #[test]
    fn the_present_settings_are_the_first_trial() {
        let drawn = space("a = { values = [1, 2] }\nb = { range = [1, 3] }").unwrap();
        let one = |key: &str| Some(toml::Value::from(1)).filter(|_| key == "a");
        let begun = drawn.clone().beginning_with(one);
        let trials = begun.trials(0, 4).unwrap();
        assert_eq!(trials[0].settings, [("a".to_owned(), toml::Value::from(1))]);
        assert_eq!(trials[1..], drawn.trials(0, 4).unwrap()[1..]);
        // What is outside of the axes is a seventh point, what is inside is not.
        assert_eq!(drawn.clone().beginning_with(|_| Some(toml::Value::from(3))).trials(0, 7).unwrap().len(), 7);
        let message = drawn.beginning_with(|_| Some(toml::Value::from(1))).trials(0, 7).unwrap_err().to_string();
        assert!(message.contains("has 6 different settings"), "{message}");
    }

    #[test]
    fn settings_of_inner_tables_have_dotted_keys() {
        let space = space("learning_rate = { log = [1e-3, 1e-1] }\nsettings = { c = { range = [0.0, 1.0] } }").unwrap();
        let table = space.trials(0, 1).unwrap()[0].table();
        assert_eq!(table["like"].as_str(), Some("joint"));
        assert!(table["settings"]["c"].is_float() && table["learning_rate"].is_float(), "{table}");
    }

    #[test]
    fn what_is_no_axis_is_named() {
        for (text, part) in [
            ("", "`search.joint`: expected values"),
            ("learning_rate = 0.1", "`search.joint.learning_rate`: expected values for a setting"),
            ("settings = {}", "`search.joint.settings`: expected values"),
            ("settings = { c = 1 }", "`search.joint.settings.c`: expected values"),
        ] {
            let message = space(text).unwrap_err().to_string();
            assert!(message.contains(part), "no `{part}` in `{message}`");
        }
    }
}
