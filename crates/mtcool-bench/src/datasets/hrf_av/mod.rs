//! HRF-AV, vessels and arteries against veins on the same photographs, with a U-Net.

mod batches;
mod evaluate;
mod predict;
mod settings;
mod standard;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use mtcool_core::{BatchSource, Parameters, Problem};
use mtcool_data::cache::Cache;
use mtcool_data::hrf_av::{
    CLASS, ChannelStatistics, Class, FetchConfig, HrfAvConfig, Partition, PatchConfig, Patches, Photograph, SetShape,
    SynthConfig, fetch, origin, synthesize as draw, target_planes, verify,
};
use mtcool_data::{HrfAv, Origin, Progress};
use mtcool_models::Head;
use mtcool_ops::{ClassLoss, Precision, class_loss, cross_entropy};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::on_card::{CardPictures, Sent};
use super::unet::unet;
use super::{CasePicture, Caveat, Column, DatasetEntry, Evaluation, FigureTask, MapSink, Split, Suite};
use crate::config::{ConfigError, NetworkConfig, SyntheticConfig};
use crate::methods::Sharing;
use crate::progress::counter;
use crate::report::figure::FigureStyle;
use batches::PatchBatches;
use settings::{HrfAvSettings, MOST_POOLINGS};
use standard::Standard;

pub(super) const ENTRY: DatasetEntry = DatasetEntry {
    name: "hrf-av",
    fetch: |folder| {
        let show = counter("bytes of HRF-AV");
        let mut watch = |progress: Progress<'_>| show(progress.done as usize, progress.total.unwrap_or(0) as usize);
        let brought = fetch(folder, &FetchConfig::default(), &mut watch)?;
        tracing::info!(kept = brought.kept, brought = brought.brought, "HRF-AV is there");
        Ok(())
    },
    synthesize,
    synthetic: SyntheticConfig { train: 15, test: 30, seed: 0, shrink: 1 },
    verify: |folder| {
        let report = verify(folder, origin(folder)?.1)?;
        ensure!(report.problems.is_empty(), "{report}");
        Ok(format!("HRF-AV: {report}"))
    },
    columns: &COLUMNS,
    settings: super::settings::<HrfAvSettings>,
    has_figure: true,
    predictor: Some(|model| Ok(Box::new(predict::HrfAvPredictor::new(model)?))),
    open: |folder, settings| Ok(Box::new(HrfAvSuite::open(folder, &Cache::new("data/cache"), settings)?)),
};

/// Task 0 finds vessels, task 1 tells arteries from veins.
const TASKS: [&str; 2] = ["binary", "av"];
const COLUMNS: [Column; 8] = [
    Column { task: TASKS[1], metric: "artery_accuracy", label: "Artery Acc" },
    Column { task: TASKS[1], metric: "artery_f1", label: "Artery F1" },
    Column { task: TASKS[1], metric: "vein_accuracy", label: "Vein Acc" },
    Column { task: TASKS[1], metric: "vein_f1", label: "Vein F1" },
    Column { task: TASKS[1], metric: "av_accuracy", label: "AV Acc" },
    Column { task: TASKS[1], metric: "av_f1", label: "AV F1" },
    Column { task: TASKS[0], metric: "accuracy", label: "Binary Acc" },
    Column { task: TASKS[0], metric: "f1", label: "Binary F1" },
];
/// Vessel or not; background, artery, vein.
const HEADS: [Head; 2] = [Head::Segmentation { classes: 2 }, Head::Segmentation { classes: 3 }];
/// Threads that cut patches ahead.
const WORKERS: usize = 1;

/// Draws the photographs that are not there yet.
fn synthesize(folder: &Path, config: SyntheticConfig) -> Result<()> {
    let SyntheticConfig { train, test, seed, shrink } = config;
    let numbers = train / 3;
    let fits = (1..=99).contains(&numbers) && train == 3 * numbers && test == 2 * train && (1..=16).contains(&shrink);
    ensure!(
        fits,
        "`data.synthetic` asks for {train} training and {test} test photographs, sides {shrink} times shorter: HRF-AV has three \
         groups, a third of each for training, so expected a multiple of 3 up to 297, twice as many to test, and 1 to 16"
    );
    let official = SetShape::OFFICIAL;
    let shape = SetShape { numbers: 3 * numbers as u8, size: official.size.map(|side| side / shrink) };
    let is_drawn = matches!(origin(folder), Ok((Origin::Synthetic { .. }, _)));
    if !is_drawn {
        tracing::info!(folder = %folder.display(), photographs = train + test, seed, "drawing synthetic fundus photographs");
    }
    Ok(draw(folder, SynthConfig { shape, seed })?)
}

