//! The forward pass of a loss over classes: one pass over the positions, whatever the loss is made of.

use rayon::prelude::*;

use super::focal::Likelihood;
use super::maps::{Maps, Part, lanes};
use crate::element::Element;
use crate::loss_settings::{DiceGroup, DiceSums, NoClass, Sums, Terms};
use crate::simd::{Kernel, Level, Vector, WIDEST, load, run, store};

/// The loss, and what its gradient needs besides the logits.
///
/// # Errors
/// With a target that is no class.
pub(super) fn evaluate<T: Element>(maps: Maps<'_, T>, terms: &Terms) -> Result<(T, Sums), NoClass> {
    let (parts, classes) = (maps.parts(), terms.classes);
    let mut scalars = vec![Scalars::default(); parts.len()];
    let mut counts = vec![0u32; parts.len() * classes];
    // Of each part, the sums of the probabilities, then those of the targets' alone.
    let of_dice = if terms.dice.is_some() { 2 * classes } else { 0 };
    let mut dice = vec![T::zero(); parts.len() * of_dice];
    let all = parts.par_iter().zip(&mut scalars).zip(counts.par_chunks_mut(classes));
    let dice_parts: Vec<&mut [T]> = match of_dice {
        0 => parts.iter().map(|_| &mut [][..]).collect(),
        count => dice.chunks_exact_mut(count).collect(),
    };
    let kept = if terms.dice.is_some() || terms.focal.is_some() { classes } else { 0 };
    let scratch = || vec![[T::zero(); WIDEST]; kept];
    let all = all.zip(dice_parts);
    all.with_min_len(maps.parts_a_job()).for_each_init(scratch, |scratch, (((part, scalars), counts), dice)| {
        run(Level::best(), PartSums { maps, part, terms, scratch, scalars, counts, dice });
    });
    if let Some(bad) = scalars.iter().find_map(|scalars| scalars.bad) {
        return Err(bad);
    }
    let groups = groups(&maps, &parts, terms, &counts, &dice);
    Ok(total(terms, &scalars, groups))
}

/// The sums of all parts, by image or over the batch.
fn groups<T: Element>(maps: &Maps<'_, T>, parts: &[Part], terms: &Terms, counts: &[u32], dice: &[T]) -> Vec<DiceGroup> {
    let classes = terms.classes;
    let is_by_image = terms.dice.as_ref().is_some_and(|dice| dice.sums == DiceSums::Image);
    let mut groups = vec![DiceGroup::new(classes); if is_by_image { maps.batch } else { 1 }];
    for (at, part) in parts.iter().enumerate() {
        let group = &mut groups[if is_by_image { part.sample } else { 0 }];
        for class in 0..classes {
            group.targets[class] += u64::from(counts[at * classes + class]);
            if !dice.is_empty() {
                group.predicted[class] += dice[2 * at * classes + class].to_f64();
                group.common[class] += dice[(2 * at + 1) * classes + class].to_f64();
            }
        }
    }
    groups
}

/// The loss of what all parts add up to.
fn total<T: Element>(terms: &Terms, scalars: &[Scalars<T>], groups: Vec<DiceGroup>) -> (T, Sums) {
    let counts: Vec<u64> =
        (0..terms.classes).map(|class| groups.iter().map(|group| group.targets[class]).sum()).collect();
    let (mut loss, mut cross_entropy_total, mut focal_total) = (0.0, 0.0, 0.0);
    if let Some(term) = &terms.cross_entropy {
        cross_entropy_total = term.normalization.total(&counts, &term.class_weights);
        let sum = scalars.iter().fold(T::zero(), |sum, part| sum + part.cross_entropy);
        if cross_entropy_total > 0.0 {
            loss += term.weight * (sum / T::from_f64(cross_entropy_total)).to_f64();
        }
    }
    if let Some(term) = &terms.focal {
        focal_total = term.normalization.total(&counts, &term.class_weights);
        let sum: f64 = scalars.iter().map(|part| part.focal.to_f64()).sum();
        if focal_total > 0.0 {
            loss += term.weight * sum / focal_total;
        }
    }
    if let Some(term) = &terms.dice {
        loss += term.weight * term.value(&groups);
    }
    (T::from_f64(loss), Sums { cross_entropy_total, focal_total, groups })
}

/// What a part adds to the sums over the positions.
#[derive(Clone, Copy, Default)]
struct Scalars<T> {
    cross_entropy: T,
    focal: T,
    bad: Option<NoClass>,
}

