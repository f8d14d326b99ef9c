//! The methods that MT-COOL is compared with, one file each.
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
//! | [`FairGrad`] | aggregator | Ban and Ji 2024 |
//! | [`GradVac`] | aggregator | Wang et al. 2021 |
//! | [`ConFig`], [`MomentumConFig`] | aggregator; one task's gradient at a time | Liu et al. 2024 |
//! | [`Pcd`] | aggregator with a primary task | 2026 |
//! | [`ExcessMtl`] | loss weighting, from gradients | He et al. 2024 |
//! | [`DbMtl`] | aggregator | Lin et al. 2023 |
//! | [`MoCo`] | aggregator | Fernando et al. 2023 |
//! | [`SdmGrad`], [`MoDo`] | from three independent batches | Xiao et al. 2023; Chen et al. 2024 |
//! | [`Imtl`], [`ImtlL`] | both parts of IMTL; its loss weighting | Liu et al. 2021 |
//! | [`Pivrg`] | aggregator, from validation losses | 2025 |
//! | [`Krum`], [`TrimmedMean`] | aggregator | Blanchard et al. 2017; Yin et al. 2018 |
//! | [`Stch`], [`StchLog`] | loss weighting | Lin et al. 2024 |
//! | [`GeometricMean`], [`ScaleInvariant`] | loss weighting | Chennupati et al. 2019; Navon et al. 2022 |
//! | [`Igb`] | loss weighting, from an early epoch | Dai et al. 2023 |
//! | [`Go4Align`] | loss weighting | Shen et al. 2024 |
//! | [`Cosmos`], [`Pbi`] | loss weighting | Ruchte and Grabocka 2021; Zhang and Li 2007 |
//! | [`LdcMtl`] | loss weighting | Xiao et al. 2025 |
//! | [`Fmtl`], [`Samo`] | wrapper around any of these | Phan et al. 2022; Ban et al. 2025 |
//! | [`Sam`] | wrapper around a loss weighting | Foret et al. 2021 |
//! | [`Perturbed`] | wrapper: the noise of MT-COOL | Wu et al. 2023 |
//! | [`CrMogm`], [`Grouped`] | wrapper around an aggregator | Zhou et al. 2022; Wang et al. 2021 |
//!
//! [`mtcool_core::GradientMethod`] trains all of them; none imports another. The Independent baseline is [`Joint`] on networks
//! that share nothing: the gradient of the sum of the losses then consists of the networks' own gradients. Aggregators work in
//! f64 on the Gramian of the tasks' gradients wherever their definition allows, and solve their small problems exactly, by
//! active sets.
//!
//! # The length of a direction
//!
//! Some of the papers sum over the tasks, others average. The tasks' own parameters, phi, always get their task's plain
//! gradient; so with one learning rate, a direction that is a mean would move the shared parameters, theta, T times less than
//! Joint does, relative to phi. [`mtcool_core::Aggregator::convention`] says what a direction is, and directions that are means
//! are multiplied by T before they reach theta. Then one learning rate means the same for all methods: where all T tasks have the
//! same gradient g, theta moves by `T g`, but for the exceptions in the last column. [`RawDirection`] turns the factor off.
//!
//! | aggregator | convention | factor | theta moves, where all gradients are g, by |
//! |---|---|---|---|
//! | [`PcGrad`] | sum of the projected gradients | 1 | `T g` |
//! | [`GradDrop`], any leak | sum of what is kept | 1 | `T g` |
//! | [`GradNorm`] | weights of the losses with the sum T | 1 | `T g` (phi has the weights as well) |
//! | [`Mgda`], all four normalizations | weights with the sum 1 | T | `T g`; any `corner` |
//! | [`ImtlG`] | weights with the sum 1 | T | `T g` |
//! | [`AlignedMtl`], all three scales | preferences with the sum 1 | T | `T g` |
//! | [`UpGrad`], [`DualProj`] | projections of the mean | T | `T g` |
//! | [`CaGrad`], `rescale` 2 | a ball around the mean | T | `T g` |
//! | [`CaGrad`], `rescale` 1 | a ball around the mean | T | `T g (1 + c) / (1 + c^2)`, 1.21 times as far for c = 0.4 |
//! | [`CaGrad`], `rescale` 0 | a ball around the mean | T | `T g (1 + c)`, 1.4 times as far for c = 0.4 |
//! | [`GradVac`], [`ConFig`], [`DbMtl`] (of log losses), [`ExcessMtl`], official form | sum | 1 | `T g` |
//! | [`Pcd`], [`Krum`], [`TrimmedMean`], [`Imtl`], [`ExcessMtl`], simplex form | length of one gradient | T | `T g` |
//! | [`SdmGrad`], [`MoDo`] | weights with the sum 1 | T | `T g` |
//! | [`FairGrad`], [`Pivrg`], [`MoCo`], [`MomentumConFig`] | a length of its own | 1 | see each |
//! | [`NashMtl`] | a length of its own | 1 | `sqrt(T) g / abs(g)`, or `max_norm g / abs(g)` where that is shorter |
//!
//! The two other rescalings of CAGrad are part of its definition: they lengthen the direction within its ball. Nash-MTL's
//! direction does not depend on the lengths of the gradients, so that no factor makes its learning rate comparable: it has to be
//! searched for by itself. A loss weighting needs no factor: its weights reach theta and phi alike. Those of [`RandomWeighting`]
//! and [`Famo`] have the sum 1, so that their learning rates count 1/T of Joint's for all parameters.
//!
//! # Two tasks of your own
//!
//! Two lines are fitted to points. They share one slope; each has an offset of its own.
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
//! /// The points of task 0 have the slope 1, those of task 1 the slope 2.
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
//! assert!((slope - 1.5).abs() < 1e-3, "{slope}"); // CAGrad ends at the smallest mean loss
//! let cosines = method.diagnostics().cosines();
//! assert!(cosines[0].2 < -0.99, "there the gradients are opposite: {cosines:?}");
//! # Ok(())
//! # }
//! ```

mod aggregators;
mod checks;
mod memory;
mod normal;
mod orders;
mod rows;
mod softmax;
mod solver;
mod sources;
mod weightings;
mod wrappers;

pub use aggregators::{
    AlignedMtl, AlignedScale, CaGrad, ConFig, DbMtl, DualProj, ExcessForm, ExcessMtl, FairGrad, GradDrop, GradNorm,
    GradVac, Imtl, ImtlG, Krum, KrumDistance, Mgda, MoCo, MoCoSettings, NashMtl, Normalization, PcGrad, Pcd, Pivrg,
    Rescale, TrimmedMean, UpGrad,
};
pub use sources::{MoDo, MomentumConFig, SdmGrad, SdmGradSettings};
pub use weightings::{
    Cosmos, Dwa, Famo, GeometricMean, Go4Align, Igb, ImtlL, Joint, LdcMtl, Pbi, RandomWeighting, Scalarization,
    ScaleInvariant, Stch, StchLog, Uncertainty,
};
pub use wrappers::{
    BuildAggregator, CrMogm, Fmtl, GroupBy, Grouped, Perturbed, RawDirection, Sam, Samo, SamoSettings, Smoothing,
    Wrapped,
};

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
