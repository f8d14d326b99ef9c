//! Pictures in files of 16 bits that use few of them, as cameras with 10 to 14 bits write them. They are read as dark pictures.

use super::facts::PictureFacts;
use super::notes::counted;

/// A picture of 16 bits whose largest value is below this one uses 14 bits at most.
const FEW_BITS: u16 = 1 << 14;

/// A note if all pictures of 16 bits are dark in this way; pictures of 8 bits beside them are not, which a network sees.
pub(super) fn few_bits<'a>(pictures: impl Iterator<Item = &'a PictureFacts>) -> Option<String> {
    let (mut deep, mut most, mut others) = (0, 0, 0);
    for picture in pictures {
        if picture.white == u16::MAX {
            (deep, most) = (deep + 1, most.max(picture.most));
        } else {
            others += 1;
        }
    }
    if deep == 0 || most >= FEW_BITS {
        return None;
    }
    let told = format!(
        "{} of 16 bits with values up to {most} only, read as dark, since white is 65535",
        counted(deep, "picture")
    );
    Some(match others {
        0 => format!("{told}: pictures for predictions have to be such, too"),
        _ => format!(
            "{told}, beside {} of 8 bits, which are not: bring all of them to one range of values first",
            counted(others, "picture")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pictures: &[(u16, u16)]) -> Option<String> {
        let facts = |&(white, most): &(u16, u16)| PictureFacts {
            height: 1,
            width: 1,
            channels: 1,
            white,
            most,
            sums: Vec::new(),
            pixels: String::new(),
        };
        few_bits(pictures.iter().map(facts).collect::<Vec<_>>().iter())
    }

    #[test]
    fn twelve_bits_in_sixteen_are_told() {
        assert_eq!(told(&[(255, 255), (255, 3)]), None);
        assert_eq!(told(&[(65535, 4095), (65535, 20000)]), None, "one uses them");
        let all = told(&[(65535, 4095), (65535, 1000)]).unwrap();
        assert!(
            all.starts_with("2 pictures of 16 bits with values up to 4095 only") && all.contains("predictions"),
            "{all}"
        );
        let some = told(&[(65535, 4095), (255, 200)]).unwrap();
        assert!(some.contains("beside 1 picture of 8 bits"), "{some}");
    }
}
