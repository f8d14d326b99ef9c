//! What networks with several branches combine features by, weighted sums, gates and the softmax of features: against their
//! definitions, finite differences, and candle's graph in place of a recording.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod checks;
mod numbers;

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Tensor, Var};
use mtcool_ops::{WeightsOf, gated, recorded, softmax, weighted_sum};
use proptest::prelude::*;

use checks::{assert_close, check_gradients};
use numbers::{flat, tensor};

/// What the weights belong to, and their shape, for `parts` parts of shape `[batch, channels, ...]`.
fn kinds(parts: usize, batch: usize, channels: usize) -> [(WeightsOf, Vec<usize>); 3] {
    [
        (WeightsOf::Parts, vec![parts]),
        (WeightsOf::Channels, vec![parts, channels]),
        (WeightsOf::Samples, vec![batch, parts]),
    ]
}

/// The weighted sum by its definition: one loop per index.
fn sum_by_definition(parts: &[Tensor], weights: &Tensor, of: WeightsOf) -> Vec<f64> {
    let (batch, channels) = (parts[0].dims()[0], parts[0].dims()[1]);
    let pixels = parts[0].elem_count() / batch / channels;
    let (x, w): (Vec<_>, _) = (parts.iter().map(flat).collect(), flat(weights));
    let mut sums = Vec::new();
    for sample in 0..batch {
        for channel in 0..channels {
            for pixel in 0..pixels {
                let mut sum = 0.0;
                for (part, x) in x.iter().enumerate() {
                    let weight = match of {
                        WeightsOf::Parts => w[part],
                        WeightsOf::Channels => w[part * channels + channel],
                        WeightsOf::Samples => w[sample * parts.len() + part],
                    };
                    sum += weight * x[(sample * channels + channel) * pixels + pixel];
                }
                sums.push(sum);
            }
        }
    }
    sums
}

