//! Every kernel of every strategy and level, compared with the patch matrix on random shapes.

use std::ops::Range;

use candle_core::WithDType;
use proptest::prelude::*;

use super::guard::Guarded;
use super::input::Input;
use super::lanes::Lanes;
use super::{channel_gradient, direct, direct_gradient, patches};
use crate::arithmetic::{Bf16, Exact, rounded};
use crate::element::Element;
use crate::geometry::Geometry;
use crate::memory::initialised;
use crate::settings::{Activation, Conv2d, MaxPool2d};
use crate::simd::Level;

/// Pseudo-random numbers between -1 and 1, between guard pages: a kernel that reads beyond an operand ends the test.
fn numbers<T: Element>(count: usize, seed: u64) -> Guarded<T> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    Guarded::new(&(0..count).map(|_| next()).collect::<Vec<T>>())
}

fn close<T: Element>(got: &[T], want: &[T], tolerance: f64) -> std::result::Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        let (got, want) = (WithDType::to_f64(*got), WithDType::to_f64(*want));
        prop_assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "element {}: {} against {}", at, got, want);
    }
    Ok(())
}

/// Every direct kernel of every level that this processor has, compared with its patch-matrix twin.
fn in_lock_step<T: Element>(
    g: &Geometry,
    rows: Range<usize>,
    tolerance: f64,
) -> std::result::Result<(), TestCaseError> {
    let (outputs, taps) = (g.batch * g.out_channels * g.out_pixels(), g.out_channels * g.taps());
    let (x, grad) = (numbers::<T>(g.batch * g.input_len(), 1), numbers::<T>(outputs, 2));
    let (kernel, bias) = (numbers::<T>(taps, 3), numbers::<T>(g.out_channels, 4));
    let input = Input::new(&x, g.in_channels, g.height * g.width);
    for level in Level::available() {
        for (bias, activation) in [(None, Activation::Identity), (Some(&bias[..]), Activation::Relu)] {
            let want = patches::forward(g, &x, &kernel, bias, activation);
            close(&direct::forward::<T, Exact>(level, g, &input, &kernel, bias, activation), &want, tolerance)?;
        }
        let want = patches::kernel_gradient(g, &x, &grad, rows.clone());
        close(
            &direct_gradient::kernel_gradient::<T, Exact>(level, g, &input, &grad, rows.clone()),
            &want,
            tolerance * g.out_pixels() as f64,
        )?;
        // Rows in whole vectors, as many as fit from the first.
        let lanes = level.lanes::<T>();
        let whole = rows.start..rows.start + rows.len() / lanes * lanes;
        close(
            &channel_gradient::kernel_gradient::<T, Exact>(level, g, &input, &grad, whole.clone()),
            &patches::kernel_gradient(g, &x, &grad, whole),
            tolerance * g.out_pixels() as f64,
        )?;
        in_lanes(level, g, (&x, &grad, &kernel, &bias), rows.clone(), tolerance)?;
        if let Some(got) =
            direct::input_gradient::<T, Exact>(level, g, &kernel, &grad, std::slice::from_ref(&(0..g.in_channels)))
        {
            close(&got[0], &patches::input_gradient(g, &kernel, &grad), tolerance)?;
        }
    }
    Ok(())
}

