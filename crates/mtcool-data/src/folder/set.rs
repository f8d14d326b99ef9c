//! A folder that was checked: its tasks, cases, parts, labels and pictures.

use std::path::Path;
use std::sync::Arc;

use super::arrays::Stored;
use super::config::{Fit, FolderConfig, SplitConfig};
use super::coverage::Coverage;
use super::facts::PictureFacts;
use super::label::Label;
use super::mask::MaskCoding;
use super::normalization::{ChannelSums, Normalization};
use super::parts::{Part, Parts, collect};
use super::pixels::Pixels;
use super::purpose::Purpose;
use super::statistics::TrainingStatistics;
use super::survey::{OpenOptions, Survey};
use super::task::{TaskConfig, TaskKind};
use crate::augment::Augmentation;
use crate::error::{Error, Result};
use crate::files::sha256;
use crate::problems::Problems;
use crate::progress::PhotographProgress;

/// A checked folder whose decoded pictures are mapped from the cache. Copies share everything.
#[derive(Clone, Debug)]
pub struct Folder {
    content: Arc<Content>,
    /// The cases of each part: those of the files, or fewer.
    parts: Arc<Parts>,
    /// Whether training pictures are changed as the settings say.
    is_augmented: bool,
}

#[derive(Debug)]
struct Content {
    config: FolderConfig,
    tasks: Vec<FolderTask>,
    cases: Vec<Case>,
    sources: Vec<SourcePictures>,
    /// Of each task, if it has masks.
    masks: Vec<Option<Stored>>,
    fingerprint: String,
    notes: Vec<String>,
}

/// The pictures of some tasks.
#[derive(Debug)]
struct SourcePictures {
    stored: Stored,
    /// Height and width of each case's file.
    sizes: Vec<Option<[usize; 2]>>,
    normalization: Normalization,
}

/// A task of a folder.
#[derive(Clone, Debug)]
pub struct FolderTask {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub kind: TaskKind,
    /// The names of classes or properties, in the order of the network's outputs.
    pub outputs: Vec<String>,
    /// Tasks with the same number have the same pictures, in the same size.
    pub source: usize,
    /// How its pictures get the size of the network's input.
    pub fit: Fit,
    /// Of a regression: mean and standard deviation of the training labels, by which targets are standardised.
    pub scale: Option<[f64; 2]>,
    /// Over the training part: pixels of each class of a segmentation, cases of each class, or cases with each property.
    pub counts: Vec<u64>,
    /// Labels that were removed from the training part, because the setting `kept` says so.
    pub removed: usize,
}

impl FolderTask {
    /// The tasks of `config`, as networks know them that were trained with `statistics`; without counts.
    pub fn trained(config: &FolderConfig, statistics: &TrainingStatistics) -> Vec<Self> {
        let tasks = config.tasks.iter().zip(config.picture_sources()).zip(&statistics.scale);
        let task = |((task, source), scale): ((&TaskConfig, usize), &[f64; 2])| Self {
            name: task.name.clone(),
            kind: task.kind.clone(),
            outputs: task.kind.outputs(),
            source,
            scale: matches!(task.kind, TaskKind::Regression { .. }).then_some(*scale),
            fit: config.fit_of(&task.kind),
            counts: Vec::new(),
            removed: 0,
        };
        tasks.map(task).collect()
    }
}

/// A case of a folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, which no other case has.
    pub name: String,
    /// Its row in the table.
    pub row: Option<usize>,
    /// Its patient, eye or hospital.
    pub group: Option<String>,
    /// What it is for; `None` if it is left out.
    pub part: Option<Part>,
    /// Height and width of a pixel of its picture's file, if they are known.
    spacing: Option<[f64; 2]>,
    labels: Vec<Option<Label>>,
}

impl Folder {
    /// Reads and checks the folder `root`. The first time, every file is decoded, and `progress` is told of each; later, the
    /// cache is used unless files have changed.
    ///
    /// # Errors
    /// [`Error::Problems`] with everything that is wrong with settings and files; or if the cache cannot be written.
    pub fn open(
        root: &Path,
        config: &FolderConfig,
        options: &OpenOptions,
        progress: &PhotographProgress<'_>,
    ) -> Result<Self> {
        Self::of(Survey::new(root, config, Purpose::Experiment, options, progress)?, None, progress)
    }

