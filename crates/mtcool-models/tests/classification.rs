//! The normalised classification head: parameters, first predictions, class areas, gradients, and that its units stay active.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{D, DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Network, ParameterKind, ParameterName, Parameters};
use mtcool_models::{Classifier, Head, Independent, MapGradient, MapOf, UNet, UNetConfig};
use mtcool_ops::{ClassLoss, CrossEntropy, Statistics, class_loss};

const PRIORS: [f64; 3] = [0.7, 0.25, 0.05];
const WAYS: [MapGradient; 3] = [MapGradient::ThetaOnly, MapGradient::Everything, MapGradient::None];

fn config() -> UNetConfig {
    UNetConfig {
        in_channels: 2,
        base: 4,
        depth: 2,
        statistics: Statistics::Group { groups: 2 },
        classifier: Classifier::Normalized { priors: Some(PRIORS.to_vec()) },
        classifier_width: 6,
        heads: vec![Head::Segmentation { classes: 4 }, Head::Classification { classes: 3 }],
        ..UNetConfig::default()
    }
}

fn unet(config: UNetConfig) -> UNet {
    UNet::new(config).unwrap()
}

/// One network that classifies with a map of its own.
fn lone() -> UNet {
    unet(UNetConfig { heads: vec![Head::LoneClassification { classes: 3, map: 4 }], ..config() })
}

fn draw(name: &str, bound: f64, shape: &[usize], dtype: DType) -> Tensor {
    let mut generator = stream(1, Purpose::Method, [0; 4], name);
    uniform(&mut generator, bound, &shape.into(), dtype, &Device::Cpu).unwrap()
}

fn images(dtype: DType) -> Tensor {
    draw("photographs", 1.0, &[3, 2, 8, 12], dtype)
}

