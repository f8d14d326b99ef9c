//! The other kind of method: combine what the tasks ask for, then optimise all parameters at once.

use std::cell::OnceCell;

use candle_core::{CpuStorage, DType, Storage, Tensor};

use crate::error::{Error, Result, require};
use crate::method::{Method, MethodState, Step, StepReport, TaskLoss};
use crate::objective;
use crate::optimizer::{RateSchedule, Sgd, Velocity};
use crate::parameters::{Gradients, ParameterName, Parameters, Part};

/// Weights on the tasks' losses, known before any gradient: one backward pass of the weighted sum does the step.
pub trait LossWeighting: Send {
    /// One weight a task, given the losses `[T]` of step `iteration`, counted from 0. Asked for in the order of the steps,
    /// once each; what is random follows from the iteration and a seed of the weighting's own. Losses that are read are
    /// finite: a step that has diverged is not put to it.
    ///
    /// # Errors
    /// If no weights can be had from these losses.
    fn weights(&mut self, losses: &[f64], iteration: u64) -> Result<Vec<f64>>;

    /// What it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`LossWeighting::state`] gave it.
    ///
    /// # Errors
    /// If `state` is not this weighting's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }

    /// Whether the losses matter; those that ignore them need not wait for their values.
    fn reads_losses(&self) -> bool {
        true
    }

    /// Whether [`LossWeighting::observe`] is to be told the losses after the step, which costs a forward pass.
    fn reads_losses_after(&self) -> bool {
        false
    }

    /// The losses `[T]` of the same batches once the parameters have moved.
    ///
    /// # Errors
    /// If nothing can be learned from these losses.
    fn observe(&mut self, losses: &[f64]) -> Result<()> {
        let _ = losses;
        Ok(())
    }
}

/// Combines the rows g_i of the Jacobian J `[T, n]` of the losses with respect to the shared parameters into one direction.
pub trait Aggregator: Send {
    /// The combination of the rows of step `iteration`, counted from 0: what is random follows from it and a seed of the
    /// aggregator's own. Losses and rows are finite: a step that has diverged is not put to it.
    ///
    /// # Errors
    /// If there is none, such as a solver that does not converge.
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination>;

    /// What it remembers between steps, by name.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Continues from `state`, as [`Aggregator::state`] gave it.
    ///
    /// # Errors
    /// If `state` is not this aggregator's.
    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        MethodState { numbers: state, ..MethodState::default() }.expect_numbers(&[])
    }
}

/// What an [`Aggregator`] found.
#[derive(Clone, Debug)]
pub enum Combination {
    /// `sum_i w_i g_i`: all an aggregator that works from the Gramian has to say.
    Weights(Vec<f64>),
    /// Weights of the losses, so that task i's own parameters get `w_i` times their gradient as well.
    LossWeights(Vec<f64>),
    /// The direction itself, for the few that work coordinate by coordinate.
    Direction(Gradients),
}

/// The tasks' gradients with respect to the shared parameters, as the backward passes left them: never one `[T, n]` matrix.
#[derive(Debug)]
pub struct Jacobian<'a> {
    rows: &'a [Gradients],
    losses: &'a [f64],
    gramian: OnceCell<Vec<Vec<f64>>>,
}

impl<'a> Jacobian<'a> {
    /// From one row and one loss a task.
    pub fn new(rows: &'a [Gradients], losses: &'a [f64]) -> Self {
        Self { rows, losses, gramian: OnceCell::new() }
    }

    /// T, the number of tasks.
    pub fn tasks(&self) -> usize {
        self.rows.len()
    }

