//! Folders of files: their size, copies of them, and archives in pieces.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::commands::say;

/// The size of a piece of a data set's archive. Some machines take only files of limited size.
const PIECE: usize = 15 << 20;

fn at(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// Copies the files of a folder and of its folders, those whose names `is_wanted`. Links are followed.
pub(super) fn copy(from: &Path, to: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Result<(), String> {
    std::fs::create_dir_all(to).map_err(at(to))?;
    for entry in std::fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let is_hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        if path.is_dir() && !is_hidden {
            copy(&path, &target, is_wanted)?;
        } else if path.is_file() && is_wanted(&entry.file_name().to_string_lossy()) {
            // Not `std::fs::copy`, which also copies that a file must not be written.
            let bytes = std::fs::read(&path).map_err(at(&path))?;
            std::fs::write(&target, bytes).map_err(at(&target))?;
        }
    }
    Ok(())
}

/// Bytes of all files below a folder.
pub(super) fn size_of(folder: &Path) -> Result<u64, String> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        bytes += if path.is_dir() { size_of(&path)? } else { path.metadata().map_err(at(&path))?.len() };
    }
    Ok(bytes)
}

pub(super) fn in_mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// The path of `out` with another ending behind its name.
pub(super) fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    out.with_file_name(name)
}

/// Packs OUT/data/SET into OUT.SET.tar.gz.00, OUT.SET.tar.gz.01 and so on.
pub(super) fn in_pieces(out: &Path, set: &str) -> Result<(), String> {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "-czf", "-", "-C"]).arg(out).arg(format!("data/{set}"));
    let mut child =
        tar.stdout(Stdio::piped()).spawn().map_err(|error| format!("`tar` could not be started: {error}"))?;
    let mut stream = child.stdout.take().ok_or("`tar` has no output")?;
    for number in 0.. {
        let mut piece = Vec::new();
        stream.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(|error| format!("tar: {error}"))?;
        let path = beside(out, &format!("{set}.tar.gz.{number:02}"));
        if piece.is_empty() {
            // A piece of an earlier pack that was larger.
            let _ = std::fs::remove_file(path);
            break;
        }
        File::create(&path).and_then(|mut file| file.write_all(&piece)).map_err(at(&path))?;
        say(&format!("{}: {}", path.display(), in_mib(piece.len() as u64)));
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`tar` failed: {status}")),
        Err(error) => Err(format!("tar: {error}")),
    }
}
