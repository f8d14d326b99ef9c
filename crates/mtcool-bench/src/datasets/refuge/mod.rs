//! REFUGE2018, disc and cup to segment and glaucoma to recognise on the same photographs, with a U-Net.

mod evaluate;
mod photographs;
mod predict;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use mtcool_core::{BatchSource, Loss, Network, Parameters, Problem, batches};
use mtcool_data::fundus::BACKGROUND;
use mtcool_data::refuge::{DrawnSize, FundusSamples, RefugeConfig, RefugeSynthesis, Splits, verify};
use mtcool_data::{Augmentation, Error, LoaderConfig, Refuge, SharedLoader};
use mtcool_models::Head;
use mtcool_ops::{CrossEntropy, Precision, cross_entropy, cross_entropy_with};
use serde_json::{Value, json};

use super::on_card::{AS_THEY_ARE, CardPictures, Sent};
use super::unet::unet;
use super::{CasePicture, Caveat, Column, DatasetEntry, Evaluation, FigureTask, MapSink, Split, Suite, batch};
use crate::config::{ConfigError, NetworkConfig, SyntheticConfig};
use crate::methods::Sharing;
use crate::metrics::Metric;
use crate::progress::counter;
use crate::report::figure::FigureStyle;
use photographs::PhotographFiles;
use settings::RefugeSettings;

pub(super) const ENTRY: DatasetEntry = DatasetEntry {
    name: "refuge",
    fetch: |folder| {
        bail!(
            "REFUGE2018 is given to whoever registers for it, so it cannot be downloaded here: register at \
             https://refuge.grand-challenge.org, unpack its folders below `{}` or name their place by `--data DIR`, or use \
             `--data synth` for synthetic photographs",
            folder.display()
        )
    },
    synthesize,
    synthetic: SyntheticConfig { train: 800, test: 400, seed: 0, shrink: 1 },
    verify: |folder| {
        let report = verify(folder, &counter("verifying photographs"))?;
        ensure!(report.defects().next().is_none(), "{report}");
        Ok(format!("REFUGE2018\n{report}"))
    },
    columns: &COLUMNS,
    settings: super::settings::<RefugeSettings>,
    has_figure: true,
    predictor: Some(|model| Ok(Box::new(predict::RefugePredictor::new(model)?))),
    open: |folder, settings| Ok(Box::new(RefugeSuite::open(folder, settings)?)),
};

/// Task 0 segments, task 1 classifies.
const TASKS: [&str; 2] = ["segmentation", "glaucoma"];
const COLUMNS: [Column; 6] = [
    Column { task: TASKS[0], metric: "dice_cup", label: "Cup Dice" },
    Column { task: TASKS[0], metric: "dice_disc", label: "Disc Dice" },
    Column { task: TASKS[1], metric: "accuracy", label: "Acc" },
    Column { task: TASKS[1], metric: "auroc", label: "AUROC" },
    Column { task: TASKS[1], metric: "sensitivity", label: "Sen" },
    Column { task: TASKS[1], metric: "specificity", label: "Spe" },
];
/// Background, rim, cup.
const CLASSES: usize = 3;
const HEADS: [Head; 2] = [Head::Segmentation { classes: CLASSES }, Head::Classification { classes: 2 }];
/// The same tasks, each with a network of its own.
const SEPARATE: [Head; 2] =
    [Head::Segmentation { classes: CLASSES }, Head::LoneClassification { classes: 2, map: CLASSES }];
/// The fewest and the most photographs to draw: to train with, in two parts of which one photograph each is for selection, and
/// to test.
const DRAWN: [[usize; 2]; 2] = [[6, 19_998], [2, 9_999]];
/// Drawn photographs so many times smaller still have room for a disc.
const MOST_SHRUNK: usize = 17;

/// Draws the photographs unless the folder already holds what the same settings drew.
fn synthesize(folder: &Path, config: SyntheticConfig) -> Result<()> {
    let SyntheticConfig { train, test, seed, shrink } = config;
    let number = |key: &str, value: usize, [least, most]: [usize; 2]| match (least..=most).contains(&value) {
        true => Ok(value as u32),
        false => Err(ConfigError::new(format!("`data.synthetic.{key}` is {value}: expected {least} to {most}"))),
    };
    // Training photographs come in two parts of one length, as the challenge has them.
    let train = number("train", train, DRAWN[0])?;
    let test = number("test", test, DRAWN[1])?;
    number("shrink", shrink, [1, MOST_SHRUNK])?;
    let (validation, size) = (train / 2, DrawnSize::Shrunk(shrink));
    let synthesis = RefugeSynthesis { train: train.div_ceil(2), validation, test, size, seed };
    if synthesis.is_drawn(folder)? {
        return Ok(());
    }
    tracing::info!(folder = %folder.display(), train, test, seed, "drawing synthetic fundus photographs");
    Ok(synthesis.draw(folder, &counter("drawing photographs"))?)
}

/// Names a setting as the experiment's file does.
fn with_key(error: Error) -> anyhow::Error {
    match error {
        Error::OutOfRange { key: key @ ("crop" | "side"), value, expected } => {
            ConfigError::new(format!("`data.settings.{key}` is {value}: expected {expected}")).into()
        }
        other => other.into(),
    }
}

