//! The layers of a LeNet in front of its heads, in each architecture.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, Parameters};
use mtcool_ops::{MaxPool2d, flatten_features};

use super::config::{KERNEL, LeNetConfig, POOL};
use crate::architecture::Architecture;
use crate::attention::Attention;
use crate::cooperative::{CooperativeLayer, Transform};
use crate::cross_stitch::StitchedLayer;
use crate::experts::Mixture;
use crate::fusion::{Features, Fusion};
use crate::spec::ParameterSpec;

/// The layers from images `[B, C, H, W]` to what a head reads, `[B, F]`.
#[derive(Clone, Debug)]
pub(super) enum Trunk {
    /// Both convolutions and the fully connected layer, all of them shared.
    Shared { convs: [CooperativeLayer; 2], fc: CooperativeLayer },
    /// The same with a column per task, and the units after each layer.
    Stitched { convs: [CooperativeLayer; 2], fc: CooperativeLayer, units: [StitchedLayer; 3] },
    /// The shared layers, what is passed from the first level's masks to the second's, and both modules of each task.
    Attended {
        convs: [CooperativeLayer; 2],
        pass: CooperativeLayer,
        fc: CooperativeLayer,
        modules: Vec<[Attention; 2]>,
    },
    /// Both convolutions, and experts in the place of the fully connected layer.
    Experts { convs: [CooperativeLayer; 2], mixture: Mixture },
}

