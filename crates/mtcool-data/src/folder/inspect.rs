//! What was found in a folder, before any training.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::advice::advice;
use super::config::{Fit, FolderConfig};
use super::coverage::Coverage;
use super::facts::PictureFacts;
use super::label::Label;
use super::normalization::{ChannelSums, Normalization};
use super::notes::counted;
use super::parts::{Part, balance};
use super::purpose::Purpose;
use super::survey::{OpenOptions, Survey};
use super::task::TaskKind;
use crate::error::Result;
use crate::problems::Problems;
use crate::progress::PhotographProgress;

/// What was found in a folder, also if it has mistakes.
pub struct Inspection {
    /// Number of cases.
    pub cases: usize,
    /// Number of cases of each part, and of cases that are left out.
    pub parts: Vec<(Option<Part>, usize)>,
    /// By what the drawn parts are balanced, as a sentence; `None` if no part is drawn.
    pub balance: Option<String>,
    /// The pictures, one entry for each place where they come from.
    pub pictures: Vec<PictureInspection>,
    /// The tasks.
    pub tasks: Vec<TaskInspection>,
    /// What must be mended before training, with the files, rows and values.
    pub problems: Problems,
    /// What is worth knowing.
    pub notes: Vec<String>,
    pub(super) survey: Survey,
}

/// The pictures of some tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureInspection {
    /// The setting that says where they are.
    pub key: String,
    /// The names of the tasks.
    pub tasks: Vec<String>,
    /// Number of files.
    pub files: usize,
    /// Number of files that cannot be used.
    pub unreadable: usize,
    /// (height, width) and number of files, the most frequent size first.
    pub sizes: Vec<([usize; 2], usize)>,
    /// Channels without alpha and number of files.
    pub channels: Vec<(usize, usize)>,
    /// Bits per sample and number of files.
    pub bits: Vec<(u8, usize)>,
    /// Mean and standard deviation of the training pictures, or of all if there is no training part.
    pub normalization: Option<Normalization>,
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskInspection {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// The names of classes or properties.
    pub outputs: Vec<String>,
    /// The unit of a number.
    pub unit: Option<String>,
    /// Labels in each part.
    pub parts: Vec<PartCounts>,
}

/// The labels of one task in one part.
#[derive(Clone, Debug, PartialEq)]
pub struct PartCounts {
    /// The part; `None` for cases that are left out.
    pub part: Option<Part>,
    /// Number of cases.
    pub cases: usize,
    /// Number of cases with a label.
    pub labelled: usize,
    /// Pixels of each class, cases of each class, or cases with each property.
    pub counts: Vec<u64>,
    /// Of properties: cases that are known not to have each.
    pub absent: Vec<u64>,
    /// Of numbers: mean and standard deviation.
    pub scale: Option<[f64; 2]>,
    /// Of numbers: the smallest and the largest.
    pub range: Option<[f64; 2]>,
}

impl Inspection {
    /// Reads the folder `root` and examines every file.
    ///
    /// # Errors
    /// If the cache cannot be written; mistakes in settings and files are in [`Self::problems`].
    pub fn of(
        root: &Path,
        config: &FolderConfig,
        options: &OpenOptions,
        progress: &PhotographProgress<'_>,
    ) -> Result<Self> {
        let survey = Survey::new(root, config, Purpose::Experiment, options, progress)?;
        let parts = present_parts(&survey);
        let pictures: Vec<PictureInspection> =
            (0..survey.pictures.len()).map(|index| pictures(&survey, index)).collect();
        let usual = pictures.iter().flat_map(|pictures| &pictures.sizes).max_by_key(|(_, files)| *files);
        let advice = usual.and_then(|(size, _)| advice(&survey.config, *size));
        Ok(Self {
            cases: survey.cases.len(),
            parts: parts.iter().map(|&part| (part, members(&survey, part).count())).collect(),
            balance: if survey.parts.is_empty() { None } else { balance(config, &survey.cases) },
            pictures,
            tasks: (0..survey.masks.len()).map(|index| task(&survey, index, &parts)).collect(),
            problems: survey.problems.clone(),
            notes: survey.notes.iter().cloned().chain(advice).collect(),
            survey,
        })
    }
}

