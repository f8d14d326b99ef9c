//! Tables 2 and 3 on small synthetic photographs: training, metrics, files, figures, resuming, predictions.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{HRF_AV, Lab, REFUGE, fail, find_run, metrics, succeed};
use mtcool_bench::record::{read_map, read_rows, read_scores};
use mtcool_data::picture::Picture;
use mtcool_data::refuge::CropPlacement;

fn reproduce(lab: &Lab, table: &[&str], results: &str, methods: &str) -> Command {
    let mut command = lab.mtcool(table);
    command.args(["--methods", methods, "--results", results]);
    command
}

fn run_folder(lab: &Lab, results: &str, table: &str, run: &str) -> PathBuf {
    find_run(&lab.path().join(results).join(table), run)
}

/// The test metrics of a run, by `task.metric`.
fn test_metrics(run: &Path) -> BTreeMap<String, f64> {
    let rows = read_rows(&run.join("metrics.parquet")).unwrap().into_iter().filter(|row| row.split == "test");
    rows.map(|row| (format!("{}.{}", row.task, row.metric), row.value)).collect()
}

/// The bits of every recorded number and of every parameter.
fn outcome(run: &Path) -> (Vec<(String, u64)>, Vec<u8>) {
    let rows = metrics(run).into_iter();
    let rows = rows.map(|row| (format!("{} {} {} {}", row.step, row.split, row.task, row.metric), row.value.to_bits()));
    (rows.collect(), std::fs::read(run.join("model.safetensors")).unwrap())
}

#[test]
fn table_2_is_measured_photograph_by_photograph() {
    let lab = Lab::new();
    let printed = succeed(&mut reproduce(&lab, &REFUGE, "results", "independent,joint,mtcool"));
    assert!(printed.contains("SYNTHETIC DATA") && printed.contains("### Paired over test images"), "{printed}");
    let heading = printed.lines().next().unwrap();
    assert!(heading.starts_with("## Table 2") && heading.ends_with("SYNTHETIC DATA"), "{heading}");
    assert!(!printed.contains("look swapped"), "a note on results that are not shown: {printed}");
    assert!(printed.contains("| Joint (one network each) "), "{printed}");
    assert!(printed.contains("lie up to 48 pixels off the disc's centre"), "{printed}");
    let params = |label: &str| -> f64 {
        let line = printed.lines().find(|line| line.starts_with(&format!("| {label} "))).unwrap();
        line.split('|').nth(2).unwrap().trim().parse().unwrap()
    };
    assert_eq!([params("Joint"), params("MT-COOL (Ours)")], [1.0, 1.0]);
    // With base 4, the classifier's convolution has half of the parameters, and both Joint and Independent have it once.
    let independent = params("Independent");
    assert!((1.3..1.6).contains(&independent), "{independent}");

    let folder = lab.path().join("results/table2");
    let run = run_folder(&lab, "results", "table2", "mtcool-s0");
    let metrics = test_metrics(&run);
    // Dice is computed again, from the stored maps and the masks on disk.
    for (metric, least) in [("dice_disc", 1u8), ("dice_cup", 2)] {
        let scores = read_scores(&run, "segmentation", metric).unwrap();
        assert_eq!(scores.len(), 10);
        let mean = scores.iter().map(|(_, score)| score).sum::<f64>() / 10.0;
        assert!((metrics[&format!("segmentation.{metric}")] - mean).abs() < 1e-9);
        for (case, score) in &scores {
            let map = read_map(&run, "segmentation", case, [32, 32]).unwrap().unwrap();
            let truth = crop_of_mask(&lab, case);
            let count = |of: &dyn Fn(usize) -> bool| (0..map.len()).filter(|&at| of(at)).count() as f64;
            let both = count(&|at| map[at] >= least && truth[at] >= least);
            let all = count(&|at| map[at] >= least) + count(&|at| truth[at] >= least);
            let want = if all == 0.0 { 100.0 } else { 200.0 * both / all };
            assert!((score - want).abs() < 1e-9, "{case} {metric}: {score}, expected {want}");
        }
    }
    for metric in ["accuracy", "auroc", "sensitivity", "specificity", "sensitivity_at_specificity_0_85"] {
        assert!((0.0..=100.0).contains(&metrics[&format!("glaucoma.{metric}")]), "{metric}");
    }
    // The two photographs of the validation split are healthy, so that no threshold can be chosen on them.
    for metric in ["validation_threshold", "sensitivity_at_validation_threshold", "specificity_at_validation_threshold"]
    {
        assert!(metrics[&format!("glaucoma.{metric}")].is_nan(), "{metric}");
    }
    let svg = std::fs::read_to_string(folder.join("figure.svg")).unwrap();
    for label in ["Photograph", "Truth", "Independent", "Joint", "MT-COOL (Ours)", "median", "SYNTHETIC DATA"] {
        assert!(svg.contains(label), "{label}");
    }
    assert!(svg.contains("Independent, seed 0"), "the figure does not name the run that it shows");
    assert!(Picture::read_rgb(&folder.join("figure.png")).unwrap().width > 5 * 32);
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("SYNTHETIC DATA</span></h1>") && page.contains("<h2>Cases</h2>"), "no warning or no figure");
    let csv = std::fs::read_to_string(folder.join("table.csv")).unwrap();
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().ends_with(",data"), "{csv}");
    assert!(lines.all(|line| line.ends_with(",synthetic")), "{csv}");

    // The next start removes the incomplete files that a killed run left.
    let left = run.join("maps/segmentation/.tmp-half");
    std::fs::write(&left, "half a map").unwrap();
    let status = std::fs::read_to_string(run.join("run.json")).unwrap();
    assert!(status.contains("\"finished\""), "{status}");
    std::fs::write(run.join("run.json"), status.replace("\"finished\"", "\"running\"")).unwrap();
    std::fs::remove_file(run.join("files.json")).unwrap();
    let again = succeed(&mut reproduce(&lab, &REFUGE, "results", "independent,joint,mtcool"));
    // What follows tells when the runs were made.
    let figures = |printed: &str| printed.split("### Where this comes from").next().unwrap().to_owned();
    assert_eq!(figures(&again), figures(&printed));
    assert!(!left.exists());
    let printed = again;

    // Without the data, the table is written as before, and the figure is kept.
    std::fs::remove_dir_all(lab.path().join("data/refuge-synth")).unwrap();
    let again = lab.mtcool(&["report", "table2"]).output().unwrap();
    assert!(again.status.success() && common::text(&again.stdout) == printed);
    assert!(common::text(&again.stderr).contains("no figure is drawn"), "{}", common::text(&again.stderr));
}

