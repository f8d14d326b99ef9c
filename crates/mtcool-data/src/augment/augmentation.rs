//! How far pictures may be changed, and the drawing of a change.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::change::Change;
use crate::error::{Error, Result};

/// How far pictures may be changed. Every amount is drawn uniformly from its range, independently of the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Whether pictures are mirrored left to right with probability 1/2.
    pub mirror: bool,
    /// Whether pictures are mirrored top to bottom with probability 1/2.
    pub flip: bool,
    /// Whether pictures are rotated by a random multiple of 90 degrees.
    pub right_angles: bool,
    /// Largest rotation in either direction, in degrees.
    pub rotation: f32,
    /// Largest magnification: pictures are scaled by `1 / (1 + scale)..=1 + scale`, uniformly in the logarithm.
    pub scale: f32,
    /// Largest change of brightness, as a fraction of white. It turns black into grey, which `exposure` does not.
    pub brightness: f32,
    /// Contrast changes by a factor of `1 - contrast..=1 + contrast`, which leaves middle grey as it is.
    pub contrast: f32,
    /// All channels change by one factor, whose logarithm lies in `-exposure..=exposure`.
    pub exposure: f32,
    /// Each channel changes by its own factor of `1 - tint..=1 + tint`.
    pub tint: f32,
    /// Values in 0..1 are raised to a power whose logarithm lies in `-gamma..=gamma`.
    pub gamma: f32,
}

/// Changes that suit fundus photographs.
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

    /// Refuses amounts that have no meaning.
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

    /// Draws a change. It takes the same numbers from `generator`, whatever the amounts are.
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
        // A picture is magnified if a step in it is a smaller step in its source.
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
