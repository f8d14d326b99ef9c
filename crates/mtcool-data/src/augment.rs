//! Random changes that move a picture and its labels together: flips, rotation, scale, colour.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// How much pictures may change. Every amount is drawn evenly from its range, whatever the other amounts are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AugmentConfig {
    /// Mirror left and right, top and bottom, each half of the time.
    pub flips: bool,
    /// Turn by a multiple of 90 degrees.
    pub right_angles: bool,
    /// Turn by up to so many degrees either way.
    pub rotation: f64,
    /// Magnify or shrink by up to this factor, at least 1 (evenly in the logarithm).
    pub scale: f64,
    /// Brighten or darken: the logarithm of the factor lies within this of 0.
    pub brightness: f64,
    /// The same for each colour by itself.
    pub tint: f64,
    /// The same for the exponent of the brightness in 0..1.
    pub gamma: f64,
}

impl AugmentConfig {
    /// No change at all.
    pub const NONE: Self =
        Self { flips: false, right_angles: false, rotation: 0.0, scale: 1.0, brightness: 0.0, tint: 0.0, gamma: 0.0 };

    /// Refuses amounts that mean nothing.
    ///
    /// # Errors
    /// If `scale` is below 1, or another amount negative or not finite.
    pub fn check(&self) -> Result<()> {
        let amounts = [
            ("rotation", self.rotation, 0.0, 180.0),
            ("scale", self.scale, 1.0, 8.0),
            ("brightness", self.brightness, 0.0, 2.0),
            ("tint", self.tint, 0.0, 2.0),
            ("gamma", self.gamma, 0.0, 2.0),
        ];
        for (key, value, least, most) in amounts {
            if !(least..=most).contains(&value) {
                return Err(Error::Setting { key, value, expected: format!("at least {least} and at most {most}") });
            }
        }
        Ok(())
    }

    /// Draws one change. It takes the same numbers from `generator` whatever the amounts are.
    pub fn draw(&self, generator: &mut ChaCha8Rng) -> Augmentation {
        let mut either = || generator.random_range(-1.0..1.0f64);
        let (turn, scale, brightness, gamma) = (either(), either(), either(), either());
        let tint = [either(), either(), either()];
        let (quarters, mirror_x, mirror_y) =
            (generator.random_range(0..4usize), generator.random::<bool>(), generator.random::<bool>());
        // Whole numbers, so that flips and right angles move pixels without touching them.
        let (sin, cos) =
            [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)][if self.right_angles { quarters } else { 0 }];
        let mirror = |mirrored: bool| if self.flips && mirrored { -1.0 } else { 1.0 };
        let mut to_source = times([[cos, -sin], [sin, cos]], [[mirror(mirror_x), 0.0], [0.0, mirror(mirror_y)]]);
        if self.rotation > 0.0 {
            let (sin, cos) = (turn * self.rotation).to_radians().sin_cos();
            to_source = times([[cos, -sin], [sin, cos]], to_source);
        }
        // A picture is magnified where a step in it is a smaller step in its source.
        let step = self.scale.powf(-scale);
        to_source = to_source.map(|row| row.map(|element| element * step));
        let gain = tint.map(|tint| (brightness * self.brightness + tint * self.tint).exp());
        Augmentation { to_source, levels: Levels::new((gamma * self.gamma).exp(), gain) }
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

/// A change that was drawn: the same for a picture and its labels.
#[derive(Clone, Debug)]
pub struct Augmentation {
    /// From an offset (x, y) off the crop's centre to one in the source.
    to_source: [[f64; 2]; 2],
    levels: Levels,
}

impl Augmentation {
    /// No change.
    pub fn none() -> Self {
        Self { to_source: [[1.0, 0.0], [0.0, 1.0]], levels: Levels::new(1.0, [1.0; 3]) }
    }

    /// Cuts `crop` from a picture of three channels into `out` `[3, H, W]`, values in 0..=1, bilinear; outside of the picture 0.
    ///
    /// # Panics
    /// If the slices have other lengths.
    pub fn picture(&self, source: Source<'_>, crop: Crop, out: &mut [f32]) {
        assert_eq!(source.bytes.len(), source.height * source.width * 3, "three channels");
        let plane = crop.size[0] * crop.size[1];
        assert_eq!(out.len(), 3 * plane, "three channels out");
        let (red, rest) = out.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for (index, [x, y]) in self.places(crop).enumerate() {
            let pixel = self.blend(source, x - 0.5, y - 0.5);
            (red[index], green[index], blue[index]) = (pixel[0], pixel[1], pixel[2]);
        }
    }

