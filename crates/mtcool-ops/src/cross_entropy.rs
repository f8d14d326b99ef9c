//! Softmax cross-entropy in one operation, for classes and for dense maps.

use std::ops::Range;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, dispatch, elements};
use crate::memory::written;
use crate::recording::apply2;
use crate::simd::{Kernel, Level, Vector, WIDEST, load, run, store};

/// Mean over all positions of `-log softmax(logits)[target]`: `logits` `[B, K]` or `[B, K, H, W]` (any trailing shape),
/// `targets` `[B]` or `[B, H, W]` of an integer type with values in `0..K`. A scalar.
///
/// # Errors
/// If the shapes do not fit each other or a target is not in `0..K`; on a GPU the loss is NaN then, since to say so would stop
/// every step.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    cross_entropy_with(logits, targets, &CrossEntropy::default())
}

/// How [`cross_entropy_with`] weighs targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// One a class, finite and at least 0; all 1 if `None`.
    pub class_weights: Option<Vec<f64>>,
    /// A target, in `0..K` or not, whose positions count for nothing.
    pub ignored: Option<u32>,
}

/// [`cross_entropy`] with weights: `sum_i w_i l_i / sum_i w_i` over positions i, `l_i` as there and `w_i` the weight of the
/// target; 0 if no position has any weight.
///
/// # Errors
/// As [`cross_entropy`]; and if there is not a weight a class or one is not finite or below 0.
pub fn cross_entropy_with(logits: &Tensor, targets: &Tensor, settings: &CrossEntropy) -> Result<Tensor> {
    let dims = logits.dims();
    let fits = dims.len() >= 2
        && targets.rank() + 1 == dims.len()
        && targets.dims()[0] == dims[0]
        && targets.dims()[1..] == dims[2..];
    if !fits || logits.elem_count() == 0 {
        bail!(
            "cross_entropy: expected logits [B, K, ...] and targets [B, ...], none empty, got {dims:?} and {:?}",
            targets.dims()
        );
    }
    let targets = targets.to_dtype(DType::I64)?.contiguous()?;
    if let Some(weights) = &settings.class_weights
        && (weights.len() != dims[1] || weights.iter().any(|weight| !(0.0..f64::INFINITY).contains(weight)))
    {
        bail!("cross_entropy: expected {} class weights, finite and at least 0, got {weights:?}", dims[1]);
    }
    apply2(logits, &targets, Forward(settings.clone()))
}

impl CrossEntropy {
    /// Of a position with this target.
    fn weight(&self, target: usize) -> f64 {
        match (self.ignored, &self.class_weights) {
            (Some(ignored), _) if ignored as usize == target => 0.0,
            (_, Some(weights)) => weights[target],
            (_, None) => 1.0,
        }
    }

    /// Weights of all targets together.
    ///
    /// # Errors
    /// If a target that counts is not in `0..classes`.
    fn total(&self, targets: &[i64], classes: usize) -> Result<f64> {
        let ignored = self.ignored.map(i64::from);
        let is_bad = |target: &&i64| !(0..classes as i64).contains(*target) && Some(**target) != ignored;
        match targets.iter().find(is_bad) {
            Some(bad) => bail!("cross_entropy: target {bad} is not a class in 0..{classes}"),
            None => Ok(targets.iter().map(|&target| self.weight(target as usize)).sum()),
        }
    }
}

struct Forward(CrossEntropy);

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        ll: &Layout,
        targets: &CpuStorage,
        tl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let targets = elements::<i64>(self.name(), targets, tl)?;
        let total = self.0.total(targets, ll.dims()[1])?;
        let loss = dispatch!(self.name(), logits, T => {
            let maps = Maps::new(elements::<T>(self.name(), logits, ll)?, targets, ll.dims());
            let sums = maps.parts().into_par_iter().with_min_len(PARTS_A_JOB).map(|part| {
                let mut sum = T::from_f64(0.0);
                run(Level::best(), Losses { maps, part, settings: &self.0, sum: &mut sum });
                sum
            });
            let sum = sums.collect::<Vec<T>>().into_iter().fold(T::from_f64(0.0), |all, sum| all + sum);
            T::to_cpu_storage_owned(vec![if total > 0.0 { sum / T::from_f64(total) } else { sum }])
        });
        Ok((loss, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        ll: &Layout,
        targets: &CudaStorage,
        tl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let (logits, targets) = (cuda::view::<T>(name, logits, ll)?, cuda::view(name, targets, tl)?);
            let maps = cuda::Classes::new(device, (&logits, ll.dims()), &targets, &self.0)?;
            Ok(cuda::result(cuda::cross_entropy(device, &maps)?.0, device, ()))
        })
    }

    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if logits.device().is_cuda() {
            // The loss's gradient stays where it is: to read it would stop the step.
            let backward = DeviceBackward(&self.0);
            return Ok((Some(logits.apply_op3_no_bwd(targets, &grad.contiguous()?, &backward)?), None));
        }
        let factor = grad.to_dtype(DType::F64)?.to_scalar()?;
        Ok((Some(logits.apply_op2_no_bwd(targets, &Backward { settings: &self.0, factor })?), None))
    }
}

