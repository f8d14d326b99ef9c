//! Charts of the report's page, as inline SVG whose colours and texts follow the page's style.

mod curves;
mod scale;
mod scatter;
mod slice;
mod strip;

use maud::{Markup, html};

pub(super) use curves::{Curve, curves};
pub(super) use scale::Scale;
pub(super) use scatter::{Point, scatter};
pub(super) use slice::{Sample, slice};
pub(super) use strip::{Strip, interval_mark, strips};

/// Number of colours; later series repeat them with dashed lines.
const COLOURS: usize = 10;

/// The class that gives series `index` its colour, and its line's dashes.
pub(super) fn colour(index: usize) -> String {
    let dashes = if index >= COLOURS { " dashed" } else { "" };
    format!("c{}{dashes}", index % COLOURS)
}

/// The width of a letter of a label, on the wide side.
const LETTER: f64 = 6.4;

/// The room that the longest of `labels` needs, within `least` and `most`.
fn room<'a>(labels: impl Iterator<Item = &'a str>, [least, most]: [f64; 2]) -> f64 {
    let longest = labels.map(|label| label.chars().count()).max().unwrap_or(0);
    (longest as f64 * LETTER).clamp(least, most)
}

/// The label, without its middle if it does not fit into `room`: the names of variants differ at their ends.
fn fitted(label: &str, room: f64) -> String {
    let letters: Vec<char> = label.chars().collect();
    let most = (room / LETTER) as usize;
    if letters.len() <= most {
        return label.to_owned();
    }
    let head = most.saturating_sub(1) / 3;
    let tail = letters.len() - most.saturating_sub(1 + head);
    letters[..head].iter().chain(&['…']).chain(&letters[tail..]).collect()
}

/// A position with one decimal.
fn px(position: f64) -> String {
    format!("{position:.1}")
}

/// The grid lines and the labels of both axes of a chart whose plot lies between the ends of its scales.
fn axes(x: &Scale, y: &Scale, [left, right]: [f64; 2], [top, bottom]: [f64; 2], labels: [&str; 2]) -> Markup {
    html! {
        @for (value, text) in x.ticks(5) {
            line class="grid" x1=(px(x.at(value))) x2=(px(x.at(value))) y1=(px(top)) y2=(px(bottom)) {}
            text x=(px(x.at(value))) y=(px(bottom + 15.0)) text-anchor="middle" { (text) }
        }
        @for (value, text) in y.ticks(5) {
            line class="grid" x1=(px(left)) x2=(px(right)) y1=(px(y.at(value))) y2=(px(y.at(value))) {}
            text x=(px(left - 6.0)) y=(px(y.at(value) + 4.0)) text-anchor="end" { (text) }
        }
        text x=(px((left + right) / 2.0)) y=(px(bottom + 32.0)) text-anchor="middle" class="label" { (labels[0]) }
        text x=(px(left)) y=(px(top - 8.0)) text-anchor="start" class="label" { (labels[1]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_the_ends_by_which_they_differ() {
        let label = "MT-COOL (Ours), bound 0.005, samples 2";
        assert_eq!(room(["Joint", label].into_iter(), [120.0, 200.0]), 200.0);
        assert_eq!(room(["Joint"].into_iter(), [120.0, 200.0]), 120.0);
        assert_eq!(fitted("Joint", 120.0), "Joint");
        let short = fitted(label, 20.0 * LETTER + 1.0);
        assert_eq!((short.as_str(), short.chars().count()), ("MT-COO…05, samples 2", 20));
    }
}
