//! Configuration errors: they name the key, its place, and the expected value.

use std::fmt;

use figment::error::Kind;

use super::settings::SettingsError;

/// An error in a configuration, with a message for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
}

impl ConfigError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// An error that says that `value` is not a valid `what`. The message lists `valid` and suggests the most similar name.
    pub fn unknown(what: &str, value: &str, valid: &[&str]) -> Self {
        let hint = nearest(value, valid).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Self::new(format!("unknown {what} `{value}`{hint} (valid: {})", valid.join(", ")))
    }

    /// The same error with `context` in front of the message.
    pub fn within(self, context: impl fmt::Display) -> Self {
        Self::new(format!("{context}: {}", self.message))
    }

    /// The error for `error`, which occurred in the table at `prefix`.
    pub(crate) fn from_settings(error: SettingsError, prefix: &str) -> Self {
        let lines: Vec<String> = error.0.into_iter().map(|error| explain(&error, prefix)).collect();
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
            // For some formats figment's path includes the unknown key, for others it does not.
            if path.last() != Some(&key.as_str()) {
                path.push(key);
            }
            ConfigError::unknown("key", &path.join("."), &[]).message.replace(" (valid: )", "")
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

/// The candidate with the smallest edit distance to `word`, unless they differ in more than half of their characters.
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
