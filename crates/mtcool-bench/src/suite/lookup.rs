//! Looks up an entry by its name.

use super::error::ConfigError;
use super::name::Name;

/// The entry called `wanted`.
///
/// # Errors
/// If there is no such entry; the message suggests the most similar name.
pub(super) fn find<'a, E>(
    entries: &'a [E],
    what: &str,
    wanted: &str,
    name: fn(&E) -> &Name,
) -> Result<&'a E, ConfigError> {
    let unknown = || {
        let names: Vec<&str> = entries.iter().map(|entry| &**name(entry)).collect();
        ConfigError::unknown(what, wanted, &names)
    };
    entries.iter().find(|entry| *name(entry) == wanted).ok_or_else(unknown)
}
