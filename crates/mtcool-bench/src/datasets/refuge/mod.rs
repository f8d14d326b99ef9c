//! REFUGE2018 with two tasks on the same photographs: segment disc and cup, and recognise glaucoma. The usual network is a U-Net.

mod evaluate;
mod export;
mod external;
mod looking;
mod photographs;
mod predict;
mod settings;
mod spec;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;
use mtcool_core::{BatchSource, Parameters, Problem, batches};
use mtcool_data::fundus::BACKGROUND;
use mtcool_data::refuge::{Case, DrawnSize, FundusSamples, RefugeConfig, RefugeSynthesis, Splits, verify};
use mtcool_data::{Error, LoaderConfig, Refuge, SharedLoader};
use serde_json::{Value, json};

use super::batches::batch;
use super::copies::Copies;
use super::on_card::{AS_THEY_ARE, CardPictures, Sent};
use crate::progress::counter;
use crate::suite::{
    CasePicture, Caveat, ConfigError, DataPlace, DataRecord, DatasetEntry, Evaluation, Extract, MapSink, NetworkConfig,
    Split, Suite, SyntheticConfig, check_overfit, varied,
};
use evaluate::{BATCH, Photographs, evaluate};
use photographs::PhotographFiles;
use predict::search_tiling;
use settings::RefugeSettings;
use spec::{CLASSES, TASKS, spec};