/// The sums of one part.
struct PartSums<'a, T> {
    maps: Maps<'a, T>,
    part: &'a Part,
    terms: &'a Terms,
    /// The summands of a vector of positions, one entry per class, where they are needed.
    scratch: &'a mut [[T; WIDEST]],
    scalars: &'a mut Scalars<T>,
    counts: &'a mut [u32],
    dice: &'a mut [T],
}

impl<T: Element> Kernel<T> for PartSums<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let targets = self.maps.targets(self.part);
        let (predicted, common) = self.dice.split_at_mut(self.dice.len() / 2);
        let mut of_classes = vec![[T::zero(); WIDEST]; predicted.len()];
        let mut spreads = [T::zero(); WIDEST];
        for at in (0..targets.len()).step_by(V::LANES) {
            // SAFETY: vectors of this level.
            let (largest, sum) = unsafe {
                let (largest, sum) = self.maps.normaliser::<V>(self.part, at, self.scratch);
                if let Some(term) = &self.terms.cross_entropy
                    && !term.spread.is_empty()
                {
                    spreads = lanes(spread_distances(&self.maps, self.part, at, largest, &term.spread));
                }
                (lanes(largest), lanes(sum))
            };
            // 1 / sum where a position counts, else 0.
            let mut inverse = [T::zero(); WIDEST];
            for (lane, &target) in targets[at..].iter().take(V::LANES).enumerate() {
                let class = match self.terms.class_of(target) {
                    Ok(Some(class)) => class,
                    Ok(None) => continue,
                    Err(bad) => {
                        self.scalars.bad.get_or_insert(bad);
                        continue;
                    }
                };
                self.counts[class] += 1;
                inverse[lane] = T::one() / sum[lane];
                let distance = largest[lane] - self.maps.plane(self.part, class)[at + lane];
                self.scalars.add(self.terms, class, [distance, sum[lane], spreads[lane]], self.scratch, lane);
                if let Some(common) = common.get_mut(class) {
                    *common += self.scratch[class][lane] * inverse[lane];
                }
            }
            for (all, terms) in of_classes.iter_mut().zip(self.scratch.iter()) {
                // SAFETY: vectors of this level; arrays of the widest. What does not count is zero, whatever its logits are.
                unsafe {
                    let inverse = V::load(inverse.as_ptr());
                    let p = V::splat(T::zero()).add_product(V::load(terms.as_ptr()), inverse).where_positive(inverse);
                    store(V::load(all.as_ptr()).add(p), all, 0);
                }
            }
        }
        for (predicted, lanes) in predicted.iter_mut().zip(&of_classes) {
            *predicted = lanes.iter().fold(T::zero(), |sum, &lane| sum + lane);
        }
    }
}

/// `sum_k spread_k (largest - logit_k)` at the positions from `at` on.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn spread_distances<V: Vector>(
    maps: &Maps<'_, V::Element>,
    part: &Part,
    at: usize,
    largest: V,
    spread: &[f64],
) -> V {
    let zero = <V::Element as num_traits::Zero>::zero();
    let one = <V::Element as num_traits::One>::one();
    // SAFETY: vectors of this level; loads are bounded by `load`.
    unsafe {
        let mut sum = V::splat(zero);
        for (class, &spread) in spread.iter().enumerate().filter(|(_, spread)| **spread > 0.0) {
            let logit = load::<V>(maps.plane(part, class), at, zero);
            let distance = largest.add_product(logit, V::splat(zero - one));
            sum = sum.add_product(distance, V::splat(candle_core::WithDType::from_f64(spread)));
        }
        sum
    }
}

impl<T: Element> Scalars<T> {
    /// Adds a position's losses: `distance` of the target's logit from the largest, `sum` of the summands, and `spread_distances`.
    #[inline(always)]
    fn add(
        &mut self,
        terms: &Terms,
        class: usize,
        [distance, sum, spread]: [T; 3],
        scratch: &[[T; WIDEST]],
        lane: usize,
    ) {
        if let Some(term) = &terms.cross_entropy {
            let one_hot = term.one_hot[class];
            if one_hot > 0.0 {
                self.cross_entropy += (distance + sum.ln()) * T::from_f64(one_hot);
            }
            if !term.spread.is_empty() {
                self.cross_entropy += spread + sum.ln() * T::from_f64(term.spread_sum);
            }
        }
        if let Some(term) = &terms.focal
            && term.class_weights[class] > 0.0
        {
            let (loss, _) = term.loss_and_slope(&Likelihood::of(scratch, class, lane, distance, sum));
            self.focal += loss * T::from_f64(term.class_weights[class]);
        }
    }
}
