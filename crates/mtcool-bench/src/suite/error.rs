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
        Self::from_settings_among(error, prefix, &[])
    }

    /// As [`ConfigError::from_settings`]. An unknown key may be meant as one of `known`, the keys of the whole configuration such as
    /// `training.epochs`.
    pub(crate) fn from_settings_among(error: SettingsError, prefix: &str, known: &[String]) -> Self {
        let lines: Vec<String> = error.0.into_iter().map(|error| explain(&error, prefix, known)).collect();
        Self::new(lines.join("\n"))
    }
}

fn explain(error: &figment::Error, prefix: &str, known: &[String]) -> String {
    let place = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => format!(" in {source}"),
        None => format!(" in {}", metadata.name),
    });
    let place = place.unwrap_or_default();
    let mut path: Vec<&str> = prefix.split('.').filter(|part| !part.is_empty()).collect();
    path.extend(error.path.iter().map(String::as_str));
    let named = |path: &[&str]| if path.is_empty() { "the table".to_owned() } else { format!("`{}`", path.join(".")) };
    match &error.kind {
        Kind::UnknownField(key, valid) => {
            // For some formats figment's path includes the unknown key, for others it does not.
            if path.last() != Some(&key.as_str()) {
                path.push(key);
            }
            let hint = meant(&path, valid, known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            format!("unknown key {}{place}{hint} (valid here: {})", named(&path), valid.join(", "))
        }
        Kind::UnknownVariant(value, valid) => {
            let hint = nearest(value, valid).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("{}{place} is `{value}`: expected {}{hint}", named(&path), one_of(valid))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("{}{place}: expected {}, found {found}", named(&path), in_words(expected))
        }
        Kind::InvalidLength(found, expected) => {
            format!("{}{place}: expected {}, found a list of length {found}", named(&path), in_words(expected))
        }
        Kind::MissingField(key) => {
            path.push(key);
            format!("missing key {}{place}", named(&path))
        }
        kind => format!("{}{place}: {kind}", named(&path)),
    }
}

/// The keys that may be meant by the unknown key at `path`: those of the same name anywhere in the configuration, or else the most
/// similar key of the same table, or else the most similar one of the configuration. The keys of other methods are not meant.
fn meant(path: &[&str], valid: &[&str], known: &[String]) -> Option<String> {
    /// The number of keys that a message suggests.
    const SUGGESTED: usize = 3;
    let key = path.last()?;
    let this = path.join(".");
    let known = || {
        known.iter().filter(|other| plain(other) != plain(&this) && (path.first() != Some(&"method") || path.len() < 3))
    };
    let name_of = |key: &'_ String| key.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    let is_same = |other: &str| plain(other) == plain(key);
    if valid.iter().all(|valid| !is_same(valid)) {
        let same: Vec<String> =
            known().filter(|other| is_same(&name_of(other))).map(|key| format!("`{key}`")).collect();
        if !same.is_empty() {
            let more = if same.len() > SUGGESTED { " or the like" } else { "" };
            return Some(same.into_iter().take(SUGGESTED).collect::<Vec<_>>().join(" or ") + more);
        }
    }
    if let Some(near) = nearest(key, valid) {
        return Some(format!("`{near}`"));
    }
    let names: Vec<String> = known().map(name_of).collect();
    let near = nearest(key, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    known().find(|key| name_of(key) == near).map(|key| format!("`{key}`"))
}

/// A name as it is compared with others: upper and lower case, `-` and `_` are the same.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `a`, `b` or `c`.
fn one_of(valid: &[&str]) -> String {
    let quoted: Vec<String> = valid.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// What serde expects, in words for people who do not program in Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a map" => "a table",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The candidate with the smallest edit distance to `word`, unless they differ in more than half of their characters.
fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&plain(word), &plain(candidate));
    let near = candidates.iter().copied().min_by_key(|candidate| distance(candidate))?;
    (distance(near) <= near.len().max(word.len()) / 2).then_some(near)
}

/// An error and its causes as one message. A cause that the message tells already is left out, and so are backtraces, which some
/// libraries append to their messages: the mistake is in the input, not in the program.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let text = text.lines().filter(|line| !is_frame(line)).collect::<Vec<_>>().join("\n");
        let text = text.trim_end();
        if !text.is_empty() && !message.contains(text) {
            if !message.is_empty() {
                message += ": ";
            }
            message += text;
        }
    }
    message
}

/// Whether `line` belongs to a backtrace: `   3: name` or `             at file:1:2`.
fn is_frame(line: &str) -> bool {
    let content = line.trim_start();
    let indent = line.len() - content.len();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = indent >= 2 && content.split_once(": ").is_some_and(|(number, _)| is_number(number));
    is_name || indent >= 8 && content.starts_with("at ")
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_message_tells_each_cause_once_and_no_backtrace() {
        let cause = anyhow::anyhow!(
            "no such file\n   0: candle_core::error::Error::bt\n             at /src/error.rs:1:2\n  12: main"
        );
        let error = cause.context("cannot read `a`: no such file").context("`b` is no run");
        assert_eq!(one_line(&error), "`b` is no run: cannot read `a`: no such file");
        let lines = anyhow::anyhow!("2 of 3 failed:\na: x\n   0: frame\nb: y");
        assert_eq!(one_line(&lines), "2 of 3 failed:\na: x\nb: y");
        let inner = Err::<(), _>(anyhow::anyhow!("inner")).context("outer").unwrap_err();
        assert_eq!(one_line(&inner), "outer: inner");
    }

    #[test]
    fn the_key_that_was_meant_is_found_anywhere() {
        let known: Vec<String> = [
            "training.epochs",
            "method.joint.learning_rate",
            "method.mgda.learning_rate",
            "network.widths",
            "data.settings.side",
            "epochs",
        ]
        .map(str::to_owned)
        .into();
        let of = |path: &[&str], valid: &[&str]| meant(path, valid, &known);
        let top = ["title", "seeds", "training", "network"];
        assert_eq!(of(&["epochs"], &top).unwrap(), "`training.epochs`");
        assert_eq!(of(&["Epochs"], &top).unwrap(), "`training.epochs`");
        assert_eq!(of(&["seed"], &top).unwrap(), "`seeds`");
        assert_eq!(
            of(&["learning-rate"], &top).unwrap(),
            "`method.joint.learning_rate` or `method.mgda.learning_rate`"
        );
        assert_eq!(of(&["width"], &top).unwrap(), "`network.widths`");
        assert_eq!(of(&["network", "side"], &["kind", "widths"]).unwrap(), "`data.settings.side`");
        // Another method's key is not the meaning of a key that this method does not have.
        assert_eq!(of(&["method", "mtcool", "learning_rate"], &["alpha", "beta"]), None);
        assert_eq!(of(&["qqqqqqqqqqqqqqq"], &top), None);
    }

    #[test]
    fn valid_names_are_quoted_one_by_one() {
        assert_eq!(one_of(&["sgd"]), "`sgd`");
        assert_eq!(one_of(&["sgd", "adamw"]), "`sgd` or `adamw`");
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(&[]), "");
    }
}
