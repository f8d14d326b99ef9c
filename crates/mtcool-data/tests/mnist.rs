//! MNIST's files: which are accepted, which are refused with which message, and what the tasks are.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Write;
use std::path::Path;

use mtcool_data::digits::{DigitsConfig, write_digits};
use mtcool_data::mnist::{fetch, verify, write};
use mtcool_data::{Dataset, Error, Labelled, Mnist, Origin};

const SMALL: DigitsConfig = DigitsConfig { train: 600, test: 100, seed: 3 };

fn folder_of_digits() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_digits(folder.path(), SMALL).unwrap();
    folder
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn synthetic_digits_are_read_as_two_tasks() {
    let folder = folder_of_digits();
    let mnist = Mnist::read(folder.path()).unwrap();
    assert!(matches!(mnist.origin, Origin::Synthetic { seed: 3, .. }));
    let count = |tasks: &[mtcool_data::Labelled; 2]| tasks[0].len() + tasks[1].len();
    assert_eq!([count(&mnist.train), count(&mnist.validation), count(&mnist.test)], [500, 100, 100]);

    // Compared with the files themselves: task 0 has the even digits in their order, labelled digit / 2; task 1 has the odd ones.
    let labels = std::fs::read(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    let images = std::fs::read(folder.path().join("train-images-idx3-ubyte")).unwrap();
    for (task, data) in mnist.train.iter().enumerate() {
        let own: Vec<usize> = (0..500).filter(|&index| usize::from(labels[8 + index] % 2) == task).collect();
        let want: Vec<u32> = own.iter().map(|&index| u32::from(labels[8 + index] / 2)).collect();
        assert_eq!(data.targets().to_vec1::<u32>().unwrap(), want);
        assert_eq!((0..5).filter(|class| want.contains(class)).count(), 5);
        let sample = data.read(&[7]).unwrap();
        assert_eq!(sample.inputs.dims(), [1, 1, 28, 28]);
        let pixels = sample.inputs.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (pixel, &byte) in pixels.iter().zip(&images[16 + own[7] * 784..]) {
            assert!((pixel - (f32::from(byte) / 255.0 - 0.1307) / 0.3081).abs() < 1e-5);
        }
    }
}

#[test]
fn digits_follow_from_the_seed_for_any_number_of_threads() {
    let bytes = |threads: usize, seed: u64| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| write_digits(folder.path(), DigitsConfig { seed, ..SMALL }).unwrap());
        std::fs::read(folder.path().join("train-images-idx3-ubyte")).unwrap()
    };
    assert_eq!(bytes(1, 3), bytes(3, 3));
    assert_ne!(bytes(1, 3), bytes(1, 4));
}

#[test]
fn test_images_are_none_of_the_training_images() {
    let folder = folder_of_digits();
    let images = |name: &str| std::fs::read(folder.path().join(name)).unwrap()[16..].to_vec();
    let (train, test) = (images("train-images-idx3-ubyte"), images("t10k-images-idx3-ubyte"));
    for image in test.chunks(784) {
        assert!(train.chunks(784).all(|other| other != image));
    }
}

#[test]
fn a_missing_folder_and_a_missing_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("nowhere");
    let message = verify(&absent).unwrap_err().to_string();
    assert!(message.contains("nowhere") && message.contains("train-images-idx3-ubyte"), "{message}");
    assert!(message.contains("cargo xtask data fetch mnist") && message.contains("--data synth"), "{message}");

    let folder = folder_of_digits();
    std::fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let message = verify(folder.path()).unwrap_err().to_string();
    assert!(message.contains("idx1-ubyte (also looked for with `.gz`"), "{message}");
    assert!(message.contains("t10k-labels") && !message.contains("train-labels-idx1-ubyte (also"), "{message}");
    assert!(message.contains("in the folder lies synthetic.json, t10k-images-idx3-ubyte, train-images"), "{message}");
}

