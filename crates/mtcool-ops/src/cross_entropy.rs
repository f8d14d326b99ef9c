//! Softmax cross-entropy in one operation, for classes and for dense maps.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use crate::element::{Element, dispatch, elements};

/// Mean over all positions of `-log softmax(logits)[target]`: `logits` `[B, K]` or `[B, K, H, W]` (any trailing shape),
/// `targets` `[B]` or `[B, H, W]` of an integer type with values in `0..K`. A scalar.
///
/// # Errors
/// If the shapes do not fit each other or a target is not in `0..K`.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    cross_entropy_with(logits, targets, &CrossEntropy::default())
}

/// How [`cross_entropy_with`] weighs targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// One a class, finite and at least 0; all 1 if `None`.
    pub class_weights: Option<Vec<f64>>,
    /// A target, in `0..K` or not, whose positions count for nothing.
    pub ignored: Option<u32>,
}

/// [`cross_entropy`] with weights: `sum_i w_i l_i / sum_i w_i` over positions i, `l_i` as there and `w_i` the weight of the
/// target; 0 if no position has any weight.
///
/// # Errors
/// As [`cross_entropy`]; and if there is not a weight a class or one is not finite or below 0.
pub fn cross_entropy_with(logits: &Tensor, targets: &Tensor, settings: &CrossEntropy) -> Result<Tensor> {
    let dims = logits.dims();
    let fits = dims.len() >= 2
        && targets.rank() + 1 == dims.len()
        && targets.dims()[0] == dims[0]
        && targets.dims()[1..] == dims[2..];
    if !fits || logits.elem_count() == 0 {
        bail!(
            "cross_entropy: expected logits [B, K, ...] and targets [B, ...], none empty, got {dims:?} and {:?}",
            targets.dims()
        );
    }
    let targets = targets.to_dtype(DType::I64)?.contiguous()?;
    if let Some(weights) = &settings.class_weights
        && (weights.len() != dims[1] || weights.iter().any(|weight| !(0.0..f64::INFINITY).contains(weight)))
    {
        bail!("cross_entropy: expected {} class weights, finite and at least 0, got {weights:?}", dims[1]);
    }
    logits.contiguous()?.apply_op2(&targets, Forward(settings.clone()))
}

impl CrossEntropy {
    /// Of a position with this target.
    fn weight(&self, target: usize) -> f64 {
        match (self.ignored, &self.class_weights) {
            (Some(ignored), _) if ignored as usize == target => 0.0,
            (_, Some(weights)) => weights[target],
            (_, None) => 1.0,
        }
    }

    /// Weights of all targets together.
    ///
    /// # Errors
    /// If a target that counts is not in `0..classes`.
    fn total(&self, targets: &[i64], classes: usize) -> Result<f64> {
        let ignored = self.ignored.map(i64::from);
        let is_bad = |target: &&i64| !(0..classes as i64).contains(*target) && Some(**target) != ignored;
        match targets.iter().find(is_bad) {
            Some(bad) => bail!("cross_entropy: target {bad} is not a class in 0..{classes}"),
            None => Ok(targets.iter().map(|&target| self.weight(target as usize)).sum()),
        }
    }
}

struct Forward(CrossEntropy);

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        ll: &Layout,
        targets: &CpuStorage,
        tl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let targets = elements::<i64>(self.name(), targets, tl)?;
        let classes = ll.dims()[1];
        let weights = self.0.total(targets, classes)?;
        let loss = dispatch!(self.name(), logits, T => {
            let logits = elements::<T>(self.name(), logits, ll)?;
            let sums = positions(ll, targets.len()).into_par_iter().map(|part| {
                let mut sum = T::from_f64(0.0);
                for (first, step, target) in part.iter(ll, targets) {
                    let weight = self.0.weight(target);
                    if weight > 0.0 {
                        let at = |class: usize| logits[first + class * step];
                        let (max, normaliser) = normaliser(classes, at);
                        sum += (max + normaliser.ln() - at(target)) * T::from_f64(weight);
                    }
                }
                sum
            });
            let total = sums.collect::<Vec<T>>().into_iter().fold(T::from_f64(0.0), |total, sum| total + sum);
            T::to_cpu_storage_owned(vec![if weights > 0.0 { total / T::from_f64(weights) } else { total }])
        });
        Ok((loss, Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = logits.apply_op2_no_bwd(targets, &Backward(self.0.clone()))?;
        Ok((Some(gradient.broadcast_mul(grad)?), None))
    }
}

