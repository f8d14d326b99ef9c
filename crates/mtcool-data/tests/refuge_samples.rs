//! Crops as batches: no file is decoded twice, crops lie where their placement says, and the bits do not depend on cache, thread or
//! position.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Tensor};
use mtcool_data::augment::{Change, Crop, PixelView};
use mtcool_data::refuge::{
    CropPlacement, DrawnSize, FundusSamples, GLAUCOMA, Refuge, RefugeConfig, RefugeSynthesis, SEGMENTATION, Splits,
};
use mtcool_data::{Augmentation, Cutter, LoaderConfig, SampleDraw, SharedDataset, SharedLoader};

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

    /// Opens the set, and counts the photographs that had to be decoded.
    fn open(&self) -> (Refuge, usize) {
        let decoded = AtomicUsize::new(0);
        let placement = CropPlacement::CENTRED;
        let config =
            RefugeConfig { crop: SIDE, side: SIDE, placement, allows_copies: false, cache: self.cache.clone() };
        let progress = |_, of| {
            assert_eq!(of, 24);
            decoded.fetch_add(1, Ordering::Relaxed);
        };
        let refuge = Refuge::open(&self.data, &config, &progress).unwrap();
        (refuge, decoded.into_inner())
    }

    /// Opens the set with other crops.
    fn open_at(&self, crop: usize, side: usize, placement: CropPlacement) -> Refuge {
        let config = RefugeConfig { crop, side, placement, allows_copies: false, cache: self.cache.clone() };
        Refuge::open(&self.data, &config, &|_, _| {}).unwrap()
    }

    /// The cache entry with the squares.
    fn crops(&self) -> PathBuf {
        let mut paths = fs::read_dir(&self.cache).unwrap().map(|entry| entry.unwrap().path());
        paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("refuge-crops")).unwrap()
    }
}

fn all(refuge: &Refuge) -> Vec<u8> {
    (0..refuge.cases().len()).flat_map(|index| [refuge.pixels(index), refuge.classes(index)].concat()).collect()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Replaces a file's bytes by others of the same length, and sets the time of its last change back.
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

    let (again, decoded) = place.open();
    assert_eq!(decoded, 0);
    assert!(all(&again) == first);
    assert_eq!(again.fingerprint(), refuge.fingerprint());

    // A file that was replaced is noticed, although its length and its time are the old ones.
    forge(&place.data.join("Test400/T0001.jpg"));
    let config = RefugeConfig {
        crop: SIDE,
        side: SIDE,
        placement: CropPlacement::CENTRED,
        allows_copies: false,
        cache: place.cache.clone(),
    };
    let message = Refuge::open(&place.data, &config, &|_, _| {}).unwrap_err().to_string();
    assert!(message.contains("T0001.jpg"), "{message}");

    // Two epochs of training do not need any file of the set.
    fs::remove_dir_all(&place.data).unwrap();
    let samples = Arc::new(FundusSamples::training(&again, (0..24).collect(), Augmentation::default()).unwrap());
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
    let small = place.open_at(SIDE, 20, CropPlacement::CENTRED);
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
    let samples = FundusSamples::evaluation(&refuge, indices.clone());
    assert_eq!((samples.len(), samples.tasks(), samples.case(2), samples.case(4)), (4, 2, Some(23), None));
    let batch = samples.read(&[SampleDraw::plain(2), SampleDraw::plain(0)]).unwrap();
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
    // Standardised values have a mean of about 0 and a standard deviation of about 1.
    let everything: Vec<SampleDraw> = (0..24).map(SampleDraw::plain).collect();
    let batch = FundusSamples::evaluation(&refuge, (0..24).collect()).read(&everything).unwrap();
    for channel in 0..3 {
        let values = floats(&batch.inputs.narrow(1, channel, 1).unwrap());
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt();
        assert!(mean.abs() < 0.7 && (0.5..1.5).contains(&deviation), "channel {channel}: {mean} and {deviation}");
    }
    for bad in [
        samples.read(&[SampleDraw::plain(4)]),
        FundusSamples::evaluation(&refuge, vec![24]).read(&[SampleDraw::plain(0)]),
    ] {
        assert!(bad.unwrap_err().to_string().starts_with("`index` is"));
    }
}

