//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::error::{Result, at};

/// Writes `bytes` under a temporary name first, so that nobody ever sees half a file. Makes the folder if it is missing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole_with(path, |file| file.write_all(bytes).map_err(at(path)))
}

/// As [`write_whole`], for contents that are made while they are written.
pub(crate) fn write_whole_with(
    path: &Path,
    write: impl FnOnce(&mut std::io::BufWriter<&mut std::fs::File>) -> Result<()>,
) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(at(folder))?;
    let mut buffered = std::io::BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush().map_err(at(path))?;
    drop(buffered);
    file.as_file().sync_all().map_err(at(path))?;
    file.persist(path).map_err(|error| at(path)(error.error))?;
    Ok(())
}
