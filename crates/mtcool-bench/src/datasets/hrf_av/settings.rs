//! The table `data.settings` of an experiment on HRF-AV.

use mtcool_data::Augmentation;
use mtcool_data::hrf_av::{OnDamage, SetShape, SplitRule};
use mtcool_models::Tiling;
use serde::{Deserialize, Serialize};

use super::super::copies::Copies;
use crate::suite::SettingsError;

/// The largest number of poolings of a U-Net for which tiles can be laid out.
pub(super) const MOST_POOLINGS: usize = 5;

/// How photographs are reduced, split, cut into patches, covered by tiles, and measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HrfAvSettings {
    /// The factor by which the sides are shorter than those of the published photographs. Synthetic photographs may have been
    /// drawn at a reduced size already.
    pub scale: usize,
    /// The side of a training patch in pixels.
    pub patch: usize,
    /// Number of patches per training photograph and epoch.
    pub patches_per_photograph: usize,
    /// The rule that selects the training photographs.
    pub split: PartitionRule,
    /// Number of photographs per group of the training part that are held out for the selection of settings.
    pub held_out: usize,
    /// How damaged or missing files are treated.
    pub on_damage: Damage,
    /// How the same photograph under several names is treated. The default is left out of a run's identity.
    #[serde(skip_serializing_if = "Copies::is_default")]
    pub on_copies: Copies,
    /// The random changes of patches.
    pub augmentation: Augmentation,
    /// The side of a tile, in pixels, for the prediction of whole photographs.
    pub tile: usize,
    /// Number of pixels by which neighbouring tiles overlap.
    pub overlap: usize,
    /// Number of pixels at each border of a tile whose predictions are not used.
    pub margin: usize,
    /// The pixels that are measured.
    pub region: MeasuredArea,
    /// How crossings and undecided vessels are counted when arteries and veins are measured.
    pub green: Green,
}

/// The largest side of a patch or a tile, in pixels.
const LARGEST: usize = 1 << 14;
/// The largest number of patches per photograph and epoch.
const MOST_PATCHES: usize = 1_000_000;

/// Brightness and contrast are not changed, since both add a constant to all values: vessels in the dark channels would become
/// black.
const AUGMENTATION: Augmentation = Augmentation {
    mirror: true,
    flip: true,
    right_angles: true,
    rotation: 20.0,
    scale: 0.15,
    exposure: 0.1,
    tint: 0.05,
    gamma: 0.15,
    ..Augmentation::NONE
};

/// The paper's sizes.
impl Default for HrfAvSettings {
    fn default() -> Self {
        Self {
            scale: 1,
            patch: 2048,
            patches_per_photograph: 1,
            split: PartitionRule::Stratified { seed: 0 },
            held_out: 1,
            on_damage: Damage::Refuse,
            on_copies: Copies::Refuse,
            augmentation: AUGMENTATION,
            tile: 2048,
            overlap: 256,
            margin: 64,
            region: MeasuredArea::Image,
            green: Green::Negative,
        }
    }
}

/// [`SplitRule`] in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "rule")]
pub(super) enum PartitionRule {
    /// Drawn at random from a seed, with the same number of photographs per group.
    Stratified {
        /// The seed that determines the split.
        seed: u64,
    },
    /// The first third of the photographs' numbers.
    Literature,
}

impl PartitionRule {
    pub(super) fn rule(self) -> SplitRule {
        match self {
            Self::Stratified { seed } => SplitRule::Stratified { seed },
            Self::Literature => SplitRule::Literature,
        }
    }
}

/// [`OnDamage`] in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Damage {
    /// Refuse the data set with an error that names all problems.
    Refuse,
    /// Load the other photographs.
    LeaveOut,
}

impl Damage {
    pub(super) fn policy(self) -> OnDamage {
        match self {
            Self::Refuse => OnDamage::Refuse,
            Self::LeaveOut => OnDamage::LeaveOut,
        }
    }
}

/// The pixels that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MeasuredArea {
    /// All pixels.
    Image,
    /// The pixels inside the field of view.
    Fov,
}

/// How a crossing or an undecided vessel is counted when arteries and veins are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Green {
    /// As neither artery nor vein.
    Negative,
    /// Not at all: the pixel is left out.
    Excluded,
}

impl HrfAvSettings {
    /// Checks the ranges that hold for photographs of every size; opening the photographs checks the others.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        for (key, value, range) in [
            ("scale", self.scale, 1..=LARGEST),
            ("patch", self.patch, 1..=LARGEST),
            ("patches_per_photograph", self.patches_per_photograph, 1..=MOST_PATCHES),
            ("held_out", self.held_out, 0..=99),
            ("tile", self.tile, 1..=LARGEST),
            ("overlap", self.overlap, 0..=LARGEST),
            ("margin", self.margin, 0..=LARGEST),
        ] {
            SettingsError::in_range(range, key, value)?;
        }
        self.tiling().check().map_err(|error| SettingsError::new("tile", error.to_string()))?;
        self.augmentation.check().map_err(|error| SettingsError::new("augmentation", error.to_string()))
    }

    /// The tiling that covers whole photographs.
    pub(super) fn tiling(&self) -> Tiling {
        // The largest power of 2 up to 2^MOST_POOLINGS that divides the tile's side: a multiple of the factor by which the
        // network's poolings divide the sides, for every network that passes `check_network`.
        let multiple = 1 << self.tile.trailing_zeros().min(MOST_POOLINGS as u32);
        Tiling { side: self.tile, overlap: self.overlap, margin: self.margin, multiple }
    }
}

/// The factor by which photographs of `width` pixels must be reduced, so that their sides are `scale` times shorter than those of
/// the published photographs; `None` if this is not a whole number.
pub(super) fn own_scale(scale: usize, width: usize) -> Option<usize> {
    let official = SetShape::OFFICIAL.size[0];
    let product = scale * width;
    (product.is_multiple_of(official) && product >= official).then(|| product / official)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_of_another_width_have_a_scale_of_their_own() {
        let scales = [(4, 3504), (4, 876), (16, 219), (16, 438), (4, 438), (4, 1000), (0, 3504)];
        assert_eq!(
            scales.map(|(scale, width)| own_scale(scale, width)),
            [Some(4), Some(1), Some(1), Some(2), None, None, None]
        );
    }

    #[test]
    fn the_experiment_changes_light_as_the_defaults_do() {
        let table: toml::Table = include_str!("../../../experiments/table3.toml").parse().unwrap();
        let settings: HrfAvSettings = table["default"]["data"]["settings"].clone().try_into().unwrap();
        assert_eq!(settings.augmentation, AUGMENTATION);
        assert_eq!((AUGMENTATION.brightness, AUGMENTATION.contrast), (0.0, 0.0), "dark vessels become black");
    }
}
