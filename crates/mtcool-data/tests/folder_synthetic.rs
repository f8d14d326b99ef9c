//! The drawn example: what it holds, what an inspection tells of it, and what is suggested for it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod folder_files;

use folder_files::Files;
use mtcool_data::folder::{
    Fit, Folder, FolderConfig, FolderSamples, FolderSynthesis, Inspection, Label, Part, Suggestion, TaskKind,
    synthesize,
};
use mtcool_data::{SampleDraw, SharedDataset};

const SMALL: FolderSynthesis = FolderSynthesis { cases: 60, side: 32, seed: 3 };

fn drawn(synthesis: FolderSynthesis) -> Files {
    let files = Files::new();
    synthesize(&files.root(), synthesis).unwrap();
    files
}

fn open(files: &Files, synthesis: FolderSynthesis) -> Folder {
    Folder::open(&files.root(), &synthesis.config(), &files.options(), &|_, _| {}).unwrap()
}

#[test]
fn it_has_five_tasks_of_four_kinds_with_missing_labels() {
    let files = drawn(SMALL);
    let folder = open(&files, SMALL);
    let kinds: Vec<&str> = folder.tasks().iter().map(|task| task.kind.name()).collect();
    assert_eq!(kinds, ["segmentation", "segmentation", "classification", "multilabel", "regression"]);
    assert_eq!(folder.tasks()[0].kind.regions(), [("cell".to_owned(), vec![1, 2])]);
    let labelled = |task: usize| Part::ALL.iter().map(|&part| folder.labelled(task, part).len()).sum::<usize>();
    assert_eq!(labelled(0), 60);
    for task in 1..5 {
        assert!((40..=60).contains(&labelled(task)), "task {task}: {}", labelled(task));
    }
    assert!(labelled(1) == 45 && labelled(4) < 60);
    let samples = FolderSamples::training(&folder, &[0, 1, 2, 3, 4], &folder.parts().train).unwrap();
    let batch = samples.read(&[SampleDraw::plain(0), SampleDraw::plain(1)]).unwrap();
    let shapes: Vec<&[usize]> = batch.targets.iter().map(candle_core::Tensor::dims).collect();
    assert_eq!(shapes, [&[2, 32, 32][..], &[2, 32, 32], &[2], &[2, 2], &[2, 1]]);
}

#[test]
fn labels_follow_from_the_masks() {
    let files = drawn(SMALL);
    let folder = open(&files, SMALL);
    let mut known = [0; 3];
    for case in 0..60 {
        let (_, regions) = folder.mask(0, case).unwrap();
        let area = |least: u8| regions.iter().filter(|&&region| region >= least).count() as f64;
        let ratio = area(2) / area(1);
        if let Some(Label::Number(number)) = folder.label(4, case) {
            assert!((number - ratio).abs() <= 5.1e-5);
            known[0] += 1;
        }
        if let Some(Label::Class(stage)) = folder.label(2, case) {
            assert_eq!(usize::from(*stage), usize::from(ratio >= 0.2) + usize::from(ratio >= 0.32));
            known[1] += 1;
        }
        if let (Some(Label::Properties(present)), Some((_, granules))) = (folder.label(3, case), folder.mask(1, case)) {
            // Blue granules are class 1, red ones class 2.
            for (color, present) in [2, 1].iter().zip(present) {
                assert!(present.is_none_or(|present| present == granules.contains(color)));
            }
            known[2] += 1;
        }
    }
    assert!(known.iter().all(|&known| known > 30), "{known:?}");
}

#[test]
fn the_same_settings_draw_the_same_files_and_others_are_refused() {
    let (files, again) = (drawn(SMALL), drawn(SMALL));
    for name in ["labels.csv", "images/cell_00007.png", "cells/cell_00007.png", "granules/cell_00007.png"] {
        let read = |files: &Files| std::fs::read(files.root().join(name)).ok();
        assert_eq!(read(&files), read(&again), "{name}");
    }
    assert!(
        !files.root().join("granules/cell_00007.png").exists() && files.root().join("granules/cell_00008.png").exists()
    );
    assert_eq!(open(&files, SMALL).fingerprint(), open(&again, SMALL).fingerprint());
    synthesize(&files.root(), SMALL).unwrap();
    let message = synthesize(&files.root(), FolderSynthesis { seed: 4, ..SMALL }).unwrap_err().to_string();
    assert!(message.contains("synthetic.json") && message.contains("another folder"), "{message}");
    let foreign = Files::new();
    foreign.text("notes.txt", "mine");
    assert!(synthesize(&foreign.root(), SMALL).unwrap_err().to_string().contains("other files"));
    assert!(
        synthesize(&foreign.root(), FolderSynthesis { cases: 3, ..SMALL })
            .unwrap_err()
            .to_string()
            .contains("`cases` is 3")
    );
}

#[test]
fn groups_stay_together_and_stages_are_in_every_part() {
    let synthesis = FolderSynthesis { cases: 120, ..SMALL };
    let files = drawn(synthesis);
    let folder = open(&files, synthesis);
    let mut parts = std::collections::BTreeMap::new();
    for case in folder.cases() {
        assert_eq!(*parts.entry(case.group.clone().unwrap()).or_insert(case.part), case.part);
    }
    assert!(!folder.notes().iter().any(|note| note.contains("do not occur")), "{:?}", folder.notes());
}

