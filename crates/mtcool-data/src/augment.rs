//! Random changes of a picture that do not change what it shows: image and labels move together.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How far pictures may be changed. Every amount is drawn evenly from its range, whatever the other amounts are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Whether every second picture is mirrored left to right.
    pub mirror: bool,
    /// Whether every second picture is turned upside down.
    pub flip: bool,
    /// Whether pictures are turned by a multiple of 90 degrees.
    pub right_angles: bool,
    /// Largest rotation either way, in degrees.
    pub rotation: f32,
    /// Largest magnification: pictures are scaled by `1 / (1 + scale)..=1 + scale`, evenly in the logarithm.
    pub scale: f32,
    /// Largest change of brightness, as a part of white. Black becomes grey by it; by `exposure` it stays black.
    pub brightness: f32,
    /// Contrast changes by a factor of `1 - contrast..=1 + contrast`, middle grey staying what it is.
    pub contrast: f32,
    /// All channels change by one factor whose logarithm lies within `-exposure..=exposure`.
    pub exposure: f32,
    /// Each channel changes by a factor of `1 - tint..=1 + tint`.
    pub tint: f32,
    /// The exponent of values in 0..1 has its logarithm within `-gamma..=gamma`.
    pub gamma: f32,
}

/// What fundus photographs bear.
impl Default for Augmentation {
    fn default() -> Self {
        let geometry = Self { mirror: true, flip: true, rotation: 20.0, scale: 0.15, ..Self::NONE };
        Self { brightness: 0.08, contrast: 0.2, tint: 0.1, ..geometry }
    }
}

impl Augmentation {
    /// No change at all.
    pub const NONE: Self = Self {
        mirror: false,
        flip: false,
        right_angles: false,
        rotation: 0.0,
        scale: 0.0,
        brightness: 0.0,
        contrast: 0.0,
        exposure: 0.0,
        tint: 0.0,
        gamma: 0.0,
    };

    /// Refuses amounts that mean nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if an amount is negative, not finite or too large; the message names its range.
    pub fn check(&self) -> Result<()> {
        let amounts = [
            ("rotation", self.rotation, 180.0),
            ("scale", self.scale, 7.0),
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("exposure", self.exposure, 2.0),
            ("tint", self.tint, 1.0),
            ("gamma", self.gamma, 2.0),
        ];
        match amounts.into_iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            Some((key, value, most)) => {
                Err(Error::Setting { key, value, expected: format!("at least 0 and at most {most}") })
            }
            None => Ok(()),
        }
    }

    /// Draws a change. It takes the same numbers from `generator` whatever the amounts are.
    pub fn draw(&self, generator: &mut ChaCha8Rng) -> Change {
        let mut within = |amount: f32| f64::from(amount) * generator.random_range(-1.0..1.0f64);
        let (turn, zoom) = (within(self.rotation), within(1.0));
        let (brightness, contrast) = (within(self.brightness), 1.0 + within(self.contrast));
        let (exposure, exponent) = (within(self.exposure).exp(), within(self.gamma).exp());
        let gain = [0, 1, 2].map(|_| contrast * exposure * (1.0 + within(self.tint)));
        let (quarters, mirrored, flipped) =
            (generator.random_range(0..4usize), generator.random::<bool>(), generator.random::<bool>());
        // Whole numbers, so that flips and right angles move pixels without touching them.
        let (sin, cos) =
            [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)][if self.right_angles { quarters } else { 0 }];
        let sign = |is_turned: bool| if is_turned { -1.0 } else { 1.0 };
        let signs = [[sign(self.mirror && mirrored), 0.0], [0.0, sign(self.flip && flipped)]];
        let mut to_source = times([[cos, -sin], [sin, cos]], signs);
        if self.rotation > 0.0 {
            let (sin, cos) = turn.to_radians().sin_cos();
            to_source = times([[cos, -sin], [sin, cos]], to_source);
        }
        // A picture is magnified where a step in it is a smaller step in its source.
        let step = (1.0 + f64::from(self.scale)).powf(-zoom);
        to_source = to_source.map(|row| row.map(|element| element * step));
        // Contrast turns around middle grey.
        Change { to_source, exponent, gain, offset: 0.5 * (1.0 - contrast) + brightness }
    }
}

