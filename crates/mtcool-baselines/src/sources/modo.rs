//! MoDo: weights that descend the length of the combination, from independent batches.

use mtcool_core::{Direction, DirectionSource, Point, Result};

use super::batches::{BATCHES, weighted};
use crate::checks::{at_least_zero, positive};
use crate::memory;
use crate::solver::{onto_simplex, product};

/// MoDo (Chen et al. 2024, *Three-way trade-off in multi-objective learning: optimization, generalization and conflict-avoidance*).
///
/// `J_1`, `J_2` and `J_3` are the gradients on three independent batches; the weights lambda start at 1/T.
///
/// 1. `lambda <- Pi(lambda - gamma (J_1 J_2^T + rho I) lambda)`, Pi the projection onto the simplex
/// 2. `d = J_3^T lambda`
///
/// It is one stochastic gradient step of MGDA's problem per step of the parameters. A small gamma leaves the weights nearly equal, a
/// large one avoids conflicts; the paper's theory is about this choice.
///
/// Cost of a step: three batches of each task, T backward passes on each of them.
#[derive(Clone, Debug)]
pub struct MoDo {
    gamma: f64,
    rho: f64,
    /// lambda; empty before the first step.
    weights: Vec<f64>,
}

impl MoDo {
    /// `gamma`, positive, is the rate of the weights (0.1 in the authors' program, 0.001 in LibMTL); `rho`, at least 0, draws them to
    /// being equal (0.1).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(gamma: f64, rho: f64) -> Result<Self> {
        Ok(Self { gamma: positive("gamma", gamma)?, rho: at_least_zero("rho", rho)?, weights: Vec::new() })
    }

    /// lambda `[T]` after the step 1 from `J_1 J_2^T` `[T, T]`.
    ///
    /// # Errors
    /// If earlier steps had another number of tasks.
    pub fn weights(&mut self, products: &[Vec<f64>]) -> Result<Vec<f64>> {
        memory::start(&mut self.weights, products.len(), 1.0 / products.len() as f64)?;
        let pull = product(products, &self.weights);
        let moved = |(w, pull): (&f64, f64)| w - self.gamma * (pull + self.rho * w);
        let moved: Vec<f64> = self.weights.iter().zip(pull).map(moved).collect();
        self.weights = onto_simplex(&moved);
        Ok(self.weights.clone())
    }
}

impl DirectionSource for MoDo {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        weighted(point, iteration, |products| self.weights(products))
    }

    fn independent_batches(&self) -> usize {
        BATCHES
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("lambda", &self.weights)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.weights] = memory::load(state, ["lambda"])?;
        Ok(())
    }
}
