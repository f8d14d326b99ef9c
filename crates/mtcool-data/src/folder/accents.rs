//! Names that look the same but are different characters: `ä` is one character, or an `a` with a separate accent, as macOS and some
//! archives write it in the names of files. A table that was written elsewhere then names files that seem to exist and do not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::pattern::Listings;

/// The files that `wanted` ones, which do not exist, look like: each with the index of the wanted one. An extension `*` stands for any.
pub(super) fn lookalikes<'a>(wanted: impl Iterator<Item = &'a Path>, listings: &mut Listings) -> Vec<(usize, PathBuf)> {
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, file) in wanted.enumerate() {
        let Some(folder) = file.parent() else { continue };
        // The names are compared without their extensions, and these by themselves.
        let plain = folders.entry(folder.to_owned()).or_insert_with(|| {
            listings.of(folder).iter().map(|file| (without_accents(&stem(file)), file.clone())).collect()
        });
        let name = stem(file);
        let Some(other) = plain.get(&without_accents(&name)) else { continue };
        let extensions = [file, other].map(|file| file.extension().unwrap_or_default());
        let is_extension = extensions[0] == "*" || extensions[0] == extensions[1];
        if is_extension && has_accents(&name) != has_accents(&stem(other)) {
            found.push((index, other.clone()));
        }
    }
    found
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether an accent of the name is a character of its own.
fn has_accents(name: &str) -> bool {
    name.chars().any(is_accent)
}

/// The name with one sign for each letter that has an accent, or that is not ASCII.
fn without_accents(name: &str) -> String {
    let mut plain = String::new();
    for letter in name.chars() {
        if is_accent(letter) {
            plain.pop();
        }
        plain.push(if letter.is_ascii() { letter } else { '\u{fffd}' });
    }
    plain
}

/// Accents that are characters of their own: Latin, Greek and Cyrillic ones, and the voicing marks of kana.
fn is_accent(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}')
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
        assert!(!alike("ö.png", "ä.png"), "both without separate accents");
    }
}
