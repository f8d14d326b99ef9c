//! Renders a scene as SVG with embedded pictures.

use std::fmt::Write;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::png::png;
use super::resample::resample;
use super::scene::{CHARACTER, Item, Picture, Scene, Stroke};
use crate::suite::Colour;

/// The scene as an SVG document.
///
/// # Errors
/// If a picture cannot be encoded.
pub(super) fn svg(scene: &Scene) -> Result<String> {
    let Scene { height, width, items } = scene;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"{}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        CHARACTER[0] * 4 / 5
    );
    for item in items {
        text += &element(item)?;
    }
    Ok(text + "</svg>\n")
}

fn element(item: &Item) -> Result<String> {
    Ok(match item {
        Item::Picture { at: [y, x], size: [height, width], picture } => {
            // Magnified pixels stay squares; where there are more pixels than can be seen, they are averaged.
            let is_magnified = picture.height < *height && picture.width < *width;
            // As an attribute, SVG does not know this value.
            let rendering = if is_magnified { " style=\"image-rendering:pixelated\"" } else { "" };
            format!(
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{rendering} \
                 href=\"data:image/png;base64,{}\"/>\n",
                BASE64_STANDARD.encode(encoded(picture, [*height, *width])?)
            )
        }
        Item::Stroke { at: [y, x], scale, stroke } => {
            let Stroke { outlines, colour, thickness } = stroke;
            let mut path = String::new();
            for outline in outlines {
                for (index, [column, row]) in outline.iter().enumerate() {
                    let command = if index == 0 { 'M' } else { 'L' };
                    write!(
                        path,
                        "{command}{} {} ",
                        *x as f64 + *column as f64 * scale,
                        *y as f64 + *row as f64 * scale
                    )?;
                }
                path.push_str("Z ");
            }
            format!(
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{thickness}\" shape-rendering=\"crispEdges\"/>\n",
                path.trim_end(),
                hex(colour)
            )
        }
        Item::Box { at: [y, x], size: [height, width], colour } => {
            format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n", hex(colour))
        }
        Item::Text { at: [y, x], text, centred, colour } => {
            let anchor = if *centred { "middle" } else { "start" };
            let baseline = y + CHARACTER[0] * 3 / 4;
            let (fill, text) = (hex(colour), escape(text));
            format!("<text x=\"{x}\" y=\"{baseline}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>\n")
        }
    })
}

/// The largest number of picture pixels per figure pixel, in each direction: enough for screens with a high resolution.
const DENSITY: usize = 2;

/// The picture as a PNG file, reduced to the pixels that can be seen at `size` (height, width).
fn encoded(picture: &Picture, size: [usize; 2]) -> Result<Vec<u8>> {
    let [height, width] = size.map(|side| DENSITY * side);
    let shown = [picture.height.min(height), picture.width.min(width)];
    let Picture { height, width, rgb } =
        if shown == [picture.height, picture.width] { picture.clone() } else { resample(picture, shown) };
    png(width, height, rgb)
}

fn hex([red, green, blue]: &Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Escapes text for SVG.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
