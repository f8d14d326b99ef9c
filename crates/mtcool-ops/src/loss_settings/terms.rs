//! The settings of a loss over classes as the passes over the positions need them.

use super::settings::{ClassLoss, DiceSums, Normalization};

/// A loss's settings for a known number of classes.
pub(crate) struct Terms {
    pub(crate) classes: usize,
    pub(crate) ignored: Option<i64>,
    pub(crate) cross_entropy: Option<CrossEntropyTerm>,
    pub(crate) dice: Option<DiceTerm>,
    pub(crate) focal: Option<FocalTerm>,
    /// Whether a position with this target counts for anything, `[K]`.
    acts: Vec<bool>,
}

/// `one_hot_y l_y + sum_k spread_k l_k` at a position with target y.
pub(crate) struct CrossEntropyTerm {
    pub(crate) weight: f64,
    pub(crate) normalization: Normalization,
    pub(crate) class_weights: Vec<f64>,
    /// `(1 - e) w_k`.
    pub(crate) one_hot: Vec<f64>,
    /// `e/K w_k`; empty without label smoothing.
    pub(crate) spread: Vec<f64>,
    /// The sum of `spread`.
    pub(crate) spread_sum: f64,
}

/// Shares of the classes, whose sum is 1.
pub(crate) struct DiceTerm {
    pub(crate) weight: f64,
    pub(crate) smooth: f64,
    pub(crate) shares: Vec<f64>,
    pub(crate) sums: DiceSums,
}

/// `w_y (1 - p_y)^gamma l_y`.
pub(crate) struct FocalTerm {
    pub(crate) weight: f64,
    pub(crate) gamma: f64,
    pub(crate) normalization: Normalization,
    pub(crate) class_weights: Vec<f64>,
}

impl Terms {
    /// Of settings that are checked for `classes` classes.
    pub(crate) fn new(settings: &ClassLoss, classes: usize) -> Self {
        let ClassLoss { ignored, cross_entropy, dice, focal } = settings;
        let all = |weights: &Option<Vec<f64>>| weights.clone().unwrap_or_else(|| vec![1.0; classes]);
        let cross_entropy = cross_entropy.as_ref().map(|settings| {
            let (class_weights, smoothing) = (all(&settings.class_weights), settings.label_smoothing);
            let scaled = |factor: f64| class_weights.iter().map(|weight| factor * weight).collect::<Vec<f64>>();
            let spread = if smoothing > 0.0 { scaled(smoothing / classes as f64) } else { Vec::new() };
            CrossEntropyTerm {
                weight: settings.weight,
                normalization: settings.normalization,
                one_hot: scaled(1.0 - smoothing),
                spread_sum: spread.iter().sum(),
                spread,
                class_weights,
            }
        });
        let dice = dice.as_ref().map(|settings| DiceTerm {
            weight: settings.weight,
            smooth: settings.smooth,
            shares: settings.class_shares(classes, *ignored),
            sums: settings.sums,
        });
        let focal = focal.as_ref().map(|settings| FocalTerm {
            weight: settings.weight,
            gamma: settings.gamma,
            normalization: settings.normalization,
            class_weights: all(&settings.class_weights),
        });
        let acts = |class: usize| {
            dice.is_some()
                || cross_entropy.as_ref().is_some_and(|term| !term.spread.is_empty() || term.one_hot[class] > 0.0)
                || focal.as_ref().is_some_and(|term| term.class_weights[class] > 0.0)
        };
        let acts = (0..classes).map(acts).collect();
        Self { classes, ignored: ignored.map(i64::from), cross_entropy, dice, focal, acts }
    }

    /// The class of a target that is not ignored.
    ///
    /// # Errors
    /// With a target that is no class.
    #[inline(always)]
    pub(crate) fn class_of(&self, target: i64) -> Result<Option<usize>, NoClass> {
        if self.ignored == Some(target) {
            return Ok(None);
        }
        match usize::try_from(target) {
            Ok(class) if class < self.classes => Ok(Some(class)),
            _ => Err(NoClass(target)),
        }
    }

