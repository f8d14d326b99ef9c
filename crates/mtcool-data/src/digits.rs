//! Procedural handwritten digits in MNIST's own file layout: any number of them, drawn from a seed without any download.
//!
//! A digit is a few strokes of a pen. Each image bends the strokes, slants, turns, scales and shifts them, picks a pen width and
//! pressure, and adds noise; some are crossed by a stray line or have lost a piece. So a few digits are ambiguous, as in the
//! real set.

use std::f32::consts::PI;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::mnist::{idx, write};
use crate::origin::Origin;

/// The version of the drawing rules; it is part of a synthetic set's origin.
const GENERATOR: u32 = 2;
/// Side of an image in pixels.
const SIDE: usize = 28;

/// How many digits to draw, and from what seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigitsConfig {
    /// Images of the training file, at least 60: a sixth becomes the validation split.
    pub train: usize,
    /// Images of the test file, at least 10.
    pub test: usize,
    /// Every image is a function of it and the image's index.
    pub seed: u64,
}

/// Draws the digits of `config` and writes them to `folder` as MNIST's four IDX files, with a manifest that says they are
/// synthetic.
///
/// # Errors
/// If a count is too small or the folder cannot be written.
pub fn write_digits(folder: &Path, config: DigitsConfig) -> Result<()> {
    for (key, value, least) in [("train", config.train, 60), ("test", config.test, 10)] {
        if value < least {
            return Err(Error::OutOfRange { key, value, expected: format!("at least {least}") });
        }
    }
    let (train_images, train_labels) = draw_all(config.seed, 0, config.train);
    let (test_images, test_labels) = draw_all(config.seed, config.train as u64, config.test);
    let contents = [&train_images[..], &train_labels, &test_images, &test_labels];
    write(folder, contents, &digits_origin(config.seed))
}

/// The origin of the files that are drawn from `seed`.
pub fn digits_origin(seed: u64) -> Origin {
    Origin::Synthetic { seed, generator: GENERATOR }
}

/// Images and labels `first..first + count` of the endless sequence of `seed`, as IDX files.
fn draw_all(seed: u64, first: u64, count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut pixels = vec![0; count * SIDE * SIDE];
    let labels = pixels.par_chunks_mut(SIDE * SIDE).enumerate().map(|(index, image)| {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(first + index as u64);
        let digit = generator.random_range(0..10);
        draw(digit, &mut generator, image);
        digit
    });
    let labels: Vec<u8> = labels.collect();
    (idx(&[count, SIDE, SIDE], &pixels), idx(&[count], &labels))
}

type Point2 = [f32; 2];

/// Draws one image of `digit`, bright on dark.
fn draw(digit: u8, generator: &mut ChaCha8Rng, image: &mut [u8]) {
    let mut between = |low: f32, high: f32| generator.random_range(low..high);
    let (angle, slant) = (between(-0.4, 0.4), between(-0.5, 0.5));
    let (scale_x, scale_y) = (between(5.5, 10.0), between(7.0, 11.0));
    let (shift_x, shift_y) = (between(-2.5, 2.5), between(-2.5, 2.5));
    let (pen, pressure, noise) = (between(0.6, 2.2), between(110.0, 255.0), between(0.0, 50.0));
    // Two slow waves along the strokes bend them, so neighbouring points move in a similar way.
    let (bend, phase_x, phase_y) = (between(0.0, 0.3), between(0.0, 2.0 * PI), between(0.0, 2.0 * PI));
    let mut strokes = strokes(digit);
    for (at, point) in strokes.iter_mut().flatten().enumerate() {
        let wave = at as f32 * 0.45;
        let (x, y) = (point[0] + bend * (wave + phase_x).sin(), point[1] + bend * (wave + phase_y).sin());
        let (x, y) = ((x + slant * y) * scale_x, y * scale_y);
        let (sin, cos) = angle.sin_cos();
        *point = [14.0 + shift_x + x * cos - y * sin, 14.0 - shift_y - x * sin - y * cos];
    }
    let mut segments: Vec<(Point2, Point2)> = strokes.iter().flat_map(|s| s.windows(2).map(|w| (w[0], w[1]))).collect();
    if between(0.0, 1.0) < 0.3 {
        // The pen leaves the paper for a moment.
        let lost = between(0.0, segments.len() as f32 - 0.5) as usize;
        segments.drain(lost..(lost + 1 + segments.len() / 8).min(segments.len()));
    }
    if between(0.0, 1.0) < 0.3 {
        let (x, y, turn, length) = (between(4.0, 24.0), between(4.0, 24.0), between(0.0, PI), between(3.0, 9.0));
        segments.push(([x, y], [x + length * turn.cos(), y + length * turn.sin()]));
    }
    for (index, pixel) in image.iter_mut().enumerate() {
        let center = [(index % SIDE) as f32 + 0.5, (index / SIDE) as f32 + 0.5];
        let distance = segments.iter().map(|&(a, b)| squared_distance(center, a, b)).fold(f32::MAX, f32::min).sqrt();
        let ink = (pen + 0.5 - distance).clamp(0.0, 1.0) * pressure;
        *pixel = (ink + noise * (between(-1.0, 1.0) + between(-1.0, 1.0))).clamp(0.0, 255.0) as u8;
    }
}

