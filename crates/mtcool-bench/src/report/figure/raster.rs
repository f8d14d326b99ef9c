//! Renders a scene as pixels.

use std::convert::Infallible;
use std::io::Cursor;

use anyhow::{Context, Result};
use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoTextStyle, iso_8859_1::FONT_10X20};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::{DynamicImage, ImageFormat, RgbImage};

use super::resample::resample;
use super::scene::{Item, Picture, Scene, Stroke};
use crate::suite::Colour;

/// The scene as a PNG file.
///
/// # Errors
/// If it cannot be encoded.
pub(super) fn raster(scene: &Scene) -> Result<Vec<u8>> {
    let mut canvas =
        Canvas { height: scene.height, width: scene.width, rgb: vec![255; 3 * scene.height * scene.width] };
    for item in &scene.items {
        match item {
            Item::Picture { at, size, picture } => canvas.picture(*at, *size, picture),
            Item::Stroke { at, scale, stroke } => canvas.stroke(*at, *scale, stroke),
            Item::Box { at: [top, left], size: [height, width], colour } => {
                canvas.fill(*left as isize, *top as isize, *width as isize, *height as isize, *colour);
            }
            Item::Text { at, text, centred, colour } => canvas.text(*at, text, *centred, *colour),
        }
    }
    png(canvas.width, canvas.height, canvas.rgb)
}

/// `rgb` `[H, W, 3]` as a PNG file.
///
/// # Errors
/// If the length does not fit the size, or the picture cannot be encoded.
pub(super) fn png(width: usize, height: usize, rgb: Vec<u8>) -> Result<Vec<u8>> {
    let length = rgb.len();
    let picture = RgbImage::from_raw(width as u32, height as u32, rgb);
    let picture = picture.with_context(|| format!("{length} bytes for a picture of {height}x{width}"))?;
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(picture).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}

struct Canvas {
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    fn set(&mut self, x: isize, y: isize, colour: Colour) {
        if (0..self.width as isize).contains(&x) && (0..self.height as isize).contains(&y) {
            let at = 3 * (y as usize * self.width + x as usize);
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn fill(&mut self, left: isize, top: isize, width: isize, height: isize, colour: Colour) {
        for y in top..top + height {
            for x in left..left + width {
                self.set(x, y, colour);
            }
        }
    }

    fn picture(&mut self, [top, left]: [usize; 2], size: [usize; 2], picture: &Picture) {
        let Picture { width, rgb, .. } = resample(picture, size);
        for (index, pixel) in rgb.chunks_exact(3).enumerate() {
            let (x, y) = (left + index % width, top + index / width);
            self.set(x as isize, y as isize, [pixel[0], pixel[1], pixel[2]]);
        }
    }

    /// Draws outlines. They follow the borders of pixels, so each of their sides is drawn as a rectangle.
    fn stroke(&mut self, [top, left]: [usize; 2], scale: f64, stroke: &Stroke) {
        let thickness = stroke.thickness as isize;
        let place = |[column, row]: [usize; 2]| {
            let at =
                |start: usize, pixels: usize| (start as f64 + pixels as f64 * scale).round() as isize - thickness / 2;
            (at(left, column), at(top, row))
        };
        for outline in &stroke.outlines {
            for (from, to) in outline.iter().zip(outline.iter().cycle().skip(1)) {
                let ((ax, ay), (bx, by)) = (place(*from), place(*to));
                let (width, height) = ((ax - bx).abs() + thickness, (ay - by).abs() + thickness);
                self.fill(ax.min(bx), ay.min(by), width, height, stroke.colour);
            }
        }
    }

    fn text(&mut self, [top, left]: [usize; 2], text: &str, centred: bool, [red, green, blue]: Colour) {
        let style = MonoTextStyle::new(&FONT_10X20, Rgb888::new(red, green, blue));
        let alignment = if centred { Alignment::Center } else { Alignment::Left };
        let layout = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        let at = Point::new(left as i32, top as i32);
        let Ok(_) = Text::with_text_style(text, at, style, layout).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            self.set(point.x as isize, point.y as isize, [colour.r(), colour.g(), colour.b()]);
        }
        Ok(())
    }
}