#[test]
fn augmented_batches_have_the_same_bits_for_any_number_of_threads_and_any_start() {
    let place = Place::new();
    let (refuge, _) = place.open();
    let train = refuge.splits(0, Splits::HELD_OUT).train;
    let config = LoaderConfig { batch_size: 5, seed: 3, stream: 1 };
    let read = |position: u64, count: usize| -> Vec<Vec<f32>> {
        let samples = Arc::new(FundusSamples::training(&refuge, train.clone(), Augmentation::default()).unwrap());
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
    let draws: Vec<SampleDraw> = (0..8).map(SampleDraw::plain).collect();
    let samples = FundusSamples::training(&refuge, train.clone(), Augmentation::default()).unwrap();
    let in_pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        floats(&pool.install(|| samples.read(&draws)).unwrap().inputs)
    };
    assert!(in_pool(1) == in_pool(4));
    // Without augmentation, the same photographs look different.
    let plain = FundusSamples::evaluation(&refuge, train).read(&draws).unwrap();
    assert!(floats(&plain.inputs) != in_pool(1));
}

/// A square of `side` pixels of `bytes` `[stored, stored, channels]`, whose first pixel is at row `top` and column `left`.
fn part(bytes: &[u8], stored: usize, channels: usize, [top, left]: [usize; 2], side: usize) -> Vec<u8> {
    let row = |row: usize| &bytes[((top + row) * stored + left) * channels..][..side * channels];
    (0..side).flat_map(row).copied().collect()
}

#[test]
fn an_evaluation_crop_is_moved_by_an_offset_that_follows_from_seed_and_name() {
    let place = Place::new();
    let wide = place.open_at(SIDE + 24, SIDE + 24, CropPlacement::CENTRED);
    let placement = CropPlacement { translation: 3, jitter: 10, seed: 6 };
    let moved = place.open_at(SIDE, SIDE, placement);
    let samples = FundusSamples::evaluation(&moved, (0..24).collect());
    let draws: Vec<SampleDraw> = (0..24).map(SampleDraw::plain).collect();
    let batch = samples.read(&draws).unwrap();
    let mut offsets = std::collections::BTreeSet::new();
    for (index, case) in moved.cases().iter().enumerate() {
        let offset = placement.evaluation_offset(&case.name);
        // Image and mask are moved alike, by the offset and no more.
        let corner = offset.map(|offset| (12 + offset) as usize);
        assert_eq!(moved.pixels(index), part(&wide.pixels(index), SIDE + 24, 3, corner, SIDE), "{}", case.name);
        assert_eq!(moved.classes(index), part(&wide.classes(index), SIDE + 24, 1, corner, SIDE), "{}", case.name);
        let read = batch.targets[SEGMENTATION].get(index).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
        assert_eq!(read, moved.classes(index));
        offsets.insert(offset);
    }
    assert!(offsets.len() > 18, "{offsets:?}");
    let other = place.open_at(SIDE, SIDE, CropPlacement { seed: 7, ..placement });
    assert!((0..24).filter(|&index| other.pixels(index) != moved.pixels(index)).count() > 18);
    // The same squares serve every seed, and another placement is another set of samples.
    assert_eq!(fs::read_dir(&place.cache).unwrap().count(), 4, "two entries, what the masks say, and the fingerprints");
    assert_ne!(other.fingerprint(), moved.fingerprint());
}

/// The standardised values `[3, S, S]` of the pixels `[S, S, 3]`.
fn standardised(pixels: &[u8]) -> Vec<f32> {
    let view = PixelView { bytes: pixels, height: SIDE, width: SIDE };
    let mut values = vec![0.0; 3 * SIDE * SIDE];
    Change::NONE.picture(view, Crop::whole(view), &mut values);
    standardise(&mut values);
    values
}

fn standardise(values: &mut [f32]) {
    let (mean, deviation) = ([0.66, 0.33, 0.18], [0.16, 0.14, 0.11]);
    for (at, value) in values.iter_mut().enumerate() {
        *value = (*value - mean[at / (SIDE * SIDE)]) / deviation[at / (SIDE * SIDE)];
    }
}

