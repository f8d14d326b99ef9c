//! SDMGrad: a short combination of the gradients near a preferred one, found from independent batches.

use mtcool_core::{Direction, DirectionSource, Error, Point, Result};

use super::batches::{BATCHES, weighted};
use crate::checks::{at_least_zero, none_negative, one_per_task_or_none, positive, within};
use crate::memory;
use crate::solver::{onto_simplex, product};

/// The settings of [`SdmGrad`].
#[derive(Clone, Debug, PartialEq)]
pub struct SdmGradSettings {
    /// The rate of the weights, positive.
    pub rate: f64,
    /// Momentum of the weights within a step, at least 0 and less than 1.
    pub momentum: f64,
    /// The updates of the weights in a step, at least 1.
    pub iterations: usize,
    /// How strongly the direction is drawn to the preferred one, at least 0.
    pub lambda: f64,
    /// The preferred weights p, at least 0, one per task; or none, which means 1/T for all.
    pub preference: Vec<f64>,
}

impl Default for SdmGradSettings {
    /// The values of TorchJD. LibMTL has the rate 5, the authors' program lambda = 0.6, and 0.3 in its scripts.
    fn default() -> Self {
        Self { rate: 10.0, momentum: 0.5, iterations: 20, lambda: 0.3, preference: Vec::new() }
    }
}

/// SDMGrad (Xiao et al. 2023, *Direction-oriented multi-objective learning: simple and provable stochastic algorithms*).
///
/// `J_1`, `J_2` and `J_3` are the gradients on three independent batches; the weights w start at 1/T and are kept between the steps.
///
/// 1. `A = J_1 J_2^T`, divided by `s^2 + 1e-8`, `s = mean_i sqrt(max(A_ii, 0))`
/// 2. `iterations` times: `q = A (w + lambda p)`; `v <- momentum v + q`, from 0 in each step; `w <- Pi(w - rate v)`, Pi the projection onto
///    the simplex
/// 3. `d = J_3^T (w + lambda p) / (1 + lambda)`
///
/// Two independent batches make the expectation of A that of the products of the expected gradients, and the third one makes d unbiased
/// for its weights. The authors' program divides by a slightly different s.
///
/// Cost of a step: three batches of each task, T backward passes on each of them.
#[derive(Clone, Debug)]
pub struct SdmGrad {
    settings: SdmGradSettings,
    /// w; empty before the first step.
    w: Vec<f64>,
}

impl SdmGrad {
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(settings: SdmGradSettings) -> Result<Self> {
        positive("rate", settings.rate)?;
        let momentum = settings.momentum;
        within("momentum", momentum, (0.0..1.0).contains(&momentum), "at least 0 and less than 1")?;
        at_least_zero("lambda", settings.lambda)?;
        if settings.iterations == 0 {
            return Err(Error::out_of_range("iterations", settings.iterations, "at least 1"));
        }
        none_negative("preference", &settings.preference)?;
        Ok(Self { settings, w: Vec::new() })
    }

    /// The weights `[T]` of the third batch's gradients, from `J_1 J_2^T` `[T, T]`.
    ///
    /// # Errors
    /// If there is not one preference per task, or earlier steps had another number of tasks.
    pub fn weights(&mut self, products: &[Vec<f64>]) -> Result<Vec<f64>> {
        let tasks = products.len();
        let SdmGradSettings { rate, momentum, iterations, lambda, preference } = &self.settings;
        one_per_task_or_none("preference", preference, tasks)?;
        memory::start(&mut self.w, tasks, 1.0 / tasks as f64)?;
        let equal = vec![1.0 / tasks as f64; tasks];
        let p = if preference.is_empty() { &equal } else { preference };
        let scale = (0..tasks).map(|i| products[i][i].max(0.0).sqrt()).sum::<f64>() / tasks as f64;
        let divisor = scale * scale + 1e-8;
        let scaled: Vec<Vec<f64>> =
            products.iter().map(|row| row.iter().map(|entry| entry / divisor).collect()).collect();
        let with_preference = |w: &[f64]| -> Vec<f64> { w.iter().zip(p).map(|(w, p)| w + lambda * p).collect() };
        let mut velocity = vec![0.0; tasks];
        for _ in 0..*iterations {
            let pull = product(&scaled, &with_preference(&self.w));
            velocity.iter_mut().zip(pull).for_each(|(v, q)| *v = momentum * *v + q);
            let moved: Vec<f64> = self.w.iter().zip(&velocity).map(|(w, v)| w - rate * v).collect();
            self.w = onto_simplex(&moved);
        }
        Ok(with_preference(&self.w).iter().map(|weight| weight / (1.0 + lambda)).collect())
    }
}

impl DirectionSource for SdmGrad {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        weighted(point, iteration, |products| self.weights(products))
    }

    fn independent_batches(&self) -> usize {
        BATCHES
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("w", &self.w)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.w] = memory::load(state, ["w"])?;
        Ok(())
    }
}
