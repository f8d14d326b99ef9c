//! Crops as batches: nothing is decoded twice, and the same bits come from any cache, thread or position.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Tensor};
use mtcool_data::refuge::{DrawnSize, GLAUCOMA, Refuge, RefugeConfig, RefugeSynthesis, SEGMENTATION};
use mtcool_data::{Augmentation, Draw, LoaderConfig, SharedDataset, SharedLoader};

const SET: RefugeSynthesis =
    RefugeSynthesis { train: 10, validation: 10, test: 4, size: DrawnSize::Fixed([112, 112]), seed: 8 };
const SIDE: usize = 40;

struct Place {
    _root: tempfile::TempDir,
    data: PathBuf,
    cache: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, cache) = (root.path().join("refuge"), root.path().join("cache"));
        SET.draw(&data, &|_, _| {}).unwrap();
        Self { _root: root, data, cache }
    }

    /// Opens the set; answers how many photographs had to be decoded.
    fn open(&self) -> (Refuge, usize) {
        let decoded = AtomicUsize::new(0);
        let config = RefugeConfig { crop: SIDE, side: SIDE, cache: self.cache.clone() };
        let progress = |_, of| {
            assert_eq!(of, 24);
            decoded.fetch_add(1, Ordering::Relaxed);
        };
        let refuge = Refuge::open(&self.data, &config, &progress).unwrap();
        (refuge, decoded.into_inner())
    }

    /// The file with the crops.
    fn crops(&self) -> PathBuf {
        let mut paths = fs::read_dir(&self.cache).unwrap().map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|extension| extension == "cache")).unwrap()
    }
}

fn all(refuge: &Refuge) -> Vec<u8> {
    (0..refuge.cases().len()).flat_map(|index| [refuge.pixels(index), refuge.classes(index)].concat()).collect()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Replaces a file's bytes by others of the same length and time.
fn forge(path: &Path) {
    let (length, time) = (fs::metadata(path).unwrap().len(), fs::metadata(path).unwrap().modified().unwrap());
    fs::write(path, vec![0; length as usize]).unwrap();
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn no_photograph_is_decoded_twice() {
    let place = Place::new();
    let (refuge, decoded) = place.open();
    assert_eq!(decoded, 24);
    let first = all(&refuge);

    // Whoever decoded now would fail.
    for folder in ["Test400", "REFUGE-Validation400", "REFUGE-Validation400-GT/Disc_Cup_Masks"] {
        fs::read_dir(place.data.join(folder)).unwrap().for_each(|entry| {
            let path = entry.unwrap().path();
            if path.is_file() {
                forge(&path);
            }
        });
    }
    let (again, decoded) = place.open();
    assert_eq!(decoded, 0);
    assert!(all(&again) == first);
    assert_eq!(again.fingerprint(), refuge.fingerprint());

    // Two epochs of training need no file of the set at all.
    fs::remove_dir_all(&place.data).unwrap();
    let samples = Arc::new(again.samples((0..24).collect(), Augmentation::default()));
    let config = LoaderConfig { batch_size: 4, seed: 1, stream: 0 };
    let mut loader = SharedLoader::new(samples, config, 0).unwrap();
    (0..12).for_each(|_| drop((loader.next(SEGMENTATION).unwrap(), loader.next(GLAUCOMA).unwrap())));
}

#[test]
fn changed_files_and_settings_and_a_damaged_cache_are_noticed() {
    let place = Place::new();
    let (refuge, _) = place.open();
    let (first, file) = (all(&refuge), place.crops());
    let whole = fs::read(&file).unwrap();
    for damage in [&whole[..whole.len() / 2], &[&whole[..500], &[whole[500] ^ 1], &whole[501..]].concat()] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, damage).unwrap();
        let (repaired, decoded) = place.open();
        assert_eq!(decoded, 24);
        assert!(all(&repaired) == first && fs::read(&file).unwrap() == whole);
    }
    let config = RefugeConfig { crop: SIDE, side: 20, cache: place.cache.clone() };
    let small = Refuge::open(&place.data, &config, &|_, _| {}).unwrap();
    assert_eq!((small.side(), small.pixels(3).len()), (20, 1200));
    assert_eq!(place.open().1, 0, "both are kept");
    assert_ne!(small.fingerprint(), refuge.fingerprint());

    fs::remove_dir_all(&place.data).unwrap();
    RefugeSynthesis { seed: 9, ..SET }.draw(&place.data, &|_, _| {}).unwrap();
    let (other, decoded) = place.open();
    assert_eq!(decoded, 24);
    assert!(all(&other) != first);
    assert_ne!(other.fingerprint(), refuge.fingerprint());
}

