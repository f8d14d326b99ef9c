//! Whether a JPEG file is whole: the decoder fills what is missing with grey, without an error.

/// Blocks have this many coefficients.
const COEFFICIENTS: usize = 64;
const END_OF_IMAGE: u8 = 0xd9;

/// Checks that the file `bytes`, which begins as a JPEG file, has its end marker and all of its picture.
///
/// # Errors
/// What is missing. Files that are damaged in another way pass: the decoder refuses them.
pub(crate) fn check_whole(bytes: &[u8]) -> Result<(), String> {
    if !ends(bytes) {
        return Err(format!("a JPEG file truncated after {} bytes", bytes.len()));
    }
    match Walk::default().missing(bytes) {
        Some((present, all)) => Err(format!(
            "a truncated JPEG file: {present} of {all} blocks of its picture, then an end marker; the rest would be grey"
        )),
        None => Ok(()),
    }
}

/// Whether there is an end-of-image marker, found by walking through the segments and the entropy-coded scans between them
/// (ITU T.81, annex B).
fn ends(bytes: &[u8]) -> bool {
    let mut place = 2;
    while let Some((marker, after)) = next_marker(bytes, place) {
        if marker == END_OF_IMAGE {
            return true;
        }
        match segment(bytes, after) {
            Some(content) => place = after + 2 + content.len(),
            None => return false,
        }
    }
    false
}

/// The first marker from `place` on, and the place after it. Inside a scan, 0xff stands before 0 (stuffing) or 0xd0..=0xd7
/// (restart); any byte may fill the gap before a marker.
fn next_marker(bytes: &[u8], place: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(place..)?;
    let offset = rest.windows(2).position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xd0..=0xd7 | 0xff))?;
    Some((rest[offset + 1], place + offset + 2))
}

/// The content of the segment at `place`, which begins with its length; `None` if it reaches the end of the file.
fn segment(bytes: &[u8], place: usize) -> Option<&[u8]> {
    let &[high, low] = bytes.get(place..)?.first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let end = place + length.max(2);
    (end < bytes.len()).then(|| &bytes[place + 2..end])
}

/// A component of the picture: its identifier and how finely it is sampled.
#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: usize,
    down: usize,
}

/// A Huffman table: for each 16 bits, the length of the code at their beginning (0: none) and its symbol.
type Table = Vec<(u8, u8)>;

/// Walks through the blocks of a file without decoding them.
#[derive(Default)]
struct Walk {
    /// Height and width; `None` before the frame, or if the file is not coded sequentially by Huffman tables.
    size: Option<[usize; 2]>,
    components: Vec<Component>,
    /// For DC and AC coefficients, by number.
    tables: [[Option<Table>; 4]; 2],
    /// Units between two restart markers; 0 without restarts.
    restart: usize,
}

impl Walk {
    /// The number of blocks that are there and the number that there should be, if a scan has too few; `None` also if the file
    /// cannot be followed.
    fn missing(mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let mut place = 2;
        loop {
            let (marker, after) = next_marker(bytes, place)?;
            if marker == END_OF_IMAGE {
                return None;
            }
            let content = segment(bytes, after)?;
            place = after + 2 + content.len();
            match marker {
                0xc0 | 0xc1 => self.frame(content)?,
                0xc4 => self.huffman(content)?,
                0xdd => self.restart = usize::from(u16::from_be_bytes(*content.first_chunk()?)),
                0xda => {
                    if let Some(missing) = self.scan(content, &bytes[place..])? {
                        return Some(missing);
                    }
                }
                _ => {}
            }
        }
    }

