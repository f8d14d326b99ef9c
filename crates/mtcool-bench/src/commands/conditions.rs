//! `--where`: conditions on runs, such as `label=mtcool,seed<3,bound=0.02`.

use crate::record::Settings;
use crate::suite::ConfigError;

/// Conditions that all have to hold.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Conditions(Vec<Condition>);

#[derive(Debug, PartialEq)]
struct Condition {
    key: String,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The operators; one that begins another one comes after it.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// The key whose value may be given by its first characters.
const HASH: &str = "hash";
/// The value that stands for a key that a run does not have, as lists of runs show it.
const NONE: &str = "-";
/// Keys that configurations have only where they are set, so that a condition on them is none on an unknown key.
const OPTIONAL: [&str; 3] = ["overfit", "precision", "probe_every"];

impl Conditions {
    /// Reads conditions that are separated by commas; a comma in brackets belongs to a value.
    ///
    /// # Errors
    /// If a part is not a condition.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        parts(text).into_iter().map(Condition::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a condition is about `key`.
    pub(super) fn name(&self, key: &str) -> bool {
        self.0.iter().any(|condition| condition.key == key)
    }

    /// For each of `runs`, whether all conditions hold for it. A key may be given without the tables it is in, such as `epochs`
    /// for `training.epochs`, if only one key ends with it. `KEY=-` holds for a run that does not have the key.
    ///
    /// # Errors
    /// If no run has a key, several keys end with it, or `<` or `>` meets something that is no number.
    pub(super) fn hold(&self, runs: &[&Settings]) -> Result<Vec<bool>, ConfigError> {
        let mut holds = vec![true; runs.len()];
        for condition in &self.0 {
            let key = condition.full_key(runs)?;
            for (holds, run) in holds.iter_mut().zip(runs) {
                *holds &= condition.is_met(&key, run.get(&key).map(String::as_str))?;
            }
        }
        Ok(holds)
    }
}

impl Condition {
    fn parse(part: &str) -> Result<Self, ConfigError> {
        let at = part.find(['!', '<', '>', '=']).unwrap_or(part.len());
        let (key, rest) = part.split_at(at);
        let found = OPERATORS.iter().find_map(|(sign, operator)| Some((operator, rest.strip_prefix(sign)?)));
        match found {
            Some((&operator, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), operator, value: value.trim().to_owned() })
            }
            _ => Err(ConfigError::new(format!(
                "`{part}`: expected a condition such as `label=mtcool`, `seed<3`, `status!=failed` or `training.epochs>=10`"
            ))),
        }
    }

    fn full_key(&self, runs: &[&Settings]) -> Result<String, ConfigError> {
        let mut keys: Vec<&str> = runs.iter().flat_map(|run| run.keys().map(String::as_str)).collect();
        keys.sort_unstable();
        keys.dedup();
        if runs.is_empty() || keys.contains(&self.key.as_str()) {
            return Ok(self.key.clone());
        }
        let ending = format!(".{}", self.key);
        let fitting: Vec<&str> = keys.iter().copied().filter(|key| key.ends_with(&ending)).collect();
        match fitting[..] {
            [key] => Ok(key.to_owned()),
            [] if OPTIONAL.contains(&self.key.as_str()) => Ok(self.key.clone()),
            [] => Err(ConfigError::unknown("key in a condition on runs", &self.key, &keys)),
            _ => Err(ConfigError::new(format!(
                "`{}` may be any of these keys: {}; give one of them",
                self.key,
                fitting.join(", ")
            ))),
        }
    }

    fn is_met(&self, key: &str, value: Option<&str>) -> Result<bool, ConfigError> {
        let number = |text: &str| text.parse::<f64>().ok();
        let Some(value) = value else {
            return Ok(match self.operator {
                Operator::Equal => self.value == NONE,
                Operator::NotEqual => self.value != NONE,
                _ => false,
            });
        };
        let numbers = number(value).zip(number(&self.value));
        let is_equal = || match numbers {
            _ if key == HASH => !self.value.is_empty() && value.starts_with(&self.value.to_lowercase()),
            Some((value, wanted)) => value == wanted,
            None => value.replace(' ', "") == self.value.replace(' ', ""),
        };
        let order = || match numbers {
            Some((value, wanted)) => Ok(value.total_cmp(&wanted)),
            None => Err(ConfigError::new(format!(
                "`{key}` is {value}: it cannot be compared with {} by `<` or `>`, which are for numbers; use `=` or `!=`",
                self.value
            ))),
        };
        Ok(match self.operator {
            Operator::Equal => is_equal(),
            Operator::NotEqual => !is_equal(),
            Operator::Less => order()?.is_lt(),
            Operator::LessOrEqual => order()?.is_le(),
            Operator::Greater => order()?.is_gt(),
            Operator::GreaterOrEqual => order()?.is_ge(),
        })
    }
}

