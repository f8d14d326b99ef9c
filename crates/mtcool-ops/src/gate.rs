//! A gate: features times the sigmoid of what another branch computes of them.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use crate::element::{Element, on_elements};
use crate::jobs::ELEMENTS_A_JOB;
use crate::recording::apply2;

/// `x sigmoid(logits)`, element by element, of two tensors of one shape.
///
/// On an NVIDIA card these are candle's operations, which cannot be recorded.
///
/// # Errors
/// If the two differ in shape or dtype.
pub fn gated(x: &Tensor, logits: &Tensor) -> Result<Tensor> {
    if x.dims() != logits.dims() || x.dtype() != logits.dtype() {
        bail!(
            "gated: expected logits of the features' shape and dtype, {:?} {:?}, got {:?} {:?}",
            x.dims(),
            x.dtype(),
            logits.dims(),
            logits.dtype()
        );
    }
    if !x.device().is_cpu() {
        return by_candle(x, logits);
    }
    apply2(x, logits, Gate)
}

/// The same by candle's operations; by tanh, whose gradient is finite everywhere.
fn by_candle(x: &Tensor, logits: &Tensor) -> Result<Tensor> {
    x * logits.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)?
}

fn sigmoid<T: Element>(logit: T) -> T {
    T::one() / (T::one() + (-logit).exp())
}

struct Gate;

impl CustomOp2 for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, logits: &CpuStorage, ll: &Layout) -> Result<(CpuStorage, Shape)> {
        let output = on_elements!(self.name(), T, x: xl, logits: ll => {
            let pairs = x.par_iter().zip(logits).with_min_len(ELEMENTS_A_JOB);
            pairs.map(|(&x, &logit)| x * sigmoid(logit)).collect()
        });
        Ok((output, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        logits: &Tensor,
        _output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let of_x = x.track_op().then(|| grad.apply_op2_no_bwd(logits, &Gate));
        let of_logits = logits.track_op().then(|| x.apply_op3_no_bwd(logits, &grad, &LogitsGradient));
        Ok((of_x.transpose()?, of_logits.transpose()?))
    }
}

/// `g x s (1 - s)`, with s the sigmoid of the logits.
struct LogitsGradient;

impl CustomOp3 for LogitsGradient {
    fn name(&self) -> &'static str {
        "gate-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        logits: &CpuStorage,
        ll: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gradient = on_elements!(self.name(), T, x: xl, logits: ll, grad: gl => {
            let of_element = |((&x, &logit), &g): ((&T, &T), &T)| {
                let gate = sigmoid(logit);
                g * x * gate * (T::from_f64(1.0) - gate)
            };
            let all = x.par_iter().zip(logits).zip(grad).with_min_len(ELEMENTS_A_JOB);
            all.map(of_element).collect()
        });
        Ok((gradient, xl.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// What cards use: values and gradients, also where the sigmoid is 0 or 1.
    #[test]
    fn candles_operations_give_the_same() {
        let logits = Var::new(&[[-900.0, -40.0, -1.0, 0.0], [0.5, 3.0, 40.0, 900.0]], &Device::Cpu).unwrap();
        let x = Var::new(&[[1.0, -2.0, 3.0, -4.0], [5.0, -6.0, 7.0, -8.0]], &Device::Cpu).unwrap();
        let [own, other] = [gated(&x, &logits), by_candle(&x, &logits)].map(|output| {
            let output = output.unwrap();
            let store = (&output * x.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            [output, store.get(&x).unwrap().clone(), store.get(&logits).unwrap().clone()]
        });
        for (own, other) in own.iter().zip(&other) {
            let difference = (own - other).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
            assert!(difference < 1e-12, "{own} against {other}");
        }
    }
}
