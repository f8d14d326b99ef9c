//! Turns anatomy into colours: retina, disc, vessels and light, as they are before a camera blurs them and adds noise.

use std::f32::consts::PI;

use rayon::prelude::*;

use super::anatomy::Anatomy;
use super::geometry::{Point2, View, add, bell, length, scale, smooth_step, sub};
use super::lesions::Lesion;
use super::raster::Vessels;
use super::style::{Color, Style, mix, times};
use super::texture::{fractal, noise, ridges};

const RIM: Color = [0.98, 0.56, 0.34];
const PALE_RIM: Color = [1.0, 0.69, 0.43];
const CUP: Color = [1.0, 0.94, 0.74];
const CRESCENT: Color = [0.92, 0.68, 0.45];
const VENOUS: Color = [0.54, 0.09, 0.12];
const ARTERIAL: Color = [0.70, 0.16, 0.12];
const REFLEX: Color = [0.98, 0.58, 0.38];

/// Everything that a photograph shows.
pub(super) struct FundusScene<'a> {
    pub(super) anatomy: &'a Anatomy,
    pub(super) style: &'a Style,
    pub(super) view: &'a View,
    pub(super) lesions: &'a [Lesion],
    pub(super) arteries: &'a Vessels,
    pub(super) veins: &'a Vessels,
}

