//! Random changes of a picture that do not change what it shows: image and labels move together.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How far pictures may be changed; every change is drawn uniformly from its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Whether every second picture is mirrored left to right.
    pub mirror: bool,
    /// Whether every second picture is turned upside down.
    pub flip: bool,
    /// Largest rotation either way, in degrees.
    pub rotation: f32,
    /// Largest magnification: pictures are scaled by `1 / (1 + scale)..=1 + scale`.
    pub scale: f32,
    /// Largest change of brightness, as a part of white.
    pub brightness: f32,
    /// Contrast changes by a factor of `1 - contrast..=1 + contrast`.
    pub contrast: f32,
    /// Each channel changes by a factor of `1 - tint..=1 + tint`.
    pub tint: f32,
}

impl Augmentation {
    /// No change at all.
    pub const NONE: Self =
        Self { mirror: false, flip: false, rotation: 0.0, scale: 0.0, brightness: 0.0, contrast: 0.0, tint: 0.0 };
}

/// What fundus photographs bear.
impl Default for Augmentation {
    fn default() -> Self {
        Self { mirror: true, flip: true, rotation: 20.0, scale: 0.15, brightness: 0.08, contrast: 0.2, tint: 0.1 }
    }
}

/// One drawn change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// From a position in the new picture to one in the old, both relative to the middle: `[[xx, xy], [yx, yy]]`.
    inverse: [[f32; 2]; 2],
    /// Channel c becomes `gain[c] * value + offset`, values 0..1.
    gain: [f32; 3],
    offset: f32,
}

