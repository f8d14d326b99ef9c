//! Changes of pictures and labels, drawn and applied.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::change::Levels;
use super::*;

const HEIGHT: usize = 12;
const WIDTH: usize = 20;
const SQUARE: Crop = Crop { center: [9.0, 6.0], size: [8, 8] };

const GEOMETRY: Augmentation =
    Augmentation { mirror: true, flip: true, right_angles: true, rotation: 180.0, scale: 0.5, ..Augmentation::NONE };

/// Red is the column, green the row, so that a bilinear value says where it was taken.
fn coordinates() -> (Vec<u8>, Vec<u8>) {
    let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x as u8, y as u8)));
    places.map(|(x, y)| ([x, y, 7], y * WIDTH as u8 + x)).map(|(p, label)| (p.to_vec(), label)).fold(
        (Vec::new(), Vec::new()),
        |(mut picture, mut labels), (pixel, label)| {
            picture.extend(pixel);
            labels.push(label);
            (picture, labels)
        },
    )
}

fn source(bytes: &[u8]) -> PixelView<'_> {
    PixelView { bytes, height: HEIGHT, width: WIDTH }
}

fn generator(stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    generator.set_stream(stream);
    generator
}

/// (picture in 0..=255, labels) of `crop`.
fn cut(change: &Change, crop: Crop) -> (Vec<f32>, Vec<u8>) {
    let (picture, labels) = coordinates();
    let pixels = crop.size[0] * crop.size[1];
    let (mut values, mut classes) = (vec![0.0; 3 * pixels], vec![0; pixels]);
    change.picture(source(&picture), crop, &mut values);
    change.labels(source(&labels), crop, 255, &mut classes);
    (values.iter().map(|value| value * 255.0).collect(), classes)
}

#[test]
fn without_change_a_crop_is_the_source_and_0_beyond_it() {
    for crop in [SQUARE, Crop { center: [1.5, 11.0], size: [6, 9] }] {
        let (values, classes) = cut(&Change::NONE, crop);
        let [height, width] = crop.size;
        for row in 0..height {
            for column in 0..width {
                let x = crop.center[0] as isize * 2 + column as isize * 2 - width as isize;
                let x = if width % 2 == 1 { (x + 1).div_euclid(2) } else { x.div_euclid(2) };
                let y = crop.center[1] as isize + row as isize - height as isize / 2;
                let inside = (0..WIDTH as isize).contains(&x) && (0..HEIGHT as isize).contains(&y);
                let index = row * width + column;
                let plane = height * width;
                let pixel = [values[index], values[plane + index], values[2 * plane + index]].map(f32::round);
                assert_eq!(pixel, if inside { [x as f32, y as f32, 7.0] } else { [0.0; 3] }, "{crop:?} {row} {column}");
                assert_eq!(classes[index], if inside { (y * WIDTH as isize + x) as u8 } else { 255 });
            }
        }
    }
}

#[test]
fn flips_and_right_angles_move_pixels_untouched_and_all_eight_come() {
    let config = Augmentation { rotation: 0.0, scale: 0.0, ..GEOMETRY };
    let (plain, plain_labels) = cut(&Change::NONE, SQUARE);
    let mut seen = std::collections::BTreeSet::new();
    for stream in 0..200 {
        let (values, labels) = cut(&config.draw(&mut generator(stream)), SQUARE);
        for (index, label) in labels.iter().enumerate() {
            let from = plain_labels.iter().position(|plain| plain == label).unwrap();
            for channel in 0..3 {
                assert_eq!(values[channel * 64 + index].to_bits(), plain[channel * 64 + from].to_bits());
            }
        }
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, plain_labels, "every pixel once");
        seen.insert(labels);
    }
    assert_eq!(seen.len(), 8);
}

#[test]
fn picture_and_labels_move_together() {
    // Small enough to stay inside however it is turned.
    let crop = Crop { center: [9.7, 5.8], size: [5, 4] };
    for stream in 0..200 {
        let (values, labels) = cut(&GEOMETRY.draw(&mut generator(stream)), crop);
        for (index, &label) in labels.iter().enumerate() {
            let (x, y) = (f32::from(label % WIDTH as u8), f32::from(label / WIDTH as u8));
            let off = (values[index] - x).abs().max((values[20 + index] - y).abs());
            assert!(off < 0.501, "stream {stream}: the label of ({x}, {y}) lies {off} off");
        }
    }
}

