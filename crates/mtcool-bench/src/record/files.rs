//! Files that are written completely or not at all, and storage errors that name a remedy.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The results folder cannot be written or read. Every other run would fail as well, so a sweep stops at this error.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{path}`: {source}; {remedy}", path = path.display(), remedy = remedy.replace(RESULTS, flag))]
pub struct StorageError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
    remedy: &'static str,
    /// The flag that names another folder.
    flag: &'static str,
}

/// The flag in the remedies: the one of most commands.
const RESULTS: &str = "--results";

impl StorageError {
    pub(super) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::NotFound if action == "read" => "it is missing: restore it from a copy",
            io::ErrorKind::PermissionDenied if action == "read" => "change its permissions",
            _ if action == "read" => "repair it, or restore it from a copy",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "there is no room left. What was computed up to the last checkpoint is kept: free some space and start the \
                 same command again; it continues from there"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "the folder is read-only: choose another with `--results DIR`, or change its permissions"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "something that is not a folder is in the way: choose another place with `--results DIR`"
            }
            _ => "choose another place with `--results DIR`, or repair this one and start again: finished work is kept",
        };
        Self { action, path: path.to_owned(), source, remedy, flag: RESULTS }
    }

    /// The same error for a command whose flag for its folder is `flag` instead of `--results`.
    pub fn for_flag(self, flag: &'static str) -> Self {
        Self { flag, ..self }
    }

    /// The error for a `path` that could not be opened.
    pub fn open(path: &Path, source: io::Error) -> Self {
        Self::new("open", path, source)
    }
}

/// Creates a folder and its parent folders.
///
/// # Errors
/// If it cannot be created.
pub fn create_folder(path: &Path) -> Result<(), StorageError> {
    std::fs::create_dir_all(path).map_err(|error| StorageError::new("create", path, error))
}

/// Writes a file under a temporary name in the same folder, syncs it, and renames it: a reader sees either the old or the new
/// file.
///
/// # Errors
/// If the file cannot be written; the old file is then still there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let failed = |error| StorageError::new("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary_in(folder).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder)
}

/// A temporary file in `folder`. As for any new file, the process's umask decides who may read it.
pub(super) fn temporary_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmp-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Syncs a folder, so that the names of its files survive a crash.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StorageError::new("sync", folder, error))
}

/// Reads a whole file.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, StorageError> {
    std::fs::read(path).map_err(|error| StorageError::new("read", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_is_in_the_way_is_named_with_a_remedy() {
        let message = |kind: io::ErrorKind| StorageError::new("write", Path::new("r/x"), kind.into()).to_string();
        assert!(message(io::ErrorKind::StorageFull).contains("no room left"));
        assert!(message(io::ErrorKind::StorageFull).contains("`r/x`"));
        assert!(message(io::ErrorKind::ReadOnlyFilesystem).contains("--results DIR"));
        let error = StorageError::new("write", Path::new("r/x"), io::ErrorKind::ReadOnlyFilesystem.into());
        let message_of_predict = error.for_flag("--out").to_string();
        assert!(message_of_predict.contains("--out DIR") && !message_of_predict.contains("--results"));
        let reading = StorageError::new("read", Path::new("r/x"), io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(reading.ends_with("change its permissions"), "{reading}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write_whole(&file, b"old").unwrap();
        let message = create_folder(&file.join("results")).unwrap_err().to_string();
        assert!(message.contains("not a folder is in the way") && message.contains("file/results"), "{message}");
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
    }
}