pub(super) fn entry() -> DatasetEntry {
    DatasetEntry {
        settings: |table| table.checked_by(RefugeSettings::check),
        fetch: |folder| {
            bail!(
                "REFUGE2018 is available only after registration, so it cannot be downloaded here: register at \
                 https://refuge.grand-challenge.org, unpack its folders below `{}` or name their folder with `--data DIR`, or use \
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
        external: Some(|trained, external| Ok(Box::new(external::RefugeExternal::open(trained, external)?))),
        predictor: Some(|model, options| Ok(Box::new(predict::RefugePredictor::new(model, options)?))),
        export: Some(export::form),
        predict_options: &predict::OPTIONS,
        ..DatasetEntry::new("refuge", "unet", spec, |place, settings| Ok(Box::new(RefugeSuite::open(place, settings)?)))
    }
}

/// The smallest and the largest number of photographs to draw, for training and for the test. The training photographs form two
/// parts, each of which needs at least one photograph for selection.
const DRAWN: [[usize; 2]; 2] = [[6, 19_998], [2, 9_999]];
/// The largest reduction factor at which a drawn photograph still has room for a disc.
const MOST_SHRUNK: usize = 17;

/// Draws the photographs, unless the folder already holds photographs that were drawn with the same settings.
fn synthesize(folder: &Path, config: SyntheticConfig) -> Result<()> {
    let SyntheticConfig { train, test, seed, shrink } = config;
    let number = |key: &str, value: usize, [least, most]: [usize; 2]| {
        if (least..=most).contains(&value) {
            Ok(value as u32)
        } else {
            Err(ConfigError::new(format!("`data.synthetic.{key}` is {value}: expected {least} to {most}")))
        }
    };
    // The training photographs form two parts of the same length, as in the challenge.
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

/// Names the setting in the error as in the experiment's file.
fn with_key(error: Error) -> anyhow::Error {
    match error {
        Error::OutOfRange { key: key @ ("crop" | "side" | "translation" | "jitter"), value, expected } => {
            ConfigError::new(format!("`data.settings.{key}` is {value}: expected {expected}")).into()
        }
        other => other.into(),
    }
}

struct RefugeSuite {
    refuge: Refuge,
    splits: Splits,
    /// Number of photographs in the files for training, validation included, and for the test.
    of_files: [usize; 2],
    /// The settings of the crops.
    settings: RefugeSettings,
    /// The training crops, which are moved and changed at random.
    training: Arc<FundusSamples>,
    /// The training photographs in the memory of a card.
    on_card: Sent,
    /// The crops of the validation split and of the test split, each at a fixed place.
    held_out: [FundusSamples; 2],
}

impl RefugeSuite {
    fn open(DataPlace { folder, cache }: DataPlace<'_>, settings: &Value) -> Result<Self> {
        let settings: RefugeSettings = serde_json::from_value(settings.clone()).context("data.settings")?;
        let RefugeSettings { crop, side, on_copies, .. } = settings;
        let (placement, allows_copies) = (settings.placement(), on_copies == Copies::Allow);
        let config = RefugeConfig { crop, side, placement, allows_copies, cache: cache.to_owned() };
        let refuge = Refuge::open(folder, &config, &counter("cutting photographs")).map_err(with_key)?;
        for note in refuge.notes() {
            tracing::warn!("{note}");
        }
        let splits = refuge.splits(settings.split_seed, settings.validation);
        ensure!(
            !splits.selection.is_empty() && !splits.test.is_empty(),
            "`{}` holds {} photographs, which are too few for a validation part and a test part",
            folder.display(),
            refuge.cases().len()
        );
        let has =
            |part: &[u32], glaucoma| part.iter().any(|&index| refuge.cases()[index as usize].glaucoma == glaucoma);
        for (glaucoma, diagnosis) in [(true, "with glaucoma"), (false, "without glaucoma")] {
            ensure!(
                has(&splits.train, glaucoma),
                "`{}` has no photograph {diagnosis} to train on, so that the task `{}` cannot be learned",
                folder.display(),
                TASKS[1]
            );
        }
        let training = FundusSamples::training(&refuge, splits.train.clone(), settings.augmentation)?;
        let training = Arc::new(if settings.balanced { training.balanced() } else { training });
        let held_out =
            [&splits.selection, &splits.test].map(|indices| FundusSamples::evaluation(&refuge, indices.clone()));
        let of_files = [splits.train.len() + splits.selection.len(), splits.test.len()];
        Ok(Self { refuge, splits, of_files, settings, training, on_card: Sent::default(), held_out })
    }
}

impl Suite for RefugeSuite {
    fn origin(&self) -> Value {
        photographs::origin(&self.refuge, self.of_files)
    }

    fn identity(&self) -> Value {
        json!(PhotographFiles::of(&self.refuge))
    }

    fn record(&self) -> DataRecord {
        let names = |indices: &[u32]| {
            indices.iter().map(|&index| self.refuge.cases()[index as usize].name.clone()).collect::<Vec<_>>()
        };
        let Splits { train, selection, test } = &self.splits;
        let (train, validation, test) = (names(train), names(selection), names(test));
        let digest = Some(self.refuge.fingerprint().to_owned());
        let checksum =
            |(index, case): (usize, &Case)| (case.name.clone(), format!("sha256:{}", self.refuge.image_sha256(index)));
        let files = self.refuge.cases().iter().enumerate().map(checksum).collect();
        DataRecord { digest, files, train, validation, test }
    }

    fn caveats(&self) -> Vec<Caveat> {
        let placement = Caveat { text: self.settings.placement_note(), is_comparable: true };
        let parts = [("validation", &self.splits.selection[..]), ("test", &self.splits.test[..])];
        let of_parts = photographs::one_sided(&self.refuge, &parts);
        photographs::caveats(&self.refuge).into_iter().chain(of_parts).chain([placement]).collect()
    }

    fn samples(&self, _: usize) -> usize {
        self.splits.train.len()
    }

    fn extract(&self, extract: Extract) -> Result<Option<Box<dyn Suite>>> {
        let few = |part: &[u32], count: usize| -> Vec<u32> {
            let diagnosis = |&case: &u32| vec![u32::from(self.refuge.cases()[case as usize].glaucoma)];
            let places = varied(&part.iter().map(diagnosis).collect::<Vec<_>>(), count);
            places.into_iter().map(|place| part[place as usize]).collect()
        };
        let Splits { train, selection, test } = &self.splits;
        let unchanged = |part: &[u32]| FundusSamples::evaluation(&self.refuge, part.to_vec());
        let (splits, training) = match extract {
            Extract::OneBatch => {
                let splits = Splits { train: train.clone(), selection: few(selection, BATCH), test: few(test, BATCH) };
                (splits, self.training.clone())
            }
            Extract::Overfit(count) => {
                check_overfit(count, train.len())?;
                let few = few(train, count);
                let training = unchanged(&few);
                let training = if self.settings.balanced { training.balanced() } else { training };
                (Splits { train: few.clone(), selection: few.clone(), test: few }, Arc::new(training))
            }
        };
        let held_out = [&splits.selection, &splits.test].map(|part| unchanged(part));
        let (refuge, settings) = (self.refuge.clone(), self.settings.clone());
        let of_files = self.of_files;
        Ok(Some(Box::new(Self { refuge, splits, of_files, settings, training, on_card: Sent::default(), held_out })))
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

    fn check_network(&self, network: &NetworkConfig, multiple: usize) -> Result<()> {
        if !self.refuge.side().is_multiple_of(multiple) {
            return Err(ConfigError::new(format!(
                "`data.settings.side` is {}: {} levels of `network.widths` need a multiple of {multiple}",
                self.refuge.side(),
                network.widths.len()
            )))?;
        }
        if search_tiling(self.refuge.side(), multiple).check().is_err() {
            return Err(ConfigError::new(format!(
                "`data.settings.side` is {}: {} levels of `network.widths` need at least {}, so that the trained network can search \
                 whole photographs for the disc",
                self.refuge.side(),
                network.widths.len(),
                2 * multiple
            )))?;
        }
        Ok(())
    }

    fn class_counts(&self, task: usize) -> Result<Vec<u64>> {
        let mut counts = vec![0; if task == 0 { CLASSES } else { 2 }];
        for &index in &self.splits.train {
            let index = index as usize;
            match task {
                0 => self.refuge.classes(index).iter().for_each(|&class| counts[usize::from(class)] += 1),
                _ => counts[usize::from(self.refuge.cases()[index].glaucoma)] += 1,
            }
        }
        Ok(counts)
    }

    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        let [validation, test] = &self.held_out;
        let photographs = match split {
            Split::Validation => Photographs::Validation(validation),
            Split::Test => Photographs::Test { test, validation },
        };
        evaluate(&self.refuge, photographs, problem, parameters, maps)
    }

    fn picture(&self, case: &str) -> Result<Option<CasePicture>> {
        let Some(index) = self.refuge.cases().iter().position(|known| known.name == case) else { return Ok(None) };
        let side = self.refuge.side();
        let truth = vec![(TASKS[0].into(), self.refuge.classes(index))];
        Ok(Some(CasePicture { height: side, width: side, rgb: self.refuge.pixels(index), truth }))
    }
}
