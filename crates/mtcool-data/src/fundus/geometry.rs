//! Points of the plane, smooth steps and curves, and the view that a camera has of a retina.

/// A point or a vector; x points to the right, y downwards.
pub(super) type Point2 = [f32; 2];

pub(super) fn add(a: Point2, b: Point2) -> Point2 {
    [a[0] + b[0], a[1] + b[1]]
}

pub(super) fn sub(a: Point2, b: Point2) -> Point2 {
    [a[0] - b[0], a[1] - b[1]]
}

pub(super) fn scale(a: Point2, factor: f32) -> Point2 {
    [a[0] * factor, a[1] * factor]
}

pub(super) fn length(a: Point2) -> f32 {
    (a[0] * a[0] + a[1] * a[1]).sqrt()
}

/// `a` scaled to length 1; a zero vector stays zero.
pub(super) fn unit(a: Point2) -> Point2 {
    scale(a, 1.0 / length(a).max(1e-9))
}

pub(super) fn rotate([x, y]: Point2, angle: f32) -> Point2 {
    let (sin, cos) = angle.sin_cos();
    [x * cos - y * sin, x * sin + y * cos]
}

/// Rises from 0 at `from` to 1 at `to`, flat at both ends; `from` may be larger than `to`.
pub(super) fn smooth_step(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A bell of width `width` around 0.
pub(super) fn bell(x: f32, width: f32) -> f32 {
    (-(x / width).powi(2)).exp()
}

/// The point at `t` in 0..1 between `b` and `c` on the smooth curve through all four (Catmull-Rom).
pub(super) fn catmull_rom([a, b, c, d]: [Point2; 4], t: f32) -> Point2 {
    let along = |axis: usize| {
        let [a, b, c, d] = [a[axis], b[axis], c[axis], d[axis]];
        let (t2, t3) = (t * t, t * t * t);
        0.5 * (2.0 * b + (c - a) * t + (2.0 * a - 5.0 * b + 4.0 * c - d) * t2 + (3.0 * (b - c) + d - a) * t3)
    };
    [along(0), along(1)]
}

/// The camera's view of the retina: the field of view is the unit circle, clipped by the frame.
///
/// Retinal coordinates are those of a right eye with the fovea at the origin, in radii of the field of view: the nose is at
/// positive x, the forehead at negative y.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// The centre of the field of view, in retinal coordinates.
    pub(super) center: Point2,
    /// Sine and cosine of the camera's tilt.
    tilt: (f32, f32),
    left_eye: bool,
    /// The middle of the frame, in pixels.
    middle: Point2,
    /// The radius of the field of view, in pixels.
    pub(super) radius: f32,
}

/// The diameter of the field of view divided by the longer side of the frame.
const FILL: f32 = 0.965;

impl View {
    pub(super) fn new(center: Point2, rotation: f32, left_eye: bool, [height, width]: [usize; 2]) -> Self {
        let radius = 0.5 * FILL * height.max(width) as f32;
        Self { center, tilt: rotation.sin_cos(), left_eye, middle: [0.5 * width as f32, 0.5 * height as f32], radius }
    }

    /// The middle of pixel (`row`, `column`) in coordinates in which the field of view is the unit circle.
    pub(super) fn field(&self, row: usize, column: usize) -> Point2 {
        let from_middle = sub([column as f32 + 0.5, row as f32 + 0.5], self.middle);
        scale(from_middle, 1.0 / self.radius)
    }

    /// Converts a point of the field of view to retinal coordinates.
    pub(super) fn retina(&self, field: Point2) -> Point2 {
        let ((sin, cos), [x, y]) = (self.tilt, field);
        let [x, y] = [x * cos - y * sin, x * sin + y * cos];
        add([if self.left_eye { -x } else { x }, y], self.center)
    }

    /// Converts retinal coordinates to pixels; pixel (r, c) covers `[c, c + 1] x [r, r + 1]`.
    pub(super) fn pixel(&self, retina: Point2) -> Point2 {
        let [x, y] = sub(retina, self.center);
        let ((sin, cos), x) = (self.tilt, if self.left_eye { -x } else { x });
        add(scale([x * cos + y * sin, y * cos - x * sin], self.radius), self.middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_retinal_points_are_inverse_to_each_other() {
        for left_eye in [false, true] {
            let view = View::new([0.2, -0.1], 0.3, left_eye, [300, 400]);
            for (row, column) in [(0, 0), (17, 333), (299, 120)] {
                let [x, y] = view.pixel(view.retina(view.field(row, column)));
                assert!((x - column as f32 - 0.5).abs() < 1e-3 && (y - row as f32 - 0.5).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn a_curve_goes_through_its_points() {
        let points = [[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]];
        assert_eq!(catmull_rom(points, 0.0), points[1]);
        assert_eq!(catmull_rom(points, 1.0), points[2]);
    }
}
