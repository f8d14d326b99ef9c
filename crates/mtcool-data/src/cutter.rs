//! A seam: pictures that lie on a card are cut and changed there.

use candle_core::Tensor;

use crate::augment::{Change, Crop};
use crate::error::Result;

/// Has the pictures of a data set and cuts them, as [`Change::picture`] and [`Change::labels`] do on the host.
pub trait Cutter: Send + Sync {
    /// From picture `index`: its crop `[3, H, W]` f32 in 0..=1, and what each plane of labels says of it, `[planes, H, W]` u8.
    ///
    /// # Errors
    /// If there is no such picture, or no room.
    fn cut(&self, index: usize, change: &Change, crop: Crop) -> Result<(Tensor, Tensor)>;
}
