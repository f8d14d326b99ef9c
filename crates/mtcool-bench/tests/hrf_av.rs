//! The program with HRF-AV, on small synthetic photographs: paired tests, the user's own photographs, a run without a validation
//! split.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{HRF_AV, Lab, fail, find_run, succeed};
use image::imageops::{FilterType, resize};
use image::{ImageReader, RgbImage};
use mtcool_bench::record::{read_rows, read_scores};

fn reproduce(lab: &Lab, results: &str, methods: &str) -> Command {
    let mut command = lab.mtcool(&HRF_AV);
    command.args(["--methods", methods, "--results", results]);
    command
}

fn run_folder(lab: &Lab, results: &str, run: &str) -> PathBuf {
    find_run(&lab.path().join(results).join("table3"), run)
}

#[test]
fn every_column_has_a_paired_test() {
    let lab = Lab::new();
    let printed = succeed(&mut reproduce(&lab, "results", "joint,mtcool"));
    let (_, paired) = printed.split_once("### Paired over test images").unwrap();
    for column in ["Artery Acc", "Artery F1", "Vein Acc", "Vein F1", "AV Acc", "AV F1", "Binary Acc", "Binary F1"] {
        assert!(paired.contains(&format!("12 {column}")), "{column} is not paired over the 12 photographs:\n{paired}");
    }
    // The difference is the mean difference of the accuracies of single photographs.
    let of = |run: &str| read_scores(&run_folder(&lab, "results", run), "binary", "accuracy").unwrap();
    let (own, other) = (of("mtcool-s0"), of("joint-s0"));
    assert_eq!((own.len(), other.len()), (12, 12));
    let difference = own.iter().zip(&other).map(|((_, own), (_, other))| own - other).sum::<f64>() / 12.0;
    assert!(paired.contains(&format!("{difference:+.2}")), "no {difference:+.2} in:\n{paired}");
}

#[test]
fn photographs_of_any_fitting_width_are_seen_at_the_scale_that_trained() {
    let lab = Lab::new();
    succeed(&mut reproduce(&lab, "results", "joint"));
    let run = run_folder(&lab, "results", "joint-s0");
    let predict = |image: &Path, out: &str| {
        lab.mtcool(&["predict", "--run", run.to_str().unwrap(), "--out", out, image.to_str().unwrap()])
    };
    let seen = |image: &Path, out: &str| -> serde_json::Value {
        serde_json::from_str(&succeed(&mut predict(image, out))).unwrap()
    };
    let drawn = lab.path().join("data/hrf-av-synth/images/01_g.jpg");
    let photograph: RgbImage = ImageReader::open(&drawn).unwrap().decode().unwrap().into_rgb8();
    let of_width = |width: u32| -> PathBuf {
        let path = lab.path().join(format!("own-{width}.png"));
        resize(&photograph, width, width * 146 / 219, FilterType::Nearest).save(&path).unwrap();
        path
    };
    let own = seen(&drawn, "own");
    assert_eq!((own["width"].as_u64(), own["height"].as_u64()), (Some(219), Some(146)));
    // Each pixel is repeated three times in both directions. The mean over the copies is the pixel, so the network's input is
    // the same.
    let larger = seen(&of_width(657), "larger");
    assert_eq!((larger["width"].as_u64(), larger["height"].as_u64()), (Some(657), Some(438)));
    for kind in ["vessels", "av"] {
        let [own, larger] = ["own/01_g", "larger/own-657"].map(|stem| {
            let path = lab.path().join(format!("{stem}-{kind}.png"));
            ImageReader::open(path).unwrap().decode().unwrap().into_rgb8()
        });
        // Each mask has the size of its photograph. Between the pixels of the network's output the probabilities are interpolated, so
        // that the classes are the same in the middle of each pixel.
        assert_eq!((own.dimensions(), larger.dimensions()), ((219, 146), (657, 438)));
        let is_same = |(x, y, pixel): (u32, u32, &image::Rgb<u8>)| pixel == larger.get_pixel(3 * x + 1, 3 * y + 1);
        assert!(own.enumerate_pixels().all(is_same), "{kind}");
    }
    for width in [100, 300, 440] {
        let wide = format!("{width} pixels wide");
        fail(&mut predict(&of_width(width), "none"), &["own-", &wide, "3504 pixels", "multiple of 219", "resize it"]);
    }
}

