//! A table of settings, passed from the configuration to the part of the program that knows its keys.

use std::ops::RangeInclusive;

use figment::Figment;
use figment::error::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A table of the configuration. Each value remembers its source, so that error messages can name it.
#[derive(Clone, Debug, Default)]
pub struct Settings(Figment);

/// An error about a key that is unknown, missing or of the wrong type. The program adds the name of the table and the place
/// of the key.
#[derive(Debug)]
pub struct SettingsError(pub(crate) Box<figment::Error>);

impl Settings {
    /// The settings in `figment`.
    pub(crate) fn new(figment: Figment) -> Self {
        Self(figment)
    }

    /// Reads the settings as an `S`; missing fields get the defaults of its `serde` attributes.
    ///
    /// # Errors
    /// If a key is unknown, missing or of the wrong type.
    pub fn read<S: DeserializeOwned>(&self) -> Result<S, SettingsError> {
        self.0.extract().map_err(|error| SettingsError(Box::new(error)))
    }

    /// Reads the settings as an `S` and returns all of them with defaults filled in; for the field `settings` of a data set's
    /// entry.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn checked<S: DeserializeOwned + Serialize>(&self) -> Result<Value, SettingsError> {
        self.checked_by(|_: &S| Ok(()))
    }

    /// As [`Settings::checked`], with ranges that `check` knows.
    ///
    /// # Errors
    /// As [`Settings::read`], or the error of `check`.
    pub fn checked_by<S: DeserializeOwned + Serialize>(
        &self,
        check: impl FnOnce(&S) -> Result<(), SettingsError>,
    ) -> Result<Value, SettingsError> {
        let settings = self.read::<S>()?;
        check(&settings)?;
        serde_json::to_value(settings).map_err(|error| SettingsError::new("", error.to_string()))
    }

    /// Checks that the table is empty, for data sets without settings, and returns `null`.
    ///
    /// # Errors
    /// If the table has a key.
    pub fn none(&self) -> Result<Value, SettingsError> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct NoSettings {}
        self.read::<NoSettings>().map(|NoSettings {}| Value::Null)
    }

    /// The table at `key` within this table; an empty table if there is none.
    pub fn table(&self, key: &str) -> Self {
        Self(self.0.focus(key))
    }

    /// The same table with `value` at `key`, unless `key` has a value already.
    pub fn or(&self, key: &str, value: impl Serialize) -> Self {
        Self(self.0.clone().join((key, value)))
    }
}

impl SettingsError {
    /// An error with `message` about the setting `key`.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        let error = figment::Error::from(message.into());
        Self(Box::new(if key.is_empty() { error } else { error.with_path(key) }))
    }

    /// Checks that the setting `key` is one of `range`.
    ///
    /// # Errors
    /// An error about `key` with the range.
    pub fn in_range(range: RangeInclusive<usize>, key: &str, value: usize) -> Result<(), Self> {
        if range.contains(&value) {
            return Ok(());
        }
        Err(Self::new(key, format!("expected {} to {}, got {value}", range.start(), range.end())))
    }

    /// The key that the error is about, if there is one.
    pub(crate) fn key(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::UnknownField(key, _) => Some(key),
            _ => self.0.path.first().map(String::as_str),
        }
    }

    /// The key that is unknown, if that is the error.
    pub(crate) fn unknown_key(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::UnknownField(key, _) => Some(key),
            _ => None,
        }
    }

    /// The same error for a key that is inside the table `table`.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        self.0.path.insert(0, table.into());
        self
    }
}
