//! DB-MTL: losses on a logarithmic scale, gradients of one length.

use mtcool_core::{Aggregator, Combination, Gradients, Jacobian, Result, StateTensors};

use crate::checks::{at_least_zero, losses_at_least_zero, within};
use crate::{memory, rows};

/// Added to losses and to lengths that are divided by.
const EPS: f64 = 1e-8;

/// DB-MTL (Lin et al. 2023, *Dual-balancing for multi-task learning*).
///
/// The running means M of the gradients start at 0; t counts the steps from 1.
///
/// 1. `h_i = g_i / (L_i + 1e-8)`, the gradients of the logarithms of the losses; the tasks' own parameters move by theirs
/// 2. `M_i <- k M_i + (1 - k) h_i`, `k = beta / t^beta_sigma`
/// 3. `d = sum_i a_i M_i`, `a_i = max_j |M_j| / (|M_i| + 1e-8)`: all terms are as long as the longest
///
/// As in the authors' program there is no correction for the start at 0. No loss may be negative. Scaling a loss changes nothing but
/// the constant; any single loss may rise.
///
/// Cost of a step: one backward pass per task and a pass over all gradients and their running means, which are kept.
#[derive(Clone, Debug)]
pub struct DbMtl {
    beta: f64,
    beta_sigma: f64,
    /// M; empty before the first step.
    means: Vec<Gradients>,
    steps: u64,
}

impl DbMtl {
    /// `beta`, at least 0 and less than 1, is the weight of the old mean (0.9); `beta_sigma`, at least 0, lets it fall with the steps
    /// (0).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(beta: f64, beta_sigma: f64) -> Result<Self> {
        let beta = within("beta", beta, (0.0..1.0).contains(&beta), "at least 0 and less than 1")?;
        Ok(Self { beta, beta_sigma: at_least_zero("beta_sigma", beta_sigma)?, means: Vec::new(), steps: 0 })
    }
}

impl Aggregator for DbMtl {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let losses = jacobian.losses();
        losses_at_least_zero("DB-MTL", losses)?;
        rows::start(&mut self.means, jacobian.tasks())?;
        self.steps += 1;
        let keep = self.beta / (self.steps as f64).powf(self.beta_sigma);
        let own: Vec<f64> = losses.iter().map(|loss| 1.0 / (loss + EPS)).collect();
        for ((mean, row), scale) in self.means.iter_mut().zip(jacobian.rows()).zip(&own) {
            *mean = rows::blend(mean, &Gradients::new().add_scaled(row, *scale)?, keep)?;
        }
        let means = Jacobian::new(&self.means, losses);
        let gramian = means.gramian()?;
        let lengths: Vec<f64> = (0..gramian.len()).map(|i| gramian[i][i].sqrt()).collect();
        let longest = lengths.iter().copied().fold(0.0, f64::max);
        let weights: Vec<f64> = lengths.iter().map(|length| longest / (length + EPS)).collect();
        let direction = Combination::Direction(means.weighted_sum(&weights)?);
        Ok(Combination::WithOwn { shared: Box::new(direction), own })
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("steps", &[self.steps as f64])])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let [steps] = memory::load(state, ["steps"])?;
        self.steps = steps.first().copied().unwrap_or(0.0) as u64;
        Ok(())
    }

    fn tensors(&self) -> StateTensors {
        rows::save(&[("grad_ema", &self.means)])
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        [self.means] = rows::load(&tensors, ["grad_ema"])?;
        Ok(())
    }
}
