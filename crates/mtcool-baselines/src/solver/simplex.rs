//! Minima of convex functions on the simplex, by active sets: Wolfe's minimum-norm-point method, for any function that can be
//! minimised exactly on the affine hull of a few corners.
//!
//! 1. corner j = the smallest entry of the gradient; if it is not smaller than the gradient along w, w is optimal (the
//!    Frank-Wolfe gap is 0)
//! 2. add j to the set; move to the minimum on the set's affine hull, or until a weight reaches 0 and leaves the set; repeat
//!
//! No set is met twice, so the method ends after finitely many steps; its result is exact but for rounding. Wolfe, *Finding the nearest
//! point in a polytope*, 1976.

use mtcool_core::{Error, Result};

use super::cholesky::Cholesky;
use super::matrix::{Matrix, ROUNDING, inner, magnitude, normalized, product};

/// A convex function of the weights `[T]`.
pub(crate) trait Objective {
    /// The name of the problem in error messages.
    fn name(&self) -> &'static str;

    /// The value at `w`.
    fn value(&self, w: &[f64]) -> f64;

    /// The gradient at `w`, and how large the rounding error of each entry may be. An infinite rounding error says that `w` is
    /// optimal.
    fn gradient(&self, w: &[f64]) -> (Vec<f64>, Vec<f64>);

    /// The minimum on the affine hull of the corners `set`.
    fn on_hull(&self, set: &[usize]) -> Hull;
}

/// The minimum on an affine hull. The entries of the lists belong to the corners of the set, in the order of the set.
pub(crate) enum Hull {
    /// The minimum has these weights, whose sum is 1.
    Minimum(Vec<f64>),
    /// There is no minimum: the value falls without end in this direction, whose sum is 0.
    Descent(Vec<f64>),
    /// To working precision, one of the corners lies in the affine hull of the others.
    Dependent,
}

/// The minimum of `objective` on the simplex, from `start`, whose corners are affinely independent.
///
/// # Errors
/// If no optimum is found, which happens only where the objective has NaNs.
pub(crate) fn minimize(objective: &impl Objective, start: Vec<f64>) -> Result<Vec<f64>> {
    let tasks = start.len();
    let mut set: Vec<usize> = (0..tasks).filter(|&i| start[i] > 0.0).collect();
    let mut w = start;
    // Corners that turned out not to make the value smaller at the present point.
    let mut useless: Vec<usize> = Vec::new();
    descend(objective, &mut set, &mut w);
    for _ in 0..100 * tasks * tasks {
        let (gradient, rounding) = objective.gradient(&w);
        let (level, level_rounding) = (inner(&gradient, &w), inner(&rounding, &w));
        let candidates = (0..tasks).filter(|i| !set.contains(i) && !useless.contains(i));
        let gap = |i: usize| gradient[i] - level + rounding[i] + level_rounding;
        let Some(entering) = candidates.filter(|&i| gap(i) < 0.0).min_by(|&i, &j| gap(i).total_cmp(&gap(j))) else {
            return Ok(w);
        };
        let before = (set.clone(), w.clone());
        set.push(entering);
        // Rounding could lead in circles; a step that must make the value smaller cannot.
        if descend(objective, &mut set, &mut w) && objective.value(&w) < objective.value(&before.1) {
            useless.clear();
        } else {
            (set, w) = before;
            useless.push(entering);
        }
    }
    Err(Error::Mismatch {
        what: format!("{} for {tasks} tasks", objective.name()),
        expected: format!("an optimum within {} steps", 100 * tasks * tasks),
        got: "none: are there NaNs among the gradients?".into(),
    })
}

/// Moves to the minimum on the hull of `set`; a corner whose weight reaches 0 on the way leaves the set. Returns false if the
/// corners are dependent to working precision, or the value falls without end.
fn descend(objective: &impl Objective, set: &mut Vec<usize>, w: &mut [f64]) -> bool {
    while set.len() > 1 {
        let now: Vec<f64> = set.iter().map(|&i| w[i]).collect();
        let (step, is_bounded): (Vec<f64>, _) = match objective.on_hull(set) {
            Hull::Minimum(target) if target.iter().all(|&weight| weight > 0.0) => {
                set.iter().zip(target).for_each(|(&i, weight)| w[i] = weight);
                return true;
            }
            Hull::Minimum(target) => (target.iter().zip(&now).map(|(target, now)| target - now).collect(), true),
            Hull::Descent(direction) => (direction, false),
            Hull::Dependent => return false,
        };
        // Which part of the step entry `at` can go before its weight is 0.
        let until_zero = |at: usize| match step[at] {
            step if step < 0.0 => -now[at] / step,
            // A weight that is 0 and has to stay 0 at the minimum.
            _ if is_bounded && now[at] == 0.0 && step[at] == 0.0 => 0.0,
            _ => f64::INFINITY,
        };
        let Some(first) = (0..set.len()).min_by(|&a, &b| until_zero(a).total_cmp(&until_zero(b))) else {
            return false;
        };
        let length = until_zero(first);
        if !length.is_finite() {
            return false;
        }
        for (at, &i) in set.iter().enumerate() {
            w[i] = (now[at] + length * step[at]).max(0.0);
        }
        w[set.remove(first)] = 0.0;
    }
    if let [only] = set[..] {
        w[only] = 1.0;
    }
    true
}

