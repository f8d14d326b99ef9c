//! Names that look the same but are different characters: `ä` is one character, or an `a` with a separate accent, as macOS and some
//! archives write it in the names of files. A table that was written elsewhere then names files that seem to exist and do not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use icu_normalizer::ComposingNormalizerBorrowed;

use super::pattern::Listings;

/// The files that `wanted` ones, which do not exist, look like: each with the index of the wanted one. An extension `*` stands for any.
pub(super) fn lookalikes<'a>(wanted: impl Iterator<Item = &'a Path>, listings: &mut Listings) -> Vec<(usize, PathBuf)> {
    // The names without extensions, composed, which are alike for the same letters.
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, Vec<PathBuf>>> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, file) in wanted.enumerate() {
        let Some(folder) = file.parent() else { continue };
        let composed = folders.entry(folder.to_owned()).or_insert_with(|| {
            let mut composed: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
            for file in listings.of(folder) {
                composed.entry(composed_stem(file)).or_default().push(file.clone());
            }
            composed
        });
        let is_wanted = |other: &&PathBuf| {
            let is_any = file.extension().is_some_and(|extension| extension == "*");
            (is_any || file.extension() == other.extension()) && file.file_stem() != other.file_stem()
        };
        let alike = composed.get(&composed_stem(file)).and_then(|others| others.iter().find(is_wanted));
        found.extend(alike.map(|other| (index, other.clone())));
    }
    found
}

/// The file's name without its extension in Unicode's normal form C, in which a letter and its accent are one character.
fn composed_stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    ComposingNormalizerBorrowed::new_nfc().normalize(&stem).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_whose_accents_are_separate_characters() {
        let folder = tempfile::tempdir().unwrap();
        let alike = |wanted: &str, there: &str| {
            std::fs::write(folder.path().join(there), "").unwrap();
            let wanted = folder.path().join(wanted);
            let found = lookalikes(std::iter::once(wanted.as_path()), &mut Listings::default());
            std::fs::remove_file(folder.path().join(there)).unwrap();
            found == [(0, folder.path().join(there))]
        };
        for (a, b) in [("größe 1", "gro\u{308}ße 1"), ("Zelle ä", "Zelle a\u{308}"), ("ế", "e\u{302}\u{301}")] {
            let [a_png, b_png] = [a, b].map(|name| format!("{name}.png"));
            assert!(alike(&a_png, &b_png) && alike(&b_png, &a_png), "{a}");
            assert!(alike(&format!("{a}.*"), &b_png), "{a}");
            assert!(!alike(&format!("{a}.jpg"), &b_png), "{a}: another extension");
        }
        assert!(!alike("Zelle ä 1.png", "Zelle a\u{308} 2.png"));
        assert!(!alike("ab.png", "a\u{308}.png"), "another letter");
        assert!(!alike("Zelle ö.png", "Zelle a\u{308}.png"), "the accent of another letter");
        assert!(!alike("ö.png", "ä.png"), "both without separate accents");
    }
}
