//! The official names of the files of REFUGE2018, their folders and their sizes.

use std::path::PathBuf;

/// The three parts in which REFUGE2018 was published. Experiments train on the first two together and report on the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefugePart {
    /// `Training400`.
    Train,
    /// `REFUGE-Validation400`.
    Validation,
    /// `Test400`.
    Test,
}

impl RefugePart {
    /// All parts, in order.
    pub const ALL: [RefugePart; 3] = [RefugePart::Train, RefugePart::Validation, RefugePart::Test];

    /// (height, width) of the official photographs: a Zeiss Visucam for training, a Canon CR-2 for the rest.
    pub fn official_size(self) -> [usize; 2] {
        match self {
            RefugePart::Train => [2056, 2124],
            RefugePart::Validation | RefugePart::Test => [1634, 1634],
        }
    }

    /// The spreadsheet that holds the part's diagnoses, or only the foveas for the training part.
    pub(super) fn spreadsheet(self) -> &'static str {
        match self {
            RefugePart::Train => "Annotation-Training400/Fovea_location.xlsx",
            RefugePart::Validation => "REFUGE-Validation400-GT/Fovea_locations.xlsx",
            RefugePart::Test => "REFUGE-Test-GT/Glaucoma_label_and_Fovea_location.xlsx",
        }
    }
}

/// The name of a photograph and its mask, such as `g0012` or `V0400`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    Glaucoma(u32),
    Healthy(u32),
    Validation(u32),
    Test(u32),
}

impl Name {
    /// The name in a file's name without extension, in upper or lower case.
    pub(super) fn parse(stem: &str) -> Option<Self> {
        let digits =
            stem.get(1..).filter(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits?.parse().ok()?;
        match stem.as_bytes()[0].to_ascii_lowercase() {
            b'g' => Some(Name::Glaucoma(number)),
            b'n' => Some(Name::Healthy(number)),
            b'v' => Some(Name::Validation(number)),
            b't' => Some(Name::Test(number)),
            _ => None,
        }
    }

    pub(super) fn part(self) -> RefugePart {
        match self {
            Name::Glaucoma(_) | Name::Healthy(_) => RefugePart::Train,
            Name::Validation(_) => RefugePart::Validation,
            Name::Test(_) => RefugePart::Test,
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Name::Glaucoma(number) => format!("g{number:04}"),
            Name::Healthy(number) => format!("n{number:04}"),
            Name::Validation(number) => format!("V{number:04}"),
            Name::Test(number) => format!("T{number:04}"),
        }
    }

    /// The path of the photograph in the official folders.
    pub(super) fn image(self) -> PathBuf {
        let folder = match self {
            Name::Glaucoma(_) => "Training400/Glaucoma",
            Name::Healthy(_) => "Training400/Non-Glaucoma",
            Name::Validation(_) => "REFUGE-Validation400",
            Name::Test(_) => "Test400",
        };
        PathBuf::from(folder).join(self.text() + ".jpg")
    }

    /// The path of the mask in the official folders; masks of the test part are sorted by `glaucoma`, if that is known.
    pub(super) fn mask(self, glaucoma: Option<bool>) -> PathBuf {
        let folder = match (self, glaucoma) {
            (Name::Glaucoma(_), _) => "Annotation-Training400/Disc_Cup_Masks/Glaucoma",
            (Name::Healthy(_), _) => "Annotation-Training400/Disc_Cup_Masks/Non-Glaucoma",
            (Name::Validation(_), _) => "REFUGE-Validation400-GT/Disc_Cup_Masks",
            (Name::Test(_), Some(true)) => "REFUGE-Test-GT/Disc_Cup_Masks/G",
            (Name::Test(_), Some(false)) => "REFUGE-Test-GT/Disc_Cup_Masks/N",
            (Name::Test(_), None) => "REFUGE-Test-GT/Disc_Cup_Masks",
        };
        PathBuf::from(folder).join(self.text() + ".bmp")
    }
}

/// How many photographs a complete set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) glaucoma: u32,
    pub(super) healthy: u32,
    pub(super) validation: u32,
    pub(super) test: u32,
}

impl Counts {
    pub(super) const OFFICIAL: Counts = Counts { glaucoma: 40, healthy: 360, validation: 400, test: 400 };

    /// Every name of a complete set.
    pub(super) fn names(self) -> impl Iterator<Item = Name> {
        let glaucoma = (1..=self.glaucoma).map(Name::Glaucoma);
        let validation = (1..=self.validation).map(Name::Validation);
        glaucoma.chain((1..=self.healthy).map(Name::Healthy)).chain(validation).chain((1..=self.test).map(Name::Test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_either_case_and_nothing_else_is() {
        for name in Counts::OFFICIAL.names() {
            assert_eq!(Name::parse(&name.text()), Some(name));
            assert_eq!(Name::parse(&name.text().to_uppercase()), Some(name));
            assert_eq!(Name::parse(&name.text().to_lowercase()), Some(name));
        }
        for other in ["", "g", "g001", "g00012", "x0001", "g00a1", "g+001", "Å0001", "gÅ01", "0001"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
