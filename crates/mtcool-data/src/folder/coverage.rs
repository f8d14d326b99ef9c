//! Whether each part has what it needs: labels of every task, and every class.

use super::cases::CaseEntry;
use super::config::FolderConfig;
use super::facts::MaskFacts;
use super::label::{IGNORED, Label};
use super::mask::MaskCoding;
use super::notes::listed;
use super::parts::{Part, is_drawn};
use super::task::{TaskConfig, TaskKind};
use crate::problems::Problems;

/// How many cases of a part have a label, and how often each class or property occurs in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Coverage {
    /// Cases with a label.
    pub(super) labelled: usize,
    /// Pixels of each class, cases of each class, or cases with each property.
    pub(super) counts: Vec<u64>,
    /// For properties: cases that are known not to have each.
    pub(super) absent: Vec<u64>,
    /// For numbers: all of them.
    pub(super) numbers: Vec<f64>,
}

impl Coverage {
    /// Of the cases `indices` for task `task`.
    pub(super) fn of(
        task: usize,
        config: &TaskConfig,
        cases: &[CaseEntry],
        masks: &[Option<Result<MaskFacts, String>>],
        indices: impl Iterator<Item = usize>,
    ) -> Self {
        let outputs = config.kind.outputs().len();
        let coding = MaskCoding::of(&config.kind);
        let mut coverage = Self { counts: vec![0; outputs], absent: vec![0; outputs], ..Self::default() };
        for index in indices {
            let Some(label) = &cases[index].labels[task] else { continue };
            coverage.labelled += 1;
            match label {
                Label::Class(class) => coverage.counts[usize::from(*class)] += 1,
                Label::Number(number) => coverage.numbers.push(*number),
                Label::Properties(properties) => {
                    for (output, property) in properties.iter().enumerate() {
                        match property {
                            Some(true) => coverage.counts[output] += 1,
                            Some(false) => coverage.absent[output] += 1,
                            None => {}
                        }
                    }
                }
                Label::Mask => {
                    let (Some(coding), Some(Ok(facts))) = (&coding, &masks[index]) else { continue };
                    for (&value, count) in &facts.counts {
                        match coding.class(value) {
                            None | Some(IGNORED) => {}
                            Some(class) => coverage.counts[usize::from(class)] += count,
                        }
                    }
                }
            }
        }
        coverage
    }

    /// The number that all labels are, if there are numbers and they do not differ.
    fn only_number(&self) -> Option<f64> {
        let (first, others) = self.numbers.split_first()?;
        others.iter().all(|number| number == first).then_some(*first)
    }

    /// Mean and standard deviation of the numbers.
    pub(super) fn scale(&self) -> Option<[f64; 2]> {
        let count = self.numbers.len() as f64;
        let mean = self.numbers.iter().sum::<f64>() / count;
        let variance = self.numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / count;
        (count > 0.0).then(|| [mean, variance.sqrt()])
    }
}

