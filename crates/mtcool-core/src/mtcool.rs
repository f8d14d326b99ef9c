//! MT-COOL, Algorithm 1: tasks updated in turn, each against noisy copies of the others' weights.

use candle_core::Tensor;

use crate::batches::Batch;
use crate::clamped::ClampCounts;
use crate::error::{Error, Result};
use crate::method::{Diagnostics, Method, MethodState, Step, StepReport, TaskLoss};
use crate::mtcool_config::{BoundUnit, ClampedVelocity, MtcoolConfig, PerturbedParameters, UpdateOrder, Variant};
use crate::noise::{NoiseDraw, NoiseSource};
use crate::objective;
use crate::optimizer::Updater;
use crate::parameter_name::{ParameterKind, ParameterName};
use crate::parameters::{Gradients, Parameters};
use crate::problem::Problem;

/// MT-COOL (Wu et al. 2023, Algorithm 1).
///
/// Each of the first T_w steps is a warm-up iteration: eps_k ~ U(-b, b) for every task, M times;
///
/// 1. `L_total = 1/M sum_j sum_i L_i(theta_i + eps_i^(j), phi_i, {theta_k + eps_k^(j)}_{k != i})` (7)
/// 2. `psi <- psi - alpha grad L_total`, the gradient taken at the perturbed point.
///
/// Each later step is an outer iteration t: for task i = 1..T, for l = 1..L: eps_k ~ U(-b, b) for k != i, M times;
///
/// 3. `L_i = 1/M sum_j L_i(theta_i, phi_i, {theta_k + eps_k^(j)}) + lambda/M sum_j KL(yhat_i^(j) || mean_n yhat_i^(n))` (6)
/// 4. `psi_i <- psi_i - beta grad_{psi_i} L_i`
/// 5. `theta_i <- clamp(theta_i, theta_i^[t-1] - b, theta_i^[t-1] + b)`
///
/// b is the same for all parameters, or a multiple of each parameter's initial width ([`BoundUnit`]).
///
/// In the update of one task, the other tasks' parameters are constants, and no gradient is computed for them. An outer
/// iteration costs L M forward and backward passes per task, times the accumulated batches.
pub struct Mtcool {
    config: MtcoolConfig,
    noise: Box<dyn NoiseSource>,
    iteration: usize,
    updater: Updater,
    /// What the clamp moved in the last step.
    diagnostics: Diagnostics,
}

impl Mtcool {
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(config: MtcoolConfig, noise: Box<dyn NoiseSource>) -> Result<Self> {
        let config = config.check()?;
        let updater = Updater::new(config.updates.clone())?;
        Ok(Self { config, noise, iteration: 0, updater, diagnostics: Diagnostics::NONE })
    }

    /// M; 1 for the variant without noise, whose draws would all be equal.
    fn samples(&self) -> usize {
        match self.config.variant {
            Variant::Vanilla => 1,
            Variant::NoRegularizer | Variant::Full => self.config.samples,
        }
    }

    fn is_warming_up(&self) -> bool {
        self.iteration < self.config.warmup_iterations
    }

    /// Whether the parameter `name` gets noise and clamp.
    fn is_bounded(&self, problem: &Problem, name: &ParameterName) -> bool {
        name.kind == ParameterKind::Theta
            && (self.config.perturbed == PerturbedParameters::All || problem.network().decays(name))
    }

    /// The factor of b for the parameter `name`; `None` for 1.
    ///
    /// # Errors
    /// If b is measured in initial widths, and the network does not tell them.
    fn unit(&self, problem: &Problem, name: &ParameterName) -> Result<Option<f64>> {
        if self.config.bound_unit == BoundUnit::Absolute {
            return Ok(None);
        }
        match problem.network().initial_width(name) {
            Some(width) => Ok(Some(width)),
            None => Err(Error::Mismatch {
                what: format!("the initial width of `{name}`"),
                expected: "a number from `Network::initial_width`, since the bound is measured in initial widths"
                    .into(),
                got: "none; measure the bound absolutely, or let the network tell it".into(),
            }),
        }
    }

