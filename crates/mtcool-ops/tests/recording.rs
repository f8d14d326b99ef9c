//! A recording against candle's graph over the same operations: outputs to the bit, gradients of every leaf.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod numbers;

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use mtcool_ops::{
    ChainInput, Conv2d, ConvNormUnit, Linear, MaxPool2d, Norm, Statistics, conv_norm_chain, conv2d, cross_entropy,
    join_channels, linear, max_pool2d, mean_pixels, pooled_softmax, recorded, stack_rows,
};

use numbers::{flat, tensor};

const SHAPES: [&[usize]; 16] = [
    &[3, 2, 3, 3], // the kernel's rows of one owner,
    &[1, 2, 3, 3], // and of another
    &[4],
    &[4],
    &[8, 4, 3, 3], // a level down
    &[8],
    &[8],
    &[8, 4, 2, 2], // up again
    &[4],
    &[4, 8, 3, 3],
    &[4],
    &[4],
    &[3, 4, 1, 1], // classes of pixels
    &[3],
    &[2, 11], // and of images
    &[2],
];

/// A U-Net of one level with a map and a class, on leaves of [`SHAPES`].
fn network(leaves: &[Tensor], x: &Tensor) -> Result<Vec<Tensor>> {
    let norm =
        Norm { statistics: Statistics::Group { groups: 2 }, eps: 1e-5, activation: mtcool_ops::Activation::Relu };
    let conv = Conv2d { padding: 1, ..Conv2d::default() };
    let unit = |kernel: Tensor, at: usize| ConvNormUnit {
        kernel,
        weight: leaves[at].clone(),
        bias: leaves[at + 1].clone(),
        conv: conv.clone(),
    };
    let kernel = stack_rows(&[&leaves[0], &leaves[1]])?;
    let skip = conv_norm_chain(ChainInput::Map(x), &[unit(kernel, 2)], norm)?;
    let low = max_pool2d(&skip, MaxPool2d::tiling(2))?;
    let low = conv_norm_chain(ChainInput::Map(&low), &[unit(leaves[4].clone(), 5)], norm)?;
    let raised = ChainInput::Raised { skip: &skip, low: &low, kernel: &leaves[7], bias: &leaves[8] };
    let high = conv_norm_chain(raised, &[unit(leaves[9].clone(), 10)], norm)?;
    let map = conv2d(&high, &leaves[12], Some(&leaves[13]), Conv2d::default())?;
    let joined = join_channels(&low, &pooled_softmax(&map, 2)?)?;
    let class = linear(&mean_pixels(&joined)?, &leaves[14], &leaves[15], Linear::default())?;
    Ok(vec![map, class])
}

struct Setting {
    leaves: Vec<Tensor>,
    x: Tensor,
    targets: [Tensor; 2],
}

