//! [`FolderSuite`]: a folder's cases for training and evaluation.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use candle_core::Device;
use mtcool_core::{BatchSource, Parameters, Problem};
use mtcool_data::folder::{
    Fit, Folder, FolderConfig, FolderSynthesis, Label, OpenOptions, Part, Parts, TaskKind, drawn, synthesize as draw,
};
use serde_json::{Value, json};

use super::batches::{Group, training_batches};
use super::evaluate::{BATCH, Measured, evaluate};
use super::files::{FolderFiles, checksums};
use super::spec::config;
use super::tables::read_parquet;
use super::tiles::tiling;
use crate::progress::counter;
use crate::suite::{
    CasePicture, Caveat, ConfigError, DataPlace, DataRecord, Evaluation, Extract, MapSink, NetworkConfig, Split, Suite,
    SyntheticConfig, check_overfit, varied,
};

/// Height and width of the pictures of the example that the program draws.
const SIDE: usize = 64;

/// How folders are opened.
pub(super) fn options(cache: &Path) -> OpenOptions {
    OpenOptions { cache: cache.to_owned(), read_parquet: Some(read_parquet) }
}

/// A folder; with cross-validation, the folder of its first fold and all folds.
pub(super) struct FolderSuite {
    folder: Folder,
    /// How the folder was drawn; `null` for real files.
    origin: Value,
    /// The same folder with each fold held out; empty without cross-validation.
    folds: Vec<FolderSuite>,
}

impl FolderSuite {
    pub(super) fn open(DataPlace { folder: root, cache }: DataPlace<'_>, settings: &Value) -> Result<Self> {
        let config = config(settings)?;
        ensure!(
            config.root.is_none(),
            "`data.settings.root` is set: name the folder with `--data DIR` or `data.folder`"
        );
        let count = config.split.folds.unwrap_or(1);
        let progress = counter("reading pictures");
        let fold = |fold: usize| {
            let mut config: FolderConfig = config.clone();
            config.split.fold = fold;
            Folder::open(root, &config, &options(cache), &progress)
        };
        let folder = fold(0)?;
        for note in folder.notes() {
            tracing::warn!("{note}");
        }
        let further = (1..count).map(fold).collect::<Result<Vec<_>, _>>()?;
        let origin = drawn(root)?.map_or(Value::Null, |synthesis| json!({ "synthetic": synthesis }));
        let alone = |folder: Folder| Self { folder, origin: origin.clone(), folds: Vec::new() };
        let folds = match further.is_empty() {
            true => Vec::new(),
            false => std::iter::once(folder.clone()).chain(further).map(alone).collect(),
        };
        Ok(Self { folder, folds, origin })
    }

    fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The same suite with other parts of its folder and of each fold.
    fn with_folders(&self, change: &impl Fn(&Folder) -> Folder) -> Self {
        let folds = self.folds.iter().map(|fold| fold.with_folders(change)).collect();
        Self { folder: change(&self.folder), origin: self.origin.clone(), folds }
    }

    /// A sentence with the number of labels that were removed from the training part, if there are any.
    fn removed(&self) -> Option<String> {
        let folder = self.folder();
        let of_task = folder.tasks().iter().enumerate().filter(|(_, described)| described.removed > 0);
        let counts = of_task.map(|(task, described)| {
            let total = described.removed + folder.labelled(task, Part::Train).len();
            format!("{} {} of {total}", described.name, described.removed)
        });
        let counts: Vec<String> = counts.collect();
        let fold = if self.folds.is_empty() { "" } else { " in the first fold" };
        (!counts.is_empty())
            .then(|| format!("Labels removed at random from the training part{fold}: {}", counts.join("; ")))
    }

    /// A sentence with the classes that no measured case has, if there are any: their metrics are means over fewer classes, which looks
    /// better than it is.
    fn absent_classes(&self) -> Option<String> {
        let suites = if self.folds.is_empty() { std::slice::from_ref(self) } else { &self.folds[..] };
        let (mut absent, mut unbalanced) = (Vec::new(), None);
        for folder in suites.iter().map(Self::folder) {
            let part = if folder.parts().test.is_empty() { Part::Validation } else { Part::Test };
            for (task, described) in folder.tasks().iter().enumerate() {
                let TaskKind::Classification { .. } = &described.kind else { continue };
                let labels =
                    folder.labelled(task, part).into_iter().map(|case| folder.label(task, case as usize).cloned());
                let labels: Vec<Option<Label>> = labels.collect();
                for (class, output) in described.outputs.iter().enumerate() {
                    let told = format!("{output} ({}, {part} part)", described.name);
                    if !labels.contains(&Some(Label::Class(class as u8))) && !absent.contains(&told) {
                        absent.push(told);
                        let config = folder.config();
                        let is_unbalanced = config.split.column.is_none() && config.stratified() != Some(task);
                        unbalanced = unbalanced.or_else(|| is_unbalanced.then(|| described.name.clone()));
                    }
                }
            }
        }
        let way_out = unbalanced.map_or_else(String::new, |task| {
            format!("; `split.stratify` = \"{task}\" gives drawn parts the same share of every class of {task}")
        });
        (!absent.is_empty()).then(|| {
            format!(
                "No measured case has the class {}: balanced accuracy, F1 and AUROC are those of the other classes alone, or left out \
                 where they are not defined{way_out}",
                absent.join(", ")
            )
        })
    }

