//! [`places`]: the best and the second best row of each column, where a column has any.

/// A row's place in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// No row has a better value.
    Best,
    /// Only the best rows have a better value.
    Second,
}

/// Relative difference below which two means count as equal: they may be sums of the same numbers in another order.
const EQUAL: f64 = 1e-12;

/// The places of a column's values, one per row. With fewer than two values, or with equal values only, no row is best; with two
/// different values only, no row is second best.
pub(super) fn places(values: &[Option<f64>], is_lower_better: bool) -> Vec<Option<Place>> {
    let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
    let mut ranked: Vec<f64> = values.iter().filter_map(finite).collect();
    ranked.sort_by(|a, b| if is_lower_better { a.total_cmp(b) } else { b.total_cmp(a) });
    ranked.dedup_by(|a, b| is_equal(*a, *b));
    let place = |value: Option<f64>| match &ranked[..] {
        [best, second, rest @ ..] => match value? {
            value if is_equal(value, *best) => Some(Place::Best),
            value if is_equal(value, *second) && !rest.is_empty() => Some(Place::Second),
            _ => None,
        },
        _ => None,
    };
    values.iter().map(|value| place(finite(value))).collect()
}

fn is_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= EQUAL * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_second_best_are_found_in_both_directions() {
        let values = [Some(3.0), None, Some(1.0), Some(2.0), Some(3.0), Some(f64::NAN)];
        let (best, second) = (Some(Place::Best), Some(Place::Second));
        assert_eq!(places(&values, false), [best, None, None, second, best, None]);
        assert_eq!(places(&values, true), [None, None, best, second, None, None]);
        assert_eq!(places(&[Some(0.1 + 0.2), Some(0.3), Some(0.2), Some(0.1)], false), [best, best, second, None]);
    }

    #[test]
    fn one_row_or_equal_rows_have_no_best() {
        assert_eq!(places(&[Some(1.0)], false), [None]);
        assert_eq!(places(&[Some(90.0), None, Some(90.0), Some(90.0)], false), [None; 4]);
        assert_eq!(places(&[Some(90.0), Some(91.0)], false), [None, Some(Place::Best)], "nobody is second of two");
        assert_eq!(places(&[], false), []);
    }
}
