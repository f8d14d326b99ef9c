//! A chain as an operation of candle's graph or of a recording.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType};

use super::parts::Chain;
use crate::element::{dispatch_precision, elements, on_cpu};

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

    /// Gradients of `operands`, the maps and last the parameters.
    fn gradients(&self, operands: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let grad = grad.contiguous()?;
        let grad = on_cpu(Self::NAME, &grad);
        let on_cpu: Vec<_> = operands.iter().map(|operand| on_cpu(Self::NAME, operand)).collect();
        dispatch_precision!(Self::NAME, grad.storage()?, self.last().conv.precision, (T, A) => {
            let slices = on_cpu.iter().map(|operand| operand.elements::<T>()).collect::<Result<Vec<_>>>()?;
            let tracked: Vec<bool> = operands.iter().map(|operand| operand.track_op()).collect();
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
