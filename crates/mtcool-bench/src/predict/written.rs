//! The folder of predictions. The program remembers which files it wrote, with their content, and overwrites no other file: a mask
//! that was corrected by hand stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::record::{create_folder, read, write_whole};

/// The list of the files that the program wrote into the folder.
const LIST: &str = ".mtcool-predictions.json";

/// SHA-256 of `bytes`, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder of predictions.
pub(super) struct Written {
    folder: PathBuf,
    /// SHA-256 of the files that the program wrote, by name.
    files: BTreeMap<String, String>,
}

impl Written {
    /// Creates `folder` if it is not there, and reads the list of the files in it.
    ///
    /// # Errors
    /// If the folder cannot be created, or the list is damaged.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        create_folder(folder).map_err(|error| error.for_flag("--out"))?;
        let list = folder.join(LIST);
        let files = if list.exists() {
            serde_json::from_slice(&read(&list)?).with_context(|| {
                format!("`{}` is damaged: delete it, or choose another folder with `--out`", list.display())
            })?
        } else {
            BTreeMap::new()
        };
        Ok(Self { folder: folder.to_owned(), files })
    }

    /// Writes the file `name` and returns its path.
    ///
    /// # Errors
    /// If a file of this name is there that the program did not write, or that was changed since; if it cannot be written.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let (path, digest) = (self.folder.join(name), sha256(bytes));
        if path.exists() {
            let found = sha256(&read(&path)?);
            if found != digest && self.files.get(name) != Some(&found) {
                bail!(
                    "`{}` is there already, and this program did not write it or it was changed since; it is kept: move it, or \
                     choose another folder with `--out`",
                    path.display()
                );
            }
        }
        write_whole(&path, bytes).map_err(|error| error.for_flag("--out"))?;
        if self.files.insert(name.to_owned(), digest.clone()) != Some(digest) {
            let list = serde_json::to_vec_pretty(&self.files)?;
            write_whole(&self.folder.join(LIST), &list).map_err(|error| error.for_flag("--out"))?;
        }
        Ok(path)
    }

    /// The paths of the listed files whose names end with `end`, sorted; files that were removed are left out.
    pub(super) fn ending(&self, end: &str) -> Vec<PathBuf> {
        let names = self.files.keys().filter(|name| name.ends_with(end));
        names.map(|name| self.folder.join(name)).filter(|path| path.is_file()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut written = Written::open(&out).unwrap();
        let mask = written.write("a-mask.png", b"one").unwrap();
        // Its own file may be written again, by a later process as well.
        written.write("a-mask.png", b"two").unwrap();
        let mut later = Written::open(&out).unwrap();
        later.write("a-mask.png", b"three").unwrap();
        assert_eq!(later.ending(".png"), std::slice::from_ref(&mask));

        std::fs::write(&mask, b"by hand").unwrap();
        std::fs::write(out.join("b.json"), b"of another program").unwrap();
        for (name, path) in [("a-mask.png", "a-mask.png"), ("b.json", "b.json")] {
            let message = later.write(name, b"four").unwrap_err().to_string();
            assert!(message.contains(path) && message.contains("`--out`"), "{message}");
        }
        assert_eq!(std::fs::read(&mask).unwrap(), b"by hand");
        // The same content does not overwrite anything.
        later.write("b.json", b"of another program").unwrap();
        later.write("b.json", b"five").unwrap();

        std::fs::write(out.join(LIST), b"{").unwrap();
        assert!(Written::open(&out).err().unwrap().to_string().contains("is damaged"));
    }
}
