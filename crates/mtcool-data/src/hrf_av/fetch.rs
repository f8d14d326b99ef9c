//! Downloads the files: photographs from the official archive, artery/vein labels from their authors' repository.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checksums;
use super::manifest::origin;
use super::names::{Role, SetShape};
use crate::download::{Patience, Watch, download};
use crate::error::{Error, Result, at};
use crate::files::{sha256, sha256_of, write_whole};
use crate::origin::Origin;

/// Photographs, fields of view and experts' vessels (73 MB, CC BY 4.0).
const ARCHIVE: &str = "https://www5.cs.fau.de/fileadmin/research/datasets/fundus-images/all.zip";
/// The folder of artery/vein labels in their authors' repository (8 MB).
const LABELS: &str = "https://raw.githubusercontent.com/rubenhx/av-segmentation/master/HRF_AV_GT";
/// The folder of unfinished downloads, within the set's folder.
const UNFINISHED: &str = ".unfinished";

/// Where to fetch from, and which content the files must have.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// A ZIP archive with the folders `images`, `mask` and `manual1`.
    pub archive: String,
    /// The address of the folder of the label files.
    pub labels: String,
    /// Official path and SHA-256 of every required file. Files of `manual1` are taken from the archive without a check.
    pub checksums: BTreeMap<PathBuf, String>,
    /// The number of attempts in a row without any new byte after which a download fails.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles before each further one.
    pub pause: Duration,
}

/// The published set.
impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            archive: ARCHIVE.into(),
            labels: LABELS.into(),
            checksums: checksums::all().map(|(path, hash)| (path, hash.to_owned())).collect(),
            attempts: 5,
            pause: Duration::from_secs(2),
        }
    }
}

/// What [`fetch`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The number of files that were there already, with the right checksum.
    pub kept: usize,
    /// The number of files that were downloaded.
    pub brought: usize,
}

/// Makes sure that `folder` holds every file of `config`: checks those that are there and downloads the others. An interrupted
/// download continues where it ended when this is called again.
///
/// # Errors
/// [`Error::Corrupt`] if a file is there but has another content (it is left as it is), or if a downloaded file has the wrong
/// content; [`Error::Fetch`] if a server does not deliver, with its reason; [`Error::Io`] if the folder cannot be written.
pub fn fetch(folder: &Path, config: &FetchConfig, watch: &mut Watch<'_>) -> Result<Fetched> {
    if let (Origin::Synthetic { .. }, _) = origin(folder)? {
        return Err(Error::Corrupt {
            file: folder.to_owned(),
            expected: "the published files, or none".into(),
            got: "drawn photographs".into(),
            remedy: "fetch into another folder, or remove this one first",
        });
    }
    let missing = missing(folder, config)?;
    let fetched = Fetched { kept: config.checksums.len() - missing.len(), brought: missing.len() };
    if missing.is_empty() {
        return Ok(fetched);
    }
    let unfinished = folder.join(UNFINISHED);
    let folders = Role::ALL.map(|role| folder.join(role.folder()));
    for new in folders.iter().chain([&unfinished]) {
        std::fs::create_dir_all(new).map_err(at(new))?;
    }
    let (labels, pictures): (Vec<PathBuf>, Vec<PathBuf>) =
        missing.into_iter().partition(|path| path.starts_with(Role::Labels.folder()));
    let brought = bring_pictures(folder, config, &pictures, watch)
        .and_then(|()| labels.iter().try_for_each(|path| bring_label(folder, config, path, watch)));
    brought.map_err(|error| match error {
        Error::Download { .. } => {
            Error::Fetch { dataset: "HRF-AV", folder: folder.to_owned(), attempts: format!("  {error}") }
        }
        other => other,
    })?;
    std::fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
    Ok(fetched)
}

/// The paths of missing files. A file that is there must have the right content.
fn missing(folder: &Path, config: &FetchConfig) -> Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    for (path, expected) in &config.checksums {
        let file = folder.join(path);
        if !file.exists() {
            missing.push(path.clone());
            continue;
        }
        let got = sha256_of(&file)?;
        if got != *expected {
            return Err(not_published(&file, expected, got, "fetch into another folder, or remove this file first"));
        }
    }
    Ok(missing)
}

fn not_published(file: &Path, expected: &str, got: String, remedy: &'static str) -> Error {
    Error::Corrupt { file: file.to_owned(), expected: format!("SHA-256 {expected}"), got, remedy }
}

/// Downloads the archive and extracts `wanted` and all of `manual1`.
fn bring_pictures(folder: &Path, config: &FetchConfig, wanted: &[PathBuf], watch: &mut Watch<'_>) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let part = folder.join(UNFINISHED).join("archive.zip");
    checked(&config.archive, &part, config, watch, |part| unpack(part, folder, config, wanted))
}

fn bring_label(folder: &Path, config: &FetchConfig, path: &Path, watch: &mut Watch<'_>) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    let part = folder.join(UNFINISHED).join(name);
    let url = format!("{}/{}", config.labels.trim_end_matches('/'), name.to_string_lossy());
    checked(&url, &part, config, watch, |part| {
        let bytes = std::fs::read(part).map_err(at(part))?;
        store(folder, path, &bytes, config)
    })
}

