//! The settings of the losses: plain data, and the check of their ranges.

/// A sum of losses on logits and target classes, each with a weight: evaluated by [`class_loss`](crate::class_loss()) with one
/// softmax and one pass over the logits, whatever it is made of.
///
/// ```
/// use mtcool_ops::{ClassLoss, CrossEntropy, Dice};
///
/// let loss = ClassLoss {
///     cross_entropy: Some(CrossEntropy { class_weights: Some(vec![0.2, 1.0, 1.8]), ..CrossEntropy::default() }),
///     dice: Some(Dice { weight: 0.5, ..Dice::default() }),
///     ..ClassLoss::default()
/// };
/// assert!(loss.check(3).is_ok());
/// assert_eq!(loss.check(4).unwrap_err().key, "cross_entropy.class_weights");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassLoss {
    /// A target whose positions count for nothing, in any of the losses. It may be one of the classes or a number beyond them.
    pub ignored: Option<u32>,
    /// Cross-entropy.
    pub cross_entropy: Option<CrossEntropy>,
    /// Soft Dice.
    pub dice: Option<Dice>,
    /// Focal loss.
    pub focal: Option<Focal>,
}

/// Cross-entropy with class weights w and label smoothing e. At a position i with target y and `l_k = -log softmax(logits)_k`:
///
/// `c_i = (1 - e) w_y l_y + e/K sum_k w_k l_k`, and the loss is `sum_i c_i / N`, with N after [`Normalization`].
///
/// If N is 0, so are the loss and its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The factor of this loss in the sum: finite and at least 0.
    pub weight: f64,
    /// One weight per class, `[K]`, finite and at least 0; all 1 if `None`.
    pub class_weights: Option<Vec<f64>>,
    /// The share e of the target that is spread evenly over all classes: in `0..1`.
    pub label_smoothing: f64,
    /// What the sum over the positions is divided by.
    pub normalization: Normalization,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self { weight: 1.0, class_weights: None, label_smoothing: 0.0, normalization: Normalization::default() }
    }
}

/// What the sum of a weighted loss over the positions is divided by. Without class weights both are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// The number of positions that are not ignored. The weight of a class acts whatever else the batch holds.
    #[default]
    Targets,
    /// The sum of the targets' class weights, as PyTorch does. The loss of a batch is then a weighted mean, so weights act only
    /// between the positions of one batch: with one label per batch they cancel (`w_y l_y / w_y = l_y`), and a rare class
    /// counts more only where it meets a frequent one.
    Weights,
}

/// Soft Dice over the classes but the background. With `p_k` the probabilities, `y_k` 1 where the target is k and else 0, s
/// `smooth`, and v the classes' weights:
///
/// `sum_k v_k (1 - (2 sum_i p_k y_k + s) / (sum_i p_k + sum_i y_k + s)) / sum_k v_k`
///
/// Sums run over the positions that are not ignored, of the whole batch or of one image: see [`DiceSums`]. A class that has no
/// target in such a sum stays in the mean and is charged for its predicted mass P by `P / (P + s)`; with s = 0 and P = 0 its
/// loss and gradient are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Dice {
    /// The factor of this loss in the sum: finite and at least 0.
    pub weight: f64,
    /// s, in pixels: finite and at least 0. With 1, a class that is neither there nor predicted loses nothing.
    pub smooth: f64,
    /// One weight per class, `[K]`, finite, at least 0 and not all 0: its share of the mean. If `None`, 0 for class 0, the background,
    /// and 1 for all others. Background counts if its weight here is above 0; the ignored class never does.
    pub class_weights: Option<Vec<f64>>,
    /// What the sums run over.
    pub sums: DiceSums,
}

impl Default for Dice {
    fn default() -> Self {
        Self { weight: 1.0, smooth: 1.0, class_weights: None, sums: DiceSums::default() }
    }
}

/// What the sums of [`Dice`] run over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiceSums {
    /// All images of the batch together: one Dice per class. A class that is missing in some images is no special case, and a
    /// large object weighs more than a small one.
    #[default]
    Batch,
    /// Each image by itself, then the mean over the images that have any position that counts. Small objects weigh as much as
    /// large ones; but a class that an image lacks costs almost 1 there until hardly any pixel is taken for it, which teaches
    /// false positives away with a gradient that is small while they are many.
    Image,
}

/// Focal loss: `sum_i w_y (1 - p_y)^gamma l_y / N`, with p and l as in [`CrossEntropy`] and N after [`Normalization`]. With
/// gamma = 0 it is the cross-entropy (Lin et al. 2017, Eq. 5).
#[derive(Clone, Debug, PartialEq)]
pub struct Focal {
    /// The factor of this loss in the sum: finite and at least 0.
    pub weight: f64,
    /// How strongly positions that are already classified well are left alone: finite and at least 0.
    pub gamma: f64,
    /// One weight per class, `[K]`, finite and at least 0; all 1 if `None`.
    pub class_weights: Option<Vec<f64>>,
    /// What the sum over the positions is divided by.
    pub normalization: Normalization,
}

impl Default for Focal {
    fn default() -> Self {
        Self { weight: 1.0, gamma: 2.0, class_weights: None, normalization: Normalization::default() }
    }
}

/// A sum of losses on numbers, with weights: evaluated by [`regression_loss`](crate::regression_loss()). With `e = prediction -
/// target`, each loss is a mean over the targets that are not NaN; a NaN target is a missing label. Without any target, loss and
/// gradient are 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegressionLoss {
    /// The weight of `|e|`, whose gradient at 0 is 0.
    pub l1: Option<f64>,
    /// The weight of `e^2`.
    pub l2: Option<f64>,
    /// Huber's loss.
    pub huber: Option<Huber>,
}

