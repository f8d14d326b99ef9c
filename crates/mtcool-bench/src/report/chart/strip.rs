//! One line per method: a dot per run, the mean, and its interval; and the same as a mark within a line of text.

use maud::{Markup, html};

use super::{Scale, colour, fitted, px, room};
use crate::report::interval::cut;
use crate::suite::Digits;

const WIDTH: f64 = 460.0;
/// The room for the labels, at the least and at the most, and between them and the plot.
const LABELS: [f64; 2] = [120.0, 200.0];
const GAP: f64 = 8.0;
/// The end of the plot.
const RIGHT: f64 = 450.0;
const LINE: f64 = 22.0;
const TOP: f64 = 8.0;

/// A line of the chart.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Strip {
    /// Its label.
    pub(in crate::report) label: String,
    /// The index of its colour.
    pub(in crate::report) index: usize,
    /// One value per run.
    pub(in crate::report) values: Vec<f64>,
    /// The mean of the values.
    pub(in crate::report) mean: f64,
    /// The interval of the mean.
    pub(in crate::report) interval: Option<[f64; 2]>,
    /// The paper's mean.
    pub(in crate::report) paper: Option<f64>,
}

/// The chart of `strips`; `None` if there are none. Intervals that are much wider than the range of the dots are cut.
pub(in crate::report) fn strips(title: &str, strips: &[Strip], digits: Digits) -> Option<Markup> {
    if strips.is_empty() {
        return None;
    }
    let dots = || strips.iter().flat_map(|strip| strip.values.iter().copied().chain(strip.paper));
    let low = dots().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    let high = dots().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let ends = strips.iter().filter_map(|strip| strip.interval).flatten().map(|end| cut(end, [low, high]));
    let left = room(strips.iter().map(|strip| strip.label.as_str()), LABELS) + GAP;
    let x = Scale::around(dots().chain(ends), [left, RIGHT]);
    let bottom = TOP + LINE * strips.len() as f64;
    Some(html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 24.0)) role="img" aria-label=(title) {
                @for (value, text) in x.ticks(5) {
                    line class="grid" x1=(px(x.at(value))) x2=(px(x.at(value))) y1=(px(TOP)) y2=(px(bottom)) {}
                    text x=(px(x.at(value))) y=(px(bottom + 16.0)) text-anchor="middle" { (text) }
                }
                @for (at, strip) in strips.iter().enumerate() {
                    (line(strip, [left, TOP + LINE * (at as f64 + 0.5)], &x, digits))
                }
            }
        }
    })
}

fn line(strip: &Strip, [left, y]: [f64; 2], x: &Scale, digits: Digits) -> Markup {
    let figure = |value: f64| digits.figure(value);
    html! {
        text x=(px(left - GAP)) y=(px(y + 4.0)) text-anchor="end" {
            title { (strip.label) }
            (fitted(&strip.label, left - GAP))
        }
        g class=(format!("strip {}", colour(strip.index))) {
            @if let Some([low, high]) = strip.interval {
                line class="interval" x1=(px(x.within(low))) x2=(px(x.within(high))) y1=(px(y)) y2=(px(y)) {
                    title {
                        (format!("{}: mean {}, 95 % interval {} to {}", strip.label, figure(strip.mean), figure(low), figure(high)))
                    }
                }
            }
            @for value in &strip.values {
                circle cx=(px(x.within(*value))) cy=(px(y)) r="3.5" { title { (format!("{}: {}", strip.label, figure(*value))) } }
            }
            line class="mean" x1=(px(x.within(strip.mean))) x2=(px(x.within(strip.mean))) y1=(px(y - 7.0)) y2=(px(y + 7.0)) {}
        }
        @if let Some(paper) = strip.paper {
            rect class="paper" x=(px(x.within(paper) - 3.5)) y=(px(y - 3.5)) width="7" height="7"
                transform=(format!("rotate(45 {} {})", px(x.within(paper)), px(y))) {
                title { (format!("{} in the paper: {}", strip.label, figure(paper))) }
            }
        }
    }
}

/// An interval with its estimate as a small drawing for a table's cell: `marks` are the values of vertical lines, such as 0.
pub(in crate::report) fn interval_mark(estimate: f64, [low, high]: [f64; 2], range: [f64; 2], marks: &[f64]) -> Markup {
    let x = Scale::around(range.into_iter(), [4.0, 156.0]);
    html! {
        svg.mark viewBox="0 0 160 18" width="160" height="18" aria-hidden="true" {
            @for mark in marks {
                line class=(if *mark == 0.0 { "zero" } else { "margin" }) x1=(px(x.within(*mark))) x2=(px(x.within(*mark))) y1="0" y2="18" {}
            }
            line class="interval" x1=(px(x.within(low))) x2=(px(x.within(high))) y1="9" y2="9" {}
            circle cx=(px(x.within(estimate))) cy="9" r="3.5" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Column;

    #[test]
    fn every_run_is_a_dot_and_wide_intervals_are_cut() {
        let strip = |interval, paper| Strip {
            label: "Joint".into(),
            index: 1,
            values: vec![90.0, 91.0],
            mean: 90.5,
            interval,
            paper,
        };
        let digits = Column::new("task", "f1", "F1").digits([]);
        let text = strips("F1", &[strip(Some([84.0, 97.0]), Some(92.0)), strip(None, None)], digits);
        let text = text.unwrap().into_string();
        assert_eq!((text.matches("<circle").count(), text.matches("class=\"mean\"").count()), (4, 2));
        assert_eq!((text.matches("class=\"interval\"").count(), text.matches("class=\"paper\"").count()), (1, 1));
        assert!(text.contains("95 % interval 84.00 to 97.00"), "the words have the whole interval: {text}");
        // The dots lie between 90 and 92, so that the plot ends at 93 and its padding.
        let x = Scale::around([89.0, 93.0].into_iter(), [LABELS[0] + GAP, RIGHT]);
        assert!(text.contains(&format!("x1=\"{}\" x2=\"{}\"", px(x.within(84.0)), px(x.within(97.0)))), "{text}");
        assert!(strips("F1", &[], digits).is_none());
    }
}
