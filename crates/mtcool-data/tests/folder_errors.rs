//! Everything that a user may get wrong about a folder of pictures: each error names the place and what to do.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod folder_files;

use folder_files::Files;
use serde_json::{Value, json};

/// Writes twenty-four cases, changes settings and files, and checks that the message has all of `expected`.
fn check(what: &str, change: impl FnOnce(&Files, &mut Value), expected: &[&str]) {
    let files = Files::new();
    let mut config = files.twenty_four();
    change(&files, &mut config);
    let message = files.refused(&config).replace(&format!("{}/", files.root().display()), "");
    for expected in expected {
        assert!(message.contains(expected), "{what}: `{expected}` is not in\n{message}");
    }
}

/// Replaces text in the table.
fn in_table(files: &Files, from: &str, to: &str) {
    let table = std::fs::read_to_string(files.path("labels.csv")).unwrap();
    assert!(table.contains(from), "{from}");
    files.text("labels.csv", &table.replace(from, to));
}

#[test]
fn the_example_itself_is_correct() {
    let files = Files::new();
    let config = files.twenty_four();
    let folder = files.open(&config).unwrap();
    assert!(folder.notes().is_empty(), "{:?}", folder.notes());
}

#[test]
fn settings_that_cannot_work() {
    check("no task", |_, config| config["tasks"] = json!([]), &["`tasks` is empty", "[[data.settings.tasks]]"]);
    check("channels", |_, config| config["channels"] = json!(17), &["`channels` is 17", "1 to 16"]);
    check("size", |_, config| config["size"] = json!([0, 8]), &["`size` is [0, 8]"]);
    check("size", |_, config| config["size"] = json!([8, 480_000]), &["`size` is [8, 480000]", "above 16384 pixels"]);
    check("scale", |_, config| config["scale"] = json!(2.0), &["`scale` is 2", "`fit` = \"resize\"", "patches"]);
    check(
        "kept",
        |_, config| config["tasks"][1]["kept"] = json!(0.0),
        &["task `grade`: `kept` is 0", "above 0 and at"],
    );
    check(
        "balanced",
        |_, config| config["balanced"] = json!("area"),
        &["`balanced` = \"area\" is no classification task", "name one of `grade`"],
    );
    check("spacing", |_, config| config["spacing"] = json!([0.5, 0.0]), &["`spacing` is [0.5, 0.0]", "above 0"]);
    check("no scale", |_, config| config["scale"] = json!(0.0), &["`scale` is 0", "0.015625 to 64"]);
    check("two names", |_, config| config["tasks"][1]["name"] = json!("area"), &["two tasks are named `area`"]);
    check("name", |_, config| config["tasks"][1]["name"] = json!("a b"), &["task `a b`", "letters, digits"]);
    check("one class", |_, config| config["tasks"][1]["classes"] = json!([1]), &["task `grade`", "at least two"]);
    check("twice", |_, config| config["tasks"][1]["classes"] = json!([0, 1, "1.0"]), &["class `1.0` is listed twice"]);
    check("names", |_, config| config["tasks"][1]["names"] = json!(["a"]), &["1 `names` for 2 `classes`"]);
    let order = |_: &Files, config: &mut Value| config["tasks"][0]["order"] = json!(["area"]);
    check("order", order, &["task `area`: `order` is [\"area\"]", "each class"]);
    let properties = |_: &Files, config: &mut Value| config["tasks"][2]["names"] = json!(["moist"]);
    check("properties", properties, &["task `signs`: 1 `names` for 2 `columns`"]);
    check("columns", |_, config| config["tasks"][2]["columns"] = json!([]), &["task `signs`: `columns` is empty"]);
    check("range", |_, config| config["tasks"][3]["range"] = json!([9, 1]), &["task `age`: `range` is [9, 1]"]);
    check(
        "ignored",
        |_, config| config["tasks"][0]["ignored"] = json!([255]),
        &["value 255 is in `classes` and in `ignored`"],
    );
    check(
        "region",
        |_, config| config["tasks"][0]["regions"] = json!({ "all": ["disc"] }),
        &["names `disc`, which is no class"],
    );
    check(
        "pattern",
        |_, config| config["images"] = json!("images/a.png"),
        &["`images` = \"images/a.png\"", "`{case}`"],
    );
    check("no picture", |_, config| config["images"] = Value::Null, &["where the pictures are", "`images`"]);
    check("both", |_, config| config["image_column"] = json!("case"), &["`images` and `image_column` are both given"]);
    check(
        "fraction",
        |_, config| config["split"]["validation"] = json!(1.5),
        &["`split.validation` is 1.5", "between 0 and 1"],
    );
    check(
        "folds",
        |_, config| config["split"]["folds"] = json!(3),
        &["`split.folds` and `split.column` are both given"],
    );
    check(
        "fold",
        |_, config| config["split"] = json!({ "folds": 3, "fold": 3 }),
        &["`split.fold` is 3", "counted from 0"],
    );
    check(
        "augmentation",
        |_, config| config["augmentation"] = json!({ "rotation": -1 }),
        &["`augmentation`", "rotation"],
    );
    check(
        "no table",
        |_, config| config["table"] = Value::Null,
        &["there is no table", "`wet`", "`group` = \"patient\""],
    );
    check("stratify", |_, config| config["split"]["stratify"] = json!("age"), &["`split.stratify` = \"age\""]);
}

