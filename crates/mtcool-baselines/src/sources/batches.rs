//! What the methods with several independent batches share: the products of gradients of two batches, and the combination of the
//! gradients of a third one.

use mtcool_core::{
    Aggregator, Combination, Convention, Direction, Gradients, Jacobian, ParameterName, Point, Result, TaskGradients,
};

/// The number of independent batches in a step: two for the weights, one for the direction.
pub(super) const BATCHES: usize = 3;

/// `J_1 J_2^T` `[T, T]` of the gradients with respect to the shared parameters on the first two batches of `point`.
///
/// # Errors
/// If a pass fails.
pub(super) fn cross_gramian(point: &Point<'_>) -> Result<Vec<Vec<f64>>> {
    let shared = |part| -> Result<Vec<Gradients>> {
        let rows = point.part(part, BATCHES).gradients()?.rows;
        Ok(rows.iter().map(|row| row.filter(ParameterName::is_shared)).collect())
    };
    let (first, second) = (shared(0)?, shared(1)?);
    let products = |a: &Gradients| second.iter().map(|b| a.inner_product(b)).collect::<Result<Vec<f64>>>();
    first.iter().map(products).collect()
}

/// The direction of the gradients on the third batch with these weights, whose sum is 1.
///
/// # Errors
/// If a pass fails.
pub(super) fn weighted(point: &Point<'_>, weights: &[f64], iteration: u64) -> Result<Direction> {
    let TaskGradients { losses, values, rows } = point.part(2, BATCHES).gradients()?;
    let (gradients, diagnostics) = Given(weights.to_vec()).combine_all(&rows, &values, iteration)?;
    Ok(Direction { gradients, losses, diagnostics })
}

/// Whether all products are finite; otherwise the weights stay as they are, and the losses of the step show what happened.
pub(super) fn is_finite(products: &[Vec<f64>]) -> bool {
    products.iter().flatten().all(|product| product.is_finite())
}

/// Weights that are known already.
struct Given(Vec<f64>);

impl Aggregator for Given {
    fn combine(&mut self, _jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        Ok(Combination::Weights(self.0.clone()))
    }

    /// The weights sum to 1.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
