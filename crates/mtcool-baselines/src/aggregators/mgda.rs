//! MGDA: the shortest convex combination of the tasks' gradients.

use mtcool_core::{Aggregator, Combination, Convention, Error, Jacobian, Result};

use crate::solver::shortest_on_simplex;

/// What each gradient is divided by before the weights are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// By 1.
    #[default]
    None,
    /// By its length `|g_i|`.
    L2,
    /// By its loss `L_i`.
    Loss,
    /// By both, `L_i |g_i|` (`loss+`).
    LossPlus,
}

/// MGDA (Désidéri 2012, *Multiple-gradient descent algorithm*; Sener and Koltun 2018, *Multi-task learning as
/// multi-objective optimization*).
///
/// 1. `s_i = 1, |g_i|, L_i or L_i |g_i|` (normalization none, l2, loss, loss+)
/// 2. `w = argmin |sum_i w_i g_i / s_i|^2` over `w_i >= 0, sum_i w_i = 1`
/// 3. `d = sum_i w_i g_i`: the weights are applied to the gradients without normalization
///
/// Cost of a step: one backward pass per task, the Gramian, and a problem of T unknowns, in closed form for two tasks and
/// solved exactly by active sets for more. Without normalization `g_i . d >= |d|^2` for every task: no task's loss rises if the
/// step is short enough, and `d = 0` exactly at Pareto-stationary points.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mgda {
    normalization: Normalization,
    corner: f64,
}

impl Mgda {
    /// MGDA with this normalization and the exact minimum (`corner` 0).
    pub fn new(normalization: Normalization) -> Self {
        Self { normalization, corner: 0.0 }
    }

    /// Where the minimum would give one task all of the weight, that task gets `1 - corner`, and the other tasks share
    /// `corner` evenly. A minimum that gives weight to several tasks stays as it is, however small a weight is.
    ///
    /// For two tasks this is the rule of Sener and Koltun's program, which has 0.001: one task would get all of the weight
    /// where `g_1 . g_2 >= |g_1|^2` or `g_1 . g_2 >= |g_2|^2`. For more tasks their program has no such rule; the even
    /// share is ours.
    ///
    /// # Errors
    /// If `corner` is not in `0..=0.5`.
    pub fn with_corner(self, corner: f64) -> Result<Self> {
        if (0.0..=0.5).contains(&corner) {
            Ok(Self { corner, ..self })
        } else {
            Err(Error::out_of_range("corner", corner, "between 0 and 0.5"))
        }
    }

    /// `s_i` `[T]`; 1 for a gradient that is zero.
    fn scales(&self, gramian: &[Vec<f64>], losses: &[f64]) -> Result<Vec<f64>> {
        let scale = |(i, &loss): (usize, &f64)| {
            let length = gramian[i][i].sqrt();
            if length == 0.0 || self.normalization == Normalization::None {
                return Ok(1.0);
            }
            if loss <= 0.0 && self.normalization != Normalization::L2 {
                return Err(Error::Mismatch {
                    what: format!("MGDA, which divides gradients by losses: the loss of task {i}"),
                    expected: "a positive number; or normalization none or l2".into(),
                    got: loss.to_string(),
                });
            }
            Ok(match self.normalization {
                Normalization::None => 1.0,
                Normalization::L2 => length,
                Normalization::Loss => loss,
                Normalization::LossPlus => loss * length,
            })
        };
        losses.iter().enumerate().map(scale).collect()
    }

    /// The weights `[T]` after the rule of [`Mgda::with_corner`].
    fn away_from_corner(&self, mut weights: Vec<f64>) -> Vec<f64> {
        let others = weights.len().saturating_sub(1) as f64;
        if others > 0.0 && weights.iter().filter(|weight| **weight > 0.0).count() == 1 {
            for weight in &mut weights {
                *weight = if *weight > 0.0 { 1.0 - self.corner } else { self.corner / others };
            }
        }
        weights
    }
}

/// The weights of the shortest point between the ends of two gradients with these inner products.
fn shortest_of_two(first: f64, product: f64, second: f64) -> Vec<f64> {
    if product >= first {
        return vec![1.0, 0.0];
    }
    if product >= second {
        return vec![0.0, 1.0];
    }
    // Both differences are positive, and both weights are divided, so that a tiny one keeps its digits.
    let (of_first, of_second) = (second - product, first - product);
    let sum = of_first + of_second;
    vec![of_first / sum, of_second / sum]
}

impl Aggregator for Mgda {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let gramian = jacobian.gramian()?;
        let scales = self.scales(gramian, jacobian.losses())?;
        let scaled: Vec<Vec<f64>> = gramian
            .iter()
            .zip(&scales)
            .map(|(row, s)| row.iter().zip(&scales).map(|(entry, t)| entry / s / t).collect())
            .collect();
        let weights = match &scaled[..] {
            [first, second] => shortest_of_two(first[0], first[1], second[1]),
            _ => shortest_on_simplex(&scaled)?,
        };
        Ok(Combination::Weights(self.away_from_corner(weights)))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// The weights sum to 1.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