/// The spread of the probabilities and the decisions at the threshold, computed again from the stored probabilities and from the
/// folders of the true masks.
#[test]
fn the_threshold_of_the_test_split_is_chosen_on_the_validation_split() {
    let lab = Lab::new();
    let further = ["--set", "data.synthetic.train=100", "--set", "training.epochs=1", "--set", "training.batch_size=9"];
    succeed(reproduce(&lab, &REFUGE, "results", "joint").args(further));
    let run = &run_folder(&lab, "results", "table2", "joint-s0");
    let metrics = test_metrics(run);
    let cases = read_scores(run, "glaucoma", "probability").unwrap();
    let mut probabilities: Vec<f64> = cases.iter().map(|(_, probability)| *probability).collect();
    probabilities.sort_by(f64::total_cmp);
    let [low, high] = ["low", "high"].map(|end| metrics[&format!("glaucoma.probability_{end}")]);
    assert!(probabilities[0] <= low && low <= probabilities[1], "{low} {probabilities:?}");
    assert!(probabilities[8] <= high && high <= probabilities[9], "{high} {probabilities:?}");
    let mean = probabilities.iter().sum::<f64>() / 10.0;
    let variance = probabilities.iter().map(|probability| (probability - mean).powi(2)).sum::<f64>() / 9.0;
    assert!((metrics["glaucoma.probability_deviation"] - variance.sqrt()).abs() < 1e-12);
    assert!((0.0..=100.0).contains(&metrics["glaucoma.silent_units"]));
    assert!((0.0..=100.0).contains(&metrics["segmentation.auroc_cdr"]));

    let rows = read_rows(&run.join("metrics.parquet")).unwrap();
    let last = rows.iter().map(|row| row.epoch).max().unwrap();
    let of_validation = |metric: &str| {
        let mut rows = rows.iter().filter(|row| row.split == "validation" && row.epoch == last && row.metric == metric);
        rows.next().unwrap().value
    };
    let threshold = metrics["glaucoma.validation_threshold"];
    assert!((0.0..=1.0).contains(&threshold), "{threshold}");
    assert_eq!(threshold.to_bits(), of_validation("validation_threshold").to_bits());
    let ill = lab.path().join("data/refuge-synth/REFUGE-Test-GT/Disc_Cup_Masks/G");
    for (metric, positive) in [("sensitivity", true), ("specificity", false)] {
        let of_class = cases.iter().filter(|(case, _)| ill.join(format!("{case}.bmp")).exists() == positive);
        let right: Vec<bool> = of_class.map(|(_, probability)| (*probability >= threshold) == positive).collect();
        let want = 100.0 * right.iter().filter(|is_right| **is_right).count() as f64 / right.len() as f64;
        let got = metrics[&format!("glaucoma.{metric}_at_validation_threshold")];
        assert!(!right.is_empty(), "no photographs of the class");
        assert!((got - want).abs() < 1e-9, "{metric}: {got}, expected {want}");
    }
}

