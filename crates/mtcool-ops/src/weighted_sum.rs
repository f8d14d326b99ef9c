//! Sums of tensors with learned weights: how networks with several branches combine what the branches compute.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::element::{Element, dot, on_elements};
use crate::jobs::ELEMENTS_A_JOB;
use crate::recording::{apply2, stack_rows};

/// What each weight of a [`weighted_sum`] of J parts `[B, C, ...]` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsOf {
    /// A part: weights `[J]`.
    Parts,
    /// A channel of a part: weights `[J, C]`.
    Channels,
    /// A part in one sample: weights `[B, J]`.
    Samples,
}

/// `sum_j w_j x_j` of J `parts` `[B, C, ...]`, all of one shape, which is also that of the sum. `of` says what the weights belong to, and
/// with it their shape.
///
/// On an NVIDIA card these are candle's operations, which cannot be recorded.
///
/// # Errors
/// If the parts differ in shape or dtype, are empty, or the weights have another shape or dtype.
pub fn weighted_sum(parts: &[&Tensor], weights: &Tensor, of: WeightsOf) -> Result<Tensor> {
    let Some(&first) = parts.first() else { bail!("weighted_sum: no parts: expected at least one") };
    let fits = |part: &Tensor| part.dims() == first.dims() && part.dtype() == weights.dtype();
    if first.rank() < 2 || first.elem_count() == 0 || !parts.iter().all(|part| fits(part)) {
        let shapes: Vec<_> = parts.iter().map(|part| (part.dims(), part.dtype())).collect();
        bail!(
            "weighted_sum: expected parts [B, C, ...] of one shape, none empty, of the weights' dtype {:?}, got {shapes:?}",
            weights.dtype()
        );
    }
    let sizes = Sizes::of(parts.len(), first.dims());
    let expected = match of {
        WeightsOf::Parts => vec![sizes.parts],
        WeightsOf::Channels => vec![sizes.parts, sizes.channels],
        WeightsOf::Samples => vec![sizes.batch, sizes.parts],
    };
    if weights.dims() != expected {
        bail!("weighted_sum: expected weights {expected:?} for {of:?}, got {:?}", weights.dims());
    }
    if !first.device().is_cpu() {
        return by_candle(parts, weights, of);
    }
    let shape = first.shape().clone();
    apply2(&stack_rows(parts)?, weights, WeightedSum { parts: sizes.parts, of, shape })
}

/// The same by candle's operations.
fn by_candle(parts: &[&Tensor], weights: &Tensor, of: WeightsOf) -> Result<Tensor> {
    let of_part = |(part, x): (usize, &&Tensor)| {
        let mut shape = vec![1; x.rank()];
        let weight = match of {
            WeightsOf::Parts => weights.narrow(0, part, 1)?,
            WeightsOf::Channels => {
                shape[1] = x.dims()[1];
                weights.narrow(0, part, 1)?
            }
            WeightsOf::Samples => {
                shape[0] = x.dims()[0];
                weights.narrow(1, part, 1)?
            }
        };
        x.broadcast_mul(&weight.reshape(shape)?)
    };
    let terms = parts.iter().enumerate().map(of_part);
    terms.reduce(|sum, term| sum? + term?).unwrap_or_else(|| bail!("weighted_sum: no parts"))
}

/// The operation on the parts, one above the other in one tensor `[J B, C, ...]`, and the weights.
#[derive(Clone)]
struct WeightedSum {
    parts: usize,
    of: WeightsOf,
    /// Of one part.
    shape: Shape,
}

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    parts: usize,
    batch: usize,
    channels: usize,
    /// Elements of a channel of a sample.
    pixels: usize,
}

impl Sizes {
    /// Of `parts` parts of the shape `dims`.
    fn of(parts: usize, dims: &[usize]) -> Self {
        Self { parts, batch: dims[0], channels: dims[1], pixels: dims[2..].iter().product() }
    }

    /// Channels of all samples of a part.
    fn planes(&self) -> usize {
        self.batch * self.channels
    }

    /// Elements of a part.
    fn elements(&self) -> usize {
        self.planes() * self.pixels
    }

    /// Planes of a job, at least.
    fn planes_a_job(&self) -> usize {
        (ELEMENTS_A_JOB / self.pixels).max(1)
    }

    /// The place of the weight of `plane`, a channel of a sample, in part `part`.
    fn weight(&self, of: WeightsOf, part: usize, plane: usize) -> usize {
        match of {
            WeightsOf::Parts => part,
            WeightsOf::Channels => part * self.channels + plane % self.channels,
            WeightsOf::Samples => plane / self.channels * self.parts + part,
        }
    }
}

impl WeightedSum {
    fn sizes(&self) -> Sizes {
        Sizes::of(self.parts, self.shape.dims())
    }