    /// A sentence with the number of cases in each part, and of labels of each task.
    fn label_counts(&self) -> String {
        let folder = self.folder();
        let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| !folder.parts().of(*part).is_empty()).collect();
        let cases = parts.iter().map(|part| format!("{} for {part}", folder.parts().of(*part).len()));
        let of_task = folder.tasks().iter().enumerate().map(|(task, described)| {
            let counts = parts.iter().map(|part| folder.labelled(task, *part).len().to_string());
            format!("{} {}", described.name, counts.collect::<Vec<_>>().join(" / "))
        });
        let fold = if self.folds.is_empty() { "" } else { " in the first fold" };
        format!(
            "Cases{fold}: {}; labels of each task in these parts: {}",
            cases.collect::<Vec<_>>().join(", "),
            of_task.collect::<Vec<_>>().join("; ")
        )
    }
}

impl Suite for FolderSuite {
    fn origin(&self) -> Value {
        self.origin.clone()
    }

    fn identity(&self) -> Value {
        let training = match &self.folds[..] {
            [] => vec![self.folder().statistics()],
            folds => folds.iter().map(|fold| fold.folder().statistics()).collect(),
        };
        json!(FolderFiles { sha256: self.folder().fingerprint().to_owned(), training })
    }

    fn record(&self) -> DataRecord {
        let (folder, parts) = (self.folder(), self.folder().parts());
        let names = |cases: &[u32]| cases.iter().map(|&case| folder.cases()[case as usize].name.clone()).collect();
        DataRecord {
            digest: Some(folder.fingerprint().to_owned()),
            files: checksums(folder),
            train: names(&parts.train),
            validation: names(&parts.validation),
            test: names(&parts.test),
        }
    }

    fn caveats(&self) -> Vec<Caveat> {
        let mut texts = vec![self.label_counts()];
        texts.extend(self.removed());
        texts.extend(self.absent_classes());
        if let Some(task) = &self.folder().config().balanced {
            texts.push(format!(
                "Training batches have every class of `{task}` equally often: cases of rare classes come several times per epoch"
            ));
        }
        if !self.folds.is_empty() {
            let count = self.folds.len();
            texts.push(format!(
                "Cross-validation with {count} folds: the run with seed s holds out fold s mod {count}, so that {count} seeds test \
                 every case once, and the spread is that between folds. A row with another number of seeds, unless it is a multiple, tests \
                 some cases more often than others, and is not comparable with complete rows"
            ));
        }
        texts.into_iter().map(|text| Caveat { text, is_comparable: true }).collect()
    }

    fn samples(&self, task: usize) -> usize {
        let groups = Group::all(self.folder());
        let group = groups.iter().find(|group| group.tasks.contains(&task));
        group.map_or(0, |group| group.training(self.folder()).len())
    }

    fn class_counts(&self, task: usize) -> Result<Vec<u64>> {
        let (folder, described) = (self.folder(), &self.folder().tasks()[task]);
        match &described.kind {
            TaskKind::Segmentation { .. } | TaskKind::Classification { .. } => Ok(described.counts.clone()),
            TaskKind::Multilabel { .. } => {
                let mut counts = vec![0; 2];
                for case in folder.labelled(task, Part::Train) {
                    let Some(Label::Properties(known)) = folder.label(task, case as usize) else { continue };
                    known.iter().flatten().for_each(|&is_present| counts[usize::from(is_present)] += 1);
                }
                Ok(counts)
            }
            TaskKind::Regression { .. } => bail!("task `{}` predicts numbers and has no classes", described.name),
        }
    }

    fn of_seed(&self, seed: u64) -> Option<&dyn Suite> {
        let fold = seed.checked_rem(self.folds.len() as u64)?;
        Some(&self.folds[fold as usize])
    }

    fn extract(&self, extract: Extract) -> Result<Option<Box<dyn Suite>>> {
        let fewer = |folder: &Folder| match extract {
            Extract::OneBatch => {
                let [validation, test] =
                    [Part::Validation, Part::Test].map(|part| few(folder, folder.parts().of(part), BATCH));
                folder.with_parts(Parts { train: folder.parts().train.clone(), validation, test })
            }
            Extract::Overfit(count) => {
                let train = few(folder, &folder.parts().train, count);
                let test = if folder.parts().test.is_empty() { Vec::new() } else { train.clone() };
                let parts = Parts { validation: train.clone(), test, train };
                folder.with_parts(parts).without_augmentation()
            }
        };
        if let Extract::Overfit(count) = extract {
            let all = std::iter::once(self).chain(&self.folds);
            check_overfit(count, all.map(|suite| suite.folder().parts().train.len()).min().unwrap_or(0))?;
        }
        Ok(Some(Box::new(self.with_folders(&fewer))))
    }

