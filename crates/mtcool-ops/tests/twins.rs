//! Each kernel in lock-step with a slow, obvious twin over random shapes, and each gradient against finite differences.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod checks;
mod numbers;

use candle_core::{DType, Device, Result, Tensor, Var};
use mtcool_ops::{
    Activation, ChainInput, Conv2d, ConvNormUnit, Linear, MaxPool2d, Norm, Precision, Rows, Statistics,
    conv_norm_chain, conv_transpose2d, conv2d, join_channels, linear, max_pool2d, mean_pixels, norm, pooled_softmax,
    relu, upsample_bilinear2d,
};
use proptest::prelude::*;

use checks::{assert_close, check_gradients};
use numbers::{flat, tensor};

/// Convolution by its definition: one loop an index.
fn conv2d_by_definition(x: &Tensor, k: &Tensor, b: &Tensor, s: usize, p: usize, d: usize) -> Vec<f64> {
    let ((n, c, h, w), (o, _, kh, kw)) = (x.dims4().unwrap(), k.dims4().unwrap());
    let (oh, ow) = ((h + 2 * p - d * (kh - 1) - 1) / s + 1, (w + 2 * p - d * (kw - 1) - 1) / s + 1);
    let (x, k, b) = (flat(x), flat(k), flat(b));
    let mut output = Vec::new();
    for sample in 0..n {
        for row in 0..o {
            for y in 0..oh {
                for z in 0..ow {
                    let mut sum = b[row];
                    for channel in 0..c {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (sy, sx) = ((y * s + ky * d) as i64 - p as i64, (z * s + kx * d) as i64 - p as i64);
                                if (0..h as i64).contains(&sy) && (0..w as i64).contains(&sx) {
                                    let source = ((sample * c + channel) * h + sy as usize) * w + sx as usize;
                                    sum += x[source] * k[((row * c + channel) * kh + ky) * kw + kx];
                                }
                            }
                        }
                    }
                    output.push(sum);
                }
            }
        }
    }
    output
}

#[derive(Clone, Debug)]
struct Case {
    x: [usize; 4],
    kernel: [usize; 4],
    stride: usize,
    padding: usize,
    dilation: usize,
    seed: u64,
}

/// Shapes down to one pixel and one channel, strides beyond the kernel, paddings beyond its reach.
fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1usize..4, 1usize..4, 1usize..12, 1usize..12, 1usize..5, 1usize..5, 1usize..5);
    (sizes, 1usize..5, 0usize..4, 1usize..3, any::<u64>()).prop_filter_map("kernel larger than the input", |case| {
        let ((n, c, h, w, o, kh, kw), stride, padding, dilation, seed) = case;
        let fits = |side: usize, kernel: usize| side + 2 * padding > dilation * (kernel - 1);
        (fits(h, kh) && fits(w, kw)).then_some(Case {
            x: [n, c, h, w],
            kernel: [o, c, kh, kw],
            stride,
            padding,
            dilation,
            seed,
        })
    })
}

impl Case {
    fn settings(&self) -> Conv2d {
        Conv2d { stride: self.stride, padding: self.padding, dilation: self.dilation, ..Conv2d::default() }
    }

