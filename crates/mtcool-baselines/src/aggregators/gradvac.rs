//! GradVac: gradients are turned towards each other until their angles are the usual ones.

use mtcool_core::{Aggregator, Combination, Jacobian, Result};

use crate::checks::within;
use crate::memory;
use crate::orders::orders;
use crate::solver::{inner, product};

/// Added to the lengths that are divided by.
const EPS: f64 = 1e-8;

/// GradVac (Wang et al. 2021, *Gradient vaccine: investigating and improving multi-task optimization in massively multilingual
/// models*).
///
/// `phi_ij`, the running mean of the cosine of g_i and g_j, starts at 0. For each task i, with `v = g_i`, and for the other tasks j
/// in random order:
///
/// 1. `c = v . g_j / (|v| |g_j| + eps)`
/// 2. if `c < phi_ij`: `v <- v + a g_j`, with
///    `a = |v| (phi_ij sqrt(1 - c^2) - c sqrt(1 - phi_ij^2)) / (|g_j| sqrt(1 - phi_ij^2) + eps)`, so that the cosine becomes phi_ij
/// 3. `phi_ij <- (1 - beta) phi_ij + beta c`
///
/// then `d = sum_i v_i`. With all `phi_ij = 0` it is PCGrad. As there, every v is a combination of the gradients, so everything
/// follows from the Gramian. The authors form the angles per layer; [`Grouped`](crate::Grouped) around this method does that.
///
/// Cost of a step: one backward pass per task and the Gramian.
#[derive(Clone, Debug)]
pub struct GradVac {
    seed: u64,
    beta: f64,
    /// `phi_ij` `[T T]`, row by row; empty before the first step.
    cosines: Vec<f64>,
}

impl GradVac {
    /// The orders of the tasks follow from `seed` and the iteration; `beta`, in `0..=1`, is the weight of the newest cosine (0.5 in
    /// public libraries; the paper gives 0.01).
    ///
    /// # Errors
    /// If `beta` is out of its range.
    pub fn new(seed: u64, beta: f64) -> Result<Self> {
        let beta = within("beta", beta, (0.0..=1.0).contains(&beta), "between 0 and 1")?;
        Ok(Self { seed, beta, cosines: Vec::new() })
    }

    /// The weights `[T]` of a step for given orders: `orders[i]` lists the other tasks in the order in which g_i meets them.
    ///
    /// # Errors
    /// If earlier steps had another number of tasks.
    pub fn weights(&mut self, gramian: &[Vec<f64>], orders: &[Vec<usize>]) -> Result<Vec<f64>> {
        let tasks = gramian.len();
        memory::start(&mut self.cosines, tasks * tasks, 0.0)?;
        let lengths: Vec<f64> = (0..tasks).map(|i| gramian[i][i].sqrt()).collect();
        let mut weights = vec![0.0; tasks];
        for (task, order) in orders.iter().enumerate() {
            let mut v = vec![0.0; tasks];
            v[task] = 1.0;
            for &other in order {
                let length = inner(&product(gramian, &v), &v).max(0.0).sqrt();
                let cosine = inner(&v, &gramian[other]) / (length * lengths[other] + EPS);
                let target = &mut self.cosines[task * tasks + other];
                if cosine < *target {
                    let sine = |cosine: f64| (1.0 - cosine * cosine).max(0.0).sqrt();
                    let above = *target * sine(cosine) - cosine * sine(*target);
                    v[other] += length * above / (lengths[other] * sine(*target) + EPS);
                }
                *target = (1.0 - self.beta) * *target + self.beta * cosine;
            }
            weights.iter_mut().zip(v).for_each(|(weight, part)| *weight += part);
        }
        Ok(weights)
    }
}

impl Aggregator for GradVac {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        let orders = orders(self.seed, "gradvac", jacobian.tasks(), iteration);
        Ok(Combination::Weights(self.weights(jacobian.gramian()?, &orders)?))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("phi", &self.cosines)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.cosines] = memory::load(state, ["phi"])?;
        Ok(())
    }
}
