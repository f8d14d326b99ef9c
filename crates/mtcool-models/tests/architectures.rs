//! What stands in the place of the cooperative encoder: what each architecture is where its parts do nothing, whose parameters are
//! whose, gradients, numbers of parameters.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Network, ParameterName, Parameters};
use mtcool_models::{
    Architecture, CrossStitch, Experts, Fusion, Head, Independent, LeNet, LeNetConfig, UNet, UNetConfig,
};
use mtcool_ops::Statistics;

const STITCH: CrossStitch = CrossStitch { own: 0.9, per_channel: false };
const PER_CHANNEL: CrossStitch = CrossStitch { own: 0.9, per_channel: true };

/// All architectures of a LeNet.
fn all() -> Vec<Architecture> {
    vec![
        Architecture::HardSharing,
        Architecture::CrossStitch(STITCH),
        Architecture::CrossStitch(PER_CHANNEL),
        Architecture::Mtan,
        Architecture::Experts(Experts::mmoe(3)),
        Architecture::Experts(Experts::cgc(1, 2)),
    ]
}

/// Those of a U-Net.
fn of_maps() -> Vec<Architecture> {
    all().into_iter().filter(|architecture| !matches!(architecture, Architecture::Experts(_))).collect()
}

fn lenet(architecture: Architecture, classes: &[usize]) -> LeNet {
    let config = LeNetConfig { input: (1, 18, 20), conv1: 4, conv2: 6, hidden: 8, ..LeNet::mnist(classes) };
    LeNet::new(LeNetConfig { architecture, ..config }).unwrap()
}

fn unet(architecture: Architecture, heads: &[Head]) -> UNet {
    let statistics = Statistics::Group { groups: 2 };
    let config =
        UNetConfig { in_channels: 1, base: 4, depth: 2, statistics, classifier_width: 4, ..UNetConfig::default() };
    UNet::new(UNetConfig { architecture, heads: heads.to_vec(), ..config }).unwrap()
}

const MAPS: [Head; 2] = [Head::Segmentation { classes: 3 }, Head::Segmentation { classes: 2 }];
const MAP_AND_CLASS: [Head; 2] = [Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];

fn images(shape: [usize; 4]) -> Tensor {
    let mut generator = stream(1, Purpose::Method, [0; 4], "images");
    uniform(&mut generator, 1.0, &shape.to_vec().into(), DType::F64, &Device::Cpu).unwrap()
}

const DIGITS: [usize; 4] = [3, 1, 18, 20];
const PHOTOGRAPHS: [usize; 4] = [2, 1, 8, 12];

fn initial(network: &dyn Network) -> Parameters {
    network.initial_parameters(3, DType::F64, &Device::Cpu).unwrap()
}