/// The parts that have cases.
fn present_parts(survey: &Survey) -> Vec<Option<Part>> {
    let all = Part::ALL.into_iter().map(Some).chain([None]);
    all.filter(|part| members(survey, *part).next().is_some()).collect()
}

/// The cases of `part`. If something kept the cases from being divided, they are all left out.
fn members(survey: &Survey, part: Option<Part>) -> impl Iterator<Item = usize> + '_ {
    (0..survey.cases.len()).filter(move |&case| survey.parts.get(case).copied().flatten() == part)
}

fn pictures(survey: &Survey, index: usize) -> PictureInspection {
    let source = &survey.sources[index];
    let facts = survey.pictures[index].iter().enumerate();
    let facts: Vec<(usize, &Result<PictureFacts, String>)> =
        facts.filter_map(|(case, facts)| Some((case, facts.as_ref()?))).collect();
    let readable: Vec<(usize, &PictureFacts)> =
        facts.iter().filter_map(|(case, facts)| Some((*case, facts.as_ref().ok()?))).collect();
    let has_training = survey.parts.contains(&Some(Part::Train));
    let mut sums = ChannelSums::default();
    for (case, facts) in &readable {
        if !has_training || survey.parts[*case] == Some(Part::Train) {
            sums.add((facts.height * facts.width) as u64, &facts.sums, facts.white);
        }
    }
    let is_scaled = survey.config.fit == Fit::Patches && source.fit == Fit::Resize;
    let scaled = if is_scaled { ", whole and scaled to `size`" } else { "" };
    PictureInspection {
        key: format!("{}{scaled}", source.key()),
        tasks: source.tasks.iter().map(|&task| survey.config.tasks[task].name.clone()).collect(),
        files: facts.len(),
        unreadable: facts.len() - readable.len(),
        sizes: frequencies(readable.iter().map(|(_, facts)| [facts.height, facts.width])),
        channels: frequencies(readable.iter().map(|(_, facts)| facts.channels)),
        bits: frequencies(readable.iter().map(|(_, facts)| if facts.white > 255 { 16 } else { 8 })),
        normalization: sums.normalization(),
    }
}

fn task(survey: &Survey, index: usize, parts: &[Option<Part>]) -> TaskInspection {
    let config = &survey.config.tasks[index];
    let unit = if let TaskKind::Regression { unit, .. } = &config.kind { unit.clone() } else { None };
    let counts = parts.iter().map(|&part| {
        let coverage = Coverage::of(index, config, &survey.cases, &survey.masks[index], members(survey, part));
        let numbers = coverage.numbers.iter().copied();
        let range = numbers.clone().reduce(f64::min).zip(numbers.reduce(f64::max));
        PartCounts {
            part,
            cases: members(survey, part).count(),
            labelled: coverage.labelled,
            scale: coverage.scale(),
            range: range.map(|(least, most)| [least, most]),
            counts: coverage.counts,
            absent: coverage.absent,
        }
    });
    TaskInspection {
        name: config.name.clone(),
        kind: config.kind.name(),
        outputs: config.kind.outputs(),
        unit,
        parts: counts.collect(),
    }
}

/// How often each value occurs, the most frequent first.
fn frequencies<T: Ord>(values: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// The name of a part, or what cases without one are.
pub(super) fn part_name(part: Option<Part>) -> String {
    part.map_or_else(|| "left out".to_owned(), |part| part.to_string())
}

/// Values with their numbers of files, the first few.
fn told<T>(values: &[(T, usize)], text: impl Fn(&T) -> String) -> String {
    const SHOWN: usize = 4;
    let mut words: Vec<String> =
        values.iter().take(SHOWN).map(|(value, count)| format!("{} ({count})", text(value))).collect();
    if values.len() > SHOWN {
        words.push(format!("{} others", values.len() - SHOWN));
    }
    words.join(", ")
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.parts.iter().map(|(part, count)| format!("{} {count}", part_name(*part))).collect();
        writeln!(f, "{}: {}", counted(self.cases, "case"), parts.join(", "))?;
        self.balance.iter().try_for_each(|balance| writeln!(f, "{balance}."))?;
        self.pictures.iter().try_for_each(|pictures| write!(f, "\n{pictures}"))?;
        self.tasks.iter().try_for_each(|task| write!(f, "\n{task}"))?;
        if !self.notes.is_empty() {
            writeln!(f, "\nNotes")?;
            self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        match self.problems.groups().len() {
            0 => writeln!(f, "\nNo problem was found."),
            count => writeln!(f, "\n{} must be solved before training:\n{}", counted(count, "problem"), self.problems),
        }
    }
}

impl fmt::Display for PictureInspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Pictures of {} ({})", self.tasks.join(", "), self.key)?;
        writeln!(f, "  {}, {} unusable", counted(self.files, "file"), self.unreadable)?;
        writeln!(f, "  height x width: {}", told(&self.sizes, |[height, width]| format!("{height}x{width}")))?;
        writeln!(f, "  channels: {}", told(&self.channels, ToString::to_string))?;
        writeln!(f, "  bits: {}", told(&self.bits, ToString::to_string))?;
        let Some(Normalization { mean, deviation }) = &self.normalization else { return Ok(()) };
        let numbers = |values: &[f32]| values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" ");
        writeln!(f, "  mean of each channel (0 to 1): {}; deviation: {}", numbers(mean), numbers(deviation))
    }
}

