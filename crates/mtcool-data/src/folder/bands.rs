//! TIFF files with many channels: several pages, or more samples per pixel than a colour has.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::pixels::Pixels;

/// Bit of the tag `NewSubfileType` that marks a smaller copy of another page (TIFF 6.0, section 8).
const REDUCED: u32 = 1;

/// Whether a file that begins like this is a TIFF file.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"].iter().any(|start| bytes.starts_with(*start))
}

/// The picture in `bytes` with the samples of all pages as channels, and its orientation (1 to 8); `None` if it has one page of
/// an ordinary colour.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn many_channels(bytes: &[u8]) -> Result<Option<(Pixels, u8)>, String> {
    let described = |error: tiff::TiffError| error.to_string();
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(described)?;
    let is_multiband = matches!(decoder.colortype().map_err(described)?, ColorType::Multiband { .. });
    if !is_multiband && !decoder.more_images() {
        return Ok(None);
    }
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).map_err(described)?.unwrap_or(1);
    let mut pages: Vec<Pixels> = Vec::new();
    for number in 1.. {
        let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).map_err(described)?.unwrap_or(0);
        if kind & REDUCED == 0 {
            let page = page(&mut decoder).map_err(|reason| format!("page {number}: {reason}"))?;
            if let Some(first) = pages.first()
                && ([first.height, first.width], first.is_deep) != ([page.height, page.width], page.is_deep)
            {
                return Err(format!(
                    "page {number} is {}, page 1 is {}; pages are channels and must be alike",
                    page.description(),
                    first.description()
                ));
            }
            pages.push(page);
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().map_err(described)?;
    }
    Ok(Some((side_by_side(&pages).ok_or("a file without pages")?, orientation)))
}

/// The page that the decoder is at.
fn page(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Pixels, String> {
    let described = |error: tiff::TiffError| error.to_string();
    let color = decoder.colortype().map_err(described)?;
    let (width, height) = decoder.dimensions().map_err(described)?;
    let [height, width] = [height, width].map(|side| side as usize);
    let channels = usize::from(color.num_samples());
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(described)?;
    let (bytes, is_deep) = match samples {
        DecodingResult::U8(bytes) if color.bit_depth() == 8 => (bytes, false),
        DecodingResult::U16(words) if color.bit_depth() == 16 => {
            (words.into_iter().flat_map(u16::to_ne_bytes).collect::<Vec<u8>>(), true)
        }
        _ => return Err(format!("samples of the kind {color:?}; expected unsigned numbers of 8 or 16 bits")),
    };
    let sample = 1 + usize::from(is_deep);
    let plane = height * width * sample;
    if bytes.len() != plane * channels {
        return Err(format!("{} bytes of samples; expected {}", bytes.len(), plane * channels));
    }
    let bytes = match layout.plane_stride {
        Some(stride) if layout.planes > 1 => {
            let stride = stride.get();
            let of_pixel = |pixel: usize| (0..channels).map(move |channel| channel * stride + pixel * sample);
            let places = (0..height * width).flat_map(of_pixel);
            places.flat_map(|place| bytes[place..place + sample].iter().copied()).collect()
        }
        _ => bytes,
    };
    Ok(Pixels { height, width, channels, is_deep, bytes })
}

/// The channels of all pages, which are alike; `None` if there are none.
fn side_by_side(pages: &[Pixels]) -> Option<Pixels> {
    let first = pages.first()?;
    let pixels = 0..first.height * first.width;
    let bytes = pixels.flat_map(|pixel| pages.iter().flat_map(move |page| page.pixel(pixel))).copied().collect();
    Some(Pixels { channels: pages.iter().map(|page| page.channels).sum(), bytes, ..*first })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 3 x 2 pixels with three samples of 8 bits, stored pixel by pixel or, with two, plane by plane.
    fn file(planar: u16, data: [u8; 18]) -> Vec<u8> {
        const HEAD: u32 = 8;
        let planes: u32 = if planar == 2 { 3 } else { 1 };
        let lists = HEAD + 18;
        let (offsets, lengths) = (lists + 6, lists + 6 + 4 * planes);
        let directory = lengths + 4 * planes;
        let (starts, counts): (Vec<u32>, Vec<u32>) = (0..planes).map(|k| (HEAD + k * 18 / planes, 18 / planes)).unzip();
        let list_or = |place: u32, values: &[u32]| if values.len() == 1 { values[0] } else { place };
        let entries: [(u16, u16, u32, u32); 11] = [
            (256, 3, 1, 3),
            (257, 3, 1, 2),
            (258, 3, 3, lists),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, planes, list_or(offsets, &starts)),
            (277, 3, 1, 3),
            (278, 3, 1, 2),
            (279, 4, planes, list_or(lengths, &counts)),
            (284, 3, 1, planar.into()),
            (338, 3, 2, 0),
        ];
        let mut bytes = [&b"II\x2a\0"[..], &directory.to_le_bytes(), &data].concat();
        (0..3).for_each(|_| bytes.extend(8u16.to_le_bytes()));
        starts.iter().chain(&counts).for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
        }
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn planes_become_the_channels_of_pixels() {
        let pixels: [u8; 18] = std::array::from_fn(|k| (7 * k) as u8);
        let planes: [u8; 18] = std::array::from_fn(|k| pixels[k % 6 * 3 + k / 6]);
        for bytes in [file(1, pixels), file(2, planes)] {
            let (picture, orientation) = many_channels(&bytes).unwrap().unwrap();
            assert_eq!((picture.bytes, orientation), (pixels.to_vec(), 1));
            assert_eq!((picture.height, picture.width, picture.channels), (2, 3, 3));
        }
        for length in [0, 3, 20, 60] {
            assert!(many_channels(&file(1, pixels)[..length]).is_err(), "{length} bytes");
        }
    }
}
