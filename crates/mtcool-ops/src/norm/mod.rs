//! Group and batch normalisation with scale, shift and activation in one operation.

mod gradient;
mod kernels;

use std::mem::MaybeUninit;
use std::ops::Range;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, dispatch, elements, on_cpu};
use crate::memory::{initialised, room_of};
use crate::recording::apply3;
use crate::settings::{Activation, Norm, Statistics};
pub(crate) use gradient::{backward, backward_in_place};
pub(crate) use kernels::Affine;
use kernels::Moments;

/// `activation((x - mean) / sqrt(variance + eps) * weight + bias)`: `x` `[B, C, ...]`, `weight` and `bias` `[C]`, to the
/// shape of `x`. The variance is the biased one (divided by the number of elements).
///
/// # Errors
/// If the shapes or dtypes do not fit each other, or the groups do not divide the channels.
pub fn norm(x: &Tensor, weight: &Tensor, bias: &Tensor, settings: Norm) -> Result<Tensor> {
    check(x.dims(), weight, bias, settings)?;
    apply3(x, weight, bias, settings)
}

/// Whether the operands fit an input of shape `dims`.
pub(crate) fn check(dims: &[usize], weight: &Tensor, bias: &Tensor, settings: Norm) -> Result<()> {
    if dims.len() < 2 || dims.contains(&0) || weight.dims() != [dims[1]] || bias.dims() != [dims[1]] {
        bail!(
            "norm: expected x [B, C, ...], not empty, weight [C] and bias [C], got {dims:?}, {:?}, {:?}",
            weight.dims(),
            bias.dims()
        );
    }
    match settings.statistics {
        Statistics::Group { groups } if groups == 0 || !dims[1].is_multiple_of(groups) => {
            bail!("norm: {groups} groups do not divide {} channels", dims[1])
        }
        _ => Ok(()),
    }
}

/// Mean and `1 / sqrt(variance + eps)` of each set of elements of `x`, of shape `dims`, that are normalised together.
pub(crate) fn moments<T: Element>(settings: &Norm, dims: &[usize], x: &[T]) -> Vec<(T, T)> {
    let sizes = &Sizes::new(dims, settings.statistics);
    let of_set = |set: usize| {
        let planes = sizes.planes_of(set);
        // Deviations are taken from an element of the set, so that no digits are lost where the mean is far from zero.
        let pivot = x[planes[0] * sizes.pixels];
        let (mut sum, mut squares) = (T::zero(), T::zero());
        for plane in planes {
            let (first, second) = Moments::of(&x[plane * sizes.pixels..][..sizes.pixels], pivot);
            sum += first;
            squares += second;
        }
        let count = T::from_f64(sizes.count() as f64);
        let mean = sum / count;
        let variance = num_traits::Float::max(squares / count - mean * mean, T::zero());
        (pivot + mean, (variance + T::from_f64(settings.eps)).sqrt().recip())
    };
    (0..sizes.sets()).into_par_iter().map(of_set).collect()
}

/// Scale and shift of each plane; `parameters` are the weight and then the bias, in one slice.
pub(crate) fn affines<T: Element>(
    settings: &Norm,
    dims: &[usize],
    moments: &[(T, T)],
    parameters: &[T],
) -> Vec<(T, T)> {
    let sizes = Sizes::new(dims, settings.statistics);
    let (weight, bias) = parameters.split_at(sizes.channels);
    let of_plane = |plane: usize| {
        let channel = plane % sizes.channels;
        let (mean, inverse) = moments[sizes.set_of(plane)];
        let scale = inverse * weight[channel];
        (scale, bias[channel] - mean * scale)
    };
    (0..sizes.batch * sizes.channels).map(of_plane).collect()
}

/// `activation(scale x + shift)`, plane by plane.
pub(crate) fn apply<T: Element>(affines: &[(T, T)], activation: Activation, x: &[T]) -> Vec<T> {
    let pixels = x.len() / affines.len().max(1);
    let write = |y: &mut [MaybeUninit<T>]| {
        let planes = y.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).zip(affines);
        planes.for_each(|((y, x), &(scale, shift))| Affine::apply(x, scale, shift, activation, y));
    };
    assert_eq!(affines.len() * pixels, x.len(), "norm: another number of planes than of scales and shifts");
    // SAFETY: by the assertion there is a scale and shift for every plane, and `Affine::apply` writes a plane whole.
    unsafe { initialised(x.len(), write) }
}

/// [`apply`] with the result in the place of `x`.
pub(crate) fn apply_in_place<T: Element>(affines: &[(T, T)], activation: Activation, x: &mut [T]) {
    let pixels = x.len() / affines.len().max(1);
    assert_eq!(affines.len() * pixels, x.len(), "norm: another number of planes than of scales and shifts");
    x.par_chunks_mut(pixels.max(1)).zip(affines).for_each(|(plane, &(scale, shift))| {
        in_place(plane, |_, x, y| Affine::apply(x, scale, shift, activation, y));
    });
}

/// Elements that [`in_place`] changes at a time: few enough to stay in the processor's nearest cache.
const ELEMENTS_AT_A_TIME: usize = 1024;

