//! The parts of the cases: for training, for selection and for the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::cases::CaseEntry;
use super::config::{FolderConfig, TestPart};
use super::label::Label;
use super::notes::{counted, listed};
use super::split::{Member, divide};
use super::task::TaskKind;
use crate::problems::Problems;

/// What a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// To train on.
    Train,
    /// Held out to choose settings and epochs.
    Validation,
    /// To be read once, at the end.
    Test,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The part that a cell names.
    pub(super) fn read(cell: &str) -> Option<Self> {
        match cell.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "val" | "valid" | "dev" | "selection" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// The cases of each part, each list ascending. No case lies in two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// To train on.
    pub train: Vec<u32>,
    /// Held out to choose settings and epochs.
    pub validation: Vec<u32>,
    /// To be read once, at the end; empty if there is no test part.
    pub test: Vec<u32>,
}

impl Parts {
    /// The cases of `part`.
    pub fn of(&self, part: Part) -> &[u32] {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

/// The part of each case; `None` for cases that are left out, such as those without any label. What is wrong is added to
/// `problems`.
pub(super) fn assign(
    config: &FolderConfig,
    cases: &[CaseEntry],
    problems: &mut Problems,
    notes: &mut Vec<String>,
) -> Vec<Option<Part>> {
    let split = &config.split;
    let strata = strata(config, cases, problems);
    let usable: Vec<usize> =
        (0..cases.len()).filter(|&index| cases[index].labels.iter().any(Option::is_some)).collect();
    let mut parts: Vec<Option<Part>> = vec![None; cases.len()];
    let is_tested = split.test != TestPart::None;
    // Divides the cases of `from`: the first fraction stays, the others go to the parts that are given with them.
    let draw = |parts: &mut [Option<Part>], from: &[usize], fractions: &[f64], seed: u64| -> Vec<usize> {
        let member = |&index: &usize| Member { group: cases[index].group.clone(), stratum: strata[index].clone() };
        let drawn = divide(&from.iter().map(member).collect::<Vec<_>>(), fractions, seed);
        from.iter().for_each(|&index| parts[index] = Some(Part::Train));
        drawn
    };
    let mut seed = split.seed;
    if split.column.is_some() {
        read_parts(config, cases, &usable, &mut parts, problems, notes);
    } else if let Some(folds) = split.folds {
        let drawn = draw(&mut parts, &usable, &vec![1.0 / folds as f64; folds], seed);
        let held_out = if is_tested { Part::Test } else { Part::Validation };
        for (&index, _) in usable.iter().zip(drawn).filter(|(_, fold)| *fold == split.fold) {
            parts[index] = Some(held_out);
        }
        seed = seed.wrapping_add(1 + split.fold as u64);
    } else {
        let fraction = if let TestPart::Fraction(fraction) = split.test { fraction } else { 0.0 };
        let drawn = draw(&mut parts, &usable, &[1.0 - fraction, fraction], seed);
        for (&index, _) in usable.iter().zip(drawn).filter(|(_, part)| *part == 1) {
            parts[index] = Some(Part::Test);
        }
        seed = seed.wrapping_add(1);
    }
    if !parts.contains(&Some(Part::Validation)) {
        let rest: Vec<usize> = (0..cases.len()).filter(|&index| parts[index] == Some(Part::Train)).collect();
        let drawn = draw(&mut parts, &rest, &[1.0 - split.validation, split.validation], seed);
        for (&index, _) in rest.iter().zip(drawn).filter(|(_, part)| *part == 1) {
            parts[index] = Some(Part::Validation);
        }
    }
    check_groups(&config.table_place(), cases, &parts, problems);
    notes.extend(without_group(config, cases, &parts));
    let wanted = if is_tested { &Part::ALL[..] } else { &Part::ALL[..2] };
    for part in wanted.iter().filter(|part| !usable.is_empty() && !parts.contains(&Some(**part))) {
        let remedy = match part {
            Part::Test if split.column.is_some() => {
                "mark cases as `test`, or write `test = \"none\"` in `[data.settings.split]`"
            }
            Part::Train if split.column.is_some() => "mark cases as `train` in the column",
            _ if config.group.is_some() => {
                "the fractions in `[data.settings.split]` leave no whole group for it: change them, or use more cases"
            }
            _ => "change the fractions in `[data.settings.split]`, or use more cases",
        };
        problems.add(format!("the {part} part is empty ({})", counted(usable.len(), "usable case")), remedy);
    }
    parts
}

/// Reads the parts from the split's column.
fn read_parts(
    config: &FolderConfig,
    cases: &[CaseEntry],
    usable: &[usize],
    parts: &mut [Option<Part>],
    problems: &mut Problems,
    notes: &mut Vec<String>,
) {
    let column = config.split.column.as_deref().unwrap_or_default();
    let (mut empty, mut untested) = (0, 0);
    for &index in usable {
        let cell = cases[index].part.as_deref().unwrap_or_default();
        match Part::read(cell) {
            Some(Part::Test) if config.split.test == TestPart::None => untested += 1,
            Some(part) => parts[index] = Some(part),
            None if cell.is_empty() => empty += 1,
            None => problems.add_place(
                &format!("{}column `{column}`: no part of a split", config.table_place()),
                "write `train`, `validation` or `test`, or nothing to leave the case out",
                format!("`{cell}` in {}", cases[index].place()),
            ),
        }
    }
    if empty > 0 {
        notes.push(format!("{} left out: column `{column}` is empty", counted(empty, "case")));
    }
    if untested > 0 {
        notes.push(format!("{} of the test part left out: `split.test` is \"none\"", counted(untested, "case")));
    }
}

/// A note of the cases of a part whose cell of the column `group` is empty: nothing keeps them together with others.
fn without_group(config: &FolderConfig, cases: &[CaseEntry], parts: &[Option<Part>]) -> Option<String> {
    let column = config.group.as_deref()?;
    let alone = cases.iter().zip(parts).filter(|(case, part)| part.is_some() && case.group.is_none());
    let names: Vec<&str> = alone.map(|(case, _)| case.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "`group`: column `{column}` is empty in {}; every such case is a group of its own, so that cases of one patient may lie in \
             several parts: {}",
            counted(names.len(), "case"),
            listed(&names, 5)
        )
    })
}

