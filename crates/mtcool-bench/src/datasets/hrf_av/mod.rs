//! HRF-AV with two tasks on the same photographs: find vessels, and distinguish arteries from veins. The usual network is a
//! U-Net.

mod batches;
mod caveats;
mod evaluate;
mod export;
mod external;
mod predict;
mod settings;
mod spec;
mod standard;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use mtcool_core::{BatchSource, Parameters, Problem};
use mtcool_data::augment::Augmentation;
use mtcool_data::cache::Cache;
use mtcool_data::hrf_av::{
    CLASS, ChannelStatistics, FetchConfig, HrfAvConfig, Partition, PatchConfig, Patches, Photograph, SetShape,
    SynthConfig, VESSEL, fetch, origin, synthesize as draw, target_planes, verify,
};
use mtcool_data::{DownloadProgress, HrfAv, Origin};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::copies::Copies;
use super::on_card::{CardPictures, Sent};
use crate::progress::counter;
use crate::suite::{
    CasePicture, Caveat, ConfigError, DataRecord, DatasetEntry, Evaluation, Extract, MapSink, NetworkConfig, Split,
    Suite, SyntheticConfig, check_overfit,
};
use batches::PatchBatches;
use caveats::{departures, lacks};
use evaluate::Marked;
use settings::{HrfAvSettings, MOST_POOLINGS, own_scale};
use spec::{TASKS, spec};
use standard::Standard;

