//! A U-Net that computes the inside of its levels again against the same U-Net that keeps it: outputs, gradients and whole
//! trajectories of training, to the bit.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    Aggregator, Batch, BatchSource, Combination, Combine, GradientMethod, Gradients, Jacobian, Loss, LossWeighting,
    Method, Mtcool, MtcoolConfig, Network, Parameters, Problem, Result, Step, UniformNoise, UpdateOrder,
    UpdateSettings, Variant,
};
use mtcool_models::{Architecture, Classifier, CrossStitch, Head, Independent, MapGradient, MapOf, UNet, UNetConfig};
use mtcool_ops::{Precision, Statistics, cross_entropy};

const SEGMENTATION: Head = Head::Segmentation { classes: 3 };
const CLASSIFICATION: Head = Head::Classification { classes: 2 };
const DEPTH: usize = 2;

/// One, two and three tasks with heads of every kind, and a width that the tasks divide evenly or not.
fn configs() -> Vec<UNetConfig> {
    let group = |groups| Statistics::Group { groups };
    let usual = UNetConfig { in_channels: 2, depth: DEPTH, classifier_width: 8, ..UNetConfig::default() };
    let normalized = Classifier::Normalized { priors: None };
    let own_map = Head::Image { outputs: 2, map: MapOf::Own(2) };
    vec![
        UNetConfig { base: 4, statistics: group(2), heads: vec![SEGMENTATION], ..usual.clone() },
        UNetConfig { base: 5, statistics: Statistics::Batch, heads: vec![SEGMENTATION; 2], ..usual.clone() },
        UNetConfig {
            base: 4,
            statistics: group(4),
            heads: vec![SEGMENTATION, CLASSIFICATION],
            classifier: normalized.clone(),
            ..usual.clone()
        },
        UNetConfig {
            base: 8,
            statistics: group(2),
            heads: vec![SEGMENTATION, CLASSIFICATION],
            map_gradient: MapGradient::Everything,
            precision: Precision::Bf16,
            ..usual.clone()
        },
        UNetConfig {
            base: 6,
            statistics: group(3),
            heads: vec![SEGMENTATION, CLASSIFICATION, own_map],
            classifier: normalized,
            ..usual.clone()
        },
        UNetConfig {
            base: 8,
            statistics: group(4),
            heads: vec![CLASSIFICATION, SEGMENTATION, SEGMENTATION],
            allocation: vec![2.0, 1.0, 1.0],
            map_gradient: MapGradient::None,
            ..usual.clone()
        },
        UNetConfig {
            base: 4,
            statistics: group(2),
            heads: vec![SEGMENTATION, CLASSIFICATION],
            architecture: Architecture::CrossStitch(CrossStitch::default()),
            ..usual.clone()
        },
        UNetConfig {
            base: 4,
            statistics: group(2),
            heads: vec![SEGMENTATION, SEGMENTATION],
            architecture: Architecture::Mtan,
            ..usual
        },
    ]
}

fn recomputing(config: &UNetConfig, recomputed_levels: usize) -> UNet {
    UNet::new(UNetConfig { recomputed_levels, ..config.clone() }).unwrap()
}

/// Images whose sides the poolings divide and vectors do not.
fn images(dtype: DType, seed: u64) -> Tensor {
    let mut generator = stream(seed, Purpose::Method, [0; 4], "photographs");
    uniform(&mut generator, 1.0, &(2, 2, 12, 20).into(), dtype, &Device::Cpu).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    let values = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    values.into_iter().map(f64::to_bits).collect()
}

fn bits_of(parameters: &Parameters) -> Vec<(String, Vec<u64>)> {
    parameters.iter().map(|(name, tensor)| (name.to_string(), bits(tensor))).collect()
}

/// Parameters that are not those at the start, where some weights are zero.
fn parameters(network: &dyn Network, dtype: DType) -> Parameters {
    let moved = network.initial_parameters(3, dtype, &Device::Cpu).unwrap();
    let moved = moved.map(|name, tensor| {
        let mut generator = stream(5, Purpose::Method, [0; 4], &name.to_string());
        Ok((tensor + uniform(&mut generator, 0.2, tensor.shape(), dtype, &Device::Cpu)?)?)
    });
    moved.unwrap()
}

