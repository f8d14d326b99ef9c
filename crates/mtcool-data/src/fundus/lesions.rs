//! Lesions that have nothing to do with glaucoma: drusen, exudates, haemorrhages, cotton-wool spots, pigment.

use super::anatomy::Anatomy;
use super::geometry::{Point2, View, add, length, rotate, scale, smooth_step, sub};
use super::random::{Dice, RandomStream};
use super::style::{Color, mix};
use super::texture::noise;

const DRUSE: Color = [0.95, 0.72, 0.36];
const EXUDATE: Color = [1.0, 0.86, 0.50];
const HAEMORRHAGE: Color = [0.42, 0.06, 0.07];
const COTTON_WOOL: Color = [0.94, 0.82, 0.66];
const PIGMENT: Color = [0.25, 0.12, 0.08];
/// The smallest distance of a lesion from the disc's centre, in radii of the disc.
const CLEAR: f32 = 1.7;

/// A spot with a ragged outline.
#[derive(Clone, Debug)]
pub(super) struct Lesion {
    /// The centre, in retinal coordinates.
    at: Point2,
    radius: f32,
    /// Length divided by width, and the direction of the long axis.
    stretch: f32,
    angle: f32,
    color: Color,
    opacity: f32,
    /// Half the width of the border divided by the radius.
    softness: f32,
    seed: u32,
}

/// The lesions of photograph `index` of `seed`; most photographs have none or few.
pub(super) fn lesions(anatomy: &Anatomy, seed: u64, index: u64) -> Vec<Lesion> {
    let mut dice = Dice::new(seed, index, RandomStream::Lesions);
    let dice = &mut dice;
    let mut found = Vec::new();
    if dice.chance(0.3) {
        let (count, spread) = (dice.between(6.0, 50.0), dice.between(0.08, 0.25));
        scatter(&mut found, dice, [0.0, 0.0], count, spread, |dice| spot(dice, (0.004, 0.012), DRUSE, (0.2, 0.5), 0.7));
    }
    if dice.chance(0.15) {
        for _ in 0..dice.between(1.0, 4.0) as usize {
            let (middle, count) = (somewhere(dice), dice.between(5.0, 25.0));
            scatter(&mut found, dice, middle, count, 0.06, |dice| {
                spot(dice, (0.003, 0.011), EXUDATE, (0.5, 0.85), 0.35)
            });
        }
    }
    if dice.chance(0.22) {
        let count = dice.between(2.0, 14.0);
        scatter(&mut found, dice, [0.0, 0.0], count, 0.5, |dice| Lesion {
            stretch: dice.between(1.0, 2.2),
            ..spot(dice, (0.004, 0.018), HAEMORRHAGE, (0.45, 0.8), 0.4)
        });
    }
    if dice.chance(0.08) {
        let count = dice.between(1.0, 4.0);
        scatter(&mut found, dice, [0.2, 0.0], count, 0.4, |dice| Lesion {
            stretch: dice.between(1.0, 1.8),
            ..spot(dice, (0.018, 0.035), COTTON_WOOL, (0.25, 0.5), 0.9)
        });
    }
    if dice.chance(0.08) {
        let middle = somewhere(dice);
        scatter(&mut found, dice, middle, 4.0, 0.03, |dice| spot(dice, (0.008, 0.025), PIGMENT, (0.3, 0.6), 0.6));
    }
    found.retain(|lesion| length(sub(lesion.at, anatomy.disc.center)) > CLEAR * anatomy.disc.radius + lesion.radius);
    found
}

fn somewhere(dice: &mut Dice) -> Point2 {
    [dice.between(-0.6, 0.6), dice.between(-0.6, 0.6)]
}

/// `count` spots normally distributed around `middle`.
fn scatter(
    found: &mut Vec<Lesion>,
    dice: &mut Dice,
    middle: Point2,
    count: f32,
    spread: f32,
    draw: impl Fn(&mut Dice) -> Lesion,
) {
    for _ in 0..count as usize {
        let off = [dice.normal(0.0, spread), dice.normal(0.0, spread)];
        found.push(Lesion { at: add(middle, off), ..draw(dice) });
    }
}

fn spot(
    dice: &mut Dice,
    (small, large): (f32, f32),
    color: Color,
    (faint, strong): (f32, f32),
    softness: f32,
) -> Lesion {
    // Most spots are small.
    let radius = small + (large - small) * dice.between(0.0, 1.0).powi(2);
    let opacity = dice.between(faint, strong);
    Lesion { at: [0.0; 2], radius, stretch: 1.0, angle: dice.angle(), color, opacity, softness, seed: dice.bits() }
}

impl Lesion {
    /// Paints the spot over the pixels `colors`, in rows of `width`.
    pub(super) fn paint(&self, colors: &mut [Color], width: usize, view: &View) {
        let [x, y] = view.pixel(self.at);
        let reach = 2.0 * self.radius * self.stretch * view.radius + 2.0;
        let height = colors.len() / width.max(1);
        let range = |middle: f32, most: usize| {
            (middle - reach).max(0.0) as usize..((middle + reach).max(0.0) as usize).min(most)
        };
        for row in range(y, height) {
            for column in range(x, width) {
                let off = sub(view.retina(view.field(row, column)), self.at);
                let color = &mut colors[row * width + column];
                *color = mix(*color, self.color, self.opacity * self.cover(off));
            }
        }
    }

    fn cover(&self, off: Point2) -> f32 {
        let [x, y] = rotate(off, self.angle);
        let ragged = 1.0 + 0.45 * noise(self.seed, scale(off, 1.3 / self.radius));
        let distance = length([x / self.stretch, y]) / (self.radius * ragged);
        smooth_step(1.0 + self.softness, 1.0 - self.softness, distance)
    }
}
