//! A line per series, with a band where it has several runs.

use maud::{Markup, html};
use mtcool_metrics::quantile;

use super::{Scale, axes, colour, px};

/// Width and height of the drawing.
const SIZE: [f64; 2] = [460.0, 280.0];
/// The ends of the plot within the drawing, from left to right and from top to bottom.
const PLOT: [[f64; 2]; 2] = [[52.0, 450.0], [26.0, 240.0]];

/// Which share of the values the vertical axis may leave out at either end, and how many times as long it would be with them.
const LEFT_OUT: f64 = 0.1;
const TIMES: f64 = 3.0;

/// A series of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Curve {
    /// Its name, shown when the pointer rests on it.
    pub(in crate::report) label: String,
    /// The index of its colour.
    pub(in crate::report) index: usize,
    /// Whether it is drawn above the others and thicker.
    pub(in crate::report) is_subject: bool,
    /// For each point: x, the mean, and the smallest and largest value over the runs.
    pub(in crate::report) points: Vec<[f64; 4]>,
}

/// The chart of `curves`; `None` if they have no point. A few values far from all others, such as those of the first epochs, would make
/// the others one line: then the axis leaves them out, and the title says so.
pub(in crate::report) fn curves(title: &str, labels: [&str; 2], curves: &[Curve]) -> Option<Markup> {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    all().next()?;
    let [horizontal, vertical] = PLOT;
    let x = Scale::around(all().map(|point| point[0]), horizontal);
    let whole = || all().flat_map(|point| [point[2], point[3]]);
    let shown = shown(curves);
    let is_cut = length(whole()) > TIMES * length(shown.iter().copied());
    let ends = [vertical[1], vertical[0]];
    let y = if is_cut { Scale::around(shown.into_iter(), ends) } else { Scale::around(whole(), ends) };
    // The inner drawing ends at the plot's frame, as far as lines may lie on it.
    let [left, top] = [horizontal[0], vertical[0] - 2.0];
    let [width, height] = [horizontal[1] - left + 4.0, vertical[1] - top + 2.0];
    let mut order: Vec<&Curve> = curves.iter().filter(|curve| !curve.points.is_empty()).collect();
    order.sort_by_key(|curve| curve.is_subject);
    let has_band = |curve: &Curve| curve.points.iter().any(|point| point[3] > point[2]);
    Some(html! {
        figure.chart {
            figcaption { (title) @if is_cut { span.cut { " (without extremes)" } } }
            svg viewBox=(format!("0 0 {} {}", SIZE[0], SIZE[1])) role="img" aria-label=(title) {
                (axes(&x, &y, horizontal, vertical, labels))
                svg x=(left) y=(top) width=(width) height=(height) viewBox=(format!("{left} {top} {width} {height}")) {
                @for curve in order.iter().filter(|curve| has_band(curve)) {
                    polygon class=(format!("band {}", colour(curve.index))) points=(outline(&curve.points, &x, &y)) {}
                }
                @for curve in &order {
                    g class=(format!("line {}{}", colour(curve.index), if curve.is_subject { " subject" } else { "" })) {
                        title { (curve.label) }
                        @if let [point] = curve.points[..] {
                            circle cx=(px(x.at(point[0]))) cy=(px(y.at(point[1]))) r="3" {}
                        } @else {
                            polyline points=(path(curve.points.iter().map(|point| [point[0], point[1]]), &x, &y)) {}
                        }
                    }
                }
                }
            }
        }
    })
}

/// The values that an axis without extremes shows: the inner ones of all means, and each curve's last mean.
fn shown(curves: &[Curve]) -> Vec<f64> {
    let means: Vec<f64> = curves.iter().flat_map(|curve| &curve.points).map(|point| point[1]).collect();
    let ends = [LEFT_OUT, 1.0 - LEFT_OUT].map(|share| quantile(&means, share));
    let last = curves.iter().filter_map(|curve| curve.points.last()).map(|point| point[1]);
    last.chain(ends).collect()
}

/// The distance between the smallest and the largest one.
fn length(values: impl Iterator<Item = f64>) -> f64 {
    let [low, high] =
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
    high - low
}

/// The outline of a band: the upper ends from left to right, then the lower ends back.
fn outline(points: &[[f64; 4]], x: &Scale, y: &Scale) -> String {
    let upper = points.iter().map(|point| [point[0], point[3]]);
    let lower = points.iter().rev().map(|point| [point[0], point[2]]);
    path(upper.chain(lower), x, y)
}

fn path(points: impl Iterator<Item = [f64; 2]>, x: &Scale, y: &Scale) -> String {
    points.map(|[a, b]| format!("{},{}", px(x.at(a)), px(y.at(b)))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(label: &str, index: usize, is_subject: bool, points: Vec<[f64; 4]>) -> Curve {
        Curve { label: label.into(), index, is_subject, points }
    }

    #[test]
    fn extremes_of_the_first_epochs_are_cut_off_and_named() {
        let rising = |index: usize, first: f64| {
            let point = |epoch: usize| {
                let value = if epoch == 0 { first } else { 99.0 + 0.01 * (epoch + index) as f64 };
                [epoch as f64, value, value, value]
            };
            curve("row", index, false, (0..30).map(point).collect())
        };
        let text = |first: f64| curves("t", ["x", "y"], &[rising(0, first), rising(1, 98.9)]).unwrap().into_string();
        assert!(text(20.0).contains("without extremes") && text(20.0).contains(">99.2<"), "{}", text(20.0));
        assert!(!text(98.9).contains("without extremes"));
        // What every curve ends with is shown, however far it is from the others.
        let diverging = curve("row", 2, false, (0..30).map(|at| [at as f64, 90.0 - at as f64, 1.0, 90.0]).collect());
        let text = curves("t", ["x", "y"], &[rising(0, 98.9), rising(1, 98.9), diverging]).unwrap().into_string();
        assert!(text.contains(">50<"), "{text}");
    }

    #[test]
    fn bands_lines_and_single_points_are_drawn_and_the_subject_last() {
        let several = curve("MT-COOL", 0, true, vec![[1.0, 50.0, 40.0, 60.0], [2.0, 60.0, 50.0, 70.0]]);
        let single = curve("Joint", 11, false, vec![[1.0, 45.0, 45.0, 45.0]]);
        let empty = curve("MGDA", 2, false, Vec::new());
        let text = curves("F1", ["epoch", "F1"], &[several, single, empty.clone()]).unwrap().into_string();
        assert_eq!(
            (text.matches("<polygon").count(), text.matches("<polyline").count(), text.matches("<circle").count()),
            (1, 1, 1)
        );
        assert!(text.find("Joint").unwrap() < text.find("MT-COOL").unwrap(), "{text}");
        assert!(
            text.contains("line c0 subject") && text.contains("line c1 dashed") && !text.contains("MGDA"),
            "{text}"
        );
        assert!(curves("F1", ["epoch", "F1"], &[empty]).is_none());
    }
}
