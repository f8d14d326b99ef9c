//! Each operation on a card in lock-step with the same on the CPU, outputs and gradients, over random shapes.
//!
//! The CPU's operations have twins of their own. The tests that need a card are marked as ignored.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod device;
mod numbers;

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use mtcool_ops::{
    Activation, ChainInput, ClassLoss, Conv2d, ConvNormUnit, CrossEntropy, Dice, DiceSums, Focal, Huber, Linear,
    MaxPool2d, Norm, Normalization, Precision, RegressionLoss, Rows, Statistics, class_loss, conv_norm_chain,
    conv_transpose2d, conv2d, disagreement_on_card, join_channels, linear, max_pool2d, mean_pixels, norm,
    pooled_softmax, recorded, regression_loss, relu, upsample_bilinear2d,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use device::card;
use numbers::{flat, tensor};

/// The output of `f` and the gradients of its `inputs`, on `device`; recorded as a network's pass is, or in candle's graph.
fn run(
    inputs: &[Tensor],
    device: &Device,
    dtype: DType,
    is_recorded: bool,
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Vec<Vec<f64>> {
    let variable = |x: &Tensor| Var::from_tensor(&x.to_dtype(dtype).unwrap().to_device(device).unwrap()).unwrap();
    let leaves: Vec<Tensor> = inputs.iter().map(|x| variable(x).into_inner()).collect();
    let given: Arc<Mutex<Vec<(TensorId, Tensor)>>> = Arc::default();
    let output = if is_recorded {
        let anchor = Var::zeros(1, DType::F32, device).unwrap().into_inner();
        let given = given.clone();
        let deliver = Arc::new(move |leaf, gradient| given.lock().unwrap().push((leaf, gradient)));
        let output = recorded(&anchor, deliver, |recording| {
            let leaves = leaves.iter().map(|leaf| recording.leaf(leaf)).collect::<Result<Vec<_>>>()?;
            Ok(vec![f(&leaves)?])
        });
        output.unwrap().swap_remove(0)
    } else {
        f(&leaves).unwrap()
    };
    let direction = tensor(output.dims(), 99).to_dtype(dtype).unwrap().to_device(device).unwrap();
    let store = (&output * &direction).unwrap().sum_all().unwrap().backward().unwrap();
    let mut results = vec![flat(&output)];
    for leaf in &leaves {
        let handed: Vec<Tensor> = given
            .lock()
            .unwrap()
            .iter()
            .filter(|(id, _)| *id == leaf.id())
            .map(|(_, gradient)| gradient.clone())
            .collect();
        let gradient = match (store.get(leaf), &handed[..]) {
            (Some(gradient), []) => gradient.clone(),
            (None, [gradient]) => gradient.clone(),
            (in_graph, handed) => panic!("{} gradients in the graph, {} handed", in_graph.iter().count(), handed.len()),
        };
        results.push(flat(&gradient));
    }
    results
}

/// On the card as on the CPU, in f64 and f32, both ways to a gradient.
fn check(card: &Device, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    check_by(card, inputs, &[false, true], f);
}

/// [`check`] with a recording or without.
fn check_by(card: &Device, inputs: &[Tensor], ways: &[bool], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-4)] {
        for &is_recorded in ways {
            let want = run(inputs, &Device::Cpu, dtype, is_recorded, &f);
            let got = run(inputs, card, dtype, is_recorded, &f);
            for (index, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_eq!(got.len(), want.len());
                for (at, (got, want)) in got.iter().zip(want).enumerate() {
                    let part =
                        if index == 0 { "output".to_owned() } else { format!("gradient of input {}", index - 1) };
                    assert!(
                        (got - want).abs() <= tolerance * want.abs().max(1.0),
                        "{dtype:?}, {part}, element {at}: {got} on the card, {want} on the CPU"
                    );
                }
            }
        }
    }
}

/// Runs `check` on `count` cases of `strategy`.
fn cases<S: Strategy>(count: u32, strategy: S, check: impl Fn(&Device, S::Value)) {
    let card = card();
    let config = Config { cases: count, failure_persistence: None, ..Config::default() };
    let run = |value| {
        check(&card, value);
        Ok(())
    };
    TestRunner::new(config).run(&strategy, run).unwrap();
}

