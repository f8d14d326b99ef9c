//! The instruction sets, and the way to run a kernel on one.

use std::sync::OnceLock;

use super::portable::Portable;
use super::vector::{Element, Kernel, Vector};
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Instruction sets, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with products of bf16 pairs.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

impl Level {
    /// Those this processor has.
    pub(crate) fn available() -> Vec<Level> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "nothing to add there"))]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
                if is_x86_feature_detected!("avx512f") {
                    levels.push(Level::Avx512);
                    if is_x86_feature_detected!("avx512bf16") {
                        levels.push(Level::Avx512Bf16);
                    }
                }
            }
        }
        levels
    }

    /// The best this processor has.
    pub(crate) fn best() -> Level {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Level::available().into_iter().max().unwrap_or(Level::Portable))
    }

    /// Elements of a vector.
    pub(crate) fn lanes<T: Element>(self) -> usize {
        match self {
            Level::Portable => Portable::<T>::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => T::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => T::Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => T::Avx512Bf16::LANES,
        }
    }
}

/// Runs `kernel` compiled for `level`.
///
/// # Panics
/// If the processor does not have `level`.
pub(crate) fn run<T: Element, K: Kernel<T>>(level: Level, kernel: K) {
    assert!(level <= Level::best(), "this processor has no {level:?}");
    match level {
        // SAFETY: portable code runs anywhere.
        Level::Portable => unsafe { kernel.with::<Portable<T>>() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertion above.
        Level::Avx2 => unsafe { x86::with_avx2(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertion above.
        Level::Avx512 => unsafe { x86::with_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertion above.
        Level::Avx512Bf16 => unsafe { x86::with_avx512_bf16(kernel) },
    }
}

#[cfg(test)]
mod tests {
    use super::super::vector::{load, store};
    use super::*;

    struct Exponentials<'a, T>(&'a mut [T]);

    impl<T: Element> Kernel<T> for Exponentials<'_, T> {
        #[inline(always)]
        unsafe fn with<V: Vector<Element = T>>(self) {
            for at in (0..self.0.len()).step_by(V::LANES) {
                // SAFETY: vectors of this level; `load` and `store` are bounded.
                unsafe { store(load::<V>(self.0, at, T::zero()).exp_of_negative(), self.0, at) };
            }
        }
    }

    #[test]
    fn every_level_has_the_same_exponential() {
        let edges = [0.0f32, -0.0, -0.3, -1.0, -86.9, -87.3, -87.7, -88.0, -103.0, -200.0, f32::MIN, f32::NEG_INFINITY];
        let powers: Vec<f32> = edges.into_iter().chain((0..8800).map(|at| at as f32 * -0.01)).collect();
        for level in Level::available() {
            let mut values = powers.clone();
            values.push(f32::NAN);
            run(level, Exponentials(&mut values));
            assert!(values.pop().is_some_and(f32::is_nan), "{level:?}");
            for (value, &power) in values.iter().zip(&powers) {
                let want = f64::from(power).exp();
                let error = (f64::from(*value) - want).abs();
                assert!(error <= 2.5e-7 * want || error < 1.2e-38, "{level:?}: e^{power} is {value}, not {want}");
            }
        }
    }
}
