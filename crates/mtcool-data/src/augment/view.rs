//! Pixels to cut from, and the rectangle to cut.

/// Interleaved bytes `[H, W, C]` to cut from.
#[derive(Clone, Copy, Debug)]
pub struct PixelView<'a> {
    /// `height * width * channels` bytes.
    pub bytes: &'a [u8],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// The place and the size of a rectangle to cut out, before it is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// Its centre (x, y) in the source; pixel k covers k..k + 1, so a crop of pixels a..b has its centre at (a + b) / 2.
    pub center: [f64; 2],
    /// Rows and columns of the result.
    pub size: [usize; 2],
}

impl Crop {
    /// The whole of `source`.
    pub fn whole(source: PixelView<'_>) -> Self {
        let [width, height] = [source.width, source.height];
        Self { center: [width, height].map(|side| side as f64 / 2.0), size: [height, width] }
    }
}

/// The index of pixel (x, y) in the source, if it lies inside.
#[inline]
pub(super) fn index(source: PixelView<'_>, x: isize, y: isize) -> Option<usize> {
    // A negative number becomes a number that is larger than any side.
    let (x, y) = (x as usize, y as usize);
    (x < source.width && y < source.height).then(|| y * source.width + x)
}

/// The largest whole number that is not above `value`; faster than the method of the same name, which is a function call on
/// processors of the base line.
#[inline]
pub(super) fn floor(value: f64) -> isize {
    let truncated = value as isize;
    truncated - isize::from(value < truncated as f64)
}
