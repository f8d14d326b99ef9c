//! A network's own description of its layers computes what the network computes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{D, DType, Device, Result, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Diagram, Layer, Network, NodeId, NormalizedTogether, Parameters, Weights};
use mtcool_models::{
    Architecture, Classifier, CrossStitch, Experts, Fusion, Head, Independent, LeNet, LeNetConfig, MapGradient, MapOf,
    UNet, UNetConfig,
};
use mtcool_ops::Statistics;

fn values(parameters: &Parameters, weights: &Weights) -> Result<Tensor> {
    match weights {
        Weights::Parameters(names) => {
            Tensor::cat(&names.iter().map(|name| parameters.get(name).unwrap()).collect::<Vec<_>>(), 0)
        }
        Weights::Constant { shape, values, .. } => Tensor::from_vec(values.clone(), shape.clone(), &Device::Cpu),
    }
}

/// The windows of `x` `[B, C, H, W]` along two new last dimensions, `[B, C, H / side, W / side, side * side]`.
fn windows(x: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let (rows, columns) = (height / side, width / side);
    let x = x.narrow(2, 0, rows * side)?.narrow(3, 0, columns * side)?.contiguous()?;
    let x = x.reshape(vec![batch, channels, rows, side, columns, side])?.transpose(3, 4)?.contiguous()?;
    x.reshape((batch, channels, rows, columns, side * side))
}

/// A channel's numbers as something to add to, or multiply with, a map.
fn per_channel(numbers: &Tensor) -> Result<Tensor> {
    numbers.reshape((1, (), 1, 1))
}

fn normalized(x: &Tensor, over: NormalizedTogether, eps: f64) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let sets = match over {
        NormalizedTogether::Groups(groups) => x.reshape((batch * groups, ()))?,
        NormalizedTogether::Batch => x.transpose(0, 1)?.contiguous()?.reshape((channels, ()))?,
    };
    let centred = sets.broadcast_sub(&sets.mean_keepdim(1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(1)? + eps)?.sqrt()?;
    let sets = centred.broadcast_div(&deviation)?;
    match over {
        NormalizedTogether::Groups(_) => sets.reshape((batch, channels, height, width)),
        NormalizedTogether::Batch => sets.reshape((channels, batch, height, width))?.transpose(0, 1)?.contiguous(),
    }
}

/// The output of `layer`, by candle's own operations.
fn computed(layer: &Layer, x: &[&Tensor], parameters: &Parameters, inputs: &[&Tensor]) -> Result<Tensor> {
    let of = |weights: &Weights| values(parameters, weights);
    match layer {
        Layer::Input(number) => Ok(inputs[*number].clone()),
        Layer::Convolution { kernel, bias, padding } => {
            let y = x[0].conv2d(&of(kernel)?, *padding, 1, 1, 1)?;
            match bias {
                Some(bias) => y.broadcast_add(&per_channel(&of(bias)?)?),
                None => Ok(y),
            }
        }
        Layer::TransposedConvolution { kernel, bias, stride } => {
            let y = x[0].conv_transpose2d(&of(kernel)?, 0, 0, *stride, 1)?;
            y.broadcast_add(&per_channel(&of(bias)?)?)
        }
        Layer::Normalization { over, eps, affine } => {
            let y = normalized(x[0], *over, *eps)?;
            match affine {
                None => Ok(y),
                Some([scale, shift]) => {
                    y.broadcast_mul(&per_channel(&of(scale)?)?)?.broadcast_add(&per_channel(&of(shift)?)?)
                }
            }
        }
        Layer::Relu => x[0].maximum(0.0),
        Layer::MaxPooling { side, stride } => {
            assert_eq!(side, stride);
            windows(x[0], *side)?.max(D::Minus1)
        }
        Layer::MeanPooling { side } => windows(x[0], *side)?.mean(D::Minus1),
        Layer::MeanPixels => x[0].mean(D::Minus1)?.mean(D::Minus1),
        Layer::Join => Tensor::cat(x, 1),
        Layer::Softmax => candle_nn::ops::softmax(x[0], 1),
        Layer::Flatten => x[0].flatten_from(1),
        Layer::Linear { weight, bias } => x[0].matmul(&of(weight)?.t()?)?.broadcast_add(&of(bias)?),
        Layer::WeightedSum { weights } => {
            let weights = of(weights)?;
            let terms = x.iter().enumerate().map(|(at, x)| x.broadcast_mul(&weights.get(at)?));
            terms.reduce(|sum, term| sum? + term?).unwrap()
        }
        Layer::ChannelSum { weights, is_map } => {
            let weights = of(weights)?;
            assert_eq!(*is_map, x[0].rank() == 4);
            let factor = |at: usize| if *is_map { per_channel(&weights.get(at)?) } else { weights.get(at) };
            let terms = x.iter().enumerate().map(|(at, x)| x.broadcast_mul(&factor(at)?));
            terms.reduce(|sum, term| sum? + term?).unwrap()
        }
        Layer::Mixture => {
            let terms = x[1..].iter().enumerate().map(|(at, term)| term.broadcast_mul(&x[0].narrow(1, at, 1)?));
            terms.reduce(|sum, term| sum? + term?).unwrap()
        }
        Layer::Gate => x[0] * candle_nn::ops::sigmoid(x[1])?,
        Layer::Split { columns } => x[0].reshape((x[0].dim(0)?, (), *columns)),
    }
}