fn times(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let element = |row: usize, column: usize| a[row][0] * b[0][column] + a[row][1] * b[1][column];
    [[element(0, 0), element(0, 1)], [element(1, 0), element(1, 1)]]
}

/// Interleaved bytes `[H, W, C]` to cut from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `height * width * channels` of them.
    pub bytes: &'a [u8],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// A rectangle to cut out, before it is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// Its centre (x, y) in the source; pixel k covers k..k + 1, so a crop of pixels a..b has its centre at (a + b) / 2.
    pub center: [f64; 2],
    /// Rows and columns of the result.
    pub size: [usize; 2],
}

impl Crop {
    /// All of `source`.
    pub fn whole(source: Source<'_>) -> Self {
        let [width, height] = [source.width, source.height];
        Self { center: [width, height].map(|side| side as f64 / 2.0), size: [height, width] }
    }
}

/// One drawn change: the same for a picture and its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// From an offset (x, y) off the crop's centre to one in the source.
    to_source: [[f64; 2]; 2],
    /// Value v in 0..=1 of channel c becomes `gain[c] * v^exponent + offset`.
    exponent: f64,
    gain: [f64; 3],
    offset: f64,
}

impl Change {
    /// No change.
    pub const NONE: Self = Self { to_source: [[1.0, 0.0], [0.0, 1.0]], exponent: 1.0, gain: [1.0; 3], offset: 0.0 };

    /// From an offset (x, y) off the crop's centre to one in the source, row by row.
    pub fn to_source(&self) -> [[f64; 2]; 2] {
        self.to_source
    }

    /// What becomes of each of the 256 values of red, green and blue.
    pub fn levels(&self) -> [[f32; 3]; 256] {
        Levels::new(self).0
    }

    /// Cuts `crop` from a picture of three channels into `out` `[3, H, W]`, values in 0..=1, bilinear. Outside of the picture
    /// all is black, and changed as black is.
    ///
    /// # Panics
    /// If the slices have other lengths.
    pub fn picture(&self, source: Source<'_>, crop: Crop, out: &mut [f32]) {
        assert_eq!(source.bytes.len(), source.height * source.width * 3, "three channels");
        let plane = crop.size[0] * crop.size[1];
        assert_eq!(out.len(), 3 * plane, "three channels out");
        let (red, rest) = out.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let levels = Levels::new(self);
        for (index, [x, y]) in self.places(crop).enumerate() {
            let pixel = levels.blend(source, x - 0.5, y - 0.5);
            (red[index], green[index], blue[index]) = (pixel[0], pixel[1], pixel[2]);
        }
    }

    /// Cuts `crop` from labels of one channel into `out` `[H, W]`, each pixel that of its place; `outside` outside of the source.
    ///
    /// # Panics
    /// If the slices have other lengths.
    pub fn labels(&self, source: Source<'_>, crop: Crop, outside: u8, out: &mut [u8]) {
        assert_eq!(source.bytes.len(), source.height * source.width, "one channel");
        assert_eq!(out.len(), crop.size[0] * crop.size[1], "one channel out");
        for (label, [x, y]) in out.iter_mut().zip(self.places(crop)) {
            let index = index(source, floor(x), floor(y));
            *label = index.map_or(outside, |index| source.bytes[index]);
        }
    }

    /// Where the centres of the result's pixels lie in the source, row by row.
    fn places(&self, crop: Crop) -> impl Iterator<Item = [f64; 2]> + '_ {
        let [height, width] = crop.size;
        let [[xx, xy], [yx, yy]] = self.to_source;
        (0..height).flat_map(move |row| {
            let dy = row as f64 + 0.5 - height as f64 / 2.0;
            let (x, y) = (crop.center[0] + xy * dy, crop.center[1] + yy * dy);
            (0..width).map(move |column| {
                let dx = column as f64 + 0.5 - width as f64 / 2.0;
                [x + xx * dx, y + yx * dx]
            })
        })
    }
}

/// Where a pixel lies in the source, if it does.
fn index(source: Source<'_>, x: isize, y: isize) -> Option<usize> {
    // A negative number becomes one that is larger than any side.
    let (x, y) = (x as usize, y as usize);
    (x < source.width && y < source.height).then(|| y * source.width + x)
}

