//! The effects of a camera: blur, a tone curve, noise, and eight bits per value.

use rayon::prelude::*;

use super::random::Dice;
use super::style::{Color, Style};

/// The pixels `[H, W, 3]` that a camera makes of the true `colors`, in rows of `width`, if the radius of the field of view is
/// `radius` pixels. `dice` returns the random numbers of a row.
pub(super) fn expose(
    mut colors: Vec<Color>,
    width: usize,
    radius: f32,
    style: &Style,
    dice: impl Fn(u64) -> Dice + Sync,
) -> Vec<u8> {
    // Even behind a perfect lens, a pixel averages over its own width.
    let deviation = (style.blur * radius).hypot(0.45);
    blur(&mut colors, width, deviation);
    let mut pixels = vec![0; 3 * colors.len()];
    let rows = pixels.par_chunks_mut(3 * width.max(1)).zip(colors.par_chunks(width.max(1))).enumerate();
    rows.for_each(|(row, (pixels, colors))| {
        let mut dice = dice(row as u64);
        for (pixel, &color) in pixels.chunks_exact_mut(3).zip(colors) {
            sense(color, style.noise, &mut dice, pixel);
        }
    });
    pixels
}

/// Computes one pixel of the sensor.
fn sense(color: Color, noise: f32, dice: &mut Dice, pixel: &mut [u8]) {
    let (shared, own) = (grain(dice.bits()), dice.bits());
    for (channel, value) in color.into_iter().enumerate() {
        let signal = shoulder(value);
        let grain = 0.6 * shared + 0.8 * grain(own.rotate_left(10 * channel as u32));
        // Photons arrive at random, and electronics add noise; the blue channel gets the least light.
        let strength = noise * (signal + 0.06).sqrt() * [1.0, 1.0, 1.5][channel];
        pixel[channel] = (255.0 * (signal + strength * grain) + 0.5 + DARK).clamp(0.0, 255.0) as u8;
    }
}

/// The value that a sensor reports without light.
const DARK: f32 = 1.5;

/// A tone curve that is linear for dark tones and stays below 1.
fn shoulder(value: f32) -> f32 {
    let value = value.max(0.0);
    let v2 = value * value;
    value / (1.0 + v2 * v2 * v2).sqrt().cbrt()
}

/// A number with mean 0 and deviation 1 that is nearly normal: the sum of three uniform ones.
fn grain(bits: u32) -> f32 {
    let sum = (bits & 0x3ff) + (bits >> 10 & 0x3ff) + (bits >> 20 & 0x3ff);
    (sum as f32 - 1534.5) / 512.0
}

/// A Gaussian blur along rows, then along columns; pixels at the frame's edge are repeated.
fn blur(colors: &mut [Color], width: usize, deviation: f32) {
    if colors.is_empty() {
        return;
    }
    let reach = (3.0 * deviation).ceil() as usize;
    let weights: Vec<f32> = (0..=reach).map(|n| (-0.5 * (n as f32 / deviation).powi(2)).exp()).collect();
    let total = 2.0 * weights.iter().sum::<f32>() - weights[0];
    let weights: Vec<f32> = weights.iter().map(|weight| weight / total).collect();
    let height = colors.len() / width;
    colors
        .par_chunks_exact_mut(width)
        .for_each_init(|| vec![[0.0; 3]; width + 2 * reach], |line, row| convolve(row, &weights, line));
    // Columns are blurred in the order of memory: every row becomes a weighted sum of the rows around it.
    let source = colors.to_vec();
    colors.par_chunks_exact_mut(width).enumerate().for_each(|(row, target)| {
        let target = target.as_flattened_mut();
        target.fill(0.0);
        for offset in 0..=2 * reach {
            let from = (row + offset).saturating_sub(reach).min(height - 1);
            let weight = weights[offset.abs_diff(reach)];
            let source = source[from * width..(from + 1) * width].as_flattened();
            target.iter_mut().zip(source).for_each(|(target, source)| *target += weight * source);
        }
    });
}

/// Convolves `row` with the symmetric `weights`, which begin with the middle one; `line` is a buffer for the row and its margins.
fn convolve(row: &mut [Color], weights: &[f32], line: &mut [Color]) {
    let reach = weights.len() - 1;
    line[..reach].fill(row[0]);
    line[reach..reach + row.len()].copy_from_slice(row);
    line[reach + row.len()..].fill(row[row.len() - 1]);
    let (row, line) = (row.as_flattened_mut(), line.as_flattened());
    row.fill(0.0);
    for offset in 0..=2 * reach {
        let weight = weights[offset.abs_diff(reach)];
        row.iter_mut().zip(&line[3 * offset..]).for_each(|(target, source)| *target += weight * source);
    }
}
