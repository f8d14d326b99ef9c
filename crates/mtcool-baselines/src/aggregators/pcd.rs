//! PCD: the direction nearest to the first task's gradient along which every other task still gains.

use mtcool_core::{Aggregator, Combination, Convention, Error, Jacobian, Result};

use crate::checks::within;
use crate::memory;
use crate::solver::{inner, minimize_nonnegative, product};

/// Added to the running means of the squared lengths.
const EPS: f64 = 1e-8;
/// A squared length below this, relative to that of the terms, counts as 0.
const NOTHING: f64 = 10.0 * f64::EPSILON;

/// PCD (*Priority-constrained descent*, 2026). The first task is the primary one.
///
/// The running means v start at 0; t counts the steps from 1.
///
/// 1. `v_i <- beta v_i + (1 - beta) |g_i|^2`; `h_i = g_i / sqrt(v_i / (1 - beta^t) + 1e-8)`
/// 2. `d = argmin 1/2 |d - h_1|^2` under `h_j . d >= tau_j |h_j|^2` for all j > 1; `h_1` if no d fulfils all of these
/// 3. the direction is `|g_1| d / |d|`; 0 where `g_1` or d is 0
///
/// With tau > 0 every secondary task gains at least the share tau of what its own gradient would give it, wherever that is
/// possible; with tau = 0 none loses. The program's dual has one unknown per secondary task and is solved exactly by active sets.
///
/// Cost of a step: one backward pass per task, the Gramian, a problem of T - 1 unknowns.
#[derive(Clone, Debug)]
pub struct Pcd {
    tau: Vec<f64>,
    beta: f64,
    /// v; empty before the first step.
    squares: Vec<f64>,
    steps: u64,
}

impl Pcd {
    /// `tau` has one number of at least 0 for all secondary tasks, or one for each (the authors': 0.02); `beta`, at least 0 and less
    /// than 1, is the weight of the old mean (0.999).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(tau: Vec<f64>, beta: f64) -> Result<Self> {
        let wrong = tau.iter().find(|tau| !(**tau >= 0.0 && tau.is_finite())).copied();
        if let Some(wrong) = wrong.or_else(|| tau.is_empty().then_some(f64::NAN)) {
            let expected = "a number of at least 0 for all secondary tasks, or one for each";
            return Err(Error::out_of_range("tau", wrong, expected));
        }
        let beta = within("beta", beta, (0.0..1.0).contains(&beta), "at least 0 and less than 1")?;
        Ok(Self { tau, beta, squares: Vec::new(), steps: 0 })
    }

    /// Checks that `tau` fits `tasks` tasks.
    ///
    /// # Errors
    /// If it has neither one number nor one for each secondary task.
    pub fn check(&self, tasks: usize) -> Result<()> {
        self.shares(tasks.saturating_sub(1)).map(drop)
    }

    /// `tau_j` of each secondary task.
    fn shares(&self, secondaries: usize) -> Result<Vec<f64>> {
        match self.tau[..] {
            [tau] => Ok(vec![tau; secondaries]),
            ref each if each.len() == secondaries => Ok(each.to_vec()),
            ref other => Err(Error::Mismatch {
                what: "`tau` of PCD".into(),
                expected: format!("one number, or {secondaries}, one per task but the first"),
                got: format!("{other:?}"),
            }),
        }
    }

    /// The weights `[T]` of the scaled gradients with this Gramian `[T, T]`: 1 for the first, the multipliers of the others.
    fn multipliers(&self, scaled: &[Vec<f64>]) -> Result<Vec<f64>> {
        let tasks = scaled.len();
        let shares = self.shares(tasks - 1)?;
        let matrix: Vec<Vec<f64>> = scaled[1..].iter().map(|row| row[1..].to_vec()).collect();
        let slope = |(j, tau): (usize, &f64)| scaled[j + 1][0] - tau * scaled[j + 1][j + 1];
        let slopes: Vec<f64> = shares.iter().enumerate().map(slope).collect();
        // Without a feasible point the dual is unbounded.
        let others = minimize_nonnegative(&matrix, &slopes)?.unwrap_or_else(|| vec![0.0; tasks - 1]);
        Ok([1.0].into_iter().chain(others).collect())
    }
}

impl Aggregator for Pcd {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let gramian = jacobian.gramian()?;
        let tasks = gramian.len();
        memory::start(&mut self.squares, tasks, 0.0)?;
        self.steps += 1;
        for (i, square) in self.squares.iter_mut().enumerate() {
            *square = self.beta * *square + (1.0 - self.beta) * gramian[i][i];
        }
        let unbias = 1.0 - self.beta.powf(self.steps as f64);
        let scales: Vec<f64> = self.squares.iter().map(|square| 1.0 / (square / unbias + EPS).sqrt()).collect();
        let scaled = |(row, s): (&Vec<f64>, &f64)| row.iter().zip(&scales).map(|(entry, t)| s * entry * t).collect();
        let scaled: Vec<Vec<f64>> = gramian.iter().zip(&scales).map(scaled).collect();
        let weights = self.multipliers(&scaled)?;
        let squared_length = inner(&product(&scaled, &weights), &weights);
        let size: f64 = weights.iter().enumerate().map(|(i, weight)| weight.abs() * scaled[i][i].sqrt()).sum();
        if gramian[0][0] == 0.0 || squared_length <= NOTHING * size * size {
            return Ok(Combination::Weights(vec![0.0; tasks]));
        }
        let factor = (gramian[0][0] / squared_length).sqrt();
        Ok(Combination::Weights(weights.iter().zip(scales).map(|(weight, scale)| factor * weight * scale).collect()))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The direction has the length of one gradient.
    fn convention(&self) -> Convention {
        Convention::Mean
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("sq_norm_ema", &self.squares), ("steps", &[self.steps as f64])])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let [squares, steps] = memory::load(state, ["sq_norm_ema", "steps"])?;
        (self.squares, self.steps) = (squares, steps.first().copied().unwrap_or(0.0) as u64);
        Ok(())
    }
}
