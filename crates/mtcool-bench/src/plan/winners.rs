//! Writes the settings that a search has found into the text of an experiment's file.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use crate::suite::ConfigError;

/// How the comment above a table with found settings begins; a later search replaces it.
const MARK: &str = "# Found by `";

/// The best settings of a method, and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner {
    /// The name of the method or the variant.
    pub method: String,
    /// The settings that were searched: dotted key, value.
    pub settings: Vec<(String, toml::Value)>,
    /// Where they come from, without the command: trial, score and length of its runs.
    pub origin: String,
}

/// `text`, an experiment's file, with the settings of `winners` in the tables `[{profile}.method.*]`, and above each of them a comment
/// with `command` and the winner's origin. Everything else stays as it is, comments included.
///
/// # Errors
/// If the text is no TOML, or such a table is written within another one.
pub fn with_winners(text: &str, profile: &str, command: &str, winners: &[Winner]) -> Result<String, ConfigError> {
    let mut document: DocumentMut = text.parse().map_err(|error| ConfigError::new(format!("{error}")))?;
    for winner in winners {
        let place = format!("{profile}.method.{}", winner.method);
        let inline = || {
            ConfigError::new(format!(
                "`{place}` is written within another table: write it as `[{place}]`, and its settings below"
            ))
        };
        let mut table = document.as_table_mut();
        for (depth, name) in [profile, "method", winner.method.as_str()].into_iter().enumerate() {
            let is_new = !table.contains_key(name);
            let inner = table.entry(name).or_insert_with(|| Item::Table(Table::new()));
            table = inner.as_table_mut().ok_or_else(inline)?;
            if table.is_dotted() {
                return Err(inline());
            }
            // A new table above the method's own one needs no header.
            table.set_implicit((is_new || table.is_implicit()) && depth < 2);
        }
        let before = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or("\n").to_owned();
        let kept: String = before.split_inclusive('\n').filter(|line| !line.starts_with(MARK)).collect();
        table.decor_mut().set_prefix(format!("{kept}{MARK}{command}`: {}\n", winner.origin));
        for (key, value) in &winner.settings {
            set(table, key, value).ok_or_else(|| ConfigError::new(format!("`{place}.{key}` is not a setting")))?;
        }
    }
    Ok(document.to_string())
}

/// Sets the dotted `key`; a comment behind the old value stays. `None` if the key leads through something that is no table.
fn set(table: &mut dyn TableLike, key: &str, value: &toml::Value) -> Option<()> {
    if let Some((first, rest)) = key.split_once('.') {
        let inner = table.entry(first).or_insert_with(|| Item::Value(Value::InlineTable(Default::default())));
        return set(inner.as_table_like_mut()?, rest, value);
    }
    let mut new: Value = value.to_string().parse().ok()?;
    new.decor_mut().clear();
    match table.get_mut(key) {
        Some(item) => {
            let old = item.as_value_mut()?;
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(method: &str, settings: &[(&str, toml::Value)]) -> Winner {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Winner { method: method.into(), settings, origin: "trial 3 of 8, score 99.5".into() }
    }

    const TEXT: &str = "# A file.\n\n[default]\nseeds = 2                  # two\n\n# The usual method.\n[default.method.joint]\nlearning_rate = \
                        0.1   # per step\n\n[quick]\n";

    #[test]
    fn settings_are_replaced_where_they_are_and_comments_stay() {
        let winners = [
            winner("joint", &[("learning_rate", 0.03.into())]),
            winner("mtcool", &[("bound", 0.02.into()), ("samples", 4.into())]),
        ];
        let written = with_winners(TEXT, "default", "mtcool search table1", &winners).unwrap();
        let comment = "# Found by `mtcool search table1`: trial 3 of 8, score 99.5\n";
        for part in [
            "# A file.\n\n[default]\nseeds = 2                  # two\n",
            &format!("\n# The usual method.\n{comment}[default.method.joint]\nlearning_rate = 0.03   # per step\n"),
            &format!("{comment}[default.method.mtcool]\nbound = 0.02\nsamples = 4\n"),
        ] {
            assert!(written.contains(part), "no `{part}` in\n{written}");
        }
        // The comment of an earlier search is replaced.
        let again = with_winners(&written, "default", "mtcool search again", &winners).unwrap();
        assert_eq!(again.matches(MARK).count(), 2, "{again}");
        assert_eq!(again, written.replace("search table1", "search again"));
    }

    #[test]
    fn another_profile_has_tables_of_its_own() {
        let written = with_winners(TEXT, "quick", "c", &[winner("f_mtl", &[("settings.c", 0.5.into())])]).unwrap();
        let parsed: toml::Table = written.parse().unwrap();
        assert_eq!(parsed["quick"]["method"]["f_mtl"]["settings"]["c"].as_float(), Some(0.5), "{written}");
        assert!(!written.contains("[quick.method]\n"), "{written}");
        assert_eq!(parsed["default"]["method"]["joint"]["learning_rate"].as_float(), Some(0.1));
    }

    #[test]
    fn a_table_within_another_one_is_refused() {
        let text = "[default]\nmethod = { joint = { learning_rate = 0.1 } }\n";
        let message = with_winners(text, "default", "c", &[winner("joint", &[])]).unwrap_err().to_string();
        assert!(message.contains("write it as `[default.method.joint]`"), "{message}");
    }
}