fn losses(network: &dyn Network, leaves: &Parameters, images: &Tensor) -> Vec<Tensor> {
    let outputs = network.forward_all(leaves, &vec![images; network.tasks()]).unwrap();
    outputs.iter().map(|output| output.sqr().unwrap().mean_all().unwrap()).collect()
}

/// Gradients of each loss of a shared forward pass in turn and of their sum, where all parameters train and where those of one
/// task do. The last pass frees what was kept.
fn all_gradients(network: &dyn Network, dtype: DType) -> Vec<Vec<(String, Vec<u64>)>> {
    let (parameters, images) = (parameters(network, dtype), images(dtype, 1));
    let mut all = Vec::new();
    for active in [None, Some(0), Some(network.tasks() - 1)] {
        let leaves = parameters.track(|name| active.is_none_or(|task| name.task == task)).unwrap();
        let losses = losses(network, &leaves, &images);
        all.push(losses.iter().enumerate().map(|(task, loss)| (task.to_string(), bits(loss))).collect());
        for loss in losses.iter().filter(|loss| loss.track_op()) {
            all.push(bits_of(&leaves.backward(loss).unwrap()));
        }
        let total = losses.into_iter().reduce(|a, b| (a + b).unwrap()).unwrap();
        let [kept, used_up] = [leaves.backward(&total), leaves.backward_last(&total)].map(|gradients| {
            let gradients: Gradients = gradients.unwrap();
            assert!(!gradients.is_empty());
            bits_of(&gradients)
        });
        assert!(kept == used_up, "other gradients where the pass uses up what is kept");
        all.push(kept);
    }
    all
}

#[test]
fn losses_and_gradients_have_the_same_bits() {
    for (index, config) in configs().iter().enumerate() {
        let dtypes = if config.precision == Precision::Full { &[DType::F32, DType::F64][..] } else { &[DType::F32] };
        for &dtype in dtypes {
            let want = all_gradients(&recomputing(config, 0), dtype);
            for levels in 1..=DEPTH + 1 {
                assert!(
                    all_gradients(&recomputing(config, levels), dtype) == want,
                    "{index}: {levels} levels, {dtype:?}"
                );
            }
        }
    }
}

#[test]
fn separate_networks_and_single_tasks_have_the_same_bits() {
    let config = UNetConfig { heads: vec![SEGMENTATION], ..configs().remove(0) };
    let apart = |levels| {
        let network = || -> Box<dyn Network> { Box::new(recomputing(&config, levels)) };
        Independent::new(vec![network(), network()]).unwrap()
    };
    assert!(all_gradients(&apart(DEPTH + 1), DType::F32) == all_gradients(&apart(0), DType::F32));
    for config in configs() {
        let of_tasks = |levels: usize| -> Vec<Vec<(String, Vec<u64>)>> {
            let network = recomputing(&config, levels);
            let (parameters, images) = (parameters(&network, DType::F32), images(DType::F32, 2));
            let of_task = |task: usize| {
                let leaves = parameters.track(|_| true).unwrap();
                let loss = network.forward(&leaves, task, &images).unwrap().sqr().unwrap().mean_all().unwrap();
                bits_of(&leaves.backward_last(&loss).unwrap())
            };
            (0..network.tasks()).map(of_task).collect()
        };
        assert!(of_tasks(DEPTH + 1) == of_tasks(0));
    }
}

/// New images for each batch.
struct Drawn {
    heads: Vec<Head>,
    drawn: Vec<u64>,
}

impl BatchSource for Drawn {
    fn next(&mut self, task: usize) -> Result<Batch> {
        self.drawn[task] += 1;
        let input = images(DType::F32, self.drawn[task]);
        let numbers = |count: u32, of: u32| (0..count).map(|at| at.wrapping_mul(2_654_435_761) / 7 % of).collect();
        let target = match self.heads[task] {
            Head::Segmentation { classes } => {
                Tensor::from_vec(numbers(480, classes as u32), (2, 12, 20), &Device::Cpu)?
            }
            _ => Tensor::from_vec(numbers(2, 2), 2, &Device::Cpu)?,
        };
        Ok(Batch { input, target })
    }

