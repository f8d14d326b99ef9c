//! The encoder of a U-Net in each architecture: what the heads of each task read.

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, ParameterKind, ParameterName, Parameters};
use mtcool_ops::{Activation, ChainInput, MaxPool2d, Norm, Precision, Statistics, max_pool2d};

use super::config::UNetConfig;
use super::levels::{is_of, level};
use crate::architecture::Architecture;
use crate::attention::Attention;
use crate::conv_norm::{ConvNorm, Owner, chained};
use crate::cooperative::{allocated, shares};
use crate::cross_stitch::StitchedLayer;
use crate::fusion::Fusion;
use crate::spec::ParameterSpec;

/// From images `[B, C, H, W]` to the features of each level l, `[B, base 2^l, H / 2^l, W / 2^l]`, that a task reads.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    layers: Layers,
    depth: usize,
    norm: Norm,
    precision: Precision,
    /// Levels, from the top, whose inside the backward pass computes again.
    recomputed_levels: usize,
}

#[derive(Clone, Debug)]
enum Layers {
    /// The two units of each level, which all tasks read.
    Shared(Vec<[ConvNorm; 2]>),
    /// For each level, the two units of each task, and the cross-stitch units behind them.
    Stitched(Vec<(Vec<[ConvNorm; 2]>, StitchedLayer)>),
    /// The shared levels; a unit from each level's masked features to the next level; for each task the module of each level.
    Attended { levels: Vec<[ConvNorm; 2]>, passes: Vec<ConvNorm>, modules: Vec<Vec<Attention>> },
}

/// What the encoder computes for all tasks in common.
pub(super) enum Encoded {
    /// The features of each level.
    Shared(Vec<Tensor>),
    /// For each level except the last, what each task reads; of the last level what each task's network computes.
    Stitched { mixed: Vec<Vec<Tensor>>, bottom: Vec<Tensor> },
    /// Of each level the output of the first unit, and of the second.
    Attended { first: Vec<Tensor>, second: Vec<Tensor> },
}

/// The two units of a level, one after the other.
///
/// # Errors
/// If the channels cannot be divided into groups.
pub(super) fn double(
    config: &UNetConfig,
    block: &str,
    [inputs, outputs]: [usize; 2],
    owner: &Owner,
) -> Result<[ConvNorm; 2]> {
    let unit = |index, inputs| ConvNorm::new(block, index, inputs, outputs, owner.clone(), config.statistics);
    Ok([unit(0, inputs)?, unit(1, outputs)?])
}

impl Encoder {
    /// The encoder of a U-Net of these sizes.
    ///
    /// # Errors
    /// If a width cannot be divided among the tasks or the groups, or the architecture has no U-Net.
    pub(super) fn new(config: &UNetConfig) -> Result<Self> {
        config.architecture.check(Fusion::Concat, &config.allocation)?;
        let tasks = config.heads.len();
        let norm = Norm { statistics: config.statistics, eps: config.eps, activation: Activation::Relu };
        let width = |level: usize| config.base << level;
        let inputs = |level: usize| if level == 0 { config.in_channels } else { width(level - 1) };
        let owners = |level: usize| -> Result<Owner> { Ok(Owner::Tasks(shares_of(config, width(level))?)) };
        let of_level =
            |level: usize, owner: &Owner| double(config, &format!("enc{level}"), [inputs(level), width(level)], owner);
        let shared = || -> Result<Vec<[ConvNorm; 2]>> {
            (0..=config.depth).map(|level| of_level(level, &owners(level)?)).collect()
        };
        let layers = match config.architecture {
            Architecture::HardSharing => Layers::Shared(shared()?),
            Architecture::CrossStitch(units) => {
                let level = |level: usize| -> Result<(Vec<[ConvNorm; 2]>, StitchedLayer)> {
                    let column = |task| of_level(level, &Owner::Task(ParameterKind::Theta, task));
                    let columns = (0..tasks).map(column).collect::<Result<_>>()?;
                    Ok((columns, units.after(&format!("enc{level}"), tasks, width(level), level == config.depth)))
                };
                Layers::Stitched((0..=config.depth).map(level).collect::<Result<_>>()?)
            }
            Architecture::Mtan => {
                let pass = |level: usize| {
                    let (owner, name) = (owners(level + 1)?, format!("pass{level}"));
                    ConvNorm::new(&name, 0, width(level), width(level + 1), owner, config.statistics)
                };
                let module = |task: usize, level: usize| {
                    let inputs = if level == 0 { width(0) } else { 2 * width(level) };
                    let sizes = [inputs, width(level)];
                    Attention::new(task, format!("attention{level}"), sizes, Some(norm), config.precision)
                };
                let passes = (0..config.depth).map(pass).collect::<Result<_>>()?;
                let modules = |task| (0..=config.depth).map(|level| module(task, level)).collect();
                Layers::Attended { levels: shared()?, passes, modules: (0..tasks).map(modules).collect() }
            }
            Architecture::Experts(_) => bail!(
                "UNet: experts work on vectors of features, and an encoder computes maps: expected hard sharing, cross-stitch or MTAN"
            ),
        };
        Ok(Self {
            layers,
            depth: config.depth,
            norm,
            precision: config.precision,
            recomputed_levels: config.recomputed_levels,
        })
    }

