//! Random numbers from a seed. Each purpose and each place in a run has a ChaCha stream of its own.
//!
//! No two parts of a program share a stream, so the noise of one draw does not depend on how many numbers were drawn before it.
//! That is why a resumed run continues exactly, whatever the order of the draws or the number of threads, and why checkpoints
//! need no state of generators.

use candle_core::{DType, Device, Shape, Tensor, bail};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for; streams of different purposes never coincide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights.
    Initialization = 1,
    /// The noise of a warm-up iteration, Eq. (7).
    WarmupNoise = 2,
    /// The noise of an inner iteration, Eq. (6).
    CooperativeNoise = 3,
    /// A method's own choices, such as the order of projections.
    Method = 4,
    /// The settings that a search tries.
    Search = 5,
}

/// The generator for `purpose` that follows from `seed`, from the numbers `at` (such as iteration, task and draw) and from
/// `name` (such as the name of a parameter).
pub fn stream(seed: u64, purpose: Purpose, at: [u32; 4], name: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&(purpose as u32).to_le_bytes());
    for (bytes, number) in key[12..28].chunks_exact_mut(4).zip(at) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(fnv1a(name));
    generator
}

/// The next number of U(0, 1) from `generator`; 0 is possible, 1 is not.
pub fn unit(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A tensor of `shape` with independent elements of U(-bound, bound), drawn on the host. `dtype` is f32 or f64.
///
/// # Errors
/// If `dtype` is another, or the device has no room.
pub fn uniform(
    generator: &mut ChaCha8Rng,
    bound: f64,
    shape: &Shape,
    dtype: DType,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let count = shape.elem_count();
    match dtype {
        DType::F32 => {
            let bound = bound as f32;
            let scale = bound / (1 << 23) as f32;
            let draw = |_| (generator.next_u32() >> 8) as f32 * scale - bound;
            Tensor::from_vec((0..count).map(draw).collect::<Vec<f32>>(), shape.clone(), device)
        }
        DType::F64 => {
            let scale = bound / (1u64 << 52) as f64;
            let draw = |_| (generator.next_u64() >> 11) as f64 * scale - bound;
            Tensor::from_vec((0..count).map(draw).collect::<Vec<f64>>(), shape.clone(), device)
        }
        other => bail!("uniform: expected dtype f32 or f64, got {other:?}"),
    }
}

/// The 64-bit Fowler-Noll-Vo hash, variant 1a. Unlike the hash of the standard library, it is the same on every machine and
/// in every version.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_numbers_fill_their_interval() {
        let mut generator = stream(1, Purpose::Search, [0; 4], "x");
        let drawn: Vec<f64> = (0..4096).map(|_| unit(&mut generator)).collect();
        assert!(drawn.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = drawn.iter().sum::<f64>() / 4096.0;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
    }

    #[test]
    fn uniform_numbers_fill_their_interval_and_follow_from_the_key() {
        let draw = |seed, at, name: &str, dtype| {
            let mut generator = stream(seed, Purpose::WarmupNoise, at, name);
            let drawn = uniform(&mut generator, 0.05, &4096.into(), dtype, &Device::Cpu).unwrap();
            drawn.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
        };
        for dtype in [DType::F32, DType::F64] {
            let a = draw(1, [0, 0, 0, 0], "w", dtype);
            assert!(a.iter().all(|x| x.abs() <= 0.05 + 1e-9));
            let mean = a.iter().sum::<f64>() / 4096.0;
            let variance = a.iter().map(|x| x * x).sum::<f64>() / 4096.0;
            assert!(mean.abs() < 0.002, "mean {mean}");
            assert!((variance - 0.05f64.powi(2) / 3.0).abs() < 5e-5, "variance {variance}");
            assert_eq!(a, draw(1, [0, 0, 0, 0], "w", dtype));
            for (seed, at, name) in [(2, [0; 4], "w"), (1, [1, 0, 0, 0], "w"), (1, [0, 0, 0, 1], "w"), (1, [0; 4], "v")]
            {
                assert_ne!(a, draw(seed, at, name, dtype));
            }
        }
    }
}
