//! CAGrad: near the mean gradient, the direction that serves the worst-off task best.

use mtcool_core::{Aggregator, Combination, Error, Jacobian, Result};

use crate::solver::{
    Affine, Hull, Matrix, Objective, ROUNDING, inner, magnitude, minimize, normalized, product, shortest_above,
};

/// What the direction is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rescale {
    /// Nothing (0).
    #[default]
    None,
    /// `1 + c^2` (1).
    Square,
    /// `1 + c` (2).
    Linear,
}

/// CAGrad (Liu et al. 2021, *Conflict-averse gradient descent for multi-task learning*).
///
/// 1. `g0 = 1/T sum_i g_i`; for w on the simplex, `g_w = sum_i w_i g_i`
/// 2. `w = argmin g_w . g0 + c |g0| |g_w|`
/// 3. `d = g0 + c |g0| g_w / |g_w|`, divided by 1, `1 + c^2` or `1 + c` (rescale 0, 1, 2)
///
/// Of all d with `|d - g0| <= c |g0|` it has the largest `min_i g_i . d`. On each affine hull of gradients step 2 has a closed
/// form, so active sets solve it exactly. Where the best value is 0 (`g_w = 0`, such as a zero gradient), d is not unique; we
/// take the one nearest to g0 that conflicts with no task.
///
/// Cost of a step: a backward pass a task, the Gramian, a problem of T unknowns. With c < 1 it converges to a point where the
/// mean loss is stationary; c = 0 is the mean gradient, a large c approaches MGDA.
#[derive(Clone, Copy, Debug)]
pub struct CaGrad {
    c: f64,
    rescale: Rescale,
}

impl CaGrad {
    /// # Errors
    /// If `c` is negative or not finite.
    pub fn new(c: f64, rescale: Rescale) -> Result<Self> {
        match c >= 0.0 && c.is_finite() {
            true => Ok(Self { c, rescale }),
            false => Err(Error::out_of_range("c", c, "at least 0")),
        }
    }

    /// The weights `[T]` of d before rescaling.
    fn weights(&self, gramian: &Matrix) -> Result<Vec<f64>> {
        let tasks = gramian.len();
        let mean = vec![1.0 / tasks as f64; tasks];
        let Some((gramian, _)) = normalized(gramian) else { return Ok(mean) };
        let along_mean = product(&gramian, &mean);
        let squared_mean = inner(&along_mean, &mean);
        // A mean gradient that is all rounding has no length to go by.
        if self.c == 0.0 || squared_mean <= NOTHING * inner(&magnitude(&gramian, &mean), &mean) {
            return Ok(mean);
        }
        let objective = Regret { gramian: &gramian, along_mean, radius: self.c * squared_mean.sqrt() };
        // From where g0 is mended fastest; if it conflicts with no task, from the best corner.
        let mended = shortest_above(&gramian, &mean)?;
        let mending: Vec<f64> = mended.iter().zip(&mean).map(|(mended, mean)| mended - mean).collect();
        let total: f64 = mending.iter().sum();
        let start = match total > 0.0 {
            true => mending.iter().map(|weight| weight / total).collect(),
            false => objective.best_corner(),
        };
        let w = minimize(&objective, start)?;
        let (squared, is_zero) = objective.squared_length(&w);
        if !is_zero {
            let factor = objective.radius / squared.sqrt();
            return Ok(mean.iter().zip(w).map(|(mean, w)| mean + factor * w).collect());
        }
        let length = inner(&product(&gramian, &mending), &mending).max(0.0).sqrt();
        let factor = if length > objective.radius { objective.radius / length } else { 1.0 };
        Ok(mean.iter().zip(mending).map(|(mean, mending)| mean + factor * mending).collect())
    }
}

/// Relative to what was added up, a squared length below this is no more than rounding.
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
    /// `|g_w|^2`, and whether it is nothing but rounding.
    fn squared_length(&self, w: &[f64]) -> (f64, bool) {
        let squared = inner(&product(self.gramian, w), w);
        (squared, squared <= NOTHING * inner(&magnitude(self.gramian, w), w))
    }

    /// All weight on the row of least regret, zero rows aside.
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

    /// With p the hull's point nearest the origin and q the projection of g0 onto the hull's directions, `g_w = p - t q`,
    /// `t = |p| / sqrt(radius^2 - |q|^2)`; if `|q| >= radius` it falls forever along -q.
    fn on_hull(&self, set: &[usize]) -> Hull {
        let Some(hull) = Affine::new(self.gramian, set) else { return Hull::Dependent };
        let (p, squared_p) = hull.nearest();
        let h = hull.along(&self.along_mean);
        let q = hull.project(&h);
        let rest = self.radius * self.radius - inner(&h, &q);
        if rest <= 0.0 {
            let back: Vec<f64> = q.iter().map(|q| -q).collect();
            return Hull::Descent(hull.weights(&back, set, 0.0));
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
}