/// Away from the initial values: the last layer's weights start at 0 and would let no gradient pass.
fn trained(network: &dyn Network) -> Parameters {
    let initial = network.initial_parameters(3, DType::F64, &Device::Cpu).unwrap();
    let moved = initial.map(|name, tensor| match &*name.layer {
        "fc.weight" => Ok(draw(&name.to_string(), 0.5, tensor.dims(), DType::F64)),
        "out.weight" => Ok((tensor * 3.0)?),
        _ => Ok(tensor.clone()),
    });
    moved.unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    values(a).into_iter().zip(values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_head_has_a_convolution_without_bias_and_a_layer_that_reads_units_and_areas() {
    let of = |network: UNet| -> Vec<(String, Vec<usize>)> {
        let heads =
            network.parameters().iter().filter(|spec| ["conv.", "fc."].iter().any(|l| spec.name.layer.starts_with(l)));
        heads.map(|spec| (spec.name.to_string(), spec.shape.clone())).collect()
    };
    // 16 bottom channels and 4 classes of the map; 6 units and the areas of 3 of the 4 classes.
    let want = |task: usize| {
        let named = |layer: &str, shape: &[usize]| (format!("phi.{task}.{layer}"), shape.to_vec());
        vec![named("conv.weight", &[6, 20, 3, 3]), named("fc.weight", &[3, 9]), named("fc.bias", &[3])]
    };
    assert_eq!(of(unet(config())), want(1));
    assert_eq!(of(lone()), want(0));
    let plain = of(unet(UNetConfig { classifier: Classifier::Plain, ..config() }));
    let layers: Vec<&str> = plain.iter().map(|(name, _)| &**name).collect();
    assert_eq!(layers, ["phi.1.conv.weight", "phi.1.conv.bias", "phi.1.fc.weight", "phi.1.fc.bias"]);
    assert_eq!(plain[2].1, [3, 6]);
}

#[test]
fn the_first_predictions_are_the_priors() {
    for dtype in [DType::F32, DType::F64] {
        let tolerance = if dtype == DType::F64 { 1e-15 } else { 1e-7 };
        for (network, task) in [(unet(config()), 1), (lone(), 0)] {
            let parameters = network.initial_parameters(0, dtype, &Device::Cpu).unwrap();
            let logits = network.forward(&parameters, task, &images(dtype)).unwrap();
            for probabilities in values(&softmax(&logits)).chunks(3) {
                assert!(
                    probabilities.iter().zip(PRIORS).all(|(p, prior)| (p - prior).abs() < tolerance),
                    "{probabilities:?}"
                );
            }
        }
    }
    let equal = unet(UNetConfig { classifier: Classifier::Normalized { priors: None }, ..config() });
    let parameters = equal.initial_parameters(0, DType::F64, &Device::Cpu).unwrap();
    assert_eq!(values(&equal.forward(&parameters, 1, &images(DType::F64)).unwrap()), [0.0; 9]);
}

fn softmax(logits: &Tensor) -> Tensor {
    let terms = logits.broadcast_sub(&logits.max_keepdim(1).unwrap()).unwrap().exp().unwrap();
    terms.broadcast_div(&terms.sum_keepdim(1).unwrap()).unwrap()
}

/// The head again, from candle's own operations.
#[test]
fn the_logits_are_those_of_the_formula() {
    let shared = unet(config());
    let (parameters, images) = (trained(&shared), images(DType::F64));
    let map = softmax(&shared.forward(&parameters, 0, &images).unwrap());
    let areas = map.mean(D::Minus1).unwrap().mean(D::Minus1).unwrap();
    let areas = (areas.narrow(1, 1, 3).unwrap() * 16.0).unwrap();
    assert_formula(&shared, 1, &parameters, &images, Some(areas));
    assert!(shared.hidden_units(&parameters, 0, &images).unwrap().is_none(), "a segmentation has no hidden units");

    let without_map = unet(UNetConfig { heads: vec![Head::Image { outputs: 3, map: MapOf::Nothing }], ..config() });
    assert_formula(&without_map, 0, &trained(&without_map), &images, None);
}

fn assert_formula(network: &UNet, task: usize, parameters: &Parameters, images: &Tensor, areas: Option<Tensor>) {
    let units = network.hidden_units(parameters, task, images).unwrap().unwrap();
    let units = (units.affine(16.0, -16.0 / std::f64::consts::TAU.sqrt())).unwrap();
    let read: Vec<Tensor> = std::iter::once(units).chain(areas).collect();
    let weight = parameters.phi(task, "fc.weight").unwrap().t().unwrap();
    let bias = parameters.phi(task, "fc.bias").unwrap();
    let want = Tensor::cat(&read, 1).unwrap().matmul(&weight).unwrap().broadcast_add(bias).unwrap();
    assert!(largest_difference(&network.forward(parameters, task, images).unwrap(), &want) < 1e-12);
}

/// A map that only this head trains starts with classes of about equal areas, which shall not drown what differs between images.
#[test]
fn equal_areas_of_a_map_of_its_own_count_as_zero() {
    let network = lone();
    let changed = |area_weights: f64| {
        let parameters = trained(&network).map(|name, tensor| match &*name.layer {
            "out.weight" | "out.bias" => Ok(tensor.zeros_like()?),
            "fc.weight" => {
                Ok(Tensor::cat(&[tensor.narrow(1, 0, 6)?, tensor.narrow(1, 6, 3)?.affine(0.0, area_weights)?], 1)?)
            }
            _ => Ok(tensor.clone()),
        });
        network.forward(&parameters.unwrap(), 0, &images(DType::F64)).unwrap()
    };
    assert!(largest_difference(&changed(0.0), &changed(5.0)) < 1e-12);
}

#[test]
fn a_bottom_of_one_pixel_is_refused() {
    let network = unet(config());
    let small = draw("small", 1.0, &[1, 2, 4, 4], DType::F64);
    let error = network.forward(&trained(&network), 1, &small).unwrap_err().to_string();
    assert!(error.contains("single pixel") && error.contains("fewer levels"), "{error}");
}

/// Outputs and gradients of the own backward pass, compared with those of candle's graph over the same operations.
#[test]
fn the_own_backward_pass_gives_the_gradients_of_the_graph() {
    for map_gradient in WAYS {
        let shared = unet(UNetConfig { map_gradient, ..config() });
        let segmentation = unet(UNetConfig { heads: vec![Head::Segmentation { classes: 4 }], ..config() });
        let apart = Independent::new(vec![Box::new(segmentation), Box::new(lone())]).unwrap();
        for network in [&shared as &dyn Network, &apart] {
            let (parameters, images) = (trained(network), images(DType::F64));
            for active in [None, Some(0), Some(1)] {
                let leaves = parameters.track(|name| active.is_none_or(|task| name.task == task)).unwrap();
                let in_graph: Parameters = leaves.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
                let outputs = |parameters: &Parameters| {
                    let outputs = network.forward_all(parameters, &[&images, &images]).unwrap();
                    let loss = outputs.iter().map(|output| output.sqr().unwrap().mean_all().unwrap());
                    (outputs.clone(), loss.reduce(|a, b| (a + b).unwrap()).unwrap())
                };
                let ((own, own_loss), (graph, graph_loss)) = (outputs(&leaves), outputs(&in_graph));
                assert!(own.iter().zip(&graph).all(|(own, graph)| values(own) == values(graph)));
                let (own, graph) = (leaves.backward(&own_loss).unwrap(), graph_loss.backward().unwrap());
                let mut compared = 0;
                for (name, leaf) in leaves.iter().filter(|(_, tensor)| tensor.is_variable()) {
                    match (own.get(name), graph.get(leaf)) {
                        (Some(own), Some(graph)) => {
                            assert!(largest_difference(own, graph) < 1e-12, "{map_gradient:?} {name}");
                            compared += usize::from(name.kind == ParameterKind::Phi && name.layer.starts_with("conv"));
                        }
                        (None, None) => {}
                        (own, graph) => panic!("{name}: {} against {}", own.is_some(), graph.is_some()),
                    }
                }
                assert_eq!(compared, usize::from(active != Some(0)), "the head's kernel was not compared");
            }
        }
    }
}

/// Derivatives of the classification's cross-entropy along random directions, by differences of the loss.
#[test]
fn gradients_are_the_derivatives() {
    let step = 1e-6;
    let targets = Tensor::new(&[0u32, 2, 1], &Device::Cpu).unwrap();
    let loss = ClassLoss { cross_entropy: Some(CrossEntropy::default()), ..ClassLoss::default() };
    let everything = unet(UNetConfig { map_gradient: MapGradient::Everything, ..config() });
    for (network, task) in [(everything, 1), (lone(), 0)] {
        let (parameters, images) = (trained(&network), images(DType::F64));
        let loss = |parameters: &Parameters| {
            class_loss(&network.forward(parameters, task, &images).unwrap(), &targets, &loss).unwrap()
        };
        let leaves = parameters.track(|_| true).unwrap();
        let gradients = leaves.backward(&loss(&leaves)).unwrap();
        let parts: [fn(&ParameterName) -> bool; 5] = [
            |name| name.layer == "conv.weight",
            |name| name.layer == "fc.weight",
            |name| name.layer == "fc.bias",
            |name| name.layer.starts_with("dec") || name.layer.starts_with("up") || name.layer.starts_with("out"),
            |name| name.kind == ParameterKind::Theta,
        ];
        for (index, part) in parts.into_iter().enumerate() {
            let direction =
                parameters.filter(part).map(|name, tensor| Ok(draw(&name.to_string(), 1.0, tensor.dims(), DType::F64)));
            let direction = direction.unwrap();
            let at = |step: f64| {
                let moved = parameters.clone().add_scaled(&direction, step).unwrap();
                loss(&moved).to_scalar::<f64>().unwrap()
            };
            let by_differences = (at(step) - at(-step)) / (2.0 * step);
            let by_gradient = gradients.inner_product(&direction).unwrap();
            let off = (by_differences - by_gradient).abs();
            assert!(off < 1e-6 * by_differences.abs().max(1e-3), "part {index}: {by_differences:e}, {by_gradient:e}");
            assert!(by_differences.abs() > 1e-6, "part {index}: nothing to compare");
        }
    }
}

/// A kernel that pushes every unit far below zero, as training with single images and momentum may: the plain head then says the
/// same for all images, and the normalised head does not.
#[test]
fn no_kernel_silences_the_units() {
    let images = images(DType::F64);
    let active = |classifier: Classifier| {
        let network = unet(UNetConfig { classifier, ..config() });
        let pushed = trained(&network).map(|name, tensor| match &*name.layer {
            // The bottom features are at least 0, and so is the map.
            "conv.weight" => Ok((tensor - 10.0)?),
            _ => Ok(tensor.clone()),
        });
        let units = network.hidden_units(&pushed.unwrap(), 1, &images).unwrap().unwrap();
        values(&units).iter().map(|unit| *unit > 0.0).collect::<Vec<bool>>()
    };
    assert!(active(Classifier::Plain).iter().all(|is_active| !is_active));
    assert_eq!(active(Classifier::Normalized { priors: None }), [true; 18], "6 units for each of 3 images");
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let refused = |config: UNetConfig| UNet::new(config).unwrap_err().to_string();
    assert!(refused(UNetConfig { classifier_width: 0, ..config() }).contains("without channels"));
    assert!(UNet::new(UNetConfig { classifier_width: 5, ..config() }).is_ok(), "a head's units form no groups");
    for priors in
        [vec![0.5, 0.5], vec![0.5, 0.4, 0.2], vec![1.0, 0.0, 0.0], vec![f64::NAN, 0.5, 0.5], vec![1.5, -0.4, -0.1]]
    {
        let message = refused(UNetConfig { classifier: Classifier::Normalized { priors: Some(priors) }, ..config() });
        assert!(message.contains("expected 3 positive numbers that add up to 1"), "{message}");
    }
}
