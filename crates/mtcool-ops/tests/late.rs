//! Gradients of large weights that are computed later, by rows, against the gradients of the same recording at once.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod numbers;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use mtcool_ops::{
    Activation, Conv2d, LateGradient, Linear, Recording, Rows, conv2d, cross_entropy, flatten_features, linear,
    recorded, stack_rows,
};

use numbers::{flat, tensor};

/// A convolution whose rows have two owners, a linear layer whose rows have two owners, and a small head.
const SHAPES: [&[usize]; 8] = [&[3, 3, 3, 3], &[4, 3, 3, 3], &[7], &[5, 63], &[6, 63], &[11], &[2, 11], &[2]];
/// The leaves of the kernel, of the linear layer's weight and of the head's.
const KERNEL: [usize; 2] = [0, 1];
const FC: [usize; 2] = [3, 4];
const HEAD: [usize; 1] = [6];

fn network(leaves: &[Tensor], x: &Tensor, rows: &Rows) -> Result<Tensor> {
    let kernel = stack_rows(&[&leaves[0], &leaves[1]])?;
    let relu = Activation::Relu;
    let x = conv2d(x, &kernel, Some(&leaves[2]), Conv2d { activation: relu, ..Conv2d::default() })?;
    let weight = stack_rows(&[&leaves[3], &leaves[4]])?;
    let fc = Linear { activation: relu, rows: rows.clone(), ..Linear::default() };
    let x = linear(&flatten_features(&x)?, &weight, &leaves[5], fc)?;
    linear(&x, &leaves[6], &leaves[7], Linear::default())
}

#[derive(Default)]
struct Gradients {
    known: Mutex<Vec<(TensorId, Tensor)>>,
    late: Mutex<Vec<LateGradient>>,
}

impl Gradients {
    fn known(&self, variable: &Tensor) -> Option<Vec<f64>> {
        self.known.lock().unwrap().iter().find(|(id, _)| *id == variable.id()).map(|(_, gradient)| flat(gradient))
    }
}

fn variables(dtype: DType) -> Vec<Tensor> {
    let variable = |(at, shape): (usize, &&[usize])| {
        let values = (tensor(shape, at as u64 + 1) * 0.5).unwrap().to_dtype(dtype).unwrap();
        Var::from_tensor(&values).unwrap().into_inner()
    };
    SHAPES.iter().enumerate().map(variable).collect()
}

/// The gradients of a pass over `body`'s outputs `[B, 2]`.
fn gradients(wants_late: bool, batch: usize, body: impl FnOnce(&Recording) -> Result<Tensor>) -> Arc<Gradients> {
    let gradients = Arc::new(Gradients::default());
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let (receiver, late_receiver) = (gradients.clone(), gradients.clone());
    let deliver = Arc::new(move |variable, gradient| receiver.known.lock().unwrap().push((variable, gradient)));
    let outputs = recorded(&anchor, deliver, |recording| {
        let take = Arc::new(move |gradient| late_receiver.late.lock().unwrap().push(gradient));
        recording.leave_late_to(Arc::new(AtomicBool::new(wants_late)), take);
        Ok(vec![body(recording)?])
    });
    let outputs = outputs.unwrap();
    let targets = Tensor::from_vec((0..batch as u32).map(|n| n % 2).collect(), batch, &Device::Cpu).unwrap();
    cross_entropy(&outputs[0], &targets).unwrap().backward().unwrap();
    gradients
}

fn pass(variables: &[Tensor], batch: usize, wants_late: bool, rows: &Rows) -> Arc<Gradients> {
    let x = tensor(&[batch, 3, 5, 5], 77).to_dtype(variables[0].dtype()).unwrap();
    gradients(wants_late, batch, |recording| {
        let leaves = variables.iter().map(|variable| recording.leaf(variable)).collect::<Result<Vec<_>>>()?;
        network(&leaves, &x, rows)
    })
}

/// The numbers of the leaves of each late gradient.
fn leaves_of_late(variables: &[Tensor], gradients: &Gradients) -> Vec<Vec<usize>> {
    let number = |id: TensorId| variables.iter().position(|variable| variable.id() == id).unwrap();
    let late = gradients.late.lock().unwrap();
    let mut leaves: Vec<Vec<usize>> =
        late.iter().map(|late| late.variables().iter().map(|(id, _)| number(*id)).collect()).collect();
    leaves.sort();
    leaves
}

#[test]
fn rows_of_late_gradients_are_those_of_the_whole_gradient() {
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
        // What is late depends on the size of the weight and of the output: C k^2 > B H W, and I > B.
        for (batch, want_late) in [
            (2, vec![KERNEL.to_vec(), FC.to_vec(), HEAD.to_vec()]),
            (9, vec![FC.to_vec(), HEAD.to_vec()]),
            (16, vec![FC.to_vec()]),
            (63, vec![]),
        ] {
            let variables = variables(dtype);
            let [at_once, late] = [false, true].map(|late| pass(&variables, batch, late, &Rows::All));
            assert!(at_once.late.lock().unwrap().is_empty());
            assert_eq!(leaves_of_late(&variables, &late), want_late, "batch {batch}");
            for (at, variable) in variables.iter().enumerate() {
                let want = at_once.known(variable);
                match late.known(variable) {
                    Some(known) => assert_eq!(Some(known), want, "leaf {at}: one that is not late has the same bits"),
                    None => assert!(want_late.iter().flatten().any(|late| *late == at), "leaf {at} is lost"),
                }
            }
            for late in late.late.lock().unwrap().iter() {
                let wanted: Vec<f64> = late
                    .variables()
                    .iter()
                    .flat_map(|(id, _)| at_once.known(variables.iter().find(|v| v.id() == *id).unwrap()).unwrap())
                    .collect();
                let count: usize = late.variables().iter().map(|(_, rows)| rows).sum();
                let largest = wanted.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
                for rows_at_once in [count, 1, 2] {
                    let starts = (0..count).step_by(rows_at_once);
                    let blocks = starts.map(|start| late.rows(start..count.min(start + rows_at_once)).unwrap());
                    let got: Vec<f64> = blocks.flat_map(|block| flat(&block)).collect();
                    assert_eq!(got.len(), wanted.len());
                    for (got, want) in got.iter().zip(&wanted) {
                        assert!((got - want).abs() <= tolerance * largest, "{got} against {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_weight_that_is_read_twice_or_trains_in_part_is_not_late() {
    let variables = variables(DType::F64);
    let in_part = pass(&variables, 2, true, &Rows::Only(0..5));
    assert_eq!(leaves_of_late(&variables, &in_part), [KERNEL.to_vec(), HEAD.to_vec()]);

    // The head's weight, also as part of a stack that another layer reads.
    let x = tensor(&[2, 11], 5);
    let twice = |wants_late| {
        gradients(wants_late, 2, |recording| {
            let leaves = [6, 7].map(|at| recording.leaf(&variables[at]).unwrap());
            let first = linear(&x, &leaves[0], &leaves[1], Linear::default())?;
            let stacked = stack_rows(&[&leaves[0], &leaves[0]])?;
            let bias = stack_rows(&[&leaves[1], &leaves[1]])?;
            let second = linear(&x, &stacked, &bias, Linear::default())?;
            linear(&mtcool_ops::relu(&second)?, &tensor(&[2, 4], 6), &first.detach().get(0)?, Linear::default())
        })
    };
    let [at_once, late] = [false, true].map(twice);
    assert!(late.late.lock().unwrap().is_empty());
    assert!(late.known(&variables[6]).is_some_and(|gradient| Some(gradient) == at_once.known(&variables[6])));
}