/// With bf16 operands: the patch matrix on rounded operands, and where sums have one order, the same bits on every level.
fn bf16_in_lock_step(g: &Geometry, rows: Range<usize>) -> std::result::Result<(), TestCaseError> {
    let outputs = g.batch * g.out_channels * g.out_pixels();
    let (x, grad) = (numbers::<f32>(g.batch * g.input_len(), 1), numbers::<f32>(outputs, 2));
    let kernel = numbers::<f32>(g.out_channels * g.taps(), 3);
    let round = |values: &[f32]| rounded::<f32, Bf16>(values.into()).into_owned();
    let (x_near, grad_near, kernel_near) = (round(&x), round(&grad), round(&kernel));
    prop_assert!(x.iter().zip(&x_near).all(|(x, near)| (x - near).abs() <= x.abs() / 256.0));
    let (input, whole) = (Input::new(&x, g.in_channels, g.height * g.width), 0..g.in_channels);
    let (want, want_kernel) = (
        patches::forward(g, &x_near, &kernel_near, None, Activation::Identity),
        patches::kernel_gradient(g, &x_near, &grad_near, rows.clone()),
    );
    let want_input = patches::input_gradient(g, &kernel_near, &grad_near);
    let mut first = None;
    for level in Level::available() {
        let output = direct::forward::<f32, Bf16>(level, g, &input, &kernel, None, Activation::Identity);
        let gradient = direct::input_gradient::<f32, Bf16>(level, g, &kernel, &grad, std::slice::from_ref(&whole));
        close(&output, &want, 2e-5)?;
        if let Some(gradient) = &gradient {
            close(&gradient[0], &want_input, 2e-5)?;
        }
        let (want_output, want_gradient) = &*first.get_or_insert((output.clone(), gradient.clone()));
        prop_assert!(*want_output == output && *want_gradient == gradient, "{:?} has other bits", level);
        let tolerance = 2e-5 * g.out_pixels() as f64;
        let got = direct_gradient::kernel_gradient::<f32, Bf16>(level, g, &input, &grad, rows.clone());
        close(&got, &want_kernel, tolerance)?;
        let lanes = level.lanes::<f32>();
        let vectors = rows.start..rows.start + rows.len() / lanes * lanes;
        let want = patches::kernel_gradient(g, &x_near, &grad_near, vectors.clone());
        close(&channel_gradient::kernel_gradient::<f32, Bf16>(level, g, &input, &grad, vectors), &want, tolerance)?;
    }
    Ok(())
}