    /// The mean of the four pixels whose centres surround a place, weighted by nearness; 0 for those beyond the picture. A place
    /// on a centre is that very pixel, to the bit.
    fn blend(&self, source: Source<'_>, x: f64, y: f64) -> [f32; 3] {
        let (left, top) = (floor(x), floor(y));
        let (right_share, bottom_share) = ((x - left as f64) as f32, (y - top as f64) as f32);
        let at = |x: isize, y: isize| match index(source, x, y) {
            Some(index) => self.levels.of(&source.bytes[3 * index..3 * index + 3]),
            None => [0.0; 3],
        };
        if right_share == 0.0 && bottom_share == 0.0 {
            return at(left, top);
        }
        let corners = [at(left, top), at(left + 1, top), at(left, top + 1), at(left + 1, top + 1)];
        [0, 1, 2].map(|channel| {
            let [a, b, c, d] = corners.map(|corner| corner[channel]);
            let (upper, lower) = (a + right_share * (b - a), c + right_share * (d - c));
            upper + bottom_share * (lower - upper)
        })
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
#[derive(Clone, Debug)]
struct Levels(Box<[[f32; 3]; 256]>);

impl Levels {
    /// `gain * (value / 255)^gamma`, at most 1: black stays black.
    fn new(gamma: f64, gain: [f64; 3]) -> Self {
        let mut levels = Box::new([[0.0; 3]; 256]);
        for (value, level) in levels.iter_mut().enumerate() {
            let bright = value as f64 / 255.0;
            let bright = if gamma == 1.0 { bright } else { bright.powf(gamma) };
            *level = gain.map(|gain| (gain * bright).min(1.0) as f32);
        }
        Self(levels)
    }

    fn of(&self, pixel: &[u8]) -> [f32; 3] {
        [0, 1, 2].map(|channel| self.0[usize::from(pixel[channel])][channel])
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const HEIGHT: usize = 12;
    const WIDTH: usize = 20;
    const SQUARE: Crop = Crop { center: [9.0, 6.0], size: [8, 8] };

    const GEOMETRY: AugmentConfig =
        AugmentConfig { flips: true, right_angles: true, rotation: 180.0, scale: 1.5, ..AugmentConfig::NONE };

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
    fn cut(change: &Augmentation, crop: Crop) -> (Vec<f32>, Vec<u8>) {
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
            let (values, classes) = cut(&Augmentation::none(), crop);
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
        let config = AugmentConfig { rotation: 0.0, scale: 1.0, ..GEOMETRY };
        let (plain, plain_labels) = cut(&Augmentation::none(), SQUARE);
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
        let config = AugmentConfig { scale: 2.0, ..AugmentConfig::NONE };
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
        let config = AugmentConfig { brightness: 0.4, tint: 0.2, gamma: 0.3, ..AugmentConfig::NONE };
        let (_, labels) = cut(&Augmentation::none(), SQUARE);
        for stream in 0..50 {
            let change = config.draw(&mut generator(stream));
            assert_eq!(cut(&change, SQUARE).1, labels);
            assert_eq!(change.levels.0[0], [0.0; 3]);
            for channel in 0..3 {
                let levels: Vec<f32> = change.levels.0.iter().map(|level| level[channel]).collect();
                assert!(levels.is_sorted() && levels[255] <= 1.0);
                let log = f64::from(levels[128]).ln() / (128.0f64 / 255.0).ln();
                assert!(log > 0.0, "{log}");
            }
        }
        assert!(Augmentation::none().levels.0.iter().enumerate().all(|(v, level)| *level == [v as f32 / 255.0; 3]));
    }

    #[test]
    fn a_change_takes_the_same_numbers_whatever_the_amounts() {
        let (mut a, mut b) = (generator(3), generator(3));
        AugmentConfig::NONE.draw(&mut a);
        AugmentConfig { brightness: 0.1, ..GEOMETRY }.draw(&mut b);
        assert_eq!(a.random::<u64>(), b.random::<u64>());
    }

    #[test]
    fn amounts_without_meaning_are_refused_by_name() {
        assert!(AugmentConfig::NONE.check().is_ok() && GEOMETRY.check().is_ok());
        for (config, key) in [
            (AugmentConfig { scale: 0.9, ..AugmentConfig::NONE }, "`scale` is 0.9"),
            (AugmentConfig { rotation: -1.0, ..AugmentConfig::NONE }, "`rotation` is -1"),
            (AugmentConfig { gamma: f64::NAN, ..AugmentConfig::NONE }, "`gamma` is NaN"),
        ] {
            assert!(config.check().unwrap_err().to_string().contains(key));
        }
    }
}