#[test]
fn the_classifier_is_a_setting_of_the_network() {
    let lab = Lab::new();
    let trained = |further: &[&str]| {
        let one_epoch = ["--set", "training.epochs=1"];
        succeed(reproduce(&lab, &REFUGE, "results", "mtcool,independent").args(one_epoch).args(further));
        let run = run_folder(&lab, "results", "table2", "mtcool-s0");
        (json(&run.join("run.json"))["hash"].as_str().unwrap().to_owned(), run)
    };
    let normalized = ["--set", "network.classifier=normalized"];
    let (plain, _) = trained(&["--set", "network.classifier=plain"]);
    let (other, run) = trained(&normalized);
    assert_ne!(plain, other);
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("classifier = \"normalized\""), "{config}");
    assert!(test_metrics(&run)["glaucoma.probability_deviation"] > 0.0);
    let priors = ["--set", "network.class_priors=[0.9, 0.1]"];
    let (with_priors, run) = trained(&[normalized, priors].concat());
    assert_ne!(with_priors, other);

    // A finished run of this network predicts.
    let image = "data/refuge-synth/Test400/T0001.jpg";
    let predict = ["predict", "--checkpoint", run.to_str().unwrap(), image];
    assert!(succeed(&mut lab.mtcool(&predict)).contains("glaucoma"));
    let refuse = |further: &[&str], parts: &[&str]| {
        fail(reproduce(&lab, &REFUGE, "results", "mtcool").args(further), parts);
    };
    refuse(&["--set", "network.classifier=dense"], &["network.classifier", "dense", "plain", "normalized"]);
    refuse(&[&normalized[..], &["--set", "network.class_priors=[0.9]"]].concat(), &["priors", "2 positive numbers"]);
    let unused = ["--set", "network.classifier=plain", "--set", "network.class_priors=[0.9, 0.1]"];
    refuse(&unused, &["network.class_priors", "normalized"]);
}

#[test]
fn levels_that_are_computed_again_change_no_run() {
    let lab = Lab::new();
    let trained = |results: &str, levels: &str| {
        let levels = format!("recompute={levels}");
        let further = ["--seeds", "1", "--set", "training.epochs=1", "--set", &levels];
        succeed(reproduce(&lab, &REFUGE, results, "joint,mtcool,pcgrad,independent").args(further));
        ["joint-s0", "mtcool-s0", "pcgrad-s0", "independent-s0"].map(|run| {
            let run = run_folder(&lab, results, "table2", run);
            let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
            assert!(!config.contains("recompute"), "{config}");
            (json(&run.join("run.json"))["hash"].clone(), outcome(&run))
        })
    };
    let plain = trained("results", "0");
    assert!(trained("again", "2") == plain, "other runs where two levels are computed again");
    fail(
        reproduce(&lab, &REFUGE, "refused", "joint").args(["--set", "recompute=9"]),
        &["`recompute` is 9", "expected 0 to ", "number of levels"],
    );
    fail(
        &mut lab.mtcool(&["reproduce", "table1", "--data", "synth", "--set", "recompute=1"]),
        &["`recompute` is 1", "expected 0", "`lenet`", "leave it out"],
    );
}

#[test]
fn a_run_is_made_again_when_its_photographs_are_others() {
    let lab = Lab::new();
    // Returns whether the run was executed.
    let run = |further: &[&str]| {
        let mut command = reproduce(&lab, &REFUGE, "results", "joint");
        let output = command.args(["--set", "training.epochs=1"]).args(further).output().unwrap();
        assert!(output.status.success(), "{}", common::text(&output.stderr));
        common::text(&output.stderr).contains("joint-s0 is finished")
    };
    let folder = || run_folder(&lab, "results", "table2", "joint-s0");
    assert!(run(&[]));
    let first = folder();
    assert!(!run(&[]));
    // The settings, the seed and the part of the retina are the same, but the photographs have twice the size.
    let larger = ["--set", "data.synthetic.shrink=8", "--set", "data.folder=data/larger"];
    assert!(run(&larger));
    let other = folder();
    assert!(other != first && first.join("run.json").exists(), "both runs stay where they are");
    assert!(!run(&larger));
    let config = std::fs::read_to_string(other.join("config.toml")).unwrap();
    for part in ["sha256", "train = \"265x257\"", "test = \"204x204\"", "crop = 64", "204,"] {
        assert!(config.contains(part), "no `{part}` in {config}");
    }
    assert!(!run(&[]), "the earlier result was lost");

    // Existing photographs are never replaced by photographs with other settings.
    let mut other = reproduce(&lab, &REFUGE, "results", "joint");
    fail(other.args(["--set", "data.synthetic.seed=4"]), &["data/refuge-synth", "seed 3", "data.folder=DIR"]);
    assert!(!run(&[]));
}

