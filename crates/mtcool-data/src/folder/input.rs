//! Pictures without labels as inputs of a trained network.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::config::FolderConfig;
use super::normalization::Normalization;
use super::pixels::Pixels;
use crate::augment::{Change, Crop, SampleView};
use crate::error::{Error, Result};

/// A picture as a network that was trained with `config` and `normalization` sees it, `[1, C, H, W]`, and as it is in its file.
///
/// # Errors
/// [`Error::Corrupt`] if the file is no such picture; [`Error::Io`] if it cannot be read; or if the normalization has another
/// number of channels.
pub fn network_input(file: &Path, config: &FolderConfig, normalization: &Normalization) -> Result<(Tensor, Pixels)> {
    let channels = config.channels;
    if normalization.mean.len() != channels || normalization.deviation.len() != channels {
        let expected = format!("{} as the normalization has", normalization.mean.len());
        return Err(Error::OutOfRange { key: "channels", value: channels, expected });
    }
    let picture = Pixels::read(file, channels)?;
    let Pixels { height, width, is_deep, bytes, .. } = config.stored_picture(picture.clone());
    let mut values = vec![0.0; channels * height * width];
    let crop = Crop { center: [width, height].map(|side| side as f64 / 2.0), size: [height, width] };
    Change::NONE.channels(SampleView { bytes: &bytes, height, width, channels, is_deep }, crop, &mut values);
    normalization.apply(&mut values);
    Ok((Tensor::from_vec(values, (1, channels, height, width), &Device::Cpu)?, picture))
}
