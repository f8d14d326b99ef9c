//! The forward pass: moments of the sets, and the affine map of each plane.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::kernels::{Affine, Moments};
use super::sizes::Sizes;
use crate::element::Element;
use crate::memory::{initialised, room_of};
use crate::settings::{Activation, Norm};

/// Mean and `1 / sqrt(variance + eps)` of each set of elements of `x`, of shape `dims`, that are normalised together.
pub(crate) fn moments<T: Element>(settings: &Norm, dims: &[usize], x: &[T]) -> Vec<(T, T)> {
    let sizes = &Sizes::new(dims, settings.statistics);
    let of_set = |set: usize| {
        let planes = sizes.planes_of(set);
        // Deviations are taken from an element of the set, so that no digits are lost where the mean is far from zero.
        let pivot = x[planes[0] * sizes.pixels];
        let (mut sum, mut squares) = (T::zero(), T::zero());
        for plane in planes {
            let (first, second) = Moments::of(&x[plane * sizes.pixels..][..sizes.pixels], pivot);
            sum += first;
            squares += second;
        }
        let count = T::from_f64(sizes.count() as f64);
        let mean = sum / count;
        let variance = num_traits::Float::max(squares / count - mean * mean, T::zero());
        (pivot + mean, (variance + T::from_f64(settings.eps)).sqrt().recip())
    };
    (0..sizes.sets()).into_par_iter().map(of_set).collect()
}

/// Scale and shift of each plane; `parameters` are the weight and then the bias, in one slice.
pub(crate) fn affines<T: Element>(
    settings: &Norm,
    dims: &[usize],
    moments: &[(T, T)],
    parameters: &[T],
) -> Vec<(T, T)> {
    let sizes = Sizes::new(dims, settings.statistics);
    let (weight, bias) = parameters.split_at(sizes.channels);
    let of_plane = |plane: usize| {
        let channel = plane % sizes.channels;
        let (mean, inverse) = moments[sizes.set_of(plane)];
        let scale = inverse * weight[channel];
        (scale, bias[channel] - mean * scale)
    };
    (0..sizes.batch * sizes.channels).map(of_plane).collect()
}

/// `activation(scale x + shift)`, plane by plane.
pub(crate) fn apply<T: Element>(affines: &[(T, T)], activation: Activation, x: &[T]) -> Vec<T> {
    let pixels = x.len() / affines.len().max(1);
    let write = |y: &mut [MaybeUninit<T>]| {
        let planes = y.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).zip(affines);
        planes.for_each(|((y, x), &(scale, shift))| Affine::apply(x, scale, shift, activation, y));
    };
    assert_eq!(affines.len() * pixels, x.len(), "norm: another number of planes than of scales and shifts");
    // SAFETY: by the assertion there is a scale and shift for every plane, and `Affine::apply` writes a plane whole.
    unsafe { initialised(x.len(), write) }
}

/// [`apply`] with the result in the place of `x`.
pub(crate) fn apply_in_place<T: Element>(affines: &[(T, T)], activation: Activation, x: &mut [T]) {
    let pixels = x.len() / affines.len().max(1);
    assert_eq!(affines.len() * pixels, x.len(), "norm: another number of planes than of scales and shifts");
    x.par_chunks_mut(pixels.max(1)).zip(affines).for_each(|(plane, &(scale, shift))| {
        in_place(plane, |_, x, y| Affine::apply(x, scale, shift, activation, y));
    });
}

/// Elements that [`in_place`] changes at a time: few enough to stay in the processor's nearest cache.
const ELEMENTS_AT_A_TIME: usize = 1024;

/// Changes `plane` part by part: `write` gets the place of a part, its elements, and the room for their new values, which it writes
/// whole.
pub(super) fn in_place<T: Element>(plane: &mut [T], mut write: impl FnMut(Range<usize>, &[T], &mut [MaybeUninit<T>])) {
    let mut buffer = [T::zero(); ELEMENTS_AT_A_TIME];
    for (index, part) in plane.chunks_mut(ELEMENTS_AT_A_TIME).enumerate() {
        let (first, old) = (index * ELEMENTS_AT_A_TIME, &mut buffer[..part.len()]);
        old.copy_from_slice(part);
        // SAFETY: the kernels of this module write values only.
        write(first..first + old.len(), old, unsafe { room_of(part) });
    }
}
