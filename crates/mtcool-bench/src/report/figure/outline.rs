//! Outlines of a mask along the borders of its pixels.

/// A closed polygon. Its vertices (x, y) are corners of pixels, and the last vertex is connected to the first.
pub(super) type Outline = Vec<[usize; 2]>;

/// The steps to the right, down, to the left, and up.
const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/// All outlines of `mask` `[H * W]`, whose rows have `width` pixels: clockwise around pixels that are set, counter-clockwise
/// around holes. Pixels that touch only at a corner belong to different outlines.
pub(super) fn outlines(mask: &[bool], width: usize) -> Vec<Outline> {
    let height = mask.len().checked_div(width).unwrap_or(0);
    let set = |x: isize, y: isize| {
        (0..width as isize).contains(&x) && (0..height as isize).contains(&y) && mask[y as usize * width + x as usize]
    };
    // The unit edges of the border that leave each corner, with one bit per direction. The pixel is to the right of its edges.
    let mut edges = vec![0u8; (width + 1) * (height + 1)];
    for y in 0..height {
        for x in 0..width {
            if !mask[y * width + x] {
                continue;
            }
            let corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
            let outside = [[0, -1], [1, 0], [0, 1], [-1, 0]];
            for (direction, (corner, beyond)) in corners.into_iter().zip(outside).enumerate() {
                if !set(x as isize + beyond[0], y as isize + beyond[1]) {
                    edges[(y + corner[1]) * (width + 1) + x + corner[0]] |= 1 << direction;
                }
            }
        }
    }
    let mut outlines = Vec::new();
    for corner in 0..edges.len() {
        while edges[corner] != 0 {
            outlines.push(follow(&mut edges, width + 1, corner));
        }
    }
    outlines
}

/// Follows the border that begins at `start`, and removes it from `edges`.
fn follow(edges: &mut [u8], stride: usize, start: usize) -> Outline {
    let mut direction = edges[start].trailing_zeros() as usize;
    let mut outline = Outline::new();
    let mut at = start;
    loop {
        edges[at] &= !(1 << direction);
        if outline.is_empty() {
            outline.push([at % stride, at / stride]);
        }
        let [dx, dy] = STEPS[direction];
        at = at.wrapping_add_signed(dx + dy * stride as isize);
        // The right turn is tried first: it stays at the same pixel.
        let next = [1, 0, 3].map(|turn| (direction + turn) % 4).into_iter().find(|next| edges[at] & (1 << next) != 0);
        match next {
            Some(next) if next == direction => {}
            Some(next) => {
                outline.push([at % stride, at / stride]);
                direction = next;
            }
            None => return outline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> (Vec<bool>, usize) {
        (rows.concat().chars().map(|pixel| pixel == '#').collect(), rows[0].len())
    }

    /// The area by the shoelace formula, positive for a clockwise outline.
    fn area(outline: &Outline) -> f64 {
        let next = outline.iter().cycle().skip(1);
        outline.iter().zip(next).map(|(a, b)| a[0] as f64 * b[1] as f64 - b[0] as f64 * a[1] as f64).sum::<f64>() / 2.0
    }

    #[test]
    fn a_rectangle_has_four_corners() {
        let (pixels, width) = mask(&[".....", ".###.", ".###.", "....."]);
        assert_eq!(outlines(&pixels, width), [vec![[1, 1], [4, 1], [4, 3], [1, 3]]]);
        let (all, width) = mask(&["##", "##"]);
        assert_eq!(outlines(&all, width), [vec![[0, 0], [2, 0], [2, 2], [0, 2]]]);
        assert!(outlines(&[false; 6], 3).is_empty() && outlines(&[], 0).is_empty());
    }

    #[test]
    fn a_ring_has_a_hole() {
        let (pixels, width) = mask(&["###", "#.#", "###"]);
        let found = outlines(&pixels, width);
        assert_eq!(found.iter().map(area).collect::<Vec<_>>(), [9.0, -1.0]);
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_apart() {
        let (pixels, width) = mask(&["#.", ".#"]);
        assert_eq!(outlines(&pixels, width), [[[0, 0], [1, 0], [1, 1], [0, 1]], [[1, 1], [2, 1], [2, 2], [1, 2]]]);
    }

    #[test]
    fn outlines_enclose_as_much_as_there_are_pixels() {
        let mut state = 1u64;
        for width in 1..12 {
            for height in 1..9 {
                let mut draw = |_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state >> 63 == 1
                };
                let pixels: Vec<bool> = (0..width * height).map(&mut draw).collect();
                let enclosed: f64 = outlines(&pixels, width).iter().map(area).sum();
                assert_eq!(enclosed, pixels.iter().filter(|pixel| **pixel).count() as f64);
            }
        }
    }
}
