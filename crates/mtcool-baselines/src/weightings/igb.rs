//! IGBv1: more weight for losses that have fallen less since an early epoch.

use mtcool_core::{EpochSummary, Error, LossWeighting, Result};

use crate::checks::{losses_at_least_zero, losses_positive};
use crate::memory;
use crate::softmax::softmax;

/// Improvable gap balancing, first form (Dai et al. 2023, *Improvable gap balancing for multi-task learning*).
///
/// With the mean training losses b of epoch `base_epoch`:
///
/// 1. `c = T softmax(L / b)`, constants for the gradient; 1 until b is known
/// 2. the objective is `sum_i c_i log L_i`, so that the weights are `c_i / L_i`
///
/// It does not depend on the scales of the losses. No loss may be negative; the weight of a loss of 0 is 0.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct Igb {
    base_epoch: u64,
    /// b; empty until it is known.
    base: Vec<f64>,
}

impl Igb {
    /// `base_epoch`, counted from 1, is the epoch whose mean losses serve as the scale (the authors': the second).
    ///
    /// # Errors
    /// If `base_epoch` is 0.
    pub fn new(base_epoch: u64) -> Result<Self> {
        if base_epoch == 0 {
            return Err(Error::out_of_range("base_epoch", base_epoch, "at least 1"));
        }
        Ok(Self { base_epoch, base: Vec::new() })
    }

    /// The same with known losses b.
    #[must_use]
    pub fn with_base(self, base: Vec<f64>) -> Self {
        Self { base, ..self }
    }

    /// The objective at `losses` `[T]`, and its derivatives `[T]`.
    ///
    /// # Errors
    /// If a loss is negative.
    pub fn evaluate(&self, losses: &[f64]) -> Result<(f64, Vec<f64>)> {
        losses_at_least_zero("IGBv1", losses)?;
        let tasks = losses.len();
        let constants = if self.base.is_empty() {
            vec![1.0; tasks]
        } else {
            memory::start(&mut self.base.clone(), tasks, 1.0)?;
            let ratios: Vec<f64> = losses.iter().zip(&self.base).map(|(loss, base)| loss / base).collect();
            softmax(&ratios, 1.0, tasks as f64)
        };
        let total = constants.iter().zip(losses).map(|(c, loss)| c * loss.ln()).sum();
        let weight = |(c, loss): (&f64, &f64)| if *loss > 0.0 { c / loss } else { 0.0 };
        Ok((total, constants.iter().zip(losses).map(weight).collect()))
    }
}

impl LossWeighting for Igb {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        Ok(self.evaluate(losses)?.1)
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        if epoch.epochs == self.base_epoch {
            let losses = epoch.training_losses;
            let name = |task| format!("IGBv1: the mean training loss of task {task} in epoch {}", self.base_epoch);
            losses_positive(losses, name)?;
            self.base = losses.to_vec();
        }
        Ok(())
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("base", &self.base)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.base] = memory::load(state, ["base"])?;
        Ok(())
    }
}
