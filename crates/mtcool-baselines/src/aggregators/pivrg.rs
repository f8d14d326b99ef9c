//! PIVRG: fair weights that follow from how far each task is behind on the validation split.

use mtcool_core::{Aggregator, Combination, Convention, EpochSummary, Jacobian, Result};

use crate::checks::{all_positive, losses_positive, one_per_task_or_none, positive, within};
use crate::memory;
use crate::softmax::softmax;
use crate::solver::{fair_root, inner, product};

/// PIVRG (2025): FairGrad with alpha 2 whose tasks have unequal claims.
///
/// The loss of quality s starts at 0. At the end of each epoch:
///
/// 1. `s_i = V_i / V_i(single) - 1`, V the losses on the validation split, V(single) those of training each task alone
///
/// In each step:
///
/// 2. `t = max((max s - min s) / ln(bound), floor)`; `omega = T softmax(s / t)`, so that no claim is more than `bound` times another
/// 3. the `x > 0` with `(G x)_i = sqrt(omega_i / x_i)`, G the Gramian
/// 4. `d = T sum_i x_i g_i`, shortened to length 1 where it is longer
///
/// Tasks that are further behind get more. `g_i . d > 0` for every task. If no single-task losses are given, those of the first epoch
/// stand for them; s is then progress, not a comparison with single-task training. The authors compare the tasks' metrics instead of
/// their losses. Where gradients cancel there is no solution, and all weights are 0.
///
/// Cost of a step: one backward pass per task, the Gramian, about ten linear systems of T unknowns; the validation of each epoch is
/// the run's own.
#[derive(Clone, Debug)]
pub struct Pivrg {
    bound: f64,
    floor: f64,
    single: Vec<f64>,
    /// Validation losses of the first epoch; empty before its end.
    first: Vec<f64>,
    /// s; empty before the end of the first epoch.
    lags: Vec<f64>,
}

impl Pivrg {
    /// `bound` is above 1 (the authors': 2), `floor` positive (10); `single_task_losses` has one positive number per task, or none.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(bound: f64, floor: f64, single_task_losses: Vec<f64>) -> Result<Self> {
        all_positive("single_task_losses", &single_task_losses)?;
        Ok(Self {
            bound: within("bound", bound, bound > 1.0, "above 1")?,
            floor: positive("floor", floor)?,
            single: single_task_losses,
            first: Vec::new(),
            lags: Vec::new(),
        })
    }

    /// omega `[T]`.
    fn claims(&self, tasks: usize) -> Vec<f64> {
        if self.lags.is_empty() {
            return vec![1.0; tasks];
        }
        let largest = self.lags.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = self.lags.iter().copied().fold(f64::INFINITY, f64::min);
        let temperature = ((largest - smallest) / self.bound.ln()).max(self.floor);
        softmax(&self.lags, temperature, tasks as f64)
    }
}

impl Aggregator for Pivrg {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let gramian = jacobian.gramian()?;
        let tasks = gramian.len();
        one_per_task_or_none("single_task_losses", &self.single, tasks)?;
        let factors: Vec<f64> = self.claims(tasks).iter().map(|claim| claim.sqrt()).collect();
        let x = fair_root(gramian, &factors, 2.0)?;
        let length = tasks as f64 * inner(&product(gramian, &x), &x).max(0.0).sqrt();
        let factor = if length > 1.0 { tasks as f64 / length } else { tasks as f64 };
        Ok(Combination::Weights(x.iter().map(|x| factor * x).collect()))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The length is of the method's own.
    fn convention(&self) -> Convention {
        Convention::AsIs
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        let losses = epoch.validation_losses;
        losses_positive(losses, |task| format!("PIVRG: the validation loss of task {task}"))?;
        if self.first.is_empty() {
            self.first = losses.to_vec();
        }
        let single = if self.single.is_empty() { &self.first } else { &self.single };
        self.lags = losses.iter().zip(single).map(|(loss, single)| loss / single - 1.0).collect();
        Ok(())
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("first", &self.first), ("lag", &self.lags)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.first, self.lags] = memory::load(state, ["first", "lag"])?;
        Ok(())
    }
}