/// Whether `part` is drawn, and not named by the table.
pub(super) fn is_drawn(config: &FolderConfig, cases: &[CaseEntry], part: Part) -> bool {
    let is_validation = |case: &CaseEntry| {
        case.labels.iter().any(Option::is_some) && case.part.as_deref().and_then(Part::read) == Some(Part::Validation)
    };
    config.split.column.is_none() || (part == Part::Validation && !cases.iter().any(is_validation))
}

/// A sentence that says by what the drawn parts are balanced; `None` if no part is drawn.
pub(super) fn balance(config: &FolderConfig, cases: &[CaseEntry]) -> Option<String> {
    let drawn = match (is_drawn(config, cases, Part::Train), is_drawn(config, cases, Part::Validation)) {
        (true, _) => "The parts are drawn",
        (false, true) => "The validation part is drawn",
        (false, false) => return None,
    };
    let classes = config.tasks.iter().filter(|task| matches!(task.kind, TaskKind::Classification { .. })).count();
    Some(match (config.stratified(), config.split.stratify.as_deref()) {
        (Some(task), None) if classes > 1 => format!(
            "{drawn} with the same share of every class of `{}`, the first classification task, alone; `split.stratify` = \"TASK\" takes \
             another one",
            config.tasks[task].name
        ),
        (Some(task), _) => format!("{drawn} with the same share of every class of `{}`", config.tasks[task].name),
        (None, Some("none")) => format!("{drawn} without regard to classes (`split.stratify` = \"none\")"),
        (None, Some(column)) => format!("{drawn} with the same share of every content of the column `{column}`"),
        (None, None) => format!("{drawn} without regard to classes, since no task is a classification"),
    })
}

/// The stratum of each case.
fn strata(config: &FolderConfig, cases: &[CaseEntry], problems: &mut Problems) -> Vec<String> {
    let task = config.stratified();
    if let Some(task) = task.map(|task| &config.tasks[task])
        && !matches!(task.kind, TaskKind::Classification { .. })
    {
        let what = format!("`split.stratify` = \"{}\": that task has no classes of whole cases", task.name);
        problems.add(what, "name a classification task or a column, or write \"none\"");
    }
    let stratum = |case: &CaseEntry| match (task, &case.stratum) {
        (None, Some(cell)) => cell.clone(),
        (None, None) => String::new(),
        (Some(task), _) => match case.labels[task] {
            Some(Label::Class(class)) => class.to_string(),
            _ => String::new(),
        },
    };
    cases.iter().map(stratum).collect()
}

/// No group lies in two parts.
fn check_groups(of_table: &str, cases: &[CaseEntry], parts: &[Option<Part>], problems: &mut Problems) {
    let mut groups: BTreeMap<&str, BTreeMap<Part, &CaseEntry>> = BTreeMap::new();
    for (case, part) in cases.iter().zip(parts) {
        if let (Some(group), Some(part)) = (&case.group, part) {
            groups.entry(group).or_default().entry(*part).or_insert(case);
        }
    }
    for (group, parts) in groups.into_iter().filter(|(_, parts)| parts.len() > 1) {
        let places = parts.iter().map(|(part, case)| format!("{} for {part}", case.place()));
        let place = format!("`{group}`: {}", places.collect::<Vec<_>>().join(", "));
        problems.add_place(
            &format!("{of_table}a group lies in several parts"),
            "give all its cases the same part; pictures of one patient in two parts make results look too good",
            place,
        );
    }
}

/// No picture lies in two parts; `pixels` are the digests of each case's pictures.
pub(super) fn check_copies(
    cases: &[CaseEntry],
    parts: &[Option<Part>],
    pixels: &[BTreeSet<&str>],
    problems: &mut Problems,
    notes: &mut Vec<String>,
) {
    let mut known: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, digests) in pixels.iter().enumerate().filter(|(index, _)| parts[*index].is_some()) {
        digests.iter().for_each(|digest| known.entry(digest).or_default().push(index));
    }
    let mut within = 0;
    for copies in known.values().filter(|copies| copies.len() > 1) {
        let first = copies[0];
        match copies.iter().find(|&&copy| parts[copy] != parts[first]) {
            None => within += copies.len() - 1,
            Some(&other) => {
                let named = |index: usize| {
                    let part = parts[index].map_or(String::new(), |part| part.to_string());
                    format!("{} for {part}", cases[index].place())
                };
                problems.add_place(
                    "the same picture lies in several parts",
                    "remove one of them, or give both the same `group`, so that they stay together",
                    format!("{} and {}", named(first), named(other)),
                );
            }
        }
    }
    if within > 0 {
        notes.push(format!("{} with the same pixels as another one of the same part", counted(within, "picture")));
    }
}

/// The cases of each part.
pub(super) fn collect(parts: &[Option<Part>]) -> Parts {
    let of = |wanted: Part| -> Vec<u32> {
        (0u32..).zip(parts).filter(|(_, part)| **part == Some(wanted)).map(|(index, _)| index).collect()
    };
    Parts { train: of(Part::Train), validation: of(Part::Validation), test: of(Part::Test) }
}

#[cfg(test)]
mod tests;
