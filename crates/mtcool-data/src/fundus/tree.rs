//! The trees of arteries and veins: trunks that follow the arcades, and twigs that grow towards tissue without blood supply.
//!
//! Twigs grow by space colonisation (Runions et al. 2005, "Modeling and visualization of leaf venation patterns"): points of
//! tissue without supply attract the nearest open node, and are removed when a vessel reaches them. Widths follow Murray's law: a
//! vessel is as wide as its branches need it to be.

use std::ops::Range;

use super::anatomy::Anatomy;
use super::geometry::{Point2, View, add, catmull_rom, length, scale, sub, unit};
use super::random::Dice;
use super::texture::noise;

/// The length of a piece of vessel; all lengths here are in radii of the field of view.
const STEP: f32 = 0.02;
/// The largest distance at which a point of tissue attracts a node.
const REACH: f32 = 0.17;
/// The distance within which a vessel supplies a point of tissue.
const FED: f32 = 0.05;
/// The distance that veins keep from arteries.
const APART: f32 = 0.03;
/// The spacing of the points of tissue.
const TISSUE: f32 = 0.085;
/// Vessels farther than this from the middle of the view are never visible.
const EDGE: f32 = 1.12;
/// The number of twigs for which the end of a trunk counts.
const TRUNK_END: f32 = 5.0;
/// The exponent of Murray's law, as measured on retinas.
const MURRAY: f32 = 2.5;
const MOST_ROUNDS: usize = 60;

/// The kind of a vessel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VesselKind {
    Artery,
    Vein,
}

/// A piece of vessel from its parent to `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The end of the piece, in retinal coordinates.
    pub(super) at: Point2,
    /// The parent's index, which is always smaller than the node's own.
    pub(super) parent: Option<usize>,
    /// The index of the branch that continues the vessel.
    pub(super) child: Option<usize>,
    /// Half the width of the vessel.
    pub(super) radius: f32,
    /// Whether twigs may grow from here.
    open: bool,
    /// Whether it is part of a trunk.
    trunk: bool,
}

