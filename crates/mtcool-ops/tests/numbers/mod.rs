//! Numbers for tests.

use candle_core::{DType, Device, Tensor};

/// Numbers without pattern in -1..1, f64 on the CPU; the same for the same `seed`.
pub(crate) fn tensor(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let count = shape.iter().product();
    Tensor::from_vec((0..count).map(|_| next()).collect::<Vec<f64>>(), shape, &Device::Cpu).unwrap()
}

/// All elements in order.
pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}
