//! The ground truth of an eye before it is photographed: its disc and cup, its diagnosis, and the direction of view.

use super::geometry::{Point2, View, bell, length, rotate, sub};
use super::random::{Dice, RandomStream};

/// One eye of ten has glaucoma.
const PREVALENCE: f32 = 0.1;

/// The parameters of one eye, which determine its ground truth.
#[derive(Clone, Debug)]
pub struct Anatomy {
    /// The diagnosis.
    pub glaucoma: bool,
    /// Height of the cup divided by height of the disc, without notches, in `0.15..=0.92`.
    pub cup_to_disc: f32,
    /// Depth of a notch in the rim as a fraction of the rim's width, 0 for none.
    pub notch: f32,
    pub(super) disc: Disc,
    pub(super) left_eye: bool,
    /// The upper and the lower arcade.
    pub(super) arcades: [Arcade; 2],
    view_center: Point2,
    view_rotation: f32,
}

/// The path of the largest vessels around the fovea, in retinal coordinates with y pointing away from the fovea.
#[derive(Clone, Debug)]
pub(super) struct Arcade {
    pub(super) points: [Point2; 6],
    /// Half the distance between artery and vein; negative if the vein lies outside.
    pub(super) apart: f32,
    /// The index of the point from which on artery and vein have changed sides.
    pub(super) crossing: usize,
}

/// The outline of the disc and, inside it, of the cup: both as functions of the angle, as seen from the disc's centre.
#[derive(Clone, Debug)]
pub(super) struct Disc {
    /// The centre, in retinal coordinates.
    pub(super) center: Point2,
    /// Half the height, in radii of the field of view.
    pub(super) radius: f32,
    /// Width divided by height.
    aspect: f32,
    tilt: f32,
    /// Amplitude and phase of deviations from an ellipse, with 2, 3 and 4 periods.
    waves: [(f32, f32); 3],
    cup_vertical: f32,
    cup_horizontal: f32,
    /// How far the cup is shifted towards the temple.
    cup_shift: f32,
    notch: f32,
    notch_angle: f32,
    notch_width: f32,
}

/// The distributions of an eye's signs with or without glaucoma: (mean, standard deviation) of normal distributions that overlap.
struct Signs {
    cup_to_disc: (f32, f32),
    notched: f32,
    notch: (f32, f32),
}

const HEALTHY: Signs = Signs { cup_to_disc: (0.45, 0.12), notched: 0.12, notch: (0.35, 0.16) };
const GLAUCOMA: Signs = Signs { cup_to_disc: (0.68, 0.12), notched: 0.5, notch: (0.55, 0.16) };
const CUP_TO_DISC: (f32, f32) = (0.15, 0.92);
const NOTCH: (f32, f32) = (0.1, 0.9);

impl Signs {
    fn of(glaucoma: bool) -> &'static Signs {
        if glaucoma { &GLAUCOMA } else { &HEALTHY }
    }
}

impl Anatomy {
    /// Draws eye `index` of `seed`.
    pub fn draw(seed: u64, index: u64) -> Self {
        let mut dice = Dice::new(seed, index, RandomStream::Anatomy);
        let glaucoma = dice.chance(PREVALENCE);
        let signs = Signs::of(glaucoma);
        let within = |dice: &mut Dice, (mean, deviation), (low, high)| dice.normal_within(mean, deviation, low, high);
        let cup_to_disc = within(&mut dice, signs.cup_to_disc, CUP_TO_DISC);
        let notch = if dice.chance(signs.notched) { within(&mut dice, signs.notch, NOTCH) } else { 0.0 };
        let disc = Disc::draw(cup_to_disc, notch, &mut dice);
        let view_center = [dice.between(0.08, 0.3), dice.normal_within(0.0, 0.06, -0.15, 0.15)];
        let view_rotation = dice.normal_within(0.0, 0.06, -0.2, 0.2);
        let arcades = [Arcade::draw(&disc, &mut dice), Arcade::draw(&disc, &mut dice)];
        let left_eye = dice.chance(0.5);
        Self { glaucoma, cup_to_disc, notch, disc, left_eye, arcades, view_center, view_rotation }
    }

    /// The fovea as (x, y) in pixels, on a photograph of `size` = (height, width).
    pub fn fovea(&self, size: [usize; 2]) -> [f32; 2] {
        self.view(size).pixel([0.0, 0.0])
    }

    pub(super) fn view(&self, size: [usize; 2]) -> View {
        View::new(self.view_center, self.view_rotation, self.left_eye, size)
    }
}

impl Arcade {
    fn draw(disc: &Disc, dice: &mut Dice) -> Self {
        let [x, y] = disc.center;
        let height = dice.normal_within(0.55, 0.06, 0.42, 0.7);
        let slope = dice.between(-0.3, 0.1);
        let mut near = |x: f32, y: f32, by: f32| [x + dice.between(-by, by), y + dice.between(-by, by)];
        let points = [
            near(x - 0.09, y.abs() + 0.6 * height, 0.025),
            near(0.5 * x, 0.98 * height, 0.035),
            near(0.0, 1.07 * height, 0.05),
            near(-0.4, 1.03 * height, 0.06),
            near(-0.85, 1.03 * height + 0.45 * slope, 0.1),
            near(-1.4, 1.03 * height + slope, 0.15),
        ];
        let apart = dice.between(0.022, 0.06) * if dice.chance(0.5) { 1.0 } else { -1.0 };
        Self { points, apart, crossing: dice.between(0.0, 6.0) as usize }
    }
}

