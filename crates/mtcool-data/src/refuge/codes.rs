//! What the values of masks stand for: told by where they lie, with one rule for all masks of a folder.
//!
//! Copies of the set are coded in many ways, also with the values of the official coding in other roles. So each mask is asked
//! where its values lie: the background has most of the border and of the area, the rim touches the background, and the cup lies
//! inside the rim. What the masks with a clear answer say is the rule of the folder.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::values::MaskValues;

/// The values of background, rim and cup in the masks of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MaskCodes {
    /// The value of pixels outside of the disc.
    pub background: u16,
    /// The value of the disc outside of the cup.
    pub rim: u16,
    /// The value of the cup.
    pub cup: u16,
}

impl MaskCodes {
    /// The codes of the published masks.
    pub const OFFICIAL: Self = Self { background: 255, rim: 128, cup: 0 };

    /// Whether `value` stands for a class.
    pub(super) fn contains(self, value: u16) -> bool {
        [self.background, self.rim, self.cup].contains(&value)
    }
}

impl fmt::Display for MaskCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { background, rim, cup } = self;
        write!(f, "{background} background, {rim} rim, {cup} cup")
    }
}

/// What one mask says about the meaning of its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Vote {
    /// The places of three values tell their meaning.
    Three(MaskCodes),
    /// There are two values, and one of them is the background.
    Two { background: u16, disc: u16 },
    /// The places of the values tell nothing; why.
    Unclear(String),
}

/// A value that touches the background less than the other one by this factor lies inside of it.
const INSIDE: usize = 8;

impl Vote {
    /// What the places of `values` say.
    pub(super) fn of(values: &MaskValues) -> Self {
        let MaskValues { palette, .. } = values;
        let unclear = |why: String| Self::Unclear(why);
        if !(2..=3).contains(&palette.len()) {
            return unclear(format!("got {}", values.listed()));
        }
        let (areas, border) = (values.areas(), values.border());
        let most = |counts: &[usize]| (0..palette.len()).max_by_key(|&index| counts[index]).unwrap_or(0);
        let background = most(&border);
        if 2 * border[background] <= border.iter().sum() {
            return unclear("no value has most of the border, where the background lies".into());
        }
        if most(&areas) != background {
            let (at_border, largest) = (palette[background], palette[most(&areas)]);
            return unclear(format!(
                "value {at_border} has most of the border, but value {largest} most of the picture"
            ));
        }
        let others: Vec<usize> = (0..palette.len()).filter(|&index| index != background).collect();
        let [first, second] = others[..] else {
            return Self::Two { background: palette[background], disc: palette[others[0]] };
        };
        let contacts = values.contacts_with(background);
        let (rim, cup) = if contacts[first] > contacts[second] { (first, second) } else { (second, first) };
        if contacts[cup] * INSIDE > contacts[rim] {
            return unclear(format!(
                "values {} and {} both touch the background, so that neither lies inside the other",
                palette[rim], palette[cup]
            ));
        }
        Self::Three(MaskCodes { background: palette[background], rim: palette[rim], cup: palette[cup] })
    }

    /// What contradicts `codes` in this vote.
    pub(super) fn contradiction(&self, codes: MaskCodes) -> Option<String> {
        match self {
            Self::Three(own) if *own != codes => Some(own.to_string()),
            Self::Two { background, disc } if *background != codes.background => {
                Some(format!("{background} background, {disc} disc"))
            }
            _ => None,
        }
    }
}

