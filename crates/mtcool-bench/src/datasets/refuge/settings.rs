//! The table `data.settings` of an experiment on REFUGE2018.

use mtcool_data::Augmentation;
use mtcool_data::refuge::CropPlacement;
use serde::{Deserialize, Serialize};

/// How photographs are cut, split, changed and weighed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefugeSettings {
    /// Side of the square around the disc, in pixels of the official photographs: on drawn ones that are n times smaller, the
    /// same part of the retina has n times fewer pixels.
    pub crop: usize,
    /// Side of what the network sees of it, in pixels: a divisor of what the crop has on the photographs at hand.
    pub side: usize,
    /// How far training crops are moved off the disc's centre, at random, along rows and columns, in official pixels: less than
    /// half of the crop.
    pub translation: usize,
    /// How far the crops for validation and test lie off the disc's centre: as `translation`, but fixed for each photograph by
    /// `split_seed` and its name. With 0 they are centred on the true disc, which tells the network where it is.
    pub jitter: usize,
    /// Which tenth of the 800 is held out for selection, and where the crops for validation and test lie, the same for all runs.
    pub split_seed: u64,
    /// Weights of background, rim and cup in the loss; none if empty.
    pub class_weights: Vec<f64>,
    /// How training crops are changed at random.
    pub augmentation: Augmentation,
}

/// How far crops move: a crop of 512 pixels still holds the whole of a disc of up to 416 pixels.
const REACH: usize = 48;

/// The paper's crops.
impl Default for RefugeSettings {
    fn default() -> Self {
        Self {
            crop: 512,
            side: 512,
            translation: REACH,
            jitter: REACH,
            split_seed: 0,
            class_weights: Vec::new(),
            augmentation: Augmentation::default(),
        }
    }
}

impl RefugeSettings {
    /// Where crops lie around the disc.
    pub(super) fn placement(&self) -> CropPlacement {
        CropPlacement { translation: self.translation, jitter: self.jitter, seed: self.split_seed }
    }

    /// A sentence on the placement of crops, without its full stop, for the reader of a table.
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
        format!("Of crops of {crop} official pixels, {evaluated}; {trained}")
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
    }
}
