//! Decoded data kept on disk, so that no file is decoded twice: arrays that are mapped into memory, under a key of the contents
//! and settings that they were made of.
//!
//! An entry is a file that appears whole or not at all. It is checked when it is opened, and made again if it is damaged.

mod entry;
mod fingerprint;
mod key;
mod store;

pub use entry::{Array, Cached};
pub use key::CacheKey;
pub use store::Cache;