/// The network of both tasks.
fn network_of(network: &NetworkConfig, precision: Precision, sharing: Sharing) -> Result<Box<dyn Network>> {
    let heads = match sharing {
        Sharing::Shared => HEADS,
        Sharing::Separate => SEPARATE,
    };
    unet(network, &heads, precision, sharing)
}

struct RefugeSuite {
    refuge: Refuge,
    splits: Splits,
    settings: RefugeSettings,
    /// Training crops, changed at random.
    training: Arc<FundusSamples>,
    /// The training crops on a card.
    on_card: Sent,
    /// Crops to select on, and to report, as they are.
    held_out: [FundusSamples; 2],
}

impl RefugeSuite {
    fn open(folder: &Path, settings: &Value) -> Result<Self> {
        let settings: RefugeSettings = serde_json::from_value(settings.clone()).context("data.settings")?;
        settings.augmentation.check().context("data.settings.augmentation")?;
        let weights = &settings.class_weights;
        if !(weights.is_empty() || weights.len() == CLASSES)
            || weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0)
        {
            return Err(ConfigError::new(format!(
                "`data.settings.class_weights` is {weights:?}: expected nothing, or a number of at least 0 for each of background, rim, cup"
            )))?;
        }
        let config = RefugeConfig { crop: settings.crop, side: settings.side, cache: PathBuf::from("data/cache") };
        let refuge = Refuge::open(folder, &config, &counter("cutting photographs")).map_err(with_key)?;
        for note in refuge.notes() {
            tracing::warn!("{note}");
        }
        let splits = refuge.splits(settings.split_seed);
        ensure!(
            !splits.selection.is_empty() && !splits.test.is_empty(),
            "`{}` holds {} photographs, too few to hold some out for selection and to test with",
            folder.display(),
            refuge.cases().len()
        );
        let training = Arc::new(refuge.samples(splits.train.clone(), settings.augmentation));
        let held_out =
            [&splits.selection, &splits.test].map(|indices| refuge.samples(indices.clone(), Augmentation::NONE));
        Ok(Self { refuge, splits, settings, training, on_card: Sent::default(), held_out })
    }

    fn segmentation_loss(&self) -> Loss {
        let weights = self.settings.class_weights.clone();
        let class_weights = (!weights.is_empty()).then_some(weights);
        let settings = CrossEntropy { class_weights, ignored: None };
        Box::new(move |logits, targets| cross_entropy_with(logits, targets, &settings))
    }

    fn samples_of(&self, split: Split) -> &FundusSamples {
        &self.held_out[match split {
            Split::Validation => 0,
            Split::Test => 1,
        }]
    }
}

impl Suite for RefugeSuite {
    fn tasks(&self) -> &'static [&'static str] {
        &TASKS
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn origin(&self) -> Value {
        let train = self.splits.train.len() + self.splits.selection.len();
        photographs::origin(&self.refuge, [train, self.splits.test.len()])
    }

    fn identity(&self) -> Value {
        json!(PhotographFiles::of(&self.refuge))
    }

    fn caveats(&self) -> Vec<Caveat> {
        photographs::caveats(&self.refuge)
    }

    fn samples(&self, _: usize) -> usize {
        self.splits.train.len()
    }

    fn batches(&self, device: &Device, batch_size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>> {
        let config = LoaderConfig { batch_size, seed, stream: 0 };
        let send = || CardPictures::new(device, self.training.pictures(), &[AS_THEY_ARE], BACKGROUND);
        let training = match self.on_card.get(send)? {
            Some(cutter) => Arc::new(self.training.cut_by(cutter)),
            None => self.training.clone(),
        };
        let mut loader = SharedLoader::on(device, training, config, position).context("training photographs")?;
        Ok(Box::new(batches::from_fn(move |task| loader.next(task).map(batch))))
    }

    fn problem(&self, network: &NetworkConfig, precision: Precision, sharing: Sharing) -> Result<Problem> {
        let step = 1usize << network.widths.len().saturating_sub(1).min(16);
        if !self.refuge.side().is_multiple_of(step) {
            return Err(ConfigError::new(format!(
                "`data.settings.side` is {}: {} levels of `network.widths` need a multiple of {step}",
                self.refuge.side(),
                network.widths.len()
            )))?;
        }
        let network = network_of(network, precision, sharing)?;
        Ok(Problem::new(network, vec![self.segmentation_loss(), Box::new(cross_entropy)])?)
    }

    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        evaluate::evaluate(&self.refuge, self.samples_of(split), problem, parameters, maps)
    }

    fn figure(&self) -> Option<FigureTask> {
        let metrics = [(Metric::DiceDisc.name(), "disc"), (Metric::DiceCup.name(), "cup")];
        Some(FigureTask { task: TASKS[0], metrics, style: FigureStyle::DiscAndCup })
    }

    fn picture(&self, case: &str) -> Result<Option<CasePicture>> {
        let Some(index) = self.refuge.cases().iter().position(|known| known.name == case) else { return Ok(None) };
        let side = self.refuge.side();
        let truth = vec![(TASKS[0], self.refuge.classes(index).to_vec())];
        Ok(Some(CasePicture { height: side, width: side, rgb: self.refuge.pixels(index).to_vec(), truth }))
    }
}
