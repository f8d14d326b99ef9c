//! The place of a tile along one side of the image.

/// A tile along one side of the image.
pub(super) struct Span {
    /// The first pixel of the image that the tile shows.
    pub(super) start: usize,
    /// Pixels of the tile, with padding.
    pub(super) size: usize,
    /// Pixels of the tile, without padding.
    pub(super) used: usize,
    /// The weight of each used pixel `[used]`.
    pub(super) weights: Vec<f32>,
}

impl Span {
    /// The image's pixel for each pixel of the tile; beyond the end of the image they are mirrored.
    pub(super) fn pixels(&self) -> Vec<usize> {
        let place = |at: usize| {
            // 0 1 2 | 2 1 0 0 1 2 ...
            let at = at % (2 * self.used);
            self.start + at.min(2 * self.used - 1 - at)
        };
        (0..self.size).map(place).collect()
    }
}
