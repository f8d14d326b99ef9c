//! GradDrop: at each coordinate only gradients of one sign, drawn at random by how much they agree.

use candle_core::{D, Result as TensorResult, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Aggregator, Combination, Error, Gradients, Jacobian, Result};

/// GradDrop (Chen et al. 2020, *Just pick a sign: optimizing deep multitask models with gradient sign dropout*).
///
/// At each coordinate:
///
/// 1. `P = 1/2 (1 + sum_i g_i / sum_i |g_i|)`, the purity of the sign
/// 2. `u ~ U(0, 1)`; `M_i = [P > u]` where `g_i > 0`, `[P < u]` where `g_i < 0`
/// 3. `d = sum_i (leak_i + (1 - leak_i) M_i) g_i`
///
/// Cost of a step: a backward pass a task, and the rows themselves: the only method here that the Gramian does not suffice
/// for. In expectation over u each sign is kept in proportion to its share; no single step promises anything to any task.
#[derive(Clone, Debug)]
pub struct GradDrop {
    seed: u64,
    leak: Vec<f64>,
}

impl GradDrop {
    /// The draws follow from `seed`, the iteration and the parameter's name. `leak` has one number in `0..=1` a task, or is
    /// empty for none: 0 drops fully, 1 leaves the task alone.
    ///
    /// # Errors
    /// If a leak is out of its range.
    pub fn new(seed: u64, leak: Vec<f64>) -> Result<Self> {
        match leak.iter().find(|leak| !(0.0..=1.0).contains(*leak)) {
            None => Ok(Self { seed, leak }),
            Some(wrong) => Err(Error::out_of_range("leak", wrong, "numbers between 0 and 1, one a task, or none")),
        }
    }

    /// d of one parameter, for the gradients `rows[i]` of the tasks that reach it, their leaks, and draws `u`, all of one shape.
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
        // P > u without the division, so that a coordinate no task moves needs no care.
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

    /// The form for features that all tasks read: the masked gradients with respect to them, for the tasks' gradients
    /// `gradients` `[T, B, F]`, the features `activations` `[B, F]` themselves and draws `u` `[F]`.
    ///
    /// Signs are those of `sign(activation) * gradient`, summed over the batch, so that one draw a feature serves all samples:
    ///
    /// 1. `G_i = sum_b sign(a_b) g_ib`
    /// 2. `P = 1/2 (1 + sum_i G_i / (sum_i |G_i| + 1e-7))`
    /// 3. `d_b = sum_i (leak + (1 - leak) M_i) g_ib`, `M_i` from `G_i`, P and u as above
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
        let tasks = jacobian.tasks();
        if ![0, tasks].contains(&self.leak.len()) {
            return Err(Error::Mismatch {
                what: "leak of GradDrop".into(),
                expected: format!("{tasks} numbers, one a task, or none"),
                got: format!("{:?}", self.leak),
            });
        }
        let mut direction = Gradients::new();
        for name in jacobian.names() {
            let leak = |task: usize| self.leak.get(task).copied().unwrap_or(0.0);
            let rows = jacobian.rows().iter().enumerate();
            let rows: Vec<_> = rows.filter_map(|(task, row)| Some((row.get(name)?.clone(), leak(task)))).collect();
            let Some((first, _)) = rows.first() else { continue };
            let at = [iteration as u32, (iteration >> 32) as u32, 0, 0];
            let mut generator = stream(self.seed, Purpose::Method, at, &format!("graddrop.{name}"));
            let centered = uniform(&mut generator, 0.5, first.shape(), first.dtype(), first.device())?;
            // Never 0: a coordinate that all tasks want lowered would be dropped.
            let u = (centered + 0.5)?.maximum(1e-9)?;
            direction.insert(name.clone(), Self::drop(&rows, &u)?);
        }
        Ok(Combination::Direction(direction))
    }
}
