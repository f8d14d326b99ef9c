//! The table `data.settings` of an experiment on HRF-AV.

use mtcool_data::Augmentation;
use mtcool_data::hrf_av::{OnDamage, SplitRule};
use mtcool_models::Tiling;
use serde::{Deserialize, Serialize};

/// Of a U-Net.
pub(super) const MOST_POOLINGS: usize = 5;

/// How photographs are shrunk, divided, cut, covered by tiles and measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HrfAvSettings {
    /// Sides become that many times shorter than those of the published photographs; drawn ones may come shorter already.
    pub scale: usize,
    /// Side of a training patch in pixels.
    pub patch: usize,
    /// Patches of each training photograph in an epoch.
    pub patches_per_photograph: usize,
    /// Which photographs train.
    pub split: Split,
    /// Photographs of each group of the training part that are for selection.
    pub held_out: usize,
    /// What to do about damaged or missing files.
    pub on_damage: Damage,
    /// How patches are changed at random.
    pub augmentation: Augmentation,
    /// Side of a tile when whole photographs are predicted.
    pub tile: usize,
    /// Pixels that neighbouring tiles share.
    pub overlap: usize,
    /// Pixels at a tile's border that are not used.
    pub margin: usize,
    /// Which pixels are measured.
    pub region: Region,
    /// What crossings and undecided vessels are when arteries and veins are measured.
    pub green: Green,
}

/// No brightness and no contrast, which add to all values: the vessels of the dark channels would become black.
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
            split: Split::Stratified { seed: 0 },
            held_out: 1,
            on_damage: Damage::Refuse,
            augmentation: AUGMENTATION,
            tile: 2048,
            overlap: 256,
            margin: 64,
            region: Region::Image,
            green: Green::Negative,
        }
    }
}

/// As [`SplitRule`], in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "rule")]
pub(super) enum Split {
    /// Drawn from a seed, alike in every group.
    Stratified {
        /// The split follows from it.
        seed: u64,
    },
    /// The first third of the numbers.
    Literature,
}

impl Split {
    pub(super) fn rule(self) -> SplitRule {
        match self {
            Self::Stratified { seed } => SplitRule::Stratified { seed },
            Self::Literature => SplitRule::Literature,
        }
    }
}

/// As [`OnDamage`], in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Damage {
    /// Refuse the set and name every problem.
    Refuse,
    /// Load the others.
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

/// Which pixels are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Region {
    /// All of them.
    Image,
    /// Those inside the field of view.
    Fov,
}

/// What a crossing or an undecided vessel is when arteries and veins are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Green {
    /// Neither artery nor vein.
    Negative,
    /// Left out.
    Excluded,
}

impl HrfAvSettings {
    /// How whole photographs are covered.
    pub(super) fn tiling(&self) -> Tiling {
        // What poolings divide by, or more; a divisor of every tile that the network's check lets pass.
        let multiple = 1 << self.tile.trailing_zeros().min(MOST_POOLINGS as u32);
        Tiling { side: self.tile, overlap: self.overlap, margin: self.margin, multiple }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_experiment_changes_light_as_the_defaults_do() {
        let table: toml::Table = include_str!("../../../../../experiments/table3.toml").parse().unwrap();
        let settings: HrfAvSettings = table["default"]["data"]["settings"].clone().try_into().unwrap();
        assert_eq!(settings.augmentation, AUGMENTATION);
        assert_eq!((AUGMENTATION.brightness, AUGMENTATION.contrast), (0.0, 0.0), "dark vessels become black");
    }
}
