//! The focal loss at one position.

use crate::element::Element;
use crate::loss_settings::FocalTerm;
use crate::simd::WIDEST;

/// How likely the target is, in forms that lose no digits where it is nearly certain or nearly impossible.
pub(super) struct Likelihood<T> {
    /// p.
    p: T,
    /// 1 - p.
    rest: T,
    /// -log p.
    loss: T,
}

impl<T: Element> Likelihood<T> {
    /// Of class `target`, from each class's `exp(logit - largest)` in `terms`, their `sum`, and `distance`, `largest - logit` of the
    /// target.
    #[inline(always)]
    pub(super) fn of(terms: &[[T; WIDEST]], target: usize, lane: usize, distance: T, sum: T) -> Self {
        let others = terms.iter().enumerate().filter(|(class, _)| *class != target);
        let others = others.fold(T::zero(), |sum, (_, lanes)| sum + lanes[lane]);
        // The sum is 1 and the others' if the target has the largest logit.
        let loss = if distance == T::zero() { others.ln_1p() } else { distance + sum.ln() };
        Self { p: terms[target][lane] / sum, rest: others / sum, loss }
    }
}

impl FocalTerm {
    /// `(1 - p)^gamma (-log p)`, and c in its gradient by the logits, `c (p_k - y_k)`:
    /// `c = (1 - p)^gamma (1 + gamma p (-log p) / (1 - p))`.
    #[inline(always)]
    pub(super) fn loss_and_slope<T: Element>(&self, likelihood: &Likelihood<T>) -> (T, T) {
        let (Likelihood { p, rest, loss }, gamma) = (likelihood, T::from_f64(self.gamma));
        // The usual exponent, without a power.
        let focus = if self.gamma == 2.0 { *rest * *rest } else { rest.powf(gamma) };
        // -log p / (1 - p) tends to 1 as p does, and p log p to 0 with p.
        let ratio = if *rest > T::zero() { *loss / *rest } else { T::one() };
        let pull = if ratio.is_finite() { *p * ratio } else { T::zero() };
        (focus * *loss, focus * (T::one() + gamma * pull))
    }
}
