//! MGDA: the shortest convex combination of the tasks' gradients.

use mtcool_core::{Aggregator, Combination, Error, Jacobian, Result};

use crate::solver::shortest_on_simplex;

/// What each gradient is divided by before the weights are sought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// Nothing.
    #[default]
    None,
    /// Its length `|g_i|`.
    L2,
    /// Its loss `L_i`.
    Loss,
    /// Both, `L_i |g_i|` (`loss+`).
    LossPlus,
}

/// MGDA (Désidéri 2012, *Multiple-gradient descent algorithm*; Sener and Koltun 2018, *Multi-task learning as
/// multi-objective optimization*).
///
/// 1. `s_i = 1, |g_i|, L_i or L_i |g_i|` (normalization none, l2, loss, loss+)
/// 2. `w = argmin |sum_i w_i g_i / s_i|^2` over `w_i >= 0, sum_i w_i = 1`
/// 3. `d = sum_i w_i g_i`, the weights on the gradients as they are
///
/// Cost of a step: a backward pass a task, the Gramian, and a problem of T unknowns solved exactly by active sets. Without
/// normalization `g_i . d >= |d|^2` for every task: no task's loss rises for a short enough step, and `d = 0` exactly at
/// Pareto-stationary points.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mgda {
    normalization: Normalization,
    corner: f64,
}

impl Mgda {
    /// With `normalization`.
    pub fn new(normalization: Normalization) -> Self {
        Self { normalization, corner: 0.0 }
    }

    /// For two tasks of which one would get all the weight: the weight `corner` that the other one gets all the same. Sener
    /// and Koltun's program has 0.001; the exact minimum, which is the default, has 0.
    ///
    /// # Errors
    /// If `corner` is not in `0..=0.5`.
    pub fn with_corner(self, corner: f64) -> Result<Self> {
        match (0.0..=0.5).contains(&corner) {
            true => Ok(Self { corner, ..self }),
            false => Err(Error::out_of_range("corner", corner, "between 0 and 0.5")),
        }
    }

    /// `s_i`, 1 for a gradient that is zero.
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
        let mut weights = shortest_on_simplex(&scaled)?;
        if let [first, second] = &mut weights[..] {
            let (smaller, larger) = if first < second { (first, second) } else { (second, first) };
            if *smaller < self.corner {
                (*smaller, *larger) = (self.corner, 1.0 - self.corner);
            }
        }
        Ok(Combination::Weights(weights))
    }
}