/// The rule that most of the masks with a clear answer follow; of equally frequent ones the official codes, or else the smallest.
/// The official codes if nothing was asked.
///
/// # Errors
/// Why there is no rule.
pub(super) fn rule<'a>(votes: impl Iterator<Item = &'a Vote>) -> Result<MaskCodes, String> {
    let mut counts: BTreeMap<MaskCodes, usize> = BTreeMap::new();
    let (mut two, mut unclear) = (None, None);
    for vote in votes {
        match vote {
            Vote::Three(codes) => *counts.entry(*codes).or_default() += 1,
            Vote::Two { background, disc } => two = two.or(Some((*background, *disc))),
            Vote::Unclear(why) => unclear = unclear.or(Some(why)),
        }
    }
    let most = counts.into_iter().rev().max_by_key(|(codes, count)| (*count, *codes == MaskCodes::OFFICIAL));
    match (most, two, unclear) {
        (Some((codes, _)), _, _) => Ok(codes),
        (None, Some((background, disc)), _) => Err(format!(
            "no mask shows a cup inside a rim: they have two values, such as {background} around and {disc} inside, which is a \
             disc alone; expected three values, for background, rim and cup"
        )),
        (None, None, Some(why)) => Err(format!(
            "no mask tells by the places of its values which is which: expected background at the border, a rim next to it, and \
             a cup inside the rim, {}{why}",
            if why.starts_with("got") { "" } else { "got a mask in which " }
        )),
        (None, None, None) => Ok(MaskCodes::OFFICIAL),
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage, ImageBuffer, Luma};

    use super::*;

    /// A mask of 24 x 20 pixels with a disc of 8 x 8 around a cup of 4 x 4, whose classes have these values.
    fn mask(values: [u8; 3]) -> DynamicImage {
        GrayImage::from_fn(24, 20, |x, y| Luma([values[class(x, y)]])).into()
    }

    fn class(x: u32, y: u32) -> usize {
        let within = |margin: u32| (8 + margin..16 - margin).contains(&x) && (6 + margin..14 - margin).contains(&y);
        usize::from(within(0)) + usize::from(within(2))
    }

    fn vote(picture: &DynamicImage) -> Vote {
        Vote::of(&MaskValues::of(picture).unwrap())
    }

    fn codes(background: u16, rim: u16, cup: u16) -> MaskCodes {
        MaskCodes { background, rim, cup }
    }

    #[test]
    fn values_mean_what_their_places_say() {
        for values in [[255, 128, 0], [0, 128, 255], [0, 1, 2], [2, 1, 0], [0, 2, 1], [1, 2, 3], [128, 0, 255]] {
            let [background, rim, cup] = values.map(u16::from);
            assert_eq!(vote(&mask(values)), Vote::Three(codes(background, rim, cup)), "{values:?}");
        }
        assert_eq!(vote(&mask([1, 2, 2])), Vote::Two { background: 1, disc: 2 });
        assert_eq!(vote(&mask([0, 0, 255])), Vote::Two { background: 0, disc: 255 });
    }

    #[test]
    fn sixteen_bits_keep_their_values() {
        for values in [[0u16, 128, 255], [65_535, 32_768, 0], [0, 1, 256]] {
            let picture: DynamicImage = ImageBuffer::from_fn(24, 20, |x, y| Luma([values[class(x, y)]])).into();
            assert_eq!(vote(&picture), Vote::Three(codes(values[0], values[1], values[2])));
        }
    }

    #[test]
    fn what_the_places_do_not_tell_is_unclear() {
        let unclear = |picture: DynamicImage, part: &str| match vote(&picture) {
            Vote::Unclear(why) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        };
        // The disc fills most of the picture.
        let filled = GrayImage::from_fn(24, 20, |x, y| Luma([u8::from((2..22).contains(&x) && (2..18).contains(&y))]));
        unclear(filled.into(), "value 0 has most of the border, but value 1 most of the picture");
        // Two halves of a disc.
        let halves = GrayImage::from_fn(24, 20, |x, y| Luma([if class(x, y) == 0 { 0 } else { 1 + u8::from(x < 12) }]));
        unclear(halves.into(), "both touch the background");
        unclear(GrayImage::from_fn(24, 20, |x, _| Luma([x as u8])).into(), "got [0, 1, 2, 3, 4, 5, 6, 7] and 16 more");
        unclear(GrayImage::from_fn(24, 20, |x, _| Luma([(x / 8) as u8])).into(), "most of the border");
    }

    #[test]
    fn the_rule_is_what_most_masks_say() {
        let three = |background, rim, cup| Vote::Three(codes(background, rim, cup));
        let two = Vote::Two { background: 0, disc: 1 };
        let unclear = Vote::Unclear("got [0, 7, 8, 9]".into());
        let votes = [three(255, 128, 0), unclear.clone(), two.clone(), three(0, 1, 2), three(0, 1, 2)];
        assert_eq!(rule(votes.iter()).unwrap(), codes(0, 1, 2));
        assert_eq!(rule(votes[..4].iter()).unwrap(), MaskCodes::OFFICIAL, "of two the official one");
        assert_eq!(rule([].iter()).unwrap(), MaskCodes::OFFICIAL);
        assert!(rule([two.clone(), unclear.clone()].iter()).unwrap_err().contains("a disc alone"));
        assert!(rule([unclear].iter()).unwrap_err().ends_with("got [0, 7, 8, 9]"));
        assert_eq!(votes[0].contradiction(codes(0, 1, 2)).unwrap(), "255 background, 128 rim, 0 cup");
        assert_eq!(two.contradiction(MaskCodes::OFFICIAL).unwrap(), "0 background, 1 disc");
        assert_eq!((votes[3].contradiction(codes(0, 1, 2)), two.contradiction(codes(0, 1, 2))), (None, None));
    }
}