/// `e^2 / 2` where `|e| <= delta`, else `delta (|e| - delta / 2)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Huber {
    /// The factor of this loss in the sum: finite and at least 0.
    pub weight: f64,
    /// Where the loss turns from quadratic to linear, in the target's unit: finite and above 0.
    pub delta: f64,
}

impl Default for Huber {
    fn default() -> Self {
        Self { weight: 1.0, delta: 1.0 }
    }
}

/// A setting of a loss that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` is {value}: expected {expected}")]
pub struct LossSettingError {
    /// The setting's name with its table's, such as `dice.smooth`.
    pub key: String,
    /// What it is.
    pub value: String,
    /// Its range.
    pub expected: String,
}

impl LossSettingError {
    fn new(key: &str, value: impl std::fmt::Debug, expected: impl Into<String>) -> Self {
        Self { key: key.into(), value: format!("{value:?}"), expected: expected.into() }
    }
}

impl ClassLoss {
    /// Plain cross-entropy, and nothing else.
    pub fn cross_entropy() -> Self {
        Self { cross_entropy: Some(CrossEntropy::default()), ..Self::default() }
    }

    /// Checks every setting for `classes` classes.
    ///
    /// # Errors
    /// With the key and the valid range of the first setting out of range.
    pub fn check(&self, classes: usize) -> Result<(), LossSettingError> {
        let Self { ignored, cross_entropy, dice, focal } = self;
        if cross_entropy.is_none() && dice.is_none() && focal.is_none() {
            return Err(LossSettingError::new("loss", "empty", "at least one of `cross_entropy`, `dice` and `focal`"));
        }
        if let Some(CrossEntropy { weight, class_weights, label_smoothing, .. }) = cross_entropy {
            at_least_zero("cross_entropy.weight", *weight)?;
            check_class_weights("cross_entropy.class_weights", class_weights.as_deref(), classes)?;
            if !(0.0..1.0).contains(label_smoothing) {
                return Err(LossSettingError::new(
                    "cross_entropy.label_smoothing",
                    label_smoothing,
                    "a number of at least 0 and below 1",
                ));
            }
        }
        if let Some(dice) = dice {
            at_least_zero("dice.weight", dice.weight)?;
            at_least_zero("dice.smooth", dice.smooth)?;
            check_class_weights("dice.class_weights", dice.class_weights.as_deref(), classes)?;
            if dice.class_shares(classes, *ignored).iter().all(|&share| share == 0.0) {
                return Err(LossSettingError::new(
                    "dice.class_weights",
                    &dice.class_weights,
                    format!(
                        "a weight above 0 for at least one of the {classes} classes, the ignored one left out; \
                             without weights, at least one class besides the background"
                    ),
                ));
            }
        }
        if let Some(Focal { weight, gamma, class_weights, .. }) = focal {
            at_least_zero("focal.weight", *weight)?;
            at_least_zero("focal.gamma", *gamma)?;
            check_class_weights("focal.class_weights", class_weights.as_deref(), classes)?;
        }
        Ok(())
    }
}

impl Dice {
    /// The share of each class in the mean, `[K]`; their sum is 1, or all are 0.
    pub(crate) fn class_shares(&self, classes: usize, ignored: Option<u32>) -> Vec<f64> {
        let weight = |class: usize| match &self.class_weights {
            _ if ignored == Some(class as u32) => 0.0,
            Some(weights) => weights[class],
            None => f64::from(class != 0),
        };
        let weights: Vec<f64> = (0..classes).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|&weight| if sum > 0.0 { weight / sum } else { 0.0 }).collect()
    }
}

impl RegressionLoss {
    /// Checks every setting.
    ///
    /// # Errors
    /// With the key and the valid range of the first setting out of range.
    pub fn check(&self) -> Result<(), LossSettingError> {
        let Self { l1, l2, huber } = self;
        if l1.is_none() && l2.is_none() && huber.is_none() {
            return Err(LossSettingError::new("loss", "empty", "at least one of `l1`, `l2` and `huber`"));
        }
        at_least_zero("l1.weight", l1.unwrap_or_default())?;
        at_least_zero("l2.weight", l2.unwrap_or_default())?;
        if let Some(Huber { weight, delta }) = huber {
            at_least_zero("huber.weight", *weight)?;
            if !(delta.is_finite() && *delta > 0.0) {
                return Err(LossSettingError::new("huber.delta", delta, "a finite number above 0"));
            }
        }
        Ok(())
    }
}

fn at_least_zero(key: &str, value: f64) -> Result<(), LossSettingError> {
    if (0.0..f64::INFINITY).contains(&value) {
        Ok(())
    } else {
        Err(LossSettingError::new(key, value, "a finite number of at least 0"))
    }
}

fn check_class_weights(key: &str, weights: Option<&[f64]>, classes: usize) -> Result<(), LossSettingError> {
    let is_valid = |weights: &[f64]| {
        weights.len() == classes && weights.iter().all(|weight| (0.0..f64::INFINITY).contains(weight))
    };
    match weights {
        Some(weights) if !is_valid(weights) => {
            Err(LossSettingError::new(key, weights, format!("{classes} class weights, finite and at least 0")))
        }
        _ => Ok(()),
    }
}