/// The lanes kernels, pooling included.
fn in_lanes<T: Element>(
    level: Level,
    g: &Geometry,
    (x, grad, kernel, bias): (&[T], &[T], &[T], &[T]),
    rows: Range<usize>,
    tolerance: f64,
) -> std::result::Result<(), TestCaseError> {
    let (lanes, sample) = (Lanes::new::<T>(level), g.out_channels * g.out_pixels());
    let input = lanes.gather_batch(x, g.input_len());
    prop_assert!(lanes.scatter_batch(&input, g.input_len(), g.batch) == x);
    let map = lanes.forward(level, g, &input, kernel, Some(bias), Activation::Relu);
    let want = patches::forward(g, x, kernel, Some(bias), Activation::Relu);
    close(&lanes.scatter_batch(&map, sample, g.batch), &want, tolerance)?;
    let grad_lanes = lanes.gather_batch(grad, sample);
    let got = lanes.input_gradient(level, g, kernel, &grad_lanes);
    close(&lanes.scatter_batch(&got, g.input_len(), g.batch), &patches::input_gradient(g, kernel, grad), tolerance)?;
    let want = patches::kernel_gradient(g, x, grad, rows.clone());
    close(
        &lanes.kernel_gradient(level, g, &input, &grad_lanes, rows.clone()),
        &want,
        tolerance * g.out_pixels() as f64,
    )?;
    let want = patches::bias_gradient(g, grad, rows.clone());
    close(&lanes.bias_gradient(g, &grad_lanes, rows), &want, tolerance * g.out_pixels() as f64)?;
    let pool = MaxPool2d { kernel: 2.min(g.out_h).min(g.out_w), stride: 2 };
    let (small, out_w) = (pool.output_side(g.out_h) * pool.output_side(g.out_w), pool.output_side(g.out_w));
    let pooled = lanes.pool(level, pool, g, &map);
    let back = lanes.gather_batch(&grad[..g.batch * g.out_channels * small], g.out_channels * small);
    let unpool = |activation| {
        let unpooled = lanes.unpool(level, pool, g, activation, &map, &pooled, &back);
        lanes.scatter_batch(&unpooled, sample, g.batch)
    };
    let (unpooled, rectified) = (unpool(Activation::Identity), unpool(Activation::Relu));
    let (map, pooled) =
        (lanes.scatter_batch(&map, sample, g.batch), lanes.scatter_batch(&pooled, g.out_channels * small, g.batch));
    for (plane, map) in map.chunks_exact(g.out_pixels()).enumerate() {
        // SAFETY: `MaxPool2d::forward` writes every element.
        let output = unsafe { initialised(small, |output| pool.forward(map, g.out_w, output, out_w)) };
        let mut result = vec![T::zero(); g.out_pixels()];
        pool.backward(map, g.out_w, &grad[plane * small..][..small], out_w, &mut result);
        prop_assert!(pooled[plane * small..][..small] == output);
        prop_assert!(unpooled[plane * g.out_pixels()..][..g.out_pixels()] == result);
        let masked = result.iter().zip(map).map(|(&g, &y)| if y <= T::zero() { T::zero() } else { g });
        prop_assert!(masked.eq(rectified[plane * g.out_pixels()..][..g.out_pixels()].iter().copied()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn direct_kernels_agree_with_the_patch_matrix(
        (batch, channels, outputs) in (1usize..4, 1usize..20, 1usize..20),
        (height, width) in (1usize..20, 1usize..40),
        (kernel_h, kernel_w) in (1usize..6, 1usize..6),
        padding in 0usize..4,
        dilation in 1usize..3,
        (cut, end) in (0usize..20, 0usize..20),
    ) {
        let settings = Conv2d { padding, dilation, ..Conv2d::default() };
        let sizes = Geometry::new(&[batch, channels, height, width], &[outputs, channels, kernel_h, kernel_w], &settings);
        prop_assume!(sizes.is_ok());
        let g = sizes.unwrap();
        let rows = cut.min(end).min(outputs)..cut.max(end).min(outputs);
        in_lock_step::<f32>(&g, rows.clone(), 2e-5)?;
        in_lock_step::<f64>(&g, rows.clone(), 1e-12)?;
        bf16_in_lock_step(&g, rows)?;
    }

    /// Several blocks of lanes, the last one partly filled.
    #[test]
    fn lanes_agree_with_the_patch_matrix_for_large_batches(
        batch in 1usize..150,
        (channels, outputs) in (1usize..4, 1usize..9),
        (height, width) in (1usize..8, 1usize..8),
        (kernel, padding) in (1usize..4, 0usize..3),
        (cut, end) in (0usize..9, 0usize..9),
    ) {
        let settings = Conv2d { padding, ..Conv2d::default() };
        let sizes = Geometry::new(&[batch, channels, height, width], &[outputs, channels, kernel, kernel], &settings);
        prop_assume!(sizes.is_ok());
        let g = sizes.unwrap();
        let rows = cut.min(end).min(outputs)..cut.max(end).min(outputs);
        in_lock_step::<f32>(&g, rows.clone(), 2e-5)?;
        in_lock_step::<f64>(&g, rows, 1e-12)?;
    }
}

/// Small enough for an interpreter: `cargo +nightly miri test -p mtcool-ops --lib few_small` runs the portable kernels.
#[test]
fn few_small_shapes_agree_with_the_patch_matrix() {
    let shapes = [([1, 1, 1, 1], [1, 1, 1], 0, 1), ([1, 2, 3, 4], [8, 2, 2], 1, 1), ([2, 3, 5, 9], [16, 3, 2], 2, 2)];
    for (input @ [_, channels, ..], [outputs, kernel_h, kernel_w], padding, dilation) in shapes {
        let settings = Conv2d { padding, dilation, ..Conv2d::default() };
        let g = Geometry::new(&input, &[outputs, channels, kernel_h, kernel_w], &settings).unwrap();
        in_lock_step::<f32>(&g, 0..outputs, 2e-5).unwrap();
        in_lock_step::<f64>(&g, 0..outputs, 1e-12).unwrap();
        bf16_in_lock_step(&g, 0..outputs).unwrap();
    }
}
