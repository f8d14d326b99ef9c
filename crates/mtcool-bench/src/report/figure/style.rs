//! The content of a panel: outlines on the photograph, or classes painted over it.

use super::outline::outlines;
use super::scene::{Panel, Picture, Stroke};
use crate::suite::{Colour, Drawing, MapPalette, OutlinedClasses};

/// The thickness of the prediction's outlines, and of the truth's outlines on a prediction, in pixels of the figure.
const THICKNESS: [usize; 2] = [3, 1];

/// The colours and their meanings.
pub(super) fn legend(drawing: &Drawing) -> Vec<(Colour, String)> {
    match drawing {
        Drawing::Outlines { parts, truth } => {
            let parts = parts.iter().map(|part| (part.colour, part.label.to_string()));
            parts.chain([(truth.0, truth.1.to_string())]).collect()
        }
        Drawing::Map(palette) => {
            let classes = palette.classes.iter().map(|(_, colour, name)| (*colour, name));
            let errors = [&palette.missed, &palette.false_alarm, &palette.confused];
            let errors = errors.into_iter().map(|(colour, name)| (*colour, name));
            let undecided = palette.undecided.iter().map(|(_, colour, name)| (*colour, name));
            classes.chain(errors).chain(undecided).map(|(colour, name)| (colour, name.to_string())).collect()
        }
    }
}

/// A panel with only the truth `[H * W]`.
pub(super) fn truth(drawing: &Drawing, photograph: &Picture, truth: &[u8]) -> Panel {
    prediction(drawing, photograph, truth, truth, String::new())
}

/// A panel with a prediction and the truth, both `[H * W]`.
pub(super) fn prediction(
    drawing: &Drawing,
    photograph: &Picture,
    truth: &[u8],
    classes: &[u8],
    caption: String,
) -> Panel {
    match drawing {
        Drawing::Outlines { parts, truth: (colour, _) } => {
            let stroke = |classes: &[u8], part: &OutlinedClasses, colour, thickness| {
                let mask: Vec<bool> = classes.iter().map(|&class| class >= part.from).collect();
                Stroke { outlines: outlines(&mask, photograph.width), colour, thickness }
            };
            let own = parts.iter().map(|part| stroke(classes, part, part.colour, THICKNESS[0]));
            let beside = parts.iter().map(|part| stroke(truth, part, *colour, THICKNESS[1]));
            let strokes = if classes == truth { own.collect() } else { own.chain(beside).collect() };
            Panel { picture: photograph.clone(), strokes, caption }
        }
        Drawing::Map(palette) => {
            let pixels = photograph.rgb.chunks_exact(3).zip(truth.iter().zip(classes));
            let rgb = pixels.flat_map(|(pixel, (&truth, &class))| paint(palette, pixel, truth, class)).collect();
            Panel { picture: Picture { rgb, ..*photograph }, strokes: Vec::new(), caption }
        }
    }
}

/// The colour of a pixel. A pixel whose true class is undecided counts as missed if background was predicted for it; any other
/// prediction is accepted.
fn paint(palette: &MapPalette, pixel: &[u8], truth: u8, class: u8) -> Colour {
    let of_class = || palette.classes.iter().find(|(known, ..)| *known == class).map(|(_, colour, _)| *colour);
    match (truth, class) {
        (0, 0) => {
            let grey = pixel.iter().map(|&byte| u16::from(byte)).sum::<u16>() / 3;
            [(grey * 3 / 5) as u8; 3]
        }
        (0, _) => palette.false_alarm.0,
        (_, 0) => palette.missed.0,
        _ => match &palette.undecided {
            Some((undecided, colour, _)) if *undecided == truth => *colour,
            _ if truth == class => of_class().unwrap_or(palette.confused.0),
            _ => palette.confused.0,
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const TRUTH: Colour = [255, 255, 255];
    const DISC: Colour = [240, 228, 66];
    const CUP: Colour = [86, 180, 233];

    pub(in super::super) fn disc_and_cup() -> Drawing {
        let part = |from, colour, label: &'static str| OutlinedClasses { from, colour, label: label.into() };
        Drawing::Outlines { parts: vec![part(1, DISC, "disc"), part(2, CUP, "cup")], truth: (TRUTH, "truth".into()) }
    }

    pub(in super::super) fn vessels() -> Drawing {
        Drawing::Map(MapPalette {
            classes: vec![(1, [230, 60, 60], "artery".into()), (2, [70, 110, 255], "vein".into())],
            missed: ([255, 235, 60], "missed".into()),
            false_alarm: ([0, 200, 160], "no vessel there".into()),
            confused: ([255, 90, 255], "swapped".into()),
            undecided: Some((3, [120, 120, 120], "kind unknown".into())),
        })
    }

    #[test]
    fn every_kind_of_error_has_its_colour() {
        let photograph = Picture { height: 2, width: 5, rgb: vec![100; 30] };
        let truth = [0, 0, 1, 2, 1, 2, 3, 1, 3, 3];
        let classes = [0, 1, 1, 2, 2, 1, 0, 0, 1, 2];
        let panel = prediction(&vessels(), &photograph, &truth, &classes, String::new());
        let (artery, vein, missed, undecided) = ([230, 60, 60], [70, 110, 255], [255, 235, 60], [120; 3]);
        let (false_alarm, confused) = ([0, 200, 160], [255, 90, 255]);
        let want = [[60; 3], false_alarm, artery, vein, confused, confused, missed, missed, undecided, undecided];
        assert_eq!(panel.picture.rgb, want.concat());
    }

    #[test]
    fn a_wrong_outline_has_the_truth_beside_it() {
        let photograph = Picture { height: 2, width: 2, rgb: vec![9; 12] };
        let drawing = disc_and_cup();
        assert_eq!(truth(&drawing, &photograph, &[0, 1, 1, 2]).strokes.len(), 2);
        let panel = prediction(&drawing, &photograph, &[0, 1, 1, 2], &[0, 0, 1, 2], "x".into());
        let colours: Vec<Colour> = panel.strokes.iter().map(|stroke| stroke.colour).collect();
        assert_eq!(colours, [DISC, CUP, TRUTH, TRUTH]);
        assert_eq!(panel.strokes[1].outlines, [vec![[1, 1], [2, 1], [2, 2], [1, 2]]]);
        assert_eq!(panel.picture.rgb, photograph.rgb);
    }
}
