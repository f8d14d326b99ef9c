//! CAGrad: near the mean gradient, the direction that is best for the task that gains least.

use mtcool_core::{Aggregator, Combination, Convention, Jacobian, Result};

use crate::checks::at_least_zero;
use crate::solver::{
    Affine, Hull, Matrix, Objective, ROUNDING, inner, magnitude, minimize, normalized, product, shortest_above,
};

/// What the direction is divided by, with the number that the authors' program has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rescale {
    /// By 1 (0).
    #[default]
    None,
    /// By `1 + c^2` (1).
    Square,
    /// By `1 + c` (2).
    Linear,
}

/// CAGrad (Liu et al. 2021, *Conflict-averse gradient descent for multi-task learning*).
///
/// 1. `g0 = 1/T sum_i g_i`; for w on the simplex, `g_w = sum_i w_i g_i`
/// 2. `w = argmin g_w . g0 + c |g0| |g_w|`
/// 3. `d = g0 + c |g0| g_w / |g_w|`, divided by 1, `1 + c^2` or `1 + c` (rescale 0, 1, 2)
///
/// Of all d with `|d - g0| <= c |g0|`, this one (before the division) has the largest `min_i g_i . d`. On the affine hull of any
/// set of gradients, step 2 has a closed form, so active sets solve it exactly. Where the best value is 0 (`g_w = 0`, for
/// example because a gradient is zero), d is not unique; we take the one nearest to g0 that conflicts with no task.
///
/// Where all gradients are equal to g, `d = (1 + c) g` before the division: with rescale 0 and 1 the direction is longer than
/// the mean gradient by `1 + c` and `(1 + c) / (1 + c^2)`, with rescale 2 it is as long.
///
/// Cost of a step: one backward pass per task, the Gramian, a problem of T unknowns. With c < 1 it converges to a point where
/// the mean loss is stationary; c = 0 gives the mean gradient, and with a large c the direction approaches that of MGDA.
#[derive(Clone, Copy, Debug)]
pub struct CaGrad {
    c: f64,
    rescale: Rescale,
}

impl CaGrad {
    /// CAGrad with the radius `c` (the authors': 0.4) and this division.
    ///
    /// # Errors
    /// If `c` is negative or not finite.
    pub fn new(c: f64, rescale: Rescale) -> Result<Self> {
        Ok(Self { c: at_least_zero("c", c)?, rescale })
    }

    /// The weights `[T]` of d before the division.
    fn weights(&self, gramian: &Matrix) -> Result<Vec<f64>> {
        let tasks = gramian.len();
        let mean = vec![1.0 / tasks as f64; tasks];
        let Some(gramian) = normalized(gramian) else { return Ok(mean) };
        let along_mean = product(&gramian, &mean);
        let squared_mean = inner(&along_mean, &mean);
        // The length of a mean gradient that consists of rounding alone says nothing.
        if self.c == 0.0 || squared_mean <= NOTHING * inner(&magnitude(&gramian, &mean), &mean) {
            return Ok(mean);
        }
        let objective = Regret { gramian: &gramian, along_mean, radius: self.c * squared_mean.sqrt() };
        // `repair` takes g0 to the nearest direction that conflicts with no task; where g0 itself conflicts with none, it is 0.
        let projected = shortest_above(&gramian, &mean)?;
        let repair: Vec<f64> = projected.iter().zip(&mean).map(|(projected, mean)| projected - mean).collect();
        let total: f64 = repair.iter().sum();
        let start =
            if total > 0.0 { repair.iter().map(|weight| weight / total).collect() } else { objective.best_corner() };
        let w = minimize(&objective, start)?;
        let (squared, is_zero) = objective.squared_length(&w);
        if !is_zero {
            let factor = objective.radius / squared.sqrt();
            return Ok(mean.iter().zip(w).map(|(mean, w)| mean + factor * w).collect());
        }
        let length = inner(&product(&gramian, &repair), &repair).max(0.0).sqrt();
        let factor = if length > objective.radius { objective.radius / length } else { 1.0 };
        Ok(mean.iter().zip(repair).map(|(mean, repair)| mean + factor * repair).collect())
    }
}

