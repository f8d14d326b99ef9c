//! The card of the tests that need one.
//!
//! Such tests are marked `#[ignore]`, so that a run without a card counts them as ignored. `cargo xtask check --cuda` and
//! `cargo xtask gpu-acceptance` run them, on a card or on the emulated one.

use candle_core::Device;

/// The first card.
///
/// # Panics
/// If there is none.
pub(crate) fn card() -> Device {
    mtcool_ops::open_device("cuda:0")
        .unwrap_or_else(|error| panic!("this test needs an NVIDIA card or the emulated one: {error}"))
}
