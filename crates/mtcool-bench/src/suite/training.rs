//! The settings that all methods of an experiment share: budget, batch size, optimiser, learning-rate schedule.

use std::sync::Arc;

use mtcool_core::{AdamW, DecayedParameters, Error, GradientStorage, Optimizer, RateSchedule, Sgd, UpdateSettings};
use serde::{Deserialize, Serialize};

/// The settings that all methods of an experiment share: the table `training`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// The budget: every method trains for this number of epochs.
    pub epochs: u64,
    /// Number of samples per batch and task.
    pub batch_size: usize,
    /// `sgd` or `adamw`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optimizer: OptimizerKind,
    /// Momentum of SGD, at least 0 and less than 1; the default is 0. AdamW does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Whether SGD uses Nesterov momentum; the default is `false`. AdamW does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Decay rates of AdamW's running means of gradients and of squared gradients, each at least 0 and less than 1; the default
    /// is [0.9, 0.999].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<[f64; 2]>,
    /// The term that AdamW adds to the denominator, positive; the default is 1e-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Weight decay, at least 0.
    pub weight_decay: f64,
    /// Which parameters decay: `all`, or `weights`, which excludes biases and the scales and shifts of normalisation layers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_decay_on: WeightDecayOn,
    /// The largest norm of an update's gradient, taken over all parameters that the update changes; a longer gradient is scaled
    /// down to this norm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Number of batches over which the gradient of an update is averaged.
    #[serde(default = "one_batch", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// How the gradients of all tasks are held for methods that need only their inner products: `stored`, or `layerwise`, which takes
    /// less memory where layers have more weights than outputs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gramian: GramianKind,
    /// How the learning rates change over the run.
    pub schedule: ScheduleKind,
    /// For `step`: the times of the changes, as fractions of the run.
    #[serde(default)]
    pub milestones: Vec<f64>,
    /// For `step`: the factor at each milestone.
    #[serde(default = "one")]
    pub gamma: f64,
    /// The epoch whose network a run ends with: `last`, or `best` on the validation split.
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Selected,
    /// For `best`: the columns of the table, as `task.metric`, whose mean on the validation split decides; all of them if it is empty.
    /// A column where smaller values are better counts with the opposite sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select_by: Vec<String>,
    /// For `best`: the run ends after this number of epochs without a better one; by default it uses its whole budget. The
    /// learning rate's schedule is still that of the whole budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// The largest number of batches per epoch. It belongs to `--fast-dev-run`, whose runs are not kept, and to no file.
    #[serde(skip)]
    pub most_batches: Option<u64>,
}

fn one() -> f64 {
    1.0
}

fn one_batch() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The optimisers, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent, with momentum.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// The parameters to which weight decay applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightDecayOn {
    /// Every parameter.
    #[default]
    All,
    /// All parameters except biases and the scales and shifts of normalisation layers.
    Weights,
}

/// How the gradients of all tasks are held, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GramianKind {
    /// The gradients of all tasks are kept until they are combined.
    #[default]
    Stored,
    /// Gradients of large weights are computed a few rows at a time, once for their inner products and once for the direction.
    Layerwise,
}

/// The learning-rate schedules, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// The base rate throughout the run.
    Constant,
    /// The base rate decreases to 0 along half a period of the cosine.
    Cosine,
    /// The rate is multiplied by `gamma` at each of the `milestones`.
    Step,
}

/// The epoch whose network a run ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selected {
    /// The last one.
    #[default]
    Last,
    /// The first of those with the highest score on the validation split.
    Best,
}

impl TrainingConfig {
    /// Plain gradient descent at a constant rate for `epochs` epochs.
    pub fn plain(epochs: u64, batch_size: usize) -> Self {
        Self {
            epochs,
            batch_size,
            optimizer: OptimizerKind::Sgd,
            momentum: None,
            nesterov: None,
            betas: None,
            eps: None,
            weight_decay: 0.0,
            weight_decay_on: WeightDecayOn::All,
            clip_norm: None,
            accumulate: 1,
            gramian: GramianKind::Stored,
            schedule: ScheduleKind::Constant,
            milestones: Vec::new(),
            gamma: 1.0,
            select: Selected::Last,
            select_by: Vec::new(),
            patience: None,
            most_batches: None,
        }
    }

    /// Number of batches per epoch, given the number of `samples` of each task. An epoch ends when the samples of the largest task
    /// have been seen once, or after `most_batches`.
    pub fn batches_per_epoch(&self, samples: impl Iterator<Item = u64>) -> u64 {
        let batches = samples.map(|samples| samples / (self.batch_size as u64).max(1));
        let batches = batches.max().unwrap_or(0);
        batches.min(self.most_batches.unwrap_or(u64::MAX)).max(1)
    }

