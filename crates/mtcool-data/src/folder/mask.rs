//! Masks: the values of their pixels, and the classes that these stand for.

use std::collections::BTreeMap;

use super::decode::Decoded;
use super::label::IGNORED;
use super::pixels::Pixels;
use super::task::TaskKind;
use super::value::MaskValue;

/// More different values than a mask has: it is a photograph, or was saved with losses.
const MOST_VALUES: usize = 20_000;

/// The value of every pixel of a mask, row by row.
pub(super) struct MaskPixels {
    pub(super) height: usize,
    pub(super) width: usize,
    pixels: Pixels,
}

impl MaskPixels {
    /// A mask from a file of grey values or colours.
    ///
    /// # Errors
    /// What the file is instead.
    pub(super) fn new(decoded: Decoded) -> Result<Self, String> {
        Self::of_pixels(decoded.opaque())
    }

    /// As [`Self::new`], from pixels without alpha.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn of_pixels(pixels: Pixels) -> Result<Self, String> {
        let is_mask = pixels.channels == 1 || (pixels.channels == 3 && !pixels.is_deep);
        if !is_mask {
            return Err(format!("a picture of {}; a mask has grey values, or colours of 8 bits", pixels.description()));
        }
        Ok(Self { height: pixels.height, width: pixels.width, pixels })
    }

    /// The value of each pixel, row by row.
    fn values(&self) -> impl Iterator<Item = MaskValue> {
        (0..self.height * self.width).map(|pixel| match self.pixels.channels {
            1 => MaskValue::Grey(self.pixels.sample(pixel, 0)),
            _ => MaskValue::of_color([0, 1, 2].map(|channel| self.pixels.sample(pixel, channel) as u8)),
        })
    }

    /// How often each value occurs.
    ///
    /// # Errors
    /// If there are more values than a mask has.
    pub(super) fn counts(&self) -> Result<BTreeMap<MaskValue, u64>, String> {
        let mut counts = BTreeMap::new();
        // Neighbours are mostly equal.
        let mut last: Option<(MaskValue, u64)> = None;
        for value in self.values() {
            match &mut last {
                Some((known, count)) if *known == value => *count += 1,
                _ => {
                    if let Some((known, count)) = last.replace((value, 1)) {
                        *counts.entry(known).or_insert(0) += count;
                        if counts.len() > MOST_VALUES {
                            return Err(format!("more than {MOST_VALUES} different values, which is no mask"));
                        }
                    }
                }
            }
        }
        if let Some((known, count)) = last {
            *counts.entry(known).or_insert(0) += count;
        }
        Ok(counts)
    }

    /// The class of each pixel; a value that stands for none is [`IGNORED`].
    pub(super) fn classes(&self, coding: &MaskCoding) -> Vec<u8> {
        let mut last = None;
        let mut classes = Vec::with_capacity(self.height * self.width);
        for value in self.values() {
            let class = match last {
                Some((known, class)) if known == value => class,
                _ => coding.class(value).unwrap_or(IGNORED),
            };
            last = Some((value, class));
            classes.push(class);
        }
        classes
    }
}

/// Which class each value stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MaskCoding {
    /// The listed values, with the index of the class or [`IGNORED`].
    classes: BTreeMap<MaskValue, u8>,
    tolerance: u16,
}

impl MaskCoding {
    /// The coding of a segmentation; `None` for another task.
    pub(super) fn of(kind: &TaskKind) -> Option<Self> {
        let TaskKind::Segmentation { classes, ignored, tolerance, .. } = kind else { return None };
        let outputs = kind.outputs();
        let index = |name: &String| outputs.iter().position(|output| output == name).map(|index| index as u8);
        let listed = classes.iter().filter_map(|(&value, name)| Some((value, index(name)?)));
        let classes = listed.chain(ignored.iter().map(|&value| (value, IGNORED))).collect();
        Some(Self { classes, tolerance: *tolerance })
    }

