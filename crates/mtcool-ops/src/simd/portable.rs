//! Vectors in plain Rust, which the compiler may vectorise.

use super::vector::{Element, Vector};

const LANES: usize = 8;

#[derive(Clone, Copy)]
pub(crate) struct Portable<T>([T; LANES]);

impl<T: Element> Portable<T> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

// SAFETY: plain Rust needs no instructions of its own.
unsafe impl<T: Element> Vector for Portable<T> {
    type Element = T;
    const LANES: usize = LANES;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(source: *const T) -> Self {
        // SAFETY: the caller vouches for `LANES` elements.
        Self(unsafe { source.cast::<[T; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut T) {
        // SAFETY: the caller vouches for `LANES` elements.
        unsafe { target.cast::<[T; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        let product = a.zip(b, |a, b| a * b);
        self.zip(product, |sum, product| sum + product)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.zip(self, |x, _| if x < T::zero() { T::zero() } else { x })
    }

    #[inline(always)]
    unsafe fn where_positive(self, key: Self) -> Self {
        self.zip(key, |x, key| if key <= T::zero() { T::zero() } else { x })
    }

    #[inline(always)]
    unsafe fn sum(self) -> T {
        self.0.into_iter().sum()
    }
}
