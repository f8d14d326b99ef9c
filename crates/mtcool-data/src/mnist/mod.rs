//! MNIST as two tasks: even digits (0, 2, 4, 6, 8) and odd digits (1, 3, 5, 7, 9), each a five-class problem on its own images.

mod fetch;
mod files;

use std::path::Path;

use candle_core::Tensor;

use crate::dataset::Labelled;
use crate::error::{Error, Result};
use crate::origin::Origin;
use files::{checksums, digits, read_verified};

pub use fetch::{MnistSource, fetch};
pub(crate) use files::idx;
pub use files::{verify, write};

/// The mean of the training images' pixels on the scale 0..1, by which inputs are standardised.
pub const PIXEL_MEAN: f64 = 0.1307;
/// The standard deviation, see [`PIXEL_MEAN`].
pub const PIXEL_STD: f64 = 0.3081;
/// One of this many training images is held out for validation, from the end of the file: 10,000 of the canonical 60,000.
const HELD_OUT: usize = 6;

/// The two tasks of one split: task 0 is even, task 1 is odd; labels are `digit / 2`, in `0..5`.
pub type Tasks = [Labelled; 2];

/// MNIST even/odd: inputs `[N, 1, 28, 28]` f32, standardised; targets `[N]` u32 in `0..5`.
pub struct Mnist {
    /// The first five sixths of the training file.
    pub train: Tasks,
    /// The last sixth of the training file, for selection.
    pub validation: Tasks,
    /// The test file, to be read once, at the end.
    pub test: Tasks,
    /// Whether these are the real digits.
    pub origin: Origin,
    /// The MD5 of each file, by its name.
    pub checksums: Vec<(&'static str, String)>,
    /// Number of images at the beginning of the training file that are for training; the others are for selection.
    pub training_images: usize,
    /// Which digits a part lacks, one line for each such part.
    pub absent: Vec<String>,
}

impl Mnist {
    /// Verifies and reads the four IDX files in `folder`.
    ///
    /// # Errors
    /// If a file is missing, truncated, or of another checksum; see [`verify`]. If a part has no digit of a task.
    pub fn read(folder: &Path) -> Result<Self> {
        let (origin, [train_images, train_labels, test_images, test_labels]) = read_verified(folder)?;
        let corrupt = |expected: &str, got: String| Error::Corrupt {
            file: folder.to_owned(),
            expected: expected.into(),
            got,
            remedy: "fetch or draw the digits again",
        };
        let pair = |images: &[u8], labels: &[u8]| -> Result<(Tensor, Vec<u8>)> {
            digits(images, labels)?.map_err(|got| corrupt("28x28 pixels and a digit for each image", got))
        };
        let (images, labels) = pair(&train_images, &train_labels)?;
        let (test_images, test_labels) = pair(&test_images, &test_labels)?;
        let training_images = labels.len() - labels.len() / HELD_OUT;
        let parts = [
            ("training", images.narrow(0, 0, training_images)?, &labels[..training_images]),
            (
                "validation",
                images.narrow(0, training_images, labels.len() - training_images)?,
                &labels[training_images..],
            ),
            ("test", test_images, &test_labels[..]),
        ];
        let mut absent = Vec::new();
        for (part, _, digits) in &parts {
            for (parity, task) in [(0, "even"), (1, "odd")] {
                if !digits.iter().any(|digit| digit % 2 == parity) {
                    let got = format!("no {task} digit in the {part} part, which has {} images", digits.len());
                    return Err(corrupt("digits of both tasks in each part", got));
                }
            }
            let missing = (0..10).filter(|digit| !digits.contains(digit)).map(|digit: u8| digit.to_string());
            let missing: Vec<String> = missing.collect();
            if !missing.is_empty() {
                absent.push(format!("the {part} part has no digit {}", missing.join(", ")));
            }
        }
        let [train, validation, test] = parts.map(|(_, images, digits)| even_and_odd(&images, digits));
        let checksums = checksums(folder)?;
        let (train, validation, test) = (train?, validation?, test?);
        Ok(Self { train, validation, test, origin, checksums, training_images, absent })
    }
}

/// Splits images `[N, 784]` in 0..1 and digits `[N]` by parity.
fn even_and_odd(images: &Tensor, digits: &[u8]) -> Result<Tasks> {
    let standardised = ((images - PIXEL_MEAN)? / PIXEL_STD)?.reshape(((), 1, 28, 28))?;
    let labels: Vec<u32> = digits.iter().map(|&digit| u32::from(digit / 2)).collect();
    let all = Labelled::new(standardised, Tensor::new(labels, images.device())?)?;
    let of_parity = |parity| {
        let indices = (0u32..).zip(digits).filter(|&(_, digit)| digit % 2 == parity);
        all.select(&indices.map(|(index, _)| index).collect::<Vec<_>>())
    };
    Ok([of_parity(0)?, of_parity(1)?])
}

/// The parsers of this module, for the fuzz tests.
pub(crate) mod fuzzing {
    use std::path::Path;

    use super::{fetch, files};

    pub(crate) fn idx(bytes: &[u8], scratch: &Path) {
        files::parse(bytes, bytes);
        let file = scratch.join("digits.gz");
        if std::fs::write(&file, bytes).is_ok()
            && let Ok(content) = files::content(&file)
        {
            files::parse(&content, &content);
        }
    }

    pub(crate) fn archive(file: &Path) {
        drop(fetch::unpack(file));
    }
}