/// How many times shorter the sides of photographs of `width` pixels must become to be `scale` times shorter than the published
/// ones; `None` if no whole number does that.
fn own_scale(scale: usize, width: usize) -> Option<usize> {
    let official = SetShape::OFFICIAL.size[0];
    let product = scale * width;
    (product.is_multiple_of(official) && product >= official).then(|| product / official)
}

struct HrfAvSuite {
    settings: HrfAvSettings,
    origin: (Origin, SetShape),
    /// What a reader of the table must know.
    notes: Vec<String>,
    /// Of the photographs that train.
    statistics: ChannelStatistics,
    training: Vec<Arc<Photograph>>,
    /// The training photographs on a card.
    on_card: Sent,
    /// To select on, and to report.
    held_out: [Vec<Arc<Photograph>>; 2],
}

impl HrfAvSuite {
    fn open(folder: &Path, cache: &Cache, settings: &Value) -> Result<Self> {
        let settings: HrfAvSettings = serde_json::from_value(settings.clone()).context("data.settings")?;
        settings.tiling().check().context("data.settings: `tile`, `overlap`, `margin`")?;
        settings.augmentation.check().context("data.settings.augmentation")?;
        ensure!(
            settings.patches_per_photograph >= 1,
            "`data.settings.patches_per_photograph` is 0: expected at least 1"
        );
        let origin = origin(folder)?;
        let partition = Partition::new(origin.1, settings.split.rule(), settings.held_out).context("data.settings")?;
        let own = origin.1.size[0];
        let scale = own_scale(settings.scale, own).ok_or_else(|| {
            ConfigError::new(format!(
                "`data.settings.scale` is {}: these photographs are {own} pixels wide, so expected a multiple of {}",
                settings.scale,
                SetShape::OFFICIAL.size[0].div_ceil(own)
            ))
        })?;
        let config = HrfAvConfig { shape: origin.1, scale, on_damage: settings.on_damage.policy() };
        let set = HrfAv::open(folder, cache, config)?;
        let notes = set.notes();
        for note in &notes {
            tracing::warn!("{note}");
        }
        let training = set.photographs(&partition.train);
        let held_out = [&partition.validation, &partition.test].map(|ids| set.photographs(ids));
        for (part, photographs) in [("train", &training), ("test", &held_out[1])] {
            ensure!(!photographs.is_empty(), "no intact photograph is left to {part} with in `{}`", folder.display());
        }
        let statistics = ChannelStatistics::of(&training);
        let on_card = Sent::default();
        Ok(Self { settings, origin, notes, statistics, training, on_card, held_out })
    }

    fn photographs(&self, split: Split) -> &[Arc<Photograph>] {
        match split {
            Split::Validation => &self.held_out[0],
            Split::Test => &self.held_out[1],
        }
    }

