//! Nash-MTL: the tasks bargain for a direction.

use mtcool_core::{Aggregator, Combination, Error, Jacobian, Result};

use crate::memory;
use crate::solver::{Cholesky, ROUNDING, inner, product};

/// Nash-MTL (Navon et al. 2022, *Multi-task learning as a bargaining game*).
///
/// 1. every `update_weights_every` steps, the `a > 0` with `G a = 1 / a` (element by element), G the Gramian: the
///    maximiser of `sum_i log(g_i . d)` over a ball; in between, the weights stay
/// 2. `d = sum_i a_i g_i`, of length `sqrt(T)` in steps of an update; shortened to `max_norm` where it exceeds it (0: never)
///
/// `a` minimises the convex `1/2 a^T G a - sum_i log a_i`, found by Newton's method on gradients scaled to unit length, which
/// makes it immune to their scales. Every task gains in steps of an update: `g_i . d = 1 / a_i > 0` before shortening.
/// Where gradients cancel (Pareto-stationary points) there is no such a: the weights are 0 and nothing moves. Near them a is
/// large, which is why the authors have `max_norm` 1. A task whose gradient is zero has no say.
///
/// Cost of a step: a backward pass a task, the Gramian, some ten systems of T unknowns.
#[derive(Clone, Debug)]
pub struct NashMtl {
    max_norm: f64,
    update_weights_every: u64,
    /// Those of the last update; none before the first.
    weights: Vec<f64>,
}

/// Of the weights of unit gradients: beyond, they cancel to the precision of a Gramian.
const LARGEST: f64 = 1e6;
const MAX_STEPS: usize = 500;

impl NashMtl {
    /// # Errors
    /// Unless `max_norm` is at least 0 and `update_weights_every` at least 1.
    pub fn new(max_norm: f64, update_weights_every: u64) -> Result<Self> {
        if !(max_norm >= 0.0 && max_norm.is_finite()) {
            return Err(Error::out_of_range("max_norm", max_norm, "at least 0"));
        }
        if update_weights_every == 0 {
            return Err(Error::out_of_range("update_weights_every", update_weights_every, "at least 1"));
        }
        Ok(Self { max_norm, update_weights_every, weights: Vec::new() })
    }

    /// The solution of `G a = 1 / a`, 0 for zero rows; all 0 if there is none.
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

/// `C b = 1 / b` for a matrix of cosines, by damped Newton steps; zeros if it runs off to infinity.
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
        // The function is self-concordant: such steps stay positive and converge from anywhere.
        let decrement = inner(&gradient, &step).max(0.0).sqrt();
        let damping = if decrement > 0.25 { 1.0 / (1.0 + decrement) } else { 1.0 };
        b.iter_mut().zip(&step).for_each(|(b, step)| *b -= damping * step);
        // The gradient is rounded by about `2^-52 |b|`, in units of `1 / b`.
        let largest = b.iter().copied().fold(1.0, f64::max);
        if decrement <= ROUNDING * b.len() as f64 * largest * largest {
            return Ok(b);
        }
    }
    Err(Error::Mismatch {
        what: format!("Nash-MTL for {} tasks", b.len()),
        expected: format!("a bargain within {MAX_STEPS} steps"),
        got: format!("none; shares so far {b:?}"),
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

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("weight", &self.weights)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.weights] = memory::load(state, ["weight"])?;
        Ok(())
    }
}