/// All arteries, or all veins, of an eye.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// Grows the vessels of `kind` for the eye that `view` looks at, between those of `other`.
    pub(super) fn grow(
        anatomy: &Anatomy,
        view: &View,
        kind: VesselKind,
        other: Option<&Tree>,
        dice: &mut Dice,
    ) -> Self {
        let mut tree = Self { nodes: Vec::new() };
        tree.plant_trunks(anatomy, view, kind, dice);
        let tissue = tissue(anatomy, view, other, dice);
        tree.colonise(tissue, dice);
        tree.widen(kind, dice);
        tree.soften(dice);
        tree
    }

    fn push(&mut self, at: Point2, parent: Option<usize>, open: bool) -> usize {
        self.nodes.push(Node { at, parent, child: None, radius: 0.0, open, trunk: false });
        self.nodes.len() - 1
    }

    /// Plants the trunks: along the upper and the lower arcade around the fovea, up and down on the side of the nose, and a few
    /// small vessels straight outwards.
    fn plant_trunks(&mut self, anatomy: &Anatomy, view: &View, kind: VesselKind, dice: &mut Dice) {
        let (disc, radius) = (anatomy.disc.center, anatomy.disc.radius);
        let artery = if kind == VesselKind::Artery { 1.0 } else { -1.0 };
        let origin = add(disc, [radius * dice.between(0.15, 0.4), radius * dice.between(-0.15, 0.15)]);
        let root = self.push(origin, None, false);
        for (up, arcade) in [(-1.0, &anatomy.arcades[0]), (1.0, &anatomy.arcades[1])] {
            let mut jitter = |x: f32, y: f32, by: f32| [x + dice.between(-by, by), up * (y + dice.between(-by, by))];
            let near_disc = |[x, y]: Point2| add(disc, [x, y]);
            // The path around the fovea, which is the origin; arteries and veins run side by side and change sides at most once.
            let bow = arcade.points.iter().enumerate().map(|(n, &[x, y])| {
                let side = artery * arcade.apart * if n < arcade.crossing { 1.0 } else { -1.0 };
                jitter(x + 0.3 * side, y + side, 0.015)
            });
            let bow: Vec<Point2> = bow.collect();
            let start = near_disc(jitter(radius * (0.1 - 0.06 * artery), radius * 0.5, 0.008));
            let leave = near_disc(jitter(-0.012 - 0.035 * artery, radius * 1.3, 0.012));
            let trunk = [&[start, leave], &bow[..]].concat();
            let nodes = self.plant(&trunk, root, view);
            let fork = |part: f32| nodes.start + (part * nodes.len() as f32) as usize;
            // Large branches leave it outwards and inwards, at different places for arteries and veins.
            let place = 0.03 * artery;
            let outer = [bow[1], add(bow[2], jitter(0.1, 0.26, 0.08)), add(bow[3], jitter(0.1, 0.4, 0.1))];
            self.plant(&outer[1..], fork(0.34 + place), view);
            let upright = [near_disc(jitter(-0.04, 0.62, 0.06)), near_disc(jitter(-0.1, 1.1, 0.12))];
            self.plant(&upright, fork(0.2 + place), view);
            let inner = [jitter(-0.22, 0.36, 0.06), jitter(-0.6, 0.27, 0.08), jitter(-1.0, 0.2, 0.1)];
            self.plant(&inner, fork(0.42 - place), view);

            let nasal = [
                near_disc(jitter(0.06 - 0.02 * artery, radius * 1.25, 0.01)),
                near_disc(jitter(0.2 + 0.03 * artery, 0.42, 0.05)),
                near_disc(jitter(0.4 + 0.04 * artery, 0.75, 0.1)),
                near_disc(jitter(0.6, 1.2, 0.15)),
            ];
            self.plant(&nasal, nodes.start + 1, view);
            // Small vessels straight to the nose, and across the disc's edge to the macula.
            let nose =
                [near_disc(jitter(radius * 1.3, 0.07 + 0.025 * artery, 0.02)), near_disc(jitter(0.5, 0.2, 0.07))];
            self.plant(&nose, nodes.start + 2, view);
            let macula =
                [near_disc(jitter(-radius, 0.06 + 0.025 * artery, 0.02)), near_disc(jitter(-0.32, 0.11, 0.04))];
            self.plant(&macula, nodes.start + 3, view);
        }
    }

    /// Plants a trunk from node `from` through `points`, as far as it is visible, and returns the range of its nodes.
    fn plant(&mut self, points: &[Point2], from: usize, view: &View) -> Range<usize> {
        let first = self.nodes.len();
        let from = from.min(first - 1);
        let points = [&[self.nodes[from].at], points].concat();
        let at = |index: isize| points[index.clamp(0, points.len() as isize - 1) as usize];
        let mut parent = from;
        for piece in 0..points.len() as isize - 1 {
            let around = [at(piece - 1), at(piece), at(piece + 1), at(piece + 2)];
            let steps = (length(sub(around[2], around[1])) / STEP).ceil().max(1.0) as usize;
            for step in 1..=steps {
                let point = catmull_rom(around, step as f32 / steps as f32);
                if length(sub(point, view.center)) > EDGE {
                    return first..self.nodes.len();
                }
                parent = self.push(point, Some(parent), false);
                self.nodes[parent].trunk = true;
                self.nodes[parent].open = self.nodes.len().is_multiple_of(6) && piece > 0;
            }
        }
        self.nodes[parent].open = true;
        first..self.nodes.len()
    }

    /// Lets twigs grow until all `tissue` is supplied.
    fn colonise(&mut self, mut tissue: Vec<Point2>, dice: &mut Dice) {
        for _ in 0..MOST_ROUNDS {
            let mut pulls: Vec<(usize, Point2)> = Vec::new();
            let open: Vec<(usize, Point2)> = self
                .nodes
                .iter()
                .enumerate()
                .filter(|(_, node)| node.open)
                .map(|(index, node)| (index, node.at))
                .collect();
            for &point in &tissue {
                let squared = |at: Point2| (at[0] - point[0]).powi(2) + (at[1] - point[1]).powi(2);
                let nearest = open
                    .iter()
                    .map(|&(index, at)| (squared(at), index))
                    .fold((REACH * REACH, usize::MAX), |a, b| if b.0 < a.0 { b } else { a });
                if nearest.1 != usize::MAX {
                    pulls.push((nearest.1, unit(sub(point, self.nodes[nearest.1].at))));
                }
            }
            pulls.sort_by_key(|&(index, _)| index);
            let first_new = self.nodes.len();
            for pulls in pulls.chunk_by(|a, b| a.0 == b.0) {
                let index = pulls[0].0;
                let sum = pulls.iter().fold([0.0, 0.0], |sum, &(_, pull)| add(sum, pull));
                self.sprout(index, unit(sum), dice);
            }
            let fed = |point: &Point2| self.nodes[first_new..].iter().any(|node| length(sub(node.at, *point)) < FED);
            tissue.retain(|point| !fed(point));
            if first_new == self.nodes.len() {
                break;
            }
        }
    }

    /// Grows one step from node `index` in the direction `pull`, mixed with the vessel's current direction and a random one.
    fn sprout(&mut self, index: usize, pull: Point2, dice: &mut Dice) {
        let node = self.nodes[index];
        let heading = node.parent.map_or([0.0, 0.0], |parent| unit(sub(node.at, self.nodes[parent].at)));
        // A tip stays open; behind it, only a few nodes may branch.
        self.nodes[index].open = dice.chance(0.2);
        // A vessel never turns back.
        if pull[0] * heading[0] + pull[1] * heading[1] > -0.3 {
            let chance = [dice.between(-0.3, 0.3), dice.between(-0.3, 0.3)];
            let direction = unit(add(add(pull, scale(heading, 0.7)), chance));
            self.push(add(node.at, scale(direction, STEP)), Some(index), true);
        }
    }

    /// Applies Murray's law from the tips to the roots; the branch with the largest flow continues the vessel.
    fn widen(&mut self, kind: VesselKind, dice: &mut Dice) {
        let mut flow = vec![0.0f32; self.nodes.len()];
        let mut strongest = vec![0.0f32; self.nodes.len()];
        for index in (0..self.nodes.len()).rev() {
            if flow[index] == 0.0 {
                flow[index] = if self.nodes[index].trunk { TRUNK_END } else { 1.0 };
            }
            if let Some(parent) = self.nodes[index].parent {
                flow[parent] += flow[index];
                if flow[index] > strongest[parent] {
                    strongest[parent] = flow[index];
                    self.nodes[parent].child = Some(index);
                }
            }
        }
        let vein = dice.normal_within(0.0125, 0.001, 0.01, 0.015);
        let (caliber, thinnest) = match kind {
            VesselKind::Vein => (vein, 0.0016),
            VesselKind::Artery => (vein * dice.normal_within(0.72, 0.06, 0.58, 0.88), 0.0013),
        };
        let most = flow.iter().copied().fold(1.0, f32::max);
        for (node, flow) in self.nodes.iter_mut().zip(flow) {
            node.radius = (caliber * (flow / most).powf(1.0 / MURRAY)).max(thinnest);
        }
    }

    /// Rounds corners, then adds slight waves to all vessels.
    fn soften(&mut self, dice: &mut Dice) {
        for _ in 0..2 {
            for index in 0..self.nodes.len() {
                if let Node { at, parent: Some(parent), child: Some(child), .. } = self.nodes[index] {
                    let around = add(self.nodes[parent].at, self.nodes[child].at);
                    self.nodes[index].at = add(scale(at, 0.5), scale(around, 0.25));
                    self.nodes[index].radius = 0.5 * self.nodes[index].radius
                        + 0.25
                            * (self.nodes[parent].radius.min(2.0 * self.nodes[index].radius)
                                + self.nodes[child].radius);
                }
            }
        }
        let (seed, strength) = (dice.bits(), dice.between(0.006, 0.016));
        for node in &mut self.nodes {
            let wave = |n: u32| {
                let frequency = 7.0 * (1 + n / 2) as f32;
                noise(seed.wrapping_add(n), scale(node.at, frequency)) / (1 + n / 2) as f32
            };
            node.at = add(node.at, scale([wave(0) + wave(2), wave(1) + wave(3)], strength));
        }
    }
}

/// Points of tissue all over the view, except in the fovea and close to vessels of `other`.
fn tissue(anatomy: &Anatomy, view: &View, other: Option<&Tree>, dice: &mut Dice) -> Vec<Point2> {
    let without_vessels = dice.between(0.07, 0.12);
    let count = (2.0 * EDGE / TISSUE) as usize;
    let mut points = Vec::new();
    for cell in 0..count * count {
        let [row, column] = [cell / count, cell % count].map(|at| (at as f32 + dice.between(0.0, 1.0)) * TISSUE - EDGE);
        let point = add(view.center, [column, row]);
        let beside = |tree: &Tree| tree.nodes.iter().any(|node| length(sub(node.at, point)) < APART);
        let hungry = length([column, row]) < EDGE
            && length(point) > without_vessels
            && length(sub(point, anatomy.disc.center)) > 1.2 * anatomy.disc.radius
            && !other.is_some_and(beside);
        if hungry {
            points.push(point);
        }
    }
    points
}
