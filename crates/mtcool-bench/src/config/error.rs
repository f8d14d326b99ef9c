//! Errors of configuration: the key, where it stands, what was expected.

use std::fmt;

use figment::error::Kind;

/// What is wrong with a configuration, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
}

impl ConfigError {
    /// With this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// `key`'s `value` is none of `valid`; names the nearest.
    pub fn unknown(what: &str, value: &str, valid: &[&str]) -> Self {
        let hint = nearest(value, valid).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Self::new(format!("unknown {what} `{value}`{hint} Valid: {}", valid.join(", ")))
    }

    /// Puts `context` before the message.
    pub fn within(self, context: impl fmt::Display) -> Self {
        Self::new(format!("{context}: {}", self.message))
    }

    /// From figment's errors, with keys below `prefix`.
    pub(super) fn from_figment(error: figment::Error, prefix: &str) -> Self {
        let lines: Vec<String> = error.into_iter().map(|error| explain(&error, prefix)).collect();
        Self::new(lines.join("\n"))
    }
}

fn explain(error: &figment::Error, prefix: &str) -> String {
    let place = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => format!(" in {source}"),
        None => format!(" in {}", metadata.name),
    });
    let place = place.unwrap_or_default();
    let mut path: Vec<&str> = prefix.split('.').filter(|part| !part.is_empty()).collect();
    path.extend(error.path.iter().map(String::as_str));
    match &error.kind {
        Kind::UnknownField(key, valid) => {
            // figment's path ends with the unknown key for some formats and before it for others.
            if path.last() != Some(&key.as_str()) {
                path.push(key);
            }
            ConfigError::unknown("key", &path.join("."), &[]).message.replace(" Valid: ", "")
                + &nearest(key, valid).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
                + &format!("{place} (valid here: {})", valid.join(", "))
        }
        Kind::MissingField(key) => {
            path.push(key);
            format!("missing key `{}`{place}", path.join("."))
        }
        kind => format!("`{}`{place}: {kind}", path.join(".")),
    }
}

/// The candidate with the fewest edits, unless it is another word altogether.
fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let near = candidates.iter().copied().min_by_key(|candidate| distance(candidate))?;
    (distance(near) <= near.len().max(word.len()) / 2).then_some(near)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