    fn forward<T: Element>(&self, stacked: &[T], weights: &[T]) -> Vec<T> {
        let sizes = self.sizes();
        let mut sum = vec![T::zero(); sizes.elements()];
        let planes = sum.par_chunks_mut(sizes.pixels).with_min_len(sizes.planes_a_job()).enumerate();
        planes.for_each(|(plane, sum)| {
            for part in 0..sizes.parts {
                let weight = weights[sizes.weight(self.of, part, plane)];
                let x = &stacked[part * sizes.elements() + plane * sizes.pixels..][..sizes.pixels];
                for (sum, &x) in sum.iter_mut().zip(x) {
                    *sum += weight * x;
                }
            }
        });
        sum
    }

    /// `w_j g`, of all parts one above the other.
    fn of_parts<T: Element>(&self, weights: &[T], grad: &[T]) -> Vec<T> {
        let sizes = self.sizes();
        let mut gradient = vec![T::zero(); sizes.parts * sizes.elements()];
        let planes = gradient.par_chunks_mut(sizes.pixels).with_min_len(sizes.planes_a_job()).enumerate();
        planes.for_each(|(at, gradient)| {
            let (part, plane) = (at / sizes.planes(), at % sizes.planes());
            let weight = weights[sizes.weight(self.of, part, plane)];
            for (gradient, &g) in gradient.iter_mut().zip(&grad[plane * sizes.pixels..]) {
                *gradient = weight * g;
            }
        });
        gradient
    }

    /// Of each weight, the sum of `g x_j` over the elements that it belongs to, plane after plane.
    fn of_weights<T: Element>(&self, stacked: &[T], grad: &[T], count: usize) -> Vec<T> {
        let sizes = self.sizes();
        let of_plane = |at: usize| {
            let g = &grad[at % sizes.planes() * sizes.pixels..][..sizes.pixels];
            dot(&stacked[at * sizes.pixels..][..sizes.pixels], g)
        };
        let places = (0..sizes.parts * sizes.planes()).into_par_iter().with_min_len(sizes.planes_a_job());
        let products: Vec<T> = places.map(of_plane).collect();
        let mut gradient = vec![T::zero(); count];
        for (at, product) in products.into_iter().enumerate() {
            gradient[sizes.weight(self.of, at / sizes.planes(), at % sizes.planes())] += product;
        }
        gradient
    }
}

impl CustomOp2 for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted-sum"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, weights: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let sum = on_elements!(self.name(), T, x: xl, weights: wl => self.forward(x, weights));
        Ok((sum, self.shape.clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        _sum: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let gradient = |of: Operand, shape: &Shape| Gradient { of, shape: shape.clone(), sum: self.clone() };
        let of_x = || weights.apply_op2_no_bwd(&grad, &gradient(Operand::Parts, x.shape()));
        let of_weights = || x.apply_op2_no_bwd(&grad, &gradient(Operand::Weights, weights.shape()));
        Ok((x.track_op().then(of_x).transpose()?, weights.track_op().then(of_weights).transpose()?))
    }
}

enum Operand {
    Parts,
    Weights,
}

/// The gradient of one operand from the other operand and the gradient of the sum.
struct Gradient {
    of: Operand,
    /// Of the operand.
    shape: Shape,
    sum: WeightedSum,
}

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "weighted-sum-gradient"
    }

    fn cpu_fwd(&self, other: &CpuStorage, ol: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let gradient = on_elements!(self.name(), T, other: ol, grad: gl => match self.of {
            Operand::Parts => self.sum.of_parts(other, grad),
            Operand::Weights => self.sum.of_weights(other, grad, self.shape.elem_count()),
        });
        Ok((gradient, self.shape.clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    /// What cards use: values and gradients.
    #[test]
    fn candles_operations_give_the_same() {
        let ramp = |shape: &[usize], step: f64| {
            let numbers: Vec<f64> = (0..shape.iter().product::<usize>()).map(|at| (at as f64 * step).sin()).collect();
            Var::from_tensor(&Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()).unwrap()
        };
        for (of, shape) in
            [(WeightsOf::Parts, vec![3]), (WeightsOf::Channels, vec![3, 5]), (WeightsOf::Samples, vec![2, 3])]
        {
            for dims in [&[2, 5, 3, 2][..], &[2, 5]] {
                let parts = [ramp(dims, 0.3), ramp(dims, 0.7), ramp(dims, 1.1)];
                let (weights, direction) = (ramp(&shape, 1.7), ramp(dims, 2.3));
                let parts: Vec<&Tensor> = parts.iter().map(|part| part.as_tensor()).collect();
                let own = weighted_sum(&parts, &weights, of).unwrap();
                let other = by_candle(&parts, &weights, of).unwrap();
                let both = [own, other].map(|sum| {
                    let store = (&sum * direction.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
                    let gradients =
                        parts.iter().copied().chain([weights.as_tensor()]).map(|x| store.get(x).unwrap().clone());
                    std::iter::once(sum).chain(gradients).collect::<Vec<_>>()
                });
                for (own, other) in both[0].iter().zip(&both[1]) {
                    let difference = (own - other).unwrap().abs().unwrap().sum_all().unwrap();
                    assert!(
                        difference.to_scalar::<f64>().unwrap() < 1e-12 && own.dtype() == DType::F64,
                        "{of:?} {dims:?}"
                    );
                }
            }
        }
    }
}