/// `factor w_i (softmax(logits_i) - onehot(target_i)) / sum_i w_i`.
struct Backward<'a> {
    settings: &'a CrossEntropy,
    /// The gradient of the loss.
    factor: f64,
}

impl CustomOp2 for Backward<'_> {
    fn name(&self) -> &'static str {
        "cross-entropy-backward"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        ll: &Layout,
        targets: &CpuStorage,
        tl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let targets = elements::<i64>(self.name(), targets, tl)?;
        let total = self.settings.total(targets, ll.dims()[1])?;
        let factor = if total > 0.0 { self.factor / total } else { 0.0 };
        let result = dispatch!(self.name(), logits, T => {
            let maps = Maps::new(elements::<T>(self.name(), logits, ll)?, targets, ll.dims());
            let write = |result: &mut [T]| {
                let parts = maps.parts().into_par_iter().zip(maps.split(result)).with_min_len(PARTS_A_JOB);
                parts.for_each(|(part, planes)| {
                    run(Level::best(), Gradients { maps, part, settings: self.settings, factor, planes });
                });
            };
            T::to_cpu_storage_owned(written(maps.logits.len(), write))
        });
        Ok((result, ll.shape().clone()))
    }
}

/// [`Backward`] on logits, targets and the gradient of the loss, on a GPU.
#[cfg(feature = "cuda")]
struct DeviceBackward<'a>(&'a CrossEntropy);

#[cfg(feature = "cuda")]
impl candle_core::CustomOp3 for DeviceBackward<'_> {
    fn name(&self) -> &'static str {
        "cross-entropy-backward"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{}: operands on different devices", self.name())
    }

    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        ll: &Layout,
        targets: &CudaStorage,
        tl: &Layout,
        grad: &CudaStorage,
        gl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let (logits, targets) = (cuda::view::<T>(name, logits, ll)?, cuda::view(name, targets, tl)?);
            let maps = cuda::Classes::new(device, (&logits, ll.dims()), &targets, self.0)?;
            let result = cuda::cross_entropy_backward(device, &maps, &cuda::view(name, grad, gl)?)?;
            Ok(cuda::result(result, device, ll.shape()))
        })
    }
}

/// Positions that a thread does at a time; a constant, so that sums do not depend on the threads.
const POSITIONS_A_PART: usize = 4096;
/// For parts of a single position, as in `[B, K]`.
const PARTS_A_JOB: usize = 16;

/// Logits `[B, K, P]` and targets `[B, P]`.
#[derive(Clone, Copy)]
struct Maps<'a, T> {
    logits: &'a [T],
    targets: &'a [i64],
    batch: usize,
    classes: usize,
    positions: usize,
}

/// Neighbouring positions of one sample.
struct Part {
    sample: usize,
    positions: Range<usize>,
}

impl<'a, T: Element> Maps<'a, T> {
    fn new(logits: &'a [T], targets: &'a [i64], dims: &[usize]) -> Self {
        Self { logits, targets, batch: dims[0], classes: dims[1], positions: dims[2..].iter().product() }
    }

    fn parts(&self) -> Vec<Part> {
        let part =
            |sample, start: usize| Part { sample, positions: start..(start + POSITIONS_A_PART).min(self.positions) };
        let starts = || (0..self.positions).step_by(POSITIONS_A_PART);
        (0..self.batch).flat_map(|sample| starts().map(move |start| part(sample, start))).collect()
    }

