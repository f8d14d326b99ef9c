//! Folders of one's own pictures: what is read, and how it becomes batches.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod folder_files;

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use folder_files::{Files, settings, write_workbook};
use mtcool_data::folder::{Fit, Folder, FolderSamples, IGNORED, Label, Part, Pixels, network_input};
use mtcool_data::{Augmentation, LoaderConfig, SampleDraw, SharedDataset, SharedLoader};
use serde_json::{Value, json};

fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn plain(count: u32) -> Vec<SampleDraw> {
    (0..count).map(SampleDraw::plain).collect()
}

#[test]
fn four_kinds_of_tasks_share_their_pictures_and_miss_labels() {
    let files = Files::new();
    let folder = files.open(&files.twenty_four()).unwrap();
    let parts = Part::ALL.map(|part| folder.parts().of(part).len());
    assert_eq!(parts, [12, 6, 6]);
    let labelled = |task: usize| Part::ALL.map(|part| folder.labelled(task, part).len());
    assert_eq!([0, 1, 2, 3].map(labelled), [[9, 5, 4], [9, 4, 5], [12, 6, 6], [9, 5, 4]]);
    assert_eq!(folder.label(1, 0), None);
    assert_eq!(folder.label(1, 1), Some(&Label::Class(1)));
    assert_eq!(folder.label(2, 1), Some(&Label::Properties(vec![None, Some(false)])));
    assert_eq!(folder.label(3, 1), Some(&Label::Number(41.0)));
    assert_eq!(folder.tasks()[1].counts, [3, 6]);
    assert_eq!(folder.tasks()[0].counts, [9 * 96; 2]);
    // Ages 40 to 51 without 42, 46 and 50.
    let ages = [40.0, 41.0, 43.0, 44.0, 45.0, 47.0, 48.0, 49.0, 51.0];
    let mean = ages.iter().sum::<f64>() / 9.0;
    let deviation = (ages.iter().map(|age| (age - mean).powi(2)).sum::<f64>() / 9.0).sqrt();
    let [got_mean, got_deviation] = folder.tasks()[3].scale.unwrap();
    assert!((got_mean - mean).abs() < 1e-12 && (got_deviation - deviation).abs() < 1e-12);

    let samples = FolderSamples::evaluation(&folder, &[0, 1, 2, 3], &folder.parts().train).unwrap();
    let batch = samples.read(&plain(4)).unwrap();
    assert_eq!((batch.inputs.dims(), batch.inputs.dtype()), (&[4, 3, 12, 16][..], DType::F32));
    let masks = &batch.targets[0];
    assert_eq!(masks.dims(), [4, 12, 16]);
    assert_eq!(bytes(masks)[..192], [[0; 8], [1; 8]].concat().repeat(12));
    assert_eq!(bytes(masks)[3 * 192..], [IGNORED; 192], "case a03 has no mask");
    assert_eq!(batch.targets[1].to_vec1::<u32>().unwrap(), [255, 1, 0, 1]);
    assert_eq!(bytes(&batch.targets[2]), [0, 1, IGNORED, 0, 0, 1, 0, 1]);
    let standardised = floats(&batch.targets[3]);
    assert_eq!(batch.targets[3].dims(), [4, 1]);
    assert!((f64::from(standardised[1]) - (41.0 - mean) / deviation).abs() < 1e-6);
    assert!(standardised[2].is_nan(), "case a02 has no age");
}

#[test]
fn inputs_are_standardised_by_the_training_pictures() {
    let files = Files::new();
    let folder = files.open(&files.twenty_four()).unwrap();
    let mut values = vec![Vec::new(); 3];
    for case in 0..12 {
        let pixels = image::open(files.path(&format!("images/a{case:02}.png"))).unwrap().into_rgb8();
        for (index, &byte) in pixels.as_raw().iter().enumerate() {
            values[index % 3].push(f64::from(byte) / 255.0);
        }
    }
    for (channel, values) in values.iter().enumerate() {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let got = folder.normalization(0);
        assert!((f64::from(got.mean[channel]) - mean).abs() < 1e-6);
        assert!((f64::from(got.deviation[channel]) - variance.sqrt()).abs() < 1e-6);
    }
    let samples = FolderSamples::evaluation(&folder, &[1], &folder.parts().train).unwrap();
    let inputs = samples.read(&plain(12)).unwrap().inputs;
    for channel in 0..3 {
        let of_channel = floats(&inputs.narrow(1, channel, 1).unwrap());
        let mean = of_channel.iter().map(|&value| f64::from(value)).sum::<f64>() / of_channel.len() as f64;
        let square = of_channel.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / of_channel.len() as f64;
        assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "channel {channel}: {mean}, {square}");
    }
}

