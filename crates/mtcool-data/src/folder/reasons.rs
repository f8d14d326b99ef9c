//! The reasons of the settings of a suggested configuration.

/// Why a setting is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggested {
    /// The setting: a key such as `size`, or `tasks.NAME`; empty for what concerns all.
    pub key: String,
    /// The reason, as one sentence.
    pub reason: String,
}

/// The reasons of a suggestion so far.
#[derive(Default)]
pub(super) struct Reasons(pub(super) Vec<Suggested>);

impl Reasons {
    pub(super) fn add(&mut self, key: &str, reason: String) {
        self.0.push(Suggested { key: key.to_owned(), reason });
    }
}
