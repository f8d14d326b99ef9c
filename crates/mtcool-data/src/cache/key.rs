//! What a cache entry is made of, as the name of its file.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Result, at};
use crate::files::hex;

/// A hash of what an entry is made of: file contents and settings, one after the other.
#[derive(Clone)]
pub struct CacheKey {
    kind: String,
    hash: Sha256,
}

impl CacheKey {
    /// A key of `kind`, a name for what makes the entry and in which version.
    pub fn new(kind: &str) -> Self {
        let mut key = Self { kind: kind.to_owned(), hash: Sha256::new() };
        key.add(b"kind", kind.as_bytes());
        key
    }

    /// The key with a setting on which the entry depends.
    pub fn setting(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.add(name.as_bytes(), value.to_string().as_bytes());
        self
    }

    /// The key with the content of `file`; the file's name does not matter.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(mut self, role: &str, file: &Path) -> Result<Self> {
        self.add(role.as_bytes(), &std::fs::read(file).map_err(at(file))?);
        Ok(self)
    }

    /// Each part is preceded by its length, so that different sequences of parts never give the same bytes.
    fn add(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, value] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }

    /// The name of the entry's file: the kind and a SHA-256 of everything else.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}.cache", self.kind.replace(' ', "-"), hex(self.hash.clone().finalize().as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_contents_and_settings_but_not_names_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (a, same, other) = (write("a", "content"), write("b", "content"), write("c", "Content"));
        let key = |file: &Path| CacheKey::new("test").file("image", file).unwrap().name();
        assert_eq!(key(&a), key(&same));
        assert_ne!(key(&a), key(&other));
        let parts = |parts: &[(&str, &str)]| {
            parts.iter().fold(CacheKey::new("test"), |key, (name, value)| key.setting(name, value)).name()
        };
        assert_ne!(parts(&[("a", "b"), ("c", "d")]), parts(&[("a", "bc"), ("", "d")]));
        assert_ne!(parts(&[("a", "b"), ("c", "d")]), parts(&[("c", "d"), ("a", "b")]));
        assert!(CacheKey::new("test").file("image", &folder.path().join("none")).is_err());
    }
}
