//! Sample planes with room around them, so that vector loads need no edge cases.

use rayon::prelude::*;

use crate::element::Element;

/// Elements after the last plane that a vector load may touch; at least a vector.
const SLACK: usize = 64;

/// `[B, C, H + 2 margin, pitch]` with zeros around and between; one allocation, some slack at its end.
pub(super) struct Planes<T> {
    pub(super) data: Vec<T>,
    /// Elements from one row to the next.
    pub(super) pitch: usize,
    /// Elements from one channel to the next.
    pub(super) plane: usize,
}

impl<T: Element> Planes<T> {
    /// Copies `source` `[planes, height, width]` into planes with `margin` zeros on every side and rows of at least `pitch`.
    pub(super) fn new(source: &[T], height: usize, width: usize, margin: usize, pitch: usize) -> Self {
        let pitch = pitch.max(width + 2 * margin);
        let plane = (height + 2 * margin) * pitch;
        let planes = source.len() / (height * width).max(1);
        let mut data = vec![T::zero(); planes * plane + SLACK];
        if !source.is_empty() {
            let targets = data[..planes * plane].par_chunks_mut(plane);
            targets.zip(source.par_chunks(height * width)).with_min_len(8).for_each(|(target, source)| {
                let rows = target[margin * pitch..].chunks_mut(pitch).zip(source.chunks_exact(width));
                rows.for_each(|(target, source)| target[margin..margin + width].copy_from_slice(source));
            });
        }
        Self { data, pitch, plane }
    }
}
