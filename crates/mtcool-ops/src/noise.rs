//! Random numbers that are drawn on an NVIDIA card.

use candle_core::{DType, Device, Result, Shape, Tensor, bail};

/// Independent numbers of U(-bound, bound) from ChaCha8 with this key and stream, drawn on `device`, an NVIDIA card. They
/// have the same bits as those that `mtcool_core::random::uniform` draws on the host from the same generator in its
/// initial state. Nothing is sent from the host to the card.
///
/// # Errors
/// If `device` is not a card, `dtype` neither f32 nor f64, or there is no room.
pub fn uniform_on_card(
    key: [u8; 32],
    stream: u64,
    bound: f64,
    (shape, dtype): (&Shape, DType),
    device: &Device,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device {
        let count = shape.elem_count();
        return match dtype {
            DType::F32 => {
                Ok(crate::cuda::tensor(crate::cuda::uniform::<f32>(card, key, stream, bound, count)?, card, shape))
            }
            DType::F64 => {
                Ok(crate::cuda::tensor(crate::cuda::uniform::<f64>(card, key, stream, bound, count)?, card, shape))
            }
            other => bail!("uniform_on_card: expected dtype f32 or f64, got {other:?}"),
        };
    }
    let _ = (key, stream, bound, shape, dtype);
    bail!("uniform_on_card: expected an NVIDIA card, got {:?}", device.location())
}
