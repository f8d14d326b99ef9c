//! MT-COOL, Algorithm 1: tasks updated in turn, each against noisy copies of the others' weights.

use candle_core::Tensor;

use crate::error::{Error, Result, require};
use crate::method::{Method, MethodState, Step, StepReport, TaskLoss};
use crate::noise::{Draw, NoiseSource};
use crate::objective;
use crate::optimizer::{RateSchedule, Sgd, Velocity};
use crate::parameters::{Gradients, ParameterName, Parameters, Part};
use crate::problem::{Batch, Problem};

/// Which parts of the method are in use: the ablation of the paper's Table 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Tasks in turn, and nothing else: no noise, no clamp, no KL. One draw, since draws would all be equal.
    Vanilla,
    /// Noise and clamp without the KL term.
    NoRegularizer,
    /// All of it.
    #[default]
    Full,
}

/// Which of the others' parameters task i sees in outer iteration t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateOrder {
    /// `psi_k^[t]` of the tasks before it, `psi_k^[t-1]` of those after: Eq. (6).
    #[default]
    GaussSeidel,
    /// `psi_k^[t-1]` of all: the wording of Algorithm 1.
    Jacobi,
}

/// The settings of [`Mtcool`], under the paper's symbols.
#[derive(Clone, Debug, PartialEq)]
pub struct MtcoolConfig {
    /// Parts in use.
    pub variant: Variant,
    /// b: half-width of the noise and of the clamp; positive.
    pub bound: f64,
    /// Learning rate of the warm-up; positive.
    pub alpha: f64,
    /// Learning rate of the cooperative updates; positive.
    pub beta: f64,
    /// M: draws of the noise per update; at least 1.
    pub samples: usize,
    /// L: inner iterations of each task in an outer iteration; at least 1.
    pub inner_iterations: usize,
    /// T_w: warm-up iterations.
    pub warmup_iterations: usize,
    /// Weight of the KL term; at least 0.
    pub lambda: f64,
    /// What task i sees of the others.
    pub schedule: UpdateOrder,
    /// Momentum and weight decay of both phases.
    pub sgd: Sgd,
    /// Schedule of alpha and beta over the run.
    pub rate: RateSchedule,
}

impl Default for MtcoolConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Full,
            bound: 0.05,
            alpha: 0.1,
            beta: 0.1,
            samples: 2,
            inner_iterations: 1,
            warmup_iterations: 100,
            lambda: 1.0,
            schedule: UpdateOrder::GaussSeidel,
            sgd: Sgd::default(),
            rate: RateSchedule::Constant,
        }
    }
}

impl MtcoolConfig {
    /// # Errors
    /// [`crate::Error::OutOfRange`] naming the first setting outside its range.
    pub fn check(self) -> Result<Self> {
        let positive = |key, value: f64| require(value > 0.0 && value.is_finite(), key, value, "a positive number");
        positive("bound", self.bound)?;
        positive("alpha", self.alpha)?;
        positive("beta", self.beta)?;
        require(self.samples >= 1, "samples", self.samples, "at least 1")?;
        require(self.inner_iterations >= 1, "inner_iterations", self.inner_iterations, "at least 1")?;
        require(self.lambda >= 0.0 && self.lambda.is_finite(), "lambda", self.lambda, "at least 0")?;
        Ok(Self { sgd: self.sgd.check()?, rate: self.rate.check()?, ..self })
    }

    /// What is valid but surely not meant, in words.
    pub fn warning(&self) -> Option<&'static str> {
        (self.variant == Variant::Full && self.lambda > 0.0 && self.samples == 1).then_some(
            "lambda > 0 with samples = 1: one draw always agrees with itself, so the KL term is 0 and this is the method \
             without its regulariser; set samples to 2 or more",
        )
    }
}

/// MT-COOL (Wu et al. 2023, Algorithm 1).
///
/// Warm-up, T_w steps: eps_k ~ U(-b, b) for every task, M times;
///
/// 1. `L_total = 1/M sum_j sum_i L_i(theta_i + eps_i^(j), phi_i, {theta_k + eps_k^(j)}_{k != i})` (7)
/// 2. `psi <- psi - alpha grad L_total`, the gradient taken at the perturbed point.
///
/// Then each step is an outer iteration t: for task i = 1..T, for l = 1..L: eps_k ~ U(-b, b) for k != i, M times;
///
/// 3. `L_i = 1/M sum_j L_i(theta_i, phi_i, {theta_k + eps_k^(j)}) + lambda/M sum_j KL(yhat_i^(j) || mean_n yhat_i^(n))` (6)
/// 4. `psi_i <- psi_i - beta grad_{psi_i} L_i`
/// 5. `theta_i <- clamp(theta_i, theta_i^[t-1] - b, theta_i^[t-1] + b)`
///
/// The others' parameters are constants of an update, so no gradient of theirs is computed. Cost of an outer iteration: L M
/// forward and backward passes a task.
pub struct Mtcool {
    config: MtcoolConfig,
    noise: Box<dyn NoiseSource>,
    iteration: usize,
    velocity: Velocity,
}

impl Mtcool {
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(config: MtcoolConfig, noise: Box<dyn NoiseSource>) -> Result<Self> {
        Ok(Self { config: config.check()?, noise, iteration: 0, velocity: Velocity::new() })
    }

    /// M, as far as the variant makes use of it.
    fn samples(&self) -> usize {
        match self.config.variant {
            Variant::Vanilla => 1,
            _ => self.config.samples,
        }
    }

