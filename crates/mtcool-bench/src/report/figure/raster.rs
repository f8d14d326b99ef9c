//! Renders a figure's SVG as pixels.

use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use super::png::png;

/// The only font, so that a figure looks the same on every machine: Noto Sans, under the SIL Open Font License.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
    fonts.set_sans_serif_family(family.unwrap_or_default());
    Arc::new(fonts)
});

/// The document `svg` as a PNG file of the document's size, on white.
///
/// # Errors
/// If it is no SVG, if it has no size that a picture can have, or if it cannot be encoded.
pub(super) fn raster(svg: &str) -> Result<Vec<u8>> {
    let options = Options { fontdb: Arc::clone(&FONTS), ..Options::default() };
    let tree = Tree::from_str(svg, &options).context("the figure as SVG")?;
    let size = tree.size().to_int_size();
    let (width, height) = (size.width(), size.height());
    let pixels = Pixmap::new(width, height).with_context(|| format!("a figure of {height}x{width} pixels"));
    let mut pixels = pixels?;
    pixels.fill(Color::WHITE);
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    // Nothing is transparent on white.
    let rgb = pixels.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    png(width as usize, height as usize, rgb)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::outline::outlines;
    use super::super::scene::{Item, Picture, Scene, Stroke};
    use super::super::svg::svg;
    use super::*;

    /// What the PNG of a figure with these items has at (row, column).
    fn pixels(items: Vec<Item>) -> impl Fn([usize; 2]) -> [u8; 3] {
        let scene = Scene { height: 60, width: 120, items };
        let file = raster(&svg(&scene).unwrap()).unwrap();
        let picture = image::load_from_memory(&file).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (120, 60));
        move |[row, column]| picture.get_pixel(column as u32, row as u32).0
    }

    const BLUE: [u8; 3] = [0, 0, 255];
    const WHITE: [u8; 3] = [255; 3];

    #[test]
    fn boxes_and_magnified_pixels_keep_their_borders() {
        let picture = Picture { height: 1, width: 2, rgb: vec![255, 0, 0, 0, 255, 0] };
        let at = pixels(vec![
            Item::Box { at: [5, 10], size: [10, 20], colour: BLUE },
            Item::Picture { at: [20, 40], size: [16, 32], picture },
        ]);
        assert_eq!([at([4, 15]), at([5, 10]), at([14, 29]), at([14, 30])], [WHITE, BLUE, BLUE, WHITE]);
        assert_eq!(
            [at([20, 40]), at([35, 55]), at([20, 56]), at([35, 71])],
            [[255, 0, 0], [255, 0, 0], [0, 255, 0], [0, 255, 0]]
        );
    }

    #[test]
    fn a_reduced_picture_has_the_means_of_its_pixels() {
        // Columns of black and white, at the density of the screens for which SVG has more pixels than the figure.
        let rgb = (0..64 * 64).flat_map(|at| [if at % 2 == 0 { 0 } else { 200 }; 3]).collect();
        let at = pixels(vec![Item::Picture {
            at: [10, 10],
            size: [32, 32],
            picture: Picture { height: 64, width: 64, rgb },
        }]);
        let [red, green, blue] = at([26, 26]);
        assert!((95..=105).contains(&red) && red == green && red == blue, "{red}, {green}, {blue}");
    }

    #[test]
    fn outlines_are_lines_of_one_colour() {
        let outlines = outlines(&[false, true, true, false], 2);
        let stroke = Stroke { outlines, colour: BLUE, thickness: 3 };
        let at = pixels(vec![Item::Stroke { at: [10, 10], scale: 20.0, stroke }]);
        // The second pixel of the first row lies between the columns 30 and 50, and the rows 10 and 30.
        assert_eq!([at([20, 30]), at([20, 50]), at([10, 40]), at([20, 40])], [BLUE, BLUE, BLUE, WHITE]);
        let colours: BTreeSet<[u8; 3]> =
            (0..60).flat_map(|row| (0..120).map(move |column| [row, column])).map(&at).collect();
        assert_eq!(colours, BTreeSet::from([BLUE, WHITE]), "a border of pixels is sharp");
    }

    #[test]
    fn text_is_drawn_where_it_stands() {
        let dark = |text: &str| -> Vec<[usize; 2]> {
            let items = vec![Item::Text { at: [20, 10], text: text.into(), centred: false, colour: [0; 3] }];
            let at = pixels(items);
            let all = (0..60).flat_map(|row| (0..120).map(move |column| [row, column]));
            all.filter(|place| at(*place)[0] < 128).collect()
        };
        let text = |text: &str| {
            let dark = dark(text);
            let right = dark.iter().map(|[_, column]| *column).max();
            assert!(dark.iter().all(|[row, column]| (20..42).contains(row) && *column >= 9), "{text}: {dark:?}");
            (dark.len(), right.unwrap_or(0))
        };
        assert_eq!(text(" "), (0, 0));
        let (short, long) = (text("seed"), text("seed & <seed>"));
        assert!(short.0 > 20 && long.0 > 2 * short.0 && long.1 > 2 * short.1, "{short:?}, {long:?}");
        // A letter that a font lacks would be a box, or nothing.
        let boxed = dark("\u{10fffd}");
        for letter in ["Δ", "±", "é", "ß", "–"] {
            let pixels = dark(letter);
            assert!(pixels.len() > 5 && pixels != boxed, "{letter}: {pixels:?}");
        }
    }

    #[test]
    fn what_is_no_svg_is_refused() {
        assert!(format!("{:#}", raster("<p>no figure</p>").unwrap_err()).contains("SVG"));
    }
}