impl fmt::Display for TaskInspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_ref().map_or(String::new(), |unit| format!(" in {unit}"));
        writeln!(f, "Task {} ({}{unit})", self.name, self.kind)?;
        if let ("classification", [_, positive]) = (self.kind, &self.outputs[..]) {
            writeln!(f, "  positive class (sensitivity, F1): {positive}, the second one of `classes`")?;
        }
        for counts in &self.parts {
            let PartCounts { part, cases, labelled, .. } = counts;
            write!(f, "  {}: {labelled} of {} with a label", part_name(*part), counted(*cases, "case"))?;
            let total = counts.counts.iter().sum::<u64>().max(1) as f64;
            let shares = self.outputs.iter().zip(&counts.counts).zip(&counts.absent);
            let shares: Vec<String> = match self.kind {
                "segmentation" => shares
                    .map(|((output, &count), _)| {
                        format!("{output} {:.2} % of the pixels", 100.0 * count as f64 / total)
                    })
                    .collect(),
                "classification" => shares.map(|((output, count), _)| format!("{output} {count}")).collect(),
                "multilabel" => shares.map(|((output, yes), no)| format!("{output} {yes} yes, {no} no")).collect(),
                _ => match (counts.scale, counts.range) {
                    (Some([mean, deviation]), Some([least, most])) => {
                        vec![format!("{mean:.4} ± {deviation:.4}, from {least} to {most}")]
                    }
                    _ => Vec::new(),
                },
            };
            let separator = if shares.is_empty() || *labelled == 0 { "" } else { ": " };
            let shares = if *labelled == 0 { String::new() } else { shares.join(", ") };
            writeln!(f, "{separator}{shares}")?;
        }
        Ok(())
    }
}

/// The label in words.
pub(super) fn label_text(kind: &TaskKind, label: &Label) -> String {
    let outputs = kind.outputs();
    match label {
        Label::Mask => "mask".into(),
        Label::Class(class) => outputs.get(usize::from(*class)).cloned().unwrap_or_default(),
        Label::Number(number) => match kind {
            TaskKind::Regression { unit: Some(unit), .. } => format!("{number} {unit}"),
            _ => number.to_string(),
        },
        Label::Properties(properties) => {
            let word = |property: &Option<bool>| property.map_or("unknown", |yes| if yes { "yes" } else { "no" });
            let words = outputs.iter().zip(properties).map(|(output, property)| format!("{output} {}", word(property)));
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_positive_one_of_two_classes_is_named() {
        let told = |kind: &'static str, outputs: &[&str]| {
            let outputs = outputs.iter().map(|output| (*output).to_owned()).collect();
            TaskInspection { name: "a".into(), kind, outputs, unit: None, parts: Vec::new() }.to_string()
        };
        let two = told("classification", &["healthy", "cancer"]);
        assert!(two.contains("positive class (sensitivity, F1): cancer, the second one of `classes`"), "{two}");
        for (kind, outputs) in [("classification", &["1", "2", "3"][..]), ("segmentation", &["background", "disc"])] {
            assert_eq!(told(kind, outputs), format!("Task a ({kind})\n"));
        }
    }
}