    /// `parameters` with every theta that `perturbed` selects moved by the noise of `draw`.
    fn perturb(
        &mut self,
        parameters: &Parameters,
        draw: Draw,
        perturbed: impl Fn(&ParameterName) -> bool,
    ) -> Result<Parameters> {
        if self.config.variant == Variant::Vanilla {
            return Ok(parameters.clone());
        }
        parameters.map(|name, tensor| match name.part == Part::Theta && perturbed(name) {
            true => Ok((tensor + self.noise.noise(draw, name, tensor)?)?),
            false => Ok(tensor.clone()),
        })
    }

    fn descend(
        &mut self,
        problem: &Problem,
        parameters: &mut Parameters,
        gradients: &Gradients,
        rate: f64,
    ) -> Result<()> {
        let velocity = std::mem::take(&mut self.velocity);
        let (moved, velocity) = self.config.sgd.step_by(problem.kernels(), parameters, gradients, velocity, rate)?;
        self.velocity = velocity;
        parameters.update(moved);
        Ok(())
    }

    /// One warm-up iteration, Eq. (7). Draws do not depend on each other, so each is done with before the next begins.
    fn warm_up(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let batches = batches.next_all(problem.tasks())?;
        let samples = self.samples();
        let mut gradients = Gradients::new();
        let mut losses: Vec<Vec<Tensor>> = vec![Vec::new(); problem.tasks()];
        for sample in 0..samples {
            let draw = Draw::Warmup { iteration: self.iteration, sample };
            // The gradient at the perturbed point is that of leaves that lie there.
            let perturbed = self.perturb(parameters, draw, |_| true)?.track(|_| true)?;
            let drawn = objective::task_losses(problem, &perturbed, &batches)?;
            let drawn_gradients = perturbed.backward(&objective::total(&drawn)?)?;
            gradients = gradients.add_scaled(&drawn_gradients, 1.0 / samples as f64)?;
            for (losses, loss) in losses.iter_mut().zip(drawn) {
                losses.push(loss.detach());
            }
        }
        self.descend(problem, parameters, &gradients, self.config.alpha * self.config.rate.factor(progress))?;
        let losses = losses.iter().enumerate();
        let losses =
            losses.map(|(task, losses)| Ok(TaskLoss { task, loss: objective::mean(losses)?, regularizer: None }));
        Ok(StepReport { losses: losses.collect::<Result<_>>()? })
    }

    /// One outer iteration: every task in turn.
    fn cooperate(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let before = parameters.clone();
        let rate = self.config.beta * self.config.rate.factor(progress);
        let mut report = StepReport::default();
        for task in 0..problem.tasks() {
            for inner in 0..self.config.inner_iterations {
                let batch = batches.next(task)?;
                let seen = self.seen_by(task, parameters, &before);
                let leaves = seen.track(|name| name.task == task)?;
                let (gradients, losses) = self.inner_gradients(problem, &leaves, task, inner, &batch)?;
                report.losses.push(losses);
                self.descend(problem, parameters, &gradients, rate)?;
                if self.config.variant != Variant::Vanilla {
                    parameters.update(clamp(problem, parameters, &before, task, self.config.bound)?);
                }
            }
        }
        Ok(report)
    }

    /// What task `task` works with: its own parameters of now, the others' by the schedule.
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

    /// The gradient of `L_i^[t]` with respect to psi_i, Eqs. (5) and (6).
    fn inner_gradients(
        &mut self,
        problem: &Problem,
        leaves: &Parameters,
        task: usize,
        inner: usize,
        batch: &Batch,
    ) -> Result<(Gradients, TaskLoss)> {
        let iteration = self.iteration - self.config.warmup_iterations;
        let draws = (0..self.samples()).map(|sample| {
            let draw = Draw::Cooperative { iteration, task, inner, sample };
            self.perturb(leaves, draw, |name| name.task != task)
        });
        let draws = draws.collect::<Result<Vec<_>>>()?;
        let regularize = self.config.variant == Variant::Full && self.config.lambda > 0.0;
        let terms = objective::cooperative(problem, &draws, task, batch, regularize)?;
        let total = match &terms.regularizer {
            Some(regularizer) => (&terms.loss + (regularizer * self.config.lambda)?)?,
            None => terms.loss.clone(),
        };
        let gradients = leaves.backward(&total)?;
        let regularizer = terms.regularizer.map(|regularizer| regularizer.detach());
        Ok((gradients, TaskLoss { task, loss: terms.loss.detach(), regularizer }))
    }
}

/// theta of `task`, every element held within `bound` of where it was `before`.
fn clamp(
    problem: &Problem,
    parameters: &Parameters,
    before: &Parameters,
    task: usize,
    bound: f64,
) -> Result<Parameters> {
    parameters.filter(|name| name.task == task && name.part == Part::Theta).map(|name, tensor| {
        let center = before.theta(task, &name.layer)?;
        Ok(match problem.kernels() {
            Some(kernels) => kernels.clamp(tensor, center, bound)?,
            None => tensor.maximum(&(center - bound)?)?.minimum(&(center + bound)?)?,
        })
    })
}

/// Every task owns something, and nothing is owned by a task that is not there.
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
        let report = match self.iteration < self.config.warmup_iterations {
            true => self.warm_up(step)?,
            false => self.cooperate(step)?,
        };
        self.iteration += 1;
        Ok(report)
    }

    fn batches_next_step(&self) -> usize {
        match self.iteration < self.config.warmup_iterations {
            true => 1,
            false => self.config.inner_iterations,
        }
    }

    fn state(&self) -> MethodState {
        MethodState { iteration: self.iteration as u64, tensors: self.velocity.clone(), numbers: Vec::new() }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        state.expect_numbers(&[])?;
        self.iteration = state.iteration as usize;
        self.velocity = state.tensors;
        Ok(())
    }
}