    fn frame(&mut self, content: &[u8]) -> Option<()> {
        let &[_, h1, h0, w1, w0, count] = content.first_chunk()?;
        let [height, width] = [[h1, h0], [w1, w0]].map(|side| usize::from(u16::from_be_bytes(side)));
        let parts = content.get(6..6 + 3 * usize::from(count))?.chunks_exact(3);
        let component =
            |part: &[u8]| Component { id: part[0], across: (part[1] >> 4).into(), down: (part[1] & 15).into() };
        self.components = parts.map(component).collect();
        let is_usual =
            self.components.iter().all(|part| (1..=4).contains(&part.across) && (1..=4).contains(&part.down));
        // A height of 0 is given later, which nobody does.
        self.size = (is_usual && height > 0 && width > 0 && count > 0).then_some([height, width]);
        Some(())
    }

    fn huffman(&mut self, mut content: &[u8]) -> Option<()> {
        while let Some((&which, rest)) = content.split_first() {
            let counts: &[u8; 16] = rest.first_chunk()?;
            let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = rest.get(16..16 + total)?;
            content = &rest[16 + total..];
            let mut table: Table = vec![(0, 0); 1 << 16];
            let (mut code, mut symbols) = (0usize, symbols.iter());
            for (length, &count) in (1u8..).zip(counts) {
                for _ in 0..count {
                    let reach = 1usize << (16 - length);
                    table.get_mut(code * reach..(code + 1) * reach)?.fill((length, *symbols.next()?));
                    code += 1;
                }
                code <<= 1;
            }
            *self.tables.get_mut(usize::from(which >> 4))?.get_mut(usize::from(which & 15))? = Some(table);
        }
        Some(())
    }

    /// As [`Self::missing`], for the scan with this header and these `bytes` after it; the outer `None` means that the file
    /// cannot be followed.
    fn scan(&self, header: &[u8], bytes: &[u8]) -> Option<Option<(usize, usize)>> {
        let Some([height, width]) = self.size else { return Some(None) };
        let count = usize::from(*header.first()?);
        let mut blocks: Vec<(&Table, &Table)> = Vec::new();
        let mut grid = [0; 2];
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        let (across, down) = (most(|part| part.across), most(|part| part.down));
        for part in header.get(1..1 + 2 * count)?.chunks_exact(2) {
            let component = self.components.iter().find(|component| component.id == part[0])?;
            let [dc, ac] = [part[1] >> 4, part[1] & 15].map(usize::from);
            let tables = (self.tables[0].get(dc)?.as_ref()?, self.tables[1].get(ac)?.as_ref()?);
            // A component alone is not filled up to whole units.
            let repeats = if count == 1 { 1 } else { component.across * component.down };
            blocks.extend(std::iter::repeat_n(tables, repeats));
            grid = match count {
                1 => [
                    (height * component.down).div_ceil(down).div_ceil(8),
                    (width * component.across).div_ceil(across).div_ceil(8),
                ],
                _ => [height.div_ceil(8 * down), width.div_ceil(8 * across)],
            };
        }
        let units = grid[0] * grid[1];
        let mut bits = Bits { bytes, place: 0, buffer: 0, count: 0, ended: false };
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                match bits.restart() {
                    Ok(()) => {}
                    Err(Lost::End) => return Some(Some((unit * blocks.len(), units * blocks.len()))),
                    Err(Lost::Unknown) => return None,
                }
            }
            for (index, (dc, ac)) in blocks.iter().enumerate() {
                match bits.block(dc, ac) {
                    Ok(()) => {}
                    Err(Lost::End) => return Some(Some((unit * blocks.len() + index, units * blocks.len()))),
                    Err(Lost::Unknown) => return None,
                }
            }
        }
        Some(None)
    }
}

/// Why a scan cannot be followed further.
enum Lost {
    /// Its data have ended.
    End,
    /// There is no valid code.
    Unknown,
}

