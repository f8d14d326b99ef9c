//! Random changes of a picture that do not change what it shows: image and labels move together.

mod augmentation;
mod change;
mod channels;
#[cfg(test)]
mod tests;
mod view;

pub use augmentation::Augmentation;
pub use change::Change;
pub use channels::SampleView;
pub use view::{Crop, PixelView};