impl Augmentation {
    /// Draws a change.
    pub fn draw(&self, generator: &mut ChaCha8Rng) -> Change {
        let mut between = |low: f32, high: f32| low + (high - low) * generator.random::<f32>();
        let mirrored = if self.mirror && between(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
        let flipped = if self.flip && between(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
        let (sin, cos) = between(-self.rotation, self.rotation).to_radians().sin_cos();
        let span = (1.0 + self.scale).ln();
        let zoom = between(-span, span).exp();
        let inverse = [[mirrored * cos / zoom, mirrored * sin / zoom], [-flipped * sin / zoom, flipped * cos / zoom]];
        let contrast = between(1.0 - self.contrast, 1.0 + self.contrast);
        let gain = [0, 1, 2].map(|_| contrast * between(1.0 - self.tint, 1.0 + self.tint));
        // Contrast turns around middle grey.
        let offset = 0.5 * (1.0 - contrast) + between(-self.brightness, self.brightness);
        Change { inverse, gain, offset }
    }
}

impl Change {
    /// Whether positions stay where they are.
    fn keeps_positions(&self) -> bool {
        self.inverse == [[1.0, 0.0], [0.0, 1.0]]
    }

    /// Where pixel (`row`, `column`) of the new picture comes from, as (x, y) with pixel middles at whole numbers.
    fn source(&self, [height, width]: [usize; 2], row: usize, column: usize) -> (f32, f32) {
        let (middle_x, middle_y) = (0.5 * (width as f32 - 1.0), 0.5 * (height as f32 - 1.0));
        let (x, y) = (column as f32 - middle_x, row as f32 - middle_y);
        let [[xx, xy], [yx, yy]] = self.inverse;
        (middle_x + xx * x + xy * y, middle_y + yx * x + yy * y)
    }

    /// The changed picture: from `pixels` `[H, W, 3]` to `target` `[3, H, W]`, values 0..1, bilinear; black comes in at the
    /// edges, and `after` sees every value with its channel.
    pub fn image(&self, pixels: &[u8], size: [usize; 2], target: &mut [f32], after: impl Fn(usize, f32) -> f32) {
        let [height, width] = size;
        let plane = height * width;
        let finish = |channel: usize, value: f32| {
            after(channel, (self.gain[channel] * value / 255.0 + self.offset).clamp(0.0, 1.0))
        };
        if self.keeps_positions() {
            for (index, pixel) in pixels.chunks_exact(3).enumerate() {
                for (channel, &value) in pixel.iter().enumerate() {
                    target[channel * plane + index] = finish(channel, f32::from(value));
                }
            }
            return;
        }
        for row in 0..height {
            for column in 0..width {
                let (x, y) = self.source(size, row, column);
                let (left, top) = (floor(x), floor(y));
                let (part_x, part_y) = (x - left as f32, y - top as f32);
                let corners = corners(pixels, size, left, top);
                for channel in 0..3 {
                    let [a, b, c, d] = corners.map(|corner| f32::from(corner[channel]));
                    let (upper, lower) = (a + part_x * (b - a), c + part_x * (d - c));
                    target[channel * plane + row * width + column] = finish(channel, upper + part_y * (lower - upper));
                }
            }
        }
    }

    /// The labels of the changed picture: from `labels` `[H, W]` to `target` `[H, W]`, the nearest each; `outside` comes in at
    /// the edges.
    pub fn labels(&self, labels: &[u8], size: [usize; 2], target: &mut [u8], outside: u8) {
        if self.keeps_positions() {
            target.copy_from_slice(labels);
            return;
        }
        let [height, width] = size;
        for row in 0..height {
            for column in 0..width {
                let (x, y) = self.source(size, row, column);
                let place = place(size, floor(x + 0.5), floor(y + 0.5));
                target[row * width + column] = place.map_or(outside, |at| labels[at]);
            }
        }
    }
}

/// The pixel's index, if there is such a pixel.
fn place([height, width]: [usize; 2], x: i32, y: i32) -> Option<usize> {
    let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
    (x < width && y < height).then_some(y * width + x)
}

/// The four pixels whose first is at (`left`, `top`), black where there is none.
fn corners(pixels: &[u8], size: [usize; 2], left: i32, top: i32) -> [[u8; 3]; 4] {
    let pair = |upper: &[u8]| [[upper[0], upper[1], upper[2]], [upper[3], upper[4], upper[5]]];
    match (place(size, left, top), place(size, left + 1, top + 1)) {
        (Some(first), Some(last)) => {
            let ([a, b], [c, d]) = (pair(&pixels[3 * first..][..6]), pair(&pixels[3 * last - 3..][..6]));
            [a, b, c, d]
        }
        _ => [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(right, down)| {
            let pixel = place(size, left + right, top + down).map(|at| &pixels[3 * at..][..3]);
            pixel.map_or([0; 3], |pixel| [pixel[0], pixel[1], pixel[2]])
        }),
    }
}

/// As `f32::floor`, which is a function call on processors of the baseline.
fn floor(x: f32) -> i32 {
    let truncated = x as i32;
    truncated - i32::from(x < truncated as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    const SIZE: [usize; 2] = [40, 50];
    const OUTSIDE: u8 = 3;

    /// A picture whose every channel shows its labels, 80 grey levels a class, and the labels: two overlapping discs.
    fn picture() -> (Vec<u8>, Vec<u8>) {
        let label = |index: usize| {
            let (y, x) = ((index / SIZE[1]) as f32, (index % SIZE[1]) as f32);
            let within = |cx: f32, cy: f32, radius: f32| u8::from((x - cx).hypot(y - cy) < radius);
            within(22.0, 15.0, 11.0) + within(25.0, 17.0, 6.0)
        };
        let labels: Vec<u8> = (0..SIZE[0] * SIZE[1]).map(label).collect();
        (labels.iter().flat_map(|&label| [80 * label + 40; 3]).collect(), labels)
    }

    fn apply(change: &Change) -> (Vec<f32>, Vec<u8>) {
        let (pixels, labels) = picture();
        let (mut image, mut moved) = (vec![0.0; pixels.len()], vec![0; labels.len()]);
        change.image(&pixels, SIZE, &mut image, |_, value| value);
        change.labels(&labels, SIZE, &mut moved, OUTSIDE);
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
        assert!(change.keeps_positions());
        let ((image, labels), (pixels, original)) = (apply(&change), picture());
        assert_eq!(labels, original);
        for (index, pixel) in pixels.chunks_exact(3).enumerate() {
            assert!((image[index] - f32::from(pixel[0]) / 255.0).abs() < 1e-6);
        }
    }

    #[test]
    fn mirrored_and_flipped_pictures_are_exact() {
        let turn = |inverse| apply(&Change { inverse, gain: [1.0; 3], offset: 0.0 });
        let (_, original) = picture();
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
            let [[a, b], [c, d]] = change.inverse;
            a * d - b * c
        };
        let mirrored = changes.iter().filter(|change| determinant(change) < 0.0).count();
        assert!((140..260).contains(&mirrored), "{mirrored} of 400 turned over");
        for change in &changes {
            let zoom = determinant(change).abs().sqrt().recip();
            assert!((1.0 / 1.1501..=1.1501).contains(&zoom), "{zoom}");
            let turned = change.inverse[0][1].abs().atan2(change.inverse[0][0].abs()).to_degrees();
            assert!(turned <= 20.01, "{turned}");
            assert!(change.gain.iter().all(|gain| (0.719..=1.321).contains(gain)) && change.offset.abs() <= 0.181);
        }
        let color = |change: &Change| (change.gain, change.offset);
        assert!(
            changes.iter().any(|change| change.gain[0] > 1.15) && changes.iter().any(|change| change.gain[2] < 0.85)
        );
        assert!(color(&changes[0]) != color(&changes[1]));
    }
}
