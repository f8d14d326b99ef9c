//! What the photographs of a set are: part of a run's identity, and what `predict` must know of those it was trained on.

use mtcool_data::refuge::Part;
use mtcool_data::{Origin, Refuge};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the samples are beyond their origin: `files` in a run's config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PhotographFiles {
    /// Of contents, cuts and diagnoses.
    pub(super) sha256: String,
    /// Side of the square around the disc, in pixels of these photographs.
    pub(super) crop: usize,
    /// The shortest and the longest of the photographs' shorter sides, in pixels.
    pub(super) sides: [usize; 2],
}

impl PhotographFiles {
    pub(super) fn of(refuge: &Refuge) -> Self {
        let sides = || (0..refuge.cases().len()).map(|index| refuge.size(index).into_iter().min().unwrap_or(0));
        Self {
            sha256: refuge.fingerprint().to_owned(),
            crop: refuge.crop(),
            sides: [sides().min().unwrap_or(0), sides().max().unwrap_or(0)],
        }
    }
}

/// How the photographs were drawn, `counts` of them to train and to test with; `null` for real ones.
pub(super) fn origin(refuge: &Refuge, counts: [usize; 2]) -> Value {
    let size = |part: Part| {
        let first = refuge.cases().iter().position(|case| case.part == part);
        first.map_or_else(String::new, |index| by(refuge.size(index)))
    };
    match refuge.origin() {
        Origin::Real => Value::Null,
        Origin::Synthetic { seed, generator } => json!({ "synthetic": {
            "seed": seed,
            "generator": generator,
            "train": counts[0],
            "test": counts[1],
            "sizes": { "train": size(Part::Train), "validation": size(Part::Validation), "test": size(Part::Test) },
        } }),
    }
}

/// As people write sizes: width first.
fn by([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
}
