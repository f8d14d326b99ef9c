//! What the colours of the artery/vein ground truth mean, pixel by pixel, and how labels are reduced.

use crate::error::Result;
use crate::picture::{Picture, reduced_size};

/// A pixel's class in the artery/vein ground truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Black: no vessel.
    Background = 0,
    /// Red.
    Artery = 1,
    /// Blue.
    Vein = 2,
    /// Green: a crossing of both or an undecided vessel, which the files do not tell apart.
    Crossing = 3,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Background, Self::Artery, Self::Vein, Self::Crossing];

    /// The pure colour of the class.
    pub const fn colour(self) -> [u8; 3] {
        match self {
            Self::Background => [0, 0, 0],
            Self::Artery => [255, 0, 0],
            Self::Vein => [0, 0, 255],
            Self::Crossing => [0, 255, 0],
        }
    }
}

/// A blend of two pure colours, as anti-aliasing produces it, has a distance of at most 181 from the nearer one. A colour that is
/// farther than this (squared) from every pure colour is not a blend.
const FOREIGN: u32 = 190 * 190;
/// The share of pixels that may have a foreign colour. The published files have a few such specks (at most 5 of 8 million
/// pixels).
const FOREIGN_SHARE: f64 = 1e-4;
/// This many foreign pixels are accepted in small files, too.
const FEW: usize = 8;

/// The decoded ground truth of one photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
    /// One [`Class`] number per pixel, `[H * W]`.
    pub(super) classes: Vec<u8>,
    /// The number of pixels that had no pure colour and took the nearest one.
    pub(super) snapped: usize,
    /// The number of those whose colour anti-aliasing cannot explain, and the first of them: x, y, colour.
    pub(super) foreign: (usize, Option<(usize, usize, [u8; 3])>),
}

impl Labels {
    /// Each pixel of `picture` takes the class of the nearest pure colour; at equal distances background is preferred, then
    /// crossing, then artery.
    pub(super) fn decode(picture: &Picture) -> Self {
        let mut labels = Self {
            height: picture.height,
            width: picture.width,
            classes: Vec::with_capacity(picture.height * picture.width),
            snapped: 0,
            foreign: (0, None),
        };
        for (index, pixel) in picture.bytes.chunks_exact(3).enumerate() {
            let colour = [pixel[0], pixel[1], pixel[2]];
            let (class, distance) = nearest(colour);
            labels.classes.push(class as u8);
            if distance > 0 {
                labels.snapped += 1;
                if distance > FOREIGN {
                    labels.foreign.0 += 1;
                    labels.foreign.1.get_or_insert((index % picture.width, index / picture.width, colour));
                }
            }
        }
        labels
    }

    /// Whether there are more foreign colours than specks of dirt can explain.
    pub(super) fn is_miscoloured(&self) -> bool {
        self.foreign.0 > FEW.max((FOREIGN_SHARE * self.classes.len() as f64) as usize)
    }
}

/// The class of the nearest pure colour and the squared distance to it.
fn nearest(colour: [u8; 3]) -> (Class, u32) {
    match colour {
        [0, 0, 0] => (Class::Background, 0),
        [255, 0, 0] => (Class::Artery, 0),
        [0, 0, 255] => (Class::Vein, 0),
        [0, 255, 0] => (Class::Crossing, 0),
        _ => {
            let distance = |class: Class| {
                let squares = class.colour().into_iter().zip(colour).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2));
                squares.sum::<u32>()
            };
            let order = [Class::Background, Class::Crossing, Class::Artery, Class::Vein];
            let mut best = (order[0], distance(order[0]));
            for class in &order[1..] {
                if distance(*class) < best.1 {
                    best = (*class, distance(*class));
                }
            }
            best
        }
    }
}

