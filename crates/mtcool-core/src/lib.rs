//! The method MT-COOL itself: parameters that are owned by tasks, noise, the objective, the alternating updates; and the traits
//! for other methods and other optimisers.
//!
//! Wu, Zhang, Sun, Mo, Nichols, Papież: *Multi-Task Cooperative Learning via Searching for Flat Minima*, 2023. Equation
//! numbers in this crate are the paper's.
//!
//! The parts and how they work together:
//!
//! - A [`Network`] is a pure function of named [`Parameters`]; the names say which task owns which parameter. A [`Problem`] is a
//!   network with a loss for each task.
//! - A [`Method`] makes one training step: [`Mtcool`], or a [`GradientMethod`] around a [`LossWeighting`], an [`Aggregator`] or a
//!   [`DirectionSource`] of your own. It draws from a [`BatchSource`], and MT-COOL from a [`NoiseSource`] as well.
//! - An [`Optimizer`] ([`Sgd`], [`AdamW`]) turns directions into new values; [`UpdateSettings`] adds the schedule of the learning
//!   rate, gradient clipping and gradient accumulation.
//!
//! This crate knows no data set, no architecture and no file.
//!
//! # Example: a network and losses of your own
//!
//! Three regression tasks on three inputs share a hidden layer of six units, two owned by each task:
//!
//! ```
//! use candle_core::{DType, Device, Result, Tensor};
//! use mtcool_core::random::{self, Purpose};
//! use mtcool_core::*;
//!
//! struct Shared;
//!
//! impl Network for Shared {
//!     fn tasks(&self) -> usize {
//!         3
//!     }
//!
//!     fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
//!         let draw = |name: ParameterName, shape: (usize, usize)| {
//!             let mut generator = random::stream(seed, Purpose::Initialization, [0; 4], &name.to_string());
//!             Ok((name, random::uniform(&mut generator, 0.5, &shape.into(), dtype, device)?))
//!         };
//!         let theta = (0..3).map(|task| draw(ParameterName::theta(task, "hidden.weight"), (3, 2)));
//!         let phi = (0..3).map(|task| draw(ParameterName::phi(task, "out.weight"), (6, 1)));
//!         theta.chain(phi).collect()
//!     }
//!
//!     fn forward(&self, parameters: &Parameters, task: usize, x: &Tensor) -> Result<Tensor> {
//!         let owned = (0..3).map(|task| parameters.theta(task, "hidden.weight")).collect::<Result<Vec<_>>>()?;
//!         let features = x.matmul(&Tensor::cat(&owned, 1)?)?.tanh()?; // M(F_1, F_2, F_3): concatenation
//!         features.matmul(parameters.phi(task, "out.weight")?)
//!     }
//! }
//!
//! /// Task i has to predict input i from all inputs.
//! struct Points;
//!
//! impl BatchSource for Points {
//!     fn next(&mut self, task: usize) -> mtcool_core::Result<Batch> {
//!         let values = (0..27).flat_map(|n| [n % 3, n / 3 % 3, n / 9].map(|v| v as f32 - 1.0));
//!         let input = Tensor::from_vec(values.collect(), (27, 3), &Device::Cpu)?;
//!         Ok(Batch { target: input.narrow(1, task, 1)?, input })
//!     }
//! }
//!
//! # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let squared = || -> Loss { Box::new(|output, target| (output - target)?.sqr()?.mean_all()) };
//! let problem = Problem::new(Box::new(Shared), vec![squared(), squared(), squared()])?;
//! let mut parameters = problem.network().initial_parameters(0, DType::F32, &Device::Cpu)?;
//!
//! // Without the KL term, so that lambda is 0; `Problem::with_kinds` would tell it that these tasks predict numbers.
//! let config = MtcoolConfig { bound: 0.02, lambda: 0.0, warmup_iterations: 10, ..MtcoolConfig::default() };
//! let mut method = Mtcool::new(config.clone(), Box::new(UniformNoise::new(0, config.bound)?))?;
//! let mut losses = Vec::new();
//! for step in 0..200 {
//!     let progress = step as f64 / 200.0;
//!     let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut Points, progress };
//!     losses.push(method.step(step)?.check_finite()?);
//! }
//! for task in 0..3 {
//!     assert!(losses[199][task].loss < 0.1 * losses[0][task].loss, "task {task}: {losses:?}");
//! }
//! # Ok(())
//! # }
//! ```

pub mod batches;
mod clamped;
mod clock;
mod diagram;
mod error;
mod gradient;
mod handover;
mod inner_products;
mod kernels;
mod late_gradient;
mod method;
mod mtcool;
mod mtcool_config;
mod noise;
mod objective;
mod optimizer;
mod parameter_name;
mod parameters;
mod problem;
pub mod random;
mod state_tensors;
mod update;

pub use batches::{Batch, BatchSource};
pub use clamped::ClampedLayer;
pub use clock::PassTimes;
pub use diagram::{Diagram, Layer, Node, NodeId, NormalizedTogether, Weights};
pub use error::{Error, Result};
pub use gradient::{
    Aggregator, Combination, Combine, Convention, Direction, DirectionSource, GradientMethod, GradientStorage,
    Jacobian, LossWeighting, Point, TaskGradients,
};
pub use handover::Handover;
pub use kernels::Kernels;
pub use late_gradient::LateGradient;
pub use method::{Diagnostics, EpochSummary, LossValues, Method, MethodState, Step, StepReport, TaskLoss};
pub use mtcool::Mtcool;
pub use mtcool_config::{BoundUnit, ClampedVelocity, MtcoolConfig, PerturbedParameters, UpdateOrder, Variant};
pub use noise::{NoiseDraw, NoiseSource, UniformNoise};
pub use optimizer::{AdamW, DecayedParameters, Optimizer, OptimizerInputs, RateSchedule, Sgd, UpdateSettings};
pub use parameter_name::{ParameterKind, ParameterName};
pub use parameters::{Gradients, Parameters};
pub use problem::{Loss, Network, OutputKind, Problem};
pub use state_tensors::StateTensors;
pub use update::{AdamFactors, AdamRule, MomentumRule, ParameterUpdate, UpdateRule, UpdatedParameter};

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
