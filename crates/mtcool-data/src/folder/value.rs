//! Values as settings and files have them: grey values and colours of masks, contents of cells.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of a mask's pixel. A colour whose channels are equal is a grey value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaskValue {
    /// A grey value, of 8 or 16 bits.
    Grey(u16),
    /// Red, green and blue, written as `"#ff8000"`.
    Color([u8; 3]),
}

impl MaskValue {
    /// The value of a pixel of red, green and blue.
    pub fn of_color([red, green, blue]: [u8; 3]) -> Self {
        if red == green && green == blue { Self::Grey(red.into()) } else { Self::Color([red, green, blue]) }
    }

    /// The largest difference of a channel.
    pub(super) fn distance(self, other: Self) -> u16 {
        match (self, other) {
            (Self::Grey(a), Self::Grey(b)) => a.abs_diff(b),
            _ => {
                let [a, b] = [self, other].map(Self::channels);
                (0..3).map(|channel| a[channel].abs_diff(b[channel])).max().unwrap_or(0)
            }
        }
    }

    fn channels(self) -> [u16; 3] {
        match self {
            Self::Grey(value) => [value; 3],
            Self::Color(channels) => channels.map(u16::from),
        }
    }
}

impl fmt::Display for MaskValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grey(value) => write!(f, "{value}"),
            Self::Color([red, green, blue]) => write!(f, "#{red:02x}{green:02x}{blue:02x}"),
        }
    }
}

impl FromStr for MaskValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no value of a mask: expected a grey value, 0 to 65535, or a colour like \"#ff8000\"")
        };
        let Some(digits) = text.strip_prefix('#') else {
            return text.parse().map(Self::Grey).map_err(|_| wrong());
        };
        let is_color = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_color).ok_or_else(wrong)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self::of_color([red, green, blue]))
    }
}

/// Written as text, since keys of a table are text.
impl Serialize for MaskValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MaskValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor("a grey value or a colour"))?.parse().map_err(D::Error::custom)
    }
}

/// The content of a cell. Cells with the same number are the same: 1, 1.0 and "1".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CellText(String);

impl CellText {
    /// Whether `cell` has this content.
    pub fn is(&self, cell: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let cell = cell.trim();
        self.0 == cell || number(&self.0).is_some_and(|value| number(cell) == Some(value))
    }
}

impl From<&str> for CellText {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl fmt::Display for CellText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CellText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CellText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor("the text or the number of a cell")).map(|text| Self::from(&*text))
    }
}

/// Takes a text, a number or a truth value as its text.
struct TextVisitor(&'static str);

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<String, E> {
        Ok(truth.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        for (text, value) in [
            ("0", MaskValue::Grey(0)),
            ("65535", MaskValue::Grey(65535)),
            ("#ff8000", MaskValue::Color([255, 128, 0])),
            ("#7f7f7f", MaskValue::Grey(127)),
        ] {
            assert_eq!(text.parse(), Ok(value));
            assert_eq!(value.to_string().parse(), Ok(value));
        }
        for wrong in ["", "-1", "65536", "1.5", "#ff80", "#ff80000", "#+f8000", "red"] {
            assert!(wrong.parse::<MaskValue>().unwrap_err().contains("grey value"), "{wrong}");
        }
        let read = |text: &str| serde_json::from_str::<Vec<MaskValue>>(text);
        assert_eq!(read("[3, \"3\", \"#ff0000\"]").unwrap()[..2], [MaskValue::Grey(3); 2]);
        assert!(read("[-3]").is_err() && read("[null]").is_err());
    }

    #[test]
    fn distances_are_those_of_the_channel_that_differs_most() {
        let color = MaskValue::Color([250, 3, 0]);
        assert_eq!(color.distance(MaskValue::Color([255, 0, 1])), 5);
        assert_eq!(color.distance(MaskValue::Grey(0)), 250);
        assert_eq!(MaskValue::Grey(700).distance(MaskValue::Grey(65535)), 64835);
    }

    #[test]
    fn cells_are_compared_as_numbers_where_they_are_numbers() {
        let one = CellText::from(" 1 ");
        assert!(one.is("1") && one.is("1.0") && one.is(" 1 ") && !one.is("yes") && !one.is("") && !one.is("2"));
        let word = CellText::from("nan");
        assert!(word.is("nan") && !word.is("NaN"));
        let read: Vec<CellText> = serde_json::from_str("[0, 1.5, true, \"no\"]").unwrap();
        assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0", "1.5", "true", "no"]);
    }
}