#[test]
fn patches_and_tiles_that_cannot_work() {
    for key in ["tile", "overlap", "margin", "patches_per_image"] {
        let told = format!("`{key}` is given, but `fit` is not \"patches\"");
        check(key, |_, config| config[key] = json!(64), &[&told, "`fit` = \"patches\""]);
    }
    for (settings, expected) in [
        (json!({ "tile": 16 }), ["`tile`, is 16", "32 to 16384"]),
        (json!({ "tile": 64, "overlap": 33 }), ["`overlap` is 33", "at most half"]),
        (json!({ "tile": 64, "overlap": 16, "margin": 8 }), ["`margin` is 8, and `overlap` is 16", "no gap"]),
        (json!({ "patches_per_image": 0 }), ["`patches_per_image` is 0", "1 to 1000000"]),
        (
            json!({ "tasks": [{ "name": "a", "kind": "regression", "column": "age" }] }),
            ["no task has masks", "\"crop\""],
        ),
    ] {
        let change = |_: &Files, config: &mut Value| {
            config["fit"] = json!("patches");
            settings.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
        };
        check(&settings.to_string(), change, &expected);
    }
    // A picture that some tasks see as patches and others as a whole is told once.
    check(
        "broken picture",
        |files, config| {
            (config["fit"], config["size"]) = (json!("patches"), json!([8, 8]));
            files.text("images/a02.png", "hello");
        },
        &["pictures that cannot be used: `images/a02.png` of row 4"],
    );
}

