//! The identity of a set's photographs: part of a run's identity, and the facts about the training photographs that `predict`
//! needs.

use anyhow::{Context, Result, ensure};
use mtcool_data::refuge::{MaskCodes, RefugePart};
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

    /// The identity in `files` of a run's configuration, whose network has inputs of `side` pixels.
    ///
    /// # Errors
    /// If it is none, or does not fit `side`.
    pub(super) fn of_run(files: &Value, side: usize) -> Result<Self> {
        let trained: Self = serde_json::from_value(files.clone()).context("`files` in the run's config.toml")?;
        ensure!(
            side >= 1 && trained.crop.is_multiple_of(side),
            "the run's config.toml: `data.side` is {side}, expected a divisor of `files.crop`, which is {}",
            trained.crop
        );
        Ok(trained)
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
        specks: refuge.specks(index),
        is_grey: refuge.is_grey(index),
    });
    let name = |index: usize| refuge.cases()[index].name.as_str();
    let copies: Vec<[&str; 2]> = refuge.copies().into_iter().map(|pair| pair.map(name)).collect();
    match refuge.origin() {
        Origin::Real => caveats_of(&files.collect::<Vec<_>>(), refuge.mask_codes(), &copies),
        Origin::Synthetic { .. } => Vec::new(),
    }
}

/// The parts, each with its name and its cases, in which all cases have the same diagnosis.
pub(super) fn one_sided(refuge: &Refuge, parts: &[(&str, &[u32])]) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    for (part, cases) in parts {
        for (glaucoma, diagnosis) in [(true, "with glaucoma"), (false, "without glaucoma")] {
            if !cases.iter().any(|&case| refuge.cases()[case as usize].glaucoma == glaucoma) {
                let text = format!(
                    "The {part} part has no photograph {diagnosis}, so that AUROC and some of the other metrics of the diagnosis \
                     have no value there"
                );
                caveats.push(Caveat { text, is_comparable: false });
            }
        }
    }
    caveats
}

/// A photograph and its mask.
struct File<'a> {
    name: &'a str,
    /// The published size: (height, width).
    published: [usize; 2],
    size: [usize; 2],
    /// Pixels of the mask that were left out.
    specks: usize,
    is_grey: bool,
}

fn caveats_of(files: &[File<'_>], codes: MaskCodes, copies: &[[&str; 2]]) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let all = files.len();
    let resized: Vec<&File<'_>> = files.iter().filter(|file| file.size != file.published).collect();
    if let Some(File { name, published, size, .. }) = resized.first() {
        let text = format!(
            "{} of {all} photographs are not of the published size, such as {name} ({}, published {}), so that a crop shows another \
             part of the retina",
            resized.len(),
            by(*size),
            by(*published)
        );
        caveats.push(Caveat { text, is_comparable: false });
    }
    let grey: Vec<&File<'_>> = files.iter().filter(|file| file.is_grey).collect();
    if let Some(File { name, .. }) = grey.first() {
        let text = format!("{} of {all} photographs are grey, such as {name}", grey.len());
        caveats.push(Caveat { text, is_comparable: false });
    }
    if let Some([later, first]) = copies.first() {
        let text = format!(
            "{} of {all} photographs are the same as others, such as {later} and {first}, which was allowed",
            copies.len()
        );
        caveats.push(Caveat { text, is_comparable: false });
    }
    if codes != MaskCodes::OFFICIAL {
        let text = format!("The masks are copies coded {codes}; they were read with these codes");
        caveats.push(Caveat { text, is_comparable: true });
    }
    let with_specks: Vec<&File<'_>> = files.iter().filter(|file| file.specks > 0).collect();
    if let Some(File { name, specks, .. }) = with_specks.first() {
        let text = format!(
            "{} of {all} masks have pixels apart from the disc, such as {name}'s ({specks} pixels); they were read as background",
            with_specks.len()
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
    use mtcool_data::refuge::{CropPlacement, DrawnSize, RefugeConfig, RefugeSynthesis};

    use super::*;

    #[test]
    fn a_part_with_one_diagnosis_alone_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let size = DrawnSize::Fixed([96, 96]);
        let drawn = RefugeSynthesis { train: 4, validation: 2, test: 2, size, seed: 1 };
        drawn.draw(folder.path(), &|_, _| {}).unwrap();
        let config = RefugeConfig {
            crop: 32,
            side: 32,
            placement: CropPlacement::CENTRED,
            allows_copies: false,
            cache: folder.path().join(".cache"),
        };
        let refuge = Refuge::open(folder.path(), &config, &|_, _| {}).unwrap();
        let all: Vec<u32> = (0..refuge.cases().len() as u32).collect();
        let healthy: Vec<u32> = all.iter().copied().filter(|&case| !refuge.cases()[case as usize].glaucoma).collect();
        let caveats = one_sided(&refuge, &[("validation", &all), ("test", &healthy)]);
        assert_eq!(caveats.len(), 1, "{caveats:?}");
        assert!(
            !caveats[0].is_comparable && caveats[0].text.starts_with("The test part has no photograph with glaucoma")
        );
    }

    #[test]
    fn each_kind_of_departure_is_one_line_with_its_count() {
        let file = |name, size| File { name, published: [1634, 1634], size, specks: 0, is_grey: false };
        let official = MaskCodes::OFFICIAL;
        assert_eq!(caveats_of(&[file("V0001", [1634, 1634])], official, &[]), []);
        let files = [
            File { specks: 7, ..file("V0001", [1634, 1634]) },
            File { is_grey: true, ..file("V0002", [512, 640]) },
            file("V0003", [512, 512]),
        ];
        let caveats = caveats_of(&files, MaskCodes { background: 0, rim: 1, cup: 2 }, &[["V0003", "V0001"]]);
        let comparable: Vec<bool> = caveats.iter().map(|caveat| caveat.is_comparable).collect();
        assert_eq!(comparable, [false, false, false, true, true]);
        let texts: Vec<&str> = caveats.iter().map(|caveat| caveat.text.as_str()).collect();
        assert!(
            texts[0].starts_with("2 of 3 photographs") && texts[0].contains("V0002 (640x512, published 1634x1634)")
        );
        assert_eq!(texts[1], "1 of 3 photographs are grey, such as V0002");
        assert!(texts[2].contains("V0003 and V0001"), "{}", texts[2]);
        assert!(texts[3].contains("coded 0 background, 1 rim, 2 cup"), "{}", texts[3]);
        assert!(texts[4].starts_with("1 of 3 masks") && texts[4].contains("V0001's (7 pixels)"), "{}", texts[4]);
    }
}
