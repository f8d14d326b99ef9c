//! The passes over a plane: its moments, the affine map, and the two passes of the backward pass.

use std::mem::MaybeUninit;

use crate::element::Element;
use crate::settings::Activation;
use crate::simd::{Kernel, Level, Vector, load, run, write};

/// Sums of deviations from a pivot and of their squares.
pub(super) struct Moments<'a, T> {
    x: &'a [T],
    pivot: T,
    result: &'a mut (T, T),
}

impl<T: Element> Moments<'_, T> {
    pub(super) fn of(x: &[T], pivot: T) -> (T, T) {
        let mut result = (T::zero(), T::zero());
        run(Level::best(), Moments { x, pivot, result: &mut result });
        result
    }
}

impl<T: Element> Kernel<T> for Moments<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        // SAFETY: vectors of this level; loads are bounded by `load`.
        unsafe {
            let one = V::splat(T::one());
            let minus_pivot = V::splat(T::zero() - self.pivot);
            let mut sums = [V::splat(T::zero()); 2];
            let mut squares = sums;
            for (turn, at) in (0..self.x.len()).step_by(V::LANES).enumerate() {
                let deviation = minus_pivot.add_product(load::<V>(self.x, at, self.pivot), one);
                sums[turn % 2] = sums[turn % 2].add(deviation);
                squares[turn % 2] = squares[turn % 2].add_product(deviation, deviation);
            }
            *self.result = (sums[0].add(sums[1]).sum(), squares[0].add(squares[1]).sum());
        }
    }
}

/// `y = activation(scale * x + shift)`.
pub(crate) struct Affine<'a, T> {
    x: &'a [T],
    scale: T,
    shift: T,
    activation: Activation,
    y: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Affine<'_, T> {
    /// Writes every element of `y`.
    ///
    /// # Panics
    /// If `x` and `y` differ in length.
    pub(crate) fn apply(x: &[T], scale: T, shift: T, activation: Activation, y: &mut [MaybeUninit<T>]) {
        assert_eq!(x.len(), y.len(), "norm: planes of different sizes");
        run(Level::best(), Affine { x, scale, shift, activation, y });
    }
}

impl<T: Element> Kernel<T> for Affine<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        // SAFETY: vectors of this level; loads and stores are bounded by `load` and `write`.
        unsafe {
            let (scale, shift) = (V::splat(self.scale), V::splat(self.shift));
            for at in (0..self.x.len()).step_by(V::LANES) {
                let mut y = shift.add_product(scale, load::<V>(self.x, at, T::zero()));
                if self.activation == Activation::Relu {
                    y = y.relu();
                }
                write(y, self.y, at);
            }
        }
    }
}

/// The backward pass. The gradient before the activation is `grad` where `scale * x + shift` is positive, and 0
/// elsewhere; it is computed again in both passes rather than stored.
pub(super) struct Backward;

impl Backward {
    /// `(sum g, sum g (x - mean))`.
    pub(super) fn sums<T: Element>(x: &[T], grad: &[T], mean: T, affine: (T, T), activation: Activation) -> (T, T) {
        let mut result = (T::zero(), T::zero());
        run(Level::best(), Sums { x, grad, mean, affine, activation, result: &mut result });
        result
    }

    /// `scale g + of_x x + constant`, from x and g; writes every element of `result`.
    ///
    /// # Panics
    /// If the planes differ in length.
    pub(super) fn apply<T: Element>(
        (x, grad): (&[T], &[T]),
        affine: (T, T),
        activation: Activation,
        terms: (T, T),
        result: &mut [MaybeUninit<T>],
    ) {
        assert!(x.len() == result.len() && grad.len() == result.len(), "norm: planes of different sizes");
        run(Level::best(), Apply { x, grad, affine, activation, terms, result });
    }
}

struct Sums<'a, T> {
    x: &'a [T],
    grad: &'a [T],
    mean: T,
    affine: (T, T),
    activation: Activation,
    result: &'a mut (T, T),
}

impl<T: Element> Kernel<T> for Sums<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        // SAFETY: vectors of this level; loads are bounded by `load`.
        unsafe {
            let one = V::splat(T::one());
            let minus_mean = V::splat(T::zero() - self.mean);
            let (scale, shift) = (V::splat(self.affine.0), V::splat(self.affine.1));
            let mut sums = [V::splat(T::zero()); 2];
            let mut products = sums;
            for (turn, at) in (0..self.x.len()).step_by(V::LANES).enumerate() {
                let x = load::<V>(self.x, at, self.mean);
                let mut gradient = load::<V>(self.grad, at, T::zero());
                if self.activation == Activation::Relu {
                    gradient = gradient.where_positive(shift.add_product(scale, x));
                }
                sums[turn % 2] = sums[turn % 2].add(gradient);
                products[turn % 2] = products[turn % 2].add_product(gradient, minus_mean.add_product(x, one));
            }
            *self.result = (sums[0].add(sums[1]).sum(), products[0].add(products[1]).sum());
        }
    }
}

struct Apply<'a, T> {
    x: &'a [T],
    grad: &'a [T],
    affine: (T, T),
    activation: Activation,
    terms: (T, T),
    result: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Kernel<T> for Apply<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        // SAFETY: vectors of this level; loads and stores are bounded by `load` and `write`.
        unsafe {
            let (scale, shift) = (V::splat(self.affine.0), V::splat(self.affine.1));
            let (of_x, constant) = (V::splat(self.terms.0), V::splat(self.terms.1));
            for at in (0..self.x.len()).step_by(V::LANES) {
                let x = load::<V>(self.x, at, T::zero());
                let mut gradient = load::<V>(self.grad, at, T::zero());
                if self.activation == Activation::Relu {
                    gradient = gradient.where_positive(shift.add_product(scale, x));
                }
                write(constant.add_product(of_x, x).add_product(scale, gradient), self.result, at);
            }
        }
    }
}