    /// The class of a target whose position counts for anything.
    #[inline(always)]
    pub(crate) fn acting_class_of(&self, target: i64) -> Option<usize> {
        self.class_of(target).ok().flatten().filter(|&class| self.acts[class])
    }
}

/// A target that is no class and not ignored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoClass(pub(crate) i64);

/// What the positions add up to: all that the loss needs, and its gradient besides the logits.
pub(crate) struct Sums {
    /// What the cross-entropy's sum is divided by; 0 if no position counts.
    pub(crate) cross_entropy_total: f64,
    /// What the focal loss's sum is divided by.
    pub(crate) focal_total: f64,
    /// One per image or a single one: see [`DiceSums`].
    pub(crate) groups: Vec<DiceGroup>,
}

/// The sums of one Dice: over the batch or over an image.
#[derive(Clone)]
pub(crate) struct DiceGroup {
    /// Targets of each class, `[K]`.
    pub(crate) targets: Vec<u64>,
    /// `sum p_k`, `[K]`.
    pub(crate) predicted: Vec<f64>,
    /// `sum p_k y_k`, `[K]`.
    pub(crate) common: Vec<f64>,
}

impl DiceGroup {
    pub(crate) fn new(classes: usize) -> Self {
        Self { targets: vec![0; classes], predicted: vec![0.0; classes], common: vec![0.0; classes] }
    }

    fn is_empty(&self) -> bool {
        self.targets.iter().all(|&count| count == 0)
    }

    /// `2 sum p_k y_k + s` and `sum p_k + sum y_k + s`, unless the latter is 0.
    fn fraction(&self, class: usize, smooth: f64) -> Option<(f64, f64)> {
        let below = self.predicted[class] + self.targets[class] as f64 + smooth;
        (below != 0.0).then_some((2.0 * self.common[class] + smooth, below))
    }
}

/// The gradient of Dice by the probabilities of one group: `everywhere_k + on_target_k y_k` at each position.
pub(crate) struct DiceSlopes {
    pub(crate) everywhere: Vec<f64>,
    pub(crate) on_target: Vec<f64>,
}

impl DiceTerm {
    /// The mean over classes and groups.
    pub(crate) fn value(&self, groups: &[DiceGroup]) -> f64 {
        let used = || groups.iter().filter(|group| !group.is_empty());
        let of_class = |group: &DiceGroup, class: usize| match group.fraction(class, self.smooth) {
            Some((above, below)) if self.shares[class] > 0.0 => self.shares[class] * (1.0 - above / below),
            _ => 0.0,
        };
        let of_group = |group: &DiceGroup| (0..self.shares.len()).map(|class| of_class(group, class)).sum::<f64>();
        match used().count() {
            0 => 0.0,
            count => used().map(of_group).sum::<f64>() / count as f64,
        }
    }

    /// `factor` times the gradient by the probabilities, for each group.
    pub(crate) fn slopes(&self, groups: &[DiceGroup], factor: f64) -> Vec<DiceSlopes> {
        let used = groups.iter().filter(|group| !group.is_empty()).count();
        let of_group = |group: &DiceGroup| {
            let of_class = |(class, &share): (usize, &f64)| match group.fraction(class, self.smooth) {
                Some((above, below)) if share > 0.0 && !group.is_empty() => {
                    let share = factor * share / used as f64;
                    (share * above / (below * below), -2.0 * share / below)
                }
                _ => (0.0, 0.0),
            };
            let (everywhere, on_target) = self.shares.iter().enumerate().map(of_class).unzip();
            DiceSlopes { everywhere, on_target }
        };
        groups.iter().map(of_group).collect()
    }
}

impl Normalization {
    /// What a sum over positions is divided by, if there are `counts[k]` of class k.
    pub(crate) fn total(self, counts: &[u64], class_weights: &[f64]) -> f64 {
        match self {
            Self::Targets => counts.iter().sum::<u64>() as f64,
            Self::Weights => counts.iter().zip(class_weights).map(|(&count, weight)| count as f64 * weight).sum(),
        }
    }
}
