//! MoCo: the shortest combination of running means of the gradients, found over the steps.

use mtcool_core::{Aggregator, Combination, Convention, Gradients, Jacobian, Result, StateTensors};

use crate::checks::{at_least_zero, losses_at_least_zero, positive};
use crate::softmax::softmax;
use crate::solver::product;
use crate::{memory, rows};

/// Added to lengths that are divided by.
const EPS: f64 = 1e-8;

/// The settings of [`MoCo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoCoSettings {
    /// The rate at which the running means follow, positive.
    pub beta: f64,
    /// The power of the step by which `beta` falls, at least 0.
    pub beta_sigma: f64,
    /// The rate of the weights, positive.
    pub gamma: f64,
    /// The power of the step by which `gamma` falls, at least 0.
    pub gamma_sigma: f64,
    /// How strongly the weights are drawn to being small, at least 0.
    pub rho: f64,
}

impl Default for MoCoSettings {
    /// The values of LibMTL.
    fn default() -> Self {
        Self { beta: 0.5, beta_sigma: 0.5, gamma: 0.1, gamma_sigma: 0.5, rho: 0.0 }
    }
}

/// MoCo (Fernando et al. 2023, *Mitigating gradient bias in multi-objective learning: a provably convergent stochastic approach*).
///
/// The running means y start at 0, the weights lambda at 1/T; t counts the steps from 1.
///
/// 1. `h_i = L_i g_i / (|g_i| + 1e-8)`
/// 2. `y_i <- y_i - beta / t^beta_sigma (y_i - h_i)`
/// 3. `lambda <- softmax(lambda - gamma / t^gamma_sigma (y y^T + rho I) lambda)`
/// 4. `d = sum_i lambda_i y_i`
///
/// The scaling of step 1 and the softmax in place of a projection onto the simplex are those of the public programs, not of the
/// paper. The running means remove the bias that weights from the gradients of one batch have. No loss may be negative. The length of
/// d follows the losses, not the gradients.
///
/// Cost of a step: one backward pass per task and a pass over all gradients and their running means, which are kept.
#[derive(Clone, Debug)]
pub struct MoCo {
    settings: MoCoSettings,
    /// y; like `weights` empty before the first step.
    means: Vec<Gradients>,
    weights: Vec<f64>,
    steps: u64,
}

impl MoCo {
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(settings: MoCoSettings) -> Result<Self> {
        positive("beta", settings.beta)?;
        positive("gamma", settings.gamma)?;
        at_least_zero("beta_sigma", settings.beta_sigma)?;
        at_least_zero("gamma_sigma", settings.gamma_sigma)?;
        at_least_zero("rho", settings.rho)?;
        Ok(Self { settings, means: Vec::new(), weights: Vec::new(), steps: 0 })
    }
}

impl Aggregator for MoCo {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let (tasks, losses) = (jacobian.tasks(), jacobian.losses());
        losses_at_least_zero("MoCo", losses)?;
        rows::start(&mut self.means, tasks)?;
        memory::start(&mut self.weights, tasks, 1.0 / tasks as f64)?;
        self.steps += 1;
        let falling = |rate: f64, power: f64| rate / (self.steps as f64).powf(power);
        let follow = falling(self.settings.beta, self.settings.beta_sigma);
        let rate = falling(self.settings.gamma, self.settings.gamma_sigma);
        let gramian = jacobian.gramian()?;
        for (i, (mean, row)) in self.means.iter_mut().zip(jacobian.rows()).enumerate() {
            let scaled = Gradients::new().add_scaled(row, losses[i] / (gramian[i][i].sqrt() + EPS))?;
            *mean = rows::blend(mean, &scaled, 1.0 - follow)?;
        }
        let means = Jacobian::new(&self.means, losses);
        let pull = product(means.gramian()?, &self.weights);
        let moved = |(w, pull): (&f64, f64)| w - rate * (pull + self.settings.rho * w);
        let logits: Vec<f64> = self.weights.iter().zip(pull).map(moved).collect();
        self.weights = softmax(&logits, 1.0, 1.0);
        Ok(Combination::Direction(means.weighted_sum(&self.weights)?))
    }

    /// The length follows the losses.
    fn convention(&self) -> Convention {
        Convention::AsIs
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("lambda", &self.weights), ("steps", &[self.steps as f64])])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let [weights, steps] = memory::load(state, ["lambda", "steps"])?;
        (self.weights, self.steps) = (weights, steps.first().copied().unwrap_or(0.0) as u64);
        Ok(())
    }

    fn tensors(&self) -> StateTensors {
        rows::save(&[("y", &self.means)])
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        [self.means] = rows::load(&tensors, ["y"])?;
        Ok(())
    }
}
