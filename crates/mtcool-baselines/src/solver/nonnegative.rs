//! Quadratic programs over weights that are at least 0, by active sets: the duals of projections onto half-spaces.

use mtcool_core::{Error, Result};

use super::cholesky::Cholesky;
use super::matrix::{Matrix, ROUNDING, inner, magnitude, product};

/// `argmin 1/2 v^T A v + b^T v` over `v >= 0`, for a positive semi-definite `matrix` A `[T, T]`; `None` if the value falls without
/// end, so that the problem of which this is the dual has no feasible point.
///
/// # Errors
/// If no optimum is found, which happens only where the inputs have NaNs.
pub(crate) fn minimize_nonnegative(matrix: &Matrix, b: &[f64]) -> Result<Option<Vec<f64>>> {
    let count = b.len();
    let (mut v, mut free) = (vec![0.0; count], Vec::new());
    // Entries whose release turned out not to help at the present point.
    let mut useless: Vec<usize> = Vec::new();
    let mut stalled = 0;
    let value = |v: &[f64]| 0.5 * inner(&product(matrix, v), v) + inner(b, v);
    for _ in 0..100 * (count + 1) * (count + 1) {
        let slopes: Vec<f64> = product(matrix, &v).iter().zip(b).map(|(a, b)| a + b).collect();
        let sizes: Vec<f64> = magnitude(matrix, &v).iter().zip(b).map(|(a, b)| a + b.abs()).collect();
        let steepness = |i: usize| slopes[i] / matrix[i][i].sqrt();
        let candidates = (0..count).filter(|i| !free.contains(i) && !useless.contains(i) && matrix[*i][*i] > 0.0);
        let falling = candidates.filter(|&i| slopes[i] < -ROUNDING * count as f64 * sizes[i]);
        let Some(entering) = falling.min_by(|&i, &j| steepness(i).total_cmp(&steepness(j))) else {
            return Ok(Some(v));
        };
        let before = (free.clone(), v.clone());
        if !descend(matrix, b, &mut free, &mut v, entering) {
            return Ok(None);
        }
        // Rounding could lead in circles; steps that must make the value smaller cannot. A few last steps are too short to change it.
        let is_smaller = value(&v) < value(&before.1);
        if is_smaller || stalled < count {
            stalled = if is_smaller { 0 } else { stalled + 1 };
            useless.clear();
        } else {
            (free, v) = before;
            useless.push(entering);
        }
    }
    Err(Error::Mismatch {
        what: format!("a quadratic program over {count} weights"),
        expected: "an optimum".into(),
        got: "none: are there NaNs among the gradients?".into(),
    })
}

/// Moves to the minimum over the free entries and `entering`; entries that reach 0 on the way are no longer free. Returns false
/// if the value falls without end.
fn descend(matrix: &Matrix, b: &[f64], free: &mut Vec<usize>, v: &mut [f64], entering: usize) -> bool {
    loop {
        let Along { steps, is_bounded } = direction(matrix, b, free, v, entering);
        // The entry that is 0 first, and after which part of the steps.
        let mut first = (entering, f64::INFINITY);
        for &(i, step) in &steps {
            if step < 0.0 && -v[i] / step < first.1 {
                first = (i, -v[i] / step);
            }
        }
        if is_bounded && first.1 >= 1.0 {
            steps.iter().for_each(|&(i, step)| v[i] = (v[i] + step).max(0.0));
            free.push(entering);
            return true;
        }
        if first.1 == f64::INFINITY {
            return false;
        }
        for &(i, step) in &steps {
            v[i] = (v[i] + first.1 * step).max(0.0);
        }
        v[first.0] = 0.0;
        if first.0 == entering {
            return true;
        }
        free.retain(|&i| i != first.0);
    }
}

/// Where to go from the present point.
struct Along {
    /// The entries that move, each with its change.
    steps: Vec<(usize, f64)>,
    /// Whether the minimum is at the end of the steps; otherwise the value falls all along them.
    is_bounded: bool,
}

/// To the minimum over the entries `free` and `entering`; or, if `entering` makes their rows dependent, along the combination of
/// the rows that is zero.
fn direction(matrix: &Matrix, b: &[f64], free: &[usize], v: &[f64], entering: usize) -> Along {
    let block =
        |set: &[usize]| -> Vec<Vec<f64>> { set.iter().map(|&i| set.iter().map(|&j| matrix[i][j]).collect()).collect() };
    let set: Vec<usize> = free.iter().copied().chain([entering]).collect();
    if let Some(factor) = Cholesky::new(&block(&set)) {
        let target = factor.solve(&set.iter().map(|&i| -b[i]).collect::<Vec<_>>());
        let steps = set.iter().zip(target).map(|(&i, target)| (i, target - v[i])).collect();
        return Along { steps, is_bounded: true };
    }
    let column: Vec<f64> = free.iter().map(|&i| -matrix[i][entering]).collect();
    let of_free = Cholesky::new(&block(free)).map_or_else(|| vec![0.0; free.len()], |factor| factor.solve(&column));
    let steps = free.iter().copied().zip(of_free).chain([(entering, 1.0)]).collect();
    Along { steps, is_bounded: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The conditions of an optimum: no slope is negative, and a slope is 0 where the weight is positive.
        #[test]
        fn the_optimum_has_no_slope_where_it_is_free(
            rows in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 9), 1..8),
            b in prop::collection::vec(-1.0..1.0f64, 8),
        ) {
            let matrix: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| inner(a, b)).collect()).collect();
            let b = &b[..rows.len()];
            let v = minimize_nonnegative(&matrix, b).unwrap().unwrap();
            for ((slope, b), v) in product(&matrix, &v).iter().zip(b).zip(&v) {
                prop_assert!(*v >= 0.0 && slope + b > -1e-6 && (v * (slope + b)).abs() < 1e-6, "{v} {}", slope + b);
            }
        }
    }

    #[test]
    fn opposite_rows_that_both_shall_rise_have_no_optimum() {
        let matrix = [vec![1.0, -1.0], vec![-1.0, 1.0]];
        assert_eq!(minimize_nonnegative(&matrix, &[-0.1, -0.1]).unwrap(), None);
        let v = minimize_nonnegative(&matrix, &[-0.3, 0.4]).unwrap().unwrap();
        assert!((v[0] - 0.3).abs() < 1e-12 && v[1] == 0.0, "{v:?}");
    }
}
