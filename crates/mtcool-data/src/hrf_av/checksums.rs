//! SHA-256 of the published files, under their official paths.

use std::path::{Path, PathBuf};

/// One line `hash  path` per file: 45 photographs, their fields of view, their artery/vein labels.
const TABLE: &str = include_str!("SHA256SUMS");

/// Path and hash of every published file except those of `manual1`.
pub(super) fn all() -> impl Iterator<Item = (PathBuf, &'static str)> {
    TABLE.lines().filter_map(|line| line.split_once("  ")).map(|(hash, path)| (PathBuf::from(path), hash))
}

/// The hash of the published file at `path`.
pub(super) fn of(path: &Path) -> Option<&'static str> {
    all().find(|(other, _)| other == path).map(|(_, hash)| hash)
}

#[cfg(test)]
mod tests {
    use super::super::names::{Role, SetShape};
    use super::*;

    #[test]
    fn the_table_has_every_file_of_the_official_layout_but_manual1() {
        assert_eq!(all().count(), 3 * 45);
        assert!(all().all(|(_, hash)| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())));
        for id in SetShape::OFFICIAL.photographs() {
            for role in [Role::Image, Role::Field, Role::Labels] {
                assert!(of(&role.path(id)).is_some(), "{:?}", role.path(id));
            }
        }
    }
}
