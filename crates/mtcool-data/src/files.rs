//! Files that appear whole or not at all, and their checksums.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Result, at};

/// Writes `bytes` to a temporary file and renames it, so that a file is never seen half written. Makes the folder if it is
/// missing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole_with(path, |file| file.write_all(bytes).map_err(at(path)))
}

/// As [`write_whole`], for content that `write` makes piece by piece.
pub(crate) fn write_whole_with(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<()>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let mut file = temporary_in(folder).map_err(at(folder))?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush().map_err(at(path))?;
    drop(buffered);
    file.as_file().sync_all().map_err(at(path))?;
    file.persist(path).map_err(|error| at(path)(error.error))?;
    Ok(())
}

/// A temporary file that may be read and written by everybody whom the process's umask does not exclude, as any other new file.
fn temporary_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Whether the name of a file is one that programs give to their own files for a short time or for themselves: hidden files,
/// `~$labels.xlsx` of an open workbook, `.~lock.labels.ods#`, unfinished downloads. Such files are no data.
pub(crate) fn is_transient(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ends = ["~", "#", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp", ".lock", ".bak"];
    lower.starts_with(['.', '~', '#']) || ends.iter().any(|end| lower.ends_with(end))
}

/// SHA-256 of `bytes`, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

/// SHA-256 of a file's content.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok(hex(hash.finalize().as_slice())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// The bytes as text, two hexadecimal digits per byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_programs_are_told_from_data() {
        for name in
            ["~$labels.xlsx", ".~lock.labels.ods#", "._g0001.jpg", ".DS_Store", "a.jpg.part", "a.xlsx~", "A.TMP"]
        {
            assert!(is_transient(name), "{name}");
        }
        for name in ["labels.xlsx", "g0001.jpg", "a~b.png", "part.csv", "01_dr.JPG"] {
            assert!(!is_transient(name), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let [plain, whole] = ["plain", "whole"].map(|name| folder.path().join(name));
        std::fs::write(&plain, b"").unwrap();
        write_whole(&whole, b"").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&whole), mode(&plain), "{:o} and {:o}", mode(&whole), mode(&plain));
    }
}