impl Disc {
    fn draw(cup_vertical: f32, notch: f32, dice: &mut Dice) -> Self {
        let wave = |dice: &mut Dice, amplitude: f32| (dice.between(0.0, amplitude), dice.angle());
        // A rim becomes thin near the upper and the lower pole first, on the side of the temple (negative x).
        let pole = if dice.chance(0.65) { 1.0 } else { -1.0 };
        Self {
            center: [dice.normal_within(0.7, 0.035, 0.6, 0.8), dice.normal_within(-0.06, 0.03, -0.14, 0.03)],
            radius: dice.normal_within(0.128, 0.012, 0.1, 0.16),
            aspect: dice.normal_within(0.91, 0.05, 0.78, 1.02),
            tilt: dice.normal(0.0, 0.15),
            waves: [wave(dice, 0.015), wave(dice, 0.012), wave(dice, 0.01)],
            cup_vertical,
            cup_horizontal: cup_vertical * dice.normal_within(1.0, 0.08, 0.8, 1.15),
            cup_shift: dice.between(0.0, 0.1),
            notch,
            notch_angle: pole * dice.between(1.6, 2.2),
            notch_width: dice.between(0.3, 0.55),
        }
    }

    /// The place of `p`: its distance from the centre, divided by the distance of the border in that direction, and the angle.
    /// `None` if that ratio is above `farthest`.
    pub(super) fn polar(&self, p: Point2, farthest: f32) -> Option<(f32, f32)> {
        let off = sub(p, self.center);
        // The border is at most 1.1 radii from the centre.
        if length(off) > 1.1 * farthest * self.radius {
            return None;
        }
        let [x, y] = rotate(off, -self.tilt);
        let ellipse = [x / self.aspect, y];
        let angle = y.atan2(x);
        let waves =
            self.waves.iter().zip(2..).map(|(&(amplitude, phase), n)| amplitude * (n as f32 * angle + phase).sin());
        let distance = length(ellipse) / (self.radius * (1.0 + waves.sum::<f32>()));
        (distance <= farthest).then_some((distance, angle))
    }

    /// The cup's border in direction `angle`, as a fraction of the disc's.
    pub(super) fn cup(&self, angle: f32) -> f32 {
        let (sin, cos) = angle.sin_cos();
        let plain = self.cup_vertical * sin * sin + self.cup_horizontal * cos * cos - self.cup_shift * cos;
        let plain = plain.clamp(0.08, 0.95);
        let turn = (angle - self.notch_angle).sin_cos();
        let notch = self.notch * bell(turn.0.atan2(turn.1), self.notch_width);
        (plain + notch * (1.0 - plain)).min(0.95)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logarithm of the density of an eye's signs, up to a constant that is the same for all eyes with the same diagnosis.
    fn log_density(signs: &Signs, eye: &Anatomy) -> f32 {
        let normal =
            |value: f32, (mean, deviation): (f32, f32)| -0.5 * ((value - mean) / deviation).powi(2) - deviation.ln();
        let of_notch = if eye.notch > 0.0 {
            signs.notched.ln() + normal(eye.notch, signs.notch)
        } else {
            (1.0 - signs.notched).ln()
        };
        normal(eye.cup_to_disc, signs.cup_to_disc) + of_notch
    }

    /// The logarithm of the odds that the signs of `eye` speak for glaucoma, up to a constant: no other number that is computed
    /// from the ground truth ranks eyes better.
    fn evidence(eye: &Anatomy) -> f32 {
        log_density(&GLAUCOMA, eye) - log_density(&HEALTHY, eye)
    }

    /// Area under the receiver operating characteristic of `score`, by ranks.
    fn auroc(eyes: &[Anatomy], score: impl Fn(&Anatomy) -> f32) -> f64 {
        let mut scored: Vec<(f32, bool)> = eyes.iter().map(|eye| (score(eye), eye.glaucoma)).collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut healthy, mut pairs) = (0usize, 0usize);
        for &(_, glaucoma) in &scored {
            healthy += usize::from(!glaucoma);
            pairs += usize::from(glaucoma) * healthy;
        }
        pairs as f64 / (healthy * (eyes.len() - healthy)) as f64
    }

    #[test]
    fn a_perfect_reader_of_the_truth_is_good_but_not_perfect() {
        let eyes: Vec<Anatomy> = (0..20_000).map(|index| Anatomy::draw(11, index)).collect();
        let sick = eyes.iter().filter(|eye| eye.glaucoma).count();
        assert!((1800..2200).contains(&sick), "{sick} of 20,000");
        let (best, by_ratio) = (auroc(&eyes, evidence), auroc(&eyes, |eye| eye.cup_to_disc));
        let by_notch = auroc(&eyes, |eye| eye.notch);
        assert!((0.92..0.965).contains(&best), "perfect reader {best}");
        assert!(by_ratio < best - 0.01 && by_notch < best - 0.1 && by_notch > 0.6, "{by_ratio}, {by_notch} of {best}");
        // The place of the eye and the size of its disc tell nothing.
        for other in [auroc(&eyes, |eye| eye.disc.radius), auroc(&eyes, |eye| eye.disc.center[0])] {
            assert!((other - 0.5).abs() < 0.03, "{other}");
        }
    }

    #[test]
    fn the_cup_lies_in_the_disc_and_has_the_height_that_was_drawn() {
        for eye in (0..300).map(|index| Anatomy::draw(5, index)) {
            let ratios: Vec<f32> = (0..360).map(|degree| eye.disc.cup((degree as f32).to_radians())).collect();
            assert!(ratios.iter().all(|ratio| (0.05..=0.95).contains(ratio)));
            let upright = 0.5 * (ratios[90] + ratios[270]);
            assert!(upright >= eye.cup_to_disc - 1e-4, "{upright} of {}", eye.cup_to_disc);
            assert!(eye.notch > 0.0 || upright <= eye.cup_to_disc + 1e-4);
        }
    }
}