#[test]
fn batch_norm_is_a_setting_of_the_network() {
    let lab = Lab::new();
    let batch = ["--set", "network.norm=batch", "--set", "network.groups=3", "--set", "training.epochs=1"];
    succeed(reproduce(&lab, &REFUGE, "results", "mtcool").args(batch));
    let run = run_folder(&lab, "results", "table2", "mtcool-s0");
    let rows = read_rows(&run.join("metrics.parquet")).unwrap();
    let losses: Vec<f64> = rows.iter().filter(|row| row.metric == "loss").map(|row| row.value).collect();
    assert!(losses.len() == 6 && losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(std::fs::read_to_string(run.join("config.toml")).unwrap().contains("norm = \"batch\""));
    let group = reproduce(&lab, &REFUGE, "results", "mtcool").args(["--set", "network.groups=3"]).output().unwrap();
    assert!(!group.status.success() && common::text(&group.stderr).contains("3 groups"));
    fail(
        reproduce(&lab, &REFUGE, "results", "mtcool").args(["--set", "network.norm=layer"]),
        &["network.norm", "layer", "group", "batch"],
    );
}

#[test]
fn a_run_that_diverges_after_its_last_step_is_marked_as_failed() {
    let lab = Lab::new();
    // With one batch per epoch, the loss before the only step is finite, but the predictions after this step are not.
    let wild = || {
        let mut command = reproduce(&lab, &REFUGE, "results", "joint");
        command.args(["--set", "training.epochs=1", "--set", "training.batch_size=18"]);
        command.args(["--set", "method.joint.learning_rate=1e300"]);
        command
    };
    let parts =
        ["1 of 1 runs failed", "joint-s0: step 1", "evaluation of the validation split", "lower the learning rate"];
    let output = fail(&mut wild(), &parts);
    let table = common::text(&output.stdout);
    assert!(table.contains("FAILED: joint-s0: step 1: evaluation of the validation split"), "{table}");
    assert_eq!(json(&run_folder(&lab, "results", "table2", "joint-s0").join("run.json"))["status"], "failed");
    let again = fail(&mut wild(), &["1 of 1 runs failed"]);
    assert!(!common::text(&again.stderr).contains("the other runs go on"));
}

/// The class of each pixel of a mask, and its height and width.
fn mask(file: &Path) -> (Vec<u8>, [usize; 2]) {
    let file = std::io::BufReader::new(std::fs::File::open(file).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let mut values = vec![0; width * height];
    reader.next_frame(&mut values).unwrap();
    (values, [height, width])
}

fn json(file: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The classes of the 32x32 crop on which `case` is evaluated, from the official mask: 0 background, 1 rim, 2 cup.
fn crop_of_mask(lab: &Lab, case: &str) -> Vec<u8> {
    let folder = lab.path().join("data/refuge-synth/REFUGE-Test-GT/Disc_Cup_Masks");
    let name = format!("{case}.bmp");
    let file = ["", "G", "N"].map(|part| folder.join(part).join(&name)).into_iter().find(|file| file.exists()).unwrap();
    let mask = Picture::read_grey(&file).unwrap();
    let disc: Vec<[usize; 2]> =
        (0..mask.bytes.len()).filter(|&at| mask.bytes[at] < 255).map(|at| [at / mask.width, at % mask.width]).collect();
    let middle = |axis: usize| {
        let places = || disc.iter().map(|place| place[axis]);
        (places().min().unwrap() + places().max().unwrap()).div_ceil(2)
    };
    // The offset from the disc's centre follows from the defaults of `jitter` and `split_seed`; these photographs are 16 times
    // smaller.
    let offset = CropPlacement { translation: 48, jitter: 48, seed: 0 }.evaluation_offset(case);
    let [top, left] = [0, 1].map(|axis| middle(axis) as i64 + (offset[axis] as f64 / 16.0).round() as i64 - 16);
    let class = |at: i64| {
        let (row, column) = (top + at / 32, left + at % 32);
        let inside = (0..mask.height as i64).contains(&row) && (0..mask.width as i64).contains(&column);
        match inside.then(|| mask.bytes[row as usize * mask.width + column as usize]) {
            Some(0) => 2,
            Some(128) => 1,
            _ => 0,
        }
    };
    (0..32 * 32).map(class).collect()
}

#[test]
fn table_3_pools_the_pixels_of_all_test_photographs() {
    let lab = Lab::new();
    let printed = succeed(&mut reproduce(&lab, &HRF_AV, "results", "independent,mtcool"));
    assert!(printed.contains("Artery F1") && printed.contains("Binary F1"), "{printed}");
    let run = run_folder(&lab, "results", "table3", "mtcool-s0");
    let metrics = test_metrics(&run);
    assert_eq!(metrics.len(), 8);
    // The metrics of the binary head are computed again, from the stored maps and the labels on disk, with all pixels in one
    // count.
    let mut counts = [[0u64; 2]; 2];
    let cases = read_scores(&run, "binary", "f1").unwrap();
    assert_eq!(cases.len(), 12);
    for (case, _) in cases {
        let labels = lab.path().join(format!("data/hrf-av-synth/HRF_AV_GT/{case}_AVmanual.png"));
        let labels = Picture::read_rgb(&labels).unwrap();
        let map = read_map(&run, "binary", &case, [labels.height, labels.width]).unwrap().unwrap();
        for (predicted, pixel) in map.iter().zip(labels.bytes.chunks_exact(3)) {
            counts[usize::from(*predicted)][usize::from(pixel != [0, 0, 0])] += 1;
        }
    }
    let [[_, missed], [wrong, found]] = counts.map(|row| row.map(|count| count as f64));
    let f1 = 200.0 * found / (2.0 * found + missed + wrong);
    let accuracy = 100.0 * (counts[0][0] + counts[1][1]) as f64 / counts.iter().flatten().sum::<u64>() as f64;
    assert!((metrics["binary.accuracy"] - accuracy).abs() < 1e-9, "{} {accuracy}", metrics["binary.accuracy"]);
    assert!(if f1.is_nan() { metrics["binary.f1"].is_nan() } else { (metrics["binary.f1"] - f1).abs() < 1e-9 });
    assert!(lab.path().join("results/table3/figure.svg").exists());

    // The masks have the photograph's own size, also where the network saw it smaller.
    let photograph = lab.path().join("data/hrf-av-synth/images/01_dr.JPG");
    let wide = lab.path().join("wide.png");
    let size = image::open(&photograph).unwrap().into_rgb8().dimensions();
    let doubled =
        image::open(&photograph).unwrap().resize_exact(2 * size.0, 2 * size.1, image::imageops::FilterType::Nearest);
    doubled.save(&wide).unwrap();
    let predict = ["predict", "--run", run.to_str().unwrap(), "--out", "seen", "--probabilities"];
    let lines = succeed(lab.mtcool(&predict).args([photograph.to_str().unwrap(), "wide.png"]));
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, (width, height)) in lines.iter().zip([size, (2 * size.0, 2 * size.1)]) {
        for (map, classes) in [("vessels", 2), ("av", 3)] {
            let (values, [high, wide]) = mask(&lab.path().join(line[map].as_str().unwrap()));
            assert_eq!((wide, high), (width as usize, height as usize));
            let legend = line["legend"][map].as_array().unwrap();
            assert_eq!(legend.len(), classes);
            for (value, entry) in legend.iter().enumerate() {
                assert_eq!(entry["value"], value);
                let share =
                    values.iter().filter(|&&class| usize::from(class) == value).count() as f64 / values.len() as f64;
                let told = line["shares"][map][entry["name"].as_str().unwrap()].as_f64().unwrap();
                assert!((told - share).abs() < 1e-12, "{line}");
            }
        }
        assert_eq!(line["legend"]["av"][1], serde_json::json!({ "value": 1, "name": "artery", "colour": "#ff0000" }));
        // The probabilities of all classes add up to one, and the mask shows the most probable class.
        let (values, _) = mask(&lab.path().join(line["av"].as_str().unwrap()));
        let planes = ["background", "artery", "vein"].map(|class| {
            let file = line["probability_maps"]["av"][class].as_str().unwrap();
            image::open(lab.path().join(file)).unwrap().into_luma16().into_raw()
        });
        for (at, &class) in values.iter().enumerate() {
            let levels = [0, 1, 2].map(|class| i64::from(planes[class][at]));
            assert!((levels.iter().sum::<i64>() - 65535).abs() <= 2, "{levels:?}");
            assert_eq!(levels[usize::from(class)], levels.into_iter().max().unwrap(), "{levels:?}");
        }
    }
    // The place of the disc does not matter to a network that processes whole photographs. The flag's former name still works.
    let predict = ["predict", "--checkpoint", run.to_str().unwrap(), "data/hrf-av-synth/images/01_dr.JPG"];
    for place in [&["--cropped"][..], &["--centre", "40,40"]] {
        fail(lab.mtcool(&predict).args(place), &[place[0], "does not apply to a run on `hrf-av`", "leave it out"]);
    }
}

#[test]
fn runs_on_shared_images_go_on_with_the_same_bits() {
    for (table, name) in [(&REFUGE[..], "table2"), (&HRF_AV[..], "table3")] {
        let lab = Lab::new();
        // There are enough epochs that no run is over before it is killed.
        let start = |results: &str| {
            let mut command = reproduce(&lab, table, results, "mtcool,joint");
            command.args(["--set", "training.epochs=8"]);
            command
        };
        succeed(start("whole").args(["--threads", "2"]));
        let run = || run_folder(&lab, "killed", name, "mtcool-s0");
        for _ in 0..3 {
            let step = newest_checkpoint(&run()).unwrap_or(0) + 2;
            let mut command = start("killed");
            command.args(["--threads", "1", "--checkpoint-seconds", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let started = Instant::now();
            while newest_checkpoint(&run()) < Some(step) && started.elapsed() < Duration::from_secs(300) {
                assert!(child.try_wait().unwrap().is_none(), "{name} ended before step {step}");
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(newest_checkpoint(&run()) >= Some(step), "{name} did not come to step {step}");
            assert_eq!(json(&run().join("run.json"))["status"], "running", "{name} was over when it was killed");
        }
        let output = start("killed").args(["--threads", "2"]).output().unwrap();
        let said = common::text(&output.stderr);
        assert!(output.status.success() && said.contains("mtcool-s0 continues from step"), "{said}");
        for run in ["mtcool-s0", "joint-s0"] {
            let of = |results: &str| outcome(&run_folder(&lab, results, name, run));
            assert!(of("whole") == of("killed"), "{name} {run}: other numbers");
        }
    }
}

/// The step of a run's newest checkpoint, if there is one.
fn newest_checkpoint(run: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    let step = |name: std::ffi::OsString| name.to_str()?.strip_prefix("step-")?.parse::<u64>().ok();
    entries.filter_map(|entry| step(entry.file_name())).max()
}

#[test]
fn a_finished_run_looks_at_photographs() {
    let lab = Lab::new();
    succeed(reproduce(&lab, &REFUGE, "results", "joint").args(["--set", "training.epochs=20"]));
    let run = run_folder(&lab, "results", "table2", "joint-s0");
    let photograph = "data/refuge-synth/Test400/T0001.jpg";
    let predict = |further: &[&str]| {
        let mut command = lab.mtcool(&["predict", "--run", run.to_str().unwrap(), "--out", "seen"]);
        command.args(further);
        command
    };
    let size = Picture::read_rgb(&lab.path().join(photograph)).unwrap();
    let line: serde_json::Value =
        serde_json::from_str(&succeed(&mut predict(&[photograph, "--centre", "40,60"]))).unwrap();
    let probability = |class: &str| line["probabilities"][class].as_f64().unwrap();
    assert!((probability("glaucoma") + probability("no_glaucoma") - 1.0).abs() < 1e-12);
    assert_eq!(line["trained_on"]["synthetic"]["seed"], 3);
    let notices = line["notices"].as_array().unwrap();
    assert!(notices.len() == 1 && notices[0].as_str().unwrap().contains("drawn photographs"), "{line}");
    let (values, [height, width]) = mask(&lab.path().join("seen/T0001-mask.png"));
    assert_eq!((height, width), (size.height, size.width));
    let legend = line["legend"]["mask"].as_array().unwrap();
    let shown: Vec<_> =
        legend.iter().map(|class| (class["name"].as_str().unwrap(), class["colour"].as_str().unwrap())).collect();
    assert_eq!(shown, [("background", "#000000"), ("rim", "#f0e442"), ("cup", "#56b4e9")]);
    assert!(line.get("probability_maps").is_none(), "{line}");
    // The second prediction is around the disc of the first one, which is inside the square around the given place.
    let middle = |axis: &str| line["disc_centre"][axis].as_u64().unwrap() as i64;
    let (y, x) = (middle("y"), middle("x"));
    assert!((44..=76).contains(&y) && (24..=56).contains(&x), "{line}");
    for (at, &class) in values.iter().enumerate() {
        let (row, column) = ((at / width) as i64, (at % width) as i64);
        let inside = (y - 16..y + 16).contains(&row) && (x - 16..x + 16).contains(&column);
        assert!(class == 0 || inside && class <= 2, "{row} {column}: {class}");
    }
    assert_eq!(json(&lab.path().join("seen/T0001.json")), line);
    succeed(&mut predict(&[photograph, "--cropped"]));

    // A photograph that the network was trained on is recognised by its content, whatever its file is called.
    let trained = json(&run.join("data.json"))["train"].as_array().unwrap().clone();
    let case = trained.iter().filter_map(|case| case.as_str()).find(|case| case.starts_with('n')).unwrap().to_owned();
    let file = lab.path().join(format!("data/refuge-synth/Training400/Non-Glaucoma/{case}.jpg"));
    std::fs::copy(file, lab.path().join("mine.jpg")).unwrap();
    let mut command = lab.mtcool(&["predict", "--run", run.to_str().unwrap(), "mine.jpg", "--cropped"]);
    let line: serde_json::Value = serde_json::from_str(&succeed(&mut command)).unwrap();
    assert_eq!(line["known_as"], serde_json::json!({ "case": case, "part": "train" }));
    assert!(line["notices"][0].as_str().unwrap().contains("the network was trained on it"), "{line}");
    assert_eq!(json(&lab.path().join("seen/T0001.json"))["known_as"]["part"], "test");

    // For a photograph with another scale, both the JSON line and the log contain a warning.
    image::RgbImage::from_pixel(300, 320, image::Rgb([180, 90, 40])).save(lab.path().join("big.png")).unwrap();
    let output = predict(&["big.png", "--centre", "150,150"]).output().unwrap();
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(line["notices"][0].as_str().unwrap().contains("300x320 pixels"), "{line}");
    // A network that finds no disc tells neither its centre nor a ratio.
    let blind = [
        "--set",
        "loss.segmentation.cross_entropy.class_weights=[1000.0, 0.001, 0.001]",
        "--set",
        "method.joint.learning_rate=0.02",
    ];
    succeed(reproduce(&lab, &REFUGE, "short", "joint").args(blind));
    let short = run_folder(&lab, "short", "table2", "joint-s0");
    let mut command = lab.mtcool(&["predict", "--run", short.to_str().unwrap(), photograph, "--centre", "40,60"]);
    let nothing: serde_json::Value = serde_json::from_str(&succeed(&mut command)).unwrap();
    assert!(nothing["disc_centre"].is_null() && nothing["vertical_cup_to_disc_ratio"].is_null(), "{nothing}");
    assert_eq!(nothing["shares"]["mask"]["background"], 1.0);

    // One table has all photographs of the folder.
    let table = std::fs::read_to_string(lab.path().join("seen/predictions.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert!(
        rows.len() == 3 && rows[0].starts_with("image,run,") && rows[0].contains(",probabilities.glaucoma"),
        "{table}"
    );
    assert!(rows[1].contains("T0001.jpg") || rows[2].contains("T0001.jpg"), "{table}");

    // A mask that somebody corrected is kept.
    let corrected = lab.path().join("seen/T0001-mask.png");
    let own = std::fs::read(&corrected).unwrap();
    std::fs::write(&corrected, "corrected by hand").unwrap();
    fail(&mut predict(&[photograph, "--cropped"]), &["seen/T0001-mask.png", "was changed since", "`--out`"]);
    assert_eq!(std::fs::read(&corrected).unwrap(), b"corrected by hand");
    std::fs::write(&corrected, own).unwrap();

    // A reader that closes its end early, or a full disk behind standard output, costs no file.
    for (place, is_error) in [("/dev/full", true), ("closed", false)] {
        let out = format!("piped-{is_error}");
        let mut command = lab.mtcool(&["predict", "--run", run.to_str().unwrap(), "--out", &out]);
        command.args([photograph, "big.png", "--cropped"]);
        if place == "closed" {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stdout(writer);
        } else {
            command.stdout(std::fs::File::options().write(true).open(place).unwrap());
        }
        let output = command.output().unwrap();
        let said = common::text(&output.stderr);
        assert_eq!(output.status.success(), !is_error, "{said}");
        assert!(!said.contains("panicked") && said.contains("standard output") == is_error, "{said}");
        assert!(
            lab.path().join(&out).join("big-mask.png").exists()
                && lab.path().join(&out).join("T0001-mask.png").exists()
        );
    }
    assert!(common::text(&output.stderr).contains("resize the photograph"), "{}", common::text(&output.stderr));

    // Results of two images with the same name do not overwrite each other.
    std::fs::create_dir_all(lab.path().join("other")).unwrap();
    std::fs::copy(lab.path().join(photograph), lab.path().join("other/T0001.jpg")).unwrap();
    fail(&mut predict(&[photograph, "other/T0001.jpg", "--cropped"]), &["other/T0001.jpg", "`T0001`", "rename"]);

    // The error names the file that cannot be used; the other files are processed.
    std::fs::write(lab.path().join("text.jpg"), "no photograph").unwrap();
    let output = fail(
        &mut predict(&["--cropped", "text.jpg", photograph]),
        &["1 of 2 photographs", "text.jpg", "a whole picture"],
    );
    assert_eq!(common::text(&output.stdout).lines().count(), 1);
    fail(&mut predict(&[photograph, "--centre", "4000,1"]), &["--centre 4000,1", "outside"]);
    fail(&mut predict(&[photograph, "--centre", "4000"]), &["X,Y"]);
    // An experiment is not a run; the message names its runs, and no flag that the command lacks.
    let said = fail(
        &mut lab.mtcool(&["predict", "--run", "results/table2", photograph]),
        &[
            "`results/table2` holds a finished run and is not one itself: name it, `",
            run.file_name().unwrap().to_str().unwrap(),
        ],
    );
    assert!(!common::text(&said.stderr).contains("--results"), "{}", common::text(&said.stderr));
    fail(&mut lab.mtcool(&["predict", "--run", "nowhere", photograph]), &["there is no folder `nowhere`"]);
    std::fs::write(run.join("model.safetensors"), "damaged").unwrap();
    let mut damaged = predict(&[photograph, "--cropped"]);
    let said = fail(damaged.env("RUST_BACKTRACE", "1"), &["model.safetensors", "damaged"]);
    assert!(
        !common::text(&said.stderr).contains(" at /") && !common::text(&said.stderr).contains("0: "),
        "{}",
        common::text(&said.stderr)
    );
}

#[test]
fn losses_of_the_experiments_file_train_dense_tasks() {
    let lab = Lab::new();
    let refuge = [
        "--set",
        "loss.segmentation={ cross_entropy = { class_weights = \"inverse_sqrt_frequency\" }, dice = { sums = \"image\" } }",
        "--set",
        "loss.glaucoma.cross_entropy={ class_weights = \"inverse_frequency\", normalization = \"targets\" }",
    ];
    let vessels = [
        "--set",
        "loss.binary={ cross_entropy = {}, dice = {} }",
        "--set",
        "loss.av={ focal = { class_weights = \"inverse_frequency\" }, dice = { smooth = 2.0 } }",
    ];
    for (table, name, task, losses) in
        [(&REFUGE[..], "table2", "segmentation", &refuge), (&HRF_AV[..], "table3", "av", &vessels)]
    {
        let usual = reproduce(&lab, table, "usual", "joint").output().unwrap();
        assert!(usual.status.success());
        succeed(reproduce(&lab, table, "results", "joint,mtcool").args(losses));
        for method in ["joint", "mtcool"] {
            let rows = read_rows(&run_folder(&lab, "results", name, &format!("{method}-s0")).join("metrics.parquet"));
            let losses: Vec<f64> =
                rows.unwrap().into_iter().filter(|row| row.metric == "loss").map(|row| row.value).collect();
            assert!(!losses.is_empty() && losses.iter().all(|loss| loss.is_finite() && *loss >= 0.0), "{losses:?}");
        }
        let model = |results: &str| {
            std::fs::read(run_folder(&lab, results, name, "joint-s0").join("model.safetensors")).unwrap()
        };
        assert_ne!(model("usual"), model("results"), "the losses have no effect");
        let config =
            std::fs::read_to_string(run_folder(&lab, "results", name, "joint-s0").join("config.toml")).unwrap();
        assert!(config.contains(&format!("[loss.{task}.dice]")), "{config}");
    }
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let lab = Lab::new();
    for (table, setting, parts) in [
        (&REFUGE[..], "data.settings.crop=500", &["`data.settings.crop` is 500", "a multiple of 16"][..]),
        (&REFUGE, "data.settings.side=24", &["`data.settings.side` is 24", "a divisor of the 32 pixels"]),
        (&REFUGE, "network.widths=[2, 4, 8, 16, 32, 64, 128]", &["`data.settings.side` is 32", "a multiple of 64"]),
        (&REFUGE, "data.synthetic.train=3", &["`data.synthetic.train` is 3", "6 to 19998"]),
        (&REFUGE, "data.synthetic.test=1", &["`data.synthetic.test` is 1", "2 to 9999"]),
        (&REFUGE, "data.synthetic.shrink=18", &["`data.synthetic.shrink` is 18", "1 to 17"]),
        (
            &REFUGE,
            "loss.segmentation.cross_entropy.class_weights=[1.0]",
            &["loss.segmentation", "`cross_entropy.class_weights` is [1.0]", "3 class weights"],
        ),
        (&REFUGE, "loss.segmentation.dice=3", &["`loss.segmentation.dice` is 3", "{ weight = 1.0 }"]),
        (&HRF_AV, "network.kind=lenet", &["`network.kind` is `lenet`", "one answer per pixel"]),
        (&REFUGE, "loss.segmentation.l2={}", &["loss.segmentation.l2", "predicts classes"]),
        (&REFUGE, "loss.segmentation.dicce={}", &["loss.segmentation", "unknown loss `dicce`", "`dice`"]),
        (&REFUGE, "loss.segmentaton.dice={}", &["segmentaton", "did you mean `segmentation`"]),
        (&HRF_AV, "training.betas=[0.9, 0.99]", &["`betas`", "adamw"]),
        (&REFUGE, "training.clip_norm=-1.0", &["max_gradient_norm", "-1", "a positive number"]),
        (&REFUGE, "data.settings.jitter=300", &["`data.settings.jitter` is 300", "less than half of the crop"]),
        (&REFUGE, "data.settings.croop=64", &["croop", "crop"]),
        (&REFUGE, "network.widths=[4, 6]", &["network.widths", "twice the previous one"]),
        (&REFUGE, "data.settings.augmentation.rotation=700.0", &["rotation", "180"]),
        (&HRF_AV, "data.settings.scale=3", &["data.settings.scale", "multiple of 16"]),
        (&HRF_AV, "data.settings.tile=30", &["data.settings.tile", "multiple of 4"]),
        (&HRF_AV, "data.settings.region=\"retina\"", &["region", "retina", "fov"]),
        (&HRF_AV, "data.settings.held_out=9", &["held_out"]),
        (&HRF_AV, "data.synthetic.train=7", &["7 training", "multiple of 3"]),
    ] {
        fail(reproduce(&lab, table, "results", "joint").args(["--set", setting]), parts);
    }
    fail(lab.mtcool(&["data", "fetch", "refuge"]).args(["--data", "there"]), &["registration", "--data synth"]);
    fail(lab.mtcool(&["data", "verify", "refuge"]).args(["--data", "there"]), &["there"]);
    fail(lab.mtcool(&["data", "verify", "hrf-av"]).args(["--data", "there"]), &["there"]);
}
