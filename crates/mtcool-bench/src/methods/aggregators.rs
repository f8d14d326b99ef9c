//! Settings of the methods that combine gradients. The defaults are the values of each method's authors.

use mtcool_baselines as baselines;
use mtcool_core::{Aggregator, Combine, Error, Result};
use serde::{Deserialize, Serialize};

use super::direction_scale::DirectionScale;
use super::gradient::Keys;

/// Implements [`Keys`] for each settings type, from the aggregator that its settings describe.
macro_rules! aggregators {
    ($($name:ident => $build:expr;)*) => {$(
        impl Keys for $name {
            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn combine(&self, seed: u64) -> Result<Combine> {
                let build: fn(&Self, u64) -> Result<Box<dyn Aggregator>> = $build;
                Ok(Combine::Gradients(build(self, seed)?))
            }
        }
    )*};
}

aggregators! {
    Mgda => |keys, _| {
        Ok(keys.direction_scale.of(baselines::Mgda::new(keys.normalization.into()).with_corner(keys.corner)?))
    };
    PcGrad => |_, seed| Ok(Box::new(baselines::PcGrad::new(seed)));
    GradDrop => |keys, seed| Ok(Box::new(baselines::GradDrop::new(seed, keys.leak.clone())?));
    CaGrad => |keys, _| Ok(keys.direction_scale.of(baselines::CaGrad::new(keys.c, rescale(keys.rescale)?)?));
    ImtlG => |keys, _| Ok(keys.direction_scale.of(baselines::ImtlG));
    NashMtl => |keys, _| Ok(Box::new(baselines::NashMtl::new(keys.max_norm, keys.update_weights_every)?));
    AlignedMtl => |keys, _| Ok(keys.direction_scale.of(baselines::AlignedMtl::new(keys.scale.into())));
    UpGrad => |keys, _| Ok(keys.direction_scale.of(baselines::UpGrad::new(keys.norm_eps, keys.reg_eps)?));
    DualProj => |keys, _| Ok(keys.direction_scale.of(baselines::DualProj::new(keys.norm_eps, keys.reg_eps)?));
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mgda {
    learning_rate: f64,
    #[serde(default)]
    normalization: Normalization,
    #[serde(default)]
    corner: f64,
    #[serde(default)]
    direction_scale: DirectionScale,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Normalization {
    #[default]
    None,
    L2,
    Loss,
    #[serde(rename = "loss+")]
    LossPlus,
}

impl From<Normalization> for baselines::Normalization {
    fn from(normalization: Normalization) -> Self {
        match normalization {
            Normalization::None => Self::None,
            Normalization::L2 => Self::L2,
            Normalization::Loss => Self::Loss,
            Normalization::LossPlus => Self::LossPlus,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PcGrad {
    learning_rate: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GradDrop {
    learning_rate: f64,
    /// One number per task, or an empty list, which means 0 for all tasks.
    #[serde(default)]
    leak: Vec<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaGrad {
    learning_rate: f64,
    #[serde(default = "radius")]
    c: f64,
    /// The divisor of the direction: 0 for 1, 1 for `1 + c^2`, 2 for `1 + c`.
    #[serde(default = "by_square")]
    rescale: u8,
    #[serde(default)]
    direction_scale: DirectionScale,
}

fn radius() -> f64 {
    0.4
}

fn by_square() -> u8 {
    1
}

fn rescale(number: u8) -> Result<baselines::Rescale> {
    match number {
        0 => Ok(baselines::Rescale::None),
        1 => Ok(baselines::Rescale::Square),
        2 => Ok(baselines::Rescale::Linear),
        other => Err(Error::out_of_range("rescale", other, "0, 1 or 2")),
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImtlG {
    learning_rate: f64,
    #[serde(default)]
    direction_scale: DirectionScale,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NashMtl {
    learning_rate: f64,
    /// The largest length of the direction; 0 for no limit.
    #[serde(default = "unit")]
    max_norm: f64,
    #[serde(default = "every_step")]
    update_weights_every: u64,
}

fn unit() -> f64 {
    1.0
}

fn every_step() -> u64 {
    1
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlignedMtl {
    learning_rate: f64,
    #[serde(default)]
    scale: AlignedScale,
    #[serde(default)]
    direction_scale: DirectionScale,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AlignedScale {
    #[default]
    Min,
    Median,
    Rmse,
}

impl From<AlignedScale> for baselines::AlignedScale {
    fn from(scale: AlignedScale) -> Self {
        match scale {
            AlignedScale::Min => Self::Min,
            AlignedScale::Median => Self::Median,
            AlignedScale::Rmse => Self::Rmse,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpGrad {
    learning_rate: f64,
    #[serde(default = "small")]
    norm_eps: f64,
    #[serde(default = "small")]
    reg_eps: f64,
    #[serde(default)]
    direction_scale: DirectionScale,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DualProj {
    learning_rate: f64,
    #[serde(default = "small")]
    norm_eps: f64,
    #[serde(default = "small")]
    reg_eps: f64,
    #[serde(default)]
    direction_scale: DirectionScale,
}

fn small() -> f64 {
    1e-4
}