    /// The same with at most `samples` samples per batch, and at least one.
    #[must_use]
    pub fn with_batches_of_at_most(self, samples: u64) -> Self {
        let most = usize::try_from(samples).unwrap_or(usize::MAX).max(1);
        Self { batch_size: self.batch_size.min(most), ..self }
    }

    /// How gradient methods hold the gradients of all tasks.
    ///
    /// # Errors
    /// If they are to be computed layer by layer, and an update averages over several batches.
    pub fn gradient_storage(&self) -> mtcool_core::Result<GradientStorage> {
        match self.gramian {
            GramianKind::Stored => Ok(GradientStorage::Stored),
            GramianKind::Layerwise if self.accumulate == 1 => Ok(GradientStorage::Layerwise),
            GramianKind::Layerwise => Err(Error::Mismatch {
                what: format!("`gramian = \"layerwise\"` with `accumulate = {}`", self.accumulate),
                expected: "`accumulate = 1`, since what the gradients follow from is kept for one batch; or `gramian = \"stored\"`"
                    .into(),
                got: "several batches per update".into(),
            }),
        }
    }

    /// The update settings of all methods.
    ///
    /// # Errors
    /// If a setting is out of range or belongs to another optimiser.
    pub fn updates(&self) -> mtcool_core::Result<UpdateSettings> {
        let rate = match self.schedule {
            ScheduleKind::Constant => RateSchedule::Constant,
            ScheduleKind::Cosine => RateSchedule::Cosine,
            ScheduleKind::Step => RateSchedule::Step { milestones: self.milestones.clone(), gamma: self.gamma },
        };
        self.gradient_storage()?;
        let (max_gradient_norm, accumulated_batches) = (self.clip_norm, self.accumulate);
        UpdateSettings { optimizer: self.optimizer()?, rate, max_gradient_norm, accumulated_batches }.check()
    }

    /// The same without the settings of SGD where AdamW is chosen, so that `training.optimizer = "adamw"` alone changes the
    /// optimiser of an experiment whose file has a momentum.
    #[must_use]
    pub fn without_unused(self) -> Self {
        match self.optimizer {
            OptimizerKind::Sgd => self,
            OptimizerKind::AdamW => Self { momentum: None, nesterov: None, ..self },
        }
    }

    fn optimizer(&self) -> mtcool_core::Result<Arc<dyn Optimizer>> {
        let foreign = |key: &str, other: &str| Error::Mismatch {
            what: format!("`{key}`"),
            expected: format!("a setting of the optimizer that is chosen, `optimizer = \"{}\"`", self.optimizer.name()),
            got: format!("one of `{other}`"),
        };
        let weight_decay = self.weight_decay;
        let decayed = match self.weight_decay_on {
            WeightDecayOn::All => DecayedParameters::All,
            WeightDecayOn::Weights => DecayedParameters::Weights,
        };
        match self.optimizer {
            OptimizerKind::Sgd if self.betas.is_some() => Err(foreign("betas", "adamw")),
            OptimizerKind::Sgd if self.eps.is_some() => Err(foreign("eps", "adamw")),
            OptimizerKind::Sgd => {
                let (momentum, nesterov) = (self.momentum.unwrap_or(0.0), self.nesterov.unwrap_or(false));
                Ok(Arc::new(Sgd { momentum, nesterov, weight_decay, decayed }))
            }
            OptimizerKind::AdamW => {
                let usual = AdamW::default();
                let [beta1, beta2] = self.betas.unwrap_or([usual.beta1, usual.beta2]);
                let eps = self.eps.unwrap_or(usual.eps);
                Ok(Arc::new(AdamW { beta1, beta2, eps, weight_decay, decayed }))
            }
        }
    }
}

impl OptimizerKind {
    fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::AdamW => "adamw",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run's identity follows from what is written of its settings.
    #[test]
    fn the_gramian_is_written_only_where_it_is_not_the_default() {
        let stored = TrainingConfig::plain(1, 4);
        let layerwise = TrainingConfig { gramian: GramianKind::Layerwise, ..stored.clone() };
        assert!(serde_json::json!(stored).get("gramian").is_none());
        assert_eq!(serde_json::json!(layerwise)["gramian"], "layerwise");
        let read: TrainingConfig = serde_json::from_value(serde_json::json!(layerwise)).unwrap();
        assert_eq!((read.gramian, read.gradient_storage().unwrap()), (layerwise.gramian, GradientStorage::Layerwise));
    }

    #[test]
    fn layerwise_gramians_of_several_batches_are_refused() {
        let training = TrainingConfig { gramian: GramianKind::Layerwise, accumulate: 2, ..TrainingConfig::plain(1, 4) };
        let message = training.updates().map(drop).unwrap_err().to_string();
        for part in ["gramian = \"layerwise\"", "accumulate = 2", "gramian = \"stored\""] {
            assert!(message.contains(part), "{message}");
        }
        assert!(TrainingConfig { accumulate: 1, ..training }.updates().is_ok());
    }
}
