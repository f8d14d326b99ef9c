//! A dot per trial of a search: the value of one setting against the score.

use maud::{Markup, html};

use super::{Scale, axes, colour, px};

const SIZE: [f64; 2] = [460.0, 280.0];
/// The ends of the plot within the drawing, from left to right and from top to bottom.
const PLOT: [[f64; 2]; 2] = [[52.0, 450.0], [26.0, 240.0]];
/// How far below the best score the plot reaches, in distances between the best score and the median.
const DEPTH: f64 = 3.0;

/// A trial.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Sample {
    /// Its name, shown when the pointer rests on it.
    pub(in crate::report) label: String,
    /// The index of its colour.
    pub(in crate::report) index: usize,
    /// The value of the setting.
    pub(in crate::report) value: f64,
    /// The score; larger is better.
    pub(in crate::report) score: f64,
}

/// The chart of `samples`; `None` with fewer than two. Scores far below the others are drawn at the lower edge.
pub(in crate::report) fn slice(title: &str, labels: [&str; 2], samples: &[Sample], is_log: bool) -> Option<Markup> {
    if samples.len() < 2 {
        return None;
    }
    let mut scores: Vec<f64> = samples.iter().map(|sample| sample.score).collect();
    scores.sort_by(f64::total_cmp);
    let (least, best) = (scores[0], scores[scores.len() - 1]);
    let floor = least.max(best - DEPTH * (best - scores[scores.len() / 2]));
    // If half of the trials are as good as the best one, there is no distance to measure by.
    let floor = if floor < best { floor } else { least };
    let [horizontal, vertical] = PLOT;
    let values = samples.iter().map(|sample| sample.value);
    let x = if is_log { Scale::around_logarithms(values, horizontal) } else { Scale::around(values, horizontal) };
    let y = Scale::around([floor, best].into_iter(), [vertical[1], vertical[0]]);
    Some(html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {} {}", SIZE[0], SIZE[1])) role="img" aria-label=(title) {
                (axes(&x, &y, horizontal, vertical, labels))
                @for sample in samples {
                    circle class=(format!("dot {}", colour(sample.index))) cx=(px(x.within(sample.value))) cy=(px(y.within(sample.score))) r="4" {
                        title { (format!("{}: {}, score {:.3}", sample.label, sample.value, sample.score)) }
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_is_a_dot_and_a_failure_does_not_hide_the_others() {
        let sample = |value, score| Sample { label: "trial 1".into(), index: 0, value, score };
        let samples = [sample(0.001, 98.0), sample(0.01, 99.0), sample(0.1, 10.0), sample(0.05, 98.5)];
        let text = slice("rate", ["learning_rate", "score"], &samples, true).unwrap().into_string();
        assert_eq!(text.matches("<circle").count(), 4);
        assert!(text.contains("trial 1: 0.1, score 10.000"), "{text}");
        // The best score is 99 and the median 98.5, so that the plot ends at 97.5 and its padding.
        let y = Scale::around([97.5, 99.0].into_iter(), [240.0, 26.0]);
        for (score, times) in [(98.0, 1), (10.0, 1)] {
            assert_eq!(text.matches(&format!("cy=\"{}\"", px(y.within(score)))).count(), times, "{score} in {text}");
        }
        assert!(slice("rate", ["x", "y"], &samples[..1], true).is_none());
        let equal = [sample(1.0, 5.0), sample(2.0, 5.0)];
        assert_eq!(slice("rate", ["x", "y"], &equal, false).unwrap().into_string().matches("<circle").count(), 2);
    }
}
