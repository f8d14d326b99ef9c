//! Class weights from how often each class occurs.

/// How [`class_weights`] follow from counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightRule {
    /// `w_k ~ 1 / n_k`: every class has the same total weight.
    InverseFrequency,
    /// `w_k ~ 1 / sqrt(n_k)`: halfway between that and no weights.
    InverseSqrtFrequency,
}

/// One weight per class from the number of its targets in the training data: `[K]`, scaled so that the mean over the classes is 1.
///
/// A class without any target gets the weight 1 and has no part in the scale: no term of a training loss uses it, while a count of
/// 1 in place of 0 would give it nearly the whole sum of the weights and take it from all others.
///
/// ```
/// use mtcool_ops::{WeightRule, class_weights};
///
/// assert_eq!(class_weights(&[768, 256], WeightRule::InverseFrequency), [0.5, 1.5]);
/// assert_eq!(class_weights(&[900, 100], WeightRule::InverseSqrtFrequency), [0.5, 1.5]);
/// assert_eq!(class_weights(&[768, 0, 256], WeightRule::InverseFrequency), [0.5, 1.0, 1.5]);
/// ```
pub fn class_weights(counts: &[u64], rule: WeightRule) -> Vec<f64> {
    let weigh = |count: u64| match rule {
        WeightRule::InverseFrequency => 1.0 / count as f64,
        WeightRule::InverseSqrtFrequency => 1.0 / (count as f64).sqrt(),
    };
    let present = || counts.iter().filter(|&&count| count > 0);
    let mean = present().map(|&count| weigh(count)).sum::<f64>() / present().count() as f64;
    counts.iter().map(|&count| if count > 0 { weigh(count) / mean } else { 1.0 }).collect()
}
