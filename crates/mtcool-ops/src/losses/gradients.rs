//! The backward pass of a loss over classes, in one pass over the positions as well.

use rayon::prelude::*;

use super::focal::Likelihood;
use super::maps::{Maps, Part, lanes};
use crate::element::Element;
use crate::loss_settings::{DiceSlopes, Sums, Terms};
use crate::simd::{Kernel, Level, Vector, WIDEST, run, store};

/// Writes the gradient of the logits into every element of `result` `[B, K, P]`; `factor` is the gradient of the loss.
pub(super) fn write<T: Element>(maps: Maps<'_, T>, terms: &Terms, sums: &Sums, factor: f64, result: &mut [T]) {
    let divided = |weight: f64, total: f64| if total > 0.0 { weight * factor / total } else { 0.0 };
    let factors = Factors {
        cross_entropy: terms.cross_entropy.as_ref().map_or(0.0, |term| divided(term.weight, sums.cross_entropy_total)),
        focal: terms.focal.as_ref().map_or(0.0, |term| divided(term.weight, sums.focal_total)),
        dice: terms.dice.as_ref().map_or(Vec::new(), |term| {
            let slopes = term.slopes(&sums.groups, term.weight * factor);
            slopes.iter().map(Slopes::new).collect()
        }),
    };
    let parts = maps.parts().into_par_iter().zip(maps.split(result)).with_min_len(maps.parts_a_job());
    let scratch = || vec![[T::zero(); WIDEST]; terms.classes];
    parts.for_each_init(scratch, |scratch, (part, planes)| {
        run(Level::best(), Gradients { maps, part, terms, factors: &factors, scratch, planes });
    });
}

/// The gradient of the loss by each of its sums.
struct Factors<T> {
    cross_entropy: f64,
    focal: f64,
    /// One per group.
    dice: Vec<Slopes<T>>,
}

/// [`DiceSlopes`] in the logits' type.
struct Slopes<T> {
    everywhere: Vec<T>,
    on_target: Vec<T>,
}

impl<T: Element> Slopes<T> {
    fn new(slopes: &DiceSlopes) -> Self {
        let typed = |slopes: &[f64]| slopes.iter().map(|&slope| T::from_f64(slope)).collect();
        Self { everywhere: typed(&slopes.everywhere), on_target: typed(&slopes.on_target) }
    }
}

/// The gradients at the positions of a part. With `u p_k - v y_k - r_k` those of cross-entropy and focal loss by the logits, and
/// `a_k + b_k y_k` that of Dice by the probabilities, y the target:
///
/// `p_k (u + a_k - m) + (p_k b_k - v) y_k - r_k`, with `m = sum_k a_k p_k + b_y p_y`.
struct Gradients<'a, T> {
    maps: Maps<'a, T>,
    part: Part,
    terms: &'a Terms,
    factors: &'a Factors<T>,
    /// The summands of a vector of positions, one entry per class.
    scratch: &'a mut [[T; WIDEST]],
    /// The part of the result, one slice per class.
    planes: Vec<&'a mut [T]>,
}