#[test]
fn scale_magnifies_and_shrinks_within_its_range() {
    let config = Augmentation { scale: 1.0, ..Augmentation::NONE };
    let crop = Crop { center: [10.0, 6.0], size: [4, 4] };
    let mut steps: Vec<f32> = (0..300)
        .map(|stream| {
            let (values, _) = cut(&config.draw(&mut generator(stream)), crop);
            values[1] - values[0]
        })
        .collect();
    steps.sort_by(f32::total_cmp);
    assert!(steps[0] >= 0.5 && steps[0] < 0.55 && steps[299] <= 2.0 && steps[299] > 1.9);
    assert!((steps[150] - 1.0).abs() < 0.1, "as often larger as smaller: {}", steps[150]);
}

#[test]
fn colour_changes_leave_labels_and_black_alone_and_stay_in_range() {
    let config = Augmentation { exposure: 0.4, tint: 0.2, gamma: 0.3, ..Augmentation::NONE };
    let (_, labels) = cut(&Change::NONE, SQUARE);
    for stream in 0..50 {
        let change = config.draw(&mut generator(stream));
        assert_eq!(cut(&change, SQUARE).1, labels);
        let all = Levels::new(&change).0;
        assert_eq!(all[0], [0.0; 3]);
        for channel in 0..3 {
            let levels: Vec<f32> = all.iter().map(|level| level[channel]).collect();
            assert!(levels.is_sorted() && levels[255] <= 1.0);
            let log = f64::from(levels[128]).ln() / (128.0f64 / 255.0).ln();
            assert!(log > 0.0, "{log}");
        }
    }
    assert!(Levels::new(&Change::NONE).0.iter().enumerate().all(|(v, level)| *level == [v as f32 / 255.0; 3]));
}

#[test]
fn a_change_takes_the_same_numbers_whatever_the_amounts() {
    let (mut a, mut b) = (generator(3), generator(3));
    Augmentation::NONE.draw(&mut a);
    Augmentation { brightness: 0.1, ..GEOMETRY }.draw(&mut b);
    assert_eq!(a.random::<u64>(), b.random::<u64>());
}

#[test]
fn amounts_without_meaning_are_refused_by_name() {
    assert!([Augmentation::NONE, GEOMETRY, Augmentation::default()].iter().all(|config| config.check().is_ok()));
    for (config, key) in [
        (Augmentation { scale: -0.5, ..Augmentation::NONE }, "`scale` is -0.5"),
        (Augmentation { rotation: -1.0, ..Augmentation::NONE }, "`rotation` is -1"),
        (Augmentation { contrast: 1.1, ..Augmentation::NONE }, "`contrast` is 1.1: expected at least 0 and at most 1"),
        (Augmentation { gamma: f32::NAN, ..Augmentation::NONE }, "`gamma` is NaN"),
    ] {
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains(key), "{message}");
    }
}

const SIZE: [usize; 2] = [40, 50];
const OUTSIDE: u8 = 3;

/// A picture whose every channel shows its labels, 80 grey levels a class, and the labels: two overlapping discs.
fn discs() -> (Vec<u8>, Vec<u8>) {
    let label = |index: usize| {
        let (y, x) = ((index / SIZE[1]) as f32, (index % SIZE[1]) as f32);
        let within = |cx: f32, cy: f32, radius: f32| u8::from((x - cx).hypot(y - cy) < radius);
        within(22.0, 15.0, 11.0) + within(25.0, 17.0, 6.0)
    };
    let labels: Vec<u8> = (0..SIZE[0] * SIZE[1]).map(label).collect();
    (labels.iter().flat_map(|&label| [80 * label + 40; 3]).collect(), labels)
}

fn apply(change: &Change) -> (Vec<f32>, Vec<u8>) {
    let (pixels, labels) = discs();
    let (mut image, mut moved) = (vec![0.0; pixels.len()], vec![0; labels.len()]);
    let source = |bytes| PixelView { bytes, height: SIZE[0], width: SIZE[1] };
    let crop = Crop::whole(source(&pixels));
    change.picture(source(&pixels), crop, &mut image);
    change.labels(source(&labels), crop, OUTSIDE, &mut moved);
    (image, moved)
}