/// Leaves that are frozen are constants.
fn setting(dtype: DType, frozen: &[usize]) -> Setting {
    let leaf = |(at, shape): (usize, &&[usize])| {
        let tensor = (tensor(shape, at as u64 + 1) * 0.5).unwrap().to_dtype(dtype).unwrap();
        if frozen.contains(&at) { tensor } else { Var::from_tensor(&tensor).unwrap().into_inner() }
    };
    let classes = |count: u32, shape: &[usize], of: u32| {
        Tensor::from_vec((0..count).map(|at| at * 7 % of).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    };
    Setting {
        leaves: SHAPES.iter().enumerate().map(leaf).collect(),
        x: tensor(&[2, 2, 4, 6], 77).to_dtype(dtype).unwrap(),
        targets: [classes(48, &[2, 4, 6], 3), classes(2, &[2], 2)],
    }
}

impl Setting {
    fn losses(&self, outputs: &[Tensor]) -> Vec<Tensor> {
        outputs.iter().zip(&self.targets).map(|(output, target)| cross_entropy(output, target).unwrap()).collect()
    }

    /// Outputs and, of the losses picked, the gradients of the leaves, by candle's graph.
    fn by_graph(&self, picked: &[usize]) -> (Vec<Tensor>, Vec<Option<Vec<f64>>>) {
        let outputs = network(&self.leaves, &self.x).unwrap();
        let losses = self.losses(&outputs);
        let total = picked.iter().map(|&at| losses[at].clone()).reduce(|a, b| (a + b).unwrap()).unwrap();
        let store = total.backward().unwrap();
        let of_leaf = |leaf: &Tensor| store.get(leaf).filter(|_| leaf.is_variable()).map(flat);
        (outputs, self.leaves.iter().map(of_leaf).collect())
    }
}

type Given = Arc<Mutex<Vec<(TensorId, Tensor)>>>;

fn record(setting: &Setting) -> (Vec<Tensor>, Given) {
    let given = Given::default();
    let receiver = given.clone();
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let deliver = Arc::new(move |leaf, gradient| receiver.lock().unwrap().push((leaf, gradient)));
    (recorded(&anchor, deliver, || network(&setting.leaves, &setting.x)).unwrap(), given)
}

fn of_leaves(setting: &Setting, given: &Given) -> Vec<Option<Vec<f64>>> {
    let given = std::mem::take(&mut *given.lock().unwrap());
    let of_leaf = |leaf: &Tensor| given.iter().find(|(id, _)| *id == leaf.id()).map(|(_, gradient)| flat(gradient));
    setting.leaves.iter().map(of_leaf).collect()
}

fn assert_close(got: &[Option<Vec<f64>>], want: &[Option<Vec<f64>>], tolerance: f64) {
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        match (got, want) {
            (Some(got), Some(want)) => {
                assert_eq!(got.len(), want.len(), "leaf {at}");
                for (got, want) in got.iter().zip(want) {
                    assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "leaf {at}: {got} against {want}");
                }
            }
            (None, None) => {}
            _ => panic!("leaf {at}: {} against {}", got.is_some(), want.is_some()),
        }
    }
}

#[test]
fn a_recording_is_the_graph_of_its_operations() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
        for frozen in [&[][..], &[0], &[1, 4, 5, 6], &[7, 8, 9, 10, 11, 12, 13], &[14, 15]] {
            let setting = setting(dtype, frozen);
            let (outputs, given) = record(&setting);
            let losses = setting.losses(&outputs);
            // Backward passes of single losses and of both, over one forward pass.
            for picked in [&[0, 1][..], &[1], &[0], &[0, 1]] {
                let (want, gradients) = setting.by_graph(picked);
                for (output, want) in outputs.iter().zip(&want) {
                    assert_eq!(flat(output), flat(want));
                }
                let total = picked.iter().map(|&at| losses[at].clone()).reduce(|a, b| (a + b).unwrap()).unwrap();
                total.backward().unwrap();
                assert_close(&of_leaves(&setting, &given), &gradients, tolerance);
            }
        }
    }
}

#[test]
fn what_trains_nothing_is_a_constant() {
    let setting = setting(DType::F32, &(0..SHAPES.len()).collect::<Vec<_>>());
    let (outputs, _) = record(&setting);
    assert!(outputs.iter().all(|output| !output.track_op()));
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let deliver = || -> mtcool_ops::Deliver { Arc::new(|_, _| ()) };
    let leaf = Var::from_tensor(&tensor(&[1, 1, 2, 2], 1)).unwrap();
    let message = |body: &dyn Fn() -> Result<Vec<Tensor>>| recorded(&anchor, deliver(), body).unwrap_err().to_string();
    let outside = (leaf.as_tensor() * 2.0).unwrap();
    let of_outside = message(&|| Ok(vec![mean_pixels(&outside)?]));
    assert!(of_outside.contains("not of mtcool-ops"), "{of_outside}");
    let inside = message(&|| Ok(vec![mean_pixels(&(join_channels(&leaf, &leaf)? * 2.0)?)?]));
    assert!(inside.contains("not of mtcool-ops"), "{inside}");
    let last = message(&|| Ok(vec![(mean_pixels(&leaf)? * 2.0)?]));
    assert!(last.contains("not of mtcool-ops"), "{last}");
    let constant = recorded(&anchor.detach(), deliver(), || Ok(Vec::new())).unwrap_err().to_string();
    assert!(constant.contains("anchor is a constant"), "{constant}");
    let nested = message(&|| recorded(&anchor, deliver(), || Ok(Vec::new())));
    assert!(nested.contains("inside another"), "{nested}");
    // After an error, operations leave candle's graph again.
    assert!(mean_pixels(&leaf).unwrap().track_op());
}
