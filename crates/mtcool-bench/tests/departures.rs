//! Data that departs from the published set: what a table says of it, and which setting helps.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{HRF_AV, Lab, fail, find_run, succeed};

/// `jpeg` with a tag of EXIF that gives the orientation, as cameras write it.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    let exif = [&b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn what_was_left_out_stands_in_the_table_and_a_turned_photograph_is_predicted_upright() {
    let lab = Lab::new();
    let reproduce = |further: &[&str]| {
        let mut command = lab.mtcool(&HRF_AV);
        command.args(["--methods", "joint", "--seeds", "1", "--set", "training.epochs=1"]).args(further);
        command
    };
    // The folder for decoded pictures cannot be made where a file lies.
    std::fs::create_dir_all(lab.path().join("data")).unwrap();
    std::fs::write(lab.path().join("data/cache"), b"in the way").unwrap();
    fail(&mut reproduce(&[]), &["the folder for decoded pictures, `data/cache`", "`--set data.cache=DIR`"]);
    succeed(&mut reproduce(&["--set", "data.cache=elsewhere/cache"]));
    assert!(std::fs::read_dir(lab.path().join("elsewhere/cache")).unwrap().count() > 0);

    let set = lab.path().join("data/hrf-av-synth");
    let photograph = set.join("images/01_dr.JPG");
    // Stored on its side, with the tag that says how to turn it back.
    let mut stored = Vec::new();
    let on_its_side = image::open(&photograph).unwrap().rotate270();
    on_its_side.write_to(&mut std::io::Cursor::new(&mut stored), image::ImageFormat::Jpeg).unwrap();
    std::fs::write(lab.path().join("turned.jpg"), with_orientation(&stored, 6)).unwrap();
    let run = find_run(&lab.path().join("results/table3"), "joint-s0");
    let predict = ["predict", "--run", run.to_str().unwrap(), "--out", "seen", "turned.jpg"];
    let line: serde_json::Value = serde_json::from_str(&succeed(&mut lab.mtcool(&predict))).unwrap();
    assert_eq!((line["width"].as_u64(), line["height"].as_u64()), (Some(219), Some(146)), "{line}");
    assert!(line["notices"].to_string().contains("EXIF orientation 6"), "{line}");
    let mask = image::open(lab.path().join(line["vessels"].as_str().unwrap())).unwrap();
    assert_eq!((mask.width(), mask.height()), (219, 146));

    std::fs::remove_file(&photograph).unwrap();
    let folder = set.to_str().unwrap();
    let further = ["--data", folder, "--set", "data.settings.on_damage=leave_out", "--set", "data.cache=cache"];
    let printed = succeed(&mut reproduce(&[&further[..], &["--results", "rest"]].concat()));
    let said = "1 of 18 photographs were left out, since their files are damaged, such as `images/01_dr.JPG`";
    let read = |name: &str| std::fs::read_to_string(lab.path().join("rest/table3").join(name)).unwrap();
    for text in [printed, read("table.md"), read("report.html").replace("&#39;", "'")] {
        assert!(text.contains(said) && text.contains("not comparable with published results"), "no `{said}` in {text}");
    }
}