#[test]
fn settings_that_are_unknown_or_of_the_wrong_kind() {
    let files = Files::new();
    let config = files.twenty_four();
    let wrong = |change: fn(&mut Value), expected: &str| {
        let mut config = config.clone();
        change(&mut config);
        let message = serde_json::from_value::<mtcool_data::folder::FolderConfig>(config).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    wrong(|config| config["imagse"] = json!("a"), "imagse");
    wrong(|config| config["tasks"][1]["colunm"] = json!("a"), "colunm");
    wrong(|config| config["tasks"][0]["kind"] = json!("detection"), "detection");
    wrong(|config| config["tasks"][0]["classes"] = json!({ "black": "background" }), "grey value");
    wrong(|config| config["split"]["test"] = json!("never"), "\"none\"");
    wrong(|config| config["augmentation"] = json!({ "miror": true }), "miror");
    // What is read is written again.
    let read: mtcool_data::folder::FolderConfig = serde_json::from_value(config.clone()).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(serde_json::from_value::<mtcool_data::folder::FolderConfig>(written).unwrap(), read);
}

#[test]
fn files_that_are_not_there() {
    check(
        "root",
        |files, _| std::fs::remove_dir_all(files.root()).unwrap(),
        &["there is no folder", "correct `folder` or `--data`"],
    );
    check("table", |_, config| config["table"] = json!("label.csv"), &["`table` = \"label.csv\" does not exist"]);
    check(
        "no picture fits",
        |_, config| config["images"] = json!("images/{case}.jpg"),
        &[
            "`images` = \"images/{case}.jpg\" matches no file",
            "row 2 (case `a00`)",
            "images/a00.jpg",
            "`a00.png`, `a01.png`",
        ],
    );
    check(
        "no folder",
        |_, config| config["images"] = json!("pictures/{case}.png"),
        &["matches no file", "there is no folder `pictures`"],
    );
    check(
        "one picture",
        |files, _| std::fs::remove_file(files.path("images/a05.png")).unwrap(),
        &["pictures that do not exist: `images/a05.png` of row 7 (case `a05`)"],
    );
    check(
        "no mask fits",
        |_, config| config["tasks"][0]["mask"] = json!("mask/{case}.png"),
        &["task `area`: `mask` = \"mask/{case}.png\" matches no file", "there is no folder `mask`"],
    );
    check(
        "place",
        |_, config| config["images"] = json!("images/{cse}.png"),
        &["no column `cse`", "did you mean `case`?"],
    );
}

#[test]
fn tables_that_are_wrong() {
    check("case", |_, config| config["case"] = json!("cas"), &["`case`", "no column `cas`", "did you mean `case`?"]);
    check(
        "label",
        |_, config| config["tasks"][1]["column"] = json!("grades"),
        &["task `grade`", "did you mean `grade`?"],
    );
    check("far", |_, config| config["group"] = json!("hospital"), &["`group`", "its columns are `case`, `patient`"]);
    check(
        "class",
        |files, _| in_table(files, ",train,1,", ",train,7,"),
        &[
            "`labels.csv`: task `grade`: column `grade`: a class that is not listed, 6 times",
            "`7` in row 3 (case `a01`)",
            "and 1 more",
            "`classes`",
        ],
    );
    check(
        "number",
        |files, _| in_table(files, ",41\n", ",4l\n"),
        &["task `age`: column `age`: no number: `4l` in row 3", "decimal point"],
    );
    check(
        "spacing",
        |files, config| {
            in_table(files, ",wet,dry,age", ",dy,dry,age");
            config["spacing"] = json!(["dy", "dry"]);
            config["tasks"][2]["columns"] = json!(["dry"]);
        },
        &["`labels.csv`: `spacing`: column `dy`: no size of a pixel", "`0` in row 2 (case `a00`)", "above 0"],
    );
    check("no spacing", |_, config| config["spacing"] = json!(["dy", "dx"]), &["`spacing`", "no column `dy`"]);
    check("range", |files, _| in_table(files, ",41\n", ",410\n"), &["outside of `range` = [0, 120]: `410` in row 3"]);
    check(
        "property",
        |files, _| in_table(files, "a01,p0,train,1,,0", "a01,p0,train,1,?,0"),
        &["column `wet`: neither yes nor no: `?` in row 3"],
    );
    check(
        "two rows",
        |files, _| in_table(files, "\na05,", "\na04.png,"),
        &["two rows of one case: case `a04` in rows 6, 7"],
    );
    check("no name", |files, _| in_table(files, "\na05,", "\n,"), &["a row names no case: row 7"]);
    check(
        "part",
        |files, _| in_table(files, ",val,", ",vla,"),
        &["column `split`: no part of a split, 6 times", "`vla` in row 14", "`validation`"],
    );
    check(
        "group",
        |files, _| in_table(files, "a12,p6,", "a12,p0,"),
        &["a group lies in several parts: `p0`", "row 2", "row 14"],
    );
}

#[test]
fn pictures_and_masks_that_are_wrong() {
    check(
        "no picture",
        |files, _| files.text("images/a02.png", "hello"),
        &["pictures that cannot be used: `images/a02.png` of row 4 (case `a02`)", "no known picture format"],
    );
    check(
        "grey",
        |_, config| config["channels"] = json!(4),
        &["pictures that cannot be used, 24 times", "a picture with 3 channels"],
    );
    check(
        "size",
        |files, _| files.mask("masks/a02.png", [16, 12], 0, 255),
        &[
            "task `area`: masks of another size than their pictures: `masks/a02.png` of row 4 (case `a02`) is 12x16, its picture 16x12",
        ],
    );
    check(
        "value",
        |files, _| {
            files.mask("masks/a02.png", [12, 16], 0, 254);
            files.mask("masks/a01.png", [12, 16], 0, 254);
            files.mask("masks/a00.png", [12, 16], 3, 255);
        },
        &[
            "neither in `classes` nor in `ignored`, 2 times",
            "254 in 2 masks (192 pixels), first in `masks/a01.png`",
            "3 in 1 mask (96 pixels)",
        ],
    );
    check(
        "no mask",
        |files, _| files.text("masks/a02.png", "hello"),
        &["task `area`: masks that cannot be used", "`masks/a02.png`"],
    );
    check(
        "copy",
        |files, _| {
            std::fs::copy(files.path("images/a01.png"), files.path("images/a20.png")).unwrap();
        },
        &[
            "the same picture lies in several parts: row 3 (case `a01`) for training and row 22 (case `a20`) for test",
            "`group`",
        ],
    );
}

#[test]
fn parts_that_lack_something() {
    check("no test", |files, _| in_table(files, ",test,", ",train,"), &["the test part is empty", "`test = \"none\"`"]);
    check("no training", |files, _| in_table(files, ",train,", ",test,"), &["the training part is empty"]);
    check(
        "no label in a part",
        |files, _| {
            (18..24)
                .filter(|k| k % 4 != 3)
                .for_each(|k| std::fs::remove_file(files.path(&format!("masks/a{k}.png"))).unwrap())
        },
        &["a part has no label of a task: task `area`, test part"],
    );
    check(
        "a class that training lacks",
        |files, config| {
            in_table(files, ",train,1,", ",train,0,");
            config["split"]["stratify"] = json!("none");
        },
        &["classes that the training part does not have: task `grade`, training part: `1`"],
    );
    check(
        "equal numbers",
        |files, config| {
            let table = std::fs::read_to_string(files.path("labels.csv")).unwrap();
            let line = |line: &str| match line.rsplit_once(',') {
                Some((before, age)) if line.contains("train") && !age.is_empty() => format!("{before},50\n"),
                _ => format!("{line}\n"),
            };
            files.text("labels.csv", &table.lines().map(line).collect::<String>());
            config["fit"] = json!("crop");
        },
        &["all numbers of the training part are equal", "task `age`, training part: 50; leave out the task"],
    );
}

/// macOS writes the names of files with separate accents, and tables that were made elsewhere have none.
#[test]
fn names_that_look_the_same_are_no_missing_files() {
    let file = "a\u{308}01.png";
    check(
        "a picture",
        |files, _| {
            in_table(files, "a01,", "ä01,");
            std::fs::rename(files.path("images/a01.png"), files.path(&format!("images/{file}"))).unwrap();
            std::fs::rename(files.path("masks/a01.png"), files.path("masks/ä01.png")).unwrap();
        },
        &[
            "`images` = \"images/{case}.png\": files of which the names look right",
            &format!("`images/{file}` of row 3"),
            "--nfc",
        ],
    );
    check(
        "a mask, which would be a missing label",
        |files, _| {
            in_table(files, "a01,", "ä01,");
            std::fs::rename(files.path("images/a01.png"), files.path("images/ä01.png")).unwrap();
            std::fs::rename(files.path("masks/a01.png"), files.path(&format!("masks/{file}"))).unwrap();
        },
        &["task `area`: `mask` = \"masks/{case}.png\": files of which", &format!("`masks/{file}` of row 3"), "--nfc"],
    );
}

#[test]
fn what_is_no_mistake_is_noted() {
    let files = Files::new();
    let mut config = files.twenty_four();
    files.picture("images/b00.png", 99, [12, 16]);
    in_table(&files, "a23,p11,test,1,0,1,63", "a23,p11,test,,,,");
    in_table(&files, "a22,p11,test,0,1,0,", "a22,p11,,0,1,0,");
    in_table(&files, "a20,p10,test,,0,1,60", "a20,,test,,0,1,9999");
    config["tasks"][3].as_object_mut().unwrap().remove("range");
    let folder = files.open(&config).unwrap();
    let notes = folder.notes().join("\n");
    for expected in [
        "1 file of no case: `images/b00.png`",
        "1 case without a label of any task, which nothing uses: `a23`",
        "column `split` is empty",
        "`group`: column `patient` is empty in 1 case; every such case is a group of its own",
        "several parts: `a20`",
        "task `age`: 1 number far from the others: 9999 in row 22 (case `a20`); empty",
    ] {
        assert!(notes.contains(expected), "{expected} is not in\n{notes}");
    }
}

#[test]
fn a_class_that_another_part_lacks_is_noted() {
    let files = Files::new();
    let config = files.twenty_four();
    in_table(&files, ",test,1,", ",test,0,");
    let notes = files.open(&config).unwrap().notes().join("\n");
    assert!(notes.contains("task `grade`, test part: `1`"), "{notes}");
    assert!(!notes.contains("stratify"), "the table names the parts: {notes}");
}
