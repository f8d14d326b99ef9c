//! Changes the size of pictures.

use std::ops::Range;

use super::scene::Picture;

/// `picture` at `size` (height, width). Each new pixel is the mean of the pixels that it covers, or the nearest pixel if it
/// covers none.
pub(super) fn resample(picture: &Picture, [height, width]: [usize; 2]) -> Picture {
    let mut rgb = Vec::with_capacity(3 * height * width);
    for y in 0..height {
        let rows = span(y, height, picture.height);
        for x in 0..width {
            let columns = span(x, width, picture.width);
            let mut sum = [0usize; 3];
            for row in rows.clone() {
                for column in columns.clone() {
                    let at = 3 * (row * picture.width + column);
                    sum.iter_mut().zip(&picture.rgb[at..at + 3]).for_each(|(sum, &byte)| *sum += usize::from(byte));
                }
            }
            let count = rows.len() * columns.len();
            rgb.extend(sum.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    Picture { height, width, rgb }
}

/// The range of the `source` pixels that pixel `at` of the `target` pixels covers: at least one.
fn span(at: usize, target: usize, source: usize) -> Range<usize> {
    let start = at * source / target;
    start..((at + 1) * source / target).max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_means_or_repeated() {
        let picture = Picture { height: 2, width: 2, rgb: [[0; 3], [10; 3], [20; 3], [31; 3]].concat() };
        assert_eq!(resample(&picture, [1, 1]).rgb, [15; 3]);
        assert_eq!(resample(&picture, [1, 2]).rgb, [[10; 3], [21; 3]].concat());
        assert_eq!(resample(&picture, [2, 4]).rgb[..12], [[0; 3], [0; 3], [10; 3], [10; 3]].concat());
    }
}
