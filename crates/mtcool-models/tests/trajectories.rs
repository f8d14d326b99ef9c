//! Algorithm 1 on a small cooperative LeNet and on small U-Nets against recorded trajectories (float64 automatic differentiation): every
//! parameter after the warm-up and after each outer iteration, and every loss.
//!
//! `tests/golden/README.md` says what the files hold and how they were made. `MTCOOL_GOLDEN_DIR` points the tests at another
//! folder, which has to hold at least the files named here; all trajectories in it are checked.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../mtcool-ops/tests/device/mod.rs"]
mod device;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mtcool_core::{
    Batch, BatchSource, Error, Method, Mtcool, MtcoolConfig, Network, NoiseDraw, NoiseSource, ParameterKind,
    ParameterName, Parameters, Problem, RateSchedule, Result, Sgd, Step, UpdateOrder, UpdateSettings,
};
use mtcool_models::{Architecture, Classifier, Fusion, Head, LeNet, LeNetConfig, UNet, UNetConfig};
use safetensors::SafeTensors;
use serde_json::Value;

/// The recorded trajectories. A test that does not find one of them fails.
const FILES: [&str; 9] = [
    "t2_clamp.safetensors",
    "t2_m1_l1.safetensors",
    "t2_m2_jacobi.safetensors",
    "t2_m3_l2_reg.safetensors",
    "t2_momentum_cosine.safetensors",
    "t3_m2_l2_reg.safetensors",
    "t3_momentum_jacobi.safetensors",
    "unet_seg_cls.safetensors",
    "unet_seg_seg.safetensors",
];

/// One recorded trajectory, its tensors in the dtype under test.
struct Recording {
    file: String,
    case: Value,
    tensors: BTreeMap<String, Tensor>,
    dtype: DType,
}

impl Recording {
    /// The recording in `path`, unless the file is of another kind (other golden files may live in the same folder).
    fn read(path: &Path, dtype: DType, device: &Device) -> Option<Self> {
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let case: Value = serde_json::from_str(header.metadata().as_ref()?.get("case")?).unwrap();
        let tensors = candle_core::safetensors::load_buffer(&bytes, device).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        Some(Self { file, case, tensors: tensors.into_iter().collect(), dtype })
    }

    fn number(&self, key: &str) -> f64 {
        self.case[key].as_f64().unwrap_or_else(|| panic!("{}: no number `{key}` in the header", self.file))
    }

    fn count(&self, key: &str) -> usize {
        self.number(key) as usize
    }

    fn tensor(&self, key: &str) -> Tensor {
        let tensor = self.tensors.get(key).unwrap_or_else(|| panic!("{}: no tensor `{key}`", self.file));
        if tensor.dtype().is_float() { tensor.to_dtype(self.dtype).unwrap() } else { tensor.clone() }
    }

    /// The parameters recorded under `prefix`.
    fn parameters(&self, prefix: &str) -> Parameters {
        let keys = self.tensors.keys().filter_map(|key| key.strip_prefix(prefix)?.strip_prefix('.'));
        keys.map(|name| (name.parse::<ParameterName>().unwrap(), self.tensor(&format!("{prefix}.{name}")))).collect()
    }

    fn batches(&self) -> RecordedBatches {
        let tasks = (0..self.count("T")).map(|task| {
            let warmup = (0..self.count("warmup")).map(|t| format!("warmup.{t}.{task}"));
            let inner = |t| (0..self.count("L")).map(move |l| format!("coop.{t}.{task}.{l}"));
            let keys = warmup.chain((0..self.count("outer")).flat_map(inner));
            keys.map(|key| Batch { input: self.tensor(&format!("x.{key}")), target: self.tensor(&format!("y.{key}")) })
                .collect()
        });
        RecordedBatches(tasks.collect())
    }

    fn config(&self) -> MtcoolConfig {
        MtcoolConfig {
            bound: self.number("b"),
            alpha: self.number("alpha"),
            beta: self.number("beta"),
            samples: self.count("M"),
            inner_iterations: self.count("L"),
            warmup_iterations: self.count("warmup"),
            lambda: self.number("lambda_"),
            schedule: match self.case["schedule"].as_str().unwrap() {
                "gauss_seidel" => UpdateOrder::GaussSeidel,
                "jacobi" => UpdateOrder::Jacobi,
                other => panic!("{}: schedule {other}", self.file),
            },
            updates: self.updates(),
            ..MtcoolConfig::default()
        }
    }

    /// Plain gradient descent at a constant rate, unless the header says otherwise.
    fn updates(&self) -> UpdateSettings {
        let or_zero = |key: &str| if self.case.get(key).is_some() { self.number(key) } else { 0.0 };
        let sgd = Sgd { momentum: or_zero("momentum"), weight_decay: or_zero("weight_decay"), ..Sgd::default() };
        let rate = match self.case.get("rate").map(|rate| rate.as_str().unwrap()) {
            None => RateSchedule::Constant,
            Some("cosine") => RateSchedule::Cosine,
            Some(other) => panic!("{}: rate {other}", self.file),
        };
        UpdateSettings { rate, ..UpdateSettings::new(sgd) }
    }