    /// Whether all of it are operations that can be recorded on any device.
    pub(super) fn can_be_recorded(&self, input: &Tensor) -> bool {
        // On a card, units and masks are candle's operations.
        matches!(self.layers, Layers::Shared(_)) || input.device().is_cpu()
    }

    /// Names, shapes and initial distributions of the parameters.
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        match &self.layers {
            Layers::Shared(levels) => levels.iter().flatten().flat_map(ConvNorm::parameters).collect(),
            Layers::Stitched(levels) => {
                let of_level = |(columns, units): &(Vec<[ConvNorm; 2]>, StitchedLayer)| {
                    let of_columns = columns.iter().flatten().flat_map(ConvNorm::parameters);
                    of_columns.chain(units.parameters()).collect::<Vec<_>>()
                };
                levels.iter().flat_map(of_level).collect()
            }
            Layers::Attended { levels, passes, modules } => {
                let of_units = levels.iter().flatten().chain(passes).flat_map(ConvNorm::parameters);
                of_units.chain(modules.iter().flatten().flat_map(Attention::parameters)).collect()
            }
        }
    }

    /// What all tasks have in common, of `input` `[B, C, H, W]`.
    ///
    /// # Errors
    /// If a parameter is missing, or the poolings do not divide the image.
    pub(super) fn encode(&self, parameters: &Parameters, input: &Tensor) -> Result<Encoded> {
        let (_, _, height, width) = input.dims4()?;
        let step = 1 << self.depth;
        if height % step != 0 || width % step != 0 {
            bail!(
                "UNet: a {height}x{width} image is not divisible by {step}, which {} poolings need; crop or pad it",
                self.depth
            );
        }
        let below = |above: Option<&Tensor>| match above {
            Some(above) => max_pool2d(above, MaxPool2d::tiling(2)),
            None => Ok(input.clone()),
        };
        match &self.layers {
            Layers::Shared(levels) => {
                let mut features: Vec<Tensor> = Vec::with_capacity(levels.len());
                for (index, units) in levels.iter().enumerate() {
                    features.push(self.shared_level(parameters, index, features.last().unwrap_or(input), units)?);
                }
                Ok(Encoded::Shared(features))
            }
            Layers::Stitched(levels) => {
                let (mut mixed, mut bottom): (Vec<Vec<Tensor>>, _) = (Vec::with_capacity(self.depth), Vec::new());
                for (level, (columns, units)) in levels.iter().enumerate() {
                    let own = columns.iter().enumerate().map(|(task, column)| {
                        self.chain(parameters, level, &below(mixed.last().map(|above| &above[task]))?, column)
                    });
                    let own = own.collect::<Result<Vec<_>>>()?;
                    match level == self.depth {
                        true => bottom = own,
                        false => mixed.push(units.mix_all(parameters, &own)?),
                    }
                }
                Ok(Encoded::Stitched { mixed, bottom })
            }
            Layers::Attended { levels, .. } => {
                let (mut first, mut second): (Vec<Tensor>, Vec<Tensor>) = Default::default();
                for (level, [a, b]) in levels.iter().enumerate() {
                    let u = self.chain(parameters, level, &below(second.last())?, std::slice::from_ref(a))?;
                    second.push(self.chain(parameters, level, &u, std::slice::from_ref(b))?);
                    first.push(u);
                }
                Ok(Encoded::Attended { first, second })
            }
        }
    }

    /// The features of each level that task `task` reads.
    ///
    /// # Errors
    /// If a parameter is missing, or `encoded` comes from another encoder.
    pub(super) fn features(&self, parameters: &Parameters, encoded: &Encoded, task: usize) -> Result<Vec<Tensor>> {
        match (&self.layers, encoded) {
            (Layers::Shared(_), Encoded::Shared(features)) => Ok(features.clone()),
            (Layers::Stitched(levels), Encoded::Stitched { mixed, bottom }) => {
                let mut features: Vec<Tensor> = mixed.iter().map(|of_tasks| of_tasks[task].clone()).collect();
                if let Some((_, units)) = levels.last() {
                    features.push(units.mix(parameters, task, bottom)?);
                }
                Ok(features)
            }
            (Layers::Attended { passes, modules, .. }, Encoded::Attended { first, second }) => {
                let mut features: Vec<Tensor> = Vec::with_capacity(second.len());
                for (level, module) in modules[task].iter().enumerate() {
                    let earlier = match features.last() {
                        None => None,
                        Some(above) => {
                            let passed =
                                self.chain(parameters, level, above, std::slice::from_ref(&passes[level - 1]))?;
                            Some(max_pool2d(&passed, MaxPool2d::tiling(2))?)
                        }
                    };
                    features.push(module.read(parameters, &second[level], &first[level], earlier.as_ref())?);
                }
                Ok(features)
            }
            _ => bail!("UNet: the features of another encoder"),
        }
    }

    /// Level `index` of the shared encoder, from the features of the level above, or from the images.
    fn shared_level(
        &self,
        parameters: &Parameters,
        index: usize,
        above: &Tensor,
        units: &[ConvNorm; 2],
    ) -> Result<Tensor> {
        let block = format!("enc{index}");
        let own = parameters.filter(|name| name.kind == ParameterKind::Theta && is_of(name, &block));
        let (units, norm, precision, is_top) = (units.clone(), self.norm, self.precision, index == 0);
        level(index < self.recomputed_levels, &own, &[above], move |parameters, maps| {
            let pooled = if is_top { None } else { Some(max_pool2d(&maps[0], MaxPool2d::tiling(2))?) };
            let x = pooled.as_ref().unwrap_or(&maps[0]);
            chained(parameters, ChainInput::Map(x), &units, norm, precision)
        })
    }

    /// `units` of level `index`, one after the other.
    fn chain(&self, parameters: &Parameters, index: usize, x: &Tensor, units: &[ConvNorm]) -> Result<Tensor> {
        let names: Vec<ParameterName> =
            units.iter().flat_map(ConvNorm::parameters).map(|parameter| parameter.name).collect();
        let own = parameters.filter(|name| names.contains(name));
        let (units, norm, precision) = (units.to_vec(), self.norm, self.precision);
        level(index < self.recomputed_levels, &own, &[x], move |parameters, maps| {
            chained(parameters, ChainInput::Map(&maps[0]), &units, norm, precision)
        })
    }

    /// Adds the layers of the encoder to `diagram`: the features of each level that task `task` reads.
    pub(super) fn describe(&self, diagram: &mut Diagram, task: usize, input: NodeId) -> Vec<NodeId> {
        let norm = self.norm;
        let below = |diagram: &mut Diagram, above: Option<NodeId>| match above {
            Some(above) => diagram.add(Layer::MaxPooling { side: 2, stride: 2 }, &[above]),
            None => input,
        };
        let chain = |diagram: &mut Diagram, x: NodeId, units: &[ConvNorm]| {
            units.iter().fold(x, |x, unit| unit.describe(diagram, x, norm))
        };
        let mut features: Vec<NodeId> = Vec::with_capacity(self.depth + 1);
        match &self.layers {
            Layers::Shared(levels) => {
                for units in levels {
                    let x = below(diagram, features.last().copied());
                    features.push(chain(diagram, x, units));
                }
            }
            Layers::Stitched(levels) => {
                let mut above: Option<Vec<NodeId>> = None;
                for (level, (columns, units)) in levels.iter().enumerate() {
                    let own = columns.iter().enumerate().map(|(task, column)| {
                        let x = below(diagram, above.as_ref().map(|above| above[task]));
                        chain(diagram, x, column)
                    });
                    let own: Vec<NodeId> = own.collect();
                    features.push(units.describe(diagram, task, &own, true));
                    // Only this task's head reads the last level.
                    let read = if level == self.depth { 0 } else { own.len() };
                    above = Some((0..read).map(|task| units.describe(diagram, task, &own, true)).collect());
                }
            }
            Layers::Attended { levels, passes, modules } => {
                let mut shared = None;
                for (level, [a, b]) in levels.iter().enumerate() {
                    let x = below(diagram, shared);
                    let u = chain(diagram, x, std::slice::from_ref(a));
                    let p = chain(diagram, u, std::slice::from_ref(b));
                    let earlier = features.last().copied().map(|above| {
                        let passed = chain(diagram, above, std::slice::from_ref(&passes[level - 1]));
                        below(diagram, Some(passed))
                    });
                    features.push(modules[task][level].describe(diagram, p, u, earlier));
                    shared = Some(p);
                }
            }
        }
        features
    }
}

/// How many of the encoder's `channels` of a level each task owns.
fn shares_of(config: &UNetConfig, channels: usize) -> Result<Vec<usize>> {
    let tasks = config.heads.len();
    if config.allocation.is_empty() {
        return shares(channels, tasks);
    }
    if config.allocation.len() != tasks {
        bail!("UNet: the allocation {:?}: expected one part for each of the {tasks} tasks", config.allocation);
    }
    let group = match config.statistics {
        Statistics::Group { groups } => channels.checked_div(groups).unwrap_or(0),
        Statistics::Batch => 1,
    };
    allocated(channels, &config.allocation, group)
}
