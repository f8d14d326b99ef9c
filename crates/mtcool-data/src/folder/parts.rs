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
mod tests {
    use proptest::prelude::*;

    use super::super::config::SplitConfig;
    use super::super::task::TaskConfig;
    use super::*;

    fn config(split: SplitConfig) -> FolderConfig {
        let kind =
            TaskKind::Classification { column: "c".into(), classes: vec!["0".into(), "1".into()], names: vec![] };
        let task = TaskConfig { name: "c".into(), images: None, image_column: None, kept: None, kind };
        let text = r#"{"size": [8, 8], "images": "{case}.png"}"#;
        FolderConfig { tasks: vec![task], split, ..serde_json::from_str(text).unwrap() }
    }

    fn case(index: usize, group: Option<usize>, class: Option<u8>, part: &str) -> CaseEntry {
        CaseEntry {
            name: format!("case{index}"),
            row: Some(index + 2),
            group: group.map(|group| group.to_string()),
            part: Some(part.into()),
            stratum: None,
            spacing: None,
            pictures: vec![None],
            masks: vec![None],
            labels: vec![class.map(Label::Class)],
        }
    }

    fn assigned(split: SplitConfig, cases: &[CaseEntry]) -> (Vec<Option<Part>>, Problems, Vec<String>) {
        let (mut problems, mut notes) = (Problems::default(), Vec::new());
        let parts = assign(&config(split), cases, &mut problems, &mut notes);
        (parts, problems, notes)
    }

    fn cases() -> impl Strategy<Value = Vec<CaseEntry>> {
        let case_of = |(index, (group, class)): (usize, (Option<usize>, u8))| case(index, group, Some(class), "");
        let properties = (proptest::option::of(0..30usize), 0..2u8);
        proptest::collection::vec(properties, 60..120)
            .prop_map(move |all| all.into_iter().enumerate().map(case_of).collect::<Vec<CaseEntry>>())
    }

