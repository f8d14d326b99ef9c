//! Convolution, normalisation and activation, once or several times in a row, as one operation: the block of a U-Net.
//!
//! The result equals [`conv2d`](super::conv2d) and [`norm`](crate::norm) in turn. What is saved: a normalised map between two
//! convolutions exists only while the second reads it, maps that enter side by side are never copied together, and no
//! gradient between the units becomes a tensor of the graph. Kept for the backward pass is each convolution's output.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};

use super::geometry::Geometry;
use super::input::Input;
use super::{Conv2d, strategy};
use crate::activation::Activation;
use crate::arithmetic::Arithmetic;
use crate::element::{Element, dispatch_precision, elements, on_cpu};
use crate::memory::copied;
use crate::norm::{self, Norm};

/// A convolution without a bias, which the normalisation behind it would remove, and that normalisation's parameters.
#[derive(Clone, Debug)]
pub struct ConvNormUnit {
    /// `[O, C, kh, kw]`.
    pub kernel: Tensor,
    /// `[O]`.
    pub weight: Tensor,
    /// `[O]`.
    pub bias: Tensor,
    /// Without activation or pooling, which belong behind the normalisation.
    pub conv: Conv2d,
}

/// `inputs`, one or two maps `[B, C_i, H, W]` side by side along the channels, through `units` in turn, each
/// `norm(conv2d(x, kernel))` with the normalisation's activation: `[B, O, H', W']` of the last.
///
/// # Errors
/// If the shapes, dtypes or settings do not fit each other, or a convolution asks for an activation or pooling of its own.
pub fn conv_norm_chain(inputs: &[&Tensor], units: &[ConvNormUnit], norm: Norm) -> Result<Tensor> {
    let (&[first] | &[first, _]) = inputs else {
        bail!("conv_norm_chain: expected one or two inputs, got {}", inputs.len())
    };
    let (batch, _, height, width) = first.dims4()?;
    let mut parts = Vec::with_capacity(inputs.len());
    for input in inputs {
        let (own_batch, channels, own_height, own_width) = input.dims4()?;
        if (own_batch, own_height, own_width) != (batch, height, width) {
            bail!(
                "conv_norm_chain: inputs side by side must agree but for channels, got {:?} and {:?}",
                first.dims(),
                input.dims()
            );
        }
        parts.push(channels);
    }
    let mut shape = [batch, parts.iter().sum(), height, width];
    let (mut steps, mut parameters, mut at) = (Vec::with_capacity(units.len()), Vec::new(), 0);
    for unit in units {
        let conv = &unit.conv;
        if conv.activation != Activation::Identity || conv.pool.is_some() {
            bail!("conv_norm_chain: activation and pooling belong behind the normalisation, got {conv:?}");
        }
        let geometry = Geometry::new(&shape, unit.kernel.dims(), conv)?;
        shape = geometry.output_shape().into();
        norm::check(&shape, &unit.weight, &unit.bias, norm)?;
        let end = at + unit.kernel.elem_count();
        steps.push(Unit { geometry, conv: conv.clone(), kernel: at..end, norm: end..end + 2 * shape[1] });
        at = end + 2 * shape[1];
        for parameter in [&unit.kernel, &unit.weight, &unit.bias] {
            parameters.push(parameter.flatten_all()?);
        }
    }
    if steps.is_empty() {
        bail!("conv_norm_chain: expected at least one unit");
    }
    let parameters = Tensor::cat(&parameters, 0)?;
    let is_tracked = parameters.track_op() || inputs.iter().any(|input| input.track_op());
    let op = Chain { parts, units: steps, norm, kept: is_tracked.then(Arc::default) };
    match inputs {
        [a, b] => a.contiguous()?.apply_op3(&b.contiguous()?, &parameters, op),
        _ => first.contiguous()?.apply_op2(&parameters, op),
    }
}

/// One unit; its parameters lie at `kernel` and, weight and bias, at `norm` in those of the chain.
struct Unit {
    geometry: Geometry,
    conv: Conv2d,
    kernel: Range<usize>,
    norm: Range<usize>,
}

struct Chain {
    /// Channels of each input.
    parts: Vec<usize>,
    units: Vec<Unit>,
    norm: Norm,
    /// If there will be a backward pass.
    kept: Option<Arc<OnceLock<Kept>>>,
}