    fn batches(&self, device: &Device, batch_size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>> {
        training_batches(self.folder(), device, (batch_size, seed, position))
    }

    fn check_network(&self, network: &NetworkConfig, multiple: usize) -> Result<()> {
        let config = self.folder().config();
        let (size, tiling) = (config.size, tiling(config));
        if size.iter().any(|side| !side.is_multiple_of(multiple)) {
            return Err(ConfigError::new(format!(
                "`data.settings.size` is {size:?}: {} levels of `network.widths` need multiples of {multiple}, such as {:?}",
                network.widths.len(),
                size.map(|side| side.next_multiple_of(multiple))
            )))?;
        }
        if config.fit == Fit::Patches && !tiling.multiple.is_multiple_of(multiple) {
            return Err(ConfigError::new(format!(
                "`data.settings.tile` is {}: {} levels of `network.widths` need a multiple of {multiple} and at least {}, such as {}",
                tiling.side,
                network.widths.len(),
                2 * multiple,
                tiling.side.max(2 * multiple).next_multiple_of(multiple)
            )))?;
        }
        Ok(())
    }

    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        maps: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        let part = match split {
            Split::Validation => Part::Validation,
            Split::Test => Part::Test,
        };
        let measured = Measured { network: problem.network(), parameters, losses: Some(problem) };
        evaluate(self.folder(), part, measured, maps)
    }

    fn picture(&self, case: &str) -> Result<Option<CasePicture>> {
        let folder = self.folder();
        let Some(index) = folder.cases().iter().position(|known| known.name == case) else { return Ok(None) };
        let dense = |task: &usize| matches!(folder.tasks()[*task].kind, TaskKind::Segmentation { .. });
        let Some(first) = (0..folder.tasks().len()).find(dense) else { return Ok(None) };
        let Some(pixels) = folder.picture(first, index) else { return Ok(None) };
        let truth = (0..folder.tasks().len()).filter(dense).filter_map(|task| {
            let (size, classes) = folder.mask(task, index)?;
            (size == [pixels.height, pixels.width])
                .then(|| (folder.tasks()[task].name.clone().into(), classes.to_vec()))
        });
        Ok(Some(CasePicture {
            height: pixels.height,
            width: pixels.width,
            rgb: pixels.to_rgb8(),
            truth: truth.collect(),
        }))
    }
}

/// At most `count` of `cases`, with labels of every task and with every class as far as possible.
fn few(folder: &Folder, cases: &[u32], count: usize) -> Vec<u32> {
    let features = |&case: &u32| -> Vec<u32> {
        let of_task = |task: usize| {
            let feature = match folder.label(task, case as usize)? {
                Label::Class(class) => 1 + u32::from(*class),
                _ => 0,
            };
            Some(((task as u32) << 16) + feature)
        };
        (0..folder.tasks().len()).filter_map(of_task).collect()
    };
    let places = varied(&cases.iter().map(features).collect::<Vec<_>>(), count);
    places.into_iter().map(|place| cases[place as usize]).collect()
}

/// Draws the example set, unless the folder already holds the one of these settings.
pub(super) fn synthesize(folder: &Path, config: SyntheticConfig) -> Result<()> {
    let SyntheticConfig { train, test, seed, shrink } = config;
    if !(1..=SIDE / 32).contains(&shrink) {
        let message = format!("`data.synthetic.shrink` is {shrink}: expected 1 to {}", SIDE / 32);
        return Err(ConfigError::new(message).into());
    }
    Ok(draw(folder, FolderSynthesis { cases: train + test, side: SIDE / shrink, seed })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_no_measured_case_has_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let [root, cache] = ["cells", "cache"].map(|name| folder.path().join(name));
        let synthesis = FolderSynthesis { cases: 60, side: 32, seed: 1 };
        draw(&root, synthesis).unwrap();
        let settings = serde_json::to_value(synthesis.config()).unwrap();
        let suite = FolderSuite::open(DataPlace { folder: &root, cache: &cache }, &settings).unwrap();
        assert_eq!(suite.absent_classes(), None);
        let stage = suite.folder().tasks().iter().position(|task| task.name == "stage").unwrap();
        let resting = |folder: &Folder| {
            let is_resting = |case: &u32| folder.label(stage, *case as usize) == Some(&Label::Class(0));
            let test = folder.labelled(stage, Part::Test).into_iter().filter(is_resting).collect();
            let parts = folder.parts();
            folder.with_parts(Parts { train: parts.train.clone(), validation: parts.validation.clone(), test })
        };
        let told = suite.with_folders(&resting).absent_classes().unwrap();
        assert!(told.contains("growing (stage, test part), dividing (stage, test part)"), "{told}");
        assert!(!told.contains("stratify"), "the parts are balanced by this task already: {told}");
        let mut settings = settings;
        settings["split"]["stratify"] = json!("none");
        let suite = FolderSuite::open(DataPlace { folder: &root, cache: &cache }, &settings).unwrap();
        let told = suite.with_folders(&resting).absent_classes().unwrap();
        assert!(told.contains("`split.stratify` = \"stage\" gives drawn parts"), "{told}");
    }
}