/// Parameters in which no number is special: networks begin with norms and last layers that change nothing.
fn parameters(network: &dyn Network) -> Parameters {
    let initial = network.initial_parameters(0, DType::F64, &Device::Cpu).unwrap();
    let moved = initial.map(|name, tensor| {
        let mut generator = stream(1, Purpose::Initialization, [0; 4], &name.to_string());
        Ok((tensor + uniform(&mut generator, 0.3, tensor.shape(), DType::F64, &Device::Cpu)?)?)
    });
    moved.unwrap()
}

/// The layers of all tasks, and the last one of each task.
fn described(network: &dyn Network) -> (Diagram, Vec<NodeId>) {
    let mut diagram = Diagram::default();
    let start = diagram.add(Layer::Input(0), &[]);
    let describe = |task: usize| network.describe(task, start, &mut diagram).unwrap();
    let outputs = (0..network.tasks()).map(describe).collect();
    (diagram, outputs)
}

/// The outputs of all layers, by candle's own operations.
fn all_computed(diagram: &Diagram, parameters: &Parameters, input: &Tensor) -> Vec<Tensor> {
    let mut known: Vec<Tensor> = Vec::new();
    for node in diagram.nodes() {
        let read: Vec<&Tensor> = node.inputs.iter().map(|id| &known[id.index()]).collect();
        let output = computed(&node.layer, &read, parameters, &[input]).unwrap();
        known.push(output);
    }
    known
}

