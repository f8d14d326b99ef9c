//! Every method of the registry, with its default settings: it learns three small tasks, and continues from a checkpoint at any step to
//! the same bits.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Tensor};
use mtcool_bench::Registry;
use mtcool_bench::record::{Checkpoint, Position};
use mtcool_bench::suite::{GramianKind, MethodEntry, MethodKind, Settings, TrainingConfig};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    Batch, BatchSource, Combine, EpochSummary, Loss, Method, Network, ParameterName, Parameters, Problem, Result, Step,
};
use mtcool_models::{LeNet, LeNetConfig};
use mtcool_ops::cross_entropy;

const TASKS: usize = 3;
const CLASSES: usize = 3;
/// Steps per epoch.
const EPOCH: u64 = 3;

/// A hidden layer of which each task owns four units, and a linear classifier per task.
struct Small;

impl Network for Small {
    fn tasks(&self) -> usize {
        TASKS
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
        let draw = |name: ParameterName, shape: (usize, usize)| {
            let mut generator = stream(seed, Purpose::Initialization, [0; 4], &name.to_string());
            Ok((name, uniform(&mut generator, 0.5, &shape.into(), dtype, device)?))
        };
        let hidden = (0..TASKS).map(|task| draw(ParameterName::theta(task, "hidden.weight"), (5, 4)));
        let deep = (0..TASKS).map(|task| draw(ParameterName::theta(task, "deep.weight"), (4 * TASKS, 4)));
        let out = (0..TASKS).map(|task| draw(ParameterName::phi(task, "out.weight"), (4 * TASKS, CLASSES)));
        hidden.chain(deep).chain(out).collect()
    }

    fn forward(&self, parameters: &Parameters, task: usize, x: &Tensor) -> candle_core::Result<Tensor> {
        let shared = |x: &Tensor, layer: &str| -> candle_core::Result<Tensor> {
            let owned =
                (0..TASKS).map(|owner| parameters.theta(owner, layer)).collect::<candle_core::Result<Vec<_>>>()?;
            x.matmul(&Tensor::cat(&owned, 1)?)?.tanh()
        };
        shared(&shared(x, "hidden.weight")?, "deep.weight")?.matmul(parameters.phi(task, "out.weight")?)
    }
}

/// Task i has to tell in which third of its interval coordinate i is. Batch n follows from n.
struct Thirds(u64);

impl BatchSource for Thirds {
    fn next(&mut self, task: usize) -> Result<Batch> {
        let at = [(self.0 / TASKS as u64) as u32, 0, 0, 0];
        self.0 += 1;
        let input =
            uniform(&mut stream(1, Purpose::Method, at, "batch"), 1.0, &(16, 5).into(), DType::F32, &Device::Cpu)?;
        let third = |x: f32| if x < -1.0 / 3.0 { 0u32 } else { 1 + u32::from(x > 1.0 / 3.0) };
        let target: Vec<u32> = input.narrow(1, task, 1)?.flatten_all()?.to_vec1()?.into_iter().map(third).collect();
        Ok(Batch { target: Tensor::from_vec(target, 16, &Device::Cpu)?, input })
    }
}

fn problem() -> Problem {
    let losses = (0..TASKS).map(|_| -> Loss { Box::new(cross_entropy) });
    Problem::new(Box::new(Small), losses.collect()).unwrap()
}

/// The method with its defaults, and rates that suit the small problem.
fn build(entry: &MethodEntry, registry: &Registry) -> Box<dyn Method> {
    build_with(entry, registry, GramianKind::Stored)
}

fn build_with(entry: &MethodEntry, registry: &Registry, gramian: GramianKind) -> Box<dyn Method> {
    let settings = if entry.kind == MethodKind::Alternating {
        let settings = Settings::default().or("bound", 0.02).or("alpha", 0.3).or("beta", 0.3).or("samples", 2);
        settings.or("inner_iterations", 1).or("warmup_iterations", 2).or("lambda", 1.0).or("schedule", "gauss_seidel")
    } else {
        Settings::default().or("learning_rate", if entry.name == "momentum_config" { 0.02 } else { 0.3 })
    };
    let settings = (entry.settings)(&settings, registry.methods()).unwrap();
    settings.build(&TrainingConfig { momentum: Some(0.5), gramian, ..TrainingConfig::plain(1, 16) }, 7).unwrap()
}

/// A method at work. It is told the losses at the end of each epoch, as a run tells it.
struct Run {
    method: Box<dyn Method>,
    parameters: Parameters,
    steps: u64,
    drawn: u64,
    losses: Vec<f64>,
}

impl Run {
    fn new(entry: &MethodEntry, registry: &Registry) -> Self {
        let parameters = problem().network().initial_parameters(3, DType::F32, &Device::Cpu).unwrap();
        Self { method: build(entry, registry), parameters, steps: 0, drawn: 0, losses: Vec::new() }
    }

    fn step(&mut self, problem: &Problem) {
        let mut batches = Thirds(self.drawn);
        self.drawn += (TASKS * self.method.batches_next_step()) as u64;
        let step = Step { problem, parameters: &mut self.parameters, batches: &mut batches, progress: 0.0 };
        let values = self.method.step(step).unwrap().check_finite().unwrap();
        self.losses = vec![0.0; TASKS];
        values.iter().for_each(|entry| self.losses[entry.task] = entry.loss);
        self.steps += 1;
        if self.steps.is_multiple_of(EPOCH) {
            let epochs = self.steps / EPOCH;
            let summary = EpochSummary { epochs, training_losses: &self.losses, validation_losses: &self.losses };
            self.method.end_epoch(&summary).unwrap();
        }
    }