/// Changes `plane` part by part: `write` gets the place of a part, its elements, and the room for their new values, which it writes
/// whole.
fn in_place<T: Element>(plane: &mut [T], mut write: impl FnMut(Range<usize>, &[T], &mut [MaybeUninit<T>])) {
    let mut buffer = [T::zero(); ELEMENTS_AT_A_TIME];
    for (index, part) in plane.chunks_mut(ELEMENTS_AT_A_TIME).enumerate() {
        let (first, old) = (index * ELEMENTS_AT_A_TIME, &mut buffer[..part.len()]);
        old.copy_from_slice(part);
        // SAFETY: the kernels of this module write values only.
        write(first..first + old.len(), old, unsafe { room_of(part) });
    }
}

/// The sizes of one normalisation.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    channels: usize,
    pixels: usize,
    statistics: Statistics,
}

impl Sizes {
    fn new(dims: &[usize], statistics: Statistics) -> Self {
        Self { batch: dims[0], channels: dims[1], pixels: dims[2..].iter().product(), statistics }
    }

    fn sets(&self) -> usize {
        match self.statistics {
            Statistics::Group { groups } => self.batch * groups,
            Statistics::Batch => self.channels,
        }
    }

    /// The set that plane `plane` (sample by sample, channel by channel) belongs to.
    fn set_of(&self, plane: usize) -> usize {
        match self.statistics {
            Statistics::Group { groups } => plane / (self.channels / groups),
            Statistics::Batch => plane % self.channels,
        }
    }

    fn planes_of(&self, set: usize) -> Vec<usize> {
        match self.statistics {
            Statistics::Group { groups } => {
                let width = self.channels / groups;
                (set * width..(set + 1) * width).collect()
            }
            Statistics::Batch => (set..self.batch * self.channels).step_by(self.channels).collect(),
        }
    }

    /// Number of elements that are normalised together.
    fn count(&self) -> usize {
        self.batch * self.channels * self.pixels / self.sets()
    }
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = dispatch!("norm", x, T => {
            let (weight, bias) = (elements::<T>("norm", weight, wl)?, elements::<T>("norm", bias, bl)?);
            let (parameters, x) = ([weight, bias].concat(), elements::<T>("norm", x, xl)?);
            let moments = moments(self, xl.dims(), x);
            T::to_cpu_storage_owned(apply(&affines(self, xl.dims(), &moments, &parameters), self.activation, x))
        });
        Ok((y, xl.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        weight: &CudaStorage,
        wl: &Layout,
        bias: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::dispatch!("norm", x, T => {
            let (weight, bias) = (cuda::view::<T>("norm", weight, wl)?, cuda::view::<T>("norm", bias, bl)?);
            let scales = cuda::Scales { weight: &weight, bias: &bias };
            let y = cuda::norm(&x.device, self, xl.dims(), &cuda::view("norm", x, xl)?, &scales)?;
            Ok(cuda::result(y, &x.device, xl.shape()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        #[cfg(feature = "cuda")]
        if grad.device().is_cuda() {
            return self.backward_on_cuda(x, weight, bias, &grad);
        }
        let (xs, weights) = (on_cpu("norm", x), on_cpu("norm", weight));
        let (biases, grads) = (on_cpu("norm", bias), on_cpu("norm", &grad));
        dispatch!("norm", xs.storage()?, T => {
            let xs = xs.elements::<T>()?;
            let parameters = [weights.elements::<T>()?, biases.elements()?].concat();
            let moments = moments(self, x.dims(), xs);
            let (gradient, of_parameters) = backward(self, x.dims(), xs, &moments, &parameters, grads.elements::<T>()?);
            let tensor = |values: Vec<T>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            let input = if x.track_op() { Some(tensor(gradient, x)?) } else { None };
            let (of_weight, of_bias) = of_parameters.split_at(weight.elem_count());
            Ok((input, Some(tensor(of_weight.to_vec(), weight)?), Some(tensor(of_bias.to_vec(), bias)?)))
        })
    }
}

#[cfg(feature = "cuda")]
impl Norm {
    fn backward_on_cuda(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let guards = [x, weight, bias, grad].map(|tensor| cuda::guard("norm", tensor));
        let [xs, weights, biases, grads] = &guards;
        let storage = xs.storage()?;
        cuda::dispatch!("norm", storage, T => {
            let (weights, biases) = (weights.view::<T>()?, biases.view::<T>()?);
            let scales = cuda::Scales { weight: &weights, bias: &biases };
            let maps = (&xs.view::<T>()?, &grads.view::<T>()?);
            let gradients = cuda::norm_backward(&storage.device, self, x.dims(), maps, &scales)?;
            let [of_x, of_weight, of_bias] = gradients;
            let tensor = |gradient, like: &Tensor| cuda::tensor(gradient, &storage.device, like.shape());
            let input = x.track_op().then(|| tensor(of_x, x));
            Ok((input, Some(tensor(of_weight, weight)), Some(tensor(of_bias, bias))))
        })
    }
}
