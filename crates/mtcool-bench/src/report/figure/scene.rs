//! A figure as a list of items to draw, and its layout: rows of labelled panels.

use super::outline::Outline;
use crate::suite::Colour;

/// A picture `[H, W, 3]`.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) rgb: Vec<u8>,
}

/// Outlines of one colour, in pixels of the panel's picture.
#[derive(Clone, Debug)]
pub(super) struct Stroke {
    pub(super) outlines: Vec<Outline>,
    pub(super) colour: Colour,
    /// The thickness in pixels of the figure.
    pub(super) thickness: usize,
}

/// A picture with outlines on it and a line of text below.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) picture: Picture,
    pub(super) strokes: Vec<Stroke>,
    pub(super) caption: String,
}

/// An item to draw. Positions are (top, left) in pixels of the figure, measured from the upper left corner.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A picture, magnified or reduced to `size` (height, width).
    Picture { at: [usize; 2], size: [usize; 2], picture: Picture },
    /// Outlines in the coordinates of a picture at `at`, with `scale` figure pixels per pixel of the picture.
    Stroke { at: [usize; 2], scale: f64, stroke: Stroke },
    /// A filled rectangle of `size` (height, width).
    Box { at: [usize; 2], size: [usize; 2], colour: Colour },
    /// A line of text with its top at the height of `at`. The horizontal position of `at` is its middle if `centred`, otherwise
    /// its left end.
    Text { at: [usize; 2], text: String, centred: bool, colour: Colour },
}

/// A figure.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) items: Vec<Item>,
}

/// A figure before its layout.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) title: String,
    /// A warning in red below the title, if the data is synthetic.
    pub(super) warning: Option<String>,
    /// The headers of the columns.
    pub(super) heads: Vec<String>,
    /// The label and the panels of each row.
    pub(super) rows: Vec<(String, Vec<Panel>)>,
    /// The colours and their meanings.
    pub(super) legend: Vec<(Colour, String)>,
}

/// Height and width of a character.
pub(super) const CHARACTER: [usize; 2] = [20, 10];
/// The largest side of a panel. Small pictures are magnified by the largest whole number that fits.
pub(super) const PANEL: usize = 288;
const MARGIN: usize = 20;
const GAP: usize = 10;
const LINE: usize = 26;
pub(super) const BLACK: Colour = [20, 20, 20];
const RED: Colour = [190, 0, 0];

impl Grid {
    /// Computes the positions of all items.
    pub(super) fn layout(self) -> Scene {
        let pictures = || self.rows.iter().flat_map(|(_, panels)| panels).map(|panel| &panel.picture);
        let side = pictures().map(|picture| picture.height.max(picture.width)).max().unwrap_or(1).max(1);
        let scale = if side <= PANEL { (PANEL / side) as f64 } else { PANEL as f64 / side as f64 };
        let size =
            |picture: &Picture| [picture.height, picture.width].map(|side| (side as f64 * scale).round() as usize);
        let cell = pictures().map(size).fold([1, 1], |a, b| [a[0].max(b[0]), a[1].max(b[1])]);
        let (left, columns) = (MARGIN + longest(self.rows.iter().map(|(label, _)| label)) + GAP, self.heads.len());
        let mut items = Vec::new();
        let mut text = |at: [usize; 2], text: &str, centred, colour| {
            items.push(Item::Text { at, text: text.to_owned(), centred, colour });
        };
        let mut top = MARGIN;
        text([top, MARGIN], &self.title, false, BLACK);
        top += LINE;
        if let Some(warning) = &self.warning {
            text([top, MARGIN], warning, false, RED);
            top += LINE;
        }
        top += GAP;
        let middle = |column: usize| left + column * (cell[1] + GAP) + cell[1] / 2;
        for (column, head) in self.heads.iter().enumerate() {
            text([top, middle(column)], head, true, BLACK);
        }
        top += LINE;
        for (label, panels) in self.rows {
            items.push(Item::Text { at: [top, MARGIN], text: label, centred: false, colour: BLACK });
            for (column, panel) in panels.into_iter().enumerate() {
                let at = [top, left + column * (cell[1] + GAP)];
                items.push(Item::Picture { at, size: size(&panel.picture), picture: panel.picture });
                items.extend(panel.strokes.into_iter().map(|stroke| Item::Stroke { at, scale, stroke }));
                let caption = [top + cell[0] + 2, middle(column)];
                items.push(Item::Text { at: caption, text: panel.caption, centred: true, colour: BLACK });
            }
            top += cell[0] + LINE + GAP;
        }
        let mut x = MARGIN;
        for (colour, meaning) in self.legend {
            items.push(Item::Box { at: [top, x], size: [CHARACTER[0] - 4, CHARACTER[0] - 4], colour });
            x += CHARACTER[0] + 4;
            let width = meaning.chars().count() * CHARACTER[1];
            items.push(Item::Text { at: [top, x], text: meaning, centred: false, colour: BLACK });
            x += width + 3 * GAP;
        }
        let title = MARGIN + longest([&self.title].into_iter().chain(&self.warning));
        let width = (left + columns * (cell[1] + GAP)).max(x).max(title) + MARGIN;
        Scene { height: top + LINE + MARGIN, width, items }
    }
}

/// The width of the longest of `texts` in pixels.
fn longest<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0) * CHARACTER[1]
}
