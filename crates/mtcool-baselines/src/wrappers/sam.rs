//! SAM: the gradient where the weighted loss is worst nearby.

use mtcool_core::{Combine, Direction, DirectionSource, EpochSummary, LossWeighting, Point, Result, StateTensors};

use crate::checks::at_least_zero;

/// SAM (Foret et al. 2021, *Sharpness-aware minimization for efficiently improving generalization*) of one loss, the sum of the weighted
/// losses.
///
/// 1. `g = grad sum_i w_i L_i`, at all parameters psi; w from the loss weighting inside
/// 2. `eps = rho g / |g|`
/// 3. `d = grad sum_i w_i L_i`, at `psi + eps`, with the same w
///
/// F-MTL does the same for each task by itself. The losses that the weighting reads, before and after a step, are those at psi.
///
/// Cost of a step: two forward and two backward passes.
pub struct Sam {
    inside: Combine,
    rho: f64,
}

impl Sam {
    /// Around `weighting`, with the length `rho` of the perturbation, at least 0 (0.05).
    ///
    /// # Errors
    /// If `rho` is negative or not finite.
    pub fn new(weighting: Box<dyn LossWeighting>, rho: f64) -> Result<Self> {
        Ok(Self { inside: Combine::Losses(weighting), rho: at_least_zero("rho", rho)? })
    }
}

impl DirectionSource for Sam {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        let Direction { gradients, losses, diagnostics } = self.inside.direction(point, iteration)?;
        let length = gradients.inner_product(&gradients)?.sqrt();
        // A gradient that is zero has no direction: nothing is perturbed.
        let factor = if length > 0.0 { self.rho / length } else { 0.0 };
        let moved = point.parameters().filter(|name| gradients.get(name).is_some()).add_scaled(&gradients, factor)?;
        let mut place = point.parameters().clone();
        place.update(moved);
        let weights = diagnostics.weights.clone().unwrap_or_else(|| vec![1.0; point.tasks()]);
        let (gradients, _) =
            point.at_places(std::slice::from_ref(&place)).weighted_gradient(|_| Ok(weights.clone()))?;
        Ok(Direction { gradients, losses, diagnostics })
    }

    state_of_inside!();
}