proptest! {
    #[test]
    fn image_and_labels_move_together(seed: u64) {
        let geometry = Augmentation { brightness: 0.0, contrast: 0.0, tint: 0.0, ..Augmentation::default() };
        let change = geometry.draw(&mut ChaCha8Rng::seed_from_u64(seed));
        let (image, labels) = apply(&change);
        let plane = SIZE[0] * SIZE[1];
        let mut agreeing = 0;
        for row in 2..SIZE[0] - 2 {
            for column in 2..SIZE[1] - 2 {
                // Where all neighbours carry one label, the image shows exactly its grey.
                let around = (row - 2..row + 3).flat_map(|r| (column - 2..column + 3).map(move |c| r * SIZE[1] + c));
                let label = labels[row * SIZE[1] + column];
                if around.into_iter().all(|index| labels[index] == label) {
                    let expected = if label == OUTSIDE { 0.0 } else { f32::from(80 * label + 40) / 255.0 };
                    for channel in 0..3 {
                        let got = image[channel * plane + row * SIZE[1] + column];
                        prop_assert!((got - expected).abs() < 1e-4, "{got} for label {label} at {row}, {column}");
                    }
                    agreeing += 1;
                }
            }
        }
        prop_assert!(agreeing > 500 && labels.contains(&1) && labels.contains(&2), "{agreeing}");
    }

    #[test]
    fn a_change_follows_from_its_generator(seed: u64) {
        let draw = |seed| Augmentation::default().draw(&mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(draw(seed), draw(seed));
        prop_assert!(draw(seed) != draw(seed ^ 1));
    }
}

#[test]
fn no_change_changes_nothing() {
    let change = Augmentation::NONE.draw(&mut ChaCha8Rng::seed_from_u64(1));
    assert_eq!(change, Change::NONE);
    let ((image, labels), (pixels, original)) = (apply(&change), discs());
    assert_eq!(labels, original);
    for (index, pixel) in pixels.chunks_exact(3).enumerate() {
        assert!((image[index] - f32::from(pixel[0]) / 255.0).abs() < 1e-6);
    }
}

#[test]
fn mirrored_and_flipped_pictures_are_exact() {
    let turn = |to_source| apply(&Change { to_source, ..Change::NONE });
    let (_, original) = discs();
    let at = |labels: &[u8], row: usize, column: usize| labels[row * SIZE[1] + column];
    let [(_, mirrored), (_, flipped)] = [turn([[-1.0, 0.0], [0.0, 1.0]]), turn([[1.0, 0.0], [0.0, -1.0]])];
    for row in 0..SIZE[0] {
        for column in 0..SIZE[1] {
            assert_eq!(at(&mirrored, row, column), at(&original, row, SIZE[1] - 1 - column));
            assert_eq!(at(&flipped, row, column), at(&original, SIZE[0] - 1 - row, column));
        }
    }
}

#[test]
fn every_kind_of_change_is_drawn_within_its_range() {
    let augmentation = Augmentation::default();
    let changes: Vec<Change> = (0..400).map(|seed| augmentation.draw(&mut ChaCha8Rng::seed_from_u64(seed))).collect();
    let determinant = |change: &Change| {
        let [[a, b], [c, d]] = change.to_source;
        a * d - b * c
    };
    let mirrored = changes.iter().filter(|change| determinant(change) < 0.0).count();
    assert!((140..260).contains(&mirrored), "{mirrored} of 400 turned over");
    for change in &changes {
        let zoom = determinant(change).abs().sqrt().recip();
        assert!((1.0 / 1.1501..=1.1501).contains(&zoom), "{zoom}");
        let turned = change.to_source[0][1].abs().atan2(change.to_source[0][0].abs()).to_degrees();
        assert!(turned <= 20.01, "{turned}");
        assert!(change.gain.iter().all(|gain| (0.719..=1.321).contains(gain)) && change.offset.abs() <= 0.181);
    }
    let color = |change: &Change| (change.gain, change.offset);
    assert!(changes.iter().any(|change| change.gain[0] > 1.15) && changes.iter().any(|change| change.gain[2] < 0.85));
    assert!(color(&changes[0]) != color(&changes[1]));
}

#[test]
fn what_comes_in_at_the_edges_is_black_as_the_change_has_it() {
    let brighter = Change { to_source: [[2.0, 0.0], [0.0, 2.0]], offset: 0.25, ..Change::NONE };
    let (image, labels) = apply(&brighter);
    assert_eq!((labels[0], image[0]), (OUTSIDE, 0.25));
    assert!(image.iter().all(|value| (0.25..=1.0).contains(value)));
}