/// A squared length below this, relative to the absolute values of its terms, is rounding.
const NOTHING: f64 = 1e-13;

/// `g_w . g0 + radius |g_w|`.
struct Regret<'a> {
    gramian: &'a Matrix,
    /// `g_i . g0`.
    along_mean: Vec<f64>,
    /// `c |g0|`.
    radius: f64,
}

impl Regret<'_> {
    /// `|g_w|^2`, and whether it consists of rounding alone.
    fn squared_length(&self, w: &[f64]) -> (f64, bool) {
        let squared = inner(&product(self.gramian, w), w);
        (squared, squared <= NOTHING * inner(&magnitude(self.gramian, w), w))
    }

    /// All weight on the row with the smallest value of the objective; rows that are zero are left out.
    fn best_corner(&self) -> Vec<f64> {
        let regret = |&i: &usize| self.along_mean[i] + self.radius * self.gramian[i][i].sqrt();
        let rows = (0..self.gramian.len()).filter(|&i| self.gramian[i][i] > 0.0);
        let best = rows.min_by(|i, j| regret(i).total_cmp(&regret(j)));
        let mut corner = vec![0.0; self.gramian.len()];
        corner[best.unwrap_or_default()] = 1.0;
        corner
    }
}

impl Objective for Regret<'_> {
    fn name(&self) -> &'static str {
        "CAGrad"
    }

    fn value(&self, w: &[f64]) -> f64 {
        inner(&self.along_mean, w) + self.radius * self.squared_length(w).0.max(0.0).sqrt()
    }

    fn gradient(&self, w: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (squared, is_zero) = self.squared_length(w);
        if is_zero {
            return (self.along_mean.clone(), vec![f64::INFINITY; w.len()]);
        }
        let factor = self.radius / squared.sqrt();
        let gradient = product(self.gramian, w).iter().zip(&self.along_mean).map(|(g, b)| b + factor * g).collect();
        let mean = vec![1.0 / w.len() as f64; w.len()];
        let rounding = magnitude(self.gramian, w)
            .iter()
            .zip(magnitude(self.gramian, &mean))
            .map(|(g, b)| ROUNDING * (b + factor * g))
            .collect();
        (gradient, rounding)
    }

    /// Let p be the hull's point nearest to the origin and q the projection of g0 onto the hull's directions. The minimum is at
    /// `g_w = p - t q`, `t = |p| / sqrt(radius^2 - |q|^2)`; if `|q| >= radius` there is none: the value falls without end
    /// along -q.
    fn on_hull(&self, set: &[usize]) -> Hull {
        let Some(hull) = Affine::new(self.gramian, set) else { return Hull::Dependent };
        let (p, squared_p) = hull.nearest();
        let h = hull.along(&self.along_mean);
        let q = hull.project(&h);
        let rest = self.radius * self.radius - inner(&h, &q);
        if rest <= 0.0 {
            let against_q: Vec<f64> = q.iter().map(|q| -q).collect();
            return Hull::Descent(hull.weights(&against_q, set, 0.0));
        }
        let t = (squared_p.max(0.0) / rest).sqrt();
        let x: Vec<f64> = p.iter().zip(q).map(|(p, q)| p - t * q).collect();
        Hull::Minimum(hull.weights(&x, set, 1.0))
    }
}

impl Aggregator for CaGrad {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let divisor = match self.rescale {
            Rescale::None => 1.0,
            Rescale::Square => 1.0 + self.c * self.c,
            Rescale::Linear => 1.0 + self.c,
        };
        let weights = self.weights(jacobian.gramian()?)?;
        Ok(Combination::Weights(weights.iter().map(|weight| weight / divisor).collect()))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The direction is near the mean gradient.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
