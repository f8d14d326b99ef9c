//! Decoding of pictures, stricter than decoders are: a file that was cut off is no picture.

use image::DynamicImage;

/// What every synthetic photograph says about itself, in a comment that survives copying and renaming.
pub(crate) const DRAWN: &[u8] = b"drawn by mtcool, not photographed";

/// The picture in `bytes`, whose format is told by its content.
///
/// # Errors
/// In words, if it is none or was cut off.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    if bytes.starts_with(&[0xff, 0xd8]) && !has_end(bytes) {
        return Err(format!("the JPEG data is cut off after {} bytes", bytes.len()));
    }
    image::load_from_memory(bytes).map_err(|error| error.to_string())
}

/// Whether the last scan of a JPEG file is closed by an end marker. Decoders fill up what is missing with grey.
fn has_end(bytes: &[u8]) -> bool {
    let marker = |code: u8| bytes.windows(2).rposition(|pair| pair == [0xff, code]);
    // Neither marker can occur inside compressed data.
    marker(0xda).is_some_and(|scan| marker(0xd9).is_some_and(|end| end > scan))
}

/// The JPEG file `bytes` with a comment that it was drawn.
pub(crate) fn mark_as_drawn(bytes: &[u8]) -> Vec<u8> {
    let (start, rest) = bytes.split_at(2);
    let length = (DRAWN.len() as u16 + 2).to_be_bytes();
    [start, &[0xff, 0xfe], &length, DRAWN, rest].concat()
}

/// Whether `bytes`, the beginning of a file at least, carry the comment of [`mark_as_drawn`].
pub(crate) fn is_marked_as_drawn(bytes: &[u8]) -> bool {
    bytes.get(6..6 + DRAWN.len()) == Some(DRAWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fundus::Fundus;

    #[test]
    fn a_marked_picture_is_the_same_picture() {
        let plain = Fundus::draw(1, 1, [40, 50]).jpeg().unwrap();
        let marked = mark_as_drawn(&plain);
        assert!(is_marked_as_drawn(&marked) && !is_marked_as_drawn(&plain) && !is_marked_as_drawn(b"\xff\xd8"));
        assert_eq!(decode(&marked).unwrap(), decode(&plain).unwrap());
    }

    #[test]
    fn a_picture_that_was_cut_off_anywhere_is_refused() {
        let whole = Fundus::draw(1, 1, [40, 50]).jpeg().unwrap();
        for kept in [0, 1, 2, 3, 20, whole.len() / 2, whole.len() - 3, whole.len() - 2, whole.len() - 1] {
            assert!(decode(&whole[..kept]).is_err(), "{kept} of {} bytes", whole.len());
        }
        let padded = [&whole[..], &[0; 7]].concat();
        assert!(decode(&padded).is_ok());
    }
}