pub(super) fn entry() -> DatasetEntry {
    DatasetEntry {
        settings: |table| table.checked_by(HrfAvSettings::check),
        fetch: |folder| {
            let show = counter("bytes of HRF-AV");
            let mut watch =
                |progress: DownloadProgress<'_>| show(progress.done as usize, progress.total.unwrap_or(0) as usize);
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
        external: Some(|trained, external| Ok(Box::new(external::HrfAvExternal::open(trained, external)?))),
        predictor: Some(|model, _| Ok(Box::new(predict::HrfAvPredictor::new(model)?))),
        export: Some(export::form),
        ..DatasetEntry::new("hrf-av", "unet", spec, |place, settings| {
            Ok(Box::new(HrfAvSuite::open(place.folder, &Cache::new(place.cache), settings)?))
        })
    }
}

/// Number of threads that cut patches in advance.
const WORKERS: usize = 1;

/// Draws the photographs that do not exist yet.
fn synthesize(folder: &Path, config: SyntheticConfig) -> Result<()> {
    let SyntheticConfig { train, test, seed, shrink } = config;
    let numbers = train / 3;
    let fits = (1..=99).contains(&numbers) && train == 3 * numbers && test == 2 * train && (1..=16).contains(&shrink);
    ensure!(
        fits,
        "`data.synthetic` asks for {train} training and {test} test photographs, sides {shrink} times shorter: HRF-AV has three \
         groups, a third of each for training, so expected a multiple of 3 up to 297, twice as many for the test, and a factor of 1 to 16"
    );
    let official = SetShape::OFFICIAL;
    let shape = SetShape { numbers: 3 * numbers as u8, size: official.size.map(|side| side / shrink) };
    let is_drawn = matches!(origin(folder), Ok((Origin::Synthetic { .. }, _)));
    if !is_drawn {
        tracing::info!(folder = %folder.display(), photographs = train + test, seed, "drawing synthetic fundus photographs");
    }
    Ok(draw(folder, SynthConfig { shape, seed })?)
}

struct HrfAvSuite {
    settings: HrfAvSettings,
    origin: (Origin, SetShape),
    /// Facts about the files that a reader of the table must know.
    caveats: Vec<Caveat>,
    /// The statistics of the training photographs.
    statistics: ChannelStatistics,
    /// SHA-256 over the content keys of all photographs.
    digest: String,
    training: Vec<Arc<Photograph>>,
    /// The training photographs in the memory of a card.
    on_card: Sent,
    /// The photographs of the validation split and of the test split.
    held_out: [Vec<Arc<Photograph>>; 2],
}

impl HrfAvSuite {
    fn open(folder: &Path, cache: &Cache, settings: &Value) -> Result<Self> {
        let settings: HrfAvSettings = serde_json::from_value(settings.clone()).context("data.settings")?;
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
        let allows_copies = settings.on_copies == Copies::Allow;
        let on_damage = settings.on_damage.policy();
        let config = HrfAvConfig { shape: origin.1, scale, on_damage, allows_copies };
        let set = HrfAv::open(folder, cache, config)?;
        let notes = set.notes();
        for note in &notes {
            tracing::warn!("{note}");
        }
        let training = set.photographs(&partition.train);
        let held_out = [&partition.validation, &partition.test].map(|ids| set.photographs(ids));
        for (part, photographs) in [("train", &training), ("test", &held_out[1])] {
            ensure!(!photographs.is_empty(), "`{}` has no intact photograph for the {part} part", folder.display());
        }
        let mut caveats = departures(&set, origin.1.photographs().count());
        for (part, planned, photographs) in [
            ("training", &partition.train, &training),
            ("validation", &partition.validation, &held_out[0]),
            ("test", &partition.test, &held_out[1]),
        ] {
            caveats.extend(lacks(part, planned.len(), photographs));
        }
        caveats.extend(notes.into_iter().map(|text| Caveat { text, is_comparable: true }));
        let statistics = ChannelStatistics::of(&training);
        let on_card = Sent::default();
        let digest = digest(training.iter().chain(held_out.iter().flatten()));
        Ok(Self { settings, origin, caveats, statistics, digest, training, on_card, held_out })
    }

    fn photographs(&self, split: Split) -> &[Arc<Photograph>] {
        match split {
            Split::Validation => &self.held_out[0],
            Split::Test => &self.held_out[1],
        }
    }
}

/// SHA-256 over the content keys of all of `photographs`, in hexadecimal.
fn digest<'a>(photographs: impl Iterator<Item = &'a Arc<Photograph>>) -> String {
    let mut keys: Vec<&str> = photographs.map(|photograph| photograph.key()).collect();
    keys.sort_unstable();
    Sha256::digest(keys.join("\n").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Suite for HrfAvSuite {
    fn origin(&self) -> Value {
        match &self.origin {
            (Origin::Real, _) => Value::Null,
            (Origin::Synthetic { seed, generator }, SetShape { numbers, size }) => {
                json!({ "synthetic": { "seed": seed, "generator": generator, "photographs": 3 * u32::from(*numbers), "size": size } })
            }
        }
    }

    /// The digest, and the mean and deviation that standardise the pixels: these are needed to use the trained network without
    /// the data.
    fn identity(&self) -> Value {
        let ChannelStatistics { mean, deviation } = self.statistics;
        json!({ "digest": self.digest, "mean": mean, "deviation": deviation })
    }

    fn record(&self) -> DataRecord {
        let names = |photographs: &[Arc<Photograph>]| photographs.iter().map(|each| each.id.to_string()).collect();
        let [validation, test] = &self.held_out;
        let (train, validation, test) = (names(&self.training), names(validation), names(test));
        let all = self.training.iter().chain(self.held_out.iter().flatten());
        let files = all.map(|each| (each.id.to_string(), format!("sha256:{}", each.image_sha256))).collect();
        DataRecord { digest: Some(self.digest.clone()), files, train, validation, test }
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.caveats.clone()
    }

    fn samples(&self, _: usize) -> usize {
        self.training.len() * self.settings.patches_per_photograph
    }

    fn extract(&self, extract: Extract) -> Result<Option<Box<dyn Suite>>> {
        let first = |part: &[Arc<Photograph>], count: usize| part[..count.min(part.len())].to_vec();
        let [validation, test] = &self.held_out;
        let mut settings = self.settings.clone();
        let (training, held_out) = match extract {
            // An evaluation has one photograph at a time.
            Extract::OneBatch => (self.training.clone(), [first(validation, 1), first(test, 1)]),
            Extract::Overfit(count) => {
                check_overfit(count, self.training.len())?;
                settings.augmentation = Augmentation::NONE;
                let few = first(&self.training, count);
                (few.clone(), [few.clone(), few])
            }
        };
        let (origin, caveats, statistics) = (self.origin.clone(), self.caveats.clone(), self.statistics);
        let (digest, on_card) = (self.digest.clone(), Sent::default());
        Ok(Some(Box::new(Self { settings, origin, caveats, statistics, digest, training, on_card, held_out })))
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

    fn check_network(&self, network: &NetworkConfig, multiple: usize) -> Result<()> {
        let levels = network.widths.len();
        if multiple > 1 << MOST_POOLINGS {
            return Err(ConfigError::new(format!(
                "`network.widths` has {levels} levels: expected at most {}, for which tiles are laid out",
                MOST_POOLINGS + 1
            )))?;
        }
        for (key, side) in [("patch", self.settings.patch), ("tile", self.settings.tile)] {
            if !side.is_multiple_of(multiple) || side < multiple {
                return Err(ConfigError::new(format!(
                    "`data.settings.{key}` is {side}: {levels} levels of `network.widths` need a multiple of {multiple}"
                )))?;
            }
        }
        Ok(())
    }

    fn class_counts(&self, task: usize) -> Result<Vec<u64>> {
        let mut counts = vec![0; if task == 0 { 2 } else { 3 }];
        for mark in self.training.iter().flat_map(|photograph| photograph.marks().bytes) {
            let class = if task == 0 { usize::from(mark & VESSEL != 0) } else { usize::from(mark & CLASS) };
            // Crossings are not a class of the A/V task.
            if let Some(count) = counts.get_mut(class) {
                *count += 1;
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
        let photographs = self.photographs(split);
        // Without held-out photographs there are no metrics, instead of metrics that are NaN.
        if photographs.is_empty() {
            return Ok(Evaluation::default());
        }
        let marked = photographs.iter().map(|photograph| Marked::of(photograph));
        let (standard, network) = (Standard::new(self.statistics), problem.network());
        evaluate::evaluate(marked, &self.settings, standard, (network, parameters), maps)
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
            truth: vec![(TASKS[1].into(), truth)],
        }))
    }
}

#[cfg(test)]
mod tests {
    use mtcool_data::hrf_av::Role;

    use super::settings::Damage;
    use super::*;

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

        // Change the annotation of one photograph.
        let test = first.held_out[1][0].id;
        std::fs::create_dir(set.join(Role::Vessels.folder())).unwrap();
        let mut vessels = image::open(set.join(Role::Labels.path(test))).unwrap().into_rgb8();
        vessels.pixels_mut().for_each(|pixel| pixel.0 = if pixel.0 == [0; 3] { [0; 3] } else { [255; 3] });
        vessels.save(set.join(Role::Vessels.path(test))).unwrap();
        let second = open();
        assert_ne!(second.identity()["digest"], first.identity()["digest"]);

        // Remove one photograph. It was not used for training, so the statistics stay the same.
        std::fs::remove_file(set.join(Role::Image.path(test))).unwrap();
        let third = open();
        assert_eq!(third.held_out[1].len(), 5);
        let told = &third.caveats()[0];
        assert!(told.text.starts_with("1 of 9 photographs were left out") && !told.is_comparable, "{}", told.text);
        assert!(third.identity() != first.identity() && third.identity() != second.identity());
        assert_eq!(third.statistics, first.statistics);
    }
}