#[test]
fn training_batches_follow_from_the_seed_and_move_pictures_and_masks_together() {
    let files = Files::new();
    let mut config = files.twenty_four();
    config["augmentation"] = json!({ "mirror": true });
    assert_eq!(settings(&config).augmentation, Augmentation { mirror: true, ..Augmentation::NONE });
    let folder = files.open(&config).unwrap();
    let with_masks = folder.labelled(0, Part::Train);
    let samples = Arc::new(FolderSamples::training(&folder, &[0], &with_masks).unwrap());
    let loader = |seed| {
        let config = LoaderConfig { batch_size: 3, seed, stream: 0 };
        let mut loader = SharedLoader::new(samples.clone(), config, 0).unwrap();
        (0..4).map(|_| loader.next(0).unwrap()).collect::<Vec<_>>()
    };
    let (first, second, other) = (loader(5), loader(5), loader(6));
    let mut mirrored = 0;
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(floats(&a.inputs), floats(&b.inputs));
        assert_eq!(bytes(&a.targets), bytes(&b.targets));
        mirrored += bytes(&a.targets).chunks(192).filter(|mask| mask[0] == 1).count();
    }
    assert_ne!(floats(&first[0].inputs), floats(&other[0].inputs));
    assert!((1..12).contains(&mirrored), "{mirrored} of 12 are mirrored");

    // A mirrored input is the mirrored picture.
    let evaluation = FolderSamples::evaluation(&folder, &[0], &with_masks).unwrap();
    let still = evaluation.read(&plain(9)).unwrap();
    for draw in plain(9) {
        let moved = samples.read(&[draw]).unwrap();
        let (input, target) = (floats(&moved.inputs), bytes(&moved.targets[0]));
        let index = draw.index as usize;
        let plain = floats(&still.inputs.narrow(0, index, 1).unwrap());
        let is_mirrored = target[0] == 1;
        let expected: Vec<f32> = plain
            .chunks(16)
            .flat_map(|row| if is_mirrored { row.iter().rev().copied().collect() } else { row.to_vec() })
            .collect();
        assert_eq!(input, expected);
    }
}

#[test]
fn a_task_may_have_its_own_pictures_and_fewer_cases() {
    let files = Files::new();
    let mut config = files.twenty_four();
    for k in 0..24 {
        files.picture(&format!("faces/a{k:02}.png"), 100 + k, [12, 16]);
    }
    let mut table = std::fs::read_to_string(files.path("labels.csv")).unwrap();
    table = table
        .lines()
        .enumerate()
        .map(|(line, text)| match line {
            0 => format!("{text},face\n"),
            line if line % 2 == 0 => format!("{text},faces/a{:02}.png\n", line - 1),
            _ => format!("{text},\n"),
        })
        .collect();
    files.text("labels.csv", &table);
    config["tasks"][3]["image_column"] = json!("face");
    let folder = files.open(&config).unwrap();
    assert_eq!(folder.tasks().iter().map(|task| task.source).collect::<Vec<_>>(), [0, 0, 0, 1]);
    // Odd cases have a face, and of them those with an age.
    assert_eq!(folder.labelled(3, Part::Train), [1, 3, 5, 7, 9, 11]);
    assert_ne!(folder.picture(0, 1), folder.picture(3, 1));
    assert_eq!(folder.picture(3, 2), None);
    assert!(folder.notes().iter().any(|note| note.contains("without its picture")), "{:?}", folder.notes());
    assert!(FolderSamples::training(&folder, &[0, 3], &[1]).is_err(), "other pictures");
    assert!(FolderSamples::training(&folder, &[3], &[2]).is_err(), "no picture");
    let ages = FolderSamples::training(&folder, &[3], &folder.labelled(3, Part::Train)).unwrap();
    assert_eq!((ages.len(), ages.tasks(), ages.case(1)), (6, 1, Some(3)));
    assert!(floats(&ages.read(&plain(6)).unwrap().targets[0]).iter().all(|age| age.is_finite()));
}