impl FundusScene<'_> {
    /// Whether the camera sees light at `field`.
    pub(super) fn visible(&self, field: Point2) -> bool {
        let in_mark =
            self.style.mark.is_some_and(|angle| length(sub(field, scale([angle.cos(), angle.sin()], 1.0))) < 0.045);
        length(field) < 1.0 || in_mark
    }

    /// The colours of all pixels, `[H, W]` of red, green and blue.
    pub(super) fn paint(&self, [height, width]: [usize; 2]) -> Vec<Color> {
        let mut colors = vec![[0.0; 3]; height * width];
        self.each(&mut colors, width, |_, retina, _| self.ground(retina));
        for lesion in self.lesions {
            lesion.paint(&mut colors, width, self.view);
        }
        self.each(&mut colors, width, |index, retina, below| self.blood(index, self.disc(retina, below)));
        self.each(&mut colors, width, |index, _, color| {
            let field = self.view.field(index / width, index % width);
            if self.visible(field) { self.lit(field, color) } else { [0.0; 3] }
        });
        colors
    }

    /// Replaces the colour of every pixel near the field of view, given its index, its place on the retina and its colour.
    fn each(&self, colors: &mut [Color], width: usize, new: impl Fn(usize, Point2, Color) -> Color + Sync) {
        colors.par_chunks_mut(width.max(1)).enumerate().for_each(|(row, colors)| {
            for (column, color) in colors.iter_mut().enumerate() {
                let field = self.view.field(row, column);
                if length(field) < 1.05 {
                    *color = new(row * width + column, self.view.retina(field), *color);
                }
            }
        });
    }

    /// The retina without vessels: pigment, choroid, nerve fibres, macula.
    fn ground(&self, p: Point2) -> Color {
        let Style { ground, texture, choroid, mottle, fibers, macula, foveal_reflex, .. } = *self.style;
        let from_fovea = length(p);
        let clouds = 0.13 * mottle * fractal(texture, scale(p, 2.2), 3);
        let grain = 0.022 * mottle * (noise(texture ^ 1, scale(p, 26.0)) + noise(texture ^ 2, scale(p, 70.0)));
        let mut color = scale_color(ground, 1.0 + clouds + grain);

        let shines = choroid
            * smooth_step(0.25, 0.9, from_fovea)
            * (0.7 + 0.5 * noise(texture ^ 3, scale(p, 1.7))).clamp(0.0, 1.0);
        if shines > 0.01 {
            // The choroid's vessels run away from the fovea.
            let bend = scale([noise(texture ^ 4, scale(p, 5.0)), noise(texture ^ 5, scale(p, 5.0))], 0.09);
            let [x, y] = scale(add(p, bend), 13.0);
            let across = smooth_step(0.25, 0.75, (p[0] / from_fovea).powi(2));
            let (upright, level) = (ridges(texture ^ 6, [x, 0.4 * y]), ridges(texture ^ 7, [0.4 * x, y]));
            let fine = ridges(texture ^ 12, [1.3 * x, 1.3 * y]);
            let vessel = 0.7 * (upright + across * (level - upright)) + 0.35 * fine;
            let between = times(ground, [0.72, 0.74, 0.85]);
            color = mix(color, between, 0.8 * shines);
            color = mix(color, times(ground, [1.14, 1.26, 1.05]), (shines * vessel).min(1.0));
        }

        if let Some((from_disc, angle)) = self.anatomy.disc.polar(p, 7.0) {
            let streaks = noise(texture ^ 8, [(angle + PI) * 24.0, from_disc * 1.6]);
            let bundle = angle.sin().powi(2) * bell(from_disc - 1.2, 2.2) * fibers;
            let sheen = bundle * (0.05 + 0.035 * streaks);
            color = [color[0] + 0.3 * sheen, color[1] + sheen, color[2] + 0.9 * sheen];
        }

        let dark = macula * (0.7 * bell(from_fovea, 0.2) + 0.5 * bell(from_fovea, 0.07));
        color = times(color, [1.0 - 0.3 * dark, 1.0 - 0.42 * dark, 1.0 - 0.36 * dark]);
        let shine = foveal_reflex * bell(from_fovea, 0.012);
        [color[0] + 0.5 * shine, color[1] + 0.6 * shine, color[2] + 0.5 * shine]
    }

    /// The colour of disc and cup with their soft borders, painted over `below`.
    fn disc(&self, p: Point2, below: Color) -> Color {
        let style = self.style;
        let Some((distance, angle)) = self.anatomy.disc.polar(p, 2.0) else { return below };
        let temporal = 0.5 - 0.5 * angle.cos();
        let rough = 0.5 + 0.5 * noise(style.texture ^ 9, scale(p, 40.0));
        let width = style.crescent * temporal.powi(3);
        let beside = smooth_step(1.0 + width + 0.06, 1.0 + width - 0.02, distance) * (width * 8.0).min(1.0);
        let below = mix(below, CRESCENT, beside * (0.35 + 0.4 * rough));
        // The layers of the retina end at the border, which gives a darker line outside and a paler one inside.
        let below = scale_color(below, 1.0 - 0.12 * bell(distance - 1.06 - width, 0.07));
        let rim = mix(RIM, PALE_RIM, 0.1 + 0.45 * temporal + 0.3 * bell(distance - 0.93, 0.06));
        let rim = scale_color(rim, 1.0 + 0.05 * noise(style.texture ^ 10, [angle * 14.0, distance * 5.0]));
        let border = self.anatomy.disc.cup(angle);
        let in_cup = smooth_step(border + style.cup_softness, border - style.cup_softness, distance);
        let pores = 0.06 * noise(style.texture ^ 11, scale(p, 95.0)) * bell(distance, 0.4);
        let depth = 0.88 + 0.12 * bell(distance / border, 0.7);
        let cup = scale_color(mix(rim, CUP, style.cup_contrast), depth + pores);
        let brightness = style.disc_brightness * (0.66 + 0.5 * style.ground[0]);
        let head = scale_color(mix(rim, cup, in_cup), brightness);
        mix(below, head, smooth_step(1.0 + style.disc_softness, 1.0 - style.disc_softness, distance))
    }

    /// The colour of vessels painted over `below`: arteries, which are nearer to the camera, over veins.
    fn blood(&self, index: usize, below: Color) -> Color {
        let style = self.style;
        let bright = 0.35 + 0.8 * style.ground[0];
        let mut color = below;
        for (vessels, blood, density, reflex) in
            [(self.veins, VENOUS, 0.92, 0.15), (self.arteries, ARTERIAL, 0.88, 0.42)]
        {
            let Some(glimpse) = vessels.at(index) else { continue };
            let thick = 1.0 - (-glimpse.radius / self.view.radius / 0.0019).exp();
            let round = 0.72 + 0.28 * (1.0 - glimpse.off_axis * glimpse.off_axis).max(0.0).sqrt();
            color =
                mix(color, scale_color(blood, bright), glimpse.cover * density * thick * round * style.vessel_contrast);
            // A reflex is visible where it is wider than a pixel.
            let wide = smooth_step(1.2, 4.0, glimpse.radius) * thick;
            let shine = bell(glimpse.off_axis, 0.24) * wide * reflex * style.reflex;
            color = mix(color, scale_color(REFLEX, bright), shine);
        }
        color
    }

    /// `color` under the light on the retina: a bright area that fades towards the edge, and a veil that makes one side paler.
    fn lit(&self, field: Point2, color: Color) -> Color {
        let style = self.style;
        let off = length(sub(field, style.light));
        let edge = length(field);
        let light = 1.08 - style.falloff * off * off - 0.12 * edge.powi(8);
        let veil = (field[0] * style.veil[0] + field[1] * style.veil[1]).max(0.0) * edge.powi(3);
        let color = scale_color(color, light.max(0.05));
        mix(times(color, [1.0 - veil, 1.0 - 0.3 * veil, 1.0 - 0.2 * veil]), [0.30, 0.22, 0.12], 0.4 * veil)
    }
}

fn scale_color(color: Color, factor: f32) -> Color {
    color.map(|value| value * factor)
}
