//! The four IDX files: their checksums, reading and writing them, and how a synthetic set differs from the real one.

use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flate2::read::GzDecoder;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, at};
use crate::files::{hex, is_transient, write_whole};
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

/// Checks that `folder` holds the four files, whole and with the right checksums, and returns their origin. They may also be
/// compressed (`.gz`), have a dot in their names (`train-images.idx3-ubyte`), or lie in `raw` or `MNIST/raw` below the folder, as
/// torchvision leaves them.
///
/// # Errors
/// [`Error::Missing`] naming the files that are not there, [`Error::Corrupt`] naming the first that is truncated, has no IDX
/// header or another checksum.
pub fn verify(folder: &Path) -> Result<Origin> {
    read_verified(folder).map(|(origin, _)| origin)
}

/// As [`verify`]; also the contents of the files, in the order of [`FILES`].
///
/// # Errors
/// As for [`verify`].
pub(super) fn read_verified(folder: &Path) -> Result<(Origin, [Vec<u8>; 4])> {
    let manifest = read_mnist_manifest(folder)?;
    let files = locate(folder)?;
    let mut contents = [const { Vec::new() }; 4];
    for (index, file) in files.into_iter().enumerate() {
        let bytes = content(&file)?;
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
        let expected = manifest.as_ref().map_or(CANONICAL_MD5[index], |manifest| &manifest.md5[index]);
        let got = md5_hex(&bytes);
        if got != expected {
            return Err(corrupt(format!("MD5 {expected}"), got));
        }
        contents[index] = bytes;
    }
    let origin = manifest
        .map_or(Origin::Real, |manifest| Origin::Synthetic { seed: manifest.seed, generator: manifest.generator });
    Ok((origin, contents))
}

/// Where programs leave the files below the folder that users name.
const PLACES: [&str; 5] = ["", "raw", "MNIST/raw", "MNIST", "mnist"];
/// More bytes than a file of digits has.
pub(super) const LARGEST: u64 = 1 << 30;
/// The number of names that a message lists.
const SHOWN: usize = 6;

/// The files of [`FILES`] in the first place that has all of them, under any of their usual names.
fn locate(folder: &Path) -> Result<[PathBuf; 4]> {
    let find = |place: &str, name: &str| {
        let dotted = name.replace("-idx", ".idx");
        let names = [name.to_owned(), dotted.clone(), format!("{name}.gz"), format!("{dotted}.gz")];
        names.into_iter().map(|name| folder.join(place).join(name)).find(|file| file.is_file())
    };
    let mut missing: Vec<&str> = FILES.to_vec();
    for place in PLACES {
        let found = FILES.map(|name| find(place, name));
        if found.iter().all(Option::is_some) {
            return Ok(found.map(Option::unwrap_or_default));
        }
        let lacking: Vec<&str> =
            FILES.into_iter().zip(&found).filter(|(_, file)| file.is_none()).map(|(name, _)| name).collect();
        if lacking.len() < missing.len() {
            missing = lacking;
        }
    }
    let mut lying: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| !is_transient(name))
        .collect();
    lying.sort();
    let more = if lying.len() > SHOWN { ", ..." } else { "" };
    lying.truncate(SHOWN);
    let lying = if lying.is_empty() { "nothing".to_owned() } else { lying.join(", ") + more };
    Err(Error::Missing {
        dataset: "MNIST",
        folder: folder.to_owned(),
        missing: format!(
            "{} (also looked for with `.gz`, with a dot before `idx`, and in `raw` and `MNIST/raw`; in the folder lies {lying})",
            missing.join(", ")
        ),
        remedy: "run `cargo xtask data fetch mnist`, or name the folder with `--data DIR`, or use `--data synth`",
    })
}

/// The content of `file`, unpacked if its name ends with `.gz`.
///
/// # Errors
/// If it cannot be read or unpacked, or is larger than any file of digits.
pub(super) fn content(file: &Path) -> Result<Vec<u8>> {
    let packed = std::fs::read(file).map_err(at(file))?;
    if file.extension().is_none_or(|extension| extension != "gz") {
        return Ok(packed);
    }
    let corrupt = |got: String| Error::Corrupt {
        file: file.to_owned(),
        expected: "a file compressed by gzip".into(),
        got,
        remedy: REFETCH,
    };
    let mut bytes = Vec::new();
    let unpacked = GzDecoder::new(&packed[..]).take(LARGEST + 1).read_to_end(&mut bytes);
    unpacked.map_err(|error| corrupt(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(corrupt(format!("more than {LARGEST} bytes")));
    }
    Ok(bytes)
}

/// Images `[N, 784]` f32 in 0..1 and digits `[N]` in the contents of an image file and a label file whose headers were checked.
///
/// # Errors
/// What is wrong if they do not fit together.
pub(super) fn digits(images: &[u8], labels: &[u8]) -> Result<Result<(Tensor, Vec<u8>), String>> {
    let (sides, digits) = (&images[4..16], labels[8..].to_vec());
    let pixels = &images[16..];
    if sides[4..] != [0, 0, 0, 28, 0, 0, 0, 28] {
        return Ok(Err("images of another size than 28x28".into()));
    }
    if pixels.len() != 784 * digits.len() {
        return Ok(Err(format!("{} images with {} labels", pixels.len() / 784, digits.len())));
    }
    if let Some(label) = digits.iter().find(|&&digit| digit > 9) {
        return Ok(Err(format!("the label {label}, which is no digit")));
    }
    let bytes = Tensor::from_slice(pixels, (digits.len(), 784), &Device::Cpu)?;
    Ok(Ok(((bytes.to_dtype(DType::F32)? / 255.0)?, digits)))
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

/// Reads the contents of an image file and a label file as far as they are whole; for the fuzz tests.
pub(super) fn parse(images: &[u8], labels: &[u8]) {
    let is_whole = |bytes: &[u8], dimensions| header_size(bytes, dimensions) == Some(bytes.len());
    if is_whole(images, 3) {
        drop(digits(images, &idx(&[0], &[])));
    }
    if is_whole(labels, 1) {
        drop(digits(&idx(&[1, 28, 28], &[0; 784]), labels));
    }
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