    /// Reads the folder `root` as a test of networks that were trained on another folder, which had the settings `ours` and the
    /// training part `statistics`: all cases with a label are its test part, whatever its split says, and pictures and numbers are
    /// standardised as there. The tasks must be the same; a task without any label is not measured, which a note says.
    ///
    /// # Errors
    /// As for [`Self::open`], also if `config` differs from `ours` in what the network sees, or no case has a label.
    pub fn open_for_test(
        root: &Path,
        config: &FolderConfig,
        (ours, statistics): (&FolderConfig, &TrainingStatistics),
        options: &OpenOptions,
        progress: &PhotographProgress<'_>,
    ) -> Result<Self> {
        let config = FolderConfig { group: None, split: SplitConfig::default(), ..config.clone() };
        let mut survey = Survey::new(root, &config, Purpose::ExternalTest, options, progress)?;
        survey.problems.extend(differences(ours, &config));
        Self::of(survey, Some(statistics), progress)
    }

    /// The folder of `survey`, standardised by the training part with the statistics `like`, or by its own.
    fn of(survey: Survey, like: Option<&TrainingStatistics>, progress: &PhotographProgress<'_>) -> Result<Self> {
        if !survey.problems.is_empty() {
            return Err(Error::Problems(Box::new(survey.problems)));
        }
        let config = &survey.config;
        let sources = survey.sources.iter().enumerate().map(|(index, source)| {
            let files: Vec<_> = survey.cases.iter().map(|case| case.pictures[index].as_deref()).collect();
            let stored = Stored::pictures(&survey.cache, &config.with_fit(source.fit), &files, progress)?;
            let size = |facts: &Option<Result<PictureFacts, String>>| match facts {
                Some(Ok(facts)) => Some([facts.height, facts.width]),
                _ => None,
            };
            let sizes = survey.pictures[index].iter().map(size).collect();
            let known = like.zip(source.tasks.first()).and_then(|(like, &task)| like.normalization.get(task));
            let normalization = known.cloned().unwrap_or_else(|| normalization(&survey, index));
            Ok(SourcePictures { stored, sizes, normalization })
        });
        let masks = config.tasks.iter().enumerate().map(|(index, task)| {
            let Some(coding) = MaskCoding::of(&task.kind) else { return Ok(None) };
            let files: Vec<_> = survey.cases.iter().map(|case| case.masks[index].as_deref()).collect();
            Stored::masks(&survey.cache, config, &coding, &files, progress).map(Some)
        });
        let (sources, masks) = (sources.collect::<Result<Vec<_>>>()?, masks.collect::<Result<Vec<_>>>()?);
        let tasks = match like {
            Some(like) => FolderTask::trained(config, like),
            None => (0..config.tasks.len()).map(|index| task(&survey, index)).collect(),
        };
        let keys = sources.iter().map(|source| &source.stored.key).chain(masks.iter().flatten().map(|mask| &mask.key));
        let fingerprint = fingerprint(&survey, keys);
        let parts = Arc::new(collect(&survey.parts));
        let cases = survey.cases.into_iter().zip(survey.parts).map(|(case, part)| Case {
            name: case.name,
            row: case.row,
            group: case.group,
            part,
            spacing: case.spacing,
            labels: case.labels,
        });
        let content = Content {
            cases: cases.collect(),
            config: survey.config,
            tasks,
            sources,
            masks,
            fingerprint,
            notes: survey.notes,
        };
        Ok(Self { content: Arc::new(content), parts, is_augmented: true })
    }

    /// The same folder with other cases in its parts. Statistics, numbers of labels and [`Case::part`] stay those of the files.
    #[must_use]
    pub fn with_parts(&self, parts: Parts) -> Self {
        Self { parts: Arc::new(parts), ..self.clone() }
    }