    /// How much of the run is done before each step: one number per warm-up or outer iteration.
    fn progress(&self) -> Vec<f64> {
        let steps = self.count("warmup") + self.count("outer");
        let Some(recorded) = self.case.get("progress") else { return vec![0.0; steps] };
        let progress: Vec<f64> = recorded.as_array().unwrap().iter().map(|at| at.as_f64().unwrap()).collect();
        assert_eq!(progress.len(), steps, "{}: `progress`", self.file);
        progress
    }

    fn problem(&self) -> Problem {
        let network = match self.case.get("network").and_then(Value::as_str) {
            None | Some("lenet") => self.lenet(),
            Some("unet") => self.unet(),
            Some(other) => panic!("{}: network {other}", self.file),
        };
        let losses = (0..network.tasks()).map(|_| -> mtcool_core::Loss { Box::new(mtcool_ops::cross_entropy) });
        Problem::new(network, losses.collect()).unwrap()
    }

    fn lenet(&self) -> Box<dyn Network> {
        let network = LeNet::new(LeNetConfig {
            input: (1, 28, 28),
            conv1: self.count("c1"),
            conv2: self.count("c2"),
            hidden: self.count("hidden"),
            classes: vec![self.count("classes"); self.count("T")],
            allocation: Vec::new(),
            fusion: Fusion::Concat,
            architecture: Architecture::HardSharing,
            precision: mtcool_ops::Precision::Full,
        });
        Box::new(network.unwrap())
    }

    fn unet(&self) -> Box<dyn Network> {
        let head = |head: &Value| {
            let (kind, classes) = head.as_str().unwrap().split_at(3);
            let classes = classes.parse().unwrap();
            match kind {
                "seg" => Head::Segmentation { classes },
                "cls" => Head::Classification { classes },
                other => panic!("{}: head {other}", self.file),
            }
        };
        let network = UNet::new(UNetConfig {
            in_channels: self.tensor("forward.x").dims()[1],
            base: self.count("base"),
            depth: self.count("depth"),
            statistics: mtcool_ops::Statistics::Group { groups: self.count("groups") },
            eps: self.number("norm_eps"),
            classifier: Classifier::Plain,
            classifier_width: self.count("classifier_width"),
            precision: mtcool_ops::Precision::Full,
            heads: self.case["heads"].as_array().unwrap().iter().map(head).collect(),
            // In the recording the warm-up follows the whole derivative of the sum of the losses. In a task's own step only its own
            // parameters are leaves, so that this setting does not matter there.
            map_gradient: mtcool_models::MapGradient::Everything,
            architecture: Architecture::HardSharing,
            allocation: Vec::new(),
            recomputed_levels: 0,
        });
        Box::new(network.unwrap())
    }

    /// A plain forward pass, where one was recorded; with and without sharing the encoder's pass.
    fn check_forward(&self, problem: &Problem, parameters: &Parameters, tolerance: f64) {
        if !self.tensors.contains_key("forward.x") {
            return;
        }
        let x = self.tensor("forward.x");
        let shared = problem.network().forward_all(parameters, &vec![&x; problem.tasks()]).unwrap();
        for (task, shared) in shared.iter().enumerate() {
            let alone = problem.network().forward(parameters, task, &x).unwrap();
            let want = self.tensor(&format!("forward.logits.{task}"));
            for logits in [&alone, shared] {
                let difference = largest_difference(logits, &want);
                assert!(difference <= tolerance, "{} forward, task {task}: off by {difference:e}", self.file);
            }
        }
    }

