//! Methods that find a direction by passes of their own: on several batches, or with one task's gradient at a time.

mod batches;
mod modo;
mod momentum_config;
mod sdmgrad;

pub use modo::MoDo;
pub use momentum_config::MomentumConFig;
pub use sdmgrad::{SdmGrad, SdmGradSettings};