/// The bits of an entropy-coded scan.
struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
    /// The lowest `count` bits are the next ones.
    buffer: u64,
    count: u32,
    /// Whether a marker or the end of the file was reached.
    ended: bool,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 && !self.ended {
            let (byte, length) = match self.bytes.get(self.place..) {
                Some([0xff, 0, ..]) => (0xff, 2),
                Some([0xff, ..]) | Some([]) | None => {
                    self.ended = true;
                    return;
                }
                Some([byte, ..]) => (*byte, 1),
            };
            self.place += length;
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The symbol of the code at this place; `Err` if there is none.
    fn symbol(&mut self, table: &Table) -> Result<u8, Lost> {
        self.fill();
        let next = if self.count >= 16 { self.buffer >> (self.count - 16) } else { self.buffer << (16 - self.count) };
        let (length, symbol) = table[(next & 0xffff) as usize];
        match u32::from(length) {
            length if length > self.count => Err(Lost::End),
            0 if self.count < 16 => Err(Lost::End),
            0 => Err(Lost::Unknown),
            length => {
                self.count -= length;
                Ok(symbol)
            }
        }
    }

    fn skip(&mut self, count: u32) -> Result<(), Lost> {
        self.fill();
        if count > self.count {
            return Err(Lost::End);
        }
        self.count -= count;
        Ok(())
    }

    fn block(&mut self, dc: &Table, ac: &Table) -> Result<(), Lost> {
        let length = self.symbol(dc)?;
        self.skip(u32::from(length & 15))?;
        let mut coefficient = 1;
        while coefficient < COEFFICIENTS {
            let symbol = self.symbol(ac)?;
            let (zeros, length) = (usize::from(symbol >> 4), symbol & 15);
            if length == 0 && zeros < 15 {
                break;
            }
            coefficient += zeros + 1;
            self.skip(length.into())?;
        }
        Ok(())
    }

    /// Goes on after the restart marker.
    fn restart(&mut self) -> Result<(), Lost> {
        // What was read ahead ended at the marker.
        (self.buffer, self.count, self.ended) = (0, 0, false);
        loop {
            match self.bytes.get(self.place..).and_then(|rest| rest.first_chunk::<2>()) {
                Some([0xff, 0xd0..=0xd7]) => {
                    self.place += 2;
                    return Ok(());
                }
                Some([0xff, 0xff]) => self.place += 1,
                Some([0xff, 1..=0xff]) | None => return Err(Lost::End),
                Some(_) => return Err(Lost::Unknown),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayImage, RgbImage};

    use super::*;

    fn photograph(width: u32, height: u32) -> RgbImage {
        let value = |x: u32, y: u32, c: u32| (x * 7 + y * 13 + c * 29 + x * y % 11 * 17) as u8;
        RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|channel| value(x, y, channel))))
    }

    fn color(width: u32, height: u32, quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&photograph(width, height)).unwrap();
        bytes
    }

    #[test]
    fn whole_files_pass() {
        for (width, height) in [(1, 1), (8, 8), (17, 5), (40, 24), (100, 63)] {
            for quality in [10, 75, 100] {
                let bytes = color(width, height, quality);
                assert_eq!(check_whole(&bytes), Ok(()), "{width}x{height}, quality {quality}");
                assert_eq!(check_whole(&[&bytes[..], b"appended \xff\xd9"].concat()), Ok(()));
            }
        }
        let mut grey = Vec::new();
        let picture = GrayImage::from_fn(33, 20, |x, y| image::Luma([(x * y) as u8]));
        JpegEncoder::new(&mut grey).encode_image(&picture).unwrap();
        assert_eq!(check_whole(&grey), Ok(()));
    }

    #[test]
    fn a_file_that_was_cut_off_is_noticed_with_and_without_an_end_marker() {
        let whole = color(100, 63, 75);
        let start = whole.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 14;
        for length in (start..whole.len() - 12).step_by(5) {
            let cut = &whole[..length];
            assert!(check_whole(cut).unwrap_err().contains("truncated after"), "{length}");
            // A stray 0xff would make the end marker a part of the data.
            let cut = cut.strip_suffix(&[0xff]).unwrap_or(cut);
            let message = check_whole(&[cut, &[0xff, 0xd9]].concat()).unwrap_err();
            assert!(message.contains("blocks of its picture, then an end marker"), "{length}: {message}");
        }
    }
}
