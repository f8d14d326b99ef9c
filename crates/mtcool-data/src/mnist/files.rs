//! The four IDX files: their checksums, reading and writing them, and how a synthetic set differs from the real one.

use std::path::Path;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, at};
use crate::files::{hex, write_whole};
use crate::manifest::{MANIFEST, read_manifest, write_manifest};
use crate::origin::Origin;

/// Names of the four files, training images and labels first, as [`write`] takes their contents.
pub(super) const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
/// MD5 of the canonical raw files, in the order of [`FILES`].
const CANONICAL_MD5: [&str; 4] = [
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
];
const REFETCH: &str = "delete it and run `cargo xtask data fetch mnist` again";

/// The content of the file beside synthetic files.
#[derive(Serialize, Deserialize)]
struct MnistManifest {
    generator: u32,
    seed: u64,
    md5: Vec<String>,
}

/// Checks that `folder` holds the four files, whole and with the right checksums, and returns their origin.
///
/// # Errors
/// [`Error::Missing`] naming the files that are not there, [`Error::Corrupt`] naming the first that is truncated, has no IDX
/// header or another checksum.
pub fn verify(folder: &Path) -> Result<Origin> {
    let missing: Vec<&str> = FILES.into_iter().filter(|file| !folder.join(file).is_file()).collect();
    if !missing.is_empty() {
        return Err(Error::Missing {
            dataset: "MNIST",
            folder: folder.to_owned(),
            missing: missing.join(", "),
            remedy: "run `cargo xtask data fetch mnist`, or name the folder with `--data DIR`, or use `--data synth`",
        });
    }
    let manifest = read_mnist_manifest(folder)?;
    let expected: Vec<&str> = match &manifest {
        Some(manifest) => manifest.md5.iter().map(String::as_str).collect(),
        None => CANONICAL_MD5.to_vec(),
    };
    for (index, (name, expected)) in FILES.into_iter().zip(expected).enumerate() {
        let file = folder.join(name);
        let bytes = std::fs::read(&file).map_err(at(&file))?;
        let corrupt =
            |expected: String, got: String| Error::Corrupt { file: file.clone(), expected, got, remedy: REFETCH };
        let dimensions = if index % 2 == 0 { 3 } else { 1 };
        let size = header_size(&bytes, dimensions).ok_or_else(|| {
            corrupt(format!("an IDX file of bytes in {dimensions} dimensions"), "another header".into())
        })?;
        if bytes.len() != size {
            let state = if bytes.len() < size { "truncated" } else { "too long" };
            return Err(corrupt(format!("{size} bytes by its own header"), format!("{} bytes ({state})", bytes.len())));
        }
        let got = md5_hex(&bytes);
        if got != expected {
            return Err(corrupt(format!("MD5 {expected}"), got));
        }
    }
    Ok(manifest
        .map_or(Origin::Real, |manifest| Origin::Synthetic { seed: manifest.seed, generator: manifest.generator }))
}

/// The MD5 of each of the four files by its name, as [`verify`] requires it.
///
/// # Errors
/// If the manifest of a synthetic set is damaged.
pub(super) fn checksums(folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let expected = match read_mnist_manifest(folder)? {
        Some(manifest) => manifest.md5,
        None => CANONICAL_MD5.map(str::to_owned).into(),
    };
    Ok(FILES.into_iter().zip(expected).collect())
}

/// Writes the four files into `folder`, and for synthetic ones a manifest which says that they are. Files appear whole or not
/// at all.
///
/// # Errors
/// If the folder cannot be written.
pub fn write(folder: &Path, contents: [&[u8]; 4], origin: &Origin) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let manifest = folder.join(MANIFEST);
    match origin {
        Origin::Real if manifest.exists() => std::fs::remove_file(&manifest).map_err(at(&manifest))?,
        Origin::Real => {}
        Origin::Synthetic { seed, generator } => {
            let foreign =
                FILES.into_iter().map(|file| folder.join(file)).find(|file| file.exists() && !manifest.exists());
            if let Some(file) = foreign {
                return Err(Error::Corrupt {
                    file,
                    expected: "an empty place, or a synthetic set to replace".into(),
                    got: "a file of another set".into(),
                    remedy: "choose another folder for synthetic digits",
                });
            }
            let md5 = contents.iter().map(|bytes| md5_hex(bytes)).collect();
            write_manifest(folder, &MnistManifest { generator: *generator, seed: *seed, md5 })?;
        }
    }
    for (name, bytes) in FILES.into_iter().zip(contents) {
        write_whole(&folder.join(name), bytes)?;
    }
    Ok(())
}

/// An IDX file of unsigned bytes: header, then `bytes`.
pub(crate) fn idx(dimensions: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    for &dimension in dimensions {
        file.extend((dimension as u32).to_be_bytes());
    }
    file.extend(bytes);
    file
}

/// The length of the whole file according to its IDX header, if it is one of unsigned bytes in `dimensions` dimensions.
fn header_size(bytes: &[u8], dimensions: usize) -> Option<usize> {
    let sizes = bytes.strip_prefix(&[0, 0, 8, dimensions as u8])?.get(..4 * dimensions)?;
    let sizes =
        sizes.chunks_exact(4).map(|size| size.iter().fold(0usize, |value, &byte| value << 8 | usize::from(byte)));
    sizes.into_iter().try_fold(1usize, usize::checked_mul)?.checked_add(4 + 4 * dimensions)
}

fn read_mnist_manifest(folder: &Path) -> Result<Option<MnistManifest>> {
    const REMEDY: &str = "delete the folder and run `cargo xtask data synth mnist` again";
    read_manifest(folder, "the manifest of a synthetic set", REMEDY, |value| {
        let manifest: MnistManifest = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if manifest.md5.len() != FILES.len() {
            return Err(format!("{} checksums for {} files", manifest.md5.len(), FILES.len()));
        }
        Ok(manifest)
    })
}

fn md5_hex(bytes: &[u8]) -> String {
    hex(Md5::digest(bytes).as_slice())
}
