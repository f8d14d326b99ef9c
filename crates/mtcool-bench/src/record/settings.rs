//! The settings of runs as pairs of a dotted key and a value, for lists, conditions and comparisons.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::StoredSettings;

/// Values by dotted key, such as `training.epochs` and `settings.learning_rate`.
pub type Settings = BTreeMap<String, String>;

/// Keys of a run's configuration that name the run rather than set something.
const NAMES: [&str; 4] = ["experiment", "label", "method", "seed"];

/// The settings in a run's configuration, without the keys that name the run; text without its quotes.
pub fn settings_of(config: &StoredSettings) -> Settings {
    let plain = |value: String| match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) => text.to_owned(),
        None => value,
    };
    let all = config.settings().into_iter().filter(|(key, _)| !NAMES.contains(&key.as_str()));
    all.map(|(key, value)| (key, plain(value))).collect()
}

/// The keys on which `all` do not agree; a missing key differs from every value.
pub fn differing_keys<'a>(all: impl IntoIterator<Item = &'a Settings>) -> BTreeSet<String> {
    let all: Vec<&Settings> = all.into_iter().collect();
    let keys: BTreeSet<&String> = all.iter().flat_map(|settings| settings.keys()).collect();
    let differs = |key: &&String| all.windows(2).any(|pair| pair[0].get(*key) != pair[1].get(*key));
    keys.into_iter().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_dotted_keys_and_only_what_differs_is_told() {
        let config = |bound: f64| {
            let text = format!(
                "experiment = \"table1\"\nmethod = \"mtcool\"\nseed = 3\nhash = \"ab\"\ndevice = \"cpu\"\n\
                 [training]\nepochs = 5\nmilestones = [0.5, 0.75]\n[settings]\nbound = {bound}\n"
            );
            settings_of(&StoredSettings::parse(&text).unwrap())
        };
        let settings = config(0.01);
        let expected = [
            ("device", "cpu"),
            ("settings.bound", "0.01"),
            ("training.epochs", "5"),
            ("training.milestones", "[0.5, 0.75]"),
        ];
        assert!(settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected), "{settings:?}");
        assert_eq!(differing_keys([&settings, &config(0.02)]), BTreeSet::from(["settings.bound".to_owned()]));
        assert!(differing_keys([&settings, &settings]).is_empty() && differing_keys([]).is_empty());
        let without: Settings = settings.clone().into_iter().filter(|(key, _)| key != "device").collect();
        assert_eq!(differing_keys([&settings, &without]), BTreeSet::from(["device".to_owned()]));
    }
}