/// What is known of a pixel besides its colour, in one byte: its [`Class`] in the two lowest bits, then [`FIELD`] and [`VESSEL`].
///
/// If a set is loaded at a smaller scale, a block of pixels is vessel if at least half of its pixels are, so that the area of
/// vessels stays about the same; its class is the most frequent one among its vessel pixels, or [`Class::Crossing`] if two are
/// equally frequent. It lies
/// inside the field of view if at least half of its pixels do.
pub type Mark = u8;
/// The bits of a mark that hold the class.
pub const CLASS: Mark = 3;
/// The bit that is set inside the field of view.
pub const FIELD: Mark = 4;
/// The bit that is set on vessels of the binary task: those of `manual1` if the photograph has a file there, or else every pixel
/// whose class is not background.
pub const VESSEL: Mark = 8;

/// 1 if `mark` is a vessel of the binary task, else 0.
pub(super) fn vessel(mark: Mark) -> u8 {
    u8::from(mark & VESSEL != 0)
}

/// The targets of the 256 possible marks, one row per task: whether it is a vessel, and its class.
pub fn target_planes() -> [[u8; 256]; 2] {
    let of = |target: fn(Mark) -> u8| std::array::from_fn(|mark| target(mark as u8));
    [of(vessel), of(|mark| mark & CLASS)]
}

/// Joins labels, field of view and vessels `[H * W]` to marks and reduces them by `scale`, by the rule of [`Mark`]. Rows and
/// columns after the last whole block are cut off, as in the photograph.
///
/// # Errors
/// If `scale` is 0 or larger than the picture.
pub(super) fn marks(labels: &Labels, field: &[bool], vessels: Option<&[bool]>, scale: usize) -> Result<Vec<Mark>> {
    let [height, width] = reduced_size(labels.height, labels.width, scale)?;
    let mut marks = Vec::with_capacity(height * width);
    let half = |count: usize| 2 * count >= scale * scale;
    for top in (0..height).map(|row| row * scale) {
        for left in (0..width).map(|column| column * scale) {
            let (mut classes, mut inside, mut vessel) = ([0usize; 4], 0, 0);
            for row in top..top + scale {
                for index in row * labels.width + left..row * labels.width + left + scale {
                    classes[usize::from(labels.classes[index])] += 1;
                    inside += usize::from(field[index]);
                    vessel += usize::from(vessels.map_or(labels.classes[index] != 0, |vessels| vessels[index]));
                }
            }
            let class =
                if half(classes[1] + classes[2] + classes[3]) { most_frequent(classes) } else { Class::Background };
            let flag = |set: bool, flag: Mark| if set { flag } else { 0 };
            marks.push(class as Mark | flag(half(inside), FIELD) | flag(half(vessel), VESSEL));
        }
    }
    Ok(marks)
}