    /// A run that goes on from a checkpoint of this one.
    fn restored(&self, entry: &MethodEntry, registry: &Registry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let position = Position { step: self.steps, ..Position::default() };
        let (parameters, method) = (self.parameters.clone(), self.method.state());
        Checkpoint { parameters, method, position, best: None, rows: Vec::new() }.save(folder.path()).unwrap();
        let loaded = Checkpoint::load_newest(folder.path(), &self.parameters).unwrap().unwrap();
        let mut method = build(entry, registry);
        method.restore(loaded.method).unwrap();
        Self { method, parameters: loaded.parameters, losses: Vec::new(), ..*self }
    }

    fn bits(&self) -> Vec<u32> {
        let values = self.parameters.iter().map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        values.flatten().map(f32::to_bits).collect()
    }
}

#[test]
fn every_method_continues_from_a_checkpoint_to_the_same_bits() {
    const STEPS: u64 = 8;
    let (registry, problem) = (Registry::builtin(), problem());
    for entry in registry.methods() {
        let mut whole = Run::new(entry, &registry);
        let mut at_every_step = vec![whole.restored(entry, &registry)];
        for _ in 0..STEPS {
            whole.step(&problem);
            at_every_step.push(whole.restored(entry, &registry));
        }
        for (cut, mut resumed) in at_every_step.into_iter().enumerate() {
            while resumed.steps < STEPS {
                resumed.step(&problem);
            }
            assert!(whole.bits() == resumed.bits(), "{}, cut after {cut} steps", entry.name);
        }
    }
}

#[test]
fn every_method_learns_three_small_tasks() {
    let (registry, problem) = (Registry::builtin(), problem());
    let mut slow: Vec<String> = Vec::new();
    for entry in registry.methods() {
        let mut run = Run::new(entry, &registry);
        let mean = |run: &Run| run.losses.iter().sum::<f64>() / TASKS as f64;
        let (mut first, mut last) = (0.0, 0.0);
        for step in 0..400 {
            run.step(&problem);
            if step < 10 {
                first += mean(&run) / 10.0;
            }
            if step >= 390 {
                last += mean(&run) / 10.0;
            }
        }
        println!("{}: {first:.3} to {last:.3}", entry.name);
        assert!(last < first, "{}: the mean loss goes from {first} to {last}", entry.name);
        if last > 0.75 * first {
            slow.push(entry.name.to_string());
        }
    }
    // Momentum ConFIG rests where gradients that are scaled by each task's own second moments are opposite; PBI first looks for the ray
    // of its preference.
    assert_eq!(slow, ["momentum_config", "pbi"]);
}

/// Task i has five digits of random pixels, in f64. Batch n follows from n.
struct Pixels(u64);

impl BatchSource for Pixels {
    fn next(&mut self, task: usize) -> Result<Batch> {
        let at = [(self.0 / TASKS as u64) as u32, task as u32, 0, 0];
        self.0 += 1;
        let shape = (5, 1, 28, 28).into();
        let input = uniform(&mut stream(2, Purpose::Method, at, "pixels"), 1.0, &shape, DType::F64, &Device::Cpu)?;
        Ok(Batch { input, target: Tensor::new(&[0u32, 1, 2, 1, 0], &Device::Cpu)? })
    }
}

/// The methods for which `training.gramian` makes a difference do what they do without it; for the others it makes none.
#[test]
fn every_method_takes_the_same_steps_with_layerwise_gradients() {
    let sizes = LeNetConfig { conv1: 6, conv2: 6, hidden: 12, ..LeNet::mnist(&[CLASSES; TASKS]) };
    let losses = (0..TASKS).map(|_| -> Loss { Box::new(cross_entropy) });
    let problem = Problem::new(Box::new(LeNet::new(sizes).unwrap()), losses.collect()).unwrap();
    let registry = Registry::builtin();
    let mut from_gramian = Vec::new();
    for entry in registry.methods() {
        let settings = (entry.settings)(&Settings::default().or("learning_rate", 0.1), registry.methods());
        let combine = settings.ok().and_then(|settings| settings.combine(0)).transpose().unwrap();
        let works_from_gramian = matches!(combine, Some(Combine::Gradients(aggregator)) if !aggregator.reads_rows());
        let run = |gramian| {
            let mut method = build_with(entry, &registry, gramian);
            let mut parameters = problem.network().initial_parameters(3, DType::F64, &Device::Cpu).unwrap();
            let mut batches = Pixels(0);
            for _ in 0..3 {
                let parameters = &mut parameters;
                let step = Step { problem: &problem, parameters, batches: &mut batches, progress: 0.0 };
                method.step(step).unwrap().check_finite().unwrap();
            }
            let values = parameters.iter().map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap());
            values.flatten().collect::<Vec<f64>>()
        };
        let (stored, layerwise) = (run(GramianKind::Stored), run(GramianKind::Layerwise));
        let distance = stored.iter().zip(&layerwise).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if works_from_gramian {
            from_gramian.push(entry.name.to_string());
            assert!(distance <= 1e-9, "{}: parameters differ by {distance:e}", entry.name);
        } else {
            assert!(stored == layerwise, "{}: other bits", entry.name);
        }
    }
    from_gramian.sort();
    let expected = [
        "aligned_mtl",
        "cagrad",
        "dualproj",
        "fairgrad",
        "gradnorm",
        "gradvac",
        "imtl",
        "imtl_g",
        "krum",
        "mgda",
        "nash_mtl",
        "pcd",
        "pcgrad",
        "pivrg",
        "upgrad",
    ];
    assert_eq!(from_gramian, expected);
}