    /// The rows g_i; a parameter that task i does not reach is missing from row i.
    pub fn rows(&self) -> &'a [Gradients] {
        self.rows
    }

    /// The parameters of any row, each once.
    pub fn names(&self) -> impl Iterator<Item = &'a ParameterName> + use<'a> {
        let rows = self.rows;
        rows.iter().enumerate().flat_map(move |(i, row)| {
            let is_new = move |name: &&ParameterName| rows[..i].iter().all(|earlier| earlier.get(name).is_none());
            row.iter().map(|(name, _)| name).filter(is_new)
        })
    }

    /// The losses `[T]` whose gradients the rows are.
    pub fn losses(&self) -> &'a [f64] {
        self.losses
    }

    /// J J^T `[T, T]`, entry (i, j) the inner product of g_i and g_j; computed once.
    ///
    /// # Errors
    /// If two rows disagree on a parameter's shape.
    pub fn gramian(&self) -> Result<&[Vec<f64>]> {
        if let Some(gramian) = self.gramian.get() {
            return Ok(gramian);
        }
        let tasks = self.tasks();
        let mut gramian = vec![vec![0.0; tasks]; tasks];
        for name in self.names() {
            let tensors = self.rows.iter().map(|row| row.get(name).map(Tensor::contiguous).transpose());
            let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
            for (i, a) in tensors.iter().enumerate() {
                for (j, b) in tensors[..=i].iter().enumerate() {
                    if let (Some(a), Some(b)) = (a, b) {
                        gramian[i][j] += inner_product(a, b)?;
                        gramian[j][i] = gramian[i][j];
                    }
                }
            }
        }
        Ok(self.gramian.get_or_init(|| gramian))
    }

    /// `sum_i w_i g_i` over the shared parameters.
    ///
    /// # Errors
    /// If there is not one weight a task.
    pub fn weighted_sum(&self, weights: &[f64]) -> Result<Gradients> {
        one_a_task(weights, self.tasks())?;
        let mut terms = self.rows.iter().zip(weights);
        terms.try_fold(Gradients::new(), |sum, (row, &w)| sum.add_scaled(row, w))
    }

    /// Whether losses and rows are free of NaN and infinities.
    fn is_finite(&self) -> Result<bool> {
        Ok(are_finite(self.losses) && self.gramian()?.iter().all(|row| are_finite(row)))
    }
}

/// Of two contiguous tensors of one shape, in f64: read where they lie if that is the host.
fn inner_product(a: &Tensor, b: &Tensor) -> Result<f64> {
    if a.dims() != b.dims() {
        let (expected, got) = (format!("{:?}", a.dims()), format!("{:?}", b.dims()));
        return Err(Error::Mismatch { what: "gradients of one parameter".into(), expected, got });
    }
    let ((storage_a, layout_a), (storage_b, layout_b)) = (a.storage_and_layout(), b.storage_and_layout());
    let (from_a, from_b) = (layout_a.start_offset(), layout_b.start_offset());
    let count = a.elem_count();
    Ok(match (&*storage_a, &*storage_b) {
        (Storage::Cpu(CpuStorage::F32(a)), Storage::Cpu(CpuStorage::F32(b))) => {
            dot(&a[from_a..from_a + count], &b[from_b..from_b + count])
        }
        (Storage::Cpu(CpuStorage::F64(a)), Storage::Cpu(CpuStorage::F64(b))) => {
            dot(&a[from_a..from_a + count], &b[from_b..from_b + count])
        }
        _ => (a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar()?,
    })
}

/// In four sums, so that additions need not wait for each other.
fn dot<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0; 4];
    let (blocks_a, blocks_b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(&a, &b)| a.into() * b.into()).sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for lane in 0..4 {
            sums[lane] += a[lane].into() * b[lane].into();
        }
    }
    rest + (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// How a [`GradientMethod`] makes one direction of several tasks.
pub enum Combine {
    /// By weights on the losses: one backward pass.
    Losses(Box<dyn LossWeighting>),
    /// By combining gradients: a backward pass a task, over one shared forward pass. Task-specific parameters get their own
    /// task's plain gradient.
    Gradients(Box<dyn Aggregator>),
}

/// "Combine, then optimise": Joint training, loss weightings and gradient aggregators.
pub struct GradientMethod {
    combine: Combine,
    learning_rate: f64,
    sgd: Sgd,
    rate: RateSchedule,
    iteration: u64,
    velocity: Velocity,
}

impl GradientMethod {
    /// # Errors
    /// If a setting is out of its range; `learning_rate` is positive.
    pub fn new(combine: Combine, learning_rate: f64, sgd: Sgd, rate: RateSchedule) -> Result<Self> {
        require(learning_rate > 0.0 && learning_rate.is_finite(), "learning_rate", learning_rate, "a positive number")?;
        let (sgd, rate) = (sgd.check()?, rate.check()?);
        Ok(Self { combine, learning_rate, sgd, rate, iteration: 0, velocity: Velocity::new() })
    }

    fn gradients(&mut self, leaves: &Parameters, losses: &[Tensor]) -> Result<Gradients> {
        match &mut self.combine {
            Combine::Losses(weighting) => {
                let values = match weighting.reads_losses() {
                    true => read(losses)?,
                    false => vec![f64::NAN; losses.len()],
                };
                let weights = match weighting.reads_losses() && !are_finite(&values) {
                    // The plain sum: what is not finite shows up in this step's report.
                    true => vec![1.0; losses.len()],
                    false => weighting.weights(&values, self.iteration)?,
                };
                one_a_task(&weights, losses.len())?;
                let weighted =
                    losses.iter().zip(weights).map(|(loss, w)| if w == 1.0 { Ok(loss.clone()) } else { loss * w });
                let total = objective::total(&weighted.collect::<candle_core::Result<Vec<_>>>()?)?;
                Ok(leaves.gradients(&total.backward()?))
            }
            Combine::Gradients(aggregator) => {
                let rows = losses.iter().map(|loss| Ok(leaves.gradients(&loss.backward()?)));
                combined(aggregator.as_mut(), &rows.collect::<Result<Vec<_>>>()?, &read(losses)?, self.iteration)
            }
        }
    }
}

/// One direction for all parameters: the shared ones by the aggregator, each task's own by its row.
fn combined(aggregator: &mut dyn Aggregator, rows: &[Gradients], losses: &[f64], iteration: u64) -> Result<Gradients> {
    let shared: Vec<_> = rows.iter().map(|row| row.filter(is_shared)).collect();
    let jacobian = Jacobian::new(&shared, losses);
    let combination = match jacobian.is_finite()? {
        true => aggregator.combine(&jacobian, iteration)?,
        // No combination is finite then: the plain sum shows up in the next losses, whatever the aggregator.
        false => Combination::Weights(vec![1.0; rows.len()]),
    };
    let (mut result, own) = match combination {
        Combination::Direction(direction) => (direction, None),
        Combination::Weights(weights) => (jacobian.weighted_sum(&weights)?, None),
        Combination::LossWeights(weights) => (jacobian.weighted_sum(&weights)?, Some(weights)),
    };
    for (task, row) in rows.iter().enumerate() {
        let row = row.filter(|name| name.part == Part::Phi && name.task == task);
        result.update(match &own {
            Some(weights) => Gradients::new().add_scaled(&row, weights[task])?,
            None => row,
        });
    }
    Ok(result)
}

fn are_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// The losses' values, from their device.
fn read(losses: &[Tensor]) -> Result<Vec<f64>> {
    losses.iter().map(|loss| Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?)).collect()
}