    proptest! {
        #[test]
        fn drawn_parts_are_disjoint_complete_and_keep_groups_whole(cases in cases(), seed: u64) {
            let (parts, problems, _) = assigned(SplitConfig { seed, ..SplitConfig::default() }, &cases);
            prop_assert!(problems.is_empty(), "{problems}");
            let Parts { train, validation, test } = collect(&parts);
            let mut all = [train, validation, test].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..cases.len() as u32).collect::<Vec<_>>());
        }

        #[test]
        fn every_case_is_held_out_in_one_fold(cases in cases(), seed: u64, folds in 2usize..6, is_tested: bool) {
            let test = if is_tested { TestPart::Fraction(0.2) } else { TestPart::None };
            let held_out = if is_tested { Part::Test } else { Part::Validation };
            let mut times = vec![0; cases.len()];
            for fold in 0..folds {
                let split = SplitConfig { folds: Some(folds), fold, test, seed, ..SplitConfig::default() };
                let (parts, problems, _) = assigned(split, &cases);
                prop_assert!(problems.is_empty(), "{problems}");
                prop_assert!(parts.contains(&Some(Part::Validation)) && !parts.contains(&None));
                times.iter_mut().zip(parts).for_each(|(times, part)| *times += usize::from(part == Some(held_out)));
            }
            prop_assert!(times.iter().all(|&times| times == 1));
        }
    }

    #[test]
    fn parts_come_from_a_column_and_a_missing_validation_part_is_drawn() {
        let named = ["train", "Training", "test", "", "val"];
        let cases: Vec<CaseEntry> = (0..50).map(|k| case(k, None, Some((k % 2) as u8), named[k % 4])).collect();
        let split = SplitConfig { column: Some("split".into()), validation: 0.2, ..SplitConfig::default() };
        let (parts, problems, notes) = assigned(split.clone(), &cases);
        assert!(problems.is_empty(), "{problems}");
        let counts = Part::ALL.map(|part| parts.iter().filter(|got| **got == Some(part)).count());
        // Of 26 cases for training, 13 of each class, a fifth is 2.6 of each.
        assert_eq!((counts[0] + counts[1], counts[2]), (26, 12));
        assert!((4..=6).contains(&counts[1]), "{counts:?}");
        assert_eq!(notes, ["12 cases left out: column `split` is empty"]);

        let mut with_validation = cases.clone();
        with_validation[0].part = Some("val".into());
        let (parts, ..) = assigned(split.clone(), &with_validation);
        assert_eq!(parts.iter().filter(|part| **part == Some(Part::Validation)).count(), 1, "nothing is drawn");

        let untested = SplitConfig { test: TestPart::None, ..split.clone() };
        let (parts, problems, notes) = assigned(untested, &cases);
        assert!(problems.is_empty() && !parts.contains(&Some(Part::Test)), "{problems}");
        assert!(notes.iter().any(|note| note.contains("12 cases of the test part left out")), "{notes:?}");

        let mut wrong = cases.clone();
        wrong[0].part = Some("tset".into());
        let message = assigned(split, &wrong).1.to_string();
        assert!(message.contains("`tset` in row 2 (case `case0`)") && message.contains("`train`"), "{message}");
    }

    #[test]
    fn groups_in_two_parts_and_empty_parts_are_told() {
        let split = SplitConfig { column: Some("split".into()), ..SplitConfig::default() };
        let cases =
            [case(0, Some(7), Some(0), "train"), case(1, Some(7), Some(1), "test"), case(2, None, Some(1), "val")];
        let message = assigned(split.clone(), &cases).1.to_string();
        assert!(message.contains("`7`: row 2 (case `case0`) for training, row 3 (case `case1`) for test"), "{message}");
        let message = assigned(split, &cases[..1]).1.to_string();
        assert!(
            message.contains("the test part is empty (1 usable case)") && message.contains("\"none\""),
            "{message}"
        );
        let message = assigned(SplitConfig::default(), &[cases[0].clone()]).1.to_string();
        assert!(message.contains("part is empty"), "{message}");
    }

    #[test]
    fn cases_without_a_group_are_noted_where_others_have_one() {
        let cases: Vec<CaseEntry> =
            (0..40).map(|k| case(k, (k % 20 != 3).then_some(k / 2), Some((k % 2) as u8), "")).collect();
        let noted = |config: &FolderConfig, cases: &[CaseEntry]| {
            let (mut problems, mut notes) = (Problems::default(), Vec::new());
            assign(config, cases, &mut problems, &mut notes);
            assert!(problems.is_empty(), "{problems}");
            notes
        };
        let plain = config(SplitConfig::default());
        assert!(noted(&plain, &cases).is_empty(), "there is no column of groups");
        let grouped = FolderConfig { group: Some("patient".into()), ..plain };
        let expected = "`group`: column `patient` is empty in 2 cases; every such case is a group of its own, so that cases of one \
                        patient may lie in several parts: `case3`, `case23`";
        assert_eq!(noted(&grouped, &cases), [expected]);
    }

    #[test]
    fn it_is_said_by_what_drawn_parts_are_balanced() {
        let cases: Vec<CaseEntry> = (0..4).map(|k| case(k, None, Some(0), ["train", "test"][k % 2])).collect();
        let told = |split: SplitConfig, tasks: usize, cases: &[CaseEntry]| {
            let config = config(split);
            let renamed = |number: usize| TaskConfig { name: format!("c{number}"), ..config.tasks[0].clone() };
            balance(&FolderConfig { tasks: (0..tasks).map(renamed).collect(), ..config.clone() }, cases)
        };
        let split = |column: Option<&str>, stratify: Option<&str>| SplitConfig {
            column: column.map(Into::into),
            stratify: stratify.map(Into::into),
            ..SplitConfig::default()
        };
        let one = "The parts are drawn with the same share of every class of `c0`";
        assert_eq!(told(split(None, None), 1, &cases).unwrap(), one);
        let two = told(split(None, None), 2, &cases).unwrap();
        assert!(two.contains("`c0`, the first classification task, alone; `split.stratify`"), "{two}");
        assert!(told(split(None, Some("c1")), 2, &cases).unwrap().ends_with("every class of `c1`"));
        assert!(told(split(None, Some("none")), 2, &cases).unwrap().contains("without regard to classes (`split"));
        assert!(told(split(None, Some("eye")), 2, &cases).unwrap().ends_with("every content of the column `eye`"));
        assert!(told(split(None, None), 0, &cases).unwrap().contains("no task is a classification"));
        assert!(told(split(Some("part"), None), 1, &cases).unwrap().starts_with("The validation part is drawn with"));
        let mut named = cases.clone();
        named[0].part = Some("val".into());
        assert_eq!(told(split(Some("part"), None), 1, &named), None);
    }

    #[test]
    fn cases_without_labels_have_no_part() {
        let mut cases: Vec<CaseEntry> = (0..20).map(|k| case(k, None, Some(0), "")).collect();
        cases[3].labels = vec![None];
        let (parts, ..) = assigned(SplitConfig::default(), &cases);
        assert_eq!(parts.iter().filter(|part| part.is_none()).count(), 1);
        assert_eq!(parts[3], None);
    }

    #[test]
    fn copies_in_two_parts_are_told_and_others_noted() {
        let cases: Vec<CaseEntry> = (0..4).map(|k| case(k, None, Some(0), "")).collect();
        let pixels: Vec<BTreeSet<&str>> = ["a", "b", "a", "b"].iter().map(|digest| BTreeSet::from([*digest])).collect();
        let parts = [Part::Train, Part::Test, Part::Test, Part::Test].map(Some);
        let (mut problems, mut notes) = (Problems::default(), Vec::new());
        check_copies(&cases, &parts, &pixels, &mut problems, &mut notes);
        let message = problems.to_string();
        assert!(message.contains("row 2 (case `case0`) for training and row 4 (case `case2`) for test"), "{message}");
        assert_eq!(notes, ["1 picture with the same pixels as another one of the same part"]);
    }
}
