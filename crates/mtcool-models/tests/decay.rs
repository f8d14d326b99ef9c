//! Which parameters decay if the optimiser decays weights only: kernels and matrices do; biases, norms and fusion weights do not.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device};
use mtcool_core::Network;
use mtcool_models::{
    Architecture, CrossStitch, Experts, Fusion, Head, Independent, LeNet, LeNetConfig, UNet, UNetConfig,
};
use mtcool_ops::Statistics;

fn lenet(classes: &[usize], fusion: Fusion) -> Box<dyn Network> {
    Box::new(LeNet::new(LeNetConfig { fusion, ..LeNet::mnist(classes) }).unwrap())
}

#[test]
fn kernels_and_matrices_decay_and_nothing_else_does() {
    let heads = vec![Head::Segmentation { classes: 3 }, Head::Classification { classes: 2 }];
    let statistics = Statistics::Group { groups: 2 };
    let unet = |architecture| -> Box<dyn Network> {
        let heads = heads.clone();
        let config = UNetConfig { base: 4, depth: 2, architecture, statistics, heads, ..UNetConfig::default() };
        Box::new(UNet::new(config).unwrap())
    };
    let other = |architecture| -> Box<dyn Network> {
        Box::new(LeNet::new(LeNetConfig { architecture, ..LeNet::mnist(&[5, 5]) }).unwrap())
    };
    let networks = [
        lenet(&[5, 5], Fusion::Concat),
        lenet(&[5, 5], Fusion::CrossStitch),
        unet(Architecture::HardSharing),
        unet(Architecture::CrossStitch(CrossStitch::default())),
        unet(Architecture::Mtan),
        other(Architecture::CrossStitch(CrossStitch::default())),
        other(Architecture::Mtan),
        other(Architecture::Experts(Experts::cgc(1, 1))),
        Box::new(Independent::new(vec![lenet(&[4], Fusion::Concat), lenet(&[5], Fusion::Concat)]).unwrap()),
    ];
    let mut left_out = Vec::new();
    for network in networks {
        let parameters = network.initial_parameters(0, DType::F32, &Device::Cpu).unwrap();
        for (name, tensor) in parameters.iter() {
            let is_weight = name.layer.ends_with(".weight") && !name.layer.contains("norm");
            assert_eq!(network.decays(name), is_weight, "{name}");
            // In these networks, exactly the vectors are left out.
            assert_eq!(is_weight, tensor.rank() > 1, "{name}");
            if !is_weight {
                left_out.push(name.layer.clone());
            }
        }
    }
    for layer in [
        "conv1.bias",
        "conv1.stitch",
        "enc2.stitch",
        "attention1.g.norm.bias",
        "attention1.h.bias",
        "gate.bias",
        "enc0.norm1.weight",
        "dec1.norm0.bias",
        "up0.bias",
        "fc.bias",
    ] {
        assert!(left_out.iter().any(|other| other == layer), "no `{layer}` among {left_out:?}");
    }
}