/// The affine hull of some gradients, described by their differences from the shortest of them: its point nearest to the
/// origin, and projections onto it.
pub(crate) struct Affine<'a> {
    gramian: &'a Matrix,
    base: usize,
    others: Vec<usize>,
    /// The factors of the Gramian of the differences `D_i = g_i - g_base`; `None` if there is only one gradient.
    differences: Option<Cholesky>,
}

impl<'a> Affine<'a> {
    /// The hull of the gradients `set`; `None` if they are affinely dependent to working precision.
    pub(crate) fn new(gramian: &'a Matrix, set: &[usize]) -> Option<Self> {
        let base = *set.iter().min_by(|&&i, &&j| gramian[i][i].total_cmp(&gramian[j][j]))?;
        let others: Vec<usize> = set.iter().copied().filter(|&i| i != base).collect();
        if others.is_empty() {
            return Some(Self { gramian, base, others, differences: None });
        }
        let g = |i: usize, j: usize| gramian[i][j];
        let difference = |&i: &usize, &j: &usize| g(i, j) - g(i, base) - g(j, base) + g(base, base);
        let matrix: Vec<Vec<f64>> = others.iter().map(|i| others.iter().map(|j| difference(i, j)).collect()).collect();
        let differences = Some(Cholesky::new(&matrix)?);
        Some(Self { gramian, base, others, differences })
    }

    /// The coordinates x of the projection `sum_i x_i D_i` of a vector v onto the differences, from `h_i = D_i . v`.
    pub(crate) fn project(&self, h: &[f64]) -> Vec<f64> {
        self.differences.as_ref().map_or_else(Vec::new, |differences| differences.solve(h))
    }

    /// `D_i . v` of a vector v, from `products[i] = g_i . v`.
    pub(crate) fn along(&self, products: &[f64]) -> Vec<f64> {
        self.others.iter().map(|&i| products[i] - products[self.base]).collect()
    }

    /// The coordinates of the point nearest to the origin, and its squared length.
    pub(crate) fn nearest(&self) -> (Vec<f64>, f64) {
        let h = self.along(&self.gramian[self.base]);
        let x: Vec<f64> = self.project(&h).iter().map(|x| -x).collect();
        let length = self.gramian[self.base][self.base] + inner(&x, &h);
        (x, length)
    }

    /// The coordinates as weights of the gradients in `set`; the base gets the weight that makes their sum `sum`.
    pub(crate) fn weights(&self, x: &[f64], set: &[usize], sum: f64) -> Vec<f64> {
        let weight = |i: &usize| match self.others.iter().position(|other| other == i) {
            Some(at) => x[at],
            None => sum - x.iter().sum::<f64>(),
        };
        set.iter().map(weight).collect()
    }
}

/// `1/2 |sum_i w_i g_i|^2`.
struct HalfSquaredNorm<'a>(&'a Matrix);

impl Objective for HalfSquaredNorm<'_> {
    fn name(&self) -> &'static str {
        "the shortest convex combination of the gradients"
    }

    fn value(&self, w: &[f64]) -> f64 {
        0.5 * inner(&product(self.0, w), w)
    }

    fn gradient(&self, w: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let rounding = magnitude(self.0, w).iter().map(|magnitude| ROUNDING * magnitude).collect();
        (product(self.0, w), rounding)
    }

    fn on_hull(&self, set: &[usize]) -> Hull {
        match Affine::new(self.0, set) {
            Some(hull) => Hull::Minimum(hull.weights(&hull.nearest().0, set, 1.0)),
            None => Hull::Dependent,
        }
    }
}

/// The weights on the simplex of the shortest `sum_i w_i g_i`; equal weights if all gradients are zero.
///
/// # Errors
/// If no optimum is found, which happens only where the Gramian has NaNs.
pub(crate) fn shortest_on_simplex(gramian: &Matrix) -> Result<Vec<f64>> {
    let tasks = gramian.len();
    let Some(gramian) = normalized(gramian) else {
        return Ok(vec![1.0 / tasks as f64; tasks]);
    };
    let mut start = vec![0.0; tasks];
    let shortest = (0..tasks).min_by(|&i, &j| gramian[i][i].total_cmp(&gramian[j][j]));
    start[shortest.unwrap_or_default()] = 1.0;
    minimize(&HalfSquaredNorm(&gramian), start)
}
