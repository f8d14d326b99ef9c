//! [`Digits`]: with how many decimals the figures of a column are shown.

/// Decimals of figures in per cent, and the fewest of others.
const USUAL: usize = 2;
/// The most decimals.
const MOST: usize = 8;
/// Significant digits of figures that are not in per cent.
const SIGNIFICANT: i32 = 3;

/// The number of decimals with which the figures of a column are shown. Standard deviations have one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    decimals: usize,
}

impl Default for Digits {
    /// Those of figures in per cent.
    fn default() -> Self {
        Self { decimals: USUAL }
    }
}

impl Digits {
    /// For a column with these figures: two decimals for figures in per cent; for others as many as give the largest figure three
    /// significant digits, but at least two.
    pub(super) fn of(is_percent: bool, figures: impl IntoIterator<Item = f64>) -> Self {
        let usual = Self::default();
        if is_percent {
            return usual;
        }
        let sizes = figures.into_iter().map(f64::abs).filter(|size| size.is_finite() && *size > 0.0);
        let Some(largest) = sizes.max_by(f64::total_cmp) else { return usual };
        let decimals = SIGNIFICANT - 1 - largest.log10().floor() as i32;
        Self { decimals: usize::try_from(decimals).unwrap_or(0).clamp(USUAL, MOST) }
    }

    /// A figure.
    pub fn figure(self, value: f64) -> String {
        format!("{value:.0$}", self.decimals)
    }

    /// A difference, with its sign.
    pub fn signed(self, value: f64) -> String {
        format!("{value:+.0$}", self.decimals)
    }

    /// A mean with its standard deviation, if there is one.
    pub fn spread(self, mean: f64, std: Option<f64>) -> String {
        let mean = self.figure(mean);
        std.map_or_else(|| mean.clone(), |std| format!("{mean} ± {std:.0$}", self.decimals + 1))
    }

    /// The largest difference that these figures do not show.
    pub fn half_of_last(self) -> f64 {
        0.5 * 10f64.powi(-(self.decimals as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::Column;
    use super::*;

    fn of(figures: &[f64]) -> Digits {
        Column::new("cdr", "mae", "Error").in_own_unit().digits(figures.iter().copied())
    }

    #[test]
    fn small_figures_have_three_significant_digits() {
        assert_eq!(of(&[0.0790450, 0.0812]).spread(0.0790450, Some(0.0041561)), "0.0790 ± 0.00416");
        assert_eq!(of(&[0.079, 0.1234]).figure(0.079), "0.079", "the largest figure counts");
        assert_eq!(of(&[-0.4889, 0.01]).signed(0.01), "+0.010");
        assert_eq!(of(&[4.56, 12.3]).spread(12.3456, None), "12.35");
        assert_eq!(of(&[1e-30]).figure(1.6e-8), "0.00000002", "there is an end");
        assert_eq!([of(&[]), of(&[0.0, f64::NAN, f64::INFINITY])], [of(&[1.0]); 2]);
    }

    #[test]
    fn figures_in_per_cent_have_two_decimals_however_small() {
        let percent = Column::new("task", "accuracy", "Accuracy").digits([0.08]);
        assert_eq!((percent.figure(0.08), percent.signed(99.5)), ("0.08".into(), "+99.50".into()));
        assert_eq!(percent.spread(99.25, Some(0.25)), "99.25 ± 0.250");
        assert!((percent.half_of_last() - 0.005).abs() < 1e-15);
    }
}