/// Downloads `url` into `part` and calls `take` with it. If that fails after a resumed download, the bytes of the earlier
/// attempt may be the reason, so the file is downloaded once more from the start.
fn checked(
    url: &str,
    part: &Path,
    config: &FetchConfig,
    watch: &mut Watch<'_>,
    take: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    let patience = Patience { attempts: config.attempts, pause: config.pause };
    let resumed = part.exists();
    download(url, part, patience, watch)?;
    let mut taken = take(part);
    if let (Err(error), true) = (&taken, resumed) {
        tracing::warn!(url, %error, "the resumed download is not what it should be, starting over");
        std::fs::remove_file(part).map_err(at(part))?;
        download(url, part, patience, watch)?;
        taken = take(part);
    }
    std::fs::remove_file(part).map_err(at(part))?;
    taken
}

/// Writes `bytes` to `path` in `folder` if their checksum is that of the table.
fn store(folder: &Path, path: &Path, bytes: &[u8], config: &FetchConfig) -> Result<()> {
    let file = folder.join(path);
    match config.checksums.get(path) {
        Some(expected) if sha256(bytes) != *expected => {
            let remedy = "the source has changed: report it, and place the published file by hand";
            Err(not_published(&file, expected, sha256(bytes), remedy))
        }
        _ => write_whole(&file, bytes),
    }
}

/// More bytes than any file of the set has.
const LARGEST: u64 = 1 << 27;

/// Extracts `wanted` and the files of `manual1` from the archive, wherever their folders are in it.
fn unpack(archive: &Path, folder: &Path, config: &FetchConfig, wanted: &[PathBuf]) -> Result<()> {
    let damaged = |got: String| Error::Corrupt {
        file: archive.to_owned(),
        expected: "a ZIP archive of the photographs".into(),
        got,
        remedy: "run `cargo xtask data fetch hrf-av` again",
    };
    let opened = File::open(archive).map_err(at(archive))?;
    let mut zip = zip::ZipArchive::new(opened).map_err(|error| damaged(error.to_string()))?;
    let mut entries = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(|error| damaged(error.to_string()))?;
        let name = entry.name().map_err(|error| damaged(error.to_string()))?.into_owned();
        entries.extend(official_path(&name).map(|path| (index, path)));
    }
    // `manual1` comes first. No table requires it, so if an interruption left only parts of it missing, nobody would fetch them.
    entries.sort_by_key(|(_, path)| !path.starts_with(Role::Vessels.folder()));
    let mut missing: Vec<&PathBuf> = wanted.iter().collect();
    for (index, path) in entries {
        let mut entry = zip.by_index(index).map_err(|error| damaged(error.to_string()))?;
        let is_wanted = wanted.contains(&path);
        if entry.is_file() && (is_wanted || path.starts_with(Role::Vessels.folder())) {
            let mut bytes = Vec::new();
            let read = entry.by_ref().take(LARGEST + 1).read_to_end(&mut bytes);
            read.map_err(|error| damaged(format!("`{}`: {error}", path.display())))?;
            if bytes.len() as u64 > LARGEST {
                return Err(damaged(format!("`{}` with more than {LARGEST} bytes", path.display())));
            }
            store(folder, &path, &bytes, config)?;
            missing.retain(|other| **other != path);
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(damaged(format!("one without {} files, such as `{}`", missing.len(), first.display()))),
    }
}

/// Extracts all files with official places; for the fuzz tests.
///
/// # Errors
/// If the archive is damaged.
pub(super) fn unpack_all(archive: &Path, folder: &Path) -> Result<()> {
    let config = FetchConfig { checksums: Default::default(), ..FetchConfig::default() };
    let wanted = [Role::Image, Role::Vessels]
        .map(|role| SetShape::OFFICIAL.photographs().next().map(|id| role.path(id)).unwrap_or_default());
    unpack(archive, folder, &config, &wanted)
}

/// The last two parts of an entry's name if they are the folder of a role and a plain file name; so nothing is ever written to
/// any other place.
fn official_path(name: &str) -> Option<PathBuf> {
    let mut parts = name.rsplit(['/', '\\']);
    let (file, folder) = (parts.next()?, parts.next()?);
    let is_known = Role::ALL.iter().any(|role| role.folder() == folder);
    (is_known && !file.is_empty() && file != "." && file != "..").then(|| Path::new(folder).join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_land_in_the_official_folders_or_nowhere() {
        let path = |name: &str| official_path(name).map(|path| path.display().to_string());
        assert_eq!(path("images/01_dr.JPG").as_deref(), Some("images/01_dr.JPG"));
        assert_eq!(path("all/mask/01_dr_mask.tif").as_deref(), Some("mask/01_dr_mask.tif"));
        for other in ["images/", "01_dr.JPG", "../../etc/passwd", "images/..", "other/01_dr.JPG", ""] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