fn rows() -> impl Strategy<Value = Rows> {
    prop_oneof![Just(Rows::All), (0usize..4, 0usize..5).prop_map(|(start, len)| Rows::Only(start..start + len))]
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu)]
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn convolution() {
    let sizes = (1usize..4, 1usize..4, 1usize..6, 1usize..4, 1usize..4, 5usize..10, 5usize..10);
    let settings = (1usize..3, 0usize..3, 1usize..3, activation(), rows(), any::<(bool, bool)>());
    cases(24, (sizes, settings), |card, (sizes, settings)| {
        let (batch, channels, outputs, kernel_h, kernel_w, height, width) = sizes;
        let (stride, padding, dilation, activation, rows, (has_bias, pools)) = settings;
        let inputs = [
            tensor(&[batch, channels, height, width], 1),
            tensor(&[outputs, channels, kernel_h, kernel_w], 2),
            tensor(&[outputs], 3),
        ];
        // The output has to have room for a window.
        let has_room = |side: usize, kernel: usize| side + 2 * padding > dilation * (kernel - 1) + stride;
        let pools = pools && has_room(height, kernel_h) && has_room(width, kernel_w);
        let pool = pools.then_some(MaxPool2d { kernel: 2, stride: 2 });
        let settings = Conv2d { stride, padding, dilation, activation, pool, rows, precision: Precision::Full };
        let inputs = if has_bias { &inputs[..] } else { &inputs[..2] };
        check(card, inputs, |x| conv2d(&x[0], &x[1], x.get(2), settings.clone()));
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn transposed_convolution() {
    let sizes = (1usize..4, 1usize..5, 1usize..5, 1usize..5, 1usize..5, 1usize..4);
    cases(16, sizes, |card, (batch, channels, outputs, height, width, k)| {
        let inputs = [
            tensor(&[batch, channels, height, width], 1),
            tensor(&[channels, outputs, k, k], 2),
            tensor(&[outputs], 3),
        ];
        check(card, &inputs, |x| conv_transpose2d(&x[0], &x[1], &x[2], Precision::Full));
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn normalisation() {
    // Planes of several chunks as well.
    let sides = prop_oneof![(1usize..6, 1usize..6), Just((100, 90))];
    cases(16, (1usize..4, 1usize..3, 1usize..4, sides, activation(), any::<bool>()), |card, value| {
        let (batch, width, groups, (height, columns), activation, is_batch) = value;
        let channels = width * groups;
        let statistics = if is_batch { Statistics::Batch } else { Statistics::Group { groups } };
        let shifted = (tensor(&[batch, channels, height, columns], 1) + 3.0).unwrap();
        let inputs = [shifted, tensor(&[channels], 2), tensor(&[channels], 3)];
        check(card, &inputs, |x| norm(&x[0], &x[1], &x[2], Norm { statistics, eps: 1e-3, activation }));
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn max_pooling() {
    let sizes = (1usize..3, 1usize..4, 4usize..9, 4usize..9, 1usize..4, 1usize..4);
    cases(16, sizes, |card, (batch, channels, height, width, kernel, stride)| {
        let inputs = [tensor(&[batch, channels, height, width], 1)];
        check(card, &inputs, |x| max_pool2d(&x[0], MaxPool2d { kernel, stride }));
        // Many pixels that are alike.
        let steps = [(&inputs[0] * 1.5).unwrap().round().unwrap()];
        check(card, &steps, |x| max_pool2d(&x[0], MaxPool2d { kernel, stride }));
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn upsampling() {
    cases(12, (1usize..3, 1usize..3, 1usize..6, 1usize..6, 1usize..5), |card, value| {
        let (batch, channels, height, width, scale) = value;
        check(card, &[tensor(&[batch, channels, height, width], 1)], |x| upsample_bilinear2d(&x[0], scale));
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn fully_connected_layers() {
    let sizes = (1usize..6, 1usize..7, 1usize..7, activation(), rows());
    cases(24, sizes, |card, (batch, inputs, outputs, activation, rows)| {
        let operands = [tensor(&[batch, inputs], 1), tensor(&[outputs, inputs], 2), tensor(&[outputs], 3)];
        let settings = Linear { activation, rows, precision: Precision::Full };
        check(card, &operands, |x| linear(&x[0], &x[1], &x[2], settings.clone()));
    });
}

/// Settings of every kind by some bits.
fn class_loss_settings(classes: usize, ignored: Option<u32>, bits: u32) -> ClassLoss {
    let bit = |at: u32| bits >> at & 1 == 1;
    let weights = |at: u32| bit(at).then(|| (0..classes).map(|class| 0.5 * class as f64).collect());
    let normalization = |at: u32| if bit(at) { Normalization::Weights } else { Normalization::Targets };
    let cross_entropy = CrossEntropy {
        weight: 0.7,
        class_weights: weights(3),
        label_smoothing: if bit(4) { 0.2 } else { 0.0 },
        normalization: normalization(5),
    };
    let dice = Dice {
        weight: 1.5,
        smooth: if bit(6) { 1.0 } else { 0.0 },
        class_weights: weights(7),
        sums: if bit(8) { DiceSums::Image } else { DiceSums::Batch },
    };
    let gamma = if bit(9) { 2.0 } else { 0.5 };
    let focal = Focal { weight: 1.1, gamma, class_weights: weights(10), normalization: normalization(11) };
    ClassLoss {
        ignored,
        cross_entropy: (bit(0) || !bit(1) && !bit(2)).then_some(cross_entropy),
        dice: bit(1).then_some(dice),
        focal: bit(2).then_some(focal),
    }
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn class_losses() {
    let sizes = (1usize..4, 2usize..7, prop_oneof![1usize..4, Just(100)], proptest::option::of(0u32..8), 0u32..1 << 12);
    cases(48, sizes, |card, (batch, classes, side, ignored, bits)| {
        let settings = class_loss_settings(classes, ignored, bits);
        if settings.check(classes).is_err() {
            return;
        }
        let target = |at: usize| match (at * 7 % (classes + 1), ignored) {
            (class, _) if class < classes => class as u32,
            // The second image has no target that counts.
            (_, Some(ignored)) => ignored,
            _ => 0,
        };
        let is_all_ignored = |at: usize| ignored.is_some() && at / (side * side) == 1;
        let targets =
            (0..batch * side * side).map(|at| if is_all_ignored(at) { ignored.unwrap_or(0) } else { target(at) });
        let targets = Tensor::from_vec(targets.collect(), (batch, side, side), &Device::Cpu).unwrap();
        let logits = (tensor(&[batch, classes, side, side], 1) * 8.0).unwrap();
        check(card, &[logits], |x| class_loss(&x[0], &targets.to_device(x[0].device()).unwrap(), &settings));
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn where_nothing_counts_losses_and_gradients_are_zero() {
    let card = card();
    let all_ignored = Tensor::new(&[9u32; 6], &Device::Cpu).unwrap();
    for bits in 0..1 << 12 {
        let settings = class_loss_settings(3, Some(9), bits);
        let evaluate = |x: &[Tensor]| class_loss(&x[0], &all_ignored.to_device(x[0].device()).unwrap(), &settings);
        if bits % 37 == 0 && settings.check(3).is_ok() {
            let results = run(&[tensor(&[6, 3], 1)], &card, DType::F32, false, &evaluate);
            assert!(results.iter().flatten().all(|&number| number == 0.0), "{settings:?}: {results:?}");
        }
    }
    let missing = Tensor::new(&[[f64::NAN; 3]; 2], &Device::Cpu).unwrap();
    let settings = RegressionLoss { l1: Some(1.0), l2: Some(1.0), huber: Some(Huber::default()) };
    let evaluate = |x: &[Tensor]| regression_loss(&x[0], &missing.to_device(x[0].device()).unwrap(), &settings);
    let results = run(&[tensor(&[2, 3], 1)], &card, DType::F64, false, &evaluate);
    assert!(results.iter().flatten().all(|&number| number == 0.0), "{results:?}");
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn losses_of_extreme_logits() {
    let card = card();
    let numbers: Vec<f64> = (0..60).map(|at| if at * 7 % 5 == 0 { 1e4 } else { -1e4 }).collect();
    let logits = Tensor::from_vec(numbers, (2, 3, 10), &Device::Cpu).unwrap();
    let targets = Tensor::from_vec((0..20u32).map(|at| at % 2).collect(), (2, 10), &Device::Cpu).unwrap();
    for bits in (0..1 << 12).step_by(61) {
        let settings = class_loss_settings(3, None, bits);
        if settings.check(3).is_ok() {
            let evaluate = |x: &[Tensor]| class_loss(&x[0], &targets.to_device(x[0].device()).unwrap(), &settings);
            check_by(&card, std::slice::from_ref(&logits), &[false], evaluate);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn regression_losses() {
    let sizes = (1usize..5, prop_oneof![1usize..7, Just(9000)], 1u32..8, any::<bool>());
    cases(16, sizes, |card, (batch, numbers, bits, has_missing)| {
        let weight = |at: u32| (bits >> at & 1 == 1).then_some(0.5 + f64::from(at));
        let huber = weight(2).map(|weight| Huber { weight, delta: 0.4 });
        let settings = RegressionLoss { l1: weight(0), l2: weight(1), huber };
        let mut aims = flat(&tensor(&[batch, numbers], 5));
        aims.iter_mut().step_by(3).for_each(|aim| *aim = if has_missing { f64::NAN } else { *aim });
        let aims = Tensor::from_vec(aims, (batch, numbers), &Device::Cpu).unwrap();
        check(card, &[tensor(&[batch, numbers], 1)], |x| {
            regression_loss(&x[0], &aims.to_device(x[0].device()).unwrap(), &settings)
        });
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn a_target_that_is_no_class_makes_the_loss_nan() {
    let card = card();
    let logits = tensor(&[2, 3], 1).to_device(&card).unwrap();
    let targets = Tensor::new(&[1u32, 3], &card).unwrap();
    for bits in [0, 2, 4, 7] {
        let settings = class_loss_settings(3, None, bits);
        let loss = class_loss(&logits, &targets, &settings).unwrap();
        assert!(loss.to_scalar::<f64>().unwrap().is_nan(), "{settings:?}");
    }
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn disagreement() {
    let sizes = (1usize..4, 1usize..4, 2usize..5, prop_oneof![1usize..4, Just(50)]);
    cases(12, sizes, |card, (draws, batch, classes, side)| {
        let inputs: Vec<Tensor> =
            (0..draws).map(|draw| (tensor(&[batch, classes, side, side], draw as u64) * 6.0).unwrap()).collect();
        // By probabilities, as Eq. (6) has it, where there is no card. It stands behind a network, not in one.
        check_by(card, &inputs, &[false], |logits| {
            if logits[0].device().is_cuda() {
                return disagreement_on_card(logits);
            }
            let softmax = |x: &Tensor| {
                let terms = x.exp()?;
                terms.broadcast_div(&terms.sum_keepdim(1)?)
            };
            let p = logits.iter().map(softmax).collect::<Result<Vec<_>>>()?;
            let mean = (p[1..].iter().try_fold(p[0].clone(), |sum, p| sum + p)? / draws as f64)?;
            let divergence = |p: &Tensor| (p * (p.log()? - mean.log()?)?)?.sum(1)?.mean_all();
            let all = p.iter().map(divergence).collect::<Result<Vec<_>>>()?;
            all[1..].iter().try_fold(all[0].clone(), |sum, one| sum + one)? / draws as f64
        });
    });
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn small_operations() {
    let sizes = (1usize..4, 1usize..4, 1usize..4, 1usize..4, 1usize..4, 1usize..4);
    cases(12, sizes, |card, (batch, channels, more, rows, columns, side)| {
        let (height, width) = (rows * side, columns * side);
        let inputs = [tensor(&[batch, channels, height, width], 1), tensor(&[batch, more, height, width], 2)];
        check(card, &inputs, |x| join_channels(&x[0], &x[1]));
        check(card, &inputs[..1], |x| mean_pixels(&x[0]));
        check(card, &inputs[..1], |x| relu(&x[0]));
        check(card, &inputs[..1], |x| pooled_softmax(&x[0], side));
        // Gradients that meet.
        check(card, &inputs[..1], |x| join_channels(&x[0], &relu(&x[0])?));
    });
}

/// Sums that several blocks share, and whose threads take several numbers each.
#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn sums_of_many_numbers() {
    let card = card();
    let map = tensor(&[2, 2, 100, 95], 1);
    check(&card, std::slice::from_ref(&map), |x| mean_pixels(&x[0]));
    let kernel = [map, tensor(&[3, 2, 1, 1], 2), tensor(&[3], 3)];
    check(&card, &kernel, |x| conv2d(&x[0], &x[1], x.get(2), Conv2d::default()));
    let layer = [tensor(&[600, 3], 1), tensor(&[2, 3], 2), tensor(&[2], 3)];
    check(&card, &layer, |x| linear(&x[0], &x[1], &x[2], Linear::default()));
    check(&card, &[tensor(&[1, 2, 40, 40], 1)], |x| pooled_softmax(&x[0], 20));
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn chains_of_convolutions() {
    let sizes = (1usize..3, 1usize..3, 1usize..4, any::<bool>(), rows());
    cases(8, sizes, |card, (batch, groups, width, is_raised, rows)| {
        let channels = groups * width;
        let read = if is_raised { 2 + 3 } else { 2 };
        let inputs = [
            tensor(&[batch, 2, 6, 4], 1),
            tensor(&[channels, read, 3, 3], 2),
            tensor(&[channels], 3),
            tensor(&[channels], 4),
            tensor(&[channels, channels, 3, 3], 5),
            tensor(&[channels], 6),
            tensor(&[channels], 7),
            tensor(&[batch, 4, 3, 2], 8),
            tensor(&[4, 3, 2, 2], 9),
            tensor(&[3], 10),
        ];
        let norm = Norm { statistics: Statistics::Group { groups }, eps: 1e-2, activation: Activation::Relu };
        let inputs = if is_raised { &inputs[..] } else { &inputs[..7] };
        check(card, inputs, |x| {
            let unit = |at: usize| ConvNormUnit {
                kernel: x[at].clone(),
                weight: x[at + 1].clone(),
                bias: x[at + 2].clone(),
                conv: Conv2d { padding: 1, rows: rows.clone(), ..Conv2d::default() },
            };
            let input = if is_raised {
                ChainInput::Raised { skip: &x[0], low: &x[7], kernel: &x[8], bias: &x[9] }
            } else {
                ChainInput::Map(&x[0])
            };
            conv_norm_chain(input, &[unit(1), unit(4)], norm)
        });
    });
}

/// Rounded operands are those of the CPU, and so are sums of their exact products, but for the order of additions.
#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn bf16_operands() {
    let card = card();
    let inputs = [tensor(&[2, 3, 7, 6], 1), tensor(&[4, 3, 3, 3], 2), tensor(&[4], 3)];
    let f = |x: &[Tensor]| {
        conv2d(&x[0], &x[1], x.get(2), Conv2d { padding: 1, precision: Precision::Bf16, ..Conv2d::default() })
    };
    let want = run(&inputs, &Device::Cpu, DType::F32, false, &f);
    let got = run(&inputs, &card, DType::F32, false, &f);
    for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
        assert!((got - want).abs() <= 2e-4 * want.abs().max(1.0), "{got} on the card, {want} on the CPU");
    }
    let double = conv2d(
        &inputs[0].to_device(&card).unwrap(),
        &inputs[1].to_device(&card).unwrap(),
        None,
        Conv2d { precision: Precision::Bf16, ..Conv2d::default() },
    );
    assert!(double.unwrap_err().to_string().contains("expected an f32 tensor"));
}

/// TF32 keeps 10 bits of an operand; where it is emulated, or the card has none, all of them.
#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn tf32_operands() {
    type Operation<'a> = &'a dyn Fn(&[Tensor], Precision) -> Result<Tensor>;
    let card = card();
    let x = tensor(&[2, 3, 8, 6], 1);
    let convolution: Operation<'_> =
        &|x, precision| conv2d(&x[0], &x[1], x.get(2), Conv2d { padding: 1, precision, ..Conv2d::default() });
    let raised: Operation<'_> = &|x, precision| conv_transpose2d(&x[0], &x[1], &x[2], precision);
    let layer: Operation<'_> = &|x, precision| linear(&x[0], &x[1], &x[2], Linear { precision, ..Linear::default() });
    for (operands, f) in [
        ([x.clone(), tensor(&[4, 3, 3, 3], 2), tensor(&[4], 3)], convolution),
        ([x, tensor(&[3, 2, 2, 2], 4), tensor(&[2], 5)], raised),
        ([tensor(&[5, 30], 6), tensor(&[7, 30], 7), tensor(&[7], 8)], layer),
    ] {
        let want = run(&operands, &Device::Cpu, DType::F32, false, &|x| f(x, Precision::Full));
        let got = run(&operands, &card, DType::F32, false, &|x| f(x, Precision::Tf32));
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() <= 2e-2 * want.abs().max(1.0), "{got} on the card, {want} exactly");
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn the_cpu_has_no_tf32() {
    let settings = Conv2d { precision: Precision::Tf32, ..Conv2d::default() };
    let x = tensor(&[1, 1, 3, 3], 1).to_dtype(DType::F32).unwrap();
    let message = conv2d(&x, &x, None, settings).unwrap_err().to_string();
    assert!(message.contains("tf32 is arithmetic of NVIDIA GPUs"), "{message}");
}
