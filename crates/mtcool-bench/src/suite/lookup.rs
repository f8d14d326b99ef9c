//! Looks up an entry by its name.

use super::error::{ConfigError, plain};
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

/// The name among `names` that `given` means: the name itself, or else the only one that differs from it in upper and lower case,
/// hyphens, underscores and spaces alone. `None` if there is no such name.
pub fn name_meant<'a>(names: impl Iterator<Item = &'a str> + Clone, given: &str) -> Option<&'a str> {
    let similar = |name: &&str| plain(name) == plain(given);
    let mut all = names.clone().filter(similar);
    names.clone().find(|name| *name == given).or_else(|| all.next().filter(|_| all.next().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_hyphens_do_not_matter() {
        let names = ["mtcool", "nash_mtl", "hrf-av", "a_b", "a-b"];
        let meant = |given: &str| name_meant(names.into_iter(), given);
        for (given, name) in
            [("MTCOOL", "mtcool"), ("MT-COOL", "mtcool"), ("Nash-MTL", "nash_mtl"), ("HRF_AV", "hrf-av")]
        {
            assert_eq!(meant(given), Some(name));
        }
        assert_eq!((meant("a-b"), meant("a_b"), meant("AB")), (Some("a-b"), Some("a_b"), None));
        assert_eq!((meant("mtcol"), meant("")), (None, None));
    }
}