    /// `parameters` with noise added to every theta whose name `is_perturbed` selects.
    fn perturb(
        &mut self,
        problem: &Problem,
        parameters: &Parameters,
        draw: NoiseDraw,
        is_perturbed: impl Fn(&ParameterName) -> bool,
    ) -> Result<Parameters> {
        if self.config.variant == Variant::Vanilla {
            return Ok(parameters.clone());
        }
        parameters.map(|name, tensor| {
            if is_perturbed(name) && self.is_bounded(problem, name) {
                let noise = self.noise.noise(draw, name, tensor)?;
                Ok(match self.unit(problem, name)? {
                    Some(unit) => (tensor + (noise * unit)?)?,
                    None => (tensor + noise)?,
                })
            } else {
                Ok(tensor.clone())
            }
        })
    }

    /// One warm-up iteration, Eq. (7). The terms of the mean over draws and batches are computed one after the other, so that
    /// only one of them is in memory.
    fn warm_up(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let rounds = (0..self.updater.accumulated_batches()).map(|_| batches.next_all(problem.tasks()));
        let rounds = rounds.collect::<Result<Vec<_>>>()?;
        let samples = self.samples();
        let share = 1.0 / (samples * rounds.len()) as f64;
        let mut gradients = Gradients::new();
        let mut losses: Vec<Vec<Tensor>> = vec![Vec::new(); problem.tasks()];
        for sample in 0..samples {
            let draw = NoiseDraw::Warmup { iteration: self.iteration, sample };
            let perturbed = self.perturb(problem, parameters, draw, |_| true)?;
            for batches in &rounds {
                // Leaves at the perturbed point: the gradient is taken there.
                let leaves = perturbed.track(|_| true)?;
                let terms = objective::task_losses(problem, &leaves, batches)?;
                gradients =
                    gradients.add_scaled(&problem.backward_last(&leaves, &objective::total(&terms)?)?, share)?;
                for (losses, loss) in losses.iter_mut().zip(terms) {
                    losses.push(loss.detach());
                }
            }
        }
        self.updater.update(problem, parameters, gradients, (self.config.alpha, progress))?;
        let losses = losses.iter().enumerate();
        let losses =
            losses.map(|(task, losses)| Ok(TaskLoss { task, loss: objective::mean(losses)?, regularizer: None }));
        Ok(StepReport { losses: losses.collect::<Result<_>>()? })
    }

    /// One outer iteration: every task in turn.
    fn cooperate(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let before = parameters.clone();
        let mut report = StepReport::default();
        let mut counts = ClampCounts::default();
        for task in 0..problem.tasks() {
            for inner in 0..self.config.inner_iterations {
                let drawn = (0..self.updater.accumulated_batches()).map(|_| batches.next(task));
                let drawn = drawn.collect::<Result<Vec<_>>>()?;
                let seen = self.seen_by(task, parameters, &before);
                let leaves = seen.track(|name| name.task == task)?;
                let (gradients, losses) = self.inner_gradients(problem, &leaves, (task, inner), &drawn)?;
                report.losses.push(losses);
                self.updater.update(problem, parameters, gradients, (self.config.beta, progress))?;
                if self.config.variant != Variant::Vanilla {
                    let clamped = self.clamp(problem, parameters, &before, task)?;
                    counts.add(parameters, &clamped)?;
                    if self.config.clamped_velocity == ClampedVelocity::Stops {
                        self.updater.stop_where_moved(parameters, &clamped)?;
                    }
                    parameters.update(clamped);
                }
            }
        }
        self.diagnostics.clamped = counts.read()?;
        Ok(report)
    }

    /// The parameters that the update of task `task` works with: its own current ones, and those of the other tasks that the
    /// update order prescribes.
    fn seen_by(&self, task: usize, now: &Parameters, before: &Parameters) -> Parameters {
        match self.config.schedule {
            UpdateOrder::GaussSeidel => now.clone(),
            UpdateOrder::Jacobi => {
                let mut seen = before.clone();
                seen.update(now.filter(|name| name.task == task));
                seen
            }
        }
    }

