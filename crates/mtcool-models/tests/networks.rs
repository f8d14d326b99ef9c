//! Cooperative networks compute the function of the conventional network, for any number of tasks; gradients; settings.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Network, ParameterKind, ParameterName, Parameters};
use mtcool_models::{Fusion, Head, Independent, LeNet, LeNetConfig, MapGradient, UNet, UNetConfig, allocated, shares};
use mtcool_ops::Statistics;
use proptest::prelude::*;

fn digits(count: usize) -> Tensor {
    let mut generator = stream(1, Purpose::Method, [0; 4], "digits");
    uniform(&mut generator, 1.0, &(count, 1, 28, 28).into(), DType::F64, &Device::Cpu).unwrap()
}

fn lenet(widths: [usize; 3], classes: &[usize], fusion: Fusion) -> LeNet {
    let [conv1, conv2, hidden] = widths;
    LeNet::new(LeNetConfig { conv1, conv2, hidden, fusion, ..LeNet::mnist(classes) }).unwrap()
}

fn initial(network: &dyn Network) -> Parameters {
    network.initial_parameters(3, DType::F64, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

proptest! {
    #[test]
    fn shares_are_even_and_the_remainder_goes_to_the_first(channels in 1usize..200, tasks in 1usize..9) {
        prop_assume!(channels >= tasks);
        let shares = shares(channels, tasks).unwrap();
        prop_assert_eq!(shares.iter().sum::<usize>(), channels);
        prop_assert!(shares.windows(2).all(|pair| pair[0] >= pair[1]));
        prop_assert!(shares[0] - shares[tasks - 1] <= 1);
    }
}

proptest! {
    #[test]
    fn allocated_channels_are_all_given_in_whole_groups(
        parts in prop::collection::vec(0.05f64..5.0, 1..6), groups in 6usize..40, group in 1usize..5,
    ) {
        let owned = allocated(groups * group, &parts, group).unwrap();
        prop_assert_eq!(owned.iter().sum::<usize>(), groups * group);
        prop_assert!(owned.iter().all(|owned| *owned >= group && owned.is_multiple_of(group)));
        let sum: f64 = parts.iter().sum();
        for (a, first) in parts.iter().zip(&owned) {
            for (b, second) in parts.iter().zip(&owned) {
                prop_assert!(a > b || first <= second || a / sum > b / sum - 1e-9, "a smaller part gets no more");
            }
        }
        let even = allocated(groups * group, &vec![0.7; parts.len()], group).unwrap();
        let want: Vec<usize> = shares(groups, parts.len()).unwrap().into_iter().map(|owned| owned * group).collect();
        prop_assert_eq!(even, want);
    }
}

#[test]
fn tasks_may_own_unequal_parts_of_the_channels() {
    assert_eq!(allocated(16, &[2.0, 1.0, 1.0], 2).unwrap(), [8, 4, 4]);
    assert_eq!(allocated(10, &[0.98, 0.01, 0.01], 1).unwrap(), [8, 1, 1]);
    for (parts, group, reason) in [(&[1.0, -1.0][..], 1, "above 0"), (&[1.0; 5], 4, "at least one group")] {
        let message = allocated(16, parts, group).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    let config = LeNetConfig { allocation: vec![3.0, 1.0], ..LeNet::mnist(&[5, 5]) };
    let owned = initial(&LeNet::new(config).unwrap());
    let rows = |layer: &str, task: usize| owned.theta(task, layer).unwrap().dims()[0];
    assert_eq!([rows("conv2.weight", 0), rows("conv2.weight", 1)], [15, 5]);
    let unet = |allocation: &[f64]| {
        let heads = vec![Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];
        let statistics = Statistics::Group { groups: 4 };
        UNet::new(UNetConfig {
            base: 8,
            depth: 1,
            statistics,
            heads,
            allocation: allocation.into(),
            ..UNetConfig::default()
        })
    };
    let owned = initial(&unet(&[3.0, 1.0]).unwrap());
    assert_eq!(owned.theta(0, "enc1.conv0.weight").unwrap().dims(), [12, 8, 3, 3]);
    assert_eq!(owned.theta(1, "enc1.conv0.weight").unwrap().dims(), [4, 8, 3, 3]);
    let message = unet(&[1.0; 3]).unwrap_err().to_string();
    assert!(message.contains("one part for each of the 2 tasks"), "{message}");
}

#[test]
fn a_cooperative_network_computes_the_conventional_ones_function() {
    // Three tasks divide none of these widths.
    let widths = [10, 20, 50];
    let cooperative = lenet(widths, &[5, 4, 3], Fusion::Concat);
    let owned = initial(&cooperative);
    assert_eq!(owned.theta(0, "conv1.weight").unwrap().dims(), [4, 1, 5, 5]);
    assert_eq!(owned.theta(2, "fc.weight").unwrap().dims(), [16, 320]);
    for task in 0..3 {
        let conventional = lenet(widths, &[[5, 4, 3][task]], Fusion::Concat);
        let whole = initial(&conventional).map(|name, _| match name.kind {
            ParameterKind::Phi => Ok(owned.phi(task, &name.layer)?.clone()),
            ParameterKind::Theta => {
                let parts = (0..3).map(|owner| owned.theta(owner, &name.layer));
                Ok(Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
            }
        });
        let want = conventional.forward(&whole.unwrap(), 0, &digits(3)).unwrap();
        assert_eq!(values(&cooperative.forward(&owned, task, &digits(3)).unwrap()), values(&want));
    }
}

#[test]
fn only_the_active_tasks_rows_get_a_weight_gradient() {
    for (active, tasks) in [(0, 2), (1, 2), (1, 3), (2, 3)] {
        let network = lenet([10, 20, 50], &vec![5; tasks], Fusion::Concat);
        let parameters = initial(&network);
        let leaves = parameters.track(|name| name.task == active).unwrap();
        let everything = parameters.track(|_| true).unwrap();
        let backward = |leaves: &Parameters| {
            let output = network.forward(leaves, active, &digits(2)).unwrap();
            leaves.backward(&output.sqr().unwrap().sum_all().unwrap()).unwrap()
        };
        let (some, all) = (backward(&leaves), backward(&everything));
        assert_eq!(some.len(), 8, "psi of task {active} of {tasks}");
        for (name, gradient) in some.iter() {
            assert_eq!(name.task, active);
            let full = values(all.get(name).unwrap());
            let difference = values(gradient).iter().zip(&full).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(difference < 1e-12, "{name}: {difference:e}");
        }
    }
}

/// Outputs and gradients of a U-Net's own backward pass, compared with those of candle's graph over the same operations.
#[test]
fn a_unets_own_backward_pass_gives_the_gradients_of_the_graph() {
    let with_map = || vec![Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];
    let cases = [
        (with_map(), MapGradient::ThetaOnly),
        (with_map(), MapGradient::Everything),
        (with_map(), MapGradient::None),
        (vec![Head::Segmentation { classes: 2 }, Head::Segmentation { classes: 3 }], MapGradient::default()),
    ];
    for (heads, map_gradient) in cases {
        let statistics = Statistics::Group { groups: 2 };
        let config =
            UNetConfig { in_channels: 2, base: 4, depth: 2, statistics, map_gradient, ..UNetConfig::default() };
        let shared = UNet::new(UNetConfig { heads: heads.clone(), ..config.clone() }).unwrap();
        let alone = |head: &Head| -> Box<dyn Network> {
            let head = match *head {
                Head::Classification { classes } => Head::LoneClassification { classes, map: 3 },
                other => other,
            };
            Box::new(UNet::new(UNetConfig { heads: vec![head], ..config.clone() }).unwrap())
        };
        let apart = Independent::new(heads.iter().map(alone).collect()).unwrap();
        let mut generator = stream(1, Purpose::Method, [0; 4], "photographs");
        let images = uniform(&mut generator, 1.0, &(2, 2, 8, 12).into(), DType::F64, &Device::Cpu).unwrap();
        for network in [&shared as &dyn Network, &apart] {
            let parameters = network.initial_parameters(3, DType::F64, &Device::Cpu).unwrap();
            for active in [None, Some(0), Some(1)] {
                let leaves = parameters.track(|name| active.is_none_or(|task| name.task == task)).unwrap();
                // Without a handover, the operations are a part of candle's graph.
                let in_graph: Parameters = leaves.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
                let losses = |parameters: &Parameters| -> Vec<Tensor> {
                    let outputs = network.forward_all(parameters, &[&images, &images]).unwrap();
                    outputs.iter().map(|output| output.sqr().unwrap().mean_all().unwrap()).collect()
                };
                let (own, graph) = (losses(&leaves), losses(&in_graph));
                // Several backward passes over one graph: each task's loss alone, then the sum of both.
                for picked in [&[0][..], &[1], &[0, 1]] {
                    let total = |losses: &[Tensor]| {
                        picked.iter().map(|&task| losses[task].clone()).reduce(|a, b| (a + b).unwrap()).unwrap()
                    };
                    if !total(&graph).track_op() {
                        continue;
                    }
                    let (own, graph) = (leaves.backward(&total(&own)).unwrap(), total(&graph).backward().unwrap());
                    for (name, leaf) in leaves.iter().filter(|(_, tensor)| tensor.is_variable()) {
                        match (own.get(name), graph.get(leaf)) {
                            (Some(own), Some(graph)) => {
                                let pairs = values(own).into_iter().zip(values(graph));
                                let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                                assert!(own.dims() == leaf.dims() && difference < 1e-12, "{name}: {difference:e}");
                            }
                            (None, None) => {}
                            (own, graph) => panic!("{name}: {} against {}", own.is_some(), graph.is_some()),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn cross_stitch_mixes_features_by_its_learned_weights() {
    let network = lenet([10, 20, 50], &[5, 5], Fusion::CrossStitch);
    let parameters = initial(&network);
    assert_eq!(values(parameters.theta(1, "conv1.stitch").unwrap()).len(), 2);
    let own = values(parameters.theta(1, "fc.stitch").unwrap());
    assert!((own[0] - 0.1).abs() < 1e-12 && (own[1] - 0.9).abs() < 1e-12);
    assert_eq!(parameters.theta(0, "conv2.weight").unwrap().dims(), [10, 5, 5, 5]);

    // If every unit is the identity, task 0 has a network of its own, with its share of the widths.
    let identity = parameters.map(|name, tensor| {
        if name.layer.ends_with(".stitch") {
            Ok(Tensor::new(if name.task == 0 { &[1.0, 0.0] } else { &[0.0, 1.0] }, &Device::Cpu)?)
        } else {
            Ok(tensor.clone())
        }
    });
    let identity = identity.unwrap();
    let alone = lenet([5, 10, 25], &[5], Fusion::Concat);
    let own: Parameters = identity
        .iter()
        .filter(|(name, _)| name.task == 0 && !name.layer.ends_with(".stitch"))
        .map(|(name, tensor)| (name.clone(), tensor.clone()))
        .collect();
    let got = values(&network.forward(&identity, 0, &digits(2)).unwrap());
    let want = values(&alone.forward(&own, 0, &digits(2)).unwrap());
    assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12));

    // If the unit after the last layer picks the other task's features, the head reads those.
    let mut crossed = identity.clone();
    crossed.insert(ParameterName::theta(0, "fc.stitch"), Tensor::new(&[0.0, 1.0], &Device::Cpu).unwrap());
    assert_ne!(values(&network.forward(&crossed, 0, &digits(2)).unwrap()), got);

    // The units learn: they get gradients.
    let leaves = parameters.track(|name| name.task == 0).unwrap();
    let output = network.forward(&leaves, 0, &digits(2)).unwrap();
    let gradients = leaves.backward(&output.sqr().unwrap().sum_all().unwrap()).unwrap();
    for layer in ["conv1.stitch", "conv2.stitch", "fc.stitch"] {
        assert!(values(gradients.theta(0, layer).unwrap()).iter().all(|&g| g != 0.0), "{layer}");
    }
}

#[test]
fn batch_norm_needs_no_groups_and_sees_the_whole_batch() {
    let unet = |statistics| {
        let heads = vec![Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];
        UNet::new(UNetConfig { in_channels: 1, base: 6, depth: 1, statistics, heads, ..UNetConfig::default() })
    };
    // Six channels cannot be divided into four groups; batch normalisation has no groups.
    assert!(unet(Statistics::Group { groups: 4 }).is_err());
    let (by_group, by_batch) = (unet(Statistics::Group { groups: 2 }).unwrap(), unet(Statistics::Batch).unwrap());
    let parameters = initial(&by_batch);
    parameters.check_compatible(&initial(&by_group)).unwrap();
    let images = digits(2);
    for task in 0..2 {
        let first = |network: &UNet, images: &Tensor| {
            values(&network.forward(&parameters, task, images).unwrap().narrow(0, 0, 1).unwrap())
        };
        let alone = images.narrow(0, 0, 1).unwrap();
        let differ = |network: &UNet| {
            let pairs = first(network, &images).into_iter().zip(first(network, &alone));
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        assert!(differ(&by_batch) > 1e-6 && differ(&by_group) < 1e-12, "task {task}");
    }
    // One step of gradient descent decreases the loss.
    let leaves = parameters.track(|_| true).unwrap();
    let loss = |parameters: &Parameters| {
        let output = by_batch.forward(parameters, 0, &images).unwrap();
        output.sqr().unwrap().mean_all().unwrap()
    };
    let before = loss(&leaves);
    let gradients = leaves.backward(&before).unwrap();
    assert!(gradients.iter().all(|(_, gradient)| values(gradient).iter().all(|value| value.is_finite())));
    let stepped = parameters.map(|name, tensor| match gradients.get(name) {
        Some(gradient) => Ok((tensor - (gradient * 1e-3)?)?),
        None => Ok(tensor.clone()),
    });
    let [before, after] = [before, loss(&stepped.unwrap())].map(|loss| loss.to_scalar::<f64>().unwrap());
    assert!(after.is_finite() && after < before, "{before} to {after}");
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let message = |config: LeNetConfig| LeNet::new(config).unwrap_err().to_string();
    let base = LeNet::mnist(&[5, 5, 5]);
    assert!(message(LeNetConfig { conv1: 2, ..base.clone() }).contains("2 channels cannot be shared by 3 tasks"));
    assert!(message(LeNetConfig { input: (1, 15, 28), ..base.clone() }).contains("15x28 input is too small"));
    assert!(message(LeNetConfig { classes: vec![], ..base.clone() }).contains("at least one task"));
    let uneven = message(LeNetConfig { fusion: Fusion::CrossStitch, ..base });
    assert!(uneven.contains("divide evenly") && uneven.contains("[4, 3, 3]"), "{uneven}");
    let network: Box<dyn Network> = Box::new(lenet([10, 20, 50], &[5, 5], Fusion::Concat));
    let message = Independent::new(vec![network]).err().unwrap().to_string();
    assert!(message.contains("2 tasks, expected 1"), "{message}");
}

#[test]
fn parameters_are_counted() {
    let count = |network: &dyn Network| initial(network).element_count();
    // 10 (25 + 1) + 20 (250 + 1) + 50 (320 + 1) and two heads of 5 (50 + 1).
    assert_eq!(count(&lenet([10, 20, 50], &[5, 5], Fusion::Concat)), 260 + 5020 + 16050 + 2 * 255);
    let alone = || -> Box<dyn Network> { Box::new(lenet([10, 20, 50], &[5], Fusion::Concat)) };
    assert_eq!(count(&Independent::new(vec![alone(), alone()]).unwrap()), 2 * (260 + 5020 + 16050 + 255));
    let stitched = count(&lenet([10, 20, 50], &[5, 5], Fusion::CrossStitch));
    assert_eq!(stitched, 2 * (5 * 26 + 10 * 126 + 25 * 161 + 5 * 26 + 3 * 2));
}

#[test]
fn independent_networks_start_differently_and_seeds_matter() {
    let alone = || -> Box<dyn Network> { Box::new(lenet([10, 20, 50], &[5], Fusion::Concat)) };
    let network = Independent::new(vec![alone(), alone()]).unwrap();
    let weights = |seed, task| {
        let parameters = network.initial_parameters(seed, DType::F64, &Device::Cpu).unwrap();
        values(parameters.theta(task, "conv1.weight").unwrap())
    };
    let all = [weights(0, 0), weights(0, 1), weights(1, 0), weights(1, 1)];
    for (index, one) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other != one));
        assert!(one.iter().all(|w| w.abs() <= 0.2 + 1e-12) && one.iter().any(|w| w.abs() > 0.15), "U(-1/5, 1/5)");
    }
}
