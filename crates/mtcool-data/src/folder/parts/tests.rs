//! How the cases of a folder are divided into parts.

use proptest::prelude::*;

use super::super::config::SplitConfig;
use super::super::task::TaskConfig;
use super::*;

fn config(split: SplitConfig) -> FolderConfig {
    let kind = TaskKind::Classification { column: "c".into(), classes: vec!["0".into(), "1".into()], names: vec![] };
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
    let cases = [case(0, Some(7), Some(0), "train"), case(1, Some(7), Some(1), "test"), case(2, None, Some(1), "val")];
    let message = assigned(split.clone(), &cases).1.to_string();
    assert!(message.contains("`7`: row 2 (case `case0`) for training, row 3 (case `case1`) for test"), "{message}");
    let message = assigned(split, &cases[..1]).1.to_string();
    assert!(message.contains("the test part is empty (1 usable case)") && message.contains("\"none\""), "{message}");
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
