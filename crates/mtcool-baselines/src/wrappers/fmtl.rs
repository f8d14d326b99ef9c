//! F-MTL: another gradient method, changed so that it finds parameters where every task's loss is flat.

use mtcool_core::{
    Aggregator, Diagnostics, Direction, DirectionSource, EpochSummary, Error, Gradients, LossWeighting, ParameterKind,
    ParameterName, Parameters, Point, Result, StateTensors, TaskGradients,
};

use crate::checks::at_least_zero;
use crate::memory;

/// The method that F-MTL changes.
pub enum Wrapped {
    /// A loss weighting, whose weights serve for all parameters.
    Losses(Box<dyn LossWeighting>),
    /// Two aggregators of the same kind, each with its own state and random draws.
    Gradients {
        /// Combines the gradients `g_i` at the point itself.
        loss: Box<dyn Aggregator>,
        /// Combines the differences `s_i - g_i` of the perturbed gradients.
        flat: Box<dyn Aggregator>,
    },
}

/// F-MTL (Phan et al. 2022, *Improving multi-task learning via seeking task-based flat regions*): sharpness-aware minimisation
/// (Foret et al. 2021) task by task.
///
/// For each task i, with theta the shared parameters, phi_i its own ones, and A the wrapped aggregator:
///
/// 1. `g_i = grad L_i`, at (theta, phi_i)
/// 2. `eps = rho_shared g_i / |g_i|` for theta, `rho_own g_i / |g_i|` for phi_i, where `|g_i|` is the length of that part
/// 3. `s_i = grad L_i`, at (theta, phi_i) + eps
///
/// then `d = A(g_1, ..., g_T) + A(s_1 - g_1, ..., s_T - g_T)` for theta and `d = s_i` for phi_i, where A includes the factor of its
/// [`Convention`](mtcool_core::Convention). With a wrapped loss weighting, `d = sum_i w_i s_i` for all parameters.
///
/// Cost of a step: two forward and two backward passes per task, and the wrapped method's own work twice.
pub struct Fmtl {
    wrapped: Wrapped,
    rho_shared: f64,
    rho_own: f64,
}

impl Fmtl {
    /// F-MTL around `wrapped`. The perturbation of the shared parameters has the length `rho_shared`, that of each task's own
    /// parameters the length `rho_own`; both are at least 0.
    ///
    /// # Errors
    /// If a length is negative or not finite.
    pub fn new(wrapped: Wrapped, rho_shared: f64, rho_own: f64) -> Result<Self> {
        let (rho_shared, rho_own) = (at_least_zero("rho_shared", rho_shared)?, at_least_zero("rho_own", rho_own)?);
        Ok(Self { wrapped, rho_shared, rho_own })
    }

    /// `s_i` of task `task`, from its gradient g_i at the point.
    fn perturbed_gradient(&self, point: &Point<'_>, gradient: &Gradients, task: usize) -> Result<Gradients> {
        let mut moved = Parameters::new();
        for (kind, rho) in [(ParameterKind::Theta, self.rho_shared), (ParameterKind::Phi, self.rho_own)] {
            let gradient = gradient.filter(|name| name.kind == kind && (name.is_shared() || name.is_own(task)));
            let length = gradient.inner_product(&gradient)?.sqrt();
            // A gradient that is zero has no direction: this part is not perturbed.
            let factor = if length > 0.0 { rho / length } else { 0.0 };
            let perturbed = point.parameters().filter(|name| gradient.get(name).is_some());
            moved.update(perturbed.add_scaled(&gradient, factor)?);
        }
        let mut parameters = point.parameters().clone();
        parameters.update(moved);
        point.gradient_at(&parameters, task)
    }
}

impl DirectionSource for Fmtl {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        let TaskGradients { losses, values, rows } = point.gradients()?;
        let perturbed = rows.iter().enumerate().map(|(task, row)| self.perturbed_gradient(point, row, task));
        let perturbed = perturbed.collect::<Result<Vec<_>>>()?;
        let (gradients, diagnostics) = match &mut self.wrapped {
            Wrapped::Losses(weighting) => {
                let weights = if values.iter().all(|value| value.is_finite()) {
                    weighting.weights(&values, iteration)?
                } else {
                    vec![1.0; values.len()]
                };
                let mut terms = perturbed.iter().zip(&weights);
                let sum = terms.try_fold(Gradients::new(), |sum, (row, &w)| sum.add_scaled(row, w))?;
                (sum, Diagnostics { weights: Some(weights), ..Diagnostics::NONE })
            }
            Wrapped::Gradients { loss, flat } => {
                // The tasks' own parameters get the perturbed gradients.
                let mut at_point: Vec<_> = rows.iter().map(|row| row.filter(ParameterName::is_shared)).collect();
                let mut differences = Vec::with_capacity(rows.len());
                for (row, perturbed) in at_point.iter_mut().zip(&perturbed) {
                    differences.push(perturbed.filter(ParameterName::is_shared).add_scaled(row, -1.0)?);
                    row.update(perturbed.filter(|name| !name.is_shared()));
                }
                let (direction, diagnostics) = loss.combine_all(&at_point, &values, iteration)?;
                let (towards_flat, _) = flat.combine_all(&differences, &values, iteration)?;
                (direction.add_scaled(&towards_flat, 1.0)?, diagnostics)
            }
        };
        Ok(Direction { gradients, losses, diagnostics })
    }

    fn state(&self) -> Vec<(String, f64)> {
        match &self.wrapped {
            Wrapped::Losses(weighting) => weighting.state(),
            Wrapped::Gradients { loss, flat } => {
                [memory::nested("loss", loss.state()), memory::nested("flat", flat.state())].concat()
            }
        }
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let (loss, flat) = match &mut self.wrapped {
            Wrapped::Losses(weighting) => return weighting.restore(state),
            Wrapped::Gradients { loss, flat } => (loss, flat),
        };
        let (of_loss, others) = memory::split(state, "loss");
        let (of_flat, others) = memory::split(others, "flat");
        if let Some((key, _)) = others.first() {
            let expected = "numbers called `loss.*` and `flat.*`".into();
            let got = format!("`{key}`: the state of another method");
            return Err(Error::Mismatch { what: "method state".into(), expected, got });
        }
        loss.restore(of_loss)?;
        flat.restore(of_flat)
    }

    fn tensors(&self) -> StateTensors {
        match &self.wrapped {
            Wrapped::Losses(_) => StateTensors::new(),
            Wrapped::Gradients { loss, flat } => {
                StateTensors::new().with_all("loss", &loss.tensors()).with_all("flat", &flat.tensors())
            }
        }
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        let Wrapped::Gradients { loss, flat } = &mut self.wrapped else { return tensors.expect_none() };
        let (of_loss, others) = tensors.split("loss");
        let (of_flat, others) = others.split("flat");
        others.expect_none()?;
        loss.restore_tensors(of_loss)?;
        flat.restore_tensors(of_flat)
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        match &mut self.wrapped {
            Wrapped::Losses(weighting) => weighting.end_epoch(epoch),
            Wrapped::Gradients { loss, flat } => {
                loss.end_epoch(epoch)?;
                flat.end_epoch(epoch)
            }
        }
    }

    fn reads_losses_after(&self) -> bool {
        matches!(&self.wrapped, Wrapped::Losses(weighting) if weighting.reads_losses_after())
    }

    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        match &mut self.wrapped {
            Wrapped::Losses(weighting) => weighting.observe(losses),
            Wrapped::Gradients { .. } => Ok(()),
        }
    }
}