    /// The same folder, whose training pictures are not changed at random. Patches are still cut at random places.
    #[must_use]
    pub fn without_augmentation(self) -> Self {
        Self { is_augmented: false, ..self }
    }

    /// How training pictures are changed.
    pub(super) fn augmentation(&self) -> Augmentation {
        if self.is_augmented { self.content.config.augmentation } else { Augmentation::NONE }
    }

    /// The settings.
    pub fn config(&self) -> &FolderConfig {
        &self.content.config
    }

    /// The tasks, in the order of the settings.
    pub fn tasks(&self) -> &[FolderTask] {
        &self.content.tasks
    }

    /// All cases, in the order of the table or of their names.
    pub fn cases(&self) -> &[Case] {
        &self.content.cases
    }

    /// The cases of each part, as indices into [`Self::cases`].
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The cases of `part` with a label of task `task`, ascending.
    pub fn labelled(&self, task: usize, part: Part) -> Vec<u32> {
        let cases = self.parts.of(part).iter().copied();
        cases.filter(|&case| self.label(task, case as usize).is_some()).collect()
    }

    /// The label of case `case` for task `task`; `None` if it is missing.
    pub fn label(&self, task: usize, case: usize) -> Option<&Label> {
        self.content.cases.get(case)?.labels.get(task)?.as_ref()
    }

    /// What is worth knowing about the files, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.content.notes
    }

    /// SHA-256 of everything that the samples follow from: the contents of all files, labels, parts, and the settings.
    pub fn fingerprint(&self) -> &str {
        &self.content.fingerprint
    }

    /// What the training part says about inputs and targets.
    pub fn statistics(&self) -> TrainingStatistics {
        TrainingStatistics {
            normalization: (0..self.content.tasks.len()).map(|task| self.normalization(task).clone()).collect(),
            scale: self.content.tasks.iter().map(|task| task.scale.unwrap_or([0.0, 1.0])).collect(),
        }
    }

    /// SHA-256 of the file of the picture of case `case` for task `task`; `None` if there is none.
    pub fn picture_sha256(&self, task: usize, case: usize) -> Option<&str> {
        self.content.sources[self.content.tasks.get(task)?.source].stored.checksum(case)
    }

    /// Mean and standard deviation of the training pictures of task `task`.
    pub fn normalization(&self, task: usize) -> &Normalization {
        &self.content.sources[self.content.tasks[task].source].normalization
    }

    /// The picture of case `case` for task `task` as it is stored: in the size of the settings, or, where the task has
    /// [`Fit::Patches`], in its own; `None` if there is none.
    pub fn picture(&self, task: usize, case: usize) -> Option<Pixels> {
        let (shape, bytes) = self.stored_picture(task, case)?;
        let [height, width, channels, ..] = *shape else { return None };
        Some(Pixels { height, width, channels, is_deep: shape.len() > 3, bytes: bytes.to_vec() })
    }

    /// Size `[H, W]` and classes of the mask of case `case` for task `task`, as large as [`Self::picture`]; `None` if there is
    /// none.
    pub fn mask(&self, task: usize, case: usize) -> Option<([usize; 2], &[u8])> {
        let (shape, classes) = self.content.masks.get(task)?.as_ref()?.of(case)?;
        let [height, width] = *shape else { return None };
        Some(([height, width], classes))
    }

    /// Height and width of a pixel of [`Self::picture`] of case `case` for task `task`, in the unit of the setting `spacing`, or 1
    /// without this setting; `None` if they are not known for this case.
    pub fn pixel_size(&self, task: usize, case: usize) -> Option<[f64; 2]> {
        let Content { config, tasks, cases, sources, .. } = &*self.content;
        if config.spacing.is_none() {
            return Some([1.0; 2]);
        }
        let FolderTask { source, fit, .. } = tasks.get(task)?;
        let (of_file, size) = (cases.get(case)?.spacing?, (*sources[*source].sizes.get(case)?)?);
        let seen = match fit {
            Fit::Resize => config.size,
            Fit::Crop | Fit::Patches => config.scaled(size),
        };
        Some([0, 1].map(|axis| of_file[axis] * size[axis] as f64 / seen[axis] as f64))
    }

    /// Dimensions `[H, W, C]` or, with 16 bits, `[H, W, C, 2]`, and bytes of a stored picture.
    pub(super) fn stored_picture(&self, task: usize, case: usize) -> Option<(&[usize], &[u8])> {
        self.content.sources[self.content.tasks.get(task)?.source].stored.of(case)
    }
}

