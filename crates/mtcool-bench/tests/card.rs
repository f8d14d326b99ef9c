//! Training on an NVIDIA card: it gives the same results as the CPU except for rounding, the same bits when it is repeated, and
//! it continues from a checkpoint.
//!
//! The tests that need a card are ignored by default; `cargo xtask check --cuda` runs them. The other tests are about builds and
//! machines without a card.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "../../mtcool-ops/tests/device/mod.rs"]
mod device;

use common::{Lab, fail};

#[test]
fn a_device_that_is_not_there_is_named_before_anything_is_done() {
    let lab = Lab::new();
    let without = lab.reproduce("results", &["--device", "cuda:4711"]);
    fail({ without }.env_remove("EMULATED_NVIDIA_CARD"), &["device `cuda:4711`"]);
    assert!(!lab.path().join("results").exists());
    #[cfg(not(feature = "cuda"))]
    fail(&mut lab.reproduce("results", &["--device", "cuda:0"]), &["built without CUDA", "docs/cuda.md"]);
    let tf32 = ["--set", "precision=tf32"];
    fail(&mut lab.reproduce("results", &tf32), &["`precision` is `tf32`", "NVIDIA cards"]);
}

mod on_a_card {
    use std::time::Duration;

    use candle_core::Tensor;
    use mtcool_bench::record::read_rows;
    use mtcool_core::random::{Purpose, stream};
    use mtcool_data::augment::{Augmentation, Crop, PixelView};
    use mtcool_ops::{Cut, cut_labels_on_card, cut_picture_on_card};

    use super::common::{HRF_AV, Lab, REFUGE, find_run, succeed};
    use super::device::card;

    /// The methods that are compared. Few layers, few iterations and small steps keep rounding errors small.
    const METHODS: [&str; 2] = ["--methods", "mtcool,joint,pcgrad,independent"];

    fn losses(lab: &Lab, results: &str, run: &str) -> Vec<f64> {
        let rows = lab.rows(results, run).into_iter();
        rows.filter(|row| row.metric == "loss").map(|row| row.value).collect()
    }

    #[test]
    #[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
    fn a_card_cuts_what_the_host_cuts_to_the_bit() {
        let card = card();
        let (height, width) = (23, 31);
        let bytes = |count: usize, factor: usize| (0..count).map(|at| (at * factor % 251) as u8).collect::<Vec<u8>>();
        let (picture, labels) = (bytes(3 * height * width, 97), bytes(height * width, 61));
        let source = |bytes| PixelView { bytes, height, width };
        let on_card = Tensor::from_slice(&picture, (height, width, 3), &card).unwrap();
        let labels_on_card = Tensor::from_slice(&labels, (height, width), &card).unwrap();
        let tables: Vec<u8> = (0..512).map(|at| if at < 256 { at as u8 } else { (at * 7 % 5) as u8 }).collect();
        let tables_on_card = Tensor::from_slice(&tables, (2, 256), &card).unwrap();
        let turned = Augmentation { right_angles: true, exposure: 0.1, gamma: 0.15, ..Augmentation::default() };
        for (augmentation, number) in [(Augmentation::NONE, 0), (turned, 1), (turned, 2), (turned, 3), (turned, 4)] {
            let change = augmentation.draw(&mut stream(7, Purpose::Method, [number, 0, 0, 0], "a change"));
            // A crop of the whole picture, a crop inside of it, and a crop that extends beyond its border.
            for (center, size) in [([15.5, 11.5], [23, 31]), ([12.0, 9.0], [8, 8]), ([2.5, 21.0], [9, 12])] {
                let crop = Crop { center, size };
                let pixels = size[0] * size[1];
                let (mut want, mut want_labels) = (vec![0.0; 3 * pixels], vec![0; pixels]);
                change.picture(source(&picture), crop, &mut want);
                change.labels(source(&labels), crop, 9, &mut want_labels);
                let cut = Cut { center, to_source: change.to_source(), size };
                let got = cut_picture_on_card(&on_card, &change.levels(), &cut).unwrap();
                let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
                assert_eq!(bits(got.flatten_all().unwrap().to_vec1().unwrap()), bits(want), "{number} {crop:?}");
                let got = cut_labels_on_card(&labels_on_card, &tables_on_card, 9, &cut).unwrap();
                let planes = (0..2).flat_map(|plane| want_labels.iter().map(move |&label| (plane, usize::from(label))));
                let want: Vec<u8> = planes.map(|(plane, label)| tables[256 * plane + label]).collect();
                assert_eq!(got.flatten_all().unwrap().to_vec1::<u8>().unwrap(), want, "{number} {crop:?}");
            }
        }
    }

    #[test]
    #[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
    fn training_comes_to_the_cpus_losses() {
        let lab = Lab::new();
        succeed(&mut lab.reproduce("cpu", &METHODS));
        succeed(&mut lab.reproduce("card", &[&METHODS[..], &["--device", "cuda:0"]].concat()));
        for run in ["mtcool-s0", "joint-s0", "pcgrad-s0", "independent-s0"] {
            let (cpu, card) = (losses(&lab, "cpu", run), losses(&lab, "card", run));
            assert!(!cpu.is_empty() && cpu.len() == card.len(), "{run}");
            for (cpu, card) in cpu.iter().zip(&card) {
                assert!((cpu - card).abs() < 1e-3 * cpu.abs().max(1.0), "{run}: {card} on the card, {cpu} on the CPU");
            }
        }
    }

    #[test]
    #[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
    fn photographs_that_live_on_the_card_train_it_as_the_cpu() {
        let lab = Lab::new();
        for (table, flags) in [("table2", &REFUGE[..]), ("table3", &HRF_AV[..])] {
            let of_loss = |device: &str| {
                let mut command = lab.mtcool(flags);
                command.args(["--methods", "joint", "--results", device, "--device", device]);
                succeed(command.args(["--set", "training.epochs=2"]));
                let run = find_run(&lab.path().join(device).join(table), "joint-s0");
                let rows =
                    read_rows(&run.join("metrics.parquet")).unwrap().into_iter().filter(|row| row.metric == "loss");
                rows.map(|row| row.value).collect::<Vec<f64>>()
            };
            let (cpu, card) = (of_loss("cpu"), of_loss("cuda:0"));
            assert!(!cpu.is_empty() && cpu.len() == card.len(), "{table}");
            for (cpu, card) in cpu.iter().zip(&card) {
                assert!(
                    (cpu - card).abs() < 1e-3 * cpu.abs().max(1.0),
                    "{table}: {card} on the card, {cpu} on the CPU"
                );
            }
        }
    }

    #[test]
    #[ignore = "needs an NVIDIA card or the emulated one: cargo xtask check --cuda"]
    fn a_run_that_was_killed_ends_with_the_same_bits() {
        let lab = Lab::new();
        let flags = ["--methods", "mtcool", "--device", "cuda:0", "--checkpoint-seconds", "0.01"];
        succeed(&mut lab.reproduce("whole", &flags));
        let mut child = lab.reproduce("killed", &flags).spawn().unwrap();
        let checkpoints = || lab.run_folder("killed", "mtcool-s0").join("checkpoints");
        while !checkpoints().exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        succeed(&mut lab.reproduce("killed", &flags));
        let model =
            |results: &str| std::fs::read(lab.run_folder(results, "mtcool-s0").join("model.safetensors")).unwrap();
        assert!(model("whole") == model("killed"), "other bits");
    }
}