/// What the backward pass needs: of each unit, the convolution's output and its moments.
#[derive(Default)]
struct Kept {
    maps: Vec<CpuStorage>,
    moments: Vec<CpuStorage>,
}

/// A map on its way: (its elements, scale and shift of each plane).
type Pending<'a, T> = (&'a [T], &'a [(T, T)]);

impl Chain {
    const NAME: &'static str = "conv-norm-chain";

    /// What unit `index` reads: the chain's inputs, or the map before it.
    fn input<'a, T: Element>(&self, index: usize, inputs: &[&'a [T]], before: Option<Pending<'a, T>>) -> Input<'a, T> {
        let g = &self.units[index].geometry;
        let pixels = g.height * g.width;
        match before {
            Some((map, affine)) => Input::new(map, g.in_channels, pixels).normalised(affine, self.norm.activation),
            None => Input::joined(inputs.iter().copied().zip(self.parts.iter().copied()).collect(), pixels),
        }
    }

    fn forward<T: Element, A: Arithmetic<T>>(&self, inputs: &[&[T]], parameters: &[T]) -> Vec<T> {
        let mut kept = Kept::default();
        let mut before: Option<(Vec<T>, Vec<(T, T)>)> = None;
        for (index, unit) in self.units.iter().enumerate() {
            let input = self.input(index, inputs, before.as_ref().map(|(map, affine)| (&map[..], &affine[..])));
            let kernel = &parameters[unit.kernel.clone()];
            let map = strategy::forward::<T, A>(&unit.geometry, &unit.conv, &input, kernel, None, None);
            let dims: [usize; 4] = unit.geometry.output_shape().into();
            let moments = norm::moments(&self.norm, &dims, &map);
            let affine = norm::affines(&self.norm, &dims, &moments, &parameters[unit.norm.clone()]);
            if let Some((map, _)) = before.take() {
                kept.maps.push(T::to_cpu_storage_owned(map));
            }
            let pairs = moments.into_iter().flat_map(|(mean, inverse)| [mean, inverse]);
            kept.moments.push(T::to_cpu_storage_owned(pairs.collect()));
            before = Some((map, affine));
        }
        let Some((map, affine)) = before else { return Vec::new() };
        let output = norm::apply(&affine, self.norm.activation, &map);
        if let Some(place) = &self.kept {
            kept.maps.push(T::to_cpu_storage_owned(map));
            // A forward pass runs once, so the place is free.
            let _ = place.set(kept);
        }
        output
    }

    /// Gradients of the inputs and of the parameters, from that of the output; `None` for those that are not tracked.
    fn backward<T: Element, A: Arithmetic<T>>(
        &self,
        inputs: &[&[T]],
        tracked: &[bool],
        parameters: &[T],
        trains: bool,
        grad: &[T],
    ) -> Result<(Vec<Option<Vec<T>>>, Option<Vec<T>>)> {
        let Some(kept) = self.kept.as_ref().and_then(|kept| kept.get()) else {
            bail!("{}: the forward pass kept nothing, since no operand was tracked", Self::NAME)
        };
        let moments = |index: usize| -> Result<Vec<(T, T)>> {
            let pairs = kept.moments[index].as_slice::<T>()?;
            Ok(pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
        };
        let mut of_parameters = trains.then(|| vec![T::zero(); parameters.len()]);
        let mut of_inputs: Vec<Option<Vec<T>>> = vec![None; inputs.len()];
        let mut grad = copied(grad);
        for (index, unit) in self.units.iter().enumerate().rev() {
            let g = &unit.geometry;
            let dims: [usize; 4] = g.output_shape().into();
            let own = &parameters[unit.norm.clone()];
            let of_norm =
                norm::backward(&self.norm, &dims, kept.maps[index].as_slice::<T>()?, &moments(index)?, own, &mut grad);
            let map = match strategy::reorders(T::DTYPE, g, &unit.conv) {
                true => Cow::Owned(strategy::map_gradient(g, &unit.conv, None, &grad)?),
                false => Cow::Borrowed(&grad[..]),
            };
            if let Some(of_parameters) = &mut of_parameters {
                let affine = match index {
                    0 => Vec::new(),
                    _ => {
                        let before = &self.units[index - 1];
                        let dims: [usize; 4] = before.geometry.output_shape().into();
                        norm::affines(&self.norm, &dims, &moments(index - 1)?, &parameters[before.norm.clone()])
                    }
                };
                let before = match index {
                    0 => None,
                    _ => Some((kept.maps[index - 1].as_slice::<T>()?, &affine[..])),
                };
                let rows = unit.conv.rows.range(g.out_channels);
                let input = self.input(index, inputs, before);
                let of_kernel = strategy::kernel_gradient::<T, A>(g, None, &input, &map, rows)?;
                of_parameters[unit.kernel.clone()].copy_from_slice(&of_kernel);
                of_parameters[unit.norm.clone()].copy_from_slice(&of_norm);
            }
            let kernel = &parameters[unit.kernel.clone()];
            if index > 0 {
                let whole = [0..g.in_channels];
                let below = strategy::input_gradient::<T, A>(g, kernel, &map, &whole).swap_remove(0);
                grad = below;
                continue;
            }
            let mut first = 0;
            let ranges = self.parts.iter().map(|&channels| {
                first += channels;
                first - channels..first
            });
            let wanted: Vec<(usize, Range<usize>)> = ranges.enumerate().filter(|(at, _)| tracked[*at]).collect();
            if !wanted.is_empty() {
                let ranges: Vec<Range<usize>> = wanted.iter().map(|(_, range)| range.clone()).collect();
                let gradients = strategy::input_gradient::<T, A>(g, kernel, &map, &ranges);
                wanted.iter().zip(gradients).for_each(|((at, _), gradient)| of_inputs[*at] = Some(gradient));
            }
        }
        Ok((of_inputs, of_parameters))
    }

    fn output(
        &self,
        inputs: &[(&CpuStorage, &Layout)],
        parameters: (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let last = &self.units[self.units.len() - 1];
        let output = dispatch_precision!(Self::NAME, inputs[0].0, last.conv.precision, (T, A) => {
            let maps = inputs.iter().map(|(map, layout)| elements::<T>(Self::NAME, map, layout));
            let maps = maps.collect::<Result<Vec<_>>>()?;
            let parameters = elements::<T>(Self::NAME, parameters.0, parameters.1)?;
            T::to_cpu_storage_owned(self.forward::<T, A>(&maps, parameters))
        });
        Ok((output, last.geometry.output_shape().into()))
    }

    /// Gradients of `operands`, the inputs and last the parameters.
    fn gradients(&self, operands: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let grad = grad.contiguous()?;
        let (grad, precision) = (on_cpu(Self::NAME, &grad), self.units[self.units.len() - 1].conv.precision);
        let on_cpu = operands.iter().map(|operand| on_cpu(Self::NAME, operand)).collect::<Vec<_>>();
        dispatch_precision!(Self::NAME, grad.storage()?, precision, (T, A) => {
            let slices = on_cpu.iter().map(|operand| operand.elements::<T>()).collect::<Result<Vec<_>>>()?;
            let tracked: Vec<bool> = operands.iter().map(|operand| operand.track_op()).collect();
            let inputs = operands.len() - 1;
            let (mut gradients, of_parameters) = self.backward::<T, A>(
                &slices[..inputs],
                &tracked[..inputs],
                slices[inputs],
                tracked[inputs],
                grad.elements::<T>()?,
            )?;
            gradients.push(of_parameters);
            let tensors = gradients.into_iter().zip(operands).map(|(gradient, operand)| {
                gradient.map(|gradient| Tensor::from_vec(gradient, operand.shape(), &Device::Cpu)).transpose()
            });
            tensors.collect()
        })
    }
}

impl CustomOp2 for Chain {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, p: &CpuStorage, pl: &Layout) -> Result<(CpuStorage, Shape)> {
        self.output(&[(x, xl)], (p, pl))
    }

    fn bwd(&self, x: &Tensor, p: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients(&[x, p], grad)?;
        let parameters = gradients.pop().flatten();
        Ok((gradients.pop().flatten(), parameters))
    }
}

impl CustomOp3 for Chain {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        al: &Layout,
        b: &CpuStorage,
        bl: &Layout,
        p: &CpuStorage,
        pl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.output(&[(a, al), (b, bl)], (p, pl))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        p: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients(&[a, b, p], grad)?;
        let (parameters, second) = (gradients.pop().flatten(), gradients.pop().flatten());
        Ok((gradients.pop().flatten(), second, parameters))
    }
}
