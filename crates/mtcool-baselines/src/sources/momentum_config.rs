//! Momentum ConFIG: the conflict-free direction of running means, with one task's gradient at a time.

use mtcool_core::{Diagnostics, Direction, DirectionSource, Gradients, Jacobian, Point, Result, StateTensors};

use crate::checks::within;
use crate::solver::conflict_free;
use crate::{memory, rows};

/// Added to roots of second moments.
const EPS: f64 = 1e-8;

/// Momentum ConFIG (Liu et al. 2024, *ConFIG: towards conflict-free training of physics informed neural networks*), in the form with
/// separate moments per task.
///
/// A step makes T updates. The moments m and v start at 0; `t_i` counts the gradients of task i. In the update of task i:
///
/// 1. `m_i <- beta_1 m_i + (1 - beta_1) g_i`, `v_i <- beta_2 v_i + (1 - beta_2) g_i^2`, coordinate by coordinate
/// 2. `h_j = (m_j / (1 - beta_1^t_j)) / (sqrt(v_j / (1 - beta_2^t_j)) + 1e-8)` for every task j that has had a gradient
/// 3. d = the direction of [`ConFig`](crate::ConFig) for the h; task i's own parameters move by their part of `h_i`
///
/// d contains momentum and a scale per coordinate already, as Adam's direction does: it is meant for an optimiser without momentum, and
/// for learning rates such as Adam's.
///
/// Cost of a step: one forward and one backward pass per task, no more than Joint's; two moments per task and parameter are kept.
#[derive(Clone, Debug)]
pub struct MomentumConFig {
    betas: [f64; 2],
    /// m and v; empty before the first step.
    first: Vec<Gradients>,
    second: Vec<Gradients>,
    /// `t_i`.
    counts: Vec<f64>,
}

impl MomentumConFig {
    /// `betas` are at least 0 and less than 1 (0.9 and 0.999).
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(betas: [f64; 2]) -> Result<Self> {
        for beta in betas {
            within("betas", beta, (0.0..1.0).contains(&beta), "two numbers of at least 0 and less than 1")?;
        }
        Ok(Self { betas, first: Vec::new(), second: Vec::new(), counts: Vec::new() })
    }

    /// `h_j` of task `task`; without tensors if it has had no gradient yet.
    fn normalized(&self, task: usize) -> Result<Gradients> {
        let unbias = [0, 1].map(|k| 1.0 - self.betas[k].powf(self.counts[task]));
        self.first[task].map(|name, mean| match self.second[task].get(name) {
            Some(squares) => {
                let root = ((squares / unbias[1])?.sqrt()? + EPS)?;
                Ok(((mean / unbias[0])? / root)?)
            }
            None => Ok(mean.zeros_like()?),
        })
    }
}

impl DirectionSource for MomentumConFig {
    fn direction(&mut self, point: &Point<'_>, _iteration: u64) -> Result<Direction> {
        let tasks = point.tasks();
        rows::start(&mut self.first, tasks)?;
        rows::start(&mut self.second, tasks)?;
        memory::start(&mut self.counts, tasks, 0.0)?;
        // The task with the fewest gradients; of equal ones the first.
        let task = (0..tasks).min_by(|&i, &j| self.counts[i].total_cmp(&self.counts[j])).unwrap_or_default();
        let (loss, gradient) = point.loss_and_gradient_at(point.parameters(), task)?;
        let gradient = gradient.filter(|name| name.is_shared() || name.is_own(task));
        let squares = gradient.map(|_, g| Ok(g.sqr()?))?;
        self.first[task] = rows::blend(&self.first[task], &gradient, self.betas[0])?;
        self.second[task] = rows::blend(&self.second[task], &squares, self.betas[1])?;
        self.counts[task] += 1.0;
        let mut shared: Vec<Gradients> = Vec::with_capacity(tasks);
        let mut own = Gradients::new();
        for other in 0..tasks {
            let h = rows::placed(&self.normalized(other)?, &gradient)?;
            if other == task {
                own = h.filter(|name| name.is_own(task));
            }
            // In the order of the parameters, which a checkpoint does not keep.
            let in_order = point.parameters().iter().filter(|(name, _)| name.is_shared());
            shared.push(in_order.filter_map(|(name, _)| Some((name.clone(), h.get(name)?.clone()))).collect());
        }
        let losses = vec![1.0; tasks];
        let jacobian = Jacobian::new(&shared, &losses);
        let mut gradients = jacobian.weighted_sum(&conflict_free(&jacobian, &losses)?)?;
        gradients.update(own);
        Ok(Direction { gradients, losses: vec![loss], diagnostics: Diagnostics::NONE })
    }

    fn updates(&self, tasks: usize) -> usize {
        tasks
    }

    fn state(&self) -> Vec<(String, f64)> {
        memory::save(&[("count", &self.counts)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        [self.counts] = memory::load(state, ["count"])?;
        Ok(())
    }

    fn tensors(&self) -> StateTensors {
        rows::save(&[("first", &self.first), ("second", &self.second)])
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        [self.first, self.second] = rows::load(&tensors, ["first", "second"])?;
        Ok(())
    }
}
