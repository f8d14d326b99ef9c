//! The part of a case that a panel shows if the whole picture is too large for a panel.

use super::scene::PANEL;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// The width of a picture divided by the width of its detail.
const PART: usize = 5;
/// The side of a detail divided by the distance between two candidate positions.
const PLACES: usize = 8;

impl Window {
    /// The window that covers a whole picture.
    pub(super) fn whole([height, width]: [usize; 2]) -> Self {
        Self { top: 0, left: 0, height, width }
    }

    /// The square that contains the most pixels of `classes` `[H * W]` other than 0, or the first such square if several are
    /// equal. Its side is a fifth of the picture's width, but at least the side of a panel, and at most the picture's sides.
    pub(super) fn densest(classes: &[u8], [height, width]: [usize; 2]) -> Self {
        let side = (width / PART).max(PANEL);
        let mut best = Self { top: 0, left: 0, height: side.min(height), width: side.min(width) };
        // counts[y * (width + 1) + x] is the number of such pixels above row y and left of column x.
        let line = width + 1;
        let mut counts = vec![0u32; line * (height + 1)];
        for (y, row) in classes.chunks_exact(width.max(1)).enumerate() {
            let mut in_row = 0;
            for (x, &class) in row.iter().enumerate() {
                in_row += u32::from(class != 0);
                counts[(y + 1) * line + x + 1] = counts[y * line + x + 1] + in_row;
            }
        }
        let count = |top: usize, left: usize| {
            let (bottom, right) = (top + best.height, left + best.width);
            counts[bottom * line + right] + counts[top * line + left]
                - counts[top * line + right]
                - counts[bottom * line + left]
        };
        let places = |free: usize| (0..free).step_by((side / PLACES).max(1)).chain([free]);
        let mut most = count(0, 0);
        let mut place = [0, 0];
        for top in places(height - best.height) {
            for left in places(width - best.width) {
                if count(top, left) > most {
                    (most, place) = (count(top, left), [top, left]);
                }
            }
        }
        [best.top, best.left] = place;
        best
    }

    /// The window's pixels of a picture `[H, W, C]` that is `width` pixels wide.
    pub(super) fn cut(&self, pixels: &[u8], width: usize, channels: usize) -> Vec<u8> {
        let rows = pixels.chunks_exact(channels * width).skip(self.top).take(self.height);
        rows.flat_map(|row| &row[channels * self.left..channels * (self.left + self.width)]).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_lies_where_most_is() {
        let (height, width) = (700, 1000);
        let mut classes = vec![0; height * width];
        for row in 400..420 {
            classes[row * width + 600..row * width + 900].fill(2);
        }
        let window = Window::densest(&classes, [height, width]);
        assert_eq!((window.height, window.width), (PANEL, PANEL));
        assert!(window.top <= 400 && window.top + window.height >= 420, "{window:?}");
        assert!((600 - 36..=900 + 36 - PANEL).contains(&window.left), "{window:?}");
        let cut = window.cut(&classes, width, 1);
        assert_eq!(cut.len(), PANEL * PANEL);
        assert!(cut.iter().filter(|&&class| class == 2).count() >= 20 * (PANEL - 36));
    }

    #[test]
    fn a_detail_is_no_larger_than_its_picture_and_grows_with_it() {
        let of = |height: usize, width: usize| Window::densest(&vec![0; height * width], [height, width]);
        assert_eq!(of(146, 219), Window::whole([146, 219]));
        assert_eq!(of(200, 400), Window { top: 0, left: 0, height: 200, width: PANEL });
        assert_eq!(of(2336, 3504), Window { top: 0, left: 0, height: 700, width: 700 });
        assert_eq!(of(1, 1), Window::whole([1, 1]));
    }

    #[test]
    fn pixels_are_cut_with_their_channels() {
        let window = Window { top: 1, left: 1, height: 1, width: 2 };
        let pixels: Vec<u8> = (0..18).collect();
        assert_eq!(window.cut(&pixels, 3, 3), [12, 13, 14, 15, 16, 17]);
        assert_eq!(window.cut(&pixels[..6], 3, 1), [4, 5]);
    }
}
