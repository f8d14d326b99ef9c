//! The contact sheet: one HTML page with some pictures, their masks drawn over them, and their labels. It opens offline.

use std::fmt::Write;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use mtcool_data::folder::IGNORED;

use super::spec::COLOURS;

/// A picture of the sheet.
pub(super) struct SheetPicture {
    /// Below the picture: its name, and a line for each label.
    pub(super) caption: Vec<String>,
    /// Rows and columns.
    pub(super) size: [usize; 2],
    /// Red, green and blue, `[H, W, 3]`.
    pub(super) rgb: Vec<u8>,
    /// The classes `[H, W]` of a mask, which are painted over the picture; class 0 and ignored pixels are not.
    pub(super) mask: Option<Vec<u8>>,
}

/// The longest side of a picture on the sheet, in pixels.
const SIDE: usize = 256;
/// The share of a class's colour in a pixel.
const COVER: f32 = 0.4;
/// Quality of the pictures in per cent.
const QUALITY: u8 = 85;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 0.75rem; border: 1px solid #8886; border-radius: 6px; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; }
figure { margin: 0; }
figure img { width: 100%; height: auto; display: block; border-radius: 4px; }
figcaption { font-size: 13px; overflow-wrap: anywhere; }
.legend span { display: inline-block; margin-right: 1rem; }
.legend i { display: inline-block; width: 0.9em; height: 0.9em; margin-right: 0.3em; border-radius: 2px; }
";

/// The page: `title`, the text of the inspection, the names of the classes of all masks, and the pictures.
///
/// # Errors
/// If a picture cannot be encoded.
pub(super) fn page(
    title: &str,
    text: &str,
    legends: &[(String, Vec<String>)],
    pictures: &[SheetPicture],
) -> Result<String> {
    let mut page = String::new();
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title><style>{STYLE}</style></head>\n<body><h1>{0}</h1>\n<pre>{1}</pre>\n",
        escaped(title),
        escaped(text)
    )?;
    for (task, classes) in legends {
        write!(page, "<p class=\"legend\"><b>{}</b> ", escaped(task))?;
        for (index, class) in classes.iter().enumerate().skip(1) {
            let [red, green, blue] = colour(index as u8);
            write!(page, "<span><i style=\"background:rgb({red},{green},{blue})\"></i>{}</span>", escaped(class))?;
        }
        page.push_str("</p>\n");
    }
    page.push_str("<main>\n");
    for picture in pictures {
        let caption: Vec<String> = picture.caption.iter().map(|line| escaped(line)).collect();
        writeln!(
            page,
            "<figure><img alt=\"{}\" src=\"data:image/jpeg;base64,{}\"><figcaption>{}</figcaption></figure>",
            caption.first().map_or("", String::as_str),
            STANDARD.encode(jpeg(picture)?),
            caption.join("<br>")
        )?;
    }
    page.push_str("</main></body></html>\n");
    Ok(page)
}

/// The colour of class `class`, which is not 0.
fn colour(class: u8) -> [u8; 3] {
    COLOURS[(usize::from(class).max(1) - 1) % COLOURS.len()]
}

/// The picture with its mask, reduced by whole steps.
fn jpeg(picture: &SheetPicture) -> Result<Vec<u8>> {
    let SheetPicture { size: [height, width], rgb, mask, .. } = picture;
    let (height, width) = (*height, *width);
    let step = height.max(width).div_ceil(SIDE).max(1);
    let (rows, columns) = (height.div_ceil(step), width.div_ceil(step));
    let mut pixels = Vec::with_capacity(rows * columns * 3);
    for row in 0..rows {
        for column in 0..columns {
            let index = (row * step) * width + column * step;
            let class = mask.as_ref().map_or(0, |mask| mask[index]);
            let painted = (class != 0 && class != IGNORED).then(|| colour(class));
            for channel in 0..3 {
                let value = f32::from(rgb[3 * index + channel]);
                let value = painted.map_or(value, |colour| value + COVER * (f32::from(colour[channel]) - value));
                pixels.push(value.round() as u8);
            }
        }
    }
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.write_image(&pixels, columns as u32, rows as u32, ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_pictures_with_their_masks_and_needs_no_other_file() {
        let mut mask = vec![0; 400 * 300];
        mask[..300 * 100].fill(1);
        mask[300 * 100..300 * 200].fill(IGNORED);
        let caption = vec!["case <1>".to_owned(), "glaucoma: 1".into()];
        let picture = SheetPicture { caption, size: [400, 300], rgb: vec![100; 400 * 300 * 3], mask: Some(mask) };
        let shown = image::load_from_memory(&jpeg(&picture).unwrap()).unwrap().into_rgb8();
        assert_eq!((shown.height(), shown.width()), (200, 150));
        let near = |row: u32, want: [u8; 3]| {
            let got = shown.get_pixel(75, row).0;
            assert!(got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 4), "{row}: {got:?}");
        };
        // Sixty per cent of the picture and forty per cent of the class's colour; ignored pixels and background are not painted.
        near(25, COLOURS[0].map(|colour| (60.0 + 0.4 * f32::from(colour)) as u8));
        near(75, [100; 3]);
        near(175, [100; 3]);
        let legends = vec![("disc".to_owned(), vec!["background".to_owned(), "rim & cup".into()])];
        let page = page("Folder", "2 cases", &legends, &[picture]).unwrap();
        for part in ["case &lt;1&gt;<br>glaucoma: 1", "rim &amp; cup", "data:image/jpeg;base64,", "2 cases"] {
            assert!(page.contains(part), "no `{part}`");
        }
        assert!(!page.contains("http"), "an address outside of the page");
    }
}