impl<T: Element> Kernel<T> for Gradients<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let Self { maps, part, terms, factors, scratch, mut planes } = self;
        let targets = maps.targets(&part);
        let slopes = match &factors.dice[..] {
            [] => None,
            [one] => Some(one),
            groups => Some(&groups[part.sample]),
        };
        let spread: Vec<T> = terms
            .cross_entropy
            .iter()
            .flat_map(|term| &term.spread)
            .map(|&spread| T::from_f64(spread * factors.cross_entropy))
            .collect();
        for at in (0..targets.len()).step_by(V::LANES) {
            let targets = &targets[at..targets.len().min(at + V::LANES)];
            // SAFETY: vectors of this level.
            let (largest, sum) = unsafe {
                let (largest, sum) = maps.normaliser::<V>(&part, at, scratch);
                (lanes(largest), lanes(sum))
            };
            let (mut u, mut v) = ([T::zero(); WIDEST], [T::zero(); WIDEST]);
            for (lane, &target) in targets.iter().enumerate() {
                let Some(class) = terms.acting_class_of(target) else { continue };
                let distance = || largest[lane] - maps.plane(&part, class)[at + lane];
                let likelihood = || Likelihood::of(scratch, class, lane, distance(), sum[lane]);
                (u[lane], v[lane]) = factors.of_position(terms, class, likelihood);
            }
            let mut mean = [T::zero(); WIDEST];
            if let Some(slopes) = slopes {
                // SAFETY: vectors of this level.
                mean = unsafe { lanes(slopes.mean::<V>(scratch)) };
                for (lane, &target) in targets.iter().enumerate() {
                    let Some(class) = terms.acting_class_of(target) else { continue };
                    let common = slopes.on_target[class] * scratch[class][lane];
                    mean[lane] = (mean[lane] + common) / sum[lane];
                    v[lane] -= common / sum[lane];
                }
            }
            // SAFETY: vectors of this level, arrays of the widest; stores are bounded by `store`.
            unsafe {
                let of_all: [T; WIDEST] = std::array::from_fn(|lane| (u[lane] - mean[lane]) / sum[lane]);
                let inverse: [T; WIDEST] = std::array::from_fn(|lane| T::one() / sum[lane]);
                let (of_all, inverse) = (V::load(of_all.as_ptr()), V::load(inverse.as_ptr()));
                let none = V::splat(T::zero());
                for (class, plane) in planes.iter_mut().enumerate() {
                    let ratio = match slopes {
                        Some(slopes) => of_all.add_product(inverse, V::splat(slopes.everywhere[class])),
                        None => of_all,
                    };
                    let mut gradient = none.add_product(V::load(scratch[class].as_ptr()), ratio);
                    if let Some(&spread) = spread.get(class) {
                        gradient = gradient.add(V::splat(T::zero() - spread));
                    }
                    store(gradient, plane, at);
                }
            }
            for (lane, &target) in targets.iter().enumerate() {
                match terms.acting_class_of(target) {
                    Some(class) => planes[class][at + lane] -= v[lane],
                    // Whatever the logits and the loss's gradient are, infinite or NaN.
                    None => planes.iter_mut().for_each(|plane| plane[at + lane] = T::zero()),
                }
            }
        }
    }
}

impl<T: Element> Factors<T> {
    /// u and v at a position whose target is `class`: see [`Gradients`].
    #[inline(always)]
    fn of_position(&self, terms: &Terms, class: usize, likelihood: impl Fn() -> Likelihood<T>) -> (T, T) {
        let (mut u, mut v) = (T::zero(), T::zero());
        if let Some(term) = &terms.cross_entropy {
            v = T::from_f64(term.one_hot[class] * self.cross_entropy);
            u = v;
            if !term.spread.is_empty() {
                u += T::from_f64(term.spread_sum * self.cross_entropy);
            }
        }
        if let Some(term) = &terms.focal
            && term.class_weights[class] > 0.0
        {
            let (_, slope) = term.loss_and_slope(&likelihood());
            let slope = slope * T::from_f64(term.class_weights[class] * self.focal);
            u += slope;
            v += slope;
        }
        (u, v)
    }
}

impl<T: Element> Slopes<T> {
    /// `sum_k a_k t_k` over the summands t of a vector of positions.
    ///
    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    unsafe fn mean<V: Vector<Element = T>>(&self, terms: &[[T; WIDEST]]) -> V {
        // SAFETY: vectors of this level; arrays of the widest.
        unsafe {
            let mut mean = V::splat(T::zero());
            for (&slope, terms) in self.everywhere.iter().zip(terms) {
                mean = mean.add_product(V::load(terms.as_ptr()), V::splat(slope));
            }
            mean
        }
    }
}
