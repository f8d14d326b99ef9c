//! The settings of the losses: plain data as users give it, and the same as the passes on the CPU and on a card need it.

mod numbers;
mod settings;
mod terms;

pub(crate) use numbers::RegressionWeights;
pub use settings::{
    ClassLoss, CrossEntropy, Dice, DiceSums, Focal, Huber, LossSettingError, Normalization, RegressionLoss,
};
pub(crate) use terms::{DiceGroup, DiceSlopes, FocalTerm, NoClass, Sums, Terms};