fn references(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_weighted_sum_equals_its_definition(
        count in 1usize..5, batch in 1usize..4, channels in 1usize..6, pixels in 0usize..40, seed in any::<u64>(),
    ) {
        // No pixels: features `[B, C]`.
        let mut shape = vec![batch, channels];
        shape.extend((pixels > 0).then_some([1, pixels]).iter().flatten());
        let parts: Vec<Tensor> = (0..count).map(|part| tensor(&shape, seed ^ part as u64)).collect();
        for (of, of_weights) in kinds(count, batch, channels) {
            let weights = tensor(&of_weights, seed ^ 77);
            let want = sum_by_definition(&parts, &weights, of);
            let got = weighted_sum(&references(&parts), &weights, of).unwrap();
            prop_assert_eq!(got.dims(), &shape[..]);
            assert_close(&got, &want, 1e-12);
            let single: Vec<Tensor> = parts.iter().map(|part| part.to_dtype(DType::F32).unwrap()).collect();
            let single = weighted_sum(&references(&single), &weights.to_dtype(DType::F32).unwrap(), of).unwrap();
            assert_close(&single, &want, 1e-5);
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for shape in [&[2, 3, 2, 5][..], &[3, 4], &[2, 2, 5, 9]] {
        for (of, of_weights) in kinds(3, shape[0], shape[1]) {
            let inputs = [tensor(shape, 1), tensor(shape, 2), tensor(shape, 3), tensor(&of_weights, 4)];
            check_gradients(&inputs, |inputs| weighted_sum(&references(&inputs[..3]), &inputs[3], of));
        }
        check_gradients(&[tensor(shape, 5), (tensor(shape, 6) * 4.0).unwrap()], |inputs| gated(&inputs[0], &inputs[1]));
    }
    check_gradients(&[(tensor(&[3, 5], 7) * 3.0).unwrap()], |inputs| softmax(&inputs[0]));
}

#[test]
fn a_unit_weight_picks_a_part_to_the_bit() {
    let parts = [tensor(&[3, 4, 2, 2], 1), tensor(&[3, 4, 2, 2], 2)];
    for (of, shape) in kinds(2, 3, 4) {
        for picked in 0..2 {
            let unit = |at: usize| match of {
                WeightsOf::Parts => at,
                WeightsOf::Channels => at / 4,
                WeightsOf::Samples => at % 2,
            };
            let count = shape.iter().product();
            let weights: Vec<f64> = (0..count).map(|at| f64::from(unit(at) == picked)).collect();
            let weights = Tensor::from_vec(weights, shape.clone(), &Device::Cpu).unwrap();
            assert_eq!(flat(&weighted_sum(&references(&parts), &weights, of).unwrap()), flat(&parts[picked]), "{of:?}");
        }
    }
}

#[test]
fn a_gate_passes_a_part_between_nothing_and_everything() {
    let x = tensor(&[2, 3], 1);
    let at = |logit: f64| flat(&gated(&x, &x.affine(0.0, logit).unwrap()).unwrap());
    assert_close(&x, &at(800.0), 0.0);
    assert!(at(-800.0).iter().all(|&y| y == 0.0));
    assert_close(&(&x * 0.5).unwrap(), &at(0.0), 1e-15);
    let probability = (1.0 + (-2.0f64).exp()).recip();
    assert_close(&(&x * probability).unwrap(), &at(2.0), 1e-15);
}

#[test]
fn the_softmax_of_features_adds_up_to_one_and_knows_no_offset() {
    let logits = (tensor(&[4, 6], 3) * 5.0).unwrap();
    let got = flat(&softmax(&logits).unwrap());
    assert_close(&softmax(&(&logits + 700.0).unwrap()).unwrap(), &got, 1e-9);
    for (row, logits) in got.chunks(6).zip(flat(&logits).chunks(6)) {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        for (p, logit) in row.iter().zip(logits) {
            assert!((p - logit.exp() / sum).abs() < 1e-12);
        }
    }
    assert_eq!(flat(&softmax(&tensor(&[3, 1], 1)).unwrap()), [1.0; 3]);
}

/// A mixture whose weights follow from features, gated by one of its parts.
fn network(leaves: &[Tensor]) -> Result<Tensor> {
    let mixture = weighted_sum(&references(&leaves[..3]), &softmax(&leaves[3])?, WeightsOf::Samples)?;
    let stitched = weighted_sum(&[&mixture, &leaves[0]], &leaves[4], WeightsOf::Channels)?;
    gated(&stitched, &weighted_sum(&[&leaves[2], &mixture], &leaves[5], WeightsOf::Parts)?)
}

#[test]
fn a_recording_is_the_graph_of_its_operations() {
    let shapes: [&[usize]; 6] = [&[3, 4], &[3, 4], &[3, 4], &[3, 3], &[2, 4], &[2]];
    for dtype in [DType::F64, DType::F32] {
        for frozen in [&[][..], &[0, 4], &[1, 2, 3, 5]] {
            let leaf = |(at, shape): (usize, &&[usize])| {
                let constant = tensor(shape, at as u64 + 1).to_dtype(dtype).unwrap();
                if frozen.contains(&at) { constant } else { Var::from_tensor(&constant).unwrap().into_inner() }
            };
            let leaves: Vec<Tensor> = shapes.iter().enumerate().map(leaf).collect();
            let by_graph = network(&leaves).unwrap();
            let store = by_graph.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let given = Arc::new(Mutex::new(Vec::new()));
            let receiver = given.clone();
            let deliver = Arc::new(move |leaf, gradient: Tensor| receiver.lock().unwrap().push((leaf, gradient)));
            let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap();
            let own = recorded(&anchor, deliver, |recording| {
                let leaves = leaves.iter().map(|leaf| recording.leaf(leaf)).collect::<Result<Vec<_>>>()?;
                Ok(vec![network(&leaves)?])
            });
            let own = own.unwrap().swap_remove(0);
            assert_eq!(flat(&own), flat(&by_graph));
            own.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let given = std::mem::take(&mut *given.lock().unwrap());
            assert_eq!(given.len(), leaves.len() - frozen.len());
            for (leaf, gradient) in given {
                let variable = leaves.iter().find(|variable| variable.id() == leaf).unwrap();
                let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
                assert_close(&gradient, &flat(store.get(variable).unwrap()), tolerance);
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let (a, b) = (tensor(&[2, 3, 4, 4], 1), tensor(&[2, 3, 4, 5], 2));
    let message = |result: Result<Tensor>| result.unwrap_err().to_string();
    let weights = |shape: &[usize]| tensor(shape, 3);
    let unlike = message(weighted_sum(&[&a, &b], &weights(&[2]), WeightsOf::Parts));
    assert!(unlike.contains("of one shape") && unlike.contains("[2, 3, 4, 5]"), "{unlike}");
    let wrong = message(weighted_sum(&[&a, &a], &weights(&[3, 2]), WeightsOf::Channels));
    assert!(wrong.contains("expected weights [2, 3] for Channels, got [3, 2]"), "{wrong}");
    let none = message(weighted_sum(&[], &weights(&[1]), WeightsOf::Parts));
    assert!(none.contains("at least one"), "{none}");
    let single = weights(&[2]).to_dtype(DType::F32).unwrap();
    assert!(message(weighted_sum(&[&a, &a], &single, WeightsOf::Parts)).contains("dtype F32"));
    assert!(message(gated(&a, &b)).contains("[2, 3, 4, 5]"));
    assert!(softmax(&a).is_err());
}