    /// `result` `[B, K, P]` cut like [`Maps::parts`]: of each part, a slice a class.
    fn split<'r>(&self, result: &'r mut [T]) -> Vec<Vec<&'r mut [T]>> {
        let mut parts = Vec::new();
        for sample in result.chunks_exact_mut(self.classes * self.positions) {
            let mut planes: Vec<_> =
                sample.chunks_exact_mut(self.positions).map(|plane| plane.chunks_mut(POSITIONS_A_PART)).collect();
            let cuts = self.positions.div_ceil(POSITIONS_A_PART);
            parts.extend((0..cuts).map(|_| planes.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()));
        }
        parts
    }

    /// Logits of `class` and the targets at the positions of `part`.
    fn plane(&self, part: &Part, class: usize) -> &'a [T] {
        &self.logits[(part.sample * self.classes + class) * self.positions..][part.positions.clone()]
    }

    fn targets(&self, part: &Part) -> &'a [i64] {
        &self.targets[part.sample * self.positions..][part.positions.clone()]
    }

    /// The largest logit of each of the positions from `at` on, and `sum_k exp(logit_k - largest)`; `terms`, a plane a class,
    /// gets what is added up.
    ///
    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    unsafe fn normaliser<V: Vector<Element = T>>(&self, part: &Part, at: usize, terms: &mut [&mut [T]]) -> (V, V) {
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
                if let Some(plane) = terms.get_mut(class) {
                    store(term, plane, at);
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
unsafe fn lanes<V: Vector>(vector: V) -> [V::Element; WIDEST] {
    let mut lanes = [V::Element::default(); WIDEST];
    // SAFETY: no vector is wider.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes
}

/// The sum of `w_i l_i` over the positions of a part.
struct Losses<'a, T> {
    maps: Maps<'a, T>,
    part: Part,
    settings: &'a CrossEntropy,
    sum: &'a mut T,
}

impl<T: Element> Kernel<T> for Losses<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let targets = self.maps.targets(&self.part);
        for at in (0..targets.len()).step_by(V::LANES) {
            // SAFETY: vectors of this level.
            let (largest, sum) = unsafe {
                let (largest, sum) = self.maps.normaliser::<V>(&self.part, at, &mut []);
                (lanes(largest), lanes(sum))
            };
            for (lane, &target) in targets[at..].iter().take(V::LANES).enumerate() {
                let weight = self.settings.weight(target as usize);
                if weight > 0.0 {
                    let logit = self.maps.plane(&self.part, target as usize)[at + lane];
                    *self.sum += ((largest[lane] - logit) + sum[lane].ln()) * T::from_f64(weight);
                }
            }
        }
    }
}

/// `factor w_i (softmax(logits_i) - onehot(target_i))` at the positions of a part.
struct Gradients<'a, T> {
    maps: Maps<'a, T>,
    part: Part,
    settings: &'a CrossEntropy,
    factor: f64,
    /// A class each.
    planes: Vec<&'a mut [T]>,
}

impl<T: Element> Kernel<T> for Gradients<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let Self { maps, part, settings, factor, mut planes } = self;
        let targets = maps.targets(&part);
        for at in (0..targets.len()).step_by(V::LANES) {
            let targets = &targets[at..targets.len().min(at + V::LANES)];
            let mut scales = [T::zero(); WIDEST];
            for (scale, &target) in scales.iter_mut().zip(targets) {
                *scale = T::from_f64(settings.weight(target as usize) * factor);
            }
            // SAFETY: vectors of this level; loads and stores are bounded by `load` and `store`.
            unsafe {
                let (_, sum) = maps.normaliser::<V>(&part, at, &mut planes);
                let sums = lanes(sum);
                let ratios: [T; WIDEST] = std::array::from_fn(|lane| scales[lane] / sums[lane]);
                let (ratios, zero) = (V::load(ratios.as_ptr()), V::splat(T::zero()));
                for plane in &mut planes {
                    let term = load::<V>(plane, at, T::zero());
                    store(zero.add_product(term, ratios), plane, at);
                }
            }
            for (lane, &target) in targets.iter().enumerate() {
                if settings.weight(target as usize) > 0.0 {
                    planes[target as usize][at + lane] -= scales[lane];
                } else {
                    // Whatever the logits and the loss's gradient are, infinite or NaN; an ignored target may be no class.
                    planes.iter_mut().for_each(|plane| plane[at + lane] = T::zero());
                }
            }
        }
    }
}
