//! ExcessMTL: tasks that can still gain much get more weight.

use candle_core::DType;
use mtcool_core::{Aggregator, Combination, Convention, Gradients, Jacobian, Result, StateTensors};

use crate::checks::positive;
use crate::softmax::softmax;
use crate::{memory, rows};

/// Added to sums of squared gradients under the root, and in the simplex form to the first excess risk.
const EPS: f64 = 1e-7;

/// The two published forms of ExcessMTL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExcessForm {
    /// As TorchJD has it: weights on the simplex, which start at 1/T and move in the first step already.
    #[default]
    Simplex,
    /// As the authors' program has it: weights with the sum T, which start at 1 and move from the second step on.
    Official,
}

/// ExcessMTL (He et al. 2024, *Robust multi-task learning with excess risks*).
///
/// 1. `S_i <- S_i + g_i^2`, coordinate by coordinate, from 0
/// 2. `e_i = sum_k g_ik^2 / sqrt(S_ik + 1e-7)`, an estimate of how far the loss is above its smallest value
/// 3. `r_i = e_i / e_i(0)`, where `e_i(0)` is the first one, or the mean of the first `warmup_steps`. The simplex form adds 1e-7 to
///    `e_i(0)`, and in its first step without warm-up `r_i = e_i`. In the official form, `r_i = 0` where `e_i(0)` is 0
/// 4. `w_i <- w_i exp(rate r_i)`, divided by a common factor so that the sum is 1 (simplex) or T (official)
///
/// The new weights are those of the losses, for all parameters. During a warm-up they stay 1/T.
///
/// Cost of a step: one backward pass per task, and a pass over all gradients and their sums of squares, which are kept.
#[derive(Clone, Debug)]
pub struct ExcessMtl {
    form: ExcessForm,
    rate: f64,
    warmup_steps: u64,
    /// S; like the next lists, empty before the first step.
    squares: Vec<Gradients>,
    weights: Vec<f64>,
    /// `e(0)`; empty until it is known.
    initial: Vec<f64>,
    /// The sum of e over the warm-up so far.
    sums: Vec<f64>,
    steps: u64,
}

impl ExcessMtl {
    /// `robust_step_size`, positive, is the rate of the weights (1 for the simplex form; 0.01 in the authors' program, 1 in its
    /// example); `warmup_steps` is for the simplex form only.
    ///
    /// # Errors
    /// If `robust_step_size` is not positive or not finite.
    pub fn new(form: ExcessForm, robust_step_size: f64, warmup_steps: u64) -> Result<Self> {
        let rate = positive("robust_step_size", robust_step_size)?;
        let (squares, none) = (Vec::new(), Vec::new);
        Ok(Self { form, rate, warmup_steps, squares, weights: none(), initial: none(), sums: none(), steps: 0 })
    }

    /// Steps 1 and 2: e `[T]`.
    fn excess(&mut self, jacobian: &Jacobian<'_>) -> Result<Vec<f64>> {
        rows::start(&mut self.squares, jacobian.tasks())?;
        let of_task = |(sums, row): (&mut Gradients, &Gradients)| {
            let squares = row.map(|_, g| Ok(g.sqr()?))?;
            *sums = rows::placed(sums, row)?.add_scaled(&squares, 1.0)?;
            let mut excess = 0.0;
            for (name, squared) in squares.iter() {
                let Some(sum) = sums.get(name) else { continue };
                let root = (sum.to_dtype(DType::F64)? + EPS)?.sqrt()?;
                excess += (squared.to_dtype(DType::F64)? / root)?.sum_all()?.to_scalar::<f64>()?;
            }
            Ok(excess)
        };
        self.squares.iter_mut().zip(jacobian.rows()).map(of_task).collect()
    }

    /// r `[T]` of step 3, or `None` where the weights stay as they are.
    fn relative(&mut self, excess: &[f64]) -> Option<Vec<f64>> {
        self.steps += 1;
        let warmup = if self.form == ExcessForm::Simplex { self.warmup_steps } else { 0 };
        if self.steps <= warmup {
            self.sums.iter_mut().zip(excess).for_each(|(sum, e)| *sum += e);
            return None;
        }
        if self.initial.is_empty() {
            if warmup == 0 {
                self.initial = excess.to_vec();
                return (self.form == ExcessForm::Simplex).then(|| excess.to_vec());
            }
            self.initial = self.sums.iter().map(|sum| sum / warmup as f64).collect();
        }
        let relative = |(e, first): (&f64, &f64)| match self.form {
            ExcessForm::Simplex => e / (first + EPS),
            // A gradient that was zero in the first step gives no scale.
            ExcessForm::Official if *first == 0.0 => 0.0,
            ExcessForm::Official => e / first,
        };
        Some(excess.iter().zip(&self.initial).map(relative).collect())
    }
}

impl Aggregator for ExcessMtl {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let tasks = jacobian.tasks();
        let (start, total) = match self.form {
            ExcessForm::Simplex => (1.0 / tasks as f64, 1.0),
            ExcessForm::Official => (1.0, tasks as f64),
        };
        memory::start(&mut self.weights, tasks, start)?;
        memory::start(&mut self.sums, tasks, 0.0)?;
        let excess = self.excess(jacobian)?;
        if let Some(relative) = self.relative(&excess) {
            let logits: Vec<f64> = self.weights.iter().zip(relative).map(|(w, r)| w.ln() + self.rate * r).collect();
            self.weights = softmax(&logits, 1.0, total);
        }
        Ok(Combination::LossWeights(self.weights.clone()))
    }

    /// The sum of the weights is 1 or T.
    fn convention(&self) -> Convention {
        match self.form {
            ExcessForm::Simplex => Convention::Mean,
            ExcessForm::Official => Convention::Sum,
        }
    }

    fn state(&self) -> Vec<(String, f64)> {
        let steps = [self.steps as f64];
        let (weights, initial, sums) = (&self.weights[..], &self.initial[..], &self.sums[..]);
        memory::save(&[("weight", weights), ("excess_initial", initial), ("excess_sum", sums), ("steps", &steps)])
    }

    fn restore(&mut self, state: Vec<(String, f64)>) -> Result<()> {
        let [weights, initial, sums, steps] = memory::load(state, ["weight", "excess_initial", "excess_sum", "steps"])?;
        (self.weights, self.initial, self.sums) = (weights, initial, sums);
        self.steps = steps.first().copied().unwrap_or(0.0) as u64;
        Ok(())
    }

    fn tensors(&self) -> StateTensors {
        rows::save(&[("sq_grad_sum", &self.squares)])
    }

    fn restore_tensors(&mut self, tensors: StateTensors) -> Result<()> {
        [self.squares] = rows::load(&tensors, ["sq_grad_sum"])?;
        Ok(())
    }
}