#[test]
fn training_crops_are_moved_anew_in_every_epoch_over_their_whole_range() {
    let place = Place::new();
    let wide = place.open_at(SIDE + 12, SIDE + 12, CropPlacement::CENTRED);
    let moved = place.open_at(SIDE, SIDE, CropPlacement { translation: 4, jitter: 6, seed: 0 });
    let mut seen = std::collections::BTreeSet::new();
    for case in [0, 7, 15, 23] {
        let squares = (wide.pixels(case), wide.classes(case));
        let samples = FundusSamples::training(&moved, vec![case as u32], Augmentation::NONE).unwrap();
        let config = LoaderConfig { batch_size: 1, seed: 1, stream: case as u64 };
        let mut loader = SharedLoader::new(Arc::new(samples), config, 0).unwrap();
        for _ in 0..90 {
            let (batch, _) = (loader.next(SEGMENTATION).unwrap(), loader.next(GLAUCOMA).unwrap());
            let classes = batch.targets.flatten_all().unwrap().to_vec1::<u8>().unwrap();
            let pixels = floats(&batch.inputs);
            let mut corners = (0..13).flat_map(|top| (0..13).map(move |left| [top, left]));
            // Image and mask are moved together.
            let corner = corners.find(|&corner| {
                part(&squares.1, SIDE + 12, 1, corner, SIDE) == classes
                    && standardised(&part(&squares.0, SIDE + 12, 3, corner, SIDE)) == pixels
            });
            seen.insert(corner.unwrap());
        }
    }
    // Up to 4 around the middle, which is at 6: nearly all of the 81 places in 360 crops.
    assert!(seen.iter().flatten().all(|at| (2..=10).contains(at)), "{seen:?}");
    assert!(seen.len() > 70, "{} of 81 places", seen.len());
}

#[test]
fn without_any_movement_a_training_crop_is_the_changed_centre() {
    let place = Place::new();
    let refuge = place.open_at(SIDE, SIDE, CropPlacement::CENTRED);
    let augmentation = Augmentation::default();
    let samples = FundusSamples::training(&refuge, (0..24).collect(), augmentation).unwrap();
    for index in 0..24 {
        let draw = SampleDraw::plain(index);
        let batch = samples.read(&[draw]).unwrap();
        let change = augmentation.draw(&mut draw.generator());
        let (pixels, classes) = (refuge.pixels(index as usize), refuge.classes(index as usize));
        let view = |bytes| PixelView { bytes, height: SIDE, width: SIDE };
        let (mut image, mut mask) = (vec![0.0; 3 * SIDE * SIDE], vec![0; SIDE * SIDE]);
        change.picture(view(&pixels), Crop::whole(view(&pixels)), &mut image);
        change.labels(view(&classes), Crop::whole(view(&classes)), 0, &mut mask);
        assert_eq!(batch.targets[SEGMENTATION].flatten_all().unwrap().to_vec1::<u8>().unwrap(), mask);
        standardise(&mut image);
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
        assert_eq!(bits(floats(&batch.inputs)), bits(image));
    }
}

#[test]
fn balanced_batches_have_both_diagnoses_and_change_a_photograph_anew_each_time() {
    let place = Place::new();
    let refuge = place.open_at(SIDE, SIDE, CropPlacement::CENTRED);
    let cases: Vec<u32> = (0..24).collect();
    let ill = cases.iter().filter(|&&case| refuge.cases()[case as usize].glaucoma).count();
    assert!(ill > 0 && ill < 6, "{ill} of 24 photographs are ill; the test needs few");
    let samples = FundusSamples::training(&refuge, cases, Augmentation::default()).unwrap().balanced();
    let config = LoaderConfig { batch_size: 4, seed: 3, stream: 0 };
    let mut loader = SharedLoader::new(Arc::new(samples), config, 0).unwrap();
    let mut ill_inputs: Vec<Vec<u32>> = Vec::new();
    for _ in 0..6 {
        let batch = loader.next(GLAUCOMA).unwrap();
        let diagnoses = batch.targets.to_vec1::<u32>().unwrap();
        assert_eq!(diagnoses.iter().sum::<u32>(), 2, "{diagnoses:?}");
        for (at, _) in diagnoses.iter().enumerate().filter(|(_, diagnosis)| **diagnosis == 1) {
            let input = floats(&batch.inputs.get(at).unwrap());
            ill_inputs.push(input.into_iter().map(f32::to_bits).collect());
        }
        loader.next(SEGMENTATION).unwrap();
    }
    // An epoch has 24 turns, 12 of them for fewer ill photographs.
    assert_eq!(ill_inputs.len(), 12);
    let distinct: std::collections::BTreeSet<_> = ill_inputs.into_iter().collect();
    assert_eq!(distinct.len(), 12, "a photograph came twice with the same change");
}

