//! Gradient clipping by global norm.

use candle_core::Tensor;

use crate::error::Result;
use crate::inner_products::inner_products;
use crate::parameters::Gradients;

/// `gradients`, scaled down to the length `max_norm` if they are longer: the length of all of them as one vector, with the
/// direction kept (Pascanu et al. 2013). A length that is not finite is left as it is, so that it shows in the next losses.
pub(super) fn clip_to_norm(gradients: Gradients, max_norm: f64) -> Result<Gradients> {
    let tensors = gradients.iter().map(|(_, tensor)| tensor.contiguous());
    let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
    let pairs: Vec<(&Tensor, &Tensor)> = tensors.iter().map(|tensor| (tensor, tensor)).collect();
    let norm = inner_products(&pairs)?.iter().sum::<f64>().sqrt();
    if norm.is_finite() && norm > max_norm {
        return gradients.map(|_, gradient| Ok((gradient * (max_norm / norm))?));
    }
    Ok(gradients)
}
