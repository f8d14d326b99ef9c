//! A recording against candle's graph over the same operations: outputs to the bit, gradients of every leaf.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod numbers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use mtcool_ops::{
    ChainInput, Conv2d, ConvNormUnit, Deliver, Linear, MaxPool2d, Norm, Recording, Statistics, conv_norm_chain, conv2d,
    cross_entropy, join_channels, linear, max_pool2d, mean_pixels, pooled_softmax, recomputed, recorded, stack_rows,
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

/// What is between the levels: `body` on the operands, kept or computed again.
type Inside = fn(&[&Tensor], fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor>;

const KEPT: Inside = |operands, body| body(&operands.iter().map(|&operand| operand.clone()).collect::<Vec<_>>());
const AGAIN: Inside = |operands, body| recomputed(operands, body);

/// A U-Net of one level with a map and a class, on leaves of [`SHAPES`].
fn network(leaves: &[Tensor], x: &Tensor, inside: Inside) -> Result<Vec<Tensor>> {
    fn norm() -> Norm {
        Norm { statistics: Statistics::Group { groups: 2 }, eps: 1e-5, activation: mtcool_ops::Activation::Relu }
    }
    fn unit(kernel: &Tensor, weight: &Tensor, bias: &Tensor) -> ConvNormUnit {
        let conv = Conv2d { padding: 1, ..Conv2d::default() };
        ConvNormUnit { kernel: kernel.clone(), weight: weight.clone(), bias: bias.clone(), conv }
    }
    let with = |maps: &[&Tensor], range: std::ops::Range<usize>, body| {
        inside(&maps.iter().copied().chain(&leaves[range]).collect::<Vec<_>>(), body)
    };
    let skip = with(&[x], 0..4, |of| {
        conv_norm_chain(ChainInput::Map(&of[0]), &[unit(&stack_rows(&[&of[1], &of[2]])?, &of[3], &of[4])], norm())
    })?;
    let low = with(&[&skip], 4..7, |of| {
        let low = max_pool2d(&of[0], MaxPool2d::tiling(2))?;
        conv_norm_chain(ChainInput::Map(&low), &[unit(&of[1], &of[2], &of[3])], norm())
    })?;
    let map = with(&[&skip, &low], 7..14, |of| {
        let raised = ChainInput::Raised { skip: &of[0], low: &of[1], kernel: &of[2], bias: &of[3] };
        let high = conv_norm_chain(raised, &[unit(&of[4], &of[5], &of[6])], norm())?;
        conv2d(&high, &of[7], Some(&of[8]), Conv2d::default())
    })?;
    let joined = join_channels(&low, &pooled_softmax(&map, 2)?)?;
    let class = linear(&mean_pixels(&joined)?, &leaves[14], &leaves[15], Linear::default())?;
    Ok(vec![map, class])
}

struct Setting {
    leaves: Vec<Tensor>,
    x: Tensor,
    targets: [Tensor; 2],
}

/// A setting of small maps, in which the leaves at `frozen` are constants.
fn setting(dtype: DType, frozen: &[usize]) -> Setting {
    setting_of_size(dtype, frozen, [4, 6])
}

/// [`setting`] with maps of `height` x `width`.
fn setting_of_size(dtype: DType, frozen: &[usize], [height, width]: [usize; 2]) -> Setting {
    let leaf = |(at, shape): (usize, &&[usize])| {
        let tensor = (tensor(shape, at as u64 + 1) * 0.5).unwrap().to_dtype(dtype).unwrap();
        if frozen.contains(&at) { tensor } else { Var::from_tensor(&tensor).unwrap().into_inner() }
    };
    let classes = |count: u32, shape: &[usize], of: u32| {
        Tensor::from_vec((0..count).map(|at| at * 7 % of).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    };
    Setting {
        leaves: SHAPES.iter().enumerate().map(leaf).collect(),
        x: tensor(&[2, 2, height, width], 77).to_dtype(dtype).unwrap(),
        targets: [classes((2 * height * width) as u32, &[2, height, width], 3), classes(2, &[2], 2)],
    }
}

impl Setting {
    fn losses(&self, outputs: &[Tensor]) -> Vec<Tensor> {
        outputs.iter().zip(&self.targets).map(|(output, target)| cross_entropy(output, target).unwrap()).collect()
    }

    /// Outputs and, of the losses picked, the gradients of the leaves, by candle's graph.
    fn by_graph(&self, picked: &[usize]) -> (Vec<Tensor>, Vec<Option<Vec<f64>>>) {
        let outputs = network(&self.leaves, &self.x, KEPT).unwrap();
        let losses = self.losses(&outputs);
        let total = picked.iter().map(|&at| losses[at].clone()).reduce(|a, b| (a + b).unwrap()).unwrap();
        let store = total.backward().unwrap();
        let of_leaf = |leaf: &Tensor| store.get(leaf).filter(|_| leaf.is_variable()).map(flat);
        (outputs, self.leaves.iter().map(of_leaf).collect())
    }
}

type Given = Arc<Mutex<Vec<(TensorId, Tensor)>>>;

fn leaves_in(recording: &Recording, variables: &[Tensor]) -> Result<Vec<Tensor>> {
    variables.iter().map(|variable| recording.leaf(variable)).collect()
}

fn record(setting: &Setting) -> (Vec<Tensor>, Given) {
    record_by(setting, KEPT, Arc::default())
}

/// A recording whose last backward pass is the one that finds `is_last` true.
fn record_by(setting: &Setting, inside: Inside, is_last: Arc<AtomicBool>) -> (Vec<Tensor>, Given) {
    let given = Given::default();
    let receiver = given.clone();
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let deliver = Arc::new(move |leaf, gradient| receiver.lock().unwrap().push((leaf, gradient)));
    let body = |recording: &Recording| {
        recording.release_when(is_last);
        network(&leaves_in(recording, &setting.leaves)?, &setting.x, inside)
    };
    (recorded(&anchor, deliver, body).unwrap(), given)
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

/// The gradients of both losses of `setting` by a recording of its own.
fn recorded_gradients(setting: &Setting) -> Vec<Option<Vec<f64>>> {
    let (outputs, given) = record(setting);
    setting.losses(&outputs).into_iter().reduce(|a, b| (a + b).unwrap()).unwrap().backward().unwrap();
    of_leaves(setting, &given)
}

/// As a thread pool may do it: a second network's whole step, by a recording and by candle's graph, in the middle of the
/// first network's forward pass, on the same thread.
#[test]
fn networks_may_be_interleaved_on_one_thread() {
    let (first, second) = (setting(DType::F64, &[]), setting(DType::F64, &[1, 4]));
    let (want_first, want_second) = (recorded_gradients(&first), recorded_gradients(&second));
    assert!(want_first.iter().all(Option::is_some));
    let given = Given::default();
    let receiver = given.clone();
    let deliver: Deliver = Arc::new(move |leaf, gradient| receiver.lock().unwrap().push((leaf, gradient)));
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let outputs = recorded(&anchor, deliver, |recording| {
        let leaves = leaves_in(recording, &first.leaves)?;
        // A part of the first network, the second network, and the rest of the first.
        let early = mean_pixels(&stack_rows(&[&leaves[0], &leaves[1]])?)?;
        assert_eq!(recorded_gradients(&second), want_second);
        let (_, by_graph) = second.by_graph(&[0, 1]);
        assert_close(&by_graph, &want_second, 1e-12);
        let mut outputs = network(&leaves, &first.x, KEPT)?;
        outputs.push(early);
        Ok(outputs)
    });
    let outputs = outputs.unwrap();
    // The other order of backward passes: the second network's between the first one's forward and backward pass.
    assert_eq!(recorded_gradients(&second), want_second);
    first.losses(&outputs[..2]).into_iter().reduce(|a, b| (a + b).unwrap()).unwrap().backward().unwrap();
    assert_eq!(of_leaves(&first, &given), want_first);
}

/// Where threads wait for parallel work, they take other networks' work meanwhile, in forward and in backward passes.
#[test]
fn networks_may_share_a_thread_pool() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    // Maps so large that each operation is several jobs.
    let frozen = |at: usize| if at.is_multiple_of(2) { &[][..] } else { &[0, 9] };
    let settings: Vec<Setting> = (0..48).map(|at| setting_of_size(DType::F32, frozen(at), [48, 64])).collect();
    let want: Vec<_> = settings.iter().map(recorded_gradients).collect();
    let got = Mutex::new(vec![Vec::new(); settings.len()]);
    // From outside the pool, so that a thread that waits for a part of one network finds the next network first of all.
    pool.in_place_scope(|scope| {
        for (at, setting) in settings.iter().enumerate() {
            let got = &got;
            scope.spawn(move |_| {
                let gradients = recorded_gradients(setting);
                got.lock().unwrap()[at] = gradients;
            });
        }
    });
    assert!(got.into_inner().unwrap() == want, "other gradients in one pool than one after the other");
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let deliver = || -> Deliver { Arc::new(|_, _| ()) };
    let leaf = Var::from_tensor(&tensor(&[1, 1, 2, 2], 1)).unwrap();
    type Body<'a> = &'a dyn Fn(&Recording, &Tensor) -> Result<Tensor>;
    let message = |body: Body<'_>| {
        let body = |recording: &Recording| Ok(vec![body(recording, &recording.leaf(&leaf)?)?]);
        recorded(&anchor, deliver(), body).unwrap_err().to_string()
    };
    let outside = (leaf.as_tensor() * 2.0).unwrap();
    let of_outside = message(&|_, leaf| join_channels(leaf, &outside));
    assert!(of_outside.contains("not of mtcool-ops"), "{of_outside}");
    let as_leaf = message(&|recording, _| recording.leaf(&outside));
    assert!(as_leaf.contains("not of mtcool-ops"), "{as_leaf}");
    let inside = message(&|_, leaf| mean_pixels(&join_channels(leaf, &(leaf * 2.0)?)?));
    assert!(inside.contains("not of mtcool-ops"), "{inside}");
    let last = message(&|_, leaf| mean_pixels(leaf)? * 2.0);
    assert!(last.contains("not of mtcool-ops"), "{last}");
    let without_leaf = message(&|_, inside| join_channels(inside, &leaf));
    assert!(without_leaf.contains("Recording::leaf"), "{without_leaf}");
    let only_outside = message(&|_, _| mean_pixels(&outside));
    assert!(only_outside.contains("not of mtcool-ops"), "{only_outside}");
    let of_another = message(&|_, outer| {
        let inner = recorded(&anchor, deliver(), |recording| Ok(vec![join_channels(&recording.leaf(&leaf)?, outer)?]));
        Ok(inner?.swap_remove(0))
    });
    assert!(of_another.contains("another recording"), "{of_another}");
    let turned = message(&|_, leaf| mean_pixels(&leaf.t()?));
    assert!(turned.contains("not of mtcool-ops"), "{turned}");
    let constant = recorded(&anchor.detach(), deliver(), |_| Ok(Vec::new())).unwrap_err().to_string();
    assert!(constant.contains("anchor is a constant"), "{constant}");
    // After an error, operations still leave candle's graph.
    assert!(mean_pixels(&leaf).unwrap().track_op());
}

#[test]
fn what_is_computed_again_or_used_up_has_the_same_bits() {
    for dtype in [DType::F64, DType::F32] {
        for frozen in [&[][..], &[0], &[1, 4, 5, 6], &[0, 1, 2, 3], &[7, 8, 9, 10, 11, 12, 13], &[14, 15]] {
            let setting = setting(dtype, frozen);
            let (want, given) = record(&setting);
            let is_last: [Arc<AtomicBool>; 2] = Default::default();
            let others = [(KEPT, &is_last[0]), (AGAIN, &is_last[1])];
            let others = others.map(|(inside, is_last)| record_by(&setting, inside, is_last.clone()));
            let total = |outputs: &[Tensor], picked: &[usize]| {
                let losses = setting.losses(outputs);
                picked.iter().map(|&at| losses[at].clone()).reduce(|a, b| (a + b).unwrap()).unwrap()
            };
            // The last of the passes uses up what is kept.
            for (picked, last) in [(&[0, 1][..], false), (&[1], false), (&[0], false), (&[0, 1], true)] {
                total(&want, picked).backward().unwrap();
                let gradients = of_leaves(&setting, &given);
                is_last.iter().for_each(|is_last| is_last.store(last, Ordering::SeqCst));
                for (outputs, given) in &others {
                    for (output, want) in outputs.iter().zip(&want) {
                        assert!(flat(output) == flat(want));
                    }
                    total(outputs, picked).backward().unwrap();
                    assert!(of_leaves(&setting, given) == gradients, "{dtype:?} {frozen:?} {picked:?} {last}");
                }
            }
            for (outputs, _) in &others {
                let error = total(outputs, &[0, 1]).backward().unwrap_err().to_string();
                assert!(error.contains("said to be the last"), "{error}");
            }
        }
    }
}

#[test]
fn an_operand_may_be_given_twice_and_operations_may_be_nested() {
    let x = Var::from_tensor(&tensor(&[1, 2, 4, 4], 1)).unwrap();
    let gradient = |body: fn(&Tensor) -> Result<Tensor>| {
        let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let given = Given::default();
        let receiver = given.clone();
        let deliver = Arc::new(move |leaf, gradient| receiver.lock().unwrap().push((leaf, gradient)));
        let outputs = recorded(&anchor, deliver, |recording| Ok(vec![body(&recording.leaf(&x)?)?])).unwrap();
        outputs[0].sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let given = given.lock().unwrap();
        assert!(given.len() == 1 && given[0].0 == x.id());
        flat(&given[0].1)
    };
    let want = gradient(|x| mean_pixels(&join_channels(x, x)?));
    assert_eq!(gradient(|x| recomputed(&[x, x], |of| mean_pixels(&join_channels(&of[0], &of[1])?))), want);
    let nested =
        gradient(|x| recomputed(&[x], |of| recomputed(&[&join_channels(&of[0], &of[0])?], |of| mean_pixels(&of[0]))));
    assert_eq!(nested, want);
    // An operand as the output.
    assert_eq!(gradient(|x| recomputed(&[x], |of| Ok(of[0].clone()))), flat(&(x.as_tensor() * 2.0).unwrap()));
}

#[test]
fn what_cannot_be_computed_again_is_refused() {
    let anchor = Var::zeros(1, DType::F32, &Device::Cpu).unwrap().into_inner();
    let (leaf, outside) = (Var::from_tensor(&tensor(&[1, 1, 2, 2], 1)).unwrap(), tensor(&[1, 1, 2, 2], 2));
    let outside = Var::from_tensor(&outside).unwrap();
    let body = |recording: &Recording| {
        let (leaf, captured) = (recording.leaf(&leaf)?, recording.leaf(&outside)?);
        Ok(vec![recomputed(&[&leaf], move |of| join_channels(&of[0], &captured))?])
    };
    let message = recorded(&anchor, Arc::new(|_, _| ()), body).unwrap_err().to_string();
    assert!(message.contains("none of the operands"), "{message}");
    // Outside of a recording, candle's graph has the operations.
    let mean = recomputed(&[&leaf], |of| mean_pixels(&of[0])).unwrap();
    let store = mean.sum_all().unwrap().backward().unwrap();
    assert_eq!(flat(store.get(&leaf).unwrap()), [0.25; 4]);
}
