//! Vessels as pixels: how deep each pixel lies inside of a vessel.

use super::geometry::{Point2, View, catmull_rom, length, sub};
use super::tree::{Node, Tree};

/// For every pixel, the vessel in which it lies deepest.
pub(super) struct Vessels {
    width: usize,
    /// The distance from the vessel's wall to the middle of the pixel, in pixels; negative outside of the vessel.
    depth: Vec<f32>,
    /// Half the vessel's width in pixels.
    radius: Vec<f32>,
}

/// What a pixel shows of a vessel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    /// The part of the pixel that the vessel covers, 0..1.
    pub(super) cover: f32,
    /// Distance from the vessel's axis divided by its radius.
    pub(super) off_axis: f32,
    /// Half the vessel's width in pixels.
    pub(super) radius: f32,
}

impl Vessels {
    pub(super) fn of(tree: &Tree, view: &View, [height, width]: [usize; 2]) -> Self {
        let pixels = height * width;
        let mut vessels = Self { width, depth: vec![f32::MIN; pixels], radius: vec![0.0; pixels] };
        for node in &tree.nodes {
            let Some(parent) = node.parent.map(|index| &tree.nodes[index]) else { continue };
            let before = parent.parent.map_or(parent, |index| &tree.nodes[index]);
            let after = node.child.map_or(node, |index| &tree.nodes[index]);
            vessels.curve([before, parent, node, after], view);
        }
        vessels
    }

    /// What pixel `index` shows of a vessel; `None` if there is none.
    pub(super) fn at(&self, index: usize) -> Option<Glimpse> {
        let (depth, radius) = (self.depth[index], self.radius[index]);
        let distance = radius - depth;
        let cover = (depth + 0.5).clamp(0.0, 1.0) - (-radius - distance + 0.5).clamp(0.0, 1.0);
        (cover > 0.0).then(|| Glimpse { cover, off_axis: distance / radius, radius })
    }

    /// Whether the middle of pixel `index` lies in a vessel; vessels thinner than a pixel count as one pixel wide.
    pub(super) fn holds(&self, index: usize) -> bool {
        self.depth[index] >= (self.radius[index] - 0.5).min(0.0)
    }

    /// Draws the curve between the middle two of four nodes.
    fn curve(&mut self, nodes: [&Node; 4], view: &View) {
        let points = nodes.map(|node| view.pixel(node.at));
        // A side branch starts with its own width, not with that of its parent.
        let radii = [nodes[1].radius.min(1.3 * nodes[2].radius), nodes[2].radius].map(|radius| radius * view.radius);
        let piece = radii[1].max(3.0);
        let pieces = (length(sub(points[2], points[1])) / piece).ceil().max(1.0) as usize;
        let at = |n: usize| {
            let t = n as f32 / pieces as f32;
            (catmull_rom(points, t), radii[0] + t * (radii[1] - radii[0]))
        };
        for n in 0..pieces {
            self.segment(at(n), at(n + 1));
        }
    }

    /// Draws a straight piece whose radius changes from one end to the other.
    fn segment(&mut self, (a, start): (Point2, f32), (b, end): (Point2, f32)) {
        let height = self.depth.len() / self.width.max(1);
        let margin = start.max(end) + 1.5;
        let range = |axis: usize, most: usize| {
            let (low, high) = (a[axis].min(b[axis]) - margin, a[axis].max(b[axis]) + margin);
            (low.max(0.0) as usize).min(most)..(high.max(0.0) as usize + 1).min(most)
        };
        let along = sub(b, a);
        let squared = (along[0] * along[0] + along[1] * along[1]).max(1e-9);
        let (rows, columns) = (range(1, height), range(0, self.width));
        for row in rows {
            let first = row * self.width;
            let depths = &mut self.depth[first..first + self.width];
            let radii = &mut self.radius[first..first + self.width];
            for column in columns.clone() {
                let p = [column as f32 + 0.5 - a[0], row as f32 + 0.5 - a[1]];
                let t = ((p[0] * along[0] + p[1] * along[1]) / squared).clamp(0.0, 1.0);
                let radius = start + t * (end - start);
                let depth = radius - length(sub(p, [t * along[0], t * along[1]]));
                if depth > depths[column] {
                    depths[column] = depth;
                    radii[column] = radius;
                }
            }
        }
    }
}
