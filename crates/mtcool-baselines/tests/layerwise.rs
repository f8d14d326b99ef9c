//! Gradients that are computed layer by layer, against stored ones: the same Gramians, directions and trajectories, by methods that work
//! from the Gramian.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use mtcool_baselines::{CaGrad, GradNorm, Mgda, NashMtl, Normalization, PcGrad, Rescale, UpGrad};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    Aggregator, Batch, BatchSource, Combination, Combine, Convention, GradientMethod, GradientStorage, Jacobian, Loss,
    Method, Network, Parameters, Point, Problem, Result, Sgd, Step, UpdateSettings,
};
use mtcool_models::{Head, LeNet, LeNetConfig, UNet, UNetConfig};
use mtcool_ops::{Statistics, cross_entropy};

const CLASSES: usize = 3;

fn lenet(tasks: usize) -> Box<dyn Network> {
    Box::new(
        LeNet::new(LeNetConfig { conv1: 10, conv2: 10, hidden: 21, ..LeNet::mnist(&vec![CLASSES; tasks]) }).unwrap(),
    )
}

fn unet(tasks: usize) -> Box<dyn Network> {
    let heads = vec![Head::Segmentation { classes: CLASSES }; tasks];
    let sizes =
        UNetConfig { in_channels: 1, base: 10, depth: 2, statistics: Statistics::Batch, ..UNetConfig::default() };
    Box::new(UNet::new(UNetConfig { heads, ..sizes }).unwrap())
}

/// Batches that differ from step to step; those of task i have `sizes[i]` images.
struct Images {
    sizes: Vec<usize>,
    is_dense: bool,
    drawn: u32,
}

impl Images {
    fn of_lenet(sizes: &[usize]) -> Self {
        Self { sizes: sizes.to_vec(), is_dense: false, drawn: 0 }
    }

    /// The same two images for all tasks.
    fn of_unet(tasks: usize) -> Self {
        Self { sizes: vec![2; tasks], is_dense: true, drawn: 0 }
    }

    fn batch(&self, input: Tensor, task: usize) -> Result<Batch> {
        let shape = if self.is_dense { vec![self.sizes[task], 8, 8] } else { vec![self.sizes[task]] };
        let count = shape.iter().product::<usize>() as u32;
        let label =
            |n: u32| n.wrapping_mul(2_654_435_761).wrapping_add(self.drawn) / (5 + task as u32) % CLASSES as u32;
        Ok(Batch { input, target: Tensor::from_vec((0..count).map(label).collect(), shape, &Device::Cpu)? })
    }

    fn input(&self, task: usize, dtype: DType) -> Result<Tensor> {
        let side = if self.is_dense { 8 } else { 28 };
        let mut generator = stream(1, Purpose::Method, [task as u32, self.drawn, 0, 0], "images");
        Ok(uniform(&mut generator, 1.0, &(self.sizes[task], 1, side, side).into(), dtype, &Device::Cpu)?)
    }
}

/// [`Images`] of one dtype.
struct Source(Images, DType);

impl BatchSource for Source {
    fn next(&mut self, task: usize) -> Result<Batch> {
        self.0.batch(self.0.input(task, self.1)?, task)
    }

    fn next_all(&mut self, tasks: usize) -> Result<Vec<Batch>> {
        self.0.drawn += 1;
        let shared = self.0.input(0, self.1)?;
        let batch = |task: usize| if self.0.is_dense { self.0.batch(shared.clone(), task) } else { self.next_of(task) };
        (0..tasks).map(batch).collect()
    }
}

impl Source {
    fn next_of(&self, task: usize) -> Result<Batch> {
        self.0.batch(self.0.input(task, self.1)?, task)
    }
}

fn problem(network: Box<dyn Network>) -> Problem {
    let losses = (0..network.tasks()).map(|_| -> Loss { Box::new(cross_entropy) });
    Problem::new(network, losses.collect()).unwrap()
}

/// Weights by inner products; notes which parameters its rows have.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Aggregator for Noting {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let mut names: Vec<String> = jacobian.names().map(|name| name.layer.clone()).collect();
        names.dedup();
        *self.0.lock().unwrap() = names;
        let gramian = jacobian.gramian()?;
        let trace: f64 = (0..gramian.len()).map(|i| gramian[i][i]).sum();
        Ok(Combination::Weights(gramian.iter().map(|row| row.iter().sum::<f64>() / trace).collect()))
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn convention(&self) -> Convention {
        Convention::AsIs
    }
}