#[test]
fn one_task_is_enough_and_a_table_is_not_needed() {
    let files = Files::new();
    let mut config = files.twenty_four();
    let tasks = config["tasks"].as_array().unwrap()[..1].to_vec();
    config["tasks"] = json!(tasks);
    assert_eq!(files.open(&config).unwrap().tasks().len(), 1);
    for key in ["table", "group", "split"] {
        config.as_object_mut().unwrap().remove(key);
    }
    let folder = files.open(&config).unwrap();
    assert_eq!((folder.cases().len(), folder.cases()[3].name.as_str(), folder.cases()[3].row), (24, "a03", None));
    assert_eq!(folder.cases()[3].part, None, "without a mask there is no label");
    assert_eq!(Part::ALL.map(|part| folder.parts().of(part).len()).iter().sum::<usize>(), 18);
}

#[test]
fn workbooks_and_text_files_hold_the_same_table() {
    let files = Files::new();
    let mut config = files.twenty_four();
    let text = std::fs::read_to_string(files.path("labels.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    write_workbook(&files.path("labels.xlsx"), &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let expected = files.open(&config).unwrap();
    for name in ["labels.xlsx", "other.csv"] {
        files.text("other.csv", &text.replace(',', ";"));
        config["table"] = json!(name);
        let folder = files.open(&config).unwrap();
        assert_eq!(folder.parts(), expected.parts());
        for case in 0..24 {
            for task in 0..4 {
                assert_eq!(folder.label(task, case), expected.label(task, case), "{name}: case {case}, task {task}");
            }
        }
    }
    config["sheet"] = json!("Sheet9");
    config["table"] = json!("labels.xlsx");
    let message = files.refused(&config);
    assert!(message.contains("no sheet `Sheet9`") && message.contains("Labels"), "{message}");
    // A program may read Parquet files.
    config["table"] = json!("labels.parquet");
    files.text("labels.parquet", "");
    config.as_object_mut().unwrap().remove("sheet");
    let mut options = files.options();
    options.read_parquet = Some(|file: &Path| {
        let text = std::fs::read_to_string(file.with_file_name("labels.csv")).map_err(|error| error.to_string())?;
        Ok(text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect())
    });
    let folder = Folder::open(&files.root(), &settings(&config), &options, &|_, _| {}).unwrap();
    assert_eq!(folder.parts(), expected.parts());
}

#[test]
fn patches_are_cut_at_their_own_resolution_and_evaluated_whole() {
    let files = Files::new();
    let mut config = files.twenty_four();
    (config["size"], config["fit"]) = (json!([8, 8]), json!("patches"));
    let folder = files.open(&config).unwrap();
    let with_masks = folder.labelled(0, Part::Train);
    let training = FolderSamples::training(&folder, &[0], &with_masks).unwrap();
    let batch = training.read(&plain(9)).unwrap();
    assert_eq!((batch.inputs.dims(), batch.targets[0].dims()), (&[9, 3, 8, 8][..], &[9, 8, 8][..]));
    let borders: Vec<usize> =
        bytes(&batch.targets[0]).chunks(64).map(|mask| mask[..8].iter().filter(|&&class| class == 0).count()).collect();
    assert!(borders.iter().any(|&border| border != borders[0]), "patches lie at different places: {borders:?}");
    let whole = FolderSamples::evaluation(&folder, &[0], &with_masks).unwrap().read(&plain(2)).unwrap();
    assert_eq!(whole.inputs.dims(), [2, 3, 12, 16]);
    // Every patch is a part of its whole picture.
    let (patch, whole) =
        (floats(&batch.inputs.narrow(0, 0, 1).unwrap()), floats(&whole.inputs.narrow(0, 0, 1).unwrap()));
    let is_at = |row: usize, column: usize| {
        (0..3 * 64).all(|k| {
            let (channel, y, x) = (k / 64, k / 8 % 8, k % 8);
            patch[k] == whole[channel * 192 + (row + y) * 16 + column + x]
        })
    };
    assert!((0..=4).any(|row| (0..=8).any(|column| is_at(row, column))));
}

#[test]
fn where_some_tasks_see_patches_those_with_one_answer_see_the_whole_picture() {
    let files = Files::new();
    let mut config = files.twenty_four();
    (config["size"], config["fit"], config["patches_per_image"]) = (json!([6, 8]), json!("patches"), json!(3));
    let folder = files.open(&config).unwrap();
    let seen: Vec<(usize, Fit)> = folder.tasks().iter().map(|task| (task.source, task.fit)).collect();
    assert_eq!(seen, [(0, Fit::Patches), (1, Fit::Resize), (1, Fit::Resize), (1, Fit::Resize)]);
    assert_eq!(folder.config().picture_files(), [0; 4]);
    assert!(FolderSamples::training(&folder, &[0, 1], &[1]).is_err(), "other sizes");
    let read = |folder: &Folder, task: usize| {
        FolderSamples::evaluation(folder, &[task], &[1]).unwrap().read(&plain(1)).unwrap().inputs
    };
    assert_eq!((read(&folder, 0).dims(), read(&folder, 1).dims()), (&[1, 3, 12, 16][..], &[1, 3, 6, 8][..]));
    (config["fit"], config["patches_per_image"]) = (json!("resize"), json!(1));
    let scaled = files.open(&config).unwrap();
    assert_eq!(floats(&read(&folder, 1)), floats(&read(&scaled, 1)));
    assert_ne!(folder.fingerprint(), scaled.fingerprint());
}

#[test]
fn training_labels_are_removed_at_random_and_a_smaller_share_is_part_of_a_larger_one() {
    let files = Files::new();
    let config = files.twenty_four();
    let open = |share: f64, seed: u64| {
        let mut config = config.clone();
        (config["tasks"][0]["kept"], config["tasks"][1]["kept"]) = (json!(share), json!(share));
        config["split"]["seed"] = json!(seed);
        files.open(&config).unwrap()
    };
    let (whole, half, third, other) = (files.open(&config).unwrap(), open(0.5, 0), open(0.34, 0), open(0.5, 1));
    let training = |folder: &Folder, task: usize| folder.labelled(task, Part::Train);
    // 9 masks, and 3 and 6 labels of the two classes.
    assert_eq!([&half, &third].map(|folder| training(folder, 0).len()), [5, 3]);
    assert_eq!((&half.tasks()[1].counts, &third.tasks()[1].counts), (&vec![2, 3], &vec![1, 2]));
    assert_eq!(half.tasks().iter().map(|task| task.removed).collect::<Vec<_>>(), [4, 4, 0, 0]);
    for task in 0..4 {
        for part in [Part::Validation, Part::Test] {
            assert_eq!(half.labelled(task, part), whole.labelled(task, part));
        }
        let [all, some, few] = [&whole, &half, &third].map(|folder| training(folder, task));
        assert!(some.iter().all(|case| all.contains(case)) && few.iter().all(|case| some.contains(case)));
    }
    assert_ne!([0, 1].map(|task| training(&half, task)), [0, 1].map(|task| training(&other, task)));
    // Nothing of a removed mask is left for training.
    let gone = training(&whole, 0).into_iter().find(|case| !training(&half, 0).contains(case)).unwrap();
    assert_eq!((half.label(0, gone as usize), half.mask(0, gone as usize)), (None, None));
    let target = FolderSamples::training(&half, &[0, 2], &[gone]).unwrap().read(&plain(1)).unwrap().targets.remove(0);
    assert_eq!(bytes(&target), [IGNORED; 192]);
    let notes = half.notes().join("\n");
    assert!(notes.contains("task `area`: 4 of 9 labels of the training part removed at random"), "{notes}");
    // Networks of other folders are tested on all labels.
    let trained = (half.config(), &half.statistics());
    let test = Folder::open_for_test(&files.root(), half.config(), trained, &files.options(), &|_, _| {}).unwrap();
    assert_eq!(test.labelled(0, Part::Test).len(), 18);
}

#[test]
fn a_pixel_of_the_input_has_the_size_that_the_spacing_and_the_fit_give() {
    let files = Files::new();
    let mut config = files.twenty_four();
    let size = |config: &Value, case: usize| files.open(config).unwrap().pixel_size(0, case);
    config["size"] = json!([6, 4]);
    assert_eq!(size(&config, 0), Some([1.0; 2]), "pixels of the input");
    config["spacing"] = json!([0.5, 2]);
    assert_eq!(size(&config, 0), Some([1.0, 8.0]));
    (config["fit"], config["scale"]) = (json!("crop"), json!(2.0));
    assert_eq!(size(&config, 0), Some([0.25, 1.0]));
    let table = std::fs::read_to_string(files.path("labels.csv")).unwrap();
    let with_sizes = table.lines().enumerate().map(|(line, text)| match line {
        0 => format!("{text},dy,dx\n"),
        2 => format!("{text},,3\n"),
        _ => format!("{text},{line},3\n"),
    });
    files.text("labels.csv", &with_sizes.collect::<String>());
    config["spacing"] = json!(["dy", "dx"]);
    assert_eq!([0, 1, 2].map(|case| size(&config, case)), [Some([0.5, 1.5]), None, Some([1.5, 1.5])]);
}

#[test]
fn pictures_are_scaled_or_cropped_to_the_size() {
    let files = Files::new();
    let mut config = files.twenty_four();
    config["size"] = json!([6, 8]);
    let folder = files.open(&config).unwrap();
    assert_eq!(folder.mask(0, 0).unwrap(), ([6, 8], &[[0; 4], [1; 4]].concat().repeat(6)[..]));
    let picture = folder.picture(0, 0).unwrap();
    assert_eq!((picture.height, picture.width, picture.channels), (6, 8, 3));
    (config["size"], config["fit"]) = (json!([16, 8]), json!("crop"));
    let folder = files.open(&config).unwrap();
    let row = [[0; 4], [1; 4]].concat();
    let expected = [vec![IGNORED; 16], row.repeat(12), vec![IGNORED; 16]].concat();
    assert_eq!(folder.mask(0, 0).unwrap(), ([16, 8], &expected[..]));
    assert!(folder.notes().iter().any(|note| note.contains("24 pictures smaller")), "{:?}", folder.notes());
}

#[test]
fn the_fingerprint_follows_labels_files_and_settings() {
    let files = Files::new();
    let config = files.twenty_four();
    let fingerprint = |config: &Value| files.open(config).unwrap().fingerprint().to_owned();
    let first = fingerprint(&config);
    assert_eq!(fingerprint(&config), first);
    let mut other = config.clone();
    other["size"] = json!([6, 8]);
    assert_ne!(fingerprint(&other), first);
    files.mask("masks/a00.png", [12, 16], 255, 0);
    let changed = fingerprint(&config);
    assert_ne!(changed, first);
    let table = std::fs::read_to_string(files.path("labels.csv")).unwrap();
    files.text("labels.csv", &table.replace(",41\n", ",42\n"));
    assert_ne!(fingerprint(&config), changed);
}

#[test]
fn folds_hold_every_case_out_once_and_keep_patients_together() {
    let files = Files::new();
    let mut config = files.twenty_four();
    let mut times = [0; 24];
    for fold in 0..3 {
        config["split"] = json!({ "folds": 3, "fold": fold, "validation": 0.3, "seed": 4 });
        // Small parts may lack a class; that is not what this test is about.
        let tasks = config["tasks"].as_array().unwrap()[..1].to_vec();
        config["tasks"] = json!(tasks);
        let folder = files.open(&config).unwrap();
        folder.parts().test.iter().for_each(|&case| times[case as usize] += 1);
        for case in folder.cases() {
            for other in folder.cases() {
                let both = case.part.is_some() && other.part.is_some();
                assert!(!both || case.group != other.group || case.part == other.part);
            }
        }
    }
    let expected: Vec<usize> = (0..24).map(|case| usize::from(case % 4 != 3)).collect();
    assert_eq!(times.to_vec(), expected);
}

#[test]
fn a_photograph_that_is_to_be_turned_fits_its_upright_mask() {
    let files = Files::new();
    let config = files.twenty_four();
    let jpeg = {
        let picture = image::RgbImage::from_fn(12, 16, |x, y| image::Rgb([(20 * x) as u8, (15 * y) as u8, 7]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    };
    // EXIF with one entry: orientation 6, to be turned to the right.
    let exif =
        [b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0".as_slice(), &[0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0], &[0; 4]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, &exif[..], &jpeg[2..]].concat();
    std::fs::write(files.path("images/a00.png"), &turned).unwrap();
    let folder = files.open(&config).unwrap();
    let picture = folder.picture(0, 0).unwrap();
    assert_eq!((picture.height, picture.width), (12, 16));
    let [first, last] = [0, 15].map(|column| u32::from(picture.bytes[3 * column + 1]));
    assert!(first > last + 100, "the lower end is on the left: {first}, {last}");
    std::fs::write(files.path("images/a00.png"), &jpeg).unwrap();
    assert!(files.refused(&config).contains("is 16x12, its picture 12x16"));
}

/// Sixteen samples of 16 bits per pixel.
struct Sixteen;

impl tiff::encoder::colortype::ColorType for Sixteen {
    type Inner = u16;
    const TIFF_VALUE: tiff::tags::PhotometricInterpretation = tiff::tags::PhotometricInterpretation::BlackIsZero;
    const BITS_PER_SAMPLE: &'static [u16] = &[16; 16];
    const SAMPLE_FORMAT: &'static [tiff::tags::SampleFormat] = &[tiff::tags::SampleFormat::Uint; 16];

    fn horizontal_predict(_: &[u16], _: &mut Vec<u16>) {}
}

#[test]
fn sixteen_channels_are_read_from_samples_and_from_pages() {
    let files = Files::new();
    let mut config = files.twenty_four();
    let value =
        |case: usize, pixel: usize, channel: usize| ((case * 7919 + pixel * 301 + channel * 4096) % 65536) as u16;
    for case in 0..24 {
        let file = std::fs::File::create(files.path(&format!("images/a{case:02}.tif"))).unwrap();
        let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
        if case % 2 == 0 {
            let samples: Vec<u16> = (0..192 * 16).map(|k| value(case, k / 16, k % 16)).collect();
            encoder.write_image::<Sixteen>(16, 12, &samples).unwrap();
        } else {
            for channel in 0..16 {
                let samples: Vec<u16> = (0..192).map(|pixel| value(case, pixel, channel)).collect();
                encoder.write_image::<tiff::encoder::colortype::Gray16>(16, 12, &samples).unwrap();
            }
        }
    }
    config["images"] = json!("images/{case}.tif");
    assert!(files.refused(&config).contains("a picture with 16 channels"));
    config["channels"] = json!(16);
    let folder = files.open(&config).unwrap();
    let normalization = folder.normalization(0).clone();
    let samples = FolderSamples::evaluation(&folder, &[0, 1], &folder.parts().train).unwrap();
    let inputs = samples.read(&plain(2)).unwrap().inputs;
    assert_eq!(inputs.dims(), [2, 16, 12, 16]);
    for (index, got) in floats(&inputs).into_iter().enumerate() {
        let (case, channel, pixel) = (index / (16 * 192), index / 192 % 16, index % 192);
        let expected = f32::from(value(case, pixel, channel)) / 65535.0;
        let expected = (expected - normalization.mean[channel]) / normalization.deviation[channel];
        assert!((got - expected).abs() < 1e-4, "case {case}, channel {channel}, pixel {pixel}: {got}, {expected}");
    }
    let Pixels { is_deep, channels, .. } = folder.picture(0, 1).unwrap();
    assert!(is_deep && channels == 16);
}

#[test]
fn another_folder_is_a_test_by_the_standards_of_the_first() {
    let (ours, theirs) = (Files::new(), Files::new());
    let config = ours.twenty_four();
    let mut other = theirs.twenty_four();
    let table = std::fs::read_to_string(theirs.path("labels.csv")).unwrap();
    theirs.text("labels.csv", &table.replace(",age\n", ",years\n").lines().take(9).collect::<Vec<_>>().join("\n"));
    other["tasks"][3]["column"] = json!("years");
    let trained = ours.open(&config).unwrap();
    let (ours, statistics) = (trained.config(), trained.statistics());
    let open = |other: &Value| {
        let trained = (ours, &statistics);
        Folder::open_for_test(&theirs.root(), &settings(other), trained, &theirs.options(), &|_, _| {})
    };
    let external = open(&other).unwrap();
    assert_eq!(Part::ALL.map(|part| external.parts().of(part).len()), [0, 0, 8]);
    assert_eq!(external.normalization(0), trained.normalization(0));
    assert_eq!(external.tasks()[3].scale, trained.tasks()[3].scale);
    let read = |folder: &Folder| {
        let samples = FolderSamples::evaluation(folder, &[0, 3], &[1]).unwrap().read(&plain(1)).unwrap();
        (floats(&samples.inputs), floats(&samples.targets[1]))
    };
    assert_eq!(read(&external), read(&trained));
    other["tasks"][1]["classes"] = json!([0, 1, 2]);
    other["size"] = json!([8, 8]);
    let message = open(&other).unwrap_err().to_string();
    for expected in
        ["`size` is [8, 8], in the folder that was trained on it is [12, 16]", "`grade` (classification: 0, 1, 2)"]
    {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_test_on_another_folder_leaves_out_tasks_without_labels() {
    let (ours, theirs) = (Files::new(), Files::new());
    let config = ours.twenty_four();
    let mut other = theirs.twenty_four();
    let trained = ours.open(&config).unwrap();
    let (ours, statistics) = (trained.config(), trained.statistics());
    let open = |other: &Value| {
        Folder::open_for_test(&theirs.root(), &settings(other), (ours, &statistics), &theirs.options(), &|_, _| {})
    };
    let mask = |other: &mut Value, name: &str| other["tasks"][0]["mask"] = json!(name);
    mask(&mut other, "elsewhere/{case}.png");
    other["tasks"][3]["column"] = json!("years");
    let external = open(&other).unwrap();
    let labels = |task: usize| external.labelled(task, Part::Test).len();
    assert_eq!((labels(0), labels(3)), (0, 0));
    assert!(labels(1) > 0 && external.parts().train.is_empty());
    let notes = external.notes().join("\n");
    for expected in ["elsewhere", "years", "not measured"] {
        assert!(notes.contains(expected), "no `{expected}` in {notes}");
    }
    // Without a table, there are masks alone.
    other["table"] = Value::Null;
    mask(&mut other, "masks/{case}.png");
    let external = open(&other).unwrap();
    assert!(!external.labelled(0, Part::Test).is_empty() && external.labelled(1, Part::Test).is_empty());
    mask(&mut other, "elsewhere/{case}.png");
    let message = open(&other).unwrap_err().to_string();
    assert!(message.contains("has a label of any task") && message.contains("elsewhere"), "{message}");
}

#[test]
fn a_picture_without_labels_is_seen_as_in_an_evaluation() {
    let files = Files::new();
    let mut config = files.twenty_four();
    for (size, fit) in [([6, 8], "resize"), ([16, 8], "crop"), ([8, 8], "patches")] {
        (config["size"], config["fit"]) = (json!(size), json!(fit));
        let folder = files.open(&config).unwrap();
        for task in [0, 2] {
            let samples = FolderSamples::evaluation(&folder, &[task], &[5]).unwrap();
            let expected = samples.read(&plain(1)).unwrap().inputs;
            let (file, config) = (files.path("images/a05.png"), folder.config().with_fit(folder.tasks()[task].fit));
            let (input, picture) = network_input(&file, &config, folder.normalization(task)).unwrap();
            assert_eq!(input.dims(), expected.dims());
            let difference =
                floats(&input).iter().zip(floats(&expected)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 1e-5, "{fit}: {difference}");
            assert_eq!([picture.height, picture.width], [12, 16]);
        }
    }
}

#[test]
fn batches_may_have_every_class_of_a_task_equally_often() {
    let files = Files::new();
    let mut config = files.twenty_four();
    config["balanced"] = json!("grade");
    config["augmentation"] = json!({ "contrast": 0.5 });
    let folder = files.open(&config).unwrap();
    let train = folder.parts().of(Part::Train).to_vec();
    let grades: Vec<Option<&Label>> = train.iter().map(|&case| folder.label(1, case as usize)).collect();
    let count = |grade: Option<Label>| grades.iter().filter(|found| **found == grade.as_ref()).count();
    assert_eq!([Some(Label::Class(0)), Some(Label::Class(1)), None].map(count), [3, 6, 3]);
    let samples = FolderSamples::training(&folder, &[0, 1, 2, 3], &train).unwrap();
    let config = LoaderConfig { batch_size: 3, seed: 4, stream: 0 };
    let mut loader = SharedLoader::new(Arc::new(samples), config, 0).unwrap();
    for _ in 0..8 {
        let mut targets = loader.next(1).unwrap().targets.to_vec1::<u32>().unwrap();
        targets.sort_unstable();
        assert_eq!(targets, [0, 1, u32::from(IGNORED)]);
        for task in [0, 2, 3] {
            loader.next(task).unwrap();
        }
    }
    let tested = FolderSamples::evaluation(&folder, &[1], folder.parts().of(Part::Test)).unwrap();
    assert!(tested.balanced_classes().is_none(), "the test has its cases as they are");
}
