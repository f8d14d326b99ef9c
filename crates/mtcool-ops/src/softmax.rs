//! Softmax over the classes of a map, averaged over blocks of pixels, in one operation; softmax of features.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Element, on_elements};
use crate::memory::written;
use crate::recording::{apply1, as_map, flatten_features};
use crate::simd::{Kernel, Level, Vector, load, run, store};

/// Of logits `[B, K, H, W]`, the softmax over K and its mean over each block of `side` x `side` pixels:
/// `[B, K, H / side, W / side]`.
///
/// # Errors
/// If `side` is 0 or does not divide H and W, or a dimension is 0.
pub fn pooled_softmax(logits: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    if side == 0 || !height.is_multiple_of(side) || !width.is_multiple_of(side) || logits.elem_count() == 0 {
        bail!("pooled_softmax: blocks of side {side} do not tile maps [{batch}, {classes}, {height}, {width}]");
    }
    apply1(logits, PooledSoftmax { side })
}

/// The softmax over the second dimension of `logits` `[B, K]`.
///
/// # Errors
/// If `logits` has not two dimensions, or is empty.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    flatten_features(&pooled_softmax(&as_map(logits)?, 1)?)
}

struct PooledSoftmax {
    side: usize,
}

/// The sizes of one call's maps.
#[derive(Clone, Copy)]
struct Sizes {
    classes: usize,
    height: usize,
    width: usize,
    side: usize,
}

impl Sizes {
    fn of(layout: &Layout, side: usize) -> Result<(usize, Self)> {
        let (batch, classes, height, width) = layout.shape().dims4()?;
        Ok((batch, Self { classes, height, width, side }))
    }

    /// The number of blocks in one row of blocks.
    fn blocks(&self) -> usize {
        self.width / self.side
    }

    /// The number of elements of one sample's means.
    fn pooled(&self) -> usize {
        self.classes * self.height / self.side * self.blocks()
    }
}

impl CustomOp1 for PooledSoftmax {
    fn name(&self) -> &'static str {
        "pooled-softmax"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, sizes) = Sizes::of(layout, self.side)?;
        let Sizes { classes, height, width, side } = sizes;
        let rows = height / side;
        let means = on_elements!(self.name(), T, logits: layout => {
            // A band is one row of blocks with all classes. In the result, a class has all its rows together.
            let bands: Vec<Vec<T>> = (0..batch * rows).into_par_iter().map(|band| {
                let logits = &logits[band / rows * classes * height * width..][..classes * height * width];
                let mut means = vec![T::default(); classes * sizes.blocks()];
                run(Level::best(), Means { sizes, logits, band: band % rows, means: &mut means });
                means
            }).collect();
            let mut means = Vec::with_capacity(batch * sizes.pooled());
            for sample in bands.chunks_exact(rows) {
                for class in 0..classes {
                    let of_class = class * sizes.blocks()..(class + 1) * sizes.blocks();
                    sample.iter().for_each(|band| means.extend_from_slice(&band[of_class.clone()]));
                }
            }
            means
        });
        Ok((means, (batch, classes, rows, sizes.blocks()).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let dims = layout.shape().dims4()?;
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let means = cuda::pooled_softmax::<T>(device, &cuda::view(name, logits, layout)?, dims, self.side)?;
            Ok(cuda::result(means, device, (dims.0, dims.1, dims.2 / self.side, dims.3 / self.side)))
        })
    }

    fn bwd(&self, logits: &Tensor, _means: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        logits.apply_op2_no_bwd(&grad.contiguous()?, &Backward { side: self.side }).map(Some)
    }
}

/// `p_k (g_k - sum_j g_j p_j) / side^2`, with `g` the gradient of a pixel's block.
struct Backward {
    side: usize,
}

impl CustomOp2 for Backward {
    fn name(&self) -> &'static str {
        "pooled-softmax-backward"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, sizes) = Sizes::of(layout, self.side)?;
        let Sizes { classes, height, width, side } = sizes;
        let result = on_elements!(self.name(), T, logits: layout, grad: grad_layout => {
            let write = |result: &mut [T]| {
                let samples = result.par_chunks_mut(classes * height * width).enumerate();
                samples.for_each(|(sample, result)| {
                    let logits = &logits[sample * result.len()..][..result.len()];
                    let grad = &grad[sample * sizes.pooled()..][..sizes.pooled()];
                    // Each job gets one band: the same rows of every class.
                    let mut rows: Vec<Vec<&mut [T]>> = (0..height / side).map(|_| Vec::new()).collect();
                    for plane in result.chunks_exact_mut(height * width) {
                        rows.iter_mut().zip(plane.chunks_exact_mut(side * width)).for_each(|(rows, own)| rows.push(own));
                    }
                    rows.into_par_iter().enumerate().for_each(|(band, planes)| {
                        run(Level::best(), Gradients { sizes, logits, grad, band, planes });
                    });
                });
            };
            written(logits.len(), write)
        });
        Ok((result, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        layout: &Layout,
        grad: &CudaStorage,
        grad_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (name, device) = (self.name(), &logits.device);
        cuda::dispatch!(name, logits, T => {
            let maps = (&cuda::view::<T>(name, logits, layout)?, &cuda::view(name, grad, grad_layout)?);
            let result = cuda::pooled_softmax_backward(device, maps, layout.shape().dims4()?, self.side)?;
            Ok(cuda::result(result, device, layout.shape()))
        })
    }
}

