//! Golden values of operations and trajectories, and all tests that need a card, in one executable: most of its size are kernels,
//! so that one instead of five is linked, and carried to a machine without cargo by `cargo xtask pack`.
//!
//! The parts are tests of their own crates as well, so this one runs only if it is named. Without cargo, `MTCOOL_GOLDEN_DIR` names
//! the folder of all golden files and `MTCOOL_PROGRAM` the program.

#![allow(clippy::duplicate_mod, reason = "each part has its own helpers")]

#[path = "../../mtcool-models/tests/card.rs"]
mod card_methods;
#[path = "../../mtcool-ops/tests/cuda.rs"]
mod card_operations;
#[path = "card.rs"]
mod card_training;
#[path = "../../mtcool-ops/tests/golden.rs"]
mod golden_operations;
#[path = "../../mtcool-models/tests/trajectories.rs"]
mod golden_trajectories;
