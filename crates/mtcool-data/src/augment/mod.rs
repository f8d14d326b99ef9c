//! Random changes of a picture that do not change what it shows: image and labels move together.

mod augmentation;
mod change;
#[cfg(test)]
mod tests;
mod view;

pub use augmentation::Augmentation;
pub use change::Change;
pub use view::{Crop, PixelView};