/// Softmax of one row of pixels, `[K, W]`, into `probabilities`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn softmax_row<V: Vector>(sizes: &Sizes, logits: &[V::Element], row: usize, probabilities: &mut [V::Element]) {
    let Sizes { classes, height, width, .. } = *sizes;
    let (zero, one) = (<V::Element as num_traits::Zero>::zero(), <V::Element as num_traits::One>::one());
    // SAFETY: vectors of this level; loads and stores are bounded by `load` and `store`.
    unsafe {
        let none = V::splat(zero);
        for at in (0..width).step_by(V::LANES) {
            let mut largest = load::<V>(&logits[row * width..][..width], at, zero);
            for class in 1..classes {
                largest = largest.max(load::<V>(&logits[(class * height + row) * width..][..width], at, zero));
            }
            let mut sum = none;
            for class in 0..classes {
                let logit = load::<V>(&logits[(class * height + row) * width..][..width], at, zero);
                let term = logit.add_product(largest, V::splat(zero - one)).exp_of_negative();
                sum = sum.add(term);
                store(term, &mut probabilities[class * width..][..width], at);
            }
            let mut lanes = [one; crate::simd::WIDEST];
            sum.store(lanes.as_mut_ptr());
            lanes.iter_mut().for_each(|lane| *lane = one / *lane);
            let inverse = V::load(lanes.as_ptr());
            for class in 0..classes {
                let term = load::<V>(&probabilities[class * width..][..width], at, zero);
                store(none.add_product(term, inverse), &mut probabilities[class * width..][..width], at);
            }
        }
    }
}

/// The means of one row of blocks, `[K, W / side]`.
struct Means<'a, T> {
    sizes: Sizes,
    logits: &'a [T],
    band: usize,
    means: &'a mut [T],
}

impl<T: Element> Kernel<T> for Means<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let Self { sizes, logits, band, means } = self;
        let mut probabilities = vec![T::zero(); sizes.classes * sizes.width];
        for row in band * sizes.side..(band + 1) * sizes.side {
            // SAFETY: the caller's promise.
            unsafe { softmax_row::<V>(&sizes, logits, row, &mut probabilities) };
            for (mean, block) in means.iter_mut().zip(probabilities.chunks_exact(sizes.side)) {
                *mean += block.iter().fold(T::zero(), |sum, &p| sum + p);
            }
        }
        let count = T::from_f64((sizes.side * sizes.side) as f64);
        means.iter_mut().for_each(|mean| *mean /= count);
    }
}

/// The gradients of the rows of one row of blocks, `side` rows of each class.
struct Gradients<'a, T> {
    sizes: Sizes,
    logits: &'a [T],
    /// The gradient of the sample's means, `[K, H / side, W / side]`.
    grad: &'a [T],
    band: usize,
    planes: Vec<&'a mut [T]>,
}

impl<T: Element> Kernel<T> for Gradients<'_, T> {
    #[inline(always)]
    unsafe fn with<V: Vector<Element = T>>(self) {
        let Self { sizes, logits, grad, band, mut planes } = self;
        let Sizes { classes, height, width, side } = sizes;
        let count = T::from_f64((side * side) as f64);
        // The block's gradient at every pixel of a row, `[K, W]`.
        let of_block = |at: usize| {
            let (class, column) = (at / width, at % width);
            grad[(class * (height / side) + band) * (width / side) + column / side] / count
        };
        let gradients: Vec<T> = (0..classes * width).map(of_block).collect();
        let mut probabilities = vec![T::zero(); classes * width];
        let mut means = vec![T::zero(); width];
        for row in 0..side {
            // SAFETY: the caller's promise.
            unsafe { softmax_row::<V>(&sizes, logits, band * side + row, &mut probabilities) };
            means.fill(T::zero());
            for (gradients, probabilities) in gradients.chunks_exact(width).zip(probabilities.chunks_exact(width)) {
                for ((mean, &g), &p) in means.iter_mut().zip(gradients).zip(probabilities) {
                    *mean += g * p;
                }
            }
            for (class, plane) in planes.iter_mut().enumerate() {
                let own = class * width..(class + 1) * width;
                let pairs = gradients[own.clone()].iter().zip(&probabilities[own]).zip(&means);
                for (target, ((&g, &p), &mean)) in plane[row * width..][..width].iter_mut().zip(pairs) {
                    *target = p * (g - mean);
                }
            }
        }
    }
}
