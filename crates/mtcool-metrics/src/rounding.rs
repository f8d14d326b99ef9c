//! Ranks of numbers that are equal except for rounding, such as means of the same values in another order.

/// The largest relative rounding error that a figure is expected to carry. Two figures count as equal if they differ by at most
/// the sum of their rounding errors.
///
/// A sum of n numbers of one sign has a relative rounding error of at most n - 1 times half of `f64::EPSILON`, and the division
/// of a mean adds another half. 16 times `f64::EPSILON`, 3.6e-15, thus covers means of up to 32 numbers, such as one score per
/// seed. Figures that really differ are much farther apart: means over 32 seeds of shares of a million pixels, for example,
/// differ by 3e-8 or more.
pub const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// A number with a bound of its absolute rounding error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounded {
    pub(crate) value: f64,
    pub(crate) error: f64,
}

impl Rounded {
    /// A figure with its expected rounding error.
    pub(crate) fn figure(value: f64) -> Self {
        Self { value, error: ROUNDING * value.abs() }
    }

    /// `|b - a|` of two figures.
    pub(crate) fn distance(a: f64, b: f64) -> Self {
        Self { value: (b - a).abs(), error: ROUNDING * a.abs() + ROUNDING * b.abs() }
    }
}

/// Twice the rank of each number, in the order of the input; the smallest number has rank 1. Equal numbers share the mean of
/// their ranks, whose double is a whole number. In ascending order, neighbours are equal if they differ by at most the sum of
/// their errors.
pub(crate) fn doubled_ranks(numbers: &[Rounded]) -> Vec<usize> {
    let mut ascending: Vec<usize> = (0..numbers.len()).collect();
    ascending.sort_by(|&a, &b| numbers[a].value.total_cmp(&numbers[b].value));
    let are_equal = |a: &usize, b: &usize| {
        let (a, b) = (numbers[*a], numbers[*b]);
        b.value - a.value <= a.error + b.error
    };
    let mut ranks = vec![0; numbers.len()];
    let mut before = 0;
    for equal in ascending.chunk_by(are_equal) {
        for &index in equal {
            // The mean of the ranks before + 1 ..= before + n is before + (n + 1) / 2.
            ranks[index] = 2 * before + equal.len() + 1;
        }
        before += equal.len();
    }
    ranks
}