/// The parts between the commas that are in no brackets and no quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted, mut first) = (0i32, false, 0);
    let mut parts = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth <= 0 && !is_quoted => {
                parts.push(&text[first..at]);
                first = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[first..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> Vec<Settings> {
        let run = |label: &str, seed: &str, further: &[(&str, &str)]| {
            let named = [("label", label), ("seed", seed), ("hash", "abcd"), ("training.epochs", "10")];
            named.iter().chain(further).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        vec![
            run("mtcool", "0", &[("settings.bound", "0.02"), ("network.widths", "[4,8]")]),
            run("mtcool", "3", &[("settings.bound", "0.01"), ("network.widths", "[8,8]")]),
            run("joint", "0", &[("status", "failed")]),
        ]
    }

    fn chosen(text: &str) -> Result<Vec<bool>, ConfigError> {
        let runs = runs();
        Conditions::parse(text)?.hold(&runs.iter().collect::<Vec<_>>())
    }

    #[test]
    fn runs_are_chosen_by_names_numbers_and_settings() {
        for (text, expected) in [
            ("", [true, true, true]),
            ("label=mtcool", [true, true, false]),
            ("label=mtcool,seed<3", [true, false, false]),
            (" seed >= 3 , ", [false, true, false]),
            ("seed<=0,label!=joint", [true, false, false]),
            ("seed>0", [false, true, false]),
            ("settings.bound=2e-2", [true, false, false]),
            ("bound=0.01", [false, true, false]),
            ("epochs=10.0", [true, true, true]),
            ("widths=[4, 8]", [true, false, false]),
            ("status=failed", [false, false, true]),
            ("status!=failed", [true, true, false]),
            ("hash=AB", [true, true, true]),
            ("hash=b", [false, false, false]),
            ("bound=-", [false, false, true]),
            ("bound!=-", [true, true, false]),
            ("bound!=0.02", [false, true, true]),
            ("label=-", [false, false, false]),
            ("overfit=-", [true, true, true]),
            ("overfit!=-", [false, false, false]),
            ("overfit=8", [false, false, false]),
        ] {
            assert_eq!(chosen(text).unwrap(), expected, "{text}");
        }
        assert!(Conditions::parse("anything=1").unwrap().hold(&[]).unwrap().is_empty());
        let conditions = Conditions::parse("label=joint,overfit=-").unwrap();
        assert!(conditions.name("overfit") && !conditions.name("seed"));
    }

    #[test]
    fn a_condition_that_cannot_be_read_says_what_is_expected() {
        let message = |text: &str| chosen(text).unwrap_err().to_string();
        assert!(message("mtcool").contains("`mtcool`: expected a condition such as `label=mtcool`"));
        assert!(message("=3").contains("expected a condition"));
        assert!(message("lable=joint").contains("did you mean `label`?"), "{}", message("lable=joint"));
        assert!(message("overfti=-").contains("unknown key"), "a mistake selects nothing");
        assert!(message("label<joint").contains("which are for numbers"));
        let mut several = runs();
        several[0].insert("origin.bound".into(), "1".into());
        let error = Conditions::parse("bound=1").unwrap().hold(&several.iter().collect::<Vec<_>>()).unwrap_err();
        assert!(error.to_string().contains("origin.bound, settings.bound"), "{error}");
    }
}
