//! How far the gradient of a classification follows the segmentation map that it reads.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Gradients, Network, ParameterKind, ParameterName, Parameters};
use mtcool_models::{Head, MapGradient, UNet, UNetConfig};
use mtcool_ops::Statistics;

const WAYS: [MapGradient; 3] = [MapGradient::ThetaOnly, MapGradient::Everything, MapGradient::None];

/// Task 0 segments; tasks 1 and 2 classify.
fn unet(map_gradient: MapGradient) -> UNet {
    let heads = vec![
        Head::Segmentation { classes: 3 },
        Head::Classification { classes: 2 },
        Head::Classification { classes: 4 },
    ];
    let statistics = Statistics::Group { groups: 3 };
    let config =
        UNetConfig { in_channels: 2, base: 6, depth: 1, statistics, classifier_width: 5, ..UNetConfig::default() };
    UNet::new(UNetConfig { heads, map_gradient, ..config }).unwrap()
}

fn images() -> Tensor {
    let mut generator = stream(1, Purpose::Method, [0; 4], "photographs");
    uniform(&mut generator, 1.0, &(2, 2, 8, 6).into(), DType::F64, &Device::Cpu).unwrap()
}

/// Far from the initial values, so that the map varies and every ReLU of the classification has something to pass on.
fn parameters() -> Parameters {
    let initial = unet(MapGradient::default()).initial_parameters(3, DType::F64, &Device::Cpu).unwrap();
    initial
        .map(|name, tensor| if name.layer == "out.weight" { Ok((tensor * 3.0)?) } else { Ok(tensor.clone()) })
        .unwrap()
}

/// A loss of each task: the mean square of its logits.
fn losses(network: &UNet, parameters: &Parameters, is_shared: bool) -> Vec<Tensor> {
    let images = images();
    let outputs = if is_shared {
        network.forward_all(parameters, &[&images; 3]).unwrap()
    } else {
        (0..3).map(|task| network.forward(parameters, task, &images).unwrap()).collect()
    };
    outputs.iter().map(|output| output.sqr().unwrap().mean_all().unwrap()).collect()
}

/// Gradients of each task's loss, by the network's own backward pass.
fn gradients(map_gradient: MapGradient, parameters: &Parameters, is_shared: bool) -> Vec<Gradients> {
    let leaves = parameters.track(|_| true).unwrap();
    losses(&unet(map_gradient), &leaves, is_shared).iter().map(|loss| leaves.backward(loss).unwrap()).collect()
}

fn is_phi(name: &ParameterName, task: usize) -> bool {
    name.kind == ParameterKind::Phi && name.task == task
}

/// The length of their difference.
fn distance(a: &Gradients, b: &Gradients) -> f64 {
    let difference = a.clone().add_scaled(b, -1.0).unwrap();
    difference.inner_product(&difference).unwrap().sqrt()
}

#[test]
fn the_setting_changes_no_output() {
    let parameters = parameters();
    let leaves = parameters.track(|_| true).unwrap();
    let values = |losses: Vec<Tensor>| -> Vec<f64> { losses.iter().map(|loss| loss.to_scalar().unwrap()).collect() };
    let want = values(losses(&unet(MapGradient::Everything), &parameters, false));
    for way in WAYS {
        for is_shared in [false, true] {
            assert_eq!(values(losses(&unet(way), &parameters, is_shared)), want, "{way:?}");
            assert_eq!(values(losses(&unet(way), &leaves, is_shared)), want, "{way:?}, tracked");
        }
    }
}

#[test]
fn only_everything_reaches_the_decoder_of_the_segmentation() {
    let parameters = parameters();
    for is_shared in [false, true] {
        let [theta_only, everything, none] = WAYS.map(|way| gradients(way, &parameters, is_shared));
        for classification in 1..3 {
            let of_phi_0 = |rows: &[Gradients]| rows[classification].filter(|name| is_phi(name, 0)).len();
            assert_eq!((of_phi_0(&theta_only), of_phi_0(&none)), (0, 0));
            assert_eq!(of_phi_0(&everything), parameters.filter(|name| is_phi(name, 0)).len());
            // Beside phi_0, the gradient is the whole one.
            let rest = everything[classification].filter(|name| !is_phi(name, 0));
            assert_eq!(rest.len(), theta_only[classification].len());
            assert!(distance(&rest, &theta_only[classification]) < 1e-14);
            // The map matters to theta.
            assert!(distance(&rest, &none[classification]) > 1e-6);
        }
        // The segmentation itself is the same in any case.
        for rows in [&theta_only, &none] {
            assert!(distance(&rows[0], &everything[0]) < 1e-14);
        }
    }
}

/// A map without contrast passes no gradient on, so that all settings agree.
#[test]
fn without_contrast_in_the_map_its_gradient_does_not_matter() {
    let flat = parameters().map(
        |name, tensor| {
            if name.layer == "out.weight" { Ok(tensor.zeros_like()?) } else { Ok(tensor.clone()) }
        },
    );
    let flat = flat.unwrap();
    let [theta_only, everything, none] = WAYS.map(|way| gradients(way, &flat, true));
    for classification in 1..3 {
        let theta = |rows: &[Gradients]| rows[classification].filter(|name| name.kind == ParameterKind::Theta);
        assert!(distance(&theta(&theta_only), &theta(&none)) < 1e-14);
        assert!(distance(&theta(&everything), &theta(&none)) < 1e-14);
    }
}

/// The derivative of a classification's loss along random directions, by differences of the loss.
#[test]
fn theta_gets_the_derivative_by_way_of_the_map() {
    let (parameters, step) = (parameters(), 1e-6);
    let network = unet(MapGradient::ThetaOnly);
    let rows = gradients(MapGradient::ThetaOnly, &parameters, true);
    for (part, task) in
        [(ParameterKind::Theta, 0), (ParameterKind::Theta, 1), (ParameterKind::Theta, 2), (ParameterKind::Phi, 1)]
    {
        let direction = parameters.filter(|name| name.kind == part && name.task == task).map(|name, tensor| {
            let mut generator = stream(2, Purpose::Method, [0; 4], &name.to_string());
            Ok(uniform(&mut generator, 1.0, tensor.shape(), DType::F64, &Device::Cpu)?)
        });
        let direction = direction.unwrap();
        let loss = |step: f64| {
            let moved = parameters.clone().add_scaled(&direction, step).unwrap();
            losses(&network, &moved, true)[1].to_scalar::<f64>().unwrap()
        };
        let by_differences = (loss(step) - loss(-step)) / (2.0 * step);
        let by_gradient = rows[1].inner_product(&direction).unwrap();
        let off = (by_differences - by_gradient).abs();
        assert!(off < 1e-6 * by_differences.abs().max(1e-3), "{part:?} {task}: {by_differences:e}, {by_gradient:e}");
        assert!(by_differences.abs() > 1e-6, "{part:?} {task}: nothing to compare");
    }
}

/// A decoder that does not train is no reason for a second pass, and none of its parameters gets a gradient.
#[test]
fn where_the_decoder_does_not_train_the_settings_with_a_gradient_agree() {
    let parameters = parameters();
    let row = |way| {
        let leaves = parameters.track(|name| name.task == 1).unwrap();
        let losses = losses(&unet(way), &leaves, true);
        leaves.backward(&losses[1]).unwrap()
    };
    let (theta_only, everything) = (row(MapGradient::ThetaOnly), row(MapGradient::Everything));
    assert!(everything.iter().all(|(name, _)| name.task == 1));
    assert_eq!(theta_only.len(), everything.len());
    assert_eq!(distance(&theta_only, &everything), 0.0);
}
