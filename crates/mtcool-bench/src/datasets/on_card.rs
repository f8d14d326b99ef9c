//! Pictures that are stored in the memory of an NVIDIA card, where crops are cut from them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use candle_core::{Device, Tensor};
use mtcool_data::augment::{Change, Crop, PixelView};
use mtcool_data::{Cutter, Error};
use mtcool_ops::{Cut, cut_labels_on_card, cut_picture_on_card, free_device_memory};

/// The table that maps each label to itself, for labels that are already targets.
pub(super) const AS_THEY_ARE: [u8; 256] = {
    let (mut table, mut label) = ([0; 256], 0);
    while label < 256 {
        table[label] = label as u8;
        label += 1;
    }
    table
};

/// A data set's pictures, `[H, W, 3]` u8, and their labels, `[H, W]` u8.
pub(super) struct CardPictures {
    pictures: Vec<(Tensor, Tensor)>,
    /// `[planes, 256]`: the target of each label, per plane of targets.
    tables: Tensor,
    /// The label of pixels outside of a picture.
    outside: u8,
}

impl CardPictures {
    /// Sends `pictures` to `device`. Returns `None` if `device` is not a card, or if the pictures need more than half of its free
    /// memory, since training needs memory as well.
    ///
    /// # Errors
    /// If the transfer to the card fails.
    pub(super) fn new<'a>(
        device: &Device,
        pictures: impl Iterator<Item = (PixelView<'a>, PixelView<'a>)> + Clone,
        tables: &[[u8; 256]],
        outside: u8,
    ) -> Result<Option<Self>> {
        let Some(free) = free_device_memory(device)? else { return Ok(None) };
        let needed: u64 =
            pictures.clone().map(|(pixels, labels)| (pixels.bytes.len() + labels.bytes.len()) as u64).sum();
        if needed > free / 2 {
            tracing::info!(
                needed,
                free,
                "the photographs stay in the host's memory: the card has too little memory for them"
            );
            return Ok(None);
        }
        let sent = pictures.map(|(pixels, labels)| {
            let PixelView { bytes, height, width } = pixels;
            let pixels = Tensor::from_slice(bytes, (height, width, 3), device)?;
            Ok((pixels, Tensor::from_slice(labels.bytes, (labels.height, labels.width), device)?))
        });
        let pictures = sent.collect::<Result<_>>()?;
        let tables = Tensor::from_slice(tables.as_flattened(), (tables.len(), 256), device)?;
        Ok(Some(Self { pictures, tables, outside }))
    }
}

/// The pictures of a data set on the device that this process trains on. They are sent only once.
#[derive(Default)]
pub(super) struct Sent(Mutex<Option<Option<Arc<dyn Cutter>>>>);

impl Sent {
    /// The pictures on the card, which the first call creates with `send`; `None` if the pictures stay in the host's memory.
    ///
    /// # Errors
    /// If the transfer to the card fails.
    pub(super) fn get(&self, send: impl FnOnce() -> Result<Option<CardPictures>>) -> Result<Option<Arc<dyn Cutter>>> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sent) = &*sent {
            return Ok(sent.clone());
        }
        let pictures = send()?.map(|pictures| -> Arc<dyn Cutter> { Arc::new(pictures) });
        Ok(sent.insert(pictures).clone())
    }
}

impl Cutter for CardPictures {
    fn cut(&self, index: usize, change: &Change, crop: Crop) -> mtcool_data::Result<(Tensor, Tensor)> {
        let Some((pixels, labels)) = self.pictures.get(index) else {
            let expected = format!("below {}", self.pictures.len());
            return Err(Error::OutOfRange { key: "index", value: index, expected });
        };
        let cut = Cut { center: crop.center, to_source: change.to_source(), size: crop.size };
        let picture = cut_picture_on_card(pixels, &change.levels(), &cut)?;
        Ok((picture, cut_labels_on_card(labels, &self.tables, self.outside, &cut)?))
    }
}
