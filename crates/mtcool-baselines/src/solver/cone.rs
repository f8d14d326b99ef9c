//! The shortest `sum_i v_i g_i` with every `v_i` at least `u_i`, by active sets (Lawson and Hanson, *Solving least squares
//! problems*, 1974, chapter 23).
//!
//! If u holds the weights of a vector, the solution is that vector's projection onto the cone of directions that conflict with
//! no gradient.

use mtcool_core::{Error, Result};

use super::cholesky::Cholesky;
use super::matrix::{Matrix, ROUNDING, inner, magnitude, product};

/// `argmin v^T A v` over `v >= u`, for a positive semi-definite `matrix` A `[T, T]`.
///
/// # Errors
/// If no optimum is found, which happens only where `matrix` has NaNs.
pub(crate) fn shortest_above(matrix: &Matrix, u: &[f64]) -> Result<Vec<f64>> {
    let tasks = u.len();
    let mut v = u.to_vec();
    // Entries that may differ from their bounds, and entries whose release turned out not to help at the present point.
    let (mut free, mut useless): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for _ in 0..100 * tasks * tasks {
        let (gradient, magnitude) = (product(matrix, &v), magnitude(matrix, &v));
        let candidates = (0..tasks).filter(|i| !free.contains(i) && !useless.contains(i));
        let slope = |i: usize| gradient[i] + ROUNDING * magnitude[i];
        let steepness = |i: usize| slope(i) / matrix[i][i].sqrt();
        let falling = candidates.filter(|&i| slope(i) < 0.0 && matrix[i][i] > 0.0);
        let Some(entering) = falling.min_by(|&i, &j| steepness(i).total_cmp(&steepness(j))) else {
            return Ok(v);
        };
        let before = (free.clone(), v.clone());
        free.push(entering);
        // Rounding could lead in circles; a step that must make the value smaller cannot.
        let size = |v: &[f64]| inner(&product(matrix, v), v);
        if descend(matrix, u, &mut free, &mut v) && size(&v) < size(&before.1) {
            useless.clear();
        } else {
            (free, v) = before;
            useless.push(entering);
        }
    }
    Err(Error::Mismatch {
        what: format!("the projection onto the dual cone of {tasks} gradients"),
        expected: format!("an optimum within {} steps", 100 * tasks * tasks),
        got: "none: are there NaNs among the gradients?".into(),
    })
}

/// Moves to the minimum over the free entries; an entry that reaches its bound on the way stays there and is no longer free.
/// Returns whether the minimum exists to working precision.
fn descend(matrix: &Matrix, u: &[f64], free: &mut Vec<usize>, v: &mut [f64]) -> bool {
    while !free.is_empty() {
        let block: Vec<Vec<f64>> = free.iter().map(|&i| free.iter().map(|&j| matrix[i][j]).collect()).collect();
        let Some(factor) = Cholesky::new(&block) else {
            return false;
        };
        // The free entries are at rest where `A_free x = -A u_bound`.
        let bound: Vec<f64> = (0..u.len()).map(|i| if free.contains(&i) { 0.0 } else { u[i] }).collect();
        let pull: Vec<f64> = product(matrix, &bound);
        let target = factor.solve(&free.iter().map(|&i| -pull[i]).collect::<Vec<_>>());
        // Which part of the way to the target entry `at` can go before it reaches its bound.
        let until_bound = |at: usize| match free[at] {
            i if target[at] > u[i] => f64::INFINITY,
            i if v[i] > u[i] => (v[i] - u[i]) / (v[i] - target[at]),
            _ => 0.0,
        };
        let first = (0..free.len()).min_by(|&a, &b| until_bound(a).total_cmp(&until_bound(b)));
        let Some((first, length)) = first.map(|at| (at, until_bound(at))).filter(|(_, length)| length.is_finite())
        else {
            free.iter().zip(target).for_each(|(&i, target)| v[i] = target);
            return true;
        };
        for (at, &i) in free.iter().enumerate() {
            v[i] = (v[i] + length * (target[at] - v[i])).max(u[i]);
        }
        let i = free.remove(first);
        v[i] = u[i];
    }
    true
}