    /// SHA-256 of what all photographs were loaded from, in hexadecimal.
    fn digest(&self) -> String {
        let all = self.training.iter().chain(self.held_out.iter().flatten());
        let mut keys: Vec<&str> = all.map(|photograph| photograph.key()).collect();
        keys.sort_unstable();
        Sha256::digest(keys.join("\n").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Suite for HrfAvSuite {
    fn tasks(&self) -> &'static [&'static str] {
        &TASKS
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn origin(&self) -> Value {
        match &self.origin {
            (Origin::Real, _) => Value::Null,
            (Origin::Synthetic { seed, generator }, SetShape { numbers, size }) => {
                json!({ "synthetic": { "seed": seed, "generator": generator, "photographs": 3 * u32::from(*numbers), "size": size } })
            }
        }
    }

    /// With what pixels are standardised by, for whoever uses the trained network without the data.
    fn identity(&self) -> Value {
        let ChannelStatistics { mean, deviation } = self.statistics;
        json!({ "digest": self.digest(), "mean": mean, "deviation": deviation })
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.notes.iter().map(|note| Caveat { text: note.clone(), is_comparable: true }).collect()
    }

    fn samples(&self, _: usize) -> usize {
        self.training.len() * self.settings.patches_per_photograph
    }

    fn batches(&self, device: &Device, batch_size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>> {
        let config = PatchConfig {
            side: self.settings.patch,
            batch_size,
            seed,
            augment: self.settings.augmentation,
            workers: WORKERS,
        };
        let photographs = self.training.clone();
        let pictures = photographs.iter().map(|photograph| (photograph.pixels(), photograph.marks()));
        let patches = match self.on_card.get(|| CardPictures::new(device, pictures, &target_planes(), 0))? {
            Some(cutter) => Patches::cut_by(&cutter, photographs, config, position),
            None => Patches::on(device, photographs, config, position),
        };
        let patches = patches.context("training photographs")?;
        Ok(Box::new(PatchBatches::new(patches, Standard::new(self.statistics))))
    }

    fn problem(&self, network: &NetworkConfig, precision: Precision, sharing: Sharing) -> Result<Problem> {
        let depth = network.widths.len().saturating_sub(1);
        if depth > MOST_POOLINGS {
            return Err(ConfigError::new(format!(
                "`network.widths` has {} levels: expected at most {}, for which tiles are laid out",
                depth + 1,
                MOST_POOLINGS + 1
            )))?;
        }
        let step = 1usize << depth;
        for (key, side) in [("patch", self.settings.patch), ("tile", self.settings.tile)] {
            if !side.is_multiple_of(step) || side < step {
                return Err(ConfigError::new(format!(
                    "`data.settings.{key}` is {side}: {} levels of `network.widths` need a multiple of {step}",
                    network.widths.len()
                )))?;
            }
        }
        let green = ClassLoss { ignored: Some(Class::Crossing as u32), ..ClassLoss::cross_entropy() };
        let network = unet(network, &HEADS, precision, sharing)?;
        let av = move |logits: &_, targets: &_| class_loss(logits, targets, &green);
        Ok(Problem::new(network, vec![Box::new(cross_entropy), Box::new(av)])?)
    }

    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        let photographs = self.photographs(split);
        // Nothing held out: there is nothing to say of it, rather than numbers that are none.
        if photographs.is_empty() {
            return Ok(Evaluation::default());
        }
        evaluate::evaluate(photographs, &self.settings, Standard::new(self.statistics), problem, parameters, maps)
    }

    fn figure(&self) -> Option<FigureTask> {
        let metrics = [("artery_f1", "artery F1"), ("vein_f1", "vein F1")];
        Some(FigureTask { task: TASKS[1], metrics, style: FigureStyle::Vessels })
    }

    fn picture(&self, case: &str) -> Result<Option<CasePicture>> {
        let all = self.held_out.iter().flatten();
        let Some(photograph) = all.into_iter().find(|photograph| photograph.id.to_string() == case) else {
            return Ok(None);
        };
        let truth = photograph.marks().bytes.iter().map(|mark| mark & CLASS).collect();
        Ok(Some(CasePicture {
            height: photograph.height(),
            width: photograph.width(),
            rgb: photograph.pixels().bytes.to_vec(),
            truth: vec![(TASKS[1], truth)],
        }))
    }
}

#[cfg(test)]
mod tests {
    use mtcool_data::hrf_av::Role;

    use super::settings::Damage;
    use super::*;

    #[test]
    fn photographs_of_another_width_have_a_scale_of_their_own() {
        let scales = [(4, 3504), (4, 876), (16, 219), (16, 438), (4, 438), (4, 1000), (0, 3504)];
        assert_eq!(
            scales.map(|(scale, width)| own_scale(scale, width)),
            [Some(4), Some(1), Some(1), Some(2), None, None, None]
        );
    }

    #[test]
    fn another_file_or_one_less_is_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let (set, cache) = (folder.path().join("set"), Cache::new(folder.path().join("cache")));
        synthesize(&set, SyntheticConfig { train: 3, test: 6, seed: 1, shrink: 16 }).unwrap();
        let settings = HrfAvSettings {
            scale: 16,
            patch: 32,
            tile: 64,
            overlap: 16,
            margin: 4,
            held_out: 0,
            on_damage: Damage::LeaveOut,
            ..HrfAvSettings::default()
        };
        let settings = serde_json::to_value(settings).unwrap();
        let open = || HrfAvSuite::open(&set, &cache, &settings).unwrap();
        let first = open();
        assert_eq!(first.identity(), open().identity());
        assert_eq!(first.identity()["digest"].as_str().unwrap().len(), 64);
        assert_eq!(Standard::of_run(&first.identity()).unwrap(), Standard::new(first.statistics));

        // Another truth of one photograph.
        let test = first.held_out[1][0].id;
        std::fs::create_dir(set.join(Role::Vessels.folder())).unwrap();
        std::fs::copy(set.join(Role::Field.path(test)), set.join(Role::Vessels.path(test))).unwrap();
        let second = open();
        assert_ne!(second.identity()["digest"], first.identity()["digest"]);

        // A photograph less; it did not train, so the statistics do not know.
        std::fs::remove_file(set.join(Role::Image.path(test))).unwrap();
        let third = open();
        assert_eq!(third.held_out[1].len(), 5);
        assert!(third.identity() != first.identity() && third.identity() != second.identity());
        assert_eq!(third.statistics, first.statistics);
    }
}