/// Squared distance of `p` from the segment `a`-`b`.
fn squared_distance(p: Point2, a: Point2, b: Point2) -> f32 {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length = along[0] * along[0] + along[1] * along[1];
    let t = if length > 0.0 { ((to[0] * along[0] + to[1] * along[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    (to[0] - t * along[0]).powi(2) + (to[1] - t * along[1]).powi(2)
}

/// The pen strokes of a digit in the box -1..1 by -1..1, y upwards.
fn strokes(digit: u8) -> Vec<Vec<Point2>> {
    match digit {
        0 => vec![arc([0.0, 0.0], 0.65, 0.95, 0.5, 2.5)],
        1 => vec![vec![[-0.3, 0.6], [0.05, 0.95], [0.05, -0.95]]],
        2 => vec![[arc([0.0, 0.45], 0.6, 0.5, 0.95, -0.15), vec![[-0.65, -0.95], [0.7, -0.95]]].concat()],
        3 => vec![[arc([-0.05, 0.48], 0.6, 0.47, 0.8, -0.5), arc([-0.05, -0.45], 0.68, 0.5, 0.5, -0.85)].concat()],
        4 => vec![vec![[0.3, 0.95], [-0.65, -0.25], [0.7, -0.25]], vec![[0.3, 0.95], [0.3, -0.95]]],
        5 => vec![[vec![[0.55, 0.95], [-0.5, 0.95], [-0.55, 0.1]], arc([0.0, -0.35], 0.62, 0.6, 0.75, -0.8)].concat()],
        6 => vec![[vec![[0.4, 0.95], [-0.25, 0.45]], arc([0.0, -0.4], 0.58, 0.55, 0.85, 2.9)].concat()],
        7 => vec![vec![[-0.65, 0.9], [0.65, 0.9], [-0.1, -0.95]]],
        8 => vec![arc([0.0, 0.47], 0.5, 0.46, 0.0, 2.0), arc([0.0, -0.47], 0.6, 0.48, 0.0, 2.0)],
        _ => vec![[arc([0.0, 0.4], 0.55, 0.52, 0.0, 2.0), vec![[0.5, 0.35], [0.35, -0.95]]].concat()],
    }
}

/// Part of an ellipse from angle `from` to `to`, both in units of pi.
fn arc(center: Point2, radius_x: f32, radius_y: f32, from: f32, to: f32) -> Vec<Point2> {
    const STEPS: usize = 14;
    let at = |step: usize| {
        let (sin, cos) = (PI * (from + (to - from) * step as f32 / STEPS as f32)).sin_cos();
        [center[0] + radius_x * cos, center[1] + radius_y * sin]
    };
    (0..=STEPS).map(at).collect()
}
