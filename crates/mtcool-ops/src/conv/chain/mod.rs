//! Convolution, normalisation and activation, once or several times in a row, as one operation: the block of a U-Net.
//!
//! The result equals [`conv_transpose2d`](super::conv_transpose2d), [`conv2d`](super::conv2d) and [`norm`](crate::norm) in
//! turn. What is saved: a normalised map between two convolutions exists only while the second reads it, maps side by side are
//! never copied together, a raised map is made anew for the backward pass, and no gradient in between becomes a tensor of the
//! graph. Kept for the backward pass is each convolution's output.

mod passes;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};

use super::geometry::Geometry;
use super::transpose::{self, conv_transpose2d};
use super::{Conv2d, conv2d};
use crate::activation::Activation;
use crate::channels::join_channels;
use crate::element::{dispatch_precision, elements, on_cpu};
use crate::norm::{self, Norm};
use crate::recording::{apply2, apply3, pack, tracks};

/// What a chain reads.
#[derive(Clone, Copy, Debug)]
pub enum ChainInput<'a> {
    /// A map `[B, C, H, W]`.
    Map(&'a Tensor),
    /// A decoder's input: `skip` `[B, C, H, W]` and, beside it along the channels, the transposed convolution of `low`
    /// `[B, D, H / k, W / k]` with `kernel` `[D, O, k, k]` and `bias` `[O]`.
    Raised {
        /// From the encoder.
        skip: &'a Tensor,
        /// From the level below.
        low: &'a Tensor,
        /// Of the transposed convolution.
        kernel: &'a Tensor,
        /// Of the transposed convolution.
        bias: &'a Tensor,
    },
}

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

/// `input` through `units` in turn, each `norm(conv2d(x, kernel))` with the normalisation's activation: `[B, O, H', W']` of
/// the last. A transposed convolution has the precision of the first unit.
///
/// # Errors
/// If the shapes, dtypes or settings do not fit each other, or a convolution asks for an activation or pooling of its own.
pub fn conv_norm_chain(input: ChainInput<'_>, units: &[ConvNormUnit], norm: Norm) -> Result<Tensor> {
    let Some(precision) = units.first().map(|unit| unit.conv.precision) else {
        bail!("conv_norm_chain: expected at least one unit");
    };
    let (maps, raise, mut parameters) = match input {
        ChainInput::Map(x) => (vec![x], None, Vec::new()),
        ChainInput::Raised { skip, low, kernel, bias } => {
            (vec![skip, low], Some(transpose::Sizes::checked(low, kernel, bias)?), vec![kernel, bias])
        }
    };
    let (batch, channels, height, width) = maps[0].dims4()?;
    let mut parts = vec![channels];
    if let Some(raise) = raise {
        let raised = raise.output_shape();
        if (raised.0, raised.2, raised.3) != (batch, height, width) {
            bail!("conv_norm_chain: a raised map {raised:?} does not fit beside {:?}", maps[0].dims());
        }
        parts.push(raised.1);
    }
    let mut shape = [batch, parts.iter().sum(), height, width];
    let mut at: usize = parameters.iter().map(|parameter| parameter.elem_count()).sum();
    let mut steps = Vec::with_capacity(units.len());
    for ConvNormUnit { kernel, weight, bias, conv } in units {
        if conv.activation != Activation::Identity || conv.pool.is_some() || conv.precision != precision {
            bail!(
                "conv_norm_chain: expected convolutions of one precision, with activation and pooling behind the normalisation, got {conv:?}"
            );
        }
        let geometry = Geometry::new(&shape, kernel.dims(), conv)?;
        shape = geometry.output_shape().into();
        norm::check(&shape, weight, bias, norm)?;
        let end = at + kernel.elem_count();
        steps.push(Unit { geometry, conv: conv.clone(), kernel: at..end, norm: end..end + 2 * shape[1] });
        at = end + 2 * shape[1];
        parameters.extend([kernel, weight, bias]);
    }
    if maps[0].device().is_cuda() {
        return in_turn(input, units, norm);
    }
    let parameters = pack(&parameters)?;
    let is_tracked = tracks(&parameters) || maps.iter().any(|map| tracks(map));
    let op = Chain { parts, raise, units: steps, norm, kept: is_tracked.then(Arc::default) };
    match maps[..] {
        [skip, low] => apply3(skip, low, &parameters, op),
        _ => apply2(maps[0], &parameters, op),
    }
}

/// The same by single operations: on a GPU memory is plenty, and a map that is kept need not be made again.
fn in_turn(input: ChainInput<'_>, units: &[ConvNormUnit], norm: Norm) -> Result<Tensor> {
    let mut x = match input {
        ChainInput::Map(x) => x.clone(),
        ChainInput::Raised { skip, low, kernel, bias } => {
            join_channels(skip, &conv_transpose2d(low, kernel, bias, units[0].conv.precision)?)?
        }
    };
    for ConvNormUnit { kernel, weight, bias, conv } in units {
        x = norm::norm(&conv2d(&x, kernel, None, conv.clone())?, weight, bias, norm)?;
    }
    Ok(x)
}

/// One unit; its parameters lie at `kernel` and, weight and bias, at `norm` in those of the chain.
struct Unit {
    geometry: Geometry,
    conv: Conv2d,
    kernel: Range<usize>,
    norm: Range<usize>,
}

struct Chain {
    /// Channels of what lies side by side.
    parts: Vec<usize>,
    /// The transposed convolution of the second map; its parameters come first in those of the chain.
    raise: Option<transpose::Sizes>,
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

impl Chain {
    const NAME: &'static str = "conv-norm-chain";

    fn last(&self) -> &Unit {
        &self.units[self.units.len() - 1]
    }

    /// The output, from the maps and, last of `operands`, the parameters.
    fn output(&self, operands: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let output = dispatch_precision!(Self::NAME, operands[0].0, self.last().conv.precision, (T, A) => {
            let slices = operands.iter().map(|(operand, layout)| elements::<T>(Self::NAME, operand, layout));
            let slices = slices.collect::<Result<Vec<_>>>()?;
            let (maps, parameters) = slices.split_at(slices.len() - 1);
            T::to_cpu_storage_owned(self.forward::<T, A>(maps, parameters[0]))
        });
        Ok((output, self.last().geometry.output_shape().into()))
    }

    /// Gradients of `operands`, the maps and last the parameters.
    fn gradients(&self, operands: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let grad = grad.contiguous()?;
        let grad = on_cpu(Self::NAME, &grad);
        let on_cpu: Vec<_> = operands.iter().map(|operand| on_cpu(Self::NAME, operand)).collect();
        dispatch_precision!(Self::NAME, grad.storage()?, self.last().conv.precision, (T, A) => {
            let slices = on_cpu.iter().map(|operand| operand.elements::<T>()).collect::<Result<Vec<_>>>()?;
            let tracked: Vec<bool> = operands.iter().map(|operand| tracks(operand)).collect();
            let gradients = self.backward::<T, A>(&slices, &tracked, grad.elements::<T>()?)?;
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
        self.output(&[(x, xl), (p, pl)])
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
        skip: &CpuStorage,
        sl: &Layout,
        low: &CpuStorage,
        ll: &Layout,
        p: &CpuStorage,
        pl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.output(&[(skip, sl), (low, ll), (p, pl)])
    }

    fn bwd(
        &self,
        skip: &Tensor,
        low: &Tensor,
        p: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients(&[skip, low, p], grad)?;
        let (parameters, low) = (gradients.pop().flatten(), gradients.pop().flatten());
        Ok((gradients.pop().flatten(), low, parameters))
    }
}
