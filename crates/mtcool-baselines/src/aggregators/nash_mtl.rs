//! Nash-MTL: the direction is the solution of a bargaining problem between the tasks.

use mtcool_core::{Aggregator, Combination, Convention, Error, Jacobian, Result};

use crate::checks::at_least_zero;
use crate::memory;
use crate::solver::{Cholesky, ROUNDING, inner, product};

/// Nash-MTL (Navon et al. 2022, *Multi-task learning as a bargaining game*).
///
/// 1. every `update_weights_every` steps, the `a > 0` with `G a = 1 / a` (element by element), G the Gramian: its direction
///    maximises `sum_i log(g_i . d)` over a ball; in the steps in between the weights stay the same
/// 2. `d = sum_i a_i g_i`, shortened to the length `max_norm` where it is longer (0: never)
///
/// `a` minimises the convex function `1/2 a^T G a - sum_i log a_i`. Newton's method finds it on gradients scaled to unit length,
/// so that different lengths do no harm. In a step that updates the weights, `g_i . d = 1 / a_i > 0` for every task before
/// shortening, and the length of d is `sqrt(T)`, whatever the lengths of the gradients are: the direction follows neither the
/// convention of the sum nor that of the mean, and is used as it is. Where the gradients cancel (Pareto-stationary points)
/// there is no such a; the weights are then 0 and the shared parameters stay where they are. Near such points a is large, which
/// is why the authors set `max_norm` to 1. A task whose gradient is zero gets the weight 0.
///
/// Cost of a step: one backward pass per task, the Gramian, about ten linear systems of T unknowns.
#[derive(Clone, Debug)]
pub struct NashMtl {
    max_norm: f64,
    update_weights_every: u64,
    /// The weights of the last update; empty before the first.
    weights: Vec<f64>,
}

/// If a weight of a unit gradient is larger than this, the gradients cancel to the precision of a Gramian.
const LARGEST: f64 = 1e6;
/// Newton steps before the search is given up.
const MAX_STEPS: usize = 500;

impl NashMtl {
    /// `max_norm` is at least 0 (0: no limit; the authors': 1), `update_weights_every` at least 1.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(max_norm: f64, update_weights_every: u64) -> Result<Self> {
        let max_norm = at_least_zero("max_norm", max_norm)?;
        if update_weights_every == 0 {
            return Err(Error::out_of_range("update_weights_every", update_weights_every, "at least 1"));
        }
        Ok(Self { max_norm, update_weights_every, weights: Vec::new() })
    }

    /// The solution `[T]` of `G a = 1 / a`, with 0 for rows that are zero; all 0 if there is no solution.
    fn bargain(gramian: &[Vec<f64>]) -> Result<Vec<f64>> {
        let tasks = gramian.len();
        let lengths: Vec<f64> = (0..tasks).map(|i| gramian[i][i].sqrt()).collect();
        let present: Vec<usize> = (0..tasks).filter(|&i| lengths[i] > 0.0).collect();
        let cosine = |&i: &usize, &j: &usize| gramian[i][j] / lengths[i] / lengths[j];
        let cosines: Vec<Vec<f64>> = present.iter().map(|i| present.iter().map(|j| cosine(i, j)).collect()).collect();
        let mut weights = vec![0.0; tasks];
        for (i, share) in present.iter().zip(unit_bargain(&cosines)?) {
            weights[*i] = share / lengths[*i];
        }
        Ok(weights)
    }
}

/// The solution of `C b = 1 / b` for a matrix of cosines, by damped Newton steps; zeros if b grows without limit.
fn unit_bargain(cosines: &[Vec<f64>]) -> Result<Vec<f64>> {
    let mut b = vec![1.0; cosines.len()];
    for _ in 0..MAX_STEPS {
        let gradient: Vec<f64> = product(cosines, &b).iter().zip(&b).map(|(c, b)| c - 1.0 / b).collect();
        let mut hessian = cosines.to_vec();
        for (i, b) in b.iter().enumerate() {
            hessian[i][i] += 1.0 / (b * b);
        }
        if b.iter().any(|b| *b > LARGEST) {
            return Ok(vec![0.0; b.len()]);
        }
        let Some(factor) = Cholesky::new(&hessian) else { return Ok(vec![0.0; b.len()]) };
        let step = factor.solve(&gradient);
        // The function is self-concordant, so steps damped this way keep b positive and converge from any start.
        let decrement = inner(&gradient, &step).max(0.0).sqrt();
        let damping = if decrement > 0.25 { 1.0 / (1.0 + decrement) } else { 1.0 };
        b.iter_mut().zip(&step).for_each(|(b, step)| *b -= damping * step);
        // Rounding changes the gradient by about `2^-52 |b|`, and its entries have the size of `1 / b`.
        let largest = b.iter().copied().fold(1.0, f64::max);
        if decrement <= ROUNDING * b.len() as f64 * largest * largest {
            return Ok(b);
        }
    }
    Err(Error::Mismatch {
        what: format!("Nash-MTL for {} tasks", b.len()),
        expected: format!("a solution within {MAX_STEPS} steps"),
        got: format!("none; weights so far {b:?}"),
    })
}

impl Aggregator for NashMtl {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        let gramian = jacobian.gramian()?;
        if iteration.is_multiple_of(self.update_weights_every) || self.weights.len() != gramian.len() {
            self.weights = Self::bargain(gramian)?;
        }
        let length = inner(&product(gramian, &self.weights), &self.weights).max(0.0).sqrt();
        let factor = if self.max_norm > 0.0 && length > self.max_norm { self.max_norm / length } else { 1.0 };
        Ok(Combination::Weights(self.weights.iter().map(|weight| factor * weight).collect()))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The length does not depend on the lengths of the gradients.
    fn convention(&self) -> Convention {
        Convention::AsIs
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("weight", &self.weights)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.weights] = memory::load(state, ["weight"])?;
        Ok(())
    }
}
