//! MNIST as two tasks: even digits (0, 2, 4, 6, 8) and odd digits (1, 3, 5, 7, 9), each a five-class problem on its own images.

mod fetch;
mod files;

use std::path::Path;

use candle_core::Tensor;
use candle_datasets::vision;

use crate::dataset::Labelled;
use crate::error::Result;
use crate::origin::Origin;
use files::checksums;

pub use fetch::{MnistSource, fetch};
pub(crate) use files::idx;
pub use files::{verify, write};

/// The mean of the training images' pixels on the scale 0..1, by which inputs are standardised.
const PIXEL_MEAN: f64 = 0.1307;
/// The standard deviation, see [`PIXEL_MEAN`].
const PIXEL_STD: f64 = 0.3081;
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
}

impl Mnist {
    /// Verifies and reads the four IDX files in `folder`.
    ///
    /// # Errors
    /// If a file is missing, truncated, or of another checksum; see [`verify`].
    pub fn read(folder: &Path) -> Result<Self> {
        let origin = verify(folder)?;
        let vision::Dataset { train_images, train_labels, test_images, test_labels, .. } =
            vision::mnist::load_dir(folder)?;
        let images = train_images.dim(0)?;
        let training_images = images - images / HELD_OUT;
        let part =
            |first, count| even_and_odd(&train_images.narrow(0, first, count)?, &train_labels.narrow(0, first, count)?);
        let (train, validation) = (part(0, training_images)?, part(training_images, images - training_images)?);
        let (test, checksums) = (even_and_odd(&test_images, &test_labels)?, checksums(folder)?);
        Ok(Self { train, validation, test, origin, checksums, training_images })
    }
}

/// Splits images `[N, 784]` in 0..1 and digits `[N]` by parity.
fn even_and_odd(images: &Tensor, digits: &Tensor) -> Result<Tasks> {
    let standardised = ((images - PIXEL_MEAN)? / PIXEL_STD)?.reshape(((), 1, 28, 28))?;
    let digits: Vec<u8> = digits.to_vec1()?;
    let labels: Vec<u32> = digits.iter().map(|&digit| u32::from(digit / 2)).collect();
    let all = Labelled::new(standardised, Tensor::new(labels, images.device())?)?;
    let of_parity = |parity| {
        let indices = (0u32..).zip(&digits).filter(|&(_, digit)| digit % 2 == parity);
        all.select(&indices.map(|(index, _)| index).collect::<Vec<_>>())
    };
    Ok([of_parity(0)?, of_parity(1)?])
}
