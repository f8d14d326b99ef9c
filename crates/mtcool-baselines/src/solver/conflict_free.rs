//! The direction of ConFIG: the same angle to every gradient, or angles in given proportions.

use mtcool_core::{Jacobian, Result};

use super::eigen::Eigen;
use super::matrix::inner;

/// Eigenvalues below this part of the largest leave too few digits in a Gramian; the weights are then corrected on the gradients
/// themselves.
const ILL_CONDITIONED: f64 = 1e-5;
/// Each correction gains the digits that the Gramian has left.
const CORRECTIONS: usize = 3;

/// The weights `[T]` of the rows g_i with `sum_i w_i g_i = (sum_i g_i . u) u`, where `u = v / |v|`, `v = U^+ p`; the rows of U are
/// `g_i / |g_i|`, and a row that is zero gets the weight 0. `preference` p has one entry per row.
///
/// # Errors
/// If two rows disagree on a parameter's shape.
pub(crate) fn conflict_free(jacobian: &Jacobian<'_>, preference: &[f64]) -> Result<Vec<f64>> {
    let gramian = jacobian.gramian()?;
    let mut weights = vec![0.0; gramian.len()];
    let lengths: Vec<f64> = (0..gramian.len()).map(|i| gramian[i][i].sqrt()).collect();
    let present: Vec<usize> = (0..gramian.len()).filter(|&i| lengths[i] > 0.0).collect();
    let cosine = |i: usize, j: usize| gramian[i][j] / lengths[i] / lengths[j];
    let cosines: Vec<Vec<f64>> = present.iter().map(|&i| present.iter().map(|&j| cosine(i, j)).collect()).collect();
    let eigen = Eigen::new(&cosines);
    let rank = eigen.rank();
    let p: Vec<f64> = present.iter().map(|&i| preference[i]).collect();
    let mut c = pseudo_solution(&eigen, rank, &p);
    // U v: p itself if the rows are independent, otherwise the part of it that they can have.
    let mut reached = vec![0.0; present.len()];
    for vector in &eigen.vectors[..rank] {
        let along = inner(vector, &p);
        reached.iter_mut().zip(vector).for_each(|(r, entry)| *r += along * entry);
    }
    if rank > 0 && eigen.values[rank - 1] < ILL_CONDITIONED * eigen.values[0] {
        for _ in 0..CORRECTIONS {
            let mut of_rows = vec![0.0; gramian.len()];
            present.iter().zip(&c).for_each(|(&i, c)| of_rows[i] = c / lengths[i]);
            let v = jacobian.weighted_sum(&of_rows)?;
            let product = |&i: &usize| Ok(jacobian.rows()[i].inner_product(&v)? / lengths[i]);
            let products = present.iter().map(product).collect::<Result<Vec<f64>>>()?;
            let missing: Vec<f64> = reached.iter().zip(products).map(|(r, product)| r - product).collect();
            let correction = pseudo_solution(&eigen, rank, &missing);
            c.iter_mut().zip(correction).for_each(|(c, correction)| *c += correction);
        }
    }
    let squared_length = inner(&c, &reached);
    if squared_length > 0.0 {
        let gains: f64 = present.iter().zip(&reached).map(|(&i, r)| lengths[i] * r).sum();
        present.iter().zip(c).for_each(|(&i, c)| weights[i] = gains / squared_length * c / lengths[i]);
    }
    Ok(weights)
}

/// `C^+ p` for the matrix C with these eigenvalues, of which the first `rank` count.
fn pseudo_solution(eigen: &Eigen, rank: usize, p: &[f64]) -> Vec<f64> {
    let mut solution = vec![0.0; p.len()];
    for (vector, value) in eigen.vectors.iter().zip(&eigen.values).take(rank) {
        let factor = inner(vector, p) / value;
        solution.iter_mut().zip(vector).for_each(|(x, entry)| *x += factor * entry);
    }
    solution
}
