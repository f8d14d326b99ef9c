//! The methods MT-COOL is compared with, one file each.
//!
//! | method | kind | paper |
//! |---|---|---|
//! | [`Joint`], [`Scalarization`] | loss weighting | Caruana 1997 |
//! | [`Mgda`] | aggregator | Désidéri 2012; Sener and Koltun 2018 |
//! | [`PcGrad`] | aggregator | Yu et al. 2020 |
//! | [`GradDrop`] | aggregator | Chen et al. 2020 |
//! | [`CaGrad`] | aggregator | Liu et al. 2021 |
//! | [`ImtlG`] | aggregator | Liu et al. 2021 |
//! | [`NashMtl`] | aggregator | Navon et al. 2022 |
//! | [`AlignedMtl`] | aggregator | Senushkin et al. 2023 |
//! | [`UpGrad`] | aggregator | Quinton and Rey 2024 |
//! | [`DualProj`] | aggregator | Lopez-Paz and Ranzato 2017 |
//! | [`Uncertainty`] | loss weighting | Kendall et al. 2018 |
//! | [`Dwa`] | loss weighting | Liu et al. 2019 |
//! | [`RandomWeighting`] | loss weighting | Lin et al. 2022 |
//! | [`GradNorm`] | loss weighting, from gradients | Chen et al. 2018 |
//! | [`Famo`] | loss weighting | Liu et al. 2023 |
//! | [`Fmtl`] | wrapper of any of these | Phan et al. 2022 |
//!
//! All of them are trained by [`mtcool_core::GradientMethod`]; none imports another. The Independent baseline is [`Joint`] on
//! networks that share nothing, since the sum of losses then falls apart. Aggregators work in f64 on the Gramian of the tasks'
//! gradients wherever their maths allows, and solve their small problems exactly, by active sets.
//!
//! # Two tasks of your own
//!
//! Two lines are to be fitted through one slope that they share; each has an offset of its own.
//!
//! ```
//! use candle_core::{DType, Device, Result, Tensor};
//! use mtcool_baselines::{CaGrad, Rescale};
//! use mtcool_core::*;
//!
//! struct Lines;
//!
//! impl Network for Lines {
//!     fn tasks(&self) -> usize {
//!         2
//!     }
//!
//!     fn initial_parameters(&self, _seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
//!         // `theta` is shared, whoever owns it; `phi` is one task's alone.
//!         let names = [ParameterName::theta(0, "slope"), ParameterName::phi(0, "offset"), ParameterName::phi(1, "offset")];
//!         names.into_iter().map(|name| Ok((name, Tensor::zeros(1, dtype, device)?))).collect()
//!     }
//!
//!     fn forward(&self, parameters: &Parameters, task: usize, x: &Tensor) -> Result<Tensor> {
//!         x.broadcast_mul(parameters.theta(0, "slope")?)?.broadcast_add(parameters.phi(task, "offset")?)
//!     }
//! }
//!
//! /// Task 0 would have the slope 1, task 1 the slope 2.
//! struct Points;
//!
//! impl BatchSource for Points {
//!     fn next(&mut self, task: usize) -> mtcool_core::Result<Batch> {
//!         let input = Tensor::new(&[-1.0, 0.0, 1.0, 2.0], &Device::Cpu)?;
//!         let target = ((&input * (task as f64 + 1.0))? + 0.5)?;
//!         Ok(Batch { input, target })
//!     }
//! }
//!
//! # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let squared = || -> Loss { Box::new(|output, target| (output - target)?.sqr()?.mean_all()) };
//! let problem = Problem::new(Box::new(Lines), vec![squared(), squared()])?;
//! let mut parameters = problem.network().initial_parameters(0, DType::F64, &Device::Cpu)?;
//!
//! let aggregator = Combine::Gradients(Box::new(CaGrad::new(0.4, Rescale::Square)?));
//! let mut method = GradientMethod::new(aggregator, 0.1, UpdateSettings { rate: RateSchedule::Cosine, ..UpdateSettings::default() })?;
//! for step in 0..300 {
//!     let progress = step as f64 / 300.0;
//!     let step = Step { problem: &problem, parameters: &mut parameters, batches: &mut Points, progress };
//!     method.step(step)?.check_finite()?;
//! }
//! let slope = parameters.theta(0, "slope")?.to_vec1::<f64>()?[0];
//! assert!((slope - 1.5).abs() < 1e-3, "{slope}"); // CAGrad ends where the mean of the losses is least
//! let cosines = method.diagnostics().cosines();
//! assert!(cosines[0].2 < -0.99, "there the tasks want opposite things: {cosines:?}");
//! # Ok(())
//! # }
//! ```

mod aligned_mtl;
mod cagrad;
mod dualproj;
mod dwa;
mod famo;
mod fmtl;
mod graddrop;
mod gradnorm;
mod imtl_g;
mod joint;
mod memory;
mod mgda;
mod nash_mtl;
mod pcgrad;
mod rlw;
mod scalarization;
mod solver;
mod uncertainty;
mod upgrad;

pub use aligned_mtl::{AlignedMtl, AlignedScale};
pub use cagrad::{CaGrad, Rescale};
pub use dualproj::DualProj;
pub use dwa::Dwa;
pub use famo::Famo;
pub use fmtl::{Fmtl, Wrapped};
pub use graddrop::GradDrop;
pub use gradnorm::GradNorm;
pub use imtl_g::ImtlG;
pub use joint::Joint;
pub use mgda::{Mgda, Normalization};
pub use nash_mtl::NashMtl;
pub use pcgrad::PcGrad;
pub use rlw::RandomWeighting;
pub use scalarization::Scalarization;
pub use uncertainty::Uncertainty;
pub use upgrad::UpGrad;
