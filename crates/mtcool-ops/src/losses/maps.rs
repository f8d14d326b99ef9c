//! Logits and targets of a loss over classes, and how the threads share them.

use std::ops::Range;

use crate::element::Element;
use crate::simd::{Vector, WIDEST, load, store};

/// Positions that a thread does at a time; a constant, so that sums do not depend on the threads.
const POSITIONS_A_PART: usize = 4096;
/// The least number of parts that a thread takes at a time.
const PARTS_A_JOB: usize = 16;

/// Logits `[B, K, P]` and targets `[B, P]`.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a, T> {
    pub(super) logits: &'a [T],
    pub(super) targets: &'a [i64],
    pub(super) batch: usize,
    pub(super) classes: usize,
    positions: usize,
}

/// Neighbouring positions of one sample.
pub(super) struct Part {
    pub(super) sample: usize,
    positions: Range<usize>,
}

impl<'a, T: Element> Maps<'a, T> {
    /// Of logits with dimensions `dims`, `[B, K, ...]`.
    pub(super) fn new(logits: &'a [T], targets: &'a [i64], dims: &[usize]) -> Self {
        Self { logits, targets, batch: dims[0], classes: dims[1], positions: dims[2..].iter().product() }
    }

    /// All positions, sample by sample.
    pub(super) fn parts(&self) -> Vec<Part> {
        let part =
            |sample, start: usize| Part { sample, positions: start..(start + POSITIONS_A_PART).min(self.positions) };
        let starts = || (0..self.positions).step_by(POSITIONS_A_PART);
        (0..self.batch).flat_map(|sample| starts().map(move |start| part(sample, start))).collect()
    }

    /// The least number of parts that a thread takes at a time: a part may be a single position, as in `[B, K]`, and waking
    /// another thread takes longer than a few hundred of those.
    pub(super) fn parts_a_job(&self) -> usize {
        PARTS_A_JOB.max(POSITIONS_A_PART / self.positions.max(1))
    }

    /// `result` `[B, K, P]` cut like [`Maps::parts`]: for each part, one slice per class.
    pub(super) fn split<'r>(&self, result: &'r mut [T]) -> Vec<Vec<&'r mut [T]>> {
        let mut parts = Vec::new();
        for sample in result.chunks_exact_mut(self.classes * self.positions) {
            let mut planes: Vec<_> =
                sample.chunks_exact_mut(self.positions).map(|plane| plane.chunks_mut(POSITIONS_A_PART)).collect();
            let cuts = self.positions.div_ceil(POSITIONS_A_PART);
            parts.extend((0..cuts).map(|_| planes.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()));
        }
        parts
    }

    /// The logits of `class` at the positions of `part`.
    pub(super) fn plane(&self, part: &Part, class: usize) -> &'a [T] {
        &self.logits[(part.sample * self.classes + class) * self.positions..][part.positions.clone()]
    }

    /// The targets at the positions of `part`.
    pub(super) fn targets(&self, part: &Part) -> &'a [i64] {
        &self.targets[part.sample * self.positions..][part.positions.clone()]
    }

    /// The largest logit of each of the positions from `at` on, and `sum_k exp(logit_k - largest)`. `terms` gets what is added
    /// up, of as many classes as it has room for.
    ///
    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    pub(super) unsafe fn normaliser<V: Vector<Element = T>>(
        &self,
        part: &Part,
        at: usize,
        terms: &mut [[T; WIDEST]],
    ) -> (V, V) {
        // SAFETY: vectors of this level; loads and stores are bounded by `load` and `store`.
        unsafe {
            let mut largest = load::<V>(self.plane(part, 0), at, T::zero());
            for class in 1..self.classes {
                largest = largest.max(load::<V>(self.plane(part, class), at, T::zero()));
            }
            let (minus_one, mut sum) = (V::splat(T::zero() - T::one()), V::splat(T::zero()));
            for class in 0..self.classes {
                let logit = load::<V>(self.plane(part, class), at, T::zero());
                let term = logit.add_product(largest, minus_one).exp_of_negative();
                sum = sum.add(term);
                if let Some(lanes) = terms.get_mut(class) {
                    store(term, lanes, 0);
                }
            }
            (largest, sum)
        }
    }
}

/// The lanes of a vector.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(super) unsafe fn lanes<V: Vector>(vector: V) -> [V::Element; WIDEST] {
    let mut lanes = [V::Element::default(); WIDEST];
    // SAFETY: `store` is bounded.
    unsafe { store(vector, &mut lanes, 0) };
    lanes
}
