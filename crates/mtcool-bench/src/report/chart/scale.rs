//! [`Scale`]: from values to positions in a chart, with round ticks.

/// A map from values, or from their logarithms, to positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) struct Scale {
    /// The value at `start`.
    low: f64,
    /// The value at `end`, above `low`.
    high: f64,
    start: f64,
    end: f64,
    /// Whether positions follow the logarithms (base 10) of the values; `low` and `high` are logarithms then.
    is_log: bool,
}

/// The part of the range of the values that is added on both sides.
const PADDING: f64 = 0.06;

impl Scale {
    /// The scale from `low` to `high` at the positions `start` to `end`.
    pub(in crate::report) fn new([low, high]: [f64; 2], [start, end]: [f64; 2]) -> Self {
        // Equal values, or none, still need a range.
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        Self { low, high, start, end, is_log: false }
    }

    /// The scale that holds `values` with some room on both sides. Values that are not finite are ignored.
    pub(in crate::report) fn around(values: impl Iterator<Item = f64>, ends: [f64; 2]) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let room = (high - low) * PADDING;
        Self::new([low - room, high + room], ends)
    }

    /// The same for the logarithms of values above 0; others are ignored.
    pub(in crate::report) fn around_logarithms(values: impl Iterator<Item = f64>, ends: [f64; 2]) -> Self {
        Self { is_log: true, ..Self::around(values.map(f64::log10), ends) }
    }

    /// The position of `value`.
    pub(in crate::report) fn at(&self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// The position of `value`, or the nearest end if it lies outside.
    pub(in crate::report) fn within(&self, value: f64) -> f64 {
        let ends = if self.is_log { [self.low, self.high].map(|end| 10f64.powf(end)) } else { [self.low, self.high] };
        self.at(value.clamp(ends[0], ends[1]))
    }

    /// Round values with their texts, at most `count` and at least two apart from ranges that are tiny relative to their values.
    pub(in crate::report) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.is_log {
            return self.ticks_of_logarithms(count);
        }
        let rough = (self.high - self.low) / count.max(2) as f64;
        let magnitude = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * magnitude);
        let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last)
            .map(|at| {
                let value = at as f64 * step;
                (value, format!("{value:.digits$}"))
            })
            .collect()
    }

    /// 1, 2 and 5 times powers of ten, or the powers alone if these are more than `count`.
    fn ticks_of_logarithms(&self, count: usize) -> Vec<(f64, String)> {
        let powers = self.low.floor() as i32..=self.high.ceil() as i32;
        let with = |factors: &[f64]| -> Vec<f64> {
            let all = powers.clone().flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            all.filter(|value| (self.low..=self.high).contains(&value.log10())).collect()
        };
        let all = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(with);
        let fitting = all.iter().find(|ticks| ticks.len() <= count.max(2)).unwrap_or(&all[2]);
        fitting.iter().map(|value| (*value, format!("{}", (value * 1e12).round() / 1e12))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_the_ends_with_room_on_both_sides() {
        let scale = Scale::around([2.0, f64::NAN, 12.0].into_iter(), [0.0, 112.0]);
        assert!((scale.at(2.0) - 6.0).abs() < 1e-9 && (scale.at(12.0) - 106.0).abs() < 1e-9, "{scale:?}");
        assert_eq!([scale.within(-50.0), scale.within(50.0)], [0.0, 112.0]);
        let upright = Scale::new([0.0, 10.0], [100.0, 0.0]);
        assert_eq!([upright.at(0.0), upright.at(10.0)], [100.0, 0.0], "SVG counts downwards");
    }

    #[test]
    fn equal_values_and_none_have_a_range() {
        assert_eq!(Scale::around([90.0, 90.0].into_iter(), [0.0, 10.0]).at(90.0), 5.0);
        assert_eq!(Scale::around(std::iter::empty(), [0.0, 10.0]).at(0.5), 5.0);
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        let texts = |low: f64, high: f64| {
            let ticks = Scale::new([low, high], [0.0, 1.0]).ticks(5);
            assert!(ticks.iter().all(|(value, _)| (low..=high).contains(value)), "{ticks:?}");
            ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(texts(0.0, 8.0), ["0", "2", "4", "6", "8"]);
        assert_eq!(texts(98.93, 99.52), ["99.0", "99.2", "99.4"]);
        assert_eq!(texts(-0.3, 0.24), ["-0.2", "0.0", "0.2"]);
        assert_eq!(texts(0.0, 30_000.0), ["0", "10000", "20000", "30000"]);
    }

    #[test]
    fn logarithms_have_ticks_at_powers_of_ten_and_between() {
        let texts = |values: [f64; 2]| {
            let scale = Scale::around_logarithms(values.into_iter(), [0.0, 112.0]);
            assert!(
                (scale.at(values[0]) - 6.0).abs() < 1e-9 && (scale.at(values[1]) - 106.0).abs() < 1e-9,
                "{scale:?}"
            );
            assert_eq!(scale.within(1e9), 112.0);
            scale.ticks(5).into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(texts([0.009, 0.11]), ["0.01", "0.02", "0.05", "0.1"]);
        assert_eq!(texts([0.001, 0.1]), ["0.001", "0.003", "0.01", "0.03", "0.1"]);
        assert_eq!(texts([1e-4, 1.0]), ["0.0001", "0.001", "0.01", "0.1", "1"]);
    }
}
