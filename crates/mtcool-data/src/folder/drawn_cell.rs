//! One drawn picture of a cell, with the truth about it.

use std::f64::consts::{PI, TAU};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Grey values of the mask of cells: background, cytoplasm, nucleus.
pub(super) const CELL_VALUES: [u8; 3] = [0, 128, 255];
/// Colours of the mask of granules: background, red and blue granules.
pub(super) const GRANULE_COLORS: [[u8; 3]; 3] = [[0; 3], [255, 0, 0], [0, 0, 255]];
/// Ratios of the areas of nucleus and cell between the three stages.
const STAGE_LIMITS: [f64; 2] = [0.2, 0.32];

/// A drawn cell.
pub(super) struct DrawnCell {
    /// Red, green and blue, `[S, S, 3]`.
    pub(super) pixels: Vec<u8>,
    /// 0 background, 1 cytoplasm, 2 nucleus, `[S, S]`.
    pub(super) regions: Vec<u8>,
    /// 0 background, 1 red granule, 2 blue granule, `[S, S]`.
    pub(super) granules: Vec<u8>,
    /// Area of the nucleus divided by that of the whole cell.
    pub(super) ratio: f64,
}

/// An ellipse; lengths are fractions of the picture's side.
#[derive(Clone, Copy)]
struct Ellipse {
    center: [f64; 2],
    radii: [f64; 2],
    angle: f64,
}

impl Ellipse {
    fn contains(&self, [x, y]: [f64; 2]) -> bool {
        let ((sin, cos), [x, y]) = (self.angle.sin_cos(), [x - self.center[0], y - self.center[1]]);
        let along = [(x * cos + y * sin) / self.radii[0], (y * cos - x * sin) / self.radii[1]];
        along[0] * along[0] + along[1] * along[1] <= 1.0
    }

    /// The point at `angle`, `share` of the way from the centre to the edge.
    fn point(&self, angle: f64, share: f64) -> [f64; 2] {
        let [a, b] = [share * self.radii[0] * angle.cos(), share * self.radii[1] * angle.sin()];
        let (sin, cos) = self.angle.sin_cos();
        [self.center[0] + a * cos - b * sin, self.center[1] + a * sin + b * cos]
    }
}

impl DrawnCell {
    /// Cell `index` of `seed`, of a patient whose preparations are stained by `stain` (-1..=1), `side` pixels wide and high. The
    /// larger the nucleus, the more often there are red granules, and the more rarely blue ones.
    pub(super) fn draw(seed: u64, index: u64, stain: f64, side: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(index + 1);
        let mut between = |low: f64, high: f64| random.random_range(low..high);
        let cell = Ellipse {
            center: [between(0.42, 0.58), between(0.42, 0.58)],
            radii: [between(0.28, 0.38), between(0.24, 0.32)],
            angle: between(0.0, TAU),
        };
        let share = between(0.1, 0.45_f64);
        let nucleus = Ellipse {
            center: cell.point(between(0.0, TAU), between(0.0, 0.8 * (1.0 - share.sqrt()))),
            radii: cell.radii.map(|radius| radius * share.sqrt()),
            angle: cell.angle,
        };
        let is_large = (share - 0.1) / 0.35;
        let mut granules = Vec::new();
        for (color, chance) in [(1, 0.2 + 0.6 * is_large), (2, 0.8 - 0.6 * is_large)] {
            let is_there = between(0.0, 1.0) < chance;
            let count = between(2.0, 6.0) as usize;
            for _ in 0..count {
                let center = cell.point(between(0.0, TAU), between(0.55, 0.9));
                if is_there {
                    granules.push((color, Ellipse { center, radii: [0.035; 2], angle: 0.0 }));
                }
            }
        }
        let (light, grain) = ([between(-1.0, 1.0), between(-1.0, 1.0)], between(3.0, 9.0));

        let mut drawn = Self {
            pixels: Vec::with_capacity(3 * side * side),
            regions: Vec::with_capacity(side * side),
            granules: Vec::with_capacity(side * side),
            ratio: 0.0,
        };
        for index in 0..side * side {
            let place = [index % side, index / side].map(|at| (at as f64 + 0.5) / side as f64);
            let region = u8::from(cell.contains(place)) + u8::from(cell.contains(place) && nucleus.contains(place));
            let is_visible = |granule: &&(u8, Ellipse)| region == 1 && granule.1.contains(place);
            let granule = granules.iter().find(is_visible).map_or(0, |granule| granule.0);
            let color = match (granule, region) {
                (1, _) => [196.0, 52.0, 48.0],
                (2, _) => [52.0, 68.0, 190.0],
                (_, 0) => [228.0, 216.0, 226.0],
                (_, 1) => [192.0 + 22.0 * stain, 152.0, 190.0 - 22.0 * stain],
                _ => [118.0 + 18.0 * stain, 78.0, 142.0 - 18.0 * stain],
            };
            let shade = 10.0 * (light[0] * (place[0] - 0.5) + light[1] * (place[1] - 0.5));
            for value in color {
                drawn.pixels.push((value + shade + between(-grain, grain)).round().clamp(0.0, 255.0) as u8);
            }
            drawn.regions.push(region);
            drawn.granules.push(granule);
        }
        let area = |least: u8| drawn.regions.iter().filter(|region| **region >= least).count() as f64;
        drawn.ratio = area(2) / area(1).max(1.0);
        drawn
    }

    /// 0 resting, 1 growing, 2 dividing: by the ratio.
    pub(super) fn stage(&self) -> usize {
        STAGE_LIMITS.iter().filter(|limit| self.ratio >= **limit).count()
    }

    /// Whether granules of `color` can be seen.
    pub(super) fn has_granules(&self, color: u8) -> bool {
        self.granules.contains(&color)
    }
}

/// The stain of patient `patient`: different for neighbours, the same in every set.
pub(super) fn stain(patient: usize) -> f64 {
    (patient as f64 * PI * 0.7).sin()
}