/// `w_i (softmax(logits_i) - onehot(target_i)) / sum_i w_i`.
struct Backward(CrossEntropy);

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "cross-entropy-backward"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        ll: &Layout,
        targets: &CpuStorage,
        tl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let targets = elements::<i64>(self.name(), targets, tl)?;
        let classes = ll.dims()[1];
        let weights = self.0.total(targets, classes)?;
        let result = dispatch!(self.name(), logits, T => {
            let logits = elements::<T>(self.name(), logits, ll)?;
            let mut result = vec![T::from_f64(0.0); logits.len()];
            let parts: Vec<(Part, Vec<T>)> = positions(ll, targets.len())
                .into_par_iter()
                .map(|part| {
                    let mut gradients = Vec::with_capacity(part.positions.len() * classes);
                    for (first, step, target) in part.iter(ll, targets) {
                        let weight = self.0.weight(target);
                        if weight == 0.0 {
                            gradients.resize(gradients.len() + classes, T::from_f64(0.0));
                            continue;
                        }
                        let scale = T::from_f64(weight / weights);
                        let (max, normaliser) = normaliser(classes, |class| logits[first + class * step]);
                        for class in 0..classes {
                            let softmax = (logits[first + class * step] - max).exp() / normaliser;
                            let onehot = T::from_f64(f64::from(class == target));
                            gradients.push((softmax - onehot) * scale);
                        }
                    }
                    (part, gradients)
                })
                .collect();
            for (part, gradients) in parts {
                for ((first, step, _), gradients) in part.iter(ll, targets).zip(gradients.chunks_exact(classes)) {
                    for (class, &gradient) in gradients.iter().enumerate() {
                        result[first + class * step] = gradient;
                    }
                }
            }
            T::to_cpu_storage_owned(result)
        });
        Ok((result, ll.shape().clone()))
    }
}

/// Positions that a thread does at a time; a constant, so that sums do not depend on the threads.
const POSITIONS_A_PART: usize = 4096;

/// Neighbouring positions of `[B, K, ...]`.
struct Part {
    positions: Range<usize>,
}

fn positions(layout: &Layout, count: usize) -> Vec<Part> {
    debug_assert_eq!(count * layout.dims()[1], layout.shape().elem_count());
    let part = |start| Part { positions: start..(start + POSITIONS_A_PART).min(count) };
    (0..count).step_by(POSITIONS_A_PART).map(part).collect()
}

impl Part {
    /// For each position: the index of its class 0, the step between classes, its target.
    fn iter(&self, layout: &Layout, targets: &[i64]) -> impl Iterator<Item = (usize, usize, usize)> {
        let dims = layout.dims();
        let (classes, pixels) = (dims[1], dims[2..].iter().product::<usize>());
        let place = move |position: usize| position / pixels * classes * pixels + position % pixels;
        let own = targets[self.positions.clone()].iter();
        self.positions.clone().zip(own).map(move |(position, &target)| (place(position), pixels, target as usize))
    }
}

/// The largest logit and `sum_k exp(logit_k - largest)`.
fn normaliser<T: Element>(classes: usize, at: impl Fn(usize) -> T) -> (T, T) {
    let max = (1..classes).map(&at).fold(at(0), |a, b| if a < b { b } else { a });
    (max, (0..classes).map(|class| (at(class) - max).exp()).sum())
}
