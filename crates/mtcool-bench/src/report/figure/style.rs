//! What a panel shows of a case: outlines on the photograph, or classes painted over it.

use super::outline::outlines;
use super::scene::{Colour, Panel, Picture, Stroke};
use super::window::Window;

/// How a data set's predictions are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureStyle {
    /// Outlines of optic disc (classes 1 and 2) and cup (class 2).
    DiscAndCup,
    /// Artery (class 1) and vein (class 2) painted on the grey photograph, errors in colours of their own.
    Vessels,
}

/// Truth and outlines of disc and cup, in colours that differ to all eyes.
const TRUTH: Colour = [255, 255, 255];
const DISC: Colour = [240, 228, 66];
const CUP: Colour = [86, 180, 233];
const ARTERY: Colour = [230, 60, 60];
const VEIN: Colour = [70, 110, 255];
/// A vessel whose kind is not known.
const UNDECIDED: Colour = [120, 120, 120];
const MISSED: Colour = [255, 235, 60];
const FALSE: Colour = [0, 200, 160];
const SWAPPED: Colour = [255, 90, 255];

impl FigureStyle {
    /// Colours and what they mean.
    pub(super) fn legend(self) -> Vec<(Colour, String)> {
        let entries: &[(Colour, &str)] = match self {
            Self::DiscAndCup => &[(DISC, "disc"), (CUP, "cup"), (TRUTH, "truth beside a prediction: thin, white")],
            Self::Vessels => &[
                (ARTERY, "artery"),
                (VEIN, "vein"),
                (MISSED, "missed"),
                (FALSE, "no vessel there"),
                (SWAPPED, "artery and vein swapped"),
                (UNDECIDED, "found, kind unknown"),
            ],
        };
        entries.iter().map(|&(colour, meaning)| (colour, meaning.to_owned())).collect()
    }

    /// What is shown of a case of `size` (height, width): of a whole photograph's vessels, a detail in which they can be seen.
    pub(super) fn window(self, truth: &[u8], size: [usize; 2]) -> Window {
        match self {
            Self::DiscAndCup => Window::whole(size),
            Self::Vessels => Window::densest(truth, size),
        }
    }

    /// The truth alone.
    pub(super) fn truth(self, photograph: &Picture, truth: &[u8]) -> Panel {
        self.prediction(photograph, truth, truth, String::new())
    }

    /// A prediction against the truth, both `[H * W]`.
    pub(super) fn prediction(self, photograph: &Picture, truth: &[u8], classes: &[u8], caption: String) -> Panel {
        match self {
            Self::DiscAndCup => {
                let of = |classes: &[u8], least: u8, colour, thickness| {
                    let mask: Vec<bool> = classes.iter().map(|&class| class >= least).collect();
                    Stroke { outlines: outlines(&mask, photograph.width), colour, thickness }
                };
                let own = [of(classes, 1, DISC, 3), of(classes, 2, CUP, 3)];
                let strokes = match classes == truth {
                    true => own.into(),
                    false => own.into_iter().chain([of(truth, 1, TRUTH, 1), of(truth, 2, TRUTH, 1)]).collect(),
                };
                Panel { picture: photograph.clone(), strokes, caption }
            }
            Self::Vessels => {
                let pixels = photograph.rgb.chunks_exact(3).zip(truth.iter().zip(classes));
                let rgb = pixels.flat_map(|(pixel, (&truth, &class))| paint(pixel, truth, class)).collect();
                Panel { picture: Picture { rgb, ..*photograph }, strokes: Vec::new(), caption }
            }
        }
    }
}

/// Classes: 0 no vessel, 1 artery, 2 vein, 3 a vessel of unknown kind. That one can be missed as any other, since it is a vessel to
/// the binary task and in AV; its kind cannot be wrong, so whatever kind it was given is right enough.
fn paint(pixel: &[u8], truth: u8, class: u8) -> Colour {
    match (truth, class) {
        (0, 0) => {
            let grey = pixel.iter().map(|&byte| u16::from(byte)).sum::<u16>() / 3;
            [(grey * 3 / 5) as u8; 3]
        }
        (0, _) => FALSE,
        (_, 0) => MISSED,
        (3, _) => UNDECIDED,
        (1, 1) => ARTERY,
        (2, 2) => VEIN,
        _ => SWAPPED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_colour() {
        let photograph = Picture { height: 2, width: 5, rgb: vec![100; 30] };
        let truth = [0, 0, 1, 2, 1, 2, 3, 1, 3, 3];
        let classes = [0, 1, 1, 2, 2, 1, 0, 0, 1, 2];
        let panel = FigureStyle::Vessels.prediction(&photograph, &truth, &classes, String::new());
        let want = [[60; 3], FALSE, ARTERY, VEIN, SWAPPED, SWAPPED, MISSED, MISSED, UNDECIDED, UNDECIDED];
        assert_eq!(panel.picture.rgb, want.concat());
    }

    #[test]
    fn a_wrong_outline_has_the_truth_beside_it() {
        let photograph = Picture { height: 2, width: 2, rgb: vec![9; 12] };
        let style = FigureStyle::DiscAndCup;
        assert_eq!(style.truth(&photograph, &[0, 1, 1, 2]).strokes.len(), 2);
        let panel = style.prediction(&photograph, &[0, 1, 1, 2], &[0, 0, 1, 2], "x".into());
        assert_eq!(panel.strokes.iter().map(|stroke| stroke.colour).collect::<Vec<_>>(), [DISC, CUP, TRUTH, TRUTH]);
        assert_eq!(panel.strokes[1].outlines, [vec![[1, 1], [2, 1], [2, 2], [1, 2]]]);
        assert_eq!(panel.picture.rgb, photograph.rgb);
    }
}
