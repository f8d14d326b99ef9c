//! Group and batch normalisation with scale, shift and activation in one operation.

mod kernels;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use crate::activation::Activation;
use crate::element::{Element, dispatch, elements};
use kernels::{Affine, Backward, Moments};

/// Which elements are normalised together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The channels of a group, sample by sample (Wu and He 2018).
    Group {
        /// Groups of channels; divides the channels.
        groups: usize,
    },
    /// Each channel over the whole batch (Ioffe and Szegedy 2015), as in training.
    Batch,
}

/// Settings of [`norm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Which elements are normalised together.
    pub statistics: Statistics,
    /// Added to the variance; positive.
    pub eps: f64,
    /// Applied to the output inside the operation.
    pub activation: Activation,
}

/// `activation((x - mean) / sqrt(variance + eps) * weight + bias)`: `x` `[B, C, ...]`, `weight` and `bias` `[C]`, to the shape
/// of `x`. The variance is that of the population.
///
/// # Errors
/// If the shapes or dtypes do not fit each other, or the groups do not divide the channels.
pub fn norm(x: &Tensor, weight: &Tensor, bias: &Tensor, settings: Norm) -> Result<Tensor> {
    check(x.dims(), weight, bias, settings)?;
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, settings)
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

/// The normalised, activated `x` of shape `dims`; `parameters` are weight and bias, one behind the other.
pub(crate) fn forward<T: Element>(settings: &Norm, dims: &[usize], x: &[T], parameters: &[T]) -> Vec<T> {
    let sizes = Sizes::new(dims, settings.statistics);
    let (weight, bias) = parameters.split_at(sizes.channels);
    let statistics = statistics(&sizes, x, settings.eps);
    let mut y = vec![T::zero(); x.len()];
    y.par_chunks_mut(sizes.pixels).zip(x.par_chunks(sizes.pixels)).enumerate().for_each(|(plane, (y, x))| {
        let channel = plane % sizes.channels;
        let (scale, shift) = affine(statistics[sizes.set_of(plane)], weight[channel], bias[channel]);
        Affine::apply(x, scale, shift, settings.activation, y);
    });
    y
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

    /// Elements normalised together.
    fn count(&self) -> usize {
        self.batch * self.channels * self.pixels / self.sets()
    }
}

/// Mean and `1 / sqrt(variance + eps)` of each set.
fn statistics<T: Element>(sizes: &Sizes, x: &[T], eps: f64) -> Vec<(T, T)> {
    let of_set = |set: usize| {
        let planes = sizes.planes_of(set);
        // Deviations from an element of the set lose no digits where the mean is far from zero.
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
        (pivot + mean, (variance + T::from_f64(eps)).sqrt().recip())
    };
    (0..sizes.sets()).into_par_iter().map(of_set).collect()
}

/// The scale and shift of a plane, statistics included.
fn affine<T: Element>((mean, inverse): (T, T), weight: T, bias: T) -> (T, T) {
    let scale = inverse * weight;
    (scale, bias - mean * scale)
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
            let parameters = [weight, bias].concat();
            T::to_cpu_storage_owned(forward(self, xl.dims(), elements::<T>("norm", x, xl)?, &parameters))
        });
        Ok((y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let channels = weight.elem_count();
        // One operation computes all three; the affine parameters' gradients lie behind the input's.
        let operands = Tensor::cat(&[weight, bias], 0)?;
        let gradients = x.apply_op3_no_bwd(&operands, &grad.contiguous()?, &NormBackward(*self))?;
        let count = x.elem_count();
        let part = |at: usize, len: usize| gradients.narrow(0, at, len);
        let input = match x.track_op() {
            true => Some(part(0, count)?.reshape(x.shape())?),
            false => None,
        };
        Ok((input, Some(part(count, channels)?), Some(part(count + channels, channels)?)))
    }
}

/// From (x, weight and bias, gradient of the output) to the gradients of x, weight and bias, one behind the other.
struct NormBackward(Norm);

/// Gradients of x, weight and bias, one behind the other.
///
/// With `g` the gradient before the activation, `h = (x - mean) * inverse`, means over the set:
/// `dx = inverse (w g - mean(w g) - h mean(w g h))`, `dweight = sum g h`, `dbias = sum g`.
pub(crate) fn backward<T: Element>(settings: &Norm, dims: &[usize], x: &[T], parameters: &[T], grad: &[T]) -> Vec<T> {
    let sizes = &Sizes::new(dims, settings.statistics);
    let (weight, bias) = parameters.split_at(sizes.channels);
    let Norm { eps, activation, .. } = *settings;
    let statistics = statistics(sizes, x, eps);
    let planes = sizes.batch * sizes.channels;
    let of_plane = |plane: usize| {
        let at = plane * sizes.pixels..(plane + 1) * sizes.pixels;
        let channel = plane % sizes.channels;
        let (mean, inverse) = statistics[sizes.set_of(plane)];
        let (scale, shift) = affine((mean, inverse), weight[channel], bias[channel]);
        let (sum, product) = Backward::sums(&x[at.clone()], &grad[at], mean, (scale, shift), activation);
        (sum, product * inverse)
    };
    let sums: Vec<(T, T)> = (0..planes).into_par_iter().map(of_plane).collect();
    let mut set_sums = vec![(T::zero(), T::zero()); sizes.sets()];
    let mut result = vec![T::zero(); x.len() + 2 * sizes.channels];
    let (dx, parameters) = result.split_at_mut(x.len());
    for (plane, &(sum, product)) in sums.iter().enumerate() {
        let (channel, set) = (plane % sizes.channels, sizes.set_of(plane));
        parameters[channel] += product;
        parameters[sizes.channels + channel] += sum;
        set_sums[set].0 += weight[channel] * sum;
        set_sums[set].1 += weight[channel] * product;
    }
    let count = T::from_f64(sizes.count() as f64);
    let planes = dx.par_chunks_mut(sizes.pixels).zip(x.par_chunks(sizes.pixels).zip(grad.par_chunks(sizes.pixels)));
    planes.enumerate().for_each(|(plane, (dx, (x, grad)))| {
        let (channel, set) = (plane % sizes.channels, sizes.set_of(plane));
        let (mean, inverse) = statistics[set];
        let (scale, shift) = affine((mean, inverse), weight[channel], bias[channel]);
        let of_x = T::zero() - inverse * inverse * set_sums[set].1 / count;
        let constant = T::zero() - inverse * set_sums[set].0 / count - of_x * mean;
        Backward::apply(x, grad, (scale, shift), activation, (of_x, constant), dx);
    });
    result
}

impl CustomOp3 for NormBackward {
    fn name(&self) -> &'static str {
        "norm-backward"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        parameters: &CpuStorage,
        pl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        dispatch!(self.name(), x, T => {
            let (x, grad) = (elements::<T>(self.name(), x, xl)?, elements::<T>(self.name(), grad, gl)?);
            let gradients = backward(&self.0, xl.dims(), x, elements::<T>(self.name(), parameters, pl)?, grad);
            let shape = Shape::from(gradients.len());
            Ok((T::to_cpu_storage_owned(gradients), shape))
        })
    }
}
