//! The identity of a set's photographs: part of a run's identity, and the facts about the training photographs that `predict`
//! needs.

use mtcool_data::refuge::RefugePart;
use mtcool_data::{Origin, Refuge};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::suite::Caveat;

/// The identity of the photographs' files: `files` in a run's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PhotographFiles {
    /// SHA-256 over contents, crops and diagnoses.
    pub(super) sha256: String,
    /// The side of the square around the disc, in pixels of these photographs.
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

/// How synthetic photographs were drawn; `null` for real ones. `counts` is their number for training and for the test.
pub(super) fn origin(refuge: &Refuge, counts: [usize; 2]) -> Value {
    let size = |part: RefugePart| {
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
            "sizes": { "train": size(RefugePart::Train), "validation": size(RefugePart::Validation), "test": size(RefugePart::Test) },
        } }),
    }
}

/// How copies of the real photographs differ from the published ones; empty for synthetic photographs.
pub(super) fn caveats(refuge: &Refuge) -> Vec<Caveat> {
    let files = refuge.cases().iter().enumerate().map(|(index, case)| File {
        name: &case.name,
        published: case.part.official_size(),
        size: refuge.size(index),
        is_recoded: refuge.is_recoded(index),
    });
    match refuge.origin() {
        Origin::Real => caveats_of(&files.collect::<Vec<_>>()),
        Origin::Synthetic { .. } => Vec::new(),
    }
}

/// A photograph and its mask.
struct File<'a> {
    name: &'a str,
    /// The published size: (height, width).
    published: [usize; 2],
    size: [usize; 2],
    is_recoded: bool,
}

fn caveats_of(files: &[File<'_>]) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let resized: Vec<&File<'_>> = files.iter().filter(|file| file.size != file.published).collect();
    if let Some(File { name, published, size, .. }) = resized.first() {
        let text = format!(
            "{} of {} photographs are not of the published size, such as {name} ({}, published {}), so that a crop shows another \
             part of the retina",
            resized.len(),
            files.len(),
            by(*size),
            by(*published)
        );
        caveats.push(Caveat { text, is_comparable: false });
    }
    let recoded: Vec<&File<'_>> = files.iter().filter(|file| file.is_recoded).collect();
    if let Some(File { name, .. }) = recoded.first() {
        let (count, all) = (recoded.len(), files.len());
        let text = format!(
            "{count} of {all} masks are copies with the codes 0, 1, 2, such as {name}'s; they were read with these codes"
        );
        caveats.push(Caveat { text, is_comparable: true });
    }
    caveats
}

/// The size as text, with the width first.
fn by([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_departure_is_one_line_with_its_count() {
        let file = |name, size, is_recoded| File { name, published: [1634, 1634], size, is_recoded };
        assert_eq!(caveats_of(&[file("V0001", [1634, 1634], false)]), []);
        let caveats = caveats_of(&[
            file("V0001", [1634, 1634], true),
            file("V0002", [512, 640], false),
            file("V0003", [512, 512], true),
        ]);
        assert_eq!(caveats.iter().map(|caveat| caveat.is_comparable).collect::<Vec<_>>(), [false, true]);
        assert!(caveats[0].text.starts_with("2 of 3 photographs"), "{}", caveats[0].text);
        assert!(caveats[0].text.contains("V0002 (640x512, published 1634x1634)"), "{}", caveats[0].text);
        assert!(caveats[1].text.starts_with("2 of 3 masks") && caveats[1].text.contains("V0001's"));
    }
}
