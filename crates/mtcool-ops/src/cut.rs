//! Crops of pictures that are stored on an NVIDIA card; a crop may be rotated and scaled.

use candle_core::{DType, Result, Tensor, bail};

use crate::settings::Cut;

/// The crop `[3, H, W]` f32 of `pixels` `[H', W', 3]` u8 on a card. Value v of channel c stands for the intensity
/// `levels[v][c]`; between pixels the intensity is interpolated bilinearly, and beyond the picture it is 0. The result
/// has the same bits as that of `mtcool_data::Change::picture` on the host.
///
/// # Errors
/// If the pixels are of another shape, or not on a card.
pub fn cut_picture_on_card(pixels: &Tensor, levels: &[[f32; 3]; 256], cut: &Cut) -> Result<Tensor> {
    let (height, width) = match pixels.dims() {
        &[height, width, 3] if pixels.dtype() == DType::U8 => (height, width),
        dims => bail!("cut_picture_on_card: expected pixels [H, W, 3] u8, got {dims:?} {:?}", pixels.dtype()),
    };
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(card) = pixels.device() {
        let guard = crate::cuda::guard("cut_picture_on_card", pixels);
        let crop = crate::cuda::cut_picture(card, (&guard.view()?, [height, width]), levels, cut)?;
        return Ok(crate::cuda::tensor(crop, card, &(3, cut.size[0], cut.size[1]).into()));
    }
    let _ = (levels, cut, height, width);
    bail!("cut_picture_on_card: expected pixels on an NVIDIA card, got {:?}", pixels.device().location())
}

/// The crop `[planes, H, W]` u8 of `labels` `[H', W']` u8 on a card, one plane for each row of `tables` `[planes, 256]`
/// u8: the row maps the label of the nearest pixel to the plane's value. `outside` is the label of all places beyond the
/// source.
///
/// # Errors
/// If the labels or tables are of another shape, or not on a card.
pub fn cut_labels_on_card(labels: &Tensor, tables: &Tensor, outside: u8, cut: &Cut) -> Result<Tensor> {
    let (height, width, planes) = match (labels.dims(), tables.dims()) {
        (&[height, width], &[planes, 256]) if [labels, tables].iter().all(|t| t.dtype() == DType::U8) => {
            (height, width, planes)
        }
        (labels, tables) => {
            bail!(
                "cut_labels_on_card: expected labels [H, W] and tables [planes, 256], u8, got {labels:?} and {tables:?}"
            )
        }
    };
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(card) = labels.device() {
        let [of_labels, of_tables] = [labels, tables].map(|tensor| crate::cuda::guard("cut_labels_on_card", tensor));
        let source = (&of_labels.view()?, [height, width]);
        let crop = crate::cuda::cut_labels(card, source, &of_tables.view()?, outside, cut)?;
        return Ok(crate::cuda::tensor(crop, card, &(planes, cut.size[0], cut.size[1]).into()));
    }
    let _ = (outside, cut, height, width, planes);
    bail!("cut_labels_on_card: expected labels on an NVIDIA card, got {:?}", labels.device().location())
}
