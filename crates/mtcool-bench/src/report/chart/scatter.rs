//! Labelled points in a plane.

use maud::{Markup, html};

use super::{Scale, axes, colour, fitted, px, room};

/// Width of the drawing.
const WIDTH: f64 = 460.0;
/// The left end of the plot within the drawing, its upper end, and its height at the least: it is as high as the labels need.
const LEFT: f64 = 52.0;
const TOP: f64 = 26.0;
const HEIGHT: f64 = 234.0;
/// The room for the axis below the plot.
const BELOW: f64 = 40.0;
/// The room for the labels to the right of the plot, at the least and at the most, and between them and the plot.
const LABELS: [f64; 2] = [110.0, 200.0];
const GAP: f64 = 10.0;
/// The smallest vertical distance between two labels.
const DISTANCE: f64 = 13.0;

/// A labelled point.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Point {
    /// Its label.
    pub(in crate::report) label: String,
    /// The index of its colour.
    pub(in crate::report) index: usize,
    /// Its horizontal and its vertical value.
    pub(in crate::report) at: [f64; 2],
}

/// The chart of `points`; `None` with fewer than two, which say nothing. `is_down` turns the vertical axis around, where smaller
/// values are better.
pub(in crate::report) fn scatter(title: &str, labels: [&str; 2], points: &[Point], is_down: bool) -> Option<Markup> {
    if points.len() < 2 {
        return None;
    }
    let room = room(points.iter().map(|point| point.label.as_str()), LABELS);
    let height = HEIGHT.max((points.len() - 1) as f64 * DISTANCE);
    let (horizontal, vertical) = ([LEFT, WIDTH - room - GAP], [TOP, TOP + height]);
    let ends = if is_down { vertical } else { [vertical[1], vertical[0]] };
    let x = Scale::around(points.iter().map(|point| point.at[0]), horizontal);
    let y = Scale::around(points.iter().map(|point| point.at[1]), ends);
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by(|a, b| y.at(a.at[1]).total_cmp(&y.at(b.at[1])));
    let heights = spread(order.iter().map(|point| y.at(point.at[1])), vertical);
    Some(html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {}", vertical[1] + BELOW)) role="img" aria-label=(title) {
                (axes(&x, &y, horizontal, vertical, labels))
                @for (point, height) in order.iter().zip(heights) {
                    line class="leader" x1=(px(x.at(point.at[0]))) y1=(px(y.at(point.at[1]))) x2=(px(horizontal[1] + 6.0)) y2=(px(height)) {}
                    circle class=(format!("dot {}", colour(point.index))) cx=(px(x.at(point.at[0]))) cy=(px(y.at(point.at[1]))) r="5" {
                        title { (format!("{}: {:.2}, {:.2}", point.label, point.at[0], point.at[1])) }
                    }
                    text x=(px(horizontal[1] + GAP)) y=(px(height + 4.0)) { title { (point.label) } (fitted(&point.label, room)) }
                }
            }
        }
    })
}

/// Heights of labels at `wanted`, in ascending order, moved apart where they are too close, within `ends` if there is room.
fn spread(wanted: impl Iterator<Item = f64>, [top, bottom]: [f64; 2]) -> Vec<f64> {
    let mut heights: Vec<f64> = wanted.collect();
    let mut least = top;
    for height in &mut heights {
        *height = height.max(least);
        least = *height + DISTANCE;
    }
    let mut most = bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(most);
        most = *height - DISTANCE;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_apart_and_in_order() {
        let heights = spread([100.0, 101.0, 102.0, 258.0, 259.0].into_iter(), [26.0, 260.0]);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= DISTANCE - 1e-9), "{heights:?}");
        assert!(heights[0] == 100.0 && heights[4] == 260.0, "{heights:?}");
        assert_eq!(spread([50.0, 90.0].into_iter(), [26.0, 260.0]), [50.0, 90.0]);
    }

    #[test]
    fn a_chart_of_many_points_is_as_high_as_their_labels() {
        let points: Vec<Point> =
            (0..40).map(|at| Point { label: format!("row {at}"), index: at, at: [1.0, at as f64] }).collect();
        let text = scatter("t", ["x", "y"], &points, false).unwrap().into_string();
        assert!(text.contains("viewBox=\"0 0 460 573\""), "{text}");
        assert!(!text.contains(" y=\"-"), "{text}");
    }

    #[test]
    fn one_point_is_no_chart() {
        let point = |label: &str, x, y| Point { label: label.into(), index: 0, at: [x, y] };
        assert!(scatter("t", ["x", "y"], &[point("Joint", 1.0, 2.0)], false).is_none());
        let text = scatter("t", ["x", "y"], &[point("Joint", 1.0, 2.0), point("MGDA", 2.0, 1.0)], false).unwrap();
        let text = text.into_string();
        assert!(text.find(">Joint<").unwrap() < text.find(">MGDA<").unwrap(), "the higher value stands first: {text}");
        assert_eq!(text.matches("<circle").count(), 2);
    }
}
