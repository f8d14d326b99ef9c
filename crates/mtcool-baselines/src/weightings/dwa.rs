//! DWA: losses that fall more slowly get more weight.

use mtcool_core::{Error, LossWeighting, Result};

use crate::checks::positive;
use crate::memory;
use crate::softmax::softmax;

/// Dynamic weight average (Liu, Johns and Davison 2019, *End-to-end multi-task learning with attention*).
///
/// `L_i(t)` is the mean loss over window t; in the paper a window is an epoch.
///
/// 1. `r_i = L_i(t-1) / L_i(t-2)`; `w_i = 1` in the first two windows
/// 2. `w_i = T exp(r_i / temperature) / sum_k exp(r_k / temperature)`
///
/// Cost of a step: the cost of Joint's step. The weights sum to T; any single loss may rise.
#[derive(Clone, Debug)]
pub struct Dwa {
    temperature: f64,
    window: u64,
    /// Sums of the losses of the present window.
    sums: Vec<f64>,
    /// Means of the last window; empty in the first window.
    last: Vec<f64>,
    /// Means of the window before the last; empty in the first two windows.
    before: Vec<f64>,
}

impl Dwa {
    /// `temperature` is positive (the authors': 2); `window` is the number of steps of a window, at least 1.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(temperature: f64, window: u64) -> Result<Self> {
        let temperature = positive("temperature", temperature)?;
        if window == 0 {
            return Err(Error::out_of_range("window", window, "at least 1"));
        }
        Ok(Self { temperature, window, sums: Vec::new(), last: Vec::new(), before: Vec::new() })
    }
}

impl LossWeighting for Dwa {
    fn weights(&mut self, losses: &[f64], iteration: u64) -> Result<Vec<f64>> {
        memory::start(&mut self.sums, losses.len(), 0.0)?;
        if iteration > 0 && iteration.is_multiple_of(self.window) {
            let means = self.sums.iter().map(|sum| sum / self.window as f64).collect();
            self.before = std::mem::replace(&mut self.last, means);
            self.sums.fill(0.0);
        }
        self.sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
        // A loss that has reached 0 cannot fall further: it counts as a loss that does not change.
        let ratio = |(last, before): (&f64, &f64)| if *before > 0.0 { last / before } else { 1.0 };
        let ratios: Vec<f64> = self.last.iter().zip(&self.before).map(ratio).collect();
        if ratios.is_empty() {
            return Ok(vec![1.0; losses.len()]);
        }
        Ok(softmax(&ratios, self.temperature, losses.len() as f64))
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("sum", &self.sums), ("last", &self.last), ("before", &self.before)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.sums, self.last, self.before] = memory::load(state, ["sum", "last", "before"])?;
        Ok(())
    }
}
