//! SAMO: sharpness-aware gradients of all tasks at the cost of one, with a little of each task's own sharpness.

use candle_core::{DType, Tensor};
use mtcool_core::random::{Purpose, stream};
use mtcool_core::{
    Combine, Direction, DirectionSource, EpochSummary, Gradients, ParameterName, Parameters, Point, Result,
    StateTensors,
};

use crate::checks::{at_least_zero, positive, within, without_own_passes};
use crate::normal::normal_tensor;

/// The settings of [`Samo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamoSettings {
    /// The length of the perturbation, at least 0.
    pub rho: f64,
    /// The share of a task's own estimate in it, between 0 and 1.
    pub beta: f64,
    /// The distance over which that estimate is measured, positive.
    pub step: f64,
}

impl Default for SamoSettings {
    /// The authors' values.
    fn default() -> Self {
        Self { rho: 0.001, beta: 0.5, step: 0.01 }
    }
}

/// SAMO (Ban et al. 2025, *SAMO: a lightweight sharpness-aware approach for multi-task optimization with joint global-local
/// perturbation*) around an aggregator or a loss weighting.
///
/// 1. `g = 1/T grad sum_i L_i`, at the point, for all parameters
/// 2. for each task i, `z ~ N(0, I)` for theta; `c = (L_i(theta + step z) - L_i(theta - step z)) / (2 step)`, the slope along z without a
///    backward pass; `h_i = (1 - beta) g + beta c z`
/// 3. `s_i = grad L_i`, at `theta + rho h_i / |h_i|` and `phi_i + rho g / |g|` (the part of g for phi_i)
///
/// The wrapped method combines the s. With beta = 0 all tasks are perturbed by the mean gradient, as SAM would; with beta = 1 each by
/// an estimate of its own gradient, as F-MTL does, which takes the gradient itself. The paper also normalises the estimate layer by layer,
/// which is not done here.
///
/// Cost of a step: 1 + T forward and backward passes, and 2 T forward passes.
pub struct Samo {
    inside: Combine,
    settings: SamoSettings,
    seed: u64,
}

impl Samo {
    /// Around `inside`; the draws follow from `seed` and the iteration.
    ///
    /// # Errors
    /// If a setting is out of its range, or `inside` finds its direction by passes of its own.
    pub fn new(inside: Combine, settings: SamoSettings, seed: u64) -> Result<Self> {
        at_least_zero("rho", settings.rho)?;
        within("beta", settings.beta, (0.0..=1.0).contains(&settings.beta), "between 0 and 1")?;
        positive("step", settings.step)?;
        without_own_passes("the method inside SAMO", &inside)?;
        Ok(Self { inside, settings, seed })
    }

    /// `c z` of task `task`.
    fn estimate(&self, point: &Point<'_>, theta: &Parameters, task: usize, iteration: u64) -> Result<Gradients> {
        let at = [iteration as u32, (iteration >> 32) as u32, task as u32, 0];
        let z = theta.map(|name, tensor| {
            let mut generator = stream(self.seed, Purpose::Method, at, &format!("samo.{name}"));
            Ok(normal_tensor(&mut generator, tensor.shape(), tensor.dtype(), tensor.device())?)
        })?;
        let loss = |step: f64| {
            let mut place = point.parameters().clone();
            place.update(theta.clone().add_scaled(&z, step)?);
            point.loss_at(&place, task)
        };
        let slope = (loss(self.settings.step)? - loss(-self.settings.step)?) / (2.0 * self.settings.step);
        Gradients::new().add_scaled(&z, slope)
    }

    /// `s_i` of task `task`.
    fn perturbed_gradient(
        &self,
        point: &Point<'_>,
        gradient: &Gradients,
        task: usize,
        iteration: u64,
    ) -> Result<Gradients> {
        let theta = point.parameters().filter(|name| name.is_shared() && gradient.get(name).is_some());
        let SamoSettings { rho, beta, .. } = self.settings;
        let mut h = Gradients::new().add_scaled(&gradient.filter(ParameterName::is_shared), 1.0 - beta)?;
        if beta > 0.0 {
            h = h.add_scaled(&self.estimate(point, &theta, task, iteration)?, beta)?;
        }
        let own = gradient.filter(|name| name.is_own(task));
        let mut place = point.parameters().clone();
        for direction in [h, own] {
            let length = direction.inner_product(&direction)?.sqrt();
            // A direction that is zero: this part is not perturbed.
            let factor = if length > 0.0 { rho / length } else { 0.0 };
            let part = point.parameters().filter(|name| direction.get(name).is_some());
            place.update(part.add_scaled(&direction, factor)?);
        }
        point.gradient_at(&place, task)
    }
}

impl DirectionSource for Samo {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        let mean = vec![1.0 / point.tasks() as f64; point.tasks()];
        let (gradient, losses) = point.weighted_gradient(|_| Ok(mean.clone()))?;
        let row = |task| self.perturbed_gradient(point, &gradient, task, iteration);
        let rows = (0..point.tasks()).map(row).collect::<Result<Vec<_>>>()?;
        let value = |loss: &Tensor| Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?);
        let values = losses.iter().map(value).collect::<Result<Vec<f64>>>()?;
        let (gradients, diagnostics) = self.inside.of_rows(&rows, &values, iteration)?;
        Ok(Direction { gradients, losses, diagnostics })
    }

    state_of_inside!();
}
