//! Smooth noise over the plane: mottled pigment, choroidal vessels, fibres.

use super::geometry::Point2;

/// Gradient noise with values in about -1..1 and features of a width of about 1.
pub(super) fn noise(seed: u32, [x, y]: Point2) -> f32 {
    let (left, top) = (floor(x), floor(y));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let corner = |dx: i32, dy: i32| {
        let hash = hash(seed, left.wrapping_add(dx), top.wrapping_add(dy));
        let (gx, gy) = GRADIENTS[(hash & 7) as usize];
        gx * (fx - dx as f32) + gy * (fy - dy as f32)
    };
    let (sx, sy) = (fade(fx), fade(fy));
    let upper = corner(0, 0) + sx * (corner(1, 0) - corner(0, 0));
    let lower = corner(0, 1) + sx * (corner(1, 1) - corner(0, 1));
    1.5 * (upper + sy * (lower - upper))
}

/// The sum of `octaves` noises, each half as wide and half as strong as the one before.
pub(super) fn fractal(seed: u32, [x, y]: Point2, octaves: u32) -> f32 {
    let octave = |n: u32| {
        let scale = (1u32 << n) as f32;
        noise(seed.wrapping_add(n), [x * scale, y * scale]) / scale
    };
    (0..octaves).map(octave).sum()
}

/// Winding bright lines on a dark background, 0..1.
pub(super) fn ridges(seed: u32, p: Point2) -> f32 {
    let ridge = 1.0 - noise(seed, p).abs() * 1.6;
    ridge.clamp(0.0, 1.0).powi(2)
}

const DIAGONAL: f32 = std::f32::consts::FRAC_1_SQRT_2;
const GRADIENTS: [(f32, f32); 8] = [
    (1.0, 0.0),
    (DIAGONAL, DIAGONAL),
    (0.0, 1.0),
    (-DIAGONAL, DIAGONAL),
    (-1.0, 0.0),
    (-DIAGONAL, -DIAGONAL),
    (0.0, -1.0),
    (DIAGONAL, -DIAGONAL),
];

fn floor(x: f32) -> i32 {
    let truncated = x as i32;
    truncated - i32::from((truncated as f32) > x)
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

fn hash(seed: u32, x: i32, y: i32) -> u32 {
    let mut h = seed ^ (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}