    /// The class of `value`; `None` if it stands for none. Of equally near values, the smallest is taken.
    pub(super) fn class(&self, value: MaskValue) -> Option<u8> {
        if let Some(&class) = self.classes.get(&value) {
            return Some(class);
        }
        let near = self.classes.iter().map(|(listed, &class)| (listed.distance(value), class));
        near.filter(|(distance, _)| *distance <= self.tolerance).min_by_key(|(distance, _)| *distance).map(|(_, c)| c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(channels: usize, bytes: &[u8]) -> MaskPixels {
        let pixels =
            Pixels { height: 1, width: bytes.len() / channels, channels, is_deep: false, bytes: bytes.to_vec() };
        MaskPixels::new(Decoded { pixels, has_alpha: false }).unwrap()
    }

    fn coding(classes: &[(&str, &str)], ignored: &[&str], tolerance: u16) -> MaskCoding {
        let classes = classes.iter().map(|(value, name)| (value.parse().unwrap(), (*name).to_owned())).collect();
        let ignored = ignored.iter().map(|value| value.parse().unwrap()).collect();
        let (mask, order, regions) = ("{case}.png".into(), Vec::new(), BTreeMap::new());
        MaskCoding::of(&TaskKind::Segmentation { mask, classes, order, ignored, tolerance, regions }).unwrap()
    }

    #[test]
    fn values_stand_for_classes_and_the_background_comes_first() {
        let coding = coding(&[("0", "cup"), ("128", "rim"), ("255", "background"), ("254", "rim")], &["7"], 0);
        let mask = mask(1, &[0, 128, 255, 254, 7, 9]);
        assert_eq!(mask.classes(&coding), [1, 2, 0, 2, IGNORED, IGNORED]);
        assert_eq!(coding.class(MaskValue::Grey(7)), Some(IGNORED));
        assert_eq!(coding.class(MaskValue::Grey(9)), None);
        let counts: Vec<(MaskValue, u64)> = mask.counts().unwrap().into_iter().collect();
        assert_eq!(counts, [0, 7, 9, 128, 254, 255].map(|value| (MaskValue::Grey(value), 1)));
    }

    #[test]
    fn the_classes_may_have_another_order() {
        let kind = r#"{ "kind": "segmentation", "mask": "{case}.png", "classes": { "0": "cup", "128": "rim", "255": "none" },
            "order": ["none", "rim", "cup"] }"#;
        let coding = MaskCoding::of(&serde_json::from_str(kind).unwrap()).unwrap();
        assert_eq!([0, 128, 255].map(|value| coding.class(MaskValue::Grey(value))), [Some(2), Some(1), Some(0)]);
    }

    #[test]
    fn colours_within_the_tolerance_take_the_nearest_value() {
        let coding = coding(&[("0", "background"), ("#ff0000", "artery"), ("#0000ff", "vein")], &[], 20);
        let mask = mask(3, &[0, 0, 0, 250, 3, 0, 9, 9, 245, 9, 0, 9, 128, 0, 0]);
        // Blue comes before red.
        assert_eq!(mask.classes(&coding), [0, 2, 1, 0, IGNORED]);
    }

    #[test]
    fn runs_are_counted_as_a_whole() {
        let bytes: Vec<u8> = (0..300u32).map(|k| (k / 7 % 3) as u8).collect();
        let counts = mask(1, &bytes).counts().unwrap();
        for value in 0..3u8 {
            let expected = bytes.iter().filter(|&&byte| byte == value).count() as u64;
            assert_eq!(counts[&MaskValue::Grey(value.into())], expected);
        }
        assert_eq!(counts.len(), 3);
    }

    #[test]
    fn a_picture_is_no_mask() {
        let pixels = Pixels { height: 1, width: 1, channels: 2, is_deep: false, bytes: vec![0; 2] };
        assert!(MaskPixels::new(Decoded { pixels, has_alpha: false }).is_err());
        let bytes: Vec<u8> = (0..30_000u32).flat_map(|k| [k as u8, (k >> 8) as u8, 7]).collect();
        assert!(mask(3, &bytes).counts().unwrap_err().contains("no mask"));
    }
}