#[test]
fn a_run_that_holds_nothing_out_has_no_validation_figures() {
    let lab = Lab::new();
    succeed(reproduce(&lab, "results", "joint").args(["--set", "data.settings.held_out=0"]));
    let rows = read_rows(&run_folder(&lab, "results", "joint-s0").join("metrics.parquet")).unwrap();
    assert!(rows.iter().all(|row| row.split != "validation"));
    assert_eq!(rows.iter().filter(|row| row.split == "test").count(), 8);
    assert!(rows.iter().any(|row| row.split == "train" && row.metric == "loss" && row.value.is_finite()));
}

/// The photographs `cases` in the layout of DRIVE, `shrink` times smaller.
fn as_drive(lab: &Lab, folder: &str, cases: &[(String, f64)], shrink: u32) {
    let (images, labels) = (lab.path().join(folder).join("test/images"), lab.path().join(folder).join("test/labels"));
    std::fs::create_dir_all(&images).unwrap();
    std::fs::create_dir_all(&labels).unwrap();
    let source = lab.path().join("data/hrf-av-synth");
    for (number, (case, _)) in cases.iter().enumerate() {
        let entries = std::fs::read_dir(source.join("images")).unwrap().map(|entry| entry.unwrap().path());
        let photograph = entries.into_iter().find(|path| path.file_stem().unwrap() == case.as_str()).unwrap();
        for (from, to) in [
            (photograph, images.join(format!("{number:02}.png"))),
            (source.join(format!("HRF_AV_GT/{case}_AVmanual.png")), labels.join(format!("{number:02}_AVmanual.png"))),
        ] {
            let picture = ImageReader::open(from).unwrap().with_guessed_format().unwrap().decode().unwrap().into_rgb8();
            let (width, height) = (picture.width() / shrink, picture.height() / shrink);
            resize(&picture, width, height, FilterType::Nearest).save(to).unwrap();
        }
    }
}

#[test]
fn photographs_in_the_layout_of_drive_are_an_external_test() {
    let lab = Lab::new();
    succeed(&mut reproduce(&lab, "results", "joint"));
    let run = run_folder(&lab, "results", "joint-s0");
    let cases = read_scores(&run, "binary", "accuracy").unwrap();
    as_drive(&lab, "drive", &cases, 1);
    as_drive(&lab, "small", &cases, 2);
    let entry = |name: &str, scale: &str| {
        let patterns = "images = \"test/images/{case}.png\", labels = \"test/labels/{case}_AVmanual.png\"";
        format!("{{ name = \"{name}\", folder = \"{name}\", {patterns}{scale} }}")
    };
    let external = format!("external=[{}, {}]", entry("drive", ", scale = 1.0"), entry("small", ", scale = 2.0"));
    let shown = succeed(reproduce(&lab, "results", "joint").args(["--set", &external]));
    for title in ["### External test: drive (`drive`)", "### External test: small (`small`)"] {
        assert!(shown.contains(title), "no `{title}` in:\n{shown}");
    }
    // The same photographs have the same figures, and half as large ones nearly the same, where the scale makes up for it.
    let found = |name: &str| mtcool_bench::record::read_external(&run, name).unwrap().unwrap();
    let own = read_rows(&run.join("metrics.parquet")).unwrap();
    for row in own.iter().filter(|row| row.split == "test" && row.value.is_finite()) {
        let [same, enlarged] = ["drive", "small"].map(|name| found(name).value(&row.task, &row.metric));
        assert_eq!(same, Some(row.value), "{} {}", row.task, row.metric);
        let is_accuracy = row.metric.ends_with("accuracy");
        assert!(
            !is_accuracy || (enlarged.unwrap() - row.value).abs() < 5.0,
            "{} {enlarged:?} {}",
            row.metric,
            row.value
        );
    }
    let set = |assignment: &str, parts: &[&str]| {
        fail(reproduce(&lab, "results", "joint").args(["--set", assignment]), parts);
    };
    set(
        &format!("external=[{}]", entry("drive", "")),
        &["external.drive", "missing field `scale`", "vessels are as wide"],
    );
    set(
        &format!("external=[{}]", entry("nowhere", ", scale = 1.0")),
        &["external.nowhere", "there is no folder `nowhere`"],
    );
    let evaluate = ["evaluate", "--run", run.to_str().unwrap(), "--data", "drive"];
    let layout = ["images=test/images/{case}.png", "labels=test/labels/{case}_AVmanual.png", "scale=1.0"];
    let mut command = lab.mtcool(&evaluate);
    layout.iter().for_each(|assignment| {
        command.args(["--set", assignment]);
    });
    assert!(succeed(&mut command).contains("av_f1"));
}
