//! Runs of Table 2, measured on windows of other photographs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use common::{Lab, REFUGE, fail, find_run, mask_values, succeed, text};
use image::{GrayImage, Luma, Rgb, RgbImage};
use mtcool_bench::record::read_external;

/// Number of windows.
const WINDOWS: u32 = 12;

/// Draws windows of 48 x 48 pixels with a disc that is not in the middle, their masks in official values, and diagnoses of all but
/// one.
fn draw(folder: &Path) {
    let mut table = "name,ill\n".to_owned();
    for kind in ["images", "masks"] {
        std::fs::create_dir_all(folder.join(kind)).unwrap();
    }
    for number in 0..WINDOWS {
        let [x, y] = [18 + number % 7, 27 - number % 5].map(f64::from);
        let cup = f64::from(3 + number % 4);
        let distance = |column: u32, row: u32| (f64::from(column) - x).hypot(f64::from(row) - y);
        let value = |column: u32, row: u32| match distance(column, row) {
            near if near < cup => 0,
            near if near < 9.0 => 128,
            _ => 255u8,
        };
        let colour = |value: u8| match value {
            0 => [250, 230, 190],
            128 => [230, 170, 110],
            _ => [150, 70, 40],
        };
        let name = format!("w{number:02}.png");
        let picture = RgbImage::from_fn(48, 48, |column, row| Rgb(colour(value(column, row))));
        picture.save(folder.join("images").join(&name)).unwrap();
        GrayImage::from_fn(48, 48, |column, row| Luma([value(column, row)]))
            .save(folder.join("masks").join(&name))
            .unwrap();
        let ill = if number == 5 { "" } else { ["no", "yes"][number as usize % 2] };
        table += &format!("{name},{ill}\n");
    }
    std::fs::write(folder.join("labels.csv"), table).unwrap();
}

const VALUES: &str = "classes={ 0 = \"cup\", 128 = \"rim\", 255 = \"background\" }";

#[test]
fn windows_of_other_photographs_are_an_external_test_that_no_truth_places() {
    let lab = Lab::new();
    draw(&lab.path().join("windows"));
    let reproduce = |rest: &str| {
        let places =
            "name = \"other\", folder = \"windows\", images = \"images/{case}.png\", masks = \"masks/{case}.png\"";
        let values = VALUES.replacen('=', " = ", 1);
        let mut command = lab.mtcool(&REFUGE);
        command.args(["--methods", "joint", "--results", "results"]);
        command.args(["--set", &format!("external=[{{ {places}, {values}{rest} }}]")]);
        command
    };
    fail(&mut reproduce(", scale = 1.0, mask = \"a\""), &["external.other", "`mask`", "`masks` such as"]);
    fail(&mut reproduce(""), &["external.other", "missing field `scale`", "discs are as large"]);
    let table =
        ", scale = 1.0, table = \"labels.csv\", case = \"name\", glaucoma = \"ill\", diagnoses = [\"no\", \"yes\"]";
    let shown = succeed(&mut reproduce(table));
    let (_, below) = shown.split_once("### External test: other (`windows`)").unwrap();
    for part in ["Cup Dice", "AUROC", "segmentation 12", "glaucoma 11", "looks at the middle of each picture"] {
        assert!(below.contains(part), "no `{part}` in:\n{below}");
    }

    // The maps are those that `predict` writes.
    let run = find_run(&lab.path().join("results/table2"), "joint-s0");
    let found = read_external(&run, "other").unwrap().unwrap();
    let names: Vec<String> = (0..WINDOWS).map(|number| format!("w{number:02}.png")).collect();
    let pictures: Vec<String> = names.iter().map(|name| format!("windows/images/{name}")).collect();
    let mut predict = lab.mtcool(&["predict", "--run", run.to_str().unwrap(), "--out", "seen", "--cropped"]);
    let lines = succeed(predict.args(&pictures));
    let dice = |(line, name): (&str, &String)| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (seen, size) = mask_values(&lab.path().join(line["mask"].as_str().unwrap()));
        let (truth, _) = mask_values(&lab.path().join("windows/masks").join(name));
        assert_eq!(size, [48, 48]);
        let count = |is_in: &dyn Fn(bool, bool) -> bool| {
            f64::from(seen.iter().zip(&truth).filter(|(seen, truth)| is_in(**seen != 0, **truth != 255)).count() as u32)
        };
        200.0 * count(&|seen, truth| seen && truth) / (count(&|seen, _| seen) + count(&|_, truth| truth))
    };
    let mean = lines.lines().zip(&names).map(dice).sum::<f64>() / f64::from(WINDOWS);
    let measured = found.value("segmentation", "dice_disc").unwrap();
    assert!((mean - measured).abs() < 1e-9, "{mean} {measured}");

    // Without a table there are masks alone.
    let mut evaluate = lab.mtcool(&["evaluate", "--run", run.to_str().unwrap(), "--data", "windows"]);
    for setting in ["images=images/{case}.png", "masks=masks/{case}.png", "scale=1.0", VALUES] {
        evaluate.args(["--set", setting]);
    }
    let output = evaluate.output().unwrap();
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && printed.contains("dice_disc") && !printed.contains("auroc"), "{printed}{said}");
    assert!(said.contains("`glaucoma`: not measured"), "{said}");
}
