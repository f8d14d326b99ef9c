//! The look of one photograph: pigment, light, sharpness of borders, the camera. None of it depends on the diagnosis.

use super::geometry::Point2;
use super::random::{Dice, RandomStream};

/// Red, green and blue, 0..1 as displayed.
pub(super) type Color = [f32; 3];

pub(super) fn mix(a: Color, b: Color, part: f32) -> Color {
    [0, 1, 2].map(|channel| a[channel] + part * (b[channel] - a[channel]))
}

pub(super) fn times(a: Color, factors: Color) -> Color {
    [0, 1, 2].map(|channel| a[channel] * factors[channel])
}

/// The look of one photograph.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// The colour of the retina's background.
    pub(super) ground: Color,
    /// The seed of all textures.
    pub(super) texture: u32,
    /// How visible the vessels of the choroid are, 0..1.
    pub(super) choroid: f32,
    pub(super) mottle: f32,
    /// How bright the nerve fibres are around the disc.
    pub(super) fibers: f32,
    pub(super) macula: f32,
    /// The brightness of the dot in the fovea; most photographs have none.
    pub(super) foveal_reflex: f32,
    /// Where the light is brightest, in the field of view, and how fast it falls off.
    pub(super) light: Point2,
    pub(super) falloff: f32,
    /// A veil at one edge of the field: its direction and strength.
    pub(super) veil: Point2,
    /// Half the widths of the borders of disc and cup, in radii of the disc.
    pub(super) disc_softness: f32,
    pub(super) cup_softness: f32,
    /// The difference between the colours of cup and rim, 0..1.
    pub(super) cup_contrast: f32,
    pub(super) disc_brightness: f32,
    /// The width of the pale crescent beside the disc, in radii of the disc; most photographs have none.
    pub(super) crescent: f32,
    pub(super) vessel_contrast: f32,
    pub(super) reflex: f32,
    /// Standard deviation of the blur, in radii of the field of view.
    pub(super) blur: f32,
    /// Standard deviation of the sensor's noise for a white pixel, 0..1.
    pub(super) noise: f32,
    /// The direction of the mark that some cameras have at the edge of the field.
    pub(super) mark: Option<f32>,
    /// The quality of the JPEG file.
    pub(super) quality: u8,
}

impl Style {
    pub(super) fn draw(seed: u64, index: u64) -> Self {
        let mut dice = Dice::new(seed, index, RandomStream::Style);
        let dice = &mut dice;
        let red = dice.between(0.58, 0.86);
        let green = red * dice.normal_within(0.37, 0.05, 0.27, 0.5);
        let rarely = |dice: &mut Dice, probability: f32, low: f32, high: f32| {
            if dice.chance(probability) { dice.between(low, high) } else { 0.0 }
        };
        let veil = (dice.angle(), rarely(dice, 0.35, 0.1, 0.5));
        Self {
            ground: [red, green, green * dice.between(0.3, 0.62)],
            texture: dice.bits(),
            choroid: dice.between(0.0, 1.0).powi(2),
            mottle: dice.between(0.4, 1.2),
            fibers: dice.between(0.1, 1.0),
            macula: dice.between(0.5, 1.1),
            foveal_reflex: rarely(dice, 0.3, 0.1, 0.4),
            light: [dice.normal(0.0, 0.15), dice.normal(0.0, 0.15)],
            falloff: dice.between(0.18, 0.5),
            veil: [veil.0.cos() * veil.1, veil.0.sin() * veil.1],
            disc_softness: dice.between(0.03, 0.1),
            cup_softness: dice.between(0.06, 0.22),
            cup_contrast: dice.between(0.55, 1.0),
            disc_brightness: dice.between(0.88, 1.12),
            crescent: rarely(dice, 0.3, 0.08, 0.4),
            vessel_contrast: dice.between(0.75, 1.0),
            reflex: dice.between(0.3, 1.0),
            blur: dice.between(0.0006, 0.0022),
            noise: dice.between(0.004, 0.014),
            mark: dice.chance(0.4).then(|| dice.between(-0.9, -0.6)),
            quality: dice.between(84.0, 97.0) as u8,
        }
    }
}