/// Cuts on the host, as the cutter of a card does there.
struct HostCutter(Vec<(Vec<u8>, Vec<u8>, usize)>);

impl Cutter for HostCutter {
    fn cut(&self, index: usize, change: &Change, crop: Crop) -> mtcool_data::Result<(Tensor, Tensor)> {
        let (pixels, classes, side) = &self.0[index];
        let view = |bytes| PixelView { bytes, height: *side, width: *side };
        let [height, width] = crop.size;
        let (mut image, mut mask) = (vec![0.0; 3 * height * width], vec![0; height * width]);
        change.picture(view(pixels), crop, &mut image);
        change.labels(view(classes), crop, 0, &mut mask);
        let device = candle_core::Device::Cpu;
        Ok((
            Tensor::from_vec(image, (3, height, width), &device)?,
            Tensor::from_vec(mask, (1, height, width), &device)?,
        ))
    }
}

#[test]
fn a_cutter_that_has_the_stored_pictures_makes_the_same_samples() {
    let place = Place::new();
    let refuge = place.open_at(SIDE, SIDE, CropPlacement { translation: 5, jitter: 2, seed: 0 });
    let draws: Vec<SampleDraw> = (0..10).map(SampleDraw::plain).collect();
    let training = FundusSamples::training(&refuge, (4..14).collect(), Augmentation::default()).unwrap();
    for samples in [training, FundusSamples::evaluation(&refuge, (4..14).collect())] {
        let pictures = samples.pictures().map(|(pixels, classes)| {
            assert_eq!([pixels.height, classes.width], [SIDE + 10; 2]);
            (pixels.bytes.to_vec(), classes.bytes.to_vec(), pixels.width)
        });
        let (host, cut) = (samples.read(&draws).unwrap(), samples.cut_by(Arc::new(HostCutter(pictures.collect()))));
        let cut = cut.read(&draws).unwrap();
        assert!(floats(&host.inputs) == floats(&cut.inputs));
        for (host, cut) in host.targets.iter().zip(&cut.targets) {
            assert_eq!((host.dims(), floats(host)), (cut.dims(), floats(cut)));
        }
    }
}

#[test]
fn the_disc_stays_inside_of_crops_that_move_by_48_of_512_pixels() {
    let root = tempfile::tempdir().unwrap();
    let set = RefugeSynthesis { train: 20, validation: 20, test: 20, size: DrawnSize::Shrunk(8), seed: 5 };
    set.draw(root.path(), &|_, _| {}).unwrap();
    let open = |crop, side, reach| {
        let placement = CropPlacement { translation: reach, jitter: reach, seed: 0 };
        let config = RefugeConfig { crop, side, placement, allows_copies: false, cache: root.path().join(".cache") };
        Refuge::open(root.path(), &config, &|_, _| {}).unwrap()
    };
    let (moved, wide) = (open(512, 64, 48), open(768, 96, 0));
    let area = |classes: &[u8]| classes.iter().filter(|&&class| class > 0).count();
    let training = FundusSamples::training(&moved, (0..60).collect(), Augmentation::NONE).unwrap();
    for index in 0..60 {
        let whole = area(&wide.classes(index));
        assert_eq!(area(&moved.classes(index)), whole, "evaluation crop of {}", moved.cases()[index].name);
        let batch = training.read(&[SampleDraw::plain(index as u32)]).unwrap();
        let classes = batch.targets[SEGMENTATION].flatten_all().unwrap().to_vec1::<u8>().unwrap();
        assert_eq!(area(&classes), whole, "training crop of {}", moved.cases()[index].name);
    }
}
