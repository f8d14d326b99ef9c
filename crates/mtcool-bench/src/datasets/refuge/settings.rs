//! The table `data.settings` of an experiment on REFUGE2018.

use mtcool_data::Augmentation;
use mtcool_data::refuge::{CropPlacement, Splits};
use serde::{Deserialize, Serialize};

use super::super::copies::Copies;
use crate::suite::SettingsError;

/// How photographs are cut, split, and changed at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefugeSettings {
    /// The side of the square around the disc, in pixels of the official photographs. If synthetic photographs are n times
    /// smaller, the square has an n times shorter side in their pixels, so that it shows the same part of the retina.
    pub crop: usize,
    /// The side of the network's input, in pixels. It must divide the side of the crop in pixels of the photographs that are
    /// used.
    pub side: usize,
    /// The largest distance, along rows and columns, by which training crops are moved off the disc's centre at random, in
    /// pixels of the official photographs: less than half of the crop.
    pub translation: usize,
    /// The largest distance of the crops for validation and test from the disc's centre: like `translation`, but fixed for each
    /// photograph by `split_seed` and its name. With 0 they are centred on the true disc, which tells the network where it is.
    pub jitter: usize,
    /// The seed that selects the photographs for validation and places the crops for validation and test. It is the same for all runs.
    pub split_seed: u64,
    /// The share of the photographs for training that is held out for validation, of each diagnosis: above 0 and at most 0.9. The
    /// default, a tenth, is left out of a run's identity.
    #[serde(skip_serializing_if = "is_a_tenth")]
    pub validation: f64,
    /// The random changes of training crops.
    pub augmentation: Augmentation,
    /// Whether every training batch has as many photographs with glaucoma as without: ill photographs then come several times per
    /// epoch, changed at random each time. `false`, the default, is left out of a run's identity: every photograph comes once.
    #[serde(skip_serializing_if = "is_false")]
    pub balanced: bool,
    /// How the same photograph under several names is treated. The default is left out of a run's identity.
    #[serde(skip_serializing_if = "Copies::is_default")]
    pub on_copies: Copies,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_a_tenth(share: &f64) -> bool {
    *share == Splits::HELD_OUT
}

/// The default distance by which crops move: a crop of 512 pixels still contains every disc of up to 416 pixels.
const REACH: usize = 48;

/// The largest side of a crop, in pixels.
const LARGEST: usize = 8192;

/// The paper's crops.
impl Default for RefugeSettings {
    fn default() -> Self {
        Self {
            crop: 512,
            side: 512,
            translation: REACH,
            jitter: REACH,
            split_seed: 0,
            validation: Splits::HELD_OUT,
            augmentation: Augmentation::default(),
            balanced: false,
            on_copies: Copies::Refuse,
        }
    }
}

impl RefugeSettings {
    /// Checks the ranges that hold for photographs of every size; opening the photographs checks the others.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        for (key, value, least) in [
            ("crop", self.crop, 1),
            ("side", self.side, 1),
            ("translation", self.translation, 0),
            ("jitter", self.jitter, 0),
        ] {
            SettingsError::in_range(least..=LARGEST, key, value)?;
        }
        if !(self.validation > 0.0 && self.validation <= 0.9) {
            let message = format!("expected a share above 0 and at most 0.9, got {}", self.validation);
            return Err(SettingsError::new("validation", message));
        }
        self.augmentation.check().map_err(|error| SettingsError::new("augmentation", error.to_string()))
    }

    /// The placement of crops around the disc.
    pub(super) fn placement(&self) -> CropPlacement {
        CropPlacement { translation: self.translation, jitter: self.jitter, seed: self.split_seed }
    }

    /// A sentence about the placement of crops, without the final full stop, for the readers of a table.
    pub(super) fn placement_note(&self) -> String {
        let Self { crop, translation, jitter, split_seed, .. } = self;
        let evaluated = match jitter {
            0 => "crops for validation and test are centred on the true disc, which tells the network where it is"
                .to_owned(),
            _ => format!(
                "crops for validation and test lie up to {jitter} pixels off the disc's centre along rows and columns, by an offset \
                 that is drawn once for each photograph (seed {split_seed})"
            ),
        };
        let trained = match translation {
            0 => "training crops are centred on the disc".to_owned(),
            _ => format!("training crops are moved at random by up to {translation} pixels"),
        };
        let balanced = if self.balanced {
            "; every training batch has as many photographs with glaucoma as without, or one more of either"
        } else {
            ""
        };
        format!("The crops have sides of {crop} official pixels; {evaluated}; {trained}{balanced}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_how_far_crops_move() {
        let note = RefugeSettings::default().placement_note();
        for part in ["up to 48 pixels off the disc's centre", "(seed 0)", "moved at random by up to 48 pixels"] {
            assert!(note.contains(part), "no `{part}` in: {note}");
        }
        let centred = RefugeSettings { translation: 0, jitter: 0, ..RefugeSettings::default() }.placement_note();
        assert!(centred.contains("centred on the true disc, which tells") && !centred.contains("48"), "{centred}");
        let balanced = RefugeSettings { balanced: true, ..RefugeSettings::default() }.placement_note();
        assert!(
            balanced.contains("as many photographs with glaucoma as without") && !note.contains("as many"),
            "{balanced}"
        );
    }

    #[test]
    fn the_share_for_validation_is_checked_and_a_tenth_changes_no_identity() {
        for share in [0.0, -0.1, 0.91, 1.0, f64::NAN, f64::INFINITY] {
            let error = RefugeSettings { validation: share, ..RefugeSettings::default() }.check().unwrap_err();
            assert!(error.0.to_string().contains("at most 0.9"), "{}", error.0);
        }
        let text =
            |validation| serde_json::to_string(&RefugeSettings { validation, ..RefugeSettings::default() }).unwrap();
        assert!(!text(0.1).contains("validation") && text(0.25).contains("\"validation\":0.25"));
    }
}