    /// All tasks share their images, so that a network computes the shared features once.
    fn next_all(&mut self, tasks: usize) -> Result<Vec<Batch>> {
        let mut batches = (0..tasks).map(|task| self.next(task)).collect::<Result<Vec<_>>>()?;
        let input = batches[0].input.clone();
        batches.iter_mut().for_each(|batch| batch.input = input.clone());
        Ok(batches)
    }
}

/// The sum of the losses, and the sum of their gradients.
struct Sum;

impl LossWeighting for Sum {
    fn weights(&mut self, losses: &[f64], _: u64) -> Result<Vec<f64>> {
        Ok(vec![1.0; losses.len()])
    }
}

impl Aggregator for Sum {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _: u64) -> Result<Combination> {
        Ok(Combination::Weights(vec![1.0; jacobian.tasks()]))
    }
}

/// Losses and parameters of four steps.
fn trajectory(config: &UNetConfig, levels: usize, mut method: Box<dyn Method>) -> Vec<(String, Vec<u64>)> {
    let network = recomputing(config, levels);
    let losses: Vec<Loss> = config.heads.iter().map(|_| -> Loss { Box::new(cross_entropy) }).collect();
    let mut parameters = network.initial_parameters(1, DType::F32, &Device::Cpu).unwrap();
    let problem = Problem::new(Box::new(network), losses).unwrap();
    let mut batches = Drawn { heads: config.heads.clone(), drawn: vec![0; config.heads.len()] };
    let mut all = Vec::new();
    for at in 0..4 {
        let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut batches, progress: 0.0 };
        let report = method.step(step).unwrap().check_finite().unwrap();
        let told = report.iter().flat_map(|entry| [entry.loss.to_bits(), entry.regularizer.to_bits()]);
        all.push((format!("step {at}"), told.collect()));
        all.extend(bits_of(&parameters));
    }
    all
}

/// MT-COOL perturbs the other tasks' weights: what is computed again must see the same perturbed weights, for each draw.
#[test]
fn trajectories_have_the_same_bits() {
    for config in configs().iter().filter(|config| config.heads.len() > 1) {
        let mtcool = |schedule| -> Box<dyn Method> {
            let settings = MtcoolConfig {
                variant: Variant::Full,
                samples: 2,
                bound: 0.05,
                warmup_iterations: 1,
                schedule,
                ..MtcoolConfig::default()
            };
            Box::new(Mtcool::new(settings, Box::new(UniformNoise::new(7, 0.05).unwrap())).unwrap())
        };
        let gradient = |combine: Combine| -> Box<dyn Method> {
            Box::new(GradientMethod::new(combine, 0.05, UpdateSettings::default()).unwrap())
        };
        for schedule in [UpdateOrder::GaussSeidel, UpdateOrder::Jacobi] {
            let want = trajectory(config, 0, mtcool(schedule));
            assert!(trajectory(config, DEPTH + 1, mtcool(schedule)) == want, "{config:?}");
            assert!(trajectory(config, 1, mtcool(schedule)) == want, "{config:?}");
        }
        for combine in [|| Combine::Losses(Box::new(Sum)), || Combine::Gradients(Box::new(Sum))] {
            let want = trajectory(config, 0, gradient(combine()));
            assert!(trajectory(config, DEPTH + 1, gradient(combine())) == want, "{config:?}");
            assert!(trajectory(config, 2, gradient(combine())) == want, "{config:?}");
        }
    }
}

#[test]
fn more_levels_than_there_are_are_refused() {
    let config = UNetConfig { recomputed_levels: DEPTH + 2, ..configs().remove(0) };
    let message = UNet::new(config).unwrap_err().to_string();
    assert!(message.contains("4 levels") && message.contains("at most 3"), "{message}");
}