/// The largest difference of elements, relative to the largest element of the same tensor.
fn relative_distance(a: &Parameters, b: &Parameters) -> f64 {
    assert_eq!(a.iter().map(|(name, _)| name).collect::<Vec<_>>(), b.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let largest = |tensor: &Tensor| {
        let largest = tensor.to_dtype(DType::F64).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        largest.to_scalar::<f64>().unwrap()
    };
    let distance = a.iter().zip(b.iter()).map(|((_, a), (_, b))| largest(&(a - b).unwrap()) / largest(b).max(1e-30));
    distance.fold(0.0, f64::max)
}

#[test]
fn gramians_and_directions_are_those_of_stored_gradients() {
    type Case = (Box<dyn Network>, Images, &'static [&'static str]);
    // The fully connected layer reads 160 features. With more images than that, a task's gradient of it is stored.
    let cases: Vec<Case> = vec![
        (lenet(2), Images::of_lenet(&[4, 4]), &["fc.weight"]),
        (lenet(3), Images::of_lenet(&[4, 3, 5]), &["fc.weight"]),
        (lenet(10), Images::of_lenet(&[2; 10]), &["fc.weight"]),
        (lenet(3), Images::of_lenet(&[4, 170, 170]), &[]),
        (unet(3), Images::of_unet(3), &["enc1.conv1.weight", "enc2.conv0.weight", "enc2.conv1.weight"]),
    ];
    for (at, (network, images, late)) in cases.into_iter().enumerate() {
        let problem = problem(network);
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
            let parameters = problem.network().initial_parameters(5, dtype, &Device::Cpu).unwrap();
            let sizes = Images { sizes: images.sizes.clone(), ..images };
            let batches = Source(sizes, dtype).next_all(problem.tasks()).unwrap();
            let point = Point::new(&problem, &parameters, &batches);
            let names = Arc::new(Mutex::new(Vec::new()));
            let [(stored, rows_of_stored), (layerwise, rows_of_layerwise)] =
                [GradientStorage::Stored, GradientStorage::Layerwise].map(|storage| {
                    let mut combine = Combine::Gradients(Box::new(Noting(names.clone())));
                    let direction = combine.direction_by(&point, 0, storage).unwrap();
                    (direction, names.lock().unwrap().clone())
                });
            let missing: Vec<&String> =
                rows_of_stored.iter().filter(|name| !rows_of_layerwise.contains(name)).collect();
            assert!(late.iter().all(|late| missing.contains(&&(*late).to_owned())), "case {at}: {missing:?}");
            let distance = relative_distance(&layerwise.gradients, &stored.gradients);
            assert!(distance <= tolerance, "case {at}, {dtype:?}: directions differ by {distance:e}");
            let (got, want) = (layerwise.diagnostics.gramian.unwrap(), stored.diagnostics.gramian.unwrap());
            for i in 0..problem.tasks() {
                for j in 0..problem.tasks() {
                    let scale = (want[i][i] * want[j][j]).sqrt();
                    assert!((got[i][j] - want[i][j]).abs() <= tolerance * scale, "case {at}: G[{i}][{j}]");
                }
            }
        }
    }
}

#[test]
fn trajectories_are_those_of_stored_gradients() {
    type Build = fn() -> Box<dyn Aggregator>;
    let aggregators: [(&str, Build); 6] = [
        ("upgrad", || Box::new(UpGrad::new(1e-4, 1e-4).unwrap())),
        ("mgda", || Box::new(Mgda::new(Normalization::LossPlus))),
        ("cagrad", || Box::new(CaGrad::new(0.4, Rescale::Square).unwrap())),
        ("nash_mtl", || Box::new(NashMtl::new(1.0, 2).unwrap())),
        ("pcgrad", || Box::new(PcGrad::new(3))),
        ("gradnorm", || Box::new(GradNorm::new(1.5, 0.1).unwrap())),
    ];
    for (name, aggregator) in aggregators {
        let run = |storage| {
            let problem = problem(lenet(3));
            let mut parameters = problem.network().initial_parameters(5, DType::F64, &Device::Cpu).unwrap();
            let updates = UpdateSettings {
                max_gradient_norm: Some(2.0),
                ..UpdateSettings::new(Sgd { momentum: 0.9, ..Sgd::default() })
            };
            let mut method =
                GradientMethod::new(Combine::Gradients(aggregator()), 0.05, updates).unwrap().storing(storage);
            let mut batches = Source(Images::of_lenet(&[4, 3, 5]), DType::F64);
            for _ in 0..6 {
                let (problem, parameters) = (&problem, &mut parameters);
                method.step(Step { problem, parameters, batches: &mut batches, progress: 0.0 }).unwrap();
            }
            parameters
        };
        let distance = relative_distance(&run(GradientStorage::Layerwise), &run(GradientStorage::Stored));
        assert!(distance <= 1e-9, "{name}: parameters differ by {distance:e}");
    }
}

#[test]
fn several_batches_are_refused() {
    let problem = problem(lenet(2));
    let parameters = problem.network().initial_parameters(5, DType::F32, &Device::Cpu).unwrap();
    let mut source = Source(Images::of_lenet(&[2, 2]), DType::F32);
    let batches = [source.next_all(2).unwrap(), source.next_all(2).unwrap()].concat();
    let mut combine = Combine::Gradients(Box::new(UpGrad::new(1e-4, 1e-4).unwrap()));
    let point = Point::new(&problem, &parameters, &batches);
    let message = combine.direction_by(&point, 0, GradientStorage::Layerwise).unwrap_err().to_string();
    assert!(message.contains("one batch of each task") && message.contains("2 batches"), "{message}");
}