/// Adds a problem for every part without labels of a task, and for every class that training does not have; a note for a class
/// that another part does not have.
pub(super) fn check_labels(
    config: &FolderConfig,
    cases: &[CaseEntry],
    parts: &[Option<Part>],
    masks: &[Vec<Option<Result<MaskFacts, String>>>],
    problems: &mut Problems,
    notes: &mut Vec<String>,
) {
    // Labels that cannot be read are told already, and would be told again as missing ones.
    let is_readable = problems.is_empty();
    for part in Part::ALL.into_iter().filter(|part| is_readable && parts.contains(&Some(*part))) {
        for (index, task) in config.tasks.iter().enumerate() {
            let of_part = (0..cases.len()).filter(|&case| parts[case] == Some(part));
            let coverage = Coverage::of(index, task, cases, &masks[index], of_part);
            if coverage.labelled == 0 {
                problems.add_place(
                    "a part has no label of a task",
                    "label some of its cases, divide the cases otherwise (`[data.settings.split]`), or leave out the task",
                    format!("task `{}`, {part} part", task.name),
                );
                continue;
            }
            if let Some(number) = coverage.only_number() {
                let place = format!("task `{}`, {part} part: {number}", task.name);
                match part {
                    Part::Train => problems.add_place(
                        "all numbers of the training part are equal, so that nothing can be learned",
                        "leave out the task, or correct the cells",
                        place,
                    ),
                    _ => notes.push(format!(
                        "all numbers of a part are equal, so that correlation and r2 are not defined: {place}"
                    )),
                }
            }
            let absent = absent(&task.kind, &coverage);
            if absent.is_empty() {
                continue;
            }
            let absent = format!("task `{}`, {part} part: {}", task.name, listed(&absent, 5));
            match part {
                Part::Train => problems.add_place(
                    "classes that the training part does not have",
                    "divide the cases otherwise (`stratify` or `seed` in `[data.settings.split]`), keep more labels (`kept`), or take the \
                     classes out of the task",
                    absent,
                ),
                _ => {
                    let way_out = match task.kind {
                        TaskKind::Classification { .. }
                            if config.stratified() != Some(index) && is_drawn(config, cases, part) =>
                        {
                            format!(
                                "; `split.stratify` = \"{}\" gives drawn parts the same share of every class of this task",
                                task.name
                            )
                        }
                        _ => String::new(),
                    };
                    notes.push(format!(
                        "classes that do not occur, so that some metrics are not defined: {absent}{way_out}"
                    ));
                }
            }
        }
    }
}

/// The classes that do not occur.
fn absent(kind: &TaskKind, coverage: &Coverage) -> Vec<String> {
    let outputs = kind.outputs();
    let zero = |counts: &[u64], word: &str| -> Vec<String> {
        let absent = outputs.iter().zip(counts).filter(|(_, count)| **count == 0);
        absent.map(|(output, _)| format!("{word}{output}")).collect()
    };
    match kind {
        TaskKind::Segmentation { .. } | TaskKind::Classification { .. } => zero(&coverage.counts, ""),
        TaskKind::Multilabel { .. } => [zero(&coverage.counts, ""), zero(&coverage.absent, "not ")].concat(),
        TaskKind::Regression { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_a_drawn_part_lacks_is_noted_with_the_way_out() {
        let task = |name: &str| {
            format!(r#"{{ "name": "{name}", "kind": "classification", "column": "{name}", "classes": [0, 1] }}"#)
        };
        let noted = |split: &str, stratum: usize| {
            let text = format!(
                r#"{{ "size": [8, 8], "images": "{{case}}.png", "split": {split}, "tasks": [{}, {}] }}"#,
                task("a"),
                task("b")
            );
            let config: FolderConfig = serde_json::from_str(&text).unwrap();
            // The last case is the test part and has no class 1 of task number `stratum`.
            let case = |index: usize| CaseEntry {
                name: index.to_string(),
                row: None,
                group: None,
                part: Some(["train", "val", "test"][index / 2].into()),
                stratum: None,
                spacing: None,
                pictures: vec![None],
                masks: vec![None; 2],
                labels: (0..2)
                    .map(|task| Some(Label::Class(u8::from(index % 2 == 1 && !(index / 2 == 2 && task == stratum)))))
                    .collect(),
            };
            let cases: Vec<CaseEntry> = (0..6).map(case).collect();
            let parts: Vec<Option<Part>> = (0..6).map(|index| Some(Part::ALL[index / 2])).collect();
            let masks = vec![cases.iter().map(|_| None).collect(), cases.iter().map(|_| None).collect()];
            let (mut problems, mut notes) = (Problems::default(), Vec::new());
            check_labels(&config, &cases, &parts, &masks, &mut problems, &mut notes);
            assert!(problems.is_empty(), "{problems}");
            notes.join("\n")
        };
        let lacking = noted("{}", 1);
        assert!(lacking.contains("task `b`, test part: `1`; `split.stratify` = \"b\" gives drawn parts"), "{lacking}");
        for (split, stratum) in [("{}", 0), (r#"{ "stratify": "b" }"#, 1), (r#"{ "column": "part" }"#, 1)] {
            let lacking = noted(split, stratum);
            assert!(lacking.contains("test part: `1`") && !lacking.contains("stratify"), "{lacking}");
        }
    }
}
