//! Convolution, normalisation and activation, once or several times in a row, as one operation: the block of a U-Net.
//!
//! The result equals [`conv_transpose2d`](super::conv_transpose2d), [`conv2d`](super::conv2d) and [`norm`](crate::norm)
//! in turn. Memory is saved as follows: a normalised map between two convolutions exists only while the second
//! convolution reads it, joined maps are never copied into one, an upsampled map is computed again for the backward pass,
//! and no gradient in between becomes a tensor of the graph. The output of each convolution is kept for the backward
//! pass; the last backward pass of a recording writes gradients over it.

mod operation;
mod parts;
mod passes;

use std::sync::{Arc, Mutex};

use candle_core::{Result, Tensor, bail};

use super::conv2d;
use super::transpose::{self, conv_transpose2d};
use crate::channels::join_channels;
use crate::geometry::Geometry;
use crate::norm;
use crate::recording::{apply_own, pack, wants_late};
use crate::settings::{Activation, Conv2d, Norm};
use operation::ChainOp;
use parts::{Chain, Unit};

/// The input of a chain.
#[derive(Clone, Copy, Debug)]
pub enum ChainInput<'a> {
    /// A map `[B, C, H, W]`.
    Map(&'a Tensor),
    /// The input of a decoder: `skip` `[B, C, H, W]` and, joined to it along the channels, the transposed convolution of
    /// `low` `[B, D, H / k, W / k]` with `kernel` `[D, O, k, k]` and `bias` `[O]`.
    Raised {
        /// The map of the encoder.
        skip: &'a Tensor,
        /// The map of the level below.
        low: &'a Tensor,
        /// The kernel of the transposed convolution.
        kernel: &'a Tensor,
        /// The bias of the transposed convolution.
        bias: &'a Tensor,
    },
}

/// A convolution without a bias, which the following normalisation would remove, and the parameters of that normalisation.
#[derive(Clone, Debug)]
pub struct ConvNormUnit {
    /// Kernel of the convolution, `[O, C, kh, kw]`.
    pub kernel: Tensor,
    /// Scale of the normalisation, `[O]`.
    pub weight: Tensor,
    /// Shift of the normalisation, `[O]`.
    pub bias: Tensor,
    /// Settings of the convolution, without activation and pooling, which come after the normalisation.
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
    let (mut maps, raise, mut parameters) = match input {
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
    // The gradient of a kernel can be late only if its convolution is an operation of its own.
    let has_large_kernels = steps.iter().map(Unit::excess).sum::<isize>() > 0;
    let is_for_late = raise.is_none() && has_large_kernels && units.iter().any(|unit| wants_late(&unit.kernel));
    if maps[0].device().is_cuda() || is_for_late {
        return in_turn(input, units, norm);
    }
    let parameters = pack(&parameters)?;
    let is_tracked = parameters.track_op() || maps.iter().any(|map| map.track_op());
    let chain = Arc::new(Chain { parts, raise, units: steps, norm, kept: is_tracked.then(Mutex::default) });
    maps.push(&parameters);
    apply_own(&maps, ChainOp(chain.clone()), chain)
}

/// The same by single operations: on a GPU there is enough memory to keep the maps, which saves computing them again, and where kernels
/// are larger than maps, it saves more not to keep the gradients of several tasks.
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