#[test]
fn a_truncated_file_is_named_with_both_sizes() {
    let folder = folder_of_digits();
    let file = folder.path().join("train-images-idx3-ubyte");
    change(&file, |bytes| bytes.truncate(1000));
    let message = verify(folder.path()).unwrap_err().to_string();
    for part in ["train-images-idx3-ubyte", "470416 bytes by its own header", "1000 bytes (truncated)", "data fetch"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    change(&file, |bytes| bytes.truncate(3));
    assert!(verify(folder.path()).unwrap_err().to_string().contains("another header"));
}

#[test]
fn a_changed_file_is_named_with_both_checksums() {
    let folder = folder_of_digits();
    change(&folder.path().join("t10k-images-idx3-ubyte"), |bytes| bytes[500] ^= 1);
    match verify(folder.path()).unwrap_err() {
        Error::Corrupt { file, expected, got, .. } => {
            assert!(file.ends_with("t10k-images-idx3-ubyte"));
            assert!(expected.starts_with("MD5 ") && got.len() == 32 && !expected.contains(&got));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn digits_without_their_manifest_are_not_taken_for_the_real_ones() {
    let folder = folder_of_digits();
    std::fs::remove_file(folder.path().join("synthetic.json")).unwrap();
    let message = verify(folder.path()).unwrap_err().to_string();
    assert!(message.contains("MD5 6bbc9ace898e44ae57da46a324031adb"), "{message}");
    // Neither drawing nor fetching overwrites files of another set.
    let message = fetch(folder.path(), &[]).unwrap_err().to_string();
    assert!(message.contains("MD5"), "{message}");
    let message = write_digits(folder.path(), SMALL).unwrap_err().to_string();
    assert!(message.contains("a file of another set") && message.contains("another folder"), "{message}");
}

#[test]
fn synthetic_digits_do_not_pass_for_fetched_ones() {
    let folder = folder_of_digits();
    let message = fetch(folder.path(), &[]).unwrap_err().to_string();
    assert!(message.contains("got synthetic digits") && message.contains("another folder"), "{message}");
}

#[test]
fn a_manifest_without_all_checksums_is_refused() {
    let folder = folder_of_digits();
    change(&folder.path().join("synthetic.json"), |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (before, _) = text.split_once('[').unwrap();
        *bytes = format!("{before}[] }}").into_bytes();
    });
    let message = verify(folder.path()).unwrap_err().to_string();
    assert!(message.contains("0 checksums for 4 files"), "{message}");
}

#[test]
fn a_fetch_that_no_source_serves_says_where_the_files_belong() {
    let folder = tempfile::tempdir().unwrap();
    let message = fetch(&folder.path().join("mnist"), &[]).unwrap_err().to_string();
    assert!(message.contains("mnist") && message.contains("--data synth"), "{message}");
}

/// The names and places in which programs leave the files, also packed by gzip.
#[test]
fn files_are_found_packed_with_dots_and_where_torchvision_leaves_them() {
    let plain = folder_of_digits();
    let expected = Mnist::read(plain.path()).unwrap();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    for (place, packed, dotted) in
        [("", true, false), ("", false, true), ("raw", true, true), ("MNIST/raw", false, false)]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(place)).unwrap();
        for entry in std::fs::read_dir(plain.path()).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap();
            let bytes = std::fs::read(&file).unwrap();
            if name == "synthetic.json" {
                std::fs::write(folder.path().join(name), bytes).unwrap();
                continue;
            }
            let name = if dotted { name.replace("-idx", ".idx") } else { name.to_owned() };
            let (name, bytes) = if packed { (name + ".gz", gzip(&bytes)) } else { (name, bytes) };
            std::fs::write(folder.path().join(place).join(name), bytes).unwrap();
        }
        let found = Mnist::read(folder.path()).unwrap();
        assert_eq!((found.checksums, found.training_images), (expected.checksums.clone(), expected.training_images));
        let values = |data: &Labelled| {
            let sample = data.read(&(0..data.len() as u32).collect::<Vec<_>>()).unwrap();
            sample.inputs.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert!(values(&found.test[1]) == values(&expected.test[1]), "{place}");
    }
    std::fs::write(plain.path().join("t10k-labels-idx1-ubyte.gz"), b"no gzip").unwrap();
    std::fs::remove_file(plain.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let message = verify(plain.path()).unwrap_err().to_string();
    assert!(message.contains("idx1-ubyte.gz`: expected a file compressed by gzip"), "{message}");
}

/// Writes four files as a synthetic set, with these labels.
fn with_labels(train: &[u8], test: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let idx = |sides: &[usize], bytes: &[u8]| {
        let sides = sides.iter().flat_map(|&side| (side as u32).to_be_bytes());
        let head = [0, 0, 8, u8::try_from(sides.clone().count() / 4).unwrap()];
        head.into_iter().chain(sides).chain(bytes.iter().copied()).collect::<Vec<u8>>()
    };
    let images = |labels: &[u8]| idx(&[labels.len(), 28, 28], &vec![7; 784 * labels.len()]);
    let labels = |labels: &[u8]| idx(&[labels.len()], labels);
    let files = [images(train), labels(train), images(test), labels(test)];
    let origin = Origin::Synthetic { seed: 1, generator: 1 };
    write(folder.path(), files.each_ref().map(Vec::as_slice), &origin).unwrap();
    folder
}

#[test]
fn a_part_without_a_task_or_a_digit_is_told() {
    let all: Vec<u8> = (0..60).map(|index| index % 10).collect();
    let whole = with_labels(&all, &all);
    assert_eq!(Mnist::read(whole.path()).unwrap().absent, Vec::<String>::new());
    let without = |digit: u8| all.iter().map(|&label| if label == digit { 0 } else { label }).collect::<Vec<u8>>();
    let absent = Mnist::read(with_labels(&all, &without(7)).path()).unwrap().absent;
    assert_eq!(absent, ["the test part has no digit 7"]);
    let even: Vec<u8> = all.iter().map(|label| label / 2 * 2).collect();
    let message = Mnist::read(with_labels(&all, &even).path()).err().unwrap().to_string();
    assert!(message.contains("no odd digit in the test part, which has 60 images"), "{message}");
    let mut wrong = all.clone();
    wrong[3] = 10;
    let message = Mnist::read(with_labels(&wrong, &all).path()).err().unwrap().to_string();
    assert!(message.contains("the label 10, which is no digit"), "{message}");
}