#[test]
fn batches_are_standardised_images_with_targets_for_both_tasks() {
    let place = Place::new();
    let (refuge, _) = place.open();
    let indices = vec![0, 5, 23, 11];
    let samples = refuge.samples(indices.clone(), Augmentation::NONE);
    assert_eq!((samples.len(), samples.tasks(), samples.case(2), samples.case(4)), (4, 2, Some(23), None));
    let batch = samples.read(&[Draw::plain(2), Draw::plain(0)]).unwrap();
    assert_eq!((batch.inputs.dims(), batch.inputs.dtype()), (&[2, 3, SIDE, SIDE][..], DType::F32));
    let (classes, glaucoma) = (&batch.targets[SEGMENTATION], &batch.targets[GLAUCOMA]);
    assert_eq!((classes.dims(), classes.dtype()), (&[2, SIDE, SIDE][..], DType::U8));
    assert_eq!((glaucoma.dims(), glaucoma.dtype()), (&[2][..], DType::U32));
    for (place, case) in [23, 0].into_iter().enumerate() {
        let own = classes.get(place).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
        assert_eq!(own, refuge.classes(case));
        assert_eq!(glaucoma.to_vec1::<u32>().unwrap()[place], u32::from(refuge.cases()[case].glaucoma));
        let (mean, deviation) = ([0.66, 0.33, 0.18], [0.16, 0.14, 0.11]);
        let input = floats(&batch.inputs.get(place).unwrap());
        for (pixel, values) in refuge.pixels(case).chunks(3).enumerate() {
            for (channel, &value) in values.iter().enumerate() {
                let expected = (f32::from(value) / 255.0 - mean[channel]) / deviation[channel];
                assert!((input[channel * SIDE * SIDE + pixel] - expected).abs() < 1e-4);
            }
        }
    }
    // An average crop is standardised to about 0 and 1.
    let everything: Vec<Draw> = (0..24).map(Draw::plain).collect();
    let batch = refuge.samples((0..24).collect(), Augmentation::NONE).read(&everything).unwrap();
    for channel in 0..3 {
        let values = floats(&batch.inputs.narrow(1, channel, 1).unwrap());
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt();
        assert!(mean.abs() < 0.7 && (0.5..1.5).contains(&deviation), "channel {channel}: {mean} and {deviation}");
    }
    for bad in [samples.read(&[Draw::plain(4)]), refuge.samples(vec![24], Augmentation::NONE).read(&[Draw::plain(0)])] {
        assert!(bad.unwrap_err().to_string().starts_with("`index` is"));
    }
}

#[test]
fn augmented_batches_have_the_same_bits_for_any_number_of_threads_and_any_start() {
    let place = Place::new();
    let (refuge, _) = place.open();
    let train = refuge.splits(0).train;
    let config = LoaderConfig { batch_size: 5, seed: 3, stream: 1 };
    let read = |position: u64, count: usize| -> Vec<Vec<f32>> {
        let samples = Arc::new(refuge.samples(train.clone(), Augmentation::default()));
        let mut loader = SharedLoader::new(samples, config, position).unwrap();
        let mut batch = || {
            let (image, diagnosis) = (loader.next(SEGMENTATION).unwrap(), loader.next(GLAUCOMA).unwrap());
            [floats(&image.inputs), floats(&image.targets), floats(&diagnosis.targets)].concat()
        };
        (0..count).map(|_| batch()).collect()
    };
    let whole = read(0, 9);
    assert!(whole == read(0, 9));
    assert!(whole[4..] == read(4, 5));
    let draws: Vec<Draw> = (0..8).map(Draw::plain).collect();
    let samples = refuge.samples(train.clone(), Augmentation::default());
    let in_pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        floats(&pool.install(|| samples.read(&draws)).unwrap().inputs)
    };
    assert!(in_pool(1) == in_pool(4));
    // Another epoch changes the same photographs otherwise.
    let plain = refuge.samples(train, Augmentation::NONE).read(&draws).unwrap();
    assert!(floats(&plain.inputs) != in_pool(1));
}
