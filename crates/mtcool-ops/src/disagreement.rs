//! The KL term of MT-COOL's objective in one operation, on an NVIDIA card.

#[cfg(feature = "cuda")]
use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Shape};
use candle_core::{Result, Tensor, bail};

#[cfg(feature = "cuda")]
use crate::cuda;

/// `1/M sum_j KL(p_j || 1/M sum_n p_n)`, `p_j` the softmax over K of `logits[j]` `[B, K, ...]`, averaged over the batch
/// and over pixels: Eq. (6)'s regulariser as a scalar. All lie on one card.
///
/// # Errors
/// If they differ in shape, have no classes or positions, or are not on a card.
pub fn disagreement_on_card(logits: &[Tensor]) -> Result<Tensor> {
    let stacked = Tensor::stack(logits, 0)?;
    if stacked.rank() < 3 || stacked.elem_count() == 0 {
        bail!("disagreement_on_card: expected logits [B, K, ...], not empty, got {:?}", stacked.dims());
    }
    #[cfg(feature = "cuda")]
    if stacked.device().is_cuda() {
        return stacked.contiguous()?.apply_op1(Disagreement);
    }
    bail!("disagreement_on_card: expected logits on an NVIDIA card, got {:?}", stacked.device().location())
}

#[cfg(feature = "cuda")]
struct Disagreement;

#[cfg(feature = "cuda")]
impl CustomOp1 for Disagreement {
    fn name(&self) -> &'static str {
        "disagreement"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{}: expected tensors on an NVIDIA card", self.name())
    }

    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::dispatch!(self.name(), logits, T => {
            let view = cuda::view::<T>(self.name(), logits, layout)?;
            Ok(cuda::result(cuda::disagreement(&logits.device, &view, layout.dims())?, &logits.device, ()))
        })
    }

    fn bwd(&self, logits: &Tensor, _mean: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        logits.apply_op2_no_bwd(&grad.contiguous()?, &Backward).map(Some)
    }
}

#[cfg(feature = "cuda")]
struct Backward;

#[cfg(feature = "cuda")]
impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "disagreement-backward"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{}: expected tensors on an NVIDIA card", self.name())
    }

    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        ll: &Layout,
        grad: &CudaStorage,
        gl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let maps = (&cuda::view::<T>(name, logits, ll)?, &cuda::view(name, grad, gl)?);
            Ok(cuda::result(cuda::disagreement_backward(device, maps, ll.dims())?, device, ll.shape()))
        })
    }
}