/// The whole number below; faster than the function of the same name, which is a call on processors of the base line.
fn floor(value: f64) -> isize {
    let truncated = value as isize;
    truncated - isize::from(value < truncated as f64)
}

/// What becomes of each of the 256 values of red, green and blue.
struct Levels([[f32; 3]; 256]);

impl Levels {
    fn new(change: &Change) -> Self {
        let mut levels = [[0.0; 3]; 256];
        for (value, level) in levels.iter_mut().enumerate() {
            let bright = value as f64 / 255.0;
            let bright = if change.exponent == 1.0 { bright } else { bright.powf(change.exponent) };
            *level = change.gain.map(|gain| (gain * bright + change.offset).clamp(0.0, 1.0) as f32);
        }
        Self(levels)
    }

    fn of(&self, pixel: &[u8]) -> [f32; 3] {
        [0, 1, 2].map(|channel| self.0[usize::from(pixel[channel])][channel])
    }

    /// The mean of the four pixels whose centres surround a place, weighted by nearness; black for those beyond the picture. A
    /// place on a centre is that very pixel, to the bit.
    fn blend(&self, source: Source<'_>, x: f64, y: f64) -> [f32; 3] {
        let (left, top) = (floor(x), floor(y));
        let (right_share, bottom_share) = ((x - left as f64) as f32, (y - top as f64) as f32);
        let at = |x: isize, y: isize| match index(source, x, y) {
            Some(index) => self.of(&source.bytes[3 * index..3 * index + 3]),
            None => self.0[0],
        };
        if right_share == 0.0 && bottom_share == 0.0 {
            return at(left, top);
        }
        let corners = match (index(source, left, top), index(source, left + 1, top + 1)) {
            // Nearly every place: all four exist, two rows of two neighbours.
            (Some(first), Some(last)) => {
                let (upper, lower) = (&source.bytes[3 * first..][..6], &source.bytes[3 * last - 3..][..6]);
                [self.of(&upper[..3]), self.of(&upper[3..]), self.of(&lower[..3]), self.of(&lower[3..])]
            }
            _ => [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)],
        };
        [0, 1, 2].map(|channel| {
            let [a, b, c, d] = corners.map(|corner| corner[channel]);
            let (upper, lower) = (a + right_share * (b - a), c + right_share * (d - c));
            upper + bottom_share * (lower - upper)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    use super::*;

    const HEIGHT: usize = 12;
    const WIDTH: usize = 20;
    const SQUARE: Crop = Crop { center: [9.0, 6.0], size: [8, 8] };

    const GEOMETRY: Augmentation = Augmentation {
        mirror: true,
        flip: true,
        right_angles: true,
        rotation: 180.0,
        scale: 0.5,
        ..Augmentation::NONE
    };

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

    fn source(bytes: &[u8]) -> Source<'_> {
        Source { bytes, height: HEIGHT, width: WIDTH }
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
                    assert_eq!(
                        pixel,
                        if inside { [x as f32, y as f32, 7.0] } else { [0.0; 3] },
                        "{crop:?} {row} {column}"
                    );
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
            (
                Augmentation { contrast: 1.1, ..Augmentation::NONE },
                "`contrast` is 1.1: expected at least 0 and at most 1",
            ),
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
        let source = |bytes| Source { bytes, height: SIZE[0], width: SIZE[1] };
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
        let changes: Vec<Change> =
            (0..400).map(|seed| augmentation.draw(&mut ChaCha8Rng::seed_from_u64(seed))).collect();
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
        assert!(
            changes.iter().any(|change| change.gain[0] > 1.15) && changes.iter().any(|change| change.gain[2] < 0.85)
        );
        assert!(color(&changes[0]) != color(&changes[1]));
    }

    #[test]
    fn what_comes_in_at_the_edges_is_black_as_the_change_has_it() {
        let brighter = Change { to_source: [[2.0, 0.0], [0.0, 2.0]], offset: 0.25, ..Change::NONE };
        let (image, labels) = apply(&brighter);
        assert_eq!((labels[0], image[0]), (OUTSIDE, 0.25));
        assert!(image.iter().all(|value| (0.25..=1.0).contains(value)));
    }
}