#[test]
fn an_inspection_tells_what_was_found_also_with_mistakes() {
    let files = drawn(SMALL);
    let mut config = SMALL.config();
    let inspect = |config: &FolderConfig| Inspection::of(&files.root(), config, &files.options(), &|_, _| {}).unwrap();
    let inspection = inspect(&config);
    assert!(inspection.problems.is_empty(), "{}", inspection.problems);
    assert_eq!((inspection.cases, inspection.pictures[0].files, inspection.pictures[0].unreadable), (60, 60, 0));
    assert_eq!(inspection.pictures[0].sizes, [([32, 32], 60)]);
    assert_eq!(inspection.pictures[0].channels, [(3, 60)]);
    assert_eq!(inspection.pictures[0].normalization.as_ref(), Some(open(&files, SMALL).normalization(0)));
    assert_eq!(inspection.tasks[1].parts.iter().map(|part| part.labelled).sum::<usize>(), 45);
    let text = inspection.to_string();
    for expected in [
        "60 cases: training",
        "same share of every class of `stage`.",
        "32x32 (60)",
        "Task granules (segmentation)",
        "cytoplasm",
        "No problem was found",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    let examples = inspection.examples(5);
    assert_eq!(examples.len(), 5);
    assert_eq!(examples[0].views[0].masks[0].0, "cell");
    assert_eq!(examples[0].views[0].picture.to_rgb8().len(), 3 * 32 * 32);
    assert_eq!(
        examples[0].labels.iter().map(|(task, _)| task.as_str()).collect::<Vec<_>>(),
        ["stage", "present", "ratio"]
    );

    if let TaskKind::Segmentation { classes, .. } = &mut config.tasks[0].kind {
        classes.retain(|_, class| *class != "nucleus");
    }
    files.text("images/cell_00004.png", "broken");
    config.tasks[0].kind = match config.tasks[0].kind.clone() {
        TaskKind::Segmentation { mask, classes, order, ignored, tolerance, .. } => {
            TaskKind::Segmentation { mask, classes, order, ignored, tolerance, regions: Default::default() }
        }
        other => other,
    };
    let text = inspect(&config).to_string();
    for expected in ["must be solved before training", "255 in 60 masks", "cell_00004.png", "60 files, 1 unusable"] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn a_configuration_is_suggested_that_opens() {
    let synthesis = FolderSynthesis { cases: 90, side: 48, seed: 1 };
    let files = drawn(synthesis);
    let suggestion = Suggestion::for_folder(&files.root(), None).unwrap();
    let config = &suggestion.config;
    assert_eq!(config.images.as_deref(), Some("images/{case}.png"));
    assert_eq!((config.case.as_str(), config.group.as_deref(), config.channels), ("case", Some("patient"), 3));
    assert_eq!((config.size, config.fit, suggestion.batch_size), ([48, 48], Fit::Resize, 11));
    assert_eq!(suggestion.samples, 61, "72 are not for the test, and 61 of them not for validation");
    let names: Vec<(&str, &str)> = config.tasks.iter().map(|task| (task.name.as_str(), task.kind.name())).collect();
    let expected = [
        ("cells", "segmentation"),
        ("granules", "segmentation"),
        ("stage", "classification"),
        ("red_granules", "classification"),
        ("blue_granules", "classification"),
        ("nucleus_ratio", "regression"),
    ];
    assert_eq!(names, expected);
    for task in &config.tasks {
        let key = format!("tasks.{}", task.name);
        assert!(suggestion.reasons.iter().any(|reason| reason.key == key), "{key} has no reason");
    }
    let folder = Folder::open(&files.root(), config, &files.options(), &|_, _| {}).unwrap();
    assert_eq!(folder.cases().len(), 90);
    let masks = suggestion.reasons.iter().filter(|reason| reason.reason.contains("have masks"));
    assert_eq!(
        masks.filter(|reason| reason.reason.contains(" of 90 cases have masks")).count(),
        2,
        "also where some lack"
    );
    let empty = Files::new();
    empty.text("readme.txt", "");
    assert!(Suggestion::for_folder(&empty.root(), None).unwrap_err().to_string().contains("pictures"));
}

/// The names of the same pictures may end otherwise, and a table that is not usable has a reason.
#[test]
fn a_suggestion_says_what_it_cannot_use() {
    let files = drawn(FolderSynthesis { cases: 40, side: 48, seed: 1 });
    let mut pictures: Vec<_> =
        std::fs::read_dir(files.path("images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pictures.sort();
    pictures[..10].iter().for_each(|file| std::fs::rename(file, file.with_extension("PNG")).unwrap());
    let suggested = |files: &Files| Suggestion::for_folder(&files.root(), None).unwrap();
    let any = suggested(&files);
    assert_eq!(any.config.images.as_deref(), Some("images/{case}.*"));
    let folder = Folder::open(&files.root(), &any.config, &files.options(), &|_, _| {}).unwrap();
    assert_eq!(folder.cases().len(), 40);

    let of_table = |suggestion: &Suggestion| {
        let reasons = suggestion.reasons.iter().filter(|reason| reason.key == "table");
        reasons.map(|reason| reason.reason.clone()).collect::<Vec<_>>().join("; ")
    };
    let table = std::fs::read(files.path("labels.csv")).unwrap();
    let last = table.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap().to_vec();
    std::fs::write(files.path("labels.csv"), [&table[..], &last, b"\n"].concat()).unwrap();
    let twice = suggested(&files);
    assert!(
        of_table(&twice).contains("column `case` of `labels.csv` names pictures in several rows"),
        "{}",
        of_table(&twice)
    );
    std::fs::write(files.path("labels.csv"), [&table[..], b"\xe4\n"].concat()).unwrap();
    let foreign = suggested(&files);
    assert!(of_table(&foreign).contains("`labels.csv` is left out: text that is not UTF-8"), "{}", of_table(&foreign));
}