fn most_frequent([_, artery, vein, crossing]: [usize; 4]) -> Class {
    if artery > vein.max(crossing) {
        Class::Artery
    } else if vein > artery.max(crossing) {
        Class::Vein
    } else {
        Class::Crossing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, colours: &[[u8; 3]]) -> Picture {
        Picture { height: colours.len() / width, width, channels: 3, bytes: colours.concat() }
    }

    #[test]
    fn pure_colours_are_their_classes_and_nothing_is_snapped() {
        let labels = Labels::decode(&picture(2, &Class::ALL.map(Class::colour)));
        assert_eq!((labels.height, labels.width, &labels.classes[..]), (2, 2, &[0, 1, 2, 3][..]));
        assert_eq!((labels.snapped, labels.foreign), (0, (0, None)));
    }

    #[test]
    fn blends_of_two_colours_go_to_the_nearer_one_and_are_not_foreign() {
        for a in Class::ALL {
            for b in Class::ALL {
                for part in 0..=100u32 {
                    let mix = |x: u8, y: u8| ((u32::from(x) * (100 - part) + u32::from(y) * part + 50) / 100) as u8;
                    let [ca, cb] = [a.colour(), b.colour()];
                    let labels =
                        Labels::decode(&picture(1, &[[mix(ca[0], cb[0]), mix(ca[1], cb[1]), mix(ca[2], cb[2])]]));
                    assert_eq!(labels.foreign.0, 0, "{a:?} {b:?} {part}");
                    if part != 50 {
                        assert_eq!(labels.classes[0], if part < 50 { a } else { b } as u8, "{a:?} {b:?} {part}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_colour_takes_the_nearest_class() {
        for r in (0..=255u8).step_by(15) {
            for g in (0..=255u8).step_by(15) {
                for b in (0..=255u8).step_by(15) {
                    let (class, distance) = nearest([r, g, b]);
                    let to = |class: Class| {
                        let d = |k: usize| (f64::from([r, g, b][k]) - f64::from(class.colour()[k])).powi(2);
                        d(0) + d(1) + d(2)
                    };
                    assert_eq!(to(class), f64::from(distance));
                    assert!(Class::ALL.iter().all(|&other| to(other) >= to(class)), "{r} {g} {b}");
                }
            }
        }
        let ties = [[255, 0, 255], [255, 255, 0], [0, 255, 255], [255, 255, 255]];
        assert_eq!(
            ties.map(|colour| nearest(colour).0),
            [Class::Artery, Class::Crossing, Class::Crossing, Class::Crossing]
        );
    }

    #[test]
    fn colours_of_another_code_are_told_from_specks_of_dirt() {
        let mut colours = vec![[0, 0, 0]; 400];
        colours[25..33].fill([255, 255, 255]);
        let labels = Labels::decode(&picture(20, &colours));
        assert_eq!((labels.snapped, labels.foreign), (8, (8, Some((5, 1, [255, 255, 255])))));
        assert!(!labels.is_miscoloured());
        colours[24] = [255, 255, 0];
        let labels = Labels::decode(&picture(20, &colours));
        assert!(labels.is_miscoloured() && labels.foreign == (9, Some((4, 1, [255, 255, 0]))));
    }

    #[test]
    fn a_block_is_what_half_of_it_is() {
        let block = |classes: [u8; 4], field: [bool; 4], vessels: Option<[bool; 4]>| {
            let labels = Labels { height: 2, width: 2, classes: classes.to_vec(), snapped: 0, foreign: (0, None) };
            marks(&labels, &field, vessels.as_ref().map(|v| &v[..]), 2).unwrap()[0]
        };
        let (on, off) = ([true; 4], [false; 4]);
        assert_eq!(block([1, 0, 0, 0], on, None), FIELD);
        assert_eq!(block([1, 0, 1, 0], on, None), FIELD | VESSEL | Class::Artery as u8);
        assert_eq!(block([1, 2, 0, 0], off, None), VESSEL | Class::Crossing as u8);
        assert_eq!(block([1, 2, 2, 0], [true, true, false, false], None), FIELD | VESSEL | Class::Vein as u8);
        assert_eq!(block([3, 3, 2, 1], [true, false, false, false], None), VESSEL | Class::Crossing as u8);
        // `manual1` determines only the binary task.
        assert_eq!(block([1, 1, 1, 1], off, Some(off)), Class::Artery as u8);
        assert_eq!(block([0, 0, 0, 0], off, Some([true, true, false, false])), VESSEL);
    }

    #[test]
    fn at_scale_1_marks_are_the_labels_themselves_and_remainders_are_cut() {
        let labels =
            Labels { height: 3, width: 3, classes: vec![0, 1, 2, 3, 0, 1, 2, 3, 0], snapped: 0, foreign: (0, None) };
        let field: Vec<bool> = (0..9).map(|k| k % 2 == 0).collect();
        let got = marks(&labels, &field, None, 1).unwrap();
        for (index, mark) in got.iter().enumerate() {
            assert_eq!((mark & CLASS, mark & FIELD != 0), (labels.classes[index], field[index]));
            assert_eq!(mark & VESSEL != 0, labels.classes[index] != 0);
        }
        assert_eq!(marks(&labels, &field, None, 2).unwrap().len(), 1);
        assert!(marks(&labels, &field, None, 4).is_err() && marks(&labels, &field, None, 0).is_err());
    }
}
