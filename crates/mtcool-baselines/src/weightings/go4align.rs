//! GO4Align: tasks are grouped by how far they lag behind, and a group shares one weight.

use mtcool_core::{Error, LossWeighting, Result};

use crate::checks::{losses_at_least_zero, positive};
use crate::memory;

/// A loss below this part of the sum counts as this part, so that indicators stay finite.
const SMALLEST: f64 = 1e-12;

/// GO4Align (Shen et al. 2024, *GO4Align: group optimization for multi-task alignment*).
///
/// The probabilities q start at 1/T.
///
/// 1. `q_i <- q_i exp(-rate L_i)`, divided by the sum
/// 2. `u_i = q_i sum_j L_j / L_i`, the indicators
/// 3. the u are split into `groups` groups with the least sum of squared distances from the groups' means
/// 4. `w_i` = the mean of u over the group of task i
///
/// The published program splits the indicators by k-means from a random start; here it is the best split, which consists of intervals
/// of the sorted indicators and is found by dynamic programming. So no result depends on chance. No loss may be negative.
///
/// Cost of a step: the cost of Joint's step.
#[derive(Clone, Debug)]
pub struct Go4Align {
    groups: usize,
    rate: f64,
    /// q; empty before the first step.
    probabilities: Vec<f64>,
}

impl Go4Align {
    /// `groups` is at least 1 (with T tasks, at most T groups are formed); `robust_step_size`, positive, is the rate of q (1e-4).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(groups: usize, robust_step_size: f64) -> Result<Self> {
        if groups == 0 {
            return Err(Error::out_of_range("groups", groups, "at least 1"));
        }
        Ok(Self { groups, rate: positive("robust_step_size", robust_step_size)?, probabilities: Vec::new() })
    }
}

/// The mean of each value's group, in the split into `groups` groups with the least sum of squares within the groups.
fn group_means(values: &[f64], groups: usize) -> Vec<f64> {
    let count = values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let sorted: Vec<f64> = order.iter().map(|&i| values[i]).collect();
    let mean = |from: usize, to: usize| sorted[from..to].iter().sum::<f64>() / (to - from) as f64;
    let spread = |from: usize, to: usize| {
        let mean = mean(from, to);
        sorted[from..to].iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    // best[to]: the least spread of the first `to` values in the present number of groups; cuts[k][to]: where its last group begins.
    let mut best: Vec<f64> = (0..=count).map(|to| if to == 0 { 0.0 } else { spread(0, to) }).collect();
    let mut cuts = vec![vec![0; count + 1]];
    for used in 2..=groups.min(count) {
        let mut next = vec![f64::INFINITY; count + 1];
        let mut cut = vec![0; count + 1];
        for to in used..=count {
            for (from, before) in best.iter().enumerate().take(to).skip(used - 1) {
                let total = before + spread(from, to);
                if total < next[to] {
                    (next[to], cut[to]) = (total, from);
                }
            }
        }
        best = next;
        cuts.push(cut);
    }
    let (mut means, mut to) = (vec![0.0; count], count);
    for cut in cuts.iter().rev() {
        let from = cut[to];
        order[from..to].iter().for_each(|&i| means[i] = mean(from, to));
        to = from;
    }
    means
}

impl LossWeighting for Go4Align {
    fn weights(&mut self, losses: &[f64], _iteration: u64) -> Result<Vec<f64>> {
        losses_at_least_zero("GO4Align", losses)?;
        memory::start(&mut self.probabilities, losses.len(), 1.0 / losses.len() as f64)?;
        let smallest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        // Subtracting the smallest changes no probability and avoids underflow.
        let moved = |(q, loss): (&f64, &f64)| q * (-self.rate * (loss - smallest)).exp();
        let shares: Vec<f64> = self.probabilities.iter().zip(losses).map(moved).collect();
        let (sum, total): (f64, f64) = (shares.iter().sum(), losses.iter().sum());
        self.probabilities = shares.iter().map(|share| share / sum).collect();
        if total == 0.0 {
            return Ok(vec![1.0; losses.len()]);
        }
        let indicator = |(q, loss): (&f64, &f64)| q / (loss / total).max(SMALLEST);
        let indicators: Vec<f64> = self.probabilities.iter().zip(losses).map(indicator).collect();
        Ok(group_means(&indicators, self.groups))
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("q", &self.probabilities)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.probabilities] = memory::load(state, ["q"])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against every assignment of the values to groups.
        #[test]
        fn no_other_split_is_tighter(values in prop::collection::vec(0.0..10.0f64, 1..7), groups in 1usize..4) {
            let spread = |means: &[f64]| -> f64 { values.iter().zip(means).map(|(v, m)| (v - m).powi(2)).sum() };
            let found = spread(&group_means(&values, groups));
            let count = values.len();
            for code in 0..groups.pow(count as u32) {
                let group = |i: usize| code / groups.pow(i as u32) % groups;
                let mean_of = |wanted: usize| {
                    let members: Vec<f64> = (0..count).filter(|&i| group(i) == wanted).map(|i| values[i]).collect();
                    members.iter().sum::<f64>() / members.len() as f64
                };
                let means: Vec<f64> = (0..count).map(|i| mean_of(group(i))).collect();
                prop_assert!(found <= spread(&means) + 1e-9);
            }
        }
    }
}
