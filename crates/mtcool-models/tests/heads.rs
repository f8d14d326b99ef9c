//! Any number and any mix of heads on one encoder: shapes, what each head reads, and gradients.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Network, ParameterKind, Parameters};
use mtcool_models::{Classifier, Head, MapOf, UNet, UNetConfig};
use mtcool_ops::Statistics;

const MIX: [Head; 5] = [
    Head::Image { outputs: 1, map: MapOf::Nothing },
    Head::Image { outputs: 4, map: MapOf::Segmentation },
    Head::Segmentation { classes: 3 },
    Head::Classification { classes: 2 },
    Head::Segmentation { classes: 2 },
];

/// A network whose widths and groups fit `heads`, one to five of them.
fn unet(heads: &[Head], classifier: Classifier) -> UNet {
    let groups = heads.len();
    UNet::new(UNetConfig {
        in_channels: 2,
        base: 2 * groups,
        depth: 2,
        statistics: Statistics::Group { groups },
        classifier,
        classifier_width: 2 * groups,
        heads: heads.to_vec(),
        ..UNetConfig::default()
    })
    .unwrap()
}

fn draw(name: &str, shape: &[usize]) -> Tensor {
    uniform(&mut stream(1, Purpose::Method, [0; 4], name), 1.0, &shape.into(), DType::F64, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Away from the initial values: the last layer of a normalised head starts at 0 and would let no gradient pass.
fn trained(network: &UNet) -> Parameters {
    let initial = network.initial_parameters(3, DType::F64, &Device::Cpu).unwrap();
    initial
        .map(|name, tensor| match &*name.layer {
            "fc.weight" => Ok(draw(&name.to_string(), tensor.dims())),
            _ => Ok(tensor.clone()),
        })
        .unwrap()
}

fn classifiers() -> [Classifier; 2] {
    [Classifier::Plain, Classifier::Normalized { priors: None }]
}

#[test]
fn any_mix_of_heads_shares_one_encoder_and_one_pass() {
    let images = draw("images", &[2, 2, 8, 12]);
    for classifier in classifiers() {
        let network = unet(&MIX, classifier);
        let parameters = trained(&network);
        let outputs = network.forward_all(&parameters, &[&images; 5]).unwrap();
        let shapes: Vec<&[usize]> = outputs.iter().map(Tensor::dims).collect();
        assert_eq!(shapes, [&[2, 1][..], &[2, 4], &[2, 3, 8, 12], &[2, 2], &[2, 2, 8, 12]]);
        for (task, output) in outputs.iter().enumerate() {
            let alone = network.forward(&parameters, task, &images).unwrap();
            assert_eq!(values(output), values(&alone), "task {task}");
        }
    }
}

#[test]
fn the_backward_pass_of_any_mix_gives_the_gradients_of_the_graph() {
    let images = draw("images", &[2, 2, 8, 12]);
    for classifier in classifiers() {
        let network = unet(&MIX, classifier);
        let leaves = trained(&network).track(|_| true).unwrap();
        // Without a handover, the operations are a part of candle's graph.
        let in_graph: Parameters = leaves.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        for task in 0..MIX.len() {
            let loss = |parameters: &Parameters| {
                network.forward_all(parameters, &[&images; 5]).unwrap()[task].sqr().unwrap().mean_all().unwrap()
            };
            let (own, graph) = (leaves.backward(&loss(&leaves)).unwrap(), loss(&in_graph).backward().unwrap());
            for (name, leaf) in leaves.iter() {
                match (own.get(name), graph.get(leaf)) {
                    (Some(own), Some(graph)) => {
                        let pairs = values(own).into_iter().zip(values(graph));
                        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                        assert!(difference < 1e-12, "task {task}, {name}: {difference:e}");
                    }
                    (None, None) => {}
                    (own, graph) => panic!("task {task}, {name}: {} against {}", own.is_some(), graph.is_some()),
                }
            }
        }
    }
}

#[test]
fn a_head_depends_on_no_more_than_what_it_reads() {
    let images = draw("images", &[2, 2, 8, 12]);
    let network = unet(&MIX, Classifier::Plain);
    let parameters = trained(&network);
    // Task 2 is the first segmentation: other decoders are read by nobody, and its own is read by tasks 1 and 3.
    for (changed, depends) in [(2, [false, true, true, true, false]), (4, [false, false, false, false, true])] {
        let moved = parameters
            .map(|name, tensor| match (name.kind, name.task == changed) {
                (ParameterKind::Phi, true) => Ok((tensor * 2.0)?),
                _ => Ok(tensor.clone()),
            })
            .unwrap();
        for (task, depends) in depends.into_iter().enumerate() {
            let output = |parameters: &Parameters| values(&network.forward(parameters, task, &images).unwrap());
            assert_eq!(output(&parameters) != output(&moved), depends, "task {task}, phi of task {changed}");
        }
    }
}

#[test]
fn numbers_come_from_the_layers_of_a_classification() {
    let images = draw("images", &[2, 2, 8, 12]);
    let segmentation = Head::Segmentation { classes: 3 };
    for classifier in classifiers() {
        let classes = unet(&[segmentation, Head::Classification { classes: 3 }], classifier.clone());
        let numbers = unet(&[segmentation, Head::Image { outputs: 3, map: MapOf::Segmentation }], classifier.clone());
        let parameters = trained(&classes);
        let [a, b] = [&classes, &numbers].map(|network| values(&network.forward(&parameters, 1, &images).unwrap()));
        assert_eq!(a, b);
        let lone = unet(&[Head::LoneClassification { classes: 3, map: 4 }], classifier.clone());
        let own = unet(&[Head::Image { outputs: 3, map: MapOf::Own(4) }], classifier);
        let parameters = trained(&lone);
        let [a, b] = [&lone, &own].map(|network| values(&network.forward(&parameters, 0, &images).unwrap()));
        assert_eq!(a, b);
    }
}

#[test]
fn a_network_without_any_segmentation_has_no_decoder_and_priors_concern_classifications_alone() {
    let network = unet(&[Head::Image { outputs: 1, map: MapOf::Nothing }], Classifier::Normalized { priors: None });
    assert!(network.parameters().iter().all(|spec| !spec.name.layer.starts_with("dec")));
    let images = draw("images", &[2, 2, 8, 12]);
    assert_eq!(network.forward(&trained(&network), 0, &images).unwrap().dims(), [2, 1]);
    let priors = Classifier::Normalized { priors: Some(vec![0.9, 0.1]) };
    let heads = [
        Head::Segmentation { classes: 2 },
        Head::Classification { classes: 2 },
        Head::Image { outputs: 3, map: MapOf::Segmentation },
    ];
    let parameters = unet(&heads, priors).initial_parameters(0, DType::F64, &Device::Cpu).unwrap();
    assert_eq!(values(parameters.phi(1, "fc.bias").unwrap()), [0.9f64.ln(), 0.1f64.ln()]);
    assert_eq!(values(parameters.phi(2, "fc.bias").unwrap()), [0.0; 3]);
    let reads = [Head::Image { outputs: 1, map: MapOf::Segmentation }];
    let message = UNet::new(UNetConfig { heads: reads.to_vec(), ..UNetConfig::default() }).unwrap_err().to_string();
    assert!(message.contains("a segmentation for classifications that read its map"), "{message}");
}