    fn operands(&self) -> [Tensor; 3] {
        [tensor(&self.x, self.seed), tensor(&self.kernel, self.seed ^ 1), tensor(&self.kernel[..1], self.seed ^ 2)]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolution_equals_its_definition(case in cases()) {
        let [x, k, b] = case.operands();
        let want = conv2d_by_definition(&x, &k, &b, case.stride, case.padding, case.dilation);
        assert_close(&conv2d(&x, &k, Some(&b), case.settings()).unwrap(), &want, 1e-12);
        let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        assert_close(&conv2d(&single(&x), &single(&k), Some(&single(&b)), case.settings()).unwrap(), &want, 1e-4);
        let rectified: Vec<f64> = want.iter().map(|y| y.max(0.0)).collect();
        let fused = Conv2d { activation: Activation::Relu, ..case.settings() };
        assert_close(&conv2d(&x, &k, Some(&b), fused).unwrap(), &rectified, 1e-12);
    }

    #[test]
    fn frozen_rows_get_no_gradient_and_leave_the_others_unchanged(case in cases(), cut in 0usize..5, end in 0usize..5) {
        let [x, k, b] = case.operands();
        let rows = cut.min(end)..cut.max(end);
        let gradients = |rows: Rows| {
            let (k, b) = (Var::from_tensor(&k).unwrap(), Var::from_tensor(&b).unwrap());
            let y = conv2d(&x, &k, Some(&b), Conv2d { rows, ..case.settings() }).unwrap();
            let gradients = (&y * tensor(y.dims(), 3)).unwrap().sum_all().unwrap().backward().unwrap();
            prop_assert!(gradients.get(&x).is_none(), "a constant input got a gradient");
            Ok((flat(gradients.get(&k).unwrap()), flat(gradients.get(&b).unwrap())))
        };
        let (all_k, all_b) = gradients(Rows::All)?;
        let (only_k, only_b) = gradients(Rows::Only(rows.clone()))?;
        let taps = all_k.len() / all_b.len();
        for row in 0..all_b.len() {
            let (want_k, want_b) = if rows.contains(&row) { (all_k[row * taps..][..taps].to_vec(), all_b[row]) } else { (vec![0.0; taps], 0.0) };
            for (got, want) in only_k[row * taps..][..taps].iter().zip(&want_k) {
                prop_assert!((got - want).abs() < 1e-12);
            }
            prop_assert_eq!(only_b[row], want_b);
        }
    }

    #[test]
    fn pooling_equals_its_definition(n in 1usize..3, c in 1usize..3, h in 1usize..9, w in 1usize..9, k in 1usize..4, s in 1usize..5, seed: u64) {
        prop_assume!(k <= h.min(w));
        let x = tensor(&[n, c, h, w], seed);
        let (oh, ow) = ((h - k) / s + 1, (w - k) / s + 1);
        let elements = flat(&x);
        let mut want = Vec::new();
        for plane in 0..n * c {
            for y in 0..oh {
                for z in 0..ow {
                    let window = (0..k * k).map(|i| elements[(plane * h + y * s + i / k) * w + z * s + i % k]);
                    want.push(window.fold(f64::NEG_INFINITY, f64::max));
                }
            }
        }
        assert_close(&max_pool2d(&x, MaxPool2d { kernel: k, stride: s }).unwrap(), &want, 0.0);
    }

    #[test]
    fn transposed_convolution_equals_its_definition(n in 1usize..40, c in 1usize..5, o in 1usize..5, h in 1usize..6, w in 1usize..20, k in 1usize..4, seed: u64) {
        let (x, kernel, b) = (tensor(&[n, c, h, w], seed), tensor(&[c, o, k, k], seed ^ 1), tensor(&[o], seed ^ 2));
        let (xs, ks, bs) = (flat(&x), flat(&kernel), flat(&b));
        let mut want = vec![0.0; n * o * h * w * k * k];
        for (at, want) in want.iter_mut().enumerate() {
            let (z, y, row, sample) = (at % (w * k), at / (w * k) % (h * k), at / (w * h * k * k) % o, at / (w * h * k * k * o));
            let products = (0..c).map(|ch| xs[((sample * c + ch) * h + y / k) * w + z / k] * ks[((ch * o + row) * k + y % k) * k + z % k]);
            *want = bs[row] + products.sum::<f64>();
        }
        assert_close(&conv_transpose2d(&x, &kernel, &b, Precision::Full).unwrap(), &want, 1e-12);
        let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        assert_close(&conv_transpose2d(&single(&x), &single(&kernel), &single(&b), Precision::Full).unwrap(), &want, 1e-5);
    }

    #[test]
    fn normalisation_equals_its_definition(
        n in 1usize..4, per_group in 1usize..4, groups in 1usize..4, pixels in 1usize..40, offset in -50.0f64..50.0, is_batch: bool, seed: u64,
    ) {
        let c = per_group * groups;
        let x = (tensor(&[n, c, pixels], seed) + offset).unwrap();
        let (weight, bias) = (tensor(&[c], seed ^ 1), tensor(&[c], seed ^ 2));
        let (xs, ws, bs) = (flat(&x), flat(&weight), flat(&bias));
        let set = |at: usize| {
            let (channel, sample) = (at / pixels % c, at / (pixels * c));
            if is_batch { channel } else { sample * groups + channel / per_group }
        };
        let want: Vec<f64> = (0..xs.len())
            .map(|at| {
                let own: Vec<f64> = (0..xs.len()).filter(|&other| set(other) == set(at)).map(|other| xs[other]).collect();
                let mean = own.iter().sum::<f64>() / own.len() as f64;
                let variance = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / own.len() as f64;
                let channel = at / pixels % c;
                ((xs[at] - mean) / (variance + 1e-5).sqrt() * ws[channel] + bs[channel]).max(0.0)
            })
            .collect();
        let statistics = if is_batch { Statistics::Batch } else { Statistics::Group { groups } };
        let settings = Norm { statistics, eps: 1e-5, activation: Activation::Relu };
        assert_close(&norm(&x, &weight, &bias, settings).unwrap(), &want, 1e-9);
        // Where all pixels are one, f32 cannot hold the offset and the deviation at once.
        if pixels > 8 {
            let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
            assert_close(&norm(&single(&x), &single(&weight), &single(&bias), settings).unwrap(), &want, 2e-4);
        }
    }

    #[test]
    fn linear_equals_its_definition(n in 1usize..6, i in 1usize..9, o in 1usize..9, seed: u64) {
        let (x, w, b) = (tensor(&[n, i], seed), tensor(&[o, i], seed ^ 1), tensor(&[o], seed ^ 2));
        let want = x.matmul(&w.t().unwrap()).unwrap().broadcast_add(&b).unwrap();
        assert_close(&linear(&x, &w, &b, Linear::default()).unwrap(), &flat(&want), 1e-12);
    }

    #[test]
    fn pooled_softmax_equals_its_definition(n in 1usize..3, k in 1usize..5, rows in 1usize..3, columns in 1usize..12, side in 1usize..4, seed: u64) {
        let (h, w) = (rows * side, columns * side);
        let logits = (tensor(&[n, k, h, w], seed) * 5.0).unwrap();
        let xs = flat(&logits);
        let probability = |sample: usize, class: usize, y: usize, x: usize| {
            let at = |class: usize| xs[((sample * k + class) * h + y) * w + x].exp();
            at(class) / (0..k).map(at).sum::<f64>()
        };
        let want: Vec<f64> = (0..n * k * rows * columns)
            .map(|at| {
                let (column, row, class, sample) = (at % columns, at / columns % rows, at / (columns * rows) % k, at / (columns * rows * k));
                let pixels = (0..side * side).map(|p| probability(sample, class, row * side + p / side, column * side + p % side));
                pixels.sum::<f64>() / (side * side) as f64
            })
            .collect();
        assert_close(&pooled_softmax(&logits, side).unwrap(), &want, 1e-12);
        assert_close(&pooled_softmax(&logits.to_dtype(DType::F32).unwrap(), side).unwrap(), &want, 1e-6);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let settings = [
        Conv2d::default(),
        Conv2d { stride: 2, padding: 1, activation: Activation::Relu, ..Conv2d::default() },
        Conv2d { padding: 2, dilation: 2, ..Conv2d::default() },
        Conv2d { stride: 4, padding: 3, ..Conv2d::default() },
    ];
    for settings in settings {
        let inputs = [tensor(&[2, 2, 7, 5], 1), tensor(&[3, 2, 3, 2], 2), tensor(&[3], 3)];
        check_gradients(&inputs, |t| conv2d(&t[0], &t[1], Some(&t[2]), settings.clone()));
        check_gradients(&inputs[..2], |t| conv2d(&t[0], &t[1], None, settings.clone()));
        let pooled = Conv2d { pool: Some(MaxPool2d { kernel: 2, stride: 1 }), ..settings };
        let inputs = [tensor(&[2, 2, 12, 9], 1), tensor(&[3, 2, 3, 2], 2), tensor(&[3], 3)];
        check_gradients(&inputs, |t| conv2d(&t[0], &t[1], Some(&t[2]), pooled.clone()));
    }
    let pools = [MaxPool2d::tiling(2), MaxPool2d { kernel: 3, stride: 1 }, MaxPool2d { kernel: 1, stride: 3 }];
    for pool in pools {
        check_gradients(&[tensor(&[2, 2, 7, 5], 4)], |t| max_pool2d(&t[0], pool));
    }
    for activation in [Activation::Identity, Activation::Relu] {
        let inputs = [tensor(&[4, 3], 5), tensor(&[6, 3], 6), tensor(&[6], 7)];
        check_gradients(&inputs, |t| linear(&t[0], &t[1], &t[2], Linear { activation, ..Linear::default() }));
    }
    let inputs = [tensor(&[2, 3, 3, 4], 5), tensor(&[3, 2, 2, 2], 6), tensor(&[2], 7)];
    check_gradients(&inputs, |t| conv_transpose2d(&t[0], &t[1], &t[2], Precision::Full));
    for statistics in [Statistics::Group { groups: 2 }, Statistics::Group { groups: 4 }, Statistics::Batch] {
        for activation in [Activation::Identity, Activation::Relu] {
            let inputs = [tensor(&[2, 4, 5, 4], 10), tensor(&[4], 11), tensor(&[4], 12)];
            check_gradients(&inputs, |t| norm(&t[0], &t[1], &t[2], Norm { statistics, eps: 1e-5, activation }));
        }
    }
    check_gradients(&[tensor(&[1, 2, 3, 4], 13)], |t| upsample_bilinear2d(&t[0], 3));
    check_gradients(&[tensor(&[3, 5], 8)], |t| relu(&t[0]));
    check_gradients(&[tensor(&[2, 3, 4, 6], 14)], |t| pooled_softmax(&t[0], 2));
    check_gradients(&[tensor(&[2, 3, 4, 5], 15)], |t| mean_pixels(&t[0]));
    check_gradients(&[tensor(&[2, 3, 4, 5], 16), tensor(&[2, 1, 4, 5], 17)], |t| join_channels(&t[0], &t[1]));
}

#[test]
fn pooling_inside_a_convolution_is_pooling_behind_it() {
    for (pool, height) in
        [(MaxPool2d::tiling(2), 12), (MaxPool2d::tiling(2), 13), (MaxPool2d { kernel: 3, stride: 2 }, 12)]
    {
        let run = |is_fused: bool| {
            let vars = [tensor(&[3, 2, height, 14], 1), tensor(&[5, 2, 5, 5], 2), tensor(&[5], 3)]
                .map(|t| Var::from_tensor(&t).unwrap());
            let [x, k, b] = &vars;
            let settings = Conv2d { activation: Activation::Relu, ..Conv2d::default() };
            let y = if is_fused {
                conv2d(x, k, Some(b), Conv2d { pool: Some(pool), ..settings }).unwrap()
            } else {
                max_pool2d(&conv2d(x, k, Some(b), settings).unwrap(), pool).unwrap()
            };
            let gradients = (&y * tensor(y.dims(), 4)).unwrap().sum_all().unwrap().backward().unwrap();
            let gradients = vars.each_ref().map(|var| flat(gradients.get(var).unwrap()));
            (flat(&y), gradients)
        };
        assert_eq!(run(true), run(false));
    }
    let constant = [tensor(&[1, 1, 6, 6], 1), tensor(&[1, 1, 3, 3], 2)];
    let settings = Conv2d { pool: Some(MaxPool2d::tiling(5)), ..Conv2d::default() };
    let message = conv2d(&constant[0], &constant[1], None, settings).unwrap_err().to_string();
    assert!(message.contains("kernel 5") && message.contains("4x4 plane"), "{message}");
}

#[test]
fn a_chain_equals_its_operations_in_turn() {
    // The second batch is large enough for lanes, the third has a stride.
    for (batch, stride) in [(2, 1), (64, 1), (2, 2)] {
        for statistics in [Statistics::Group { groups: 2 }, Statistics::Batch] {
            let norm = Norm { statistics, eps: 1e-5, activation: Activation::Relu };
            for frozen in [vec![], vec![0], vec![1], vec![2, 3, 4, 5, 6, 7, 8, 9]] {
                let operands = chain_operands(batch, &frozen);
                for is_raised in [false, true] {
                    let run = |is_fused| gradients_of(&operands, chain(&operands, stride, norm, is_raised, is_fused));
                    assert_eq!(run(true), run(false), "batch {batch}, stride {stride}, frozen {frozen:?}");
                }
            }
        }
    }
}

/// Skip and low map, the raising kernel and bias, and two units' kernels, weights and biases; the `frozen` ones untracked.
fn chain_operands(batch: usize, frozen: &[usize]) -> Vec<(Var, Tensor)> {
    let shapes: [&[usize]; 10] = [
        &[batch, 2, 8, 6],
        &[batch, 3, 4, 3],
        &[3, 2, 2, 2],
        &[2],
        &[4, 4, 3, 3],
        &[4],
        &[4],
        &[6, 4, 3, 3],
        &[6],
        &[6],
    ];
    let operand = |(at, shape): (usize, &&[usize])| {
        let var = Var::from_tensor(&tensor(shape, at as u64 + 1)).unwrap();
        let tensor = if frozen.contains(&at) { var.as_detached_tensor() } else { var.as_tensor().clone() };
        (var, tensor)
    };
    shapes.iter().enumerate().map(operand).collect()
}

/// Two units, the first of which trains some of its rows only; on the skip map twice, or on it and the raised low map.
fn chain(operands: &[(Var, Tensor)], stride: usize, settings: Norm, is_raised: bool, is_fused: bool) -> Tensor {
    let o: Vec<&Tensor> = operands.iter().map(|(_, tensor)| tensor).collect();
    let doubled = Tensor::cat(&[o[0], o[0]], 1).unwrap();
    let unit = |at: usize, rows| {
        let conv = Conv2d { padding: 1, stride, rows, ..Conv2d::default() };
        ConvNormUnit { kernel: o[at].clone(), weight: o[at + 1].clone(), bias: o[at + 2].clone(), conv }
    };
    let units = [unit(4, Rows::Only(1..3)), unit(7, Rows::All)];
    if is_fused {
        let input = if is_raised {
            ChainInput::Raised { skip: o[0], low: o[1], kernel: o[2], bias: o[3] }
        } else {
            ChainInput::Map(&doubled)
        };
        return conv_norm_chain(input, &units, settings).unwrap();
    }
    let input = if is_raised {
        let raised = conv_transpose2d(o[1], o[2], o[3], Precision::Full).unwrap();
        Tensor::cat(&[o[0], &raised], 1).unwrap()
    } else {
        doubled
    };
    units.iter().fold(input, |x, unit| {
        let map = conv2d(&x, &unit.kernel, None, unit.conv.clone()).unwrap();
        norm(&map, &unit.weight, &unit.bias, settings).unwrap()
    })
}

fn gradients_of(operands: &[(Var, Tensor)], y: Tensor) -> (Vec<f64>, Vec<Option<Vec<f64>>>) {
    let gradients = (&y * tensor(y.dims(), 9)).unwrap().sum_all().unwrap().backward().unwrap();
    (flat(&y), operands.iter().map(|(var, _)| gradients.get(var).map(flat)).collect())
}

#[test]
fn gradient_at_zero_is_zero_and_nan_passes_through() {
    let x = Var::new(&[[-1.0f32, 0.0, 2.0, f32::NAN]], &Device::Cpu).unwrap();
    let y = relu(&x).unwrap();
    let gradient = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(gradient.get(&x).unwrap().to_vec2::<f32>().unwrap()[0], [0.0, 0.0, 1.0, 1.0]);
    let y = y.to_vec2::<f32>().unwrap();
    assert_eq!(y[0][..3], [0.0, 0.0, 2.0]);
    assert!(y[0][3].is_nan());

    let bad = |value: f32| Tensor::new(&[[[[1.0f32, value], [0.5, 2.0]]]], &Device::Cpu).unwrap();
    let pooled = |value| {
        max_pool2d(&bad(value), MaxPool2d::tiling(2)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    };
    assert!(pooled(f32::NAN).is_nan());
    assert_eq!(pooled(f32::INFINITY), f32::INFINITY);
    let kernel = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
    let fused = Conv2d { activation: Activation::Relu, ..Conv2d::default() };
    let y = conv2d(&bad(f32::NAN), &kernel, None, fused).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(y[1].is_nan() && y[0] == 1.0);
}

#[test]
fn results_are_the_same_bits_for_any_number_of_threads() {
    for batch in [37, 128] {
        same_bits_for_any_number_of_threads(batch);
    }
}

/// The smaller batch is convolved along its rows, the larger one an image a lane.
fn same_bits_for_any_number_of_threads(batch: usize) {
    let x = tensor(&[batch, 3, 14, 14], 1).to_dtype(DType::F32).unwrap();
    let k = tensor(&[7, 3, 5, 5], 2).to_dtype(DType::F32).unwrap();
    let run = || {
        let (x, k) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&k).unwrap());
        let y = conv2d(&x, &k, None, Conv2d::default()).unwrap();
        let y = max_pool2d(&y, MaxPool2d::tiling(2)).unwrap();
        let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        [flat(&y), flat(gradients.get(&x).unwrap()), flat(gradients.get(&k).unwrap())]
    };
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
    let one = with(1);
    for threads in [2, 3, 8] {
        assert_eq!(one, with(threads), "{threads} threads");
    }
}

#[test]
fn misfits_are_named() {
    let message = |result: Result<Tensor>| result.unwrap_err().to_string();
    let x = tensor(&[1, 2, 4, 4], 1);
    let none = message(conv2d(
        &tensor(&[1, 2, 0, 4], 1),
        &tensor(&[1, 2, 1, 1], 2),
        None,
        Conv2d { padding: 5, ..Conv2d::default() },
    ));
    assert!(none.contains("no empty operand"), "{none}");
    let backwards = Rows::Only(std::ops::Range { start: 3, end: 1 });
    let (weight, bias) = (Var::from_tensor(&tensor(&[4, 3], 1)).unwrap(), Var::from_tensor(&tensor(&[4], 2)).unwrap());
    let y = linear(&tensor(&[2, 3], 3), &weight, &bias, Linear { rows: backwards, ..Linear::default() }).unwrap();
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert!(flat(gradients.get(&weight).unwrap()).iter().all(|&g| g == 0.0));
    let channels = message(conv2d(&x, &tensor(&[1, 3, 3, 3], 2), None, Conv2d::default()));
    assert!(channels.contains("the input has 2 channels") && channels.contains("reads 3"), "{channels}");
    let large = message(conv2d(&x, &tensor(&[1, 2, 5, 5], 2), None, Conv2d::default()));
    assert!(large.contains("5x5 kernel") && large.contains("4x4 input"), "{large}");
    let pool = message(max_pool2d(&x, MaxPool2d::tiling(5)));
    assert!(pool.contains("kernel 5") && pool.contains("4x4"), "{pool}");
    let kinds = message(relu(&Tensor::new(&[1u32], &Device::Cpu).unwrap()));
    assert!(kinds.contains("expected an f32 or f64 tensor"), "{kinds}");
}
