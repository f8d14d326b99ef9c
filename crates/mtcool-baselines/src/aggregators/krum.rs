//! Krum: the mean of the gradients that lie nearest to the others.

use mtcool_core::{Aggregator, Combination, Convention, Error, Jacobian, Result};

/// What is summed over the nearest gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KrumDistance {
    /// `|g_i - g_j|`, as in TorchJD.
    #[default]
    Euclidean,
    /// `|g_i - g_j|^2`, as in the paper.
    Squared,
}

/// Krum and Multi-Krum (Blanchard et al. 2017, *Machine learning with adversaries: byzantine tolerant gradient descent*).
///
/// 1. `s_i` = the sum of the `T - f - 2` smallest distances from g_i to the other gradients, f = `n_byzantine`
/// 2. d = the mean of the `n_selected` gradients with the smallest `s_i`; of equal ones the earlier task's
///
/// It was made for workers of which f send arbitrary vectors; here the workers are tasks. It needs T at least f + 3, and promises
/// nothing to the tasks that are left out.
///
/// Cost of a step: one backward pass per task and the Gramian.
#[derive(Clone, Copy, Debug)]
pub struct Krum {
    n_byzantine: usize,
    n_selected: usize,
    distance: KrumDistance,
}

impl Krum {
    /// `n_byzantine` is f; `n_selected` is at least 1.
    ///
    /// # Errors
    /// If `n_selected` is 0.
    pub fn new(n_byzantine: usize, n_selected: usize, distance: KrumDistance) -> Result<Self> {
        if n_selected == 0 {
            return Err(Error::out_of_range("n_selected", n_selected, "at least 1"));
        }
        Ok(Self { n_byzantine, n_selected, distance })
    }

    /// Checks that it is defined for `tasks` tasks.
    ///
    /// # Errors
    /// If there are fewer than f + 3 tasks, or fewer than `n_selected`.
    pub fn check(self, tasks: usize) -> Result<()> {
        let least = (self.n_byzantine + 3).max(self.n_selected);
        if tasks >= least {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "Krum, with n_byzantine = f and n_selected = m".into(),
            expected: format!("at least f + 3 and at least m tasks, here {least}"),
            got: format!("{tasks}; lower the settings, or leave Krum out"),
        })
    }

    /// `s_i` `[T]`.
    fn scores(self, gramian: &[Vec<f64>]) -> Vec<f64> {
        let tasks = gramian.len();
        let distance = |i: usize, j: usize| {
            let squared = (gramian[i][i] + gramian[j][j] - 2.0 * gramian[i][j]).max(0.0);
            if self.distance == KrumDistance::Squared { squared } else { squared.sqrt() }
        };
        let score = |i: usize| {
            let mut distances: Vec<f64> = (0..tasks).filter(|&j| j != i).map(|j| distance(i, j)).collect();
            distances.sort_by(f64::total_cmp);
            distances[..tasks - self.n_byzantine - 2].iter().sum()
        };
        (0..tasks).map(score).collect()
    }
}

impl Aggregator for Krum {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let tasks = jacobian.tasks();
        self.check(tasks)?;
        let scores = self.scores(jacobian.gramian()?);
        let mut order: Vec<usize> = (0..tasks).collect();
        order.sort_by(|&i, &j| scores[i].total_cmp(&scores[j]));
        let mut weights = vec![0.0; tasks];
        order[..self.n_selected].iter().for_each(|&i| weights[i] = 1.0 / self.n_selected as f64);
        Ok(Combination::Weights(weights))
    }

    /// The weights follow from the Gramian.
    fn reads_rows(&self) -> bool {
        false
    }

    /// A mean of gradients.
    fn convention(&self) -> Convention {
        Convention::Mean
    }
}
