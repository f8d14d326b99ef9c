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
fn cross_gramian(point: &Point<'_>) -> Result<Vec<Vec<f64>>> {
    let shared = |part| -> Result<Vec<Gradients>> {
        let rows = point.part(part, BATCHES).gradients()?.rows;
        Ok(rows.iter().map(|row| row.filter(ParameterName::is_shared)).collect())
    };
    let (first, second) = (shared(0)?, shared(1)?);
    let products = |a: &Gradients| second.iter().map(|b| a.inner_product(b)).collect::<Result<Vec<f64>>>();
    first.iter().map(products).collect()
}

/// The direction of the gradients on the third batch, with the weights, whose sum is 1, that `weigh` finds from the products of the first
/// two. If products are not finite, the weights are equal, and the losses of the step show what happened.
///
/// # Errors
/// If a pass or `weigh` fails.
pub(super) fn weighted(
    point: &Point<'_>,
    iteration: u64,
    weigh: impl FnOnce(&[Vec<f64>]) -> Result<Vec<f64>>,
) -> Result<Direction> {
    let products = cross_gramian(point)?;
    let is_finite = products.iter().flatten().all(|product| product.is_finite());
    let weights = if is_finite { weigh(&products)? } else { vec![1.0 / point.tasks() as f64; point.tasks()] };
    let TaskGradients { losses, values, rows } = point.part(2, BATCHES).gradients()?;
    let (gradients, diagnostics) = Given(weights).combine_all(&rows, &values, iteration)?;
    Ok(Direction { gradients, losses, diagnostics })
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
