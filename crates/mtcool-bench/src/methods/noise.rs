//! MT-COOL's perturbations, drawn where the parameters are.

pub use mtcool_models::PlacedNoise;
