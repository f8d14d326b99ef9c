//! CR-MOGM: weights of an aggregator, smoothed over the steps.

use mtcool_core::{Aggregator, Combination, Convention, EpochSummary, Error, Jacobian, Result, StateTensors};

use crate::checks::{none_negative, one_per_task_or_none, within};
use crate::memory;

/// alpha, the weight of the old mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// The same number in every step, in `0..=1`.
    Constant(f64),
    /// `1 - 1 / sqrt(t)` in step t, counted from 1: a mean over ever more steps.
    Growing,
}

/// CR-MOGM (Zhou et al. 2022, *On the convergence of stochastic multi-objective gradient manipulation and beyond*), around an aggregator
/// that works by weights.
///
/// 1. `hat`: the weights that the aggregator gives in this step
/// 2. `lambda <- alpha lambda + (1 - alpha) hat`; before the first step lambda is `initial`, or hat itself
/// 3. `d = sum_i lambda_i g_i`
///
/// The smoothed weights depend less on the batch, which removes the bias that keeps such aggregators from converging on noisy
/// gradients. A promise of the aggregator for a single step, such as that no loss rises, does not carry over.
///
/// Cost of a step: that of the aggregator.
pub struct CrMogm {
    inside: Box<dyn Aggregator>,
    smoothing: Smoothing,
    initial: Vec<f64>,
    /// lambda; empty before the first step.
    weights: Vec<f64>,
}

impl CrMogm {
    /// `initial` has one number of at least 0 per task, or none.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(inside: Box<dyn Aggregator>, smoothing: Smoothing, initial: Vec<f64>) -> Result<Self> {
        if let Smoothing::Constant(alpha) = smoothing {
            within("alpha", alpha, (0.0..=1.0).contains(&alpha), "between 0 and 1")?;
        }
        none_negative("initial", &initial)?;
        Ok(Self { inside, smoothing, initial, weights: Vec::new() })
    }

    /// Step 2.
    fn smooth(&mut self, hat: &[f64], iteration: u64) -> Result<Vec<f64>> {
        one_per_task_or_none("initial", &self.initial, hat.len())?;
        if self.weights.is_empty() {
            self.weights = if self.initial.is_empty() { hat.to_vec() } else { self.initial.clone() };
        }
        memory::start(&mut self.weights, hat.len(), 0.0)?;
        let alpha = match self.smoothing {
            Smoothing::Constant(alpha) => alpha,
            Smoothing::Growing => 1.0 - 1.0 / (iteration as f64 + 1.0).sqrt(),
        };
        self.weights.iter_mut().zip(hat).for_each(|(weight, hat)| *weight = alpha * *weight + (1.0 - alpha) * hat);
        Ok(self.weights.clone())
    }

    fn smoothed(&mut self, combination: Combination, iteration: u64) -> Result<Combination> {
        Ok(match combination {
            Combination::Weights(hat) => Combination::Weights(self.smooth(&hat, iteration)?),
            Combination::LossWeights(hat) => Combination::LossWeights(self.smooth(&hat, iteration)?),
            Combination::WithOwn { shared, own } => {
                Combination::WithOwn { shared: Box::new(self.smoothed(*shared, iteration)?), own }
            }
            Combination::Direction(_) => {
                return Err(Error::Mismatch {
                    what: "CR-MOGM, which smooths weights".into(),
                    expected: "an aggregator that gives a weight to each gradient".into(),
                    got: "one that works coordinate by coordinate".into(),
                });
            }
        })
    }
}

impl Aggregator for CrMogm {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        let combination = self.inside.combine(jacobian, iteration)?;
        self.smoothed(combination, iteration)
    }

    fn convention(&self) -> Convention {
        self.inside.convention()
    }

    fn end_epoch(&mut self, epoch: &EpochSummary<'_>) -> Result<()> {
        self.inside.end_epoch(epoch)
    }

    fn state(&self) -> Vec<(String, f64)> {
        [memory::save(&[("lambda", &self.weights)]), memory::nested("inside", self.inside.state())].concat()
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let (of_inside, own) = memory::split(state, "inside");
        [self.weights] = memory::load(own, ["lambda"])?;
        self.inside.restore(of_inside)
    }

    fn tensors(&self) -> StateTensors {
        self.inside.tensors()
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        self.inside.restore_tensors(tensors)
    }
}