    /// The gradient of `L_i^[t]` with respect to psi_i, Eqs. (5) and (6), averaged over `batches`, which all meet the same
    /// draws of the noise.
    fn inner_gradients(
        &mut self,
        problem: &Problem,
        leaves: &Parameters,
        (task, inner): (usize, usize),
        batches: &[Batch],
    ) -> Result<(Gradients, TaskLoss)> {
        let iteration = self.iteration - self.config.warmup_iterations;
        let draws = (0..self.samples()).map(|sample| {
            let draw = NoiseDraw::Cooperative { iteration, task, inner, sample };
            self.perturb(problem, leaves, draw, |name| name.task != task)
        });
        let draws = draws.collect::<Result<Vec<_>>>()?;
        let regularize = self.config.variant == Variant::Full && self.config.lambda > 0.0;
        let share = 1.0 / batches.len() as f64;
        let mut gradients = Gradients::new();
        let (mut losses, mut regularizers) = (Vec::new(), Vec::new());
        for batch in batches {
            let terms = objective::cooperative(problem, &draws, task, batch, regularize)?;
            let total = match &terms.regularizer {
                Some(regularizer) => (&terms.loss + (regularizer * self.config.lambda)?)?,
                None => terms.loss.clone(),
            };
            gradients = gradients.add_scaled(&problem.backward_last(leaves, &total)?, share)?;
            losses.push(terms.loss.detach());
            regularizers.extend(terms.regularizer.map(|regularizer| regularizer.detach()));
        }
        let regularizer = if regularizers.is_empty() { None } else { Some(objective::mean(&regularizers)?) };
        Ok((gradients, TaskLoss { task, loss: objective::mean(&losses)?, regularizer }))
    }

    /// theta of `task`, every element at most b, in the unit of its parameter, away from its value in `before`.
    fn clamp(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        before: &Parameters,
        task: usize,
    ) -> Result<Parameters> {
        parameters.filter(|name| name.task == task && self.is_bounded(problem, name)).map(|name, tensor| {
            let center = before.theta(task, &name.layer)?;
            let bound = self.config.bound * self.unit(problem, name)?.unwrap_or(1.0);
            Ok(match problem.kernels() {
                Some(kernels) => kernels.clamp(tensor, center, bound)?,
                None => tensor.maximum(&(center - bound)?)?.minimum(&(center + bound)?)?,
            })
        })
    }
}

/// Fails unless every task owns a parameter and every owner is one of the tasks.
fn check_owners(parameters: &Parameters, tasks: usize) -> Result<()> {
    let mismatch = |got: String| {
        let expected = format!("names `theta.{{task}}.*` and `phi.{{task}}.*` for each task in 0..{tasks}");
        Err(Error::Mismatch { what: "owners of the parameters".into(), expected, got })
    };
    if let Some((name, _)) = parameters.iter().find(|(name, _)| name.task >= tasks) {
        return mismatch(format!("`{name}`"));
    }
    match (0..tasks).find(|task| parameters.iter().all(|(name, _)| name.task != *task)) {
        Some(task) => mismatch(format!("none of task {task}")),
        None => Ok(()),
    }
}

impl Method for Mtcool {
    fn step(&mut self, step: Step<'_>) -> Result<StepReport> {
        check_owners(step.parameters, step.problem.tasks())?;
        self.diagnostics = Diagnostics::NONE;
        let report = if self.is_warming_up() { self.warm_up(step)? } else { self.cooperate(step)? };
        self.iteration += 1;
        Ok(report)
    }

    fn batches_next_step(&self) -> usize {
        let updates = if self.is_warming_up() { 1 } else { self.config.inner_iterations };
        updates * self.updater.accumulated_batches()
    }

    fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    fn state(&self) -> MethodState {
        MethodState { iteration: self.iteration as u64, tensors: self.updater.state(), numbers: Vec::new() }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        state.expect_numbers(&[])?;
        self.updater.restore(state.tensors)?;
        self.iteration = state.iteration as usize;
        Ok(())
    }
}
