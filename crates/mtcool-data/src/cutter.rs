//! The interface by which pictures that are stored on a graphics card are cut and changed there.

use candle_core::Tensor;

use crate::augment::{Change, Crop};
use crate::error::Result;

/// Holds the pictures of a data set and cuts them as [`Change::picture`] and [`Change::labels`] do on the host.
pub trait Cutter: Send + Sync {
    /// Cuts `crop` from picture `index` and applies `change`: the picture `[3, H, W]` f32 in 0..=1 and its labels
    /// `[planes, H, W]` u8.
    ///
    /// # Errors
    /// If there is no such picture, or the device has no room.
    fn cut(&self, index: usize, change: &Change, crop: Crop) -> Result<(Tensor, Tensor)>;
}