impl Trunk {
    /// The layers of a network whose second convolution has maps of `pixels` pixels.
    ///
    /// # Errors
    /// If a width cannot be divided among the tasks.
    pub(super) fn new(config: &LeNetConfig, pixels: usize) -> Result<Self> {
        let (tasks, precision) = (config.classes.len(), config.precision);
        let (columns, fusion) = match config.architecture {
            Architecture::CrossStitch(_) => (tasks, Fusion::Separate),
            _ => (1, config.fusion),
        };
        let owned = |layer: CooperativeLayer| -> Result<CooperativeLayer> {
            let even = config.allocation.is_empty();
            let layer = if even { layer } else { layer.with_allocation(&config.allocation)? };
            Ok(layer.with_precision(precision))
        };
        let layer = |name: &'static str, transform, inputs, outputs: usize| {
            owned(CooperativeLayer::new(name, transform, inputs, columns * outputs, tasks, fusion)?)
        };
        let convolution = Transform::Convolution { kernel: KERNEL, pool: Some(MaxPool2d::tiling(POOL)) };
        let first = layer("conv1", convolution, config.input.0, config.conv1)?;
        let second = layer("conv2", convolution, first.fused_channels()?, config.conv2)?;
        let flat = second.fused_channels()? * pixels;
        let convs = [first, second];
        let fc = || layer("fc", Transform::Linear, flat, config.hidden);
        Ok(match config.architecture {
            Architecture::HardSharing => Self::Shared { convs, fc: fc()? },
            Architecture::CrossStitch(units) => {
                let after = |name, channels, is_last| units.after(name, tasks, channels, is_last);
                let units = [
                    after("conv1", config.conv1, false),
                    after("conv2", config.conv2, false),
                    after("fc", config.hidden, true),
                ];
                Self::Stitched { convs, fc: fc()?, units }
            }
            Architecture::Mtan => {
                let module = |task, name: &str, sizes| Attention::new(task, name.to_owned(), sizes, None, precision);
                let of_task = |task| {
                    let first = module(task, "attention1", [config.conv1; 2]);
                    [first, module(task, "attention2", [2 * config.conv2, config.conv2])]
                };
                let pass = layer("pass1", convolution, config.conv1, config.conv2)?;
                Self::Attended { convs, pass, fc: fc()?, modules: (0..tasks).map(of_task).collect() }
            }
            Architecture::Experts(experts) => {
                let mixture = Mixture::new(experts, [flat, config.hidden], tasks, precision, owned)?;
                Self::Experts { convs, mixture }
            }
        })
    }

    /// F.
    ///
    /// # Errors
    /// If the fusion does not fit the shares.
    pub(super) fn outputs(&self) -> Result<usize> {
        match self {
            Self::Shared { fc, .. } | Self::Stitched { fc, .. } | Self::Attended { fc, .. } => fc.fused_channels(),
            Self::Experts { mixture, .. } => Ok(mixture.outputs()),
        }
    }

    /// Names, shapes and initial distributions of the parameters.
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        let of_layers = |layers: &[&CooperativeLayer]| -> Vec<ParameterSpec> {
            layers.iter().flat_map(|layer| layer.parameters()).collect()
        };
        match self {
            Self::Shared { convs: [first, second], fc } => of_layers(&[first, second, fc]),
            Self::Stitched { convs: [first, second], fc, units } => {
                let of_units = units.iter().flat_map(StitchedLayer::parameters);
                of_layers(&[first, second, fc]).into_iter().chain(of_units).collect()
            }
            Self::Attended { convs: [first, second], pass, fc, modules } => {
                let of_modules = modules.iter().flatten().flat_map(Attention::parameters);
                of_layers(&[first, second, pass, fc]).into_iter().chain(of_modules).collect()
            }
            Self::Experts { convs: [first, second], mixture } => {
                of_layers(&[first, second]).into_iter().chain(mixture.parameters()).collect()
            }
        }
    }

    /// What the head of task `task` reads, `[B, F]`, of `input` `[B, C, H, W]`.
    ///
    /// # Errors
    /// If a parameter is missing or a shape does not fit.
    pub(super) fn features(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        let input = Features::Joined(input.clone());
        let through = |layer: &CooperativeLayer, x: &Features| layer.fuse(parameters, layer.forward(parameters, x)?);
        match self {
            Self::Shared { convs: [first, second], fc } => {
                let x = through(second, &through(first, &input)?)?;
                Ok(through(fc, &x.map(flatten_features)?)?.of_task(task).clone())
            }
            Self::Stitched { convs, fc, units: [first, second, last] } => {
                let mut x = input;
                for (layer, unit) in convs.iter().zip([first, second]) {
                    let own = layer.forward(parameters, &x)?.into_separate();
                    x = Features::Separate(unit.mix_all(parameters, &own)?);
                }
                let own = fc.forward(parameters, &x.map(flatten_features)?)?.into_separate();
                last.mix(parameters, task, &own)
            }
            Self::Attended { convs: [first, second], pass, fc, modules } => {
                let [above, below] = &modules[task];
                let shared = through(first, &input)?;
                let p = shared.of_task(task);
                let masked = Features::Joined(above.read(parameters, p, p, None)?);
                let passed = through(pass, &masked)?;
                let shared = through(second, &shared)?;
                let p = shared.of_task(task);
                let masked = below.read(parameters, p, p, Some(passed.of_task(task)))?;
                Ok(through(fc, &Features::Joined(flatten_features(&masked)?))?.of_task(task).clone())
            }
            Self::Experts { convs: [first, second], mixture } => {
                let x = through(second, &through(first, &input)?)?;
                mixture.forward(parameters, task, &flatten_features(x.of_task(task))?)
            }
        }
    }

    /// Adds the layers of [`Trunk::features`] to `diagram`.
    ///
    /// # Errors
    /// If there is no such task.
    pub(super) fn describe(&self, diagram: &mut Diagram, task: usize, input: NodeId) -> Result<NodeId> {
        let flattened = |diagram: &mut Diagram, x: &[NodeId]| -> Vec<NodeId> {
            x.iter().map(|&x| diagram.add(Layer::Flatten, &[x])).collect()
        };
        // All tasks read the same features, or each its own.
        let of_task = |x: &[NodeId]| match x.get(task).or(x.first()) {
            Some(&x) => Ok(x),
            None => bail!("LeNet: no features of task {task}"),
        };
        match self {
            Self::Shared { convs: [first, second], fc } => {
                let x = first.describe(diagram, &[input]);
                let x = second.describe(diagram, &x);
                let x = flattened(diagram, &x);
                of_task(&fc.describe(diagram, &x))
            }
            Self::Stitched { convs, fc, units: [first, second, last] } => {
                let mut x = vec![input];
                for (layer, unit) in convs.iter().zip([first, second]) {
                    let own = layer.describe(diagram, &x);
                    x = (0..own.len()).map(|task| unit.describe(diagram, task, &own, true)).collect();
                }
                let x = flattened(diagram, &x);
                let own = fc.describe(diagram, &x);
                Ok(last.describe(diagram, task, &own, false))
            }
            Self::Attended { convs: [first, second], pass, fc, modules } => {
                let [above, below] = &modules[task];
                let p = of_task(&first.describe(diagram, &[input]))?;
                let masked = above.describe(diagram, p, p, None);
                let passed = of_task(&pass.describe(diagram, &[masked]))?;
                let p = of_task(&second.describe(diagram, &[p]))?;
                let masked = below.describe(diagram, p, p, Some(passed));
                let x = flattened(diagram, &[masked]);
                of_task(&fc.describe(diagram, &x))
            }
            Self::Experts { convs: [first, second], mixture } => {
                let x = first.describe(diagram, &[input]);
                let x = second.describe(diagram, &x);
                let x = of_task(&flattened(diagram, &x))?;
                Ok(mixture.describe(diagram, task, x))
            }
        }
    }
}