    /// Plays the trajectory through the method under test and compares at every point that was recorded.
    fn check(&self) {
        let tolerance = if self.dtype == DType::F64 { 1e-9 } else { 2e-5 };
        let problem = self.problem();
        let mut parameters = self.parameters("init");
        problem
            .network()
            .initial_parameters(0, self.dtype, &Device::Cpu)
            .unwrap()
            .check_compatible(&parameters)
            .unwrap();
        self.check_forward(&problem, &parameters, tolerance);
        let noise = RecordedNoise(self.tensors.clone());
        let mut method = Mtcool::new(self.config(), Box::new(noise)).unwrap();
        let mut batches = self.batches();
        let warmup = self.count("warmup");
        let mut clamped_each = Vec::new();
        for (iteration, progress) in self.progress().into_iter().enumerate() {
            let before = parameters.clone();
            let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut batches, progress };
            let losses = method.step(step).unwrap().check_finite().unwrap();
            let close = |what: &str, got: f64, key: &str, at: Option<usize>| {
                let entry = &self.case["losses"][key];
                let want = at.map_or(entry, |at| &entry[at]).as_f64().unwrap();
                assert!((got - want).abs() <= tolerance, "{} {key} {what}: {got} against {want}", self.file);
            };
            if iteration < warmup {
                let total: f64 = losses.iter().map(|entry| entry.loss).sum();
                close("total", total, &format!("warmup.{iteration}"), None);
            } else {
                let outer = iteration - warmup;
                assert_eq!(losses.len(), self.count("T") * self.count("L"));
                for (index, entry) in losses.iter().enumerate() {
                    let key = format!("coop.{outer}.{}.{}", entry.task, index % self.count("L"));
                    close("loss", entry.loss, &key, Some(0));
                    close("regularizer", entry.regularizer, &key, Some(1));
                    close("total", entry.loss + self.number("lambda_") * entry.regularizer, &key, Some(2));
                }
                compare(
                    &self.file,
                    &format!("after_outer.{outer}"),
                    &parameters,
                    &self.parameters(&format!("after_outer.{outer}")),
                    tolerance,
                );
                if self.dtype == DType::F64 {
                    clamped_each.push(clamped(&before, &parameters, self.number("b")) as u64);
                }
            }
            if iteration + 1 == warmup {
                compare(&self.file, "after_warmup", &parameters, &self.parameters("after_warmup"), tolerance);
            }
        }
        assert!(batches.0.iter().all(VecDeque::is_empty), "{}: batches left over", self.file);
        self.check_clamped(&clamped_each);
    }

    /// `each` counts the elements on the border after each outer iteration; empty where rounding hides them.
    fn check_clamped(&self, each: &[u64]) {
        let Some(last) = each.last() else { return };
        let recorded = |key: &str| self.case.get(key).and_then(Value::as_u64);
        if let Some(want) = recorded("clamped_in_last_outer") {
            assert_eq!(*last, want, "{}", self.file);
        }
        // With more inner iterations, the clamp also acts where it cannot be seen from outside.
        if let (Some(want), 1) = (recorded("clamped_over_all_updates"), self.count("L")) {
            assert_eq!(each.iter().sum::<u64>(), want, "{}", self.file);
        }
    }
}

/// Elements of theta that ended exactly on the border of their region.
fn clamped(before: &Parameters, after: &Parameters, bound: f64) -> usize {
    let theta = after.iter().filter(|(name, _)| name.kind == ParameterKind::Theta);
    let count = theta.map(|(name, tensor)| {
        let distance = (tensor - before.get(name).unwrap()).unwrap().abs().unwrap();
        let distances = distance.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        distances.iter().filter(|&&d| (d - bound).abs() < 1e-12).count()
    });
    count.sum()
}

fn compare(file: &str, point: &str, got: &Parameters, want: &Parameters, tolerance: f64) {
    want.check_compatible(got).unwrap_or_else(|error| panic!("{file} {point}: {error}"));
    for (name, got) in got.iter() {
        let difference = largest_difference(got, want.get(name).unwrap());
        assert!(difference <= tolerance, "{file} {point} {name}: off by {difference:e}, allowed {tolerance:e}");
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    let [a, b] = [a, b].map(|tensor| tensor.to_device(&Device::Cpu).unwrap());
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    difference.max(0).unwrap().to_scalar().unwrap()
}

struct RecordedBatches(Vec<VecDeque<Batch>>);

impl BatchSource for RecordedBatches {
    fn next(&mut self, task: usize) -> Result<Batch> {
        self.0[task].pop_front().ok_or_else(|| Error::Batch { task, source: "the recording is at its end".into() })
    }
}

struct RecordedNoise(BTreeMap<String, Tensor>);

impl NoiseSource for RecordedNoise {
    fn noise(&mut self, draw: NoiseDraw, name: &ParameterName, parameter: &Tensor) -> Result<Tensor> {
        let place = match draw {
            NoiseDraw::Warmup { iteration, sample } => format!("warmup.{iteration}.{sample}"),
            NoiseDraw::Cooperative { iteration, task, inner, sample } => {
                format!("coop.{iteration}.{task}.{inner}.{sample}")
            }
        };
        let key = format!("noise.{place}.{}.{}", name.task, name.layer);
        let noise = self.0.get(&key).unwrap_or_else(|| panic!("no noise recorded under `{key}`"));
        Ok(noise.to_dtype(parameter.dtype())?)
    }
}

fn check_all(dtype: DType, device: &Device) {
    // This file is also a part of the tests of another crate.
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../mtcool-models/tests/golden")).to_owned();
    let folder = std::env::var_os("MTCOOL_GOLDEN_DIR").map_or(shipped, PathBuf::from);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    let recordings: Vec<_> = paths.iter().filter_map(|path| Recording::read(path, dtype, device)).collect();
    for file in FILES {
        assert!(
            recordings.iter().any(|recording| recording.file == file),
            "{} holds no trajectory `{file}`",
            folder.display()
        );
    }
    recordings.iter().for_each(Recording::check);
    println!("{} trajectories checked in {dtype:?} on {:?}", recordings.len(), device.location());
}

#[test]
fn trajectories_in_float64() {
    check_all(DType::F64, &Device::Cpu);
}

#[test]
fn trajectories_in_float32() {
    check_all(DType::F32, &Device::Cpu);
}

#[test]
#[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
fn trajectories_on_a_card() {
    let card = device::card();
    check_all(DType::F64, &card);
    check_all(DType::F32, &card);
}