/// Parameters in which no number is special.
fn moved(network: &dyn Network) -> Parameters {
    let moved = initial(network).map(|name, tensor| {
        let mut generator = stream(7, Purpose::Method, [0; 4], &name.to_string());
        Ok((tensor + uniform(&mut generator, 0.2, tensor.shape(), DType::F64, &Device::Cpu)?)?)
    });
    moved.unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(got: &Tensor, want: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let difference = values(got).iter().zip(values(want)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference <= tolerance, "{what}: {difference:e}");
}

/// The parameters with every element of those that `picks` selects set to a number.
fn set(parameters: &Parameters, picks: impl Fn(&ParameterName) -> Option<f64>) -> Parameters {
    let set = parameters.map(|name, tensor| match picks(name) {
        Some(value) => Ok(tensor.affine(0.0, value)?),
        None => Ok(tensor.clone()),
    });
    set.unwrap()
}

/// Every network with its images.
fn networks() -> Vec<(String, Box<dyn Network>, Tensor)> {
    let mut networks: Vec<(String, Box<dyn Network>, Tensor)> = Vec::new();
    for architecture in all() {
        let network = Box::new(lenet(architecture, &[3, 2]));
        networks.push((format!("LeNet, {architecture:?}"), network, images(DIGITS)));
    }
    for architecture in of_maps() {
        for heads in [MAPS, MAP_AND_CLASS] {
            let network = Box::new(unet(architecture, &heads));
            networks.push((format!("U-Net, {architecture:?}, {heads:?}"), network, images(PHOTOGRAPHS)));
        }
    }
    networks
}

fn loss(output: &Tensor) -> Tensor {
    output.sqr().unwrap().sum_all().unwrap()
}

#[test]
fn a_networks_own_backward_pass_gives_the_gradients_of_the_graph() {
    for (what, network, images) in networks() {
        let parameters = moved(network.as_ref());
        for active in [None, Some(0), Some(1)] {
            let leaves = parameters.track(|name| active.is_none_or(|task| name.task == task)).unwrap();
            // Without a handover, the operations are a part of candle's graph.
            let in_graph: Parameters = leaves.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
            let outputs = |parameters: &Parameters| network.forward_all(parameters, &[&images, &images]).unwrap();
            let (own, graph) = (outputs(&leaves), outputs(&in_graph));
            for task in 0..2 {
                assert_eq!(values(&own[task]), values(&graph[task]), "{what}");
                let alone = network.forward(&leaves, task, &images).unwrap();
                assert_close(&alone, &own[task], 1e-12, &what);
                let gradients = leaves.backward(&loss(&own[task])).unwrap();
                let store = loss(&graph[task]).backward().unwrap();
                let of_alone = leaves.backward(&loss(&alone)).unwrap();
                for (name, leaf) in leaves.iter().filter(|(_, tensor)| tensor.is_variable()) {
                    match (gradients.get(name), store.get(leaf)) {
                        (Some(own), Some(graph)) => {
                            assert_close(own, graph, 1e-10, &format!("{what}, {name}"));
                            assert_close(own, of_alone.get(name).unwrap(), 1e-10, &format!("{what}, {name}"));
                        }
                        (None, None) => {}
                        (own, graph) => panic!("{what}, {name}: {} against {}", own.is_some(), graph.is_some()),
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (what, network, images) in networks() {
        let parameters = moved(network.as_ref());
        let leaves = parameters.track(|_| true).unwrap();
        for task in 0..2 {
            let gradients = leaves.backward(&loss(&network.forward(&leaves, task, &images).unwrap())).unwrap();
            for (name, gradient) in gradients.iter() {
                // The gradient of a map that another head reads does not reach the map's own parameters.
                let gradient = values(gradient);
                let tensor = parameters.get(name).unwrap();
                for at in [0, gradient.len() / 2, gradient.len() - 1] {
                    let step = 1e-6;
                    let value = |by: f64| {
                        let mut elements = values(tensor);
                        elements[at] += by;
                        let mut moved = parameters.clone();
                        moved.insert(name.clone(), Tensor::from_vec(elements, tensor.shape(), &Device::Cpu).unwrap());
                        loss(&network.forward(&moved, task, &images).unwrap()).to_scalar::<f64>().unwrap()
                    };
                    let numeric = (value(step) - value(-step)) / (2.0 * step);
                    let difference = (gradient[at] - numeric).abs();
                    assert!(
                        difference < 1e-5 * numeric.abs().max(1.0),
                        "{what}, task {task}, {name}[{at}]: {} against {numeric}",
                        gradient[at]
                    );
                }
            }
        }
    }
}

/// Theta is what the losses of several tasks depend on, and phi what that of one task alone depends on: so aggregators combine
/// what has to be combined, and no task moves another one's parameters.
#[test]
fn shared_parameters_serve_all_tasks_and_own_ones_a_single_task() {
    for (what, network, images) in networks() {
        let leaves = moved(network.as_ref()).track(|_| true).unwrap();
        let gradients: Vec<_> = (0..2)
            .map(|task| leaves.backward(&loss(&network.forward(&leaves, task, &images).unwrap())).unwrap())
            .collect();
        for (name, _) in leaves.iter() {
            for (task, gradients) in gradients.iter().enumerate() {
                let reaches = gradients.get(name).is_some_and(|gradient| values(gradient).iter().any(|&g| g != 0.0));
                assert_eq!(reaches, name.is_shared() || name.is_own(task), "{what}: task {task}, {name}");
            }
        }
    }
}

/// The parameters of `parameters` without those of units.
fn without_units(parameters: &Parameters) -> Parameters {
    parameters.filter(|name| !name.layer.ends_with(".stitch"))
}

#[test]
fn with_units_that_are_the_identity_cross_stitch_is_a_network_per_task() {
    for units in [STITCH, PER_CHANNEL] {
        let architecture = Architecture::CrossStitch(CrossStitch { own: 1.0, ..units });
        let alone = |classes: usize| -> Box<dyn Network> { Box::new(lenet(Architecture::HardSharing, &[classes])) };
        let of_maps = |head: Head| -> Box<dyn Network> { Box::new(unet(Architecture::HardSharing, &[head])) };
        let cases: [(Box<dyn Network>, Independent, Tensor); 2] = [
            (
                Box::new(lenet(architecture, &[3, 2])),
                Independent::new(vec![alone(3), alone(2)]).unwrap(),
                images(DIGITS),
            ),
            (
                Box::new(unet(architecture, &MAPS)),
                Independent::new(MAPS.map(of_maps).into()).unwrap(),
                images(PHOTOGRAPHS),
            ),
        ];
        for (stitched, separate, images) in cases {
            let parameters = initial(stitched.as_ref());
            let own = without_units(&parameters);
            own.check_compatible(&without_units(&initial(&separate))).unwrap();
            for task in 0..2 {
                let got = stitched.forward(&parameters, task, &images).unwrap();
                assert_eq!(values(&got), values(&separate.forward(&own, task, &images).unwrap()));
            }
        }
    }
}

#[test]
fn cross_stitch_units_start_near_the_identity_and_treat_tasks_alike() {
    let network = lenet(Architecture::CrossStitch(CrossStitch { own: 0.8, per_channel: false }), &[2, 2, 2]);
    let parameters = initial(&network);
    let row = values(parameters.theta(1, "conv2.stitch").unwrap());
    assert!(row.iter().zip([0.1, 0.8, 0.1]).all(|(a, b)| (a - b).abs() < 1e-12), "{row:?}");
    assert_eq!(parameters.phi(2, "fc.stitch").unwrap().dims(), [3]);
    let of_channels = initial(&lenet(Architecture::CrossStitch(PER_CHANNEL), &[2, 2]));
    let rows = values(of_channels.theta(0, "conv1.stitch").unwrap());
    assert!(rows.iter().zip([[0.9; 4], [0.1; 4]].concat()).all(|(a, b)| (a - b).abs() < 1e-12), "{rows:?}");
    // With the tasks in another order, so are the outputs.
    let parameters = moved(&network);
    let order = |task: usize| (task + 1) % 3;
    let turned = parameters.rename(|name| Some(ParameterName { task: order(name.task), ..name.clone() }));
    let turned = turned.map(|name, tensor| {
        if !name.layer.ends_with(".stitch") {
            return Ok(tensor.clone());
        }
        let weights = values(tensor);
        let mut ordered = vec![0.0; 3];
        weights.iter().enumerate().for_each(|(task, &weight)| ordered[order(task)] = weight);
        Ok(Tensor::from_vec(ordered, 3, &Device::Cpu)?)
    });
    let turned = turned.unwrap();
    for task in 0..3 {
        let want = network.forward(&parameters, task, &images(DIGITS)).unwrap();
        assert_close(&network.forward(&turned, order(task), &images(DIGITS)).unwrap(), &want, 1e-12, "another order");
    }
}

#[test]
fn a_single_task_has_nothing_to_stitch() {
    let (stitched, plain) = (lenet(Architecture::CrossStitch(STITCH), &[3]), lenet(Architecture::HardSharing, &[3]));
    let parameters = initial(&stitched);
    parameters.check_compatible(&initial(&plain)).unwrap();
    let [got, want] = [&stitched, &plain].map(|net| values(&net.forward(&parameters, 0, &images(DIGITS)).unwrap()));
    assert_eq!(got, want);
}

#[test]
fn with_masks_that_let_everything_pass_attention_is_hard_sharing() {
    let open = |name: &ParameterName| {
        let is_last = |role: &str| name.layer.starts_with("attention") && name.layer.ends_with(role);
        if is_last("h.norm.weight") || is_last("h.weight") {
            Some(0.0)
        } else if is_last("h.norm.bias") || is_last("h.bias") {
            Some(800.0)
        } else {
            None
        }
    };
    let cases: [[Box<dyn Network>; 2]; 3] = [
        [Architecture::Mtan, Architecture::HardSharing].map(|a| -> Box<dyn Network> { Box::new(lenet(a, &[3, 2])) }),
        [Architecture::Mtan, Architecture::HardSharing].map(|a| -> Box<dyn Network> { Box::new(unet(a, &MAPS)) }),
        [Architecture::Mtan, Architecture::HardSharing]
            .map(|a| -> Box<dyn Network> { Box::new(unet(a, &MAP_AND_CLASS)) }),
    ];
    for (at, [attended, shared]) in cases.iter().enumerate() {
        let images = images(if at == 0 { DIGITS } else { PHOTOGRAPHS });
        let parameters = set(&moved(attended.as_ref()), open);
        let own = parameters.filter(|name| !name.layer.starts_with("attention") && !name.layer.starts_with("pass"));
        own.check_compatible(&initial(shared.as_ref())).unwrap();
        for task in 0..2 {
            let want = shared.forward(&own, task, &images).unwrap();
            assert_close(&attended.forward(&parameters, task, &images).unwrap(), &want, 1e-12, "open masks");
            // The masks matter otherwise.
            let masked = attended.forward(&moved(attended.as_ref()), task, &images).unwrap();
            assert_ne!(values(&masked), values(&want));
        }
    }
}

/// `parameters` with the layers of one name under another one.
fn renamed(parameters: &Parameters, from: &str, to: &str) -> Parameters {
    parameters.rename(|name| {
        let layer = match name.layer.strip_prefix(from) {
            Some(role) => format!("{to}{role}"),
            None => name.layer.clone(),
        };
        Some(ParameterName { layer, ..name.clone() })
    })
}

#[test]
fn a_single_expert_is_hard_sharing() {
    let (mixture, shared) =
        (lenet(Architecture::Experts(Experts::mmoe(1)), &[3, 2]), lenet(Architecture::HardSharing, &[3, 2]));
    let parameters = moved(&mixture);
    let own = renamed(&parameters.filter(|name| !name.layer.starts_with("gate")), "expert0.", "fc.");
    own.check_compatible(&initial(&shared)).unwrap();
    for task in 0..2 {
        let want = shared.forward(&own, task, &images(DIGITS)).unwrap();
        assert_close(&mixture.forward(&parameters, task, &images(DIGITS)).unwrap(), &want, 1e-12, "one expert");
    }
}

/// The rows of a gate in the order of `order`.
fn gates(parameters: &Parameters, order: &[u32]) -> Parameters {
    let order = Tensor::new(order, &Device::Cpu).unwrap();
    let ordered = parameters.map(|name, tensor| {
        let is_gate = name.layer.starts_with("gate.");
        Ok(if is_gate { tensor.index_select(&order, 0)? } else { tensor.clone() })
    });
    ordered.unwrap()
}

#[test]
fn the_order_of_experts_does_not_matter() {
    let network = lenet(Architecture::Experts(Experts::mmoe(3)), &[3, 2]);
    let parameters = moved(&network);
    let turned = renamed(&parameters, "expert0.", "other.");
    let turned =
        renamed(&renamed(&renamed(&turned, "expert1.", "expert0."), "expert2.", "expert1."), "other.", "expert2.");
    let turned = gates(&turned, &[1, 2, 0]);
    for task in 0..2 {
        let want = network.forward(&parameters, task, &images(DIGITS)).unwrap();
        assert_close(&network.forward(&turned, task, &images(DIGITS)).unwrap(), &want, 1e-12, "another order");
        // The order of the gate alone does.
        let gates_alone = network.forward(&gates(&parameters, &[1, 2, 0]), task, &images(DIGITS)).unwrap();
        assert_ne!(values(&gates_alone), values(&want));
    }
}

#[test]
fn if_no_gate_opens_the_tasks_own_experts_cgc_is_mmoe() {
    let (cgc, mmoe) = (
        lenet(Architecture::Experts(Experts::cgc(2, 1)), &[3, 2]),
        lenet(Architecture::Experts(Experts::mmoe(2)), &[3, 2]),
    );
    let parameters = moved(&cgc);
    let closed = parameters.map(|name, tensor| match &*name.layer {
        // The shared experts come first.
        "gate.bias" => Ok(Tensor::cat(&[&tensor.narrow(0, 0, 2)?, &Tensor::new(&[-900.0], &Device::Cpu)?], 0)?),
        _ => Ok(tensor.clone()),
    });
    let closed = closed.unwrap();
    let own = gates(&closed.filter(|name| !name.layer.starts_with("own_expert")), &[0, 1]);
    own.check_compatible(&initial(&mmoe)).unwrap();
    for task in 0..2 {
        let want = mmoe.forward(&own, task, &images(DIGITS)).unwrap();
        assert_close(&cgc.forward(&closed, task, &images(DIGITS)).unwrap(), &want, 1e-12, "closed gates");
        assert_ne!(values(&cgc.forward(&parameters, task, &images(DIGITS)).unwrap()), values(&want));
    }
}

#[test]
fn parameters_are_counted_by_hand() {
    let lenet = |architecture| initial(&LeNet::new(LeNetConfig { architecture, ..LeNet::mnist(&[5, 5]) }).unwrap());
    let (conv1, conv2, fc, heads) = (10 * (25 + 1), 20 * (250 + 1), 50 * (320 + 1), 2 * 5 * (50 + 1));
    let shared = conv1 + conv2 + fc + heads;
    let stitched = 2 * (conv1 + conv2 + fc) + heads;
    // A layer from the first level's masks to the second's; g and h of both levels for each task.
    let attention = conv2 + 2 * (2 * 10 * (10 + 1) + 20 * (40 + 1) + 20 * (20 + 1));
    let gate = |experts: usize| 2 * experts * (320 + 1);
    for (architecture, want) in [
        (Architecture::HardSharing, shared),
        (Architecture::CrossStitch(STITCH), stitched + 3 * 4),
        (Architecture::CrossStitch(PER_CHANNEL), stitched + 4 * (10 + 20 + 50)),
        (Architecture::Mtan, shared + attention),
        (Architecture::Experts(Experts::mmoe(3)), shared + 2 * fc + gate(3)),
        (Architecture::Experts(Experts::cgc(1, 1)), shared + 2 * fc + gate(2)),
        (Architecture::Experts(Experts::cgc(2, 3)), shared + 7 * fc + gate(5)),
    ] {
        assert_eq!(lenet(architecture).element_count(), want, "{architecture:?}");
    }
    let unet = |architecture| {
        let (heads, statistics) = (vec![Head::Segmentation { classes: 2 }; 2], Statistics::Group { groups: 2 });
        let config = UNetConfig { in_channels: 1, base: 4, depth: 1, statistics, heads, ..UNetConfig::default() };
        initial(&UNet::new(UNetConfig { architecture, ..config }).unwrap()).element_count()
    };
    // Kernels and norms of both levels; transposed convolution, two units and the last layer of a decoder.
    let encoder = 9 * (4 + 4 * 4) + 2 * 8 + 9 * (8 * 4 + 8 * 8) + 2 * 16;
    let decoder = 4 * (8 * 4) + 4 + 9 * (4 * 8 + 4 * 4) + 2 * 8 + 2 * (4 + 1);
    assert_eq!(unet(Architecture::HardSharing), encoder + 2 * decoder);
    assert_eq!(unet(Architecture::CrossStitch(STITCH)), 2 * (encoder + decoder) + 2 * 4);
    assert_eq!(unet(Architecture::CrossStitch(PER_CHANNEL)), 2 * (encoder + decoder) + 4 * (4 + 8));
    let modules = (4 * 4 + 8) + (4 * 4 + 8) + (8 * 16 + 16) + (8 * 8 + 16);
    assert_eq!(unet(Architecture::Mtan), encoder + 2 * decoder + 9 * 4 * 8 + 16 + 2 * modules);
}

#[test]
fn what_excludes_each_other_is_named() {
    let lenet = |architecture, fusion, allocation: &[f64]| {
        let allocation = allocation.to_vec();
        let config = LeNetConfig { architecture, fusion, allocation, ..LeNet::mnist(&[5, 5]) };
        LeNet::new(config).err().map_or("accepted".into(), |error| error.to_string())
    };
    let (stitch, concat) = (Architecture::CrossStitch(STITCH), Fusion::Concat);
    let fused = lenet(Architecture::Mtan, Fusion::CrossStitch, &[]);
    assert!(fused.contains("expected Fusion::Concat"), "{fused}");
    let allocated = lenet(stitch, concat, &[2.0, 1.0]);
    assert!(allocated.contains("network of its own"), "{allocated}");
    assert_eq!(lenet(Architecture::Experts(Experts::cgc(1, 1)), concat, &[3.0, 1.0]), "accepted");
    assert_eq!(lenet(Architecture::Mtan, concat, &[3.0, 1.0]), "accepted");
    let outside = lenet(Architecture::CrossStitch(CrossStitch { own: 1.5, ..STITCH }), concat, &[]);
    assert!(outside.contains("1.5") && outside.contains("0 to 1"), "{outside}");
    let empty = lenet(Architecture::Experts(Experts::cgc(0, 0)), concat, &[]);
    assert!(empty.contains("at least one"), "{empty}");
    let config = UNetConfig { heads: MAPS.to_vec(), ..UNetConfig::default() };
    let experts = UNetConfig { architecture: Architecture::Experts(Experts::mmoe(2)), ..config };
    let message = UNet::new(experts).unwrap_err().to_string();
    assert!(message.contains("vectors of features"), "{message}");
}