/// The largest absolute value.
fn most(tensor: &Tensor) -> f64 {
    tensor.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

/// Compares the outputs of all tasks, and returns the diagram of all of them.
fn compare(network: &dyn Network, shape: [usize; 4]) -> Diagram {
    let parameters = parameters(network);
    let mut generator = stream(2, Purpose::Initialization, [0; 4], "input");
    let input = uniform(&mut generator, 2.0, &shape.to_vec().into(), DType::F64, &Device::Cpu).unwrap();
    let (diagram, outputs) = described(network);
    let known = all_computed(&diagram, &parameters, &input);
    for (task, output) in outputs.into_iter().enumerate() {
        let want = network.forward(&parameters, task, &input).unwrap();
        let got = &known[output.index()];
        assert_eq!(got.dims(), want.dims(), "task {task}");
        let [difference, size] = [most(&(got - &want).unwrap()), most(&want)];
        assert!(difference <= 1e-9 * size.max(1.0), "task {task}: {difference} of {size}");
    }
    diagram
}

#[test]
fn lenet_with_both_fusions_and_unequal_shares() {
    let config = LeNetConfig { input: (2, 21, 26), ..LeNet::mnist(&[3, 4, 2]) };
    let shape = [3, 2, 21, 26];
    compare(&LeNet::new(LeNetConfig { allocation: vec![3.0, 1.0, 1.0], ..config.clone() }).unwrap(), shape);
    let stitched = LeNetConfig { conv1: 9, conv2: 12, hidden: 15, fusion: Fusion::CrossStitch, ..config.clone() };
    let of_all = compare(&LeNet::new(stitched).unwrap(), shape);
    let stitches = of_all.nodes().iter().filter(|node| matches!(node.layer, Layer::WeightedSum { .. }));
    assert_eq!(stitches.count(), 9, "three layers, three tasks");
    let one = |classes: usize| -> Box<dyn Network> {
        Box::new(LeNet::new(LeNetConfig { classes: vec![classes], ..config.clone() }).unwrap())
    };
    let separate = compare(&Independent::new(vec![one(3), one(4)]).unwrap(), shape);
    assert_eq!(separate.nodes().len(), 1 + 2 * compare(one(3).as_ref(), shape).nodes()[1..].len());
}

#[test]
fn unet_with_every_head_norm_and_classifier() {
    let heads = vec![
        Head::Classification { classes: 3 },
        Head::Segmentation { classes: 4 },
        Head::Image { outputs: 2, map: MapOf::Nothing },
        Head::Image { outputs: 1, map: MapOf::Segmentation },
        Head::LoneClassification { classes: 2, map: 3 },
        Head::Image { outputs: 6, map: MapOf::Own(2) },
        Head::Segmentation { classes: 2 },
    ];
    let tasks = heads.len();
    for statistics in [Statistics::Group { groups: tasks }, Statistics::Batch] {
        for classifier in [Classifier::Plain, Classifier::Normalized { priors: None }] {
            let config = UNetConfig {
                in_channels: 2,
                base: 2 * tasks,
                depth: 2,
                statistics,
                classifier,
                classifier_width: 5,
                heads: heads.clone(),
                map_gradient: MapGradient::None,
                ..UNetConfig::default()
            };
            let diagram = compare(&UNet::new(config.clone()).unwrap(), [2, 2, 12, 20]);
            let poolings = diagram.nodes().iter().filter(|node| matches!(node.layer, Layer::MaxPooling { .. }));
            assert_eq!(poolings.count(), 2, "one encoder for all tasks");
            let alone = UNetConfig { heads: vec![Head::Segmentation { classes: 2 }], ..config };
            compare(&UNet::new(alone).unwrap(), [1, 2, 8, 4]);
        }
    }
}

#[test]
fn tasks_own_unequal_shares_of_a_unet() {
    let config = UNetConfig {
        in_channels: 1,
        base: 8,
        depth: 1,
        allocation: vec![3.0, 1.0],
        statistics: Statistics::Group { groups: 4 },
        heads: vec![Head::Segmentation { classes: 2 }, Head::Image { outputs: 1, map: MapOf::Nothing }],
        ..UNetConfig::default()
    };
    let network = UNet::new(config).unwrap();
    let diagram = compare(&network, [1, 1, 6, 10]);
    let Layer::Convolution { kernel: Weights::Parameters(rows), .. } = &diagram.nodes()[1].layer else {
        panic!("{:?}", diagram.nodes()[1])
    };
    let names: Vec<String> = rows.iter().map(|name| name.to_string()).collect();
    assert_eq!(names, ["theta.0.enc0.conv0.weight", "theta.1.enc0.conv0.weight"]);
}

/// Compares the gradients of each task's outputs, those of the network's own backward pass with candle's over candle's operations.
fn compare_gradients(network: &dyn Network, shape: [usize; 4]) {
    let leaves = parameters(network).track(|_| true).unwrap();
    let mut generator = stream(2, Purpose::Initialization, [0; 4], "input");
    let input = uniform(&mut generator, 2.0, &shape.to_vec().into(), DType::F64, &Device::Cpu).unwrap();
    let (diagram, outputs) = described(network);
    let known = all_computed(&diagram, &leaves, &input);
    for (task, last) in outputs.into_iter().enumerate() {
        let loss = |output: &Tensor| {
            let mut generator = stream(3, Purpose::Initialization, [0; 4], "direction");
            let direction = uniform(&mut generator, 1.0, output.shape(), DType::F64, &Device::Cpu).unwrap();
            (output * direction).unwrap().sum_all().unwrap()
        };
        let own = leaves.backward(&loss(&network.forward(&leaves, task, &input).unwrap())).unwrap();
        let twin = loss(&known[last.index()]).backward().unwrap();
        for (name, leaf) in leaves.iter() {
            match (own.get(name), twin.get(leaf)) {
                (Some(own), Some(twin)) => {
                    let difference = most(&(own - twin).unwrap());
                    assert!(difference <= 1e-9 * most(twin).max(1.0), "task {task}, {name}: {difference:e}");
                }
                (None, None) => {}
                (own, twin) => panic!("task {task}, {name}: {} against {}", own.is_some(), twin.is_some()),
            }
        }
    }
}

/// The architectures that work on maps.
fn architectures() -> [Architecture; 4] {
    let units = CrossStitch { own: 0.7, per_channel: false };
    [
        Architecture::HardSharing,
        Architecture::CrossStitch(units),
        Architecture::CrossStitch(CrossStitch { per_channel: true, ..units }),
        Architecture::Mtan,
    ]
}

#[test]
fn lenet_in_every_architecture() {
    let experts = [Experts::mmoe(3), Experts::cgc(2, 2), Experts::cgc(0, 1)].map(Architecture::Experts);
    for architecture in architectures().into_iter().chain(experts) {
        let config = LeNetConfig { input: (2, 21, 26), conv1: 4, conv2: 6, hidden: 7, ..LeNet::mnist(&[3, 4, 2]) };
        let network = LeNet::new(LeNetConfig { architecture, ..config }).unwrap();
        compare(&network, [3, 2, 21, 26]);
        compare_gradients(&network, [3, 2, 21, 26]);
    }
}

#[test]
fn unet_in_every_architecture() {
    let maps = vec![
        Head::Classification { classes: 3 },
        Head::Segmentation { classes: 4 },
        Head::LoneClassification { classes: 2, map: 3 },
    ];
    for architecture in architectures() {
        for statistics in [Statistics::Group { groups: 3 }, Statistics::Batch] {
            let config =
                UNetConfig { in_channels: 2, base: 6, depth: 2, architecture, statistics, ..UNetConfig::default() };
            let with_maps = UNetConfig { heads: maps.clone(), classifier_width: 3, ..config.clone() };
            compare(&UNet::new(with_maps).unwrap(), [2, 2, 12, 20]);
            // Without decoders, whose transposed convolutions candle has no gradient of.
            let heads = vec![Head::Image { outputs: 2, map: MapOf::Nothing }; 3];
            compare_gradients(&UNet::new(UNetConfig { heads, classifier_width: 3, ..config }).unwrap(), [2, 2, 8, 12]);
        }
    }
}
