//! GradDrop: at each coordinate only the gradients of one sign are kept. The sign is random, the more likely one being that of
//! the larger sum.

use candle_core::{D, Result as TensorResult, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Aggregator, Combination, Error, Gradients, Jacobian, Result};

use crate::checks::one_per_task_or_none;

/// GradDrop (Chen et al. 2020, *Just pick a sign: optimizing deep multitask models with gradient sign dropout*).
///
/// At each coordinate of the parameters:
///
/// 1. `P = 1/2 (1 + sum_i g_i / sum_i |g_i|)`, the purity of the sign
/// 2. `u ~ U(0, 1)`; `M_i = [P > u]` where `g_i > 0`, `[P < u]` where `g_i < 0`
/// 3. `d = sum_i (leak_i + (1 - leak_i) M_i) g_i`
///
/// Cost of a step: one backward pass per task, and one pass over all gradients: of the aggregators here it is the only one for
/// which the Gramian does not suffice. In expectation over u each sign is kept in proportion to its share; in any single step
/// any loss may rise.
#[derive(Clone, Debug)]
pub struct GradDrop {
    seed: u64,
    leak: Vec<f64>,
}

impl GradDrop {
    /// The draws follow from `seed`, the iteration and the parameter's name. `leak` has one number in `0..=1` per task, or is
    /// empty, which means 0 for all: with 0 a task's gradient is dropped fully, with 1 it is always kept.
    ///
    /// # Errors
    /// If a leak is out of its range.
    pub fn new(seed: u64, leak: Vec<f64>) -> Result<Self> {
        match leak.iter().find(|leak| !(0.0..=1.0).contains(*leak)) {
            None => Ok(Self { seed, leak }),
            Some(wrong) => Err(Error::out_of_range("leak", wrong, "numbers between 0 and 1, one per task, or none")),
        }
    }

    /// d of one parameter, from the gradient and the leak of each task that depends on the parameter, and the draws `u`. All
    /// tensors have the parameter's shape.
    ///
    /// # Errors
    /// If shapes differ.
    pub fn drop(rows: &[(Tensor, f64)], u: &Tensor) -> TensorResult<Tensor> {
        let sum = |part: fn(&Tensor) -> TensorResult<Tensor>, scaled: bool| {
            let mut total = u.zeros_like()?;
            for (row, leak) in rows {
                let share = part(row)?;
                total = (total + if scaled && *leak > 0.0 { (share * (1.0 - leak))? } else { share })?;
            }
            Ok::<_, candle_core::Error>(total)
        };
        let positive = |row: &Tensor| row.maximum(0.0);
        let negative = |row: &Tensor| row.minimum(0.0);
        let (up, down) = (sum(positive, false)?, sum(negative, false)?);
        // `P > u`, written without the division, so that a coordinate where all gradients are 0 is no special case.
        let threshold = (u * (&up - &down)?)?;
        let (is_up, is_down) = (up.gt(&threshold)?, up.lt(&threshold)?);
        let leaks = rows.iter().any(|(_, leak)| *leak > 0.0);
        let (up, down) = if leaks { (sum(positive, true)?, sum(negative, true)?) } else { (up, down) };
        let zero = u.zeros_like()?;
        let mut result = (is_up.where_cond(&up, &zero)? + is_down.where_cond(&down, &zero)?)?;
        for (row, leak) in rows.iter().filter(|(_, leak)| *leak > 0.0) {
            result = (result + (row * *leak)?)?;
        }
        Ok(result)
    }

    /// The variant for features that all tasks read: the masked gradient `[B, F]` with respect to the features, from the tasks'
    /// gradients `gradients` `[T, B, F]`, the features `activations` `[B, F]` and the draws `u` `[F]`.
    ///
    /// Signs are those of `sign(activation) * gradient`, summed over the batch, so that one draw per feature serves all samples:
    ///
    /// 1. `G_i = sum_b sign(a_b) g_ib`
    /// 2. `P = 1/2 (1 + sum_i G_i / (sum_i |G_i| + 1e-7))`
    /// 3. `d_b = sum_i (leak + (1 - leak) M_i) g_ib`, `M_i` follows from `G_i`, P and u as above
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn drop_features(gradients: &Tensor, activations: &Tensor, u: &Tensor, leak: f64) -> TensorResult<Tensor> {
        let signs = activations.sign()?.unsqueeze(0)?;
        let summed = gradients.broadcast_mul(&signs)?.sum(1)?; // [T, F]
        let purity = (((summed.sum(0)? / (summed.abs()?.sum(0)? + 1e-7)?)? + 1.0)? * 0.5)?;
        let is = |kept: Tensor, sign: Tensor| kept.unsqueeze(0)?.to_dtype(summed.dtype())?.broadcast_mul(&sign);
        let zero = summed.zeros_like()?;
        let positive = is(purity.gt(u)?, summed.gt(&zero)?.to_dtype(summed.dtype())?)?;
        let negative = is(purity.lt(u)?, summed.lt(&zero)?.to_dtype(summed.dtype())?)?;
        let mask = (((positive + negative)? * (1.0 - leak))? + leak)?;
        gradients.broadcast_mul(&mask.unsqueeze(D::Minus2)?)?.sum(0)
    }
}

impl Aggregator for GradDrop {
    fn combine(&mut self, jacobian: &Jacobian<'_>, iteration: u64) -> Result<Combination> {
        one_per_task_or_none("leak", &self.leak, jacobian.tasks())?;
        let mut direction = Gradients::new();
        for name in jacobian.names() {
            let leak = |task: usize| self.leak.get(task).copied().unwrap_or(0.0);
            let rows = jacobian.rows().iter().enumerate();
            let rows: Vec<_> = rows.filter_map(|(task, row)| Some((row.get(name)?.clone(), leak(task)))).collect();
            let Some((first, _)) = rows.first() else { continue };
            let at = [iteration as u32, (iteration >> 32) as u32, 0, 0];
            let mut generator = stream(self.seed, Purpose::Method, at, &format!("graddrop.{name}"));
            let centered = uniform(&mut generator, 0.5, first.shape(), first.dtype(), first.device())?;
            // Never 0: with u = 0, a coordinate where all gradients are negative would be dropped.
            let u = (centered + 0.5)?.maximum(1e-9)?;
            direction.insert(name.clone(), Self::drop(&rows, &u)?);
        }
        Ok(Combination::Direction(direction))
    }
}
