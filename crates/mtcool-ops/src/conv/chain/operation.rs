//! A chain as an operation of candle's graph or of a recording.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType};

use super::parts::Chain;
use crate::element::{dispatch_precision, elements, on_cpu};
use crate::recording::OwnBackward;

impl Chain {
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
}

impl OwnBackward for Chain {
    /// Gradients of `operands`, the maps and last the parameters.
    fn gradients(&self, operands: &[Tensor], gradient: Tensor, is_last: bool) -> Result<Vec<Option<Tensor>>> {
        let gradient = gradient.contiguous()?;
        let on_cpu_all: Vec<_> = operands.iter().map(|operand| on_cpu(Self::NAME, operand)).collect();
        dispatch_precision!(Self::NAME, on_cpu_all[0].storage()?, self.last().conv.precision, (T, A) => {
            let slices = on_cpu_all.iter().map(|operand| operand.elements::<T>()).collect::<Result<Vec<_>>>()?;
            let tracked: Vec<bool> = operands.iter().map(|operand| operand.track_op()).collect();
            let parameters = slices.last().copied().unwrap_or_default();
            let mut kept = self.kept(is_last)?;
            let last = self.through_norm(&mut kept, parameters, on_cpu(Self::NAME, &gradient).elements::<T>()?)?;
            // From here on, the gradient of the output is not needed.
            drop(gradient);
            let gradients = self.backward::<T, A>(&slices, &tracked, kept, last)?;
            let tensors = gradients.into_iter().zip(operands).map(|(gradient, operand)| {
                gradient.map(|gradient| Tensor::from_vec(gradient, operand.shape(), &Device::Cpu)).transpose()
            });
            tensors.collect()
        })
    }
}

/// A chain as candle knows it.
pub(super) struct ChainOp(pub(super) Arc<Chain>);

impl ChainOp {
    /// The gradients that candle's graph asks for, which may ask for them again.
    fn gradients(&self, operands: &[&Tensor], gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let operands: Vec<Tensor> = operands.iter().map(|&operand| operand.clone()).collect();
        self.0.gradients(&operands, gradient.clone(), false)
    }
}

impl CustomOp2 for ChainOp {
    fn name(&self) -> &'static str {
        Chain::NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, p: &CpuStorage, pl: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.output(&[(x, xl), (p, pl)])
    }

    fn bwd(&self, x: &Tensor, p: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients(&[x, p], grad)?;
        let parameters = gradients.pop().flatten();
        Ok((gradients.pop().flatten(), parameters))
    }
}

impl CustomOp3 for ChainOp {
    fn name(&self) -> &'static str {
        Chain::NAME
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
        self.0.output(&[(skip, sl), (low, ll), (p, pl)])
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
