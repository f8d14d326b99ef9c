//! The backward pass: gradients of the input, and of scale and shift.
//!
//! With `g` the gradient before the activation, `h = (x - mean) * inverse`, means over the set:
//! `dx = inverse (w g - mean(w g) - h mean(w g h))`, `dweight = sum g h`, `dbias = sum g`.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::forward::{affines, in_place};
use super::kernels::Backward;
use super::sizes::Sizes;
use crate::element::Element;
use crate::memory::initialised;
use crate::settings::{Activation, Norm};

/// The gradient of x, and the gradients of weight and bias in one slice, from `grad`, the gradient of the output.
pub(crate) fn backward<T: Element>(
    settings: &Norm,
    dims: &[usize],
    x: &[T],
    moments: &[(T, T)],
    parameters: &[T],
    grad: &[T],
) -> (Vec<T>, Vec<T>) {
    let Terms { planes, of_parameters, pixels, activation } = Terms::of(settings, dims, x, moments, parameters, grad);
    let write = |result: &mut [MaybeUninit<T>]| {
        let operands = grad.par_chunks(pixels).zip(x.par_chunks(pixels));
        result.par_chunks_mut(pixels).zip(operands).zip(&planes).for_each(|((result, (grad, x)), terms)| {
            Backward::apply((x, grad), terms.affine, activation, terms.of_x, result);
        });
    };
    // SAFETY: x, gradient and result have the same length (asserted in `Terms::of`), hence the same planes, and
    // `Backward::apply` writes a plane whole.
    (unsafe { initialised(x.len(), write) }, of_parameters)
}

/// [`backward`] with the gradient of x in the place of `x`; the result is that of weight and bias.
pub(crate) fn backward_in_place<T: Element>(
    settings: &Norm,
    dims: &[usize],
    x: &mut [T],
    moments: &[(T, T)],
    parameters: &[T],
    grad: &[T],
) -> Vec<T> {
    let Terms { planes, of_parameters, pixels, activation } = Terms::of(settings, dims, x, moments, parameters, grad);
    x.par_chunks_mut(pixels).zip(grad.par_chunks(pixels)).zip(&planes).for_each(|((x, grad), terms)| {
        in_place(x, |part, x, result| {
            Backward::apply((x, &grad[part]), terms.affine, activation, terms.of_x, result);
        });
    });
    of_parameters
}

/// What the second pass over the planes needs.
struct Terms<T> {
    planes: Vec<PlaneTerms<T>>,
    /// Gradients of weight and bias.
    of_parameters: Vec<T>,
    /// Pixels of a plane.
    pixels: usize,
    activation: Activation,
}

struct PlaneTerms<T> {
    /// Scale and shift.
    affine: (T, T),
    /// The factor of x and the constant in its gradient.
    of_x: (T, T),
}

impl<T: Element> Terms<T> {
    /// The first pass: sums over planes and sets.
    ///
    /// # Panics
    /// If `x` and `grad` differ in length.
    fn of(settings: &Norm, dims: &[usize], x: &[T], moments: &[(T, T)], parameters: &[T], grad: &[T]) -> Self {
        assert_eq!(x.len(), grad.len(), "norm: a gradient of another size than its output's");
        let sizes = &Sizes::new(dims, settings.statistics);
        let (weight, activation) = (&parameters[..sizes.channels], settings.activation);
        let affines = affines(settings, dims, moments, parameters);
        let of_plane = |(plane, (x, grad)): (usize, (&[T], &[T]))| {
            let (mean, inverse) = moments[sizes.set_of(plane)];
            let (sum, product) = Backward::sums(x, grad, mean, affines[plane], activation);
            (sum, product * inverse)
        };
        let planes = x.par_chunks(sizes.pixels).zip(grad.par_chunks(sizes.pixels));
        let sums: Vec<(T, T)> = planes.enumerate().map(of_plane).collect();
        let mut set_sums = vec![(T::zero(), T::zero()); sizes.sets()];
        let mut of_parameters = vec![T::zero(); 2 * sizes.channels];
        for (plane, &(sum, product)) in sums.iter().enumerate() {
            let (channel, set) = (plane % sizes.channels, sizes.set_of(plane));
            of_parameters[channel] += product;
            of_parameters[sizes.channels + channel] += sum;
            set_sums[set].0 += weight[channel] * sum;
            set_sums[set].1 += weight[channel] * product;
        }
        let count = T::from_f64(sizes.count() as f64);
        let terms = |(plane, affine): (usize, (T, T))| {
            let set = sizes.set_of(plane);
            let (mean, inverse) = moments[set];
            let of_x = T::zero() - inverse * inverse * set_sums[set].1 / count;
            let constant = T::zero() - inverse * set_sums[set].0 / count - of_x * mean;
            PlaneTerms { affine, of_x: (of_x, constant) }
        };
        let planes = affines.into_iter().enumerate().map(terms).collect();
        Self { planes, of_parameters, pixels: sizes.pixels, activation }
    }
}