/// What a network that was trained by `ours` would see otherwise by `theirs`.
fn differences(ours: &FolderConfig, theirs: &FolderConfig) -> Problems {
    let mut problems = Problems::default();
    let mut compare = |key: String, ours: String, theirs: String| {
        if ours != theirs {
            let what = format!("{key} is {theirs}, in the folder that was trained on it is {ours}");
            problems.add(what, "give both folders the same tasks and inputs");
        }
    };
    compare("`channels`".into(), ours.channels.to_string(), theirs.channels.to_string());
    compare("`size`".into(), format!("{:?}", ours.size), format!("{:?}", theirs.size));
    compare("`fit`".into(), format!("{:?}", ours.fit), format!("{:?}", theirs.fit));
    compare("the number of tasks".into(), ours.tasks.len().to_string(), theirs.tasks.len().to_string());
    for (ours, theirs) in ours.tasks.iter().zip(&theirs.tasks) {
        let described =
            |task: &TaskConfig| format!("`{}` ({}: {})", task.name, task.kind.name(), task.kind.outputs().join(", "));
        // The column of a number may have another name.
        let is_number = |task: &TaskConfig| matches!(task.kind, TaskKind::Regression { .. });
        if !(ours.name == theirs.name && is_number(ours) && is_number(theirs)) {
            compare("a task".into(), described(ours), described(theirs));
        }
    }
    problems
}

/// The statistics of the training pictures of source `index`.
fn normalization(survey: &Survey, index: usize) -> Normalization {
    let mut sums = ChannelSums::default();
    for (facts, part) in survey.pictures[index].iter().zip(&survey.parts) {
        if let (Some(Ok(facts)), Some(Part::Train)) = (facts, part) {
            sums.add((facts.height * facts.width) as u64, &facts.sums, facts.white);
        }
    }
    let channels = survey.config.channels;
    sums.normalization().unwrap_or(Normalization { mean: vec![0.0; channels], deviation: vec![1.0; channels] })
}

fn task(survey: &Survey, index: usize) -> FolderTask {
    let config = &survey.config.tasks[index];
    let training = (0..survey.cases.len()).filter(|&case| survey.parts[case] == Some(Part::Train));
    let coverage = Coverage::of(index, config, &survey.cases, &survey.masks[index], training);
    FolderTask {
        name: config.name.clone(),
        kind: config.kind.clone(),
        outputs: config.kind.outputs(),
        source: survey.sources.iter().position(|source| source.tasks.contains(&index)).unwrap_or(0),
        fit: survey.config.fit_of(&config.kind),
        scale: coverage.scale(),
        counts: coverage.counts,
        removed: survey.removed.get(index).copied().unwrap_or(0),
    }
}

/// Pictures and masks are part of the keys of their cache entries.
fn fingerprint<'a>(survey: &Survey, keys: impl Iterator<Item = &'a String>) -> String {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    let cases = survey
        .cases
        .iter()
        .zip(&survey.parts)
        .map(|(case, part)| format!("{:?} {part:?} {:?} {:?}\n", case.name, case.labels, case.has_files()));
    let config = serde_json::to_string(&FolderConfig { root: None, ..survey.config.clone() }).unwrap_or_default();
    let mut text = format!("{keys:?}\n{config}\n{}", cases.collect::<String>());
    if survey.config.fit == Fit::Patches {
        text += "whole pictures by tiles\n";
    }
    if survey.config.spacing.is_some() {
        text.extend(survey.cases.iter().map(|case| format!("{:?}\n", case.spacing)));
    }
    sha256(text.as_bytes())
}