fn one_a_task(weights: &[f64], tasks: usize) -> Result<()> {
    match weights.len() == tasks {
        true => Ok(()),
        false => Err(Error::Mismatch {
            what: "weights of the tasks".into(),
            expected: format!("{tasks}, one a task"),
            got: weights.len().to_string(),
        }),
    }
}

/// Every theta is read by every task's features; a phi is its own task's.
fn is_shared(name: &ParameterName) -> bool {
    name.part == Part::Theta
}

impl Method for GradientMethod {
    fn step(&mut self, step: Step<'_>) -> Result<StepReport> {
        let Step { problem, parameters, batches, progress } = step;
        let batches = batches.next_all(problem.tasks())?;
        let leaves = parameters.track(|_| true)?;
        let losses = objective::task_losses(problem, &leaves, &batches)?;
        let gradients = self.gradients(&leaves, &losses)?;
        let velocity = std::mem::take(&mut self.velocity);
        let rate = self.learning_rate * self.rate.factor(progress);
        let (moved, velocity) = self.sgd.step(parameters, &gradients, velocity, rate)?;
        parameters.update(moved);
        self.velocity = velocity;
        self.iteration += 1;
        if let Combine::Losses(weighting) = &mut self.combine
            && weighting.reads_losses_after()
        {
            let constants = parameters.track(|_| false)?;
            let after = read(&objective::task_losses(problem, &constants, &batches)?)?;
            if are_finite(&after) {
                weighting.observe(&after)?;
            }
        }
        let report = |(task, loss): (usize, &Tensor)| TaskLoss { task, loss: loss.detach(), regularizer: None };
        Ok(StepReport { losses: losses.iter().enumerate().map(report).collect() })
    }

    fn batches_next_step(&self) -> usize {
        1
    }

    fn state(&self) -> MethodState {
        let numbers = match &self.combine {
            Combine::Losses(weighting) => weighting.state(),
            Combine::Gradients(aggregator) => aggregator.state(),
        };
        MethodState { iteration: self.iteration, tensors: self.velocity.clone(), numbers }
    }

    fn restore(&mut self, state: MethodState) -> Result<()> {
        match &mut self.combine {
            Combine::Losses(weighting) => weighting.restore(state.numbers)?,
            Combine::Gradients(aggregator) => aggregator.restore(state.numbers)?,
        }
        self.iteration = state.iteration;
        self.velocity = state.tensors;
        Ok(())
    }
}
