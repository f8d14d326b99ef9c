//! Spearman's rank correlation.

use crate::error::{MetricError, all_finite, same_length};
use crate::rounding::{Rounded, doubled_ranks};

/// Spearman's rank correlation of two figures of the same items, `[items]` each, between -1 and 1; equal figures share the mean of
/// their ranks. `None` if one of the two is the same for all items, or if there is a single item: it has no order.
///
/// ```
/// # fn main() -> Result<(), mtcool_metrics::MetricError> {
/// use mtcool_metrics::rank_correlation;
/// assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[10.0, 1e3, 1e9])?, Some(1.0));
/// assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[5.0, 4.0, 3.0])?, Some(-1.0));
/// assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[5.0, 5.0, 5.0])?, None);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the lengths differ, if there is no item, or if a figure is not finite.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Result<Option<f64>, MetricError> {
    if a.is_empty() {
        return Err(MetricError::Count { what: "items", got: 0, expected: "at least 1" });
    }
    same_length("figures of b", b.len(), a.len())?;
    all_finite("figure of a", a)?;
    all_finite("figure of b", b)?;
    let centred = |figures: &[f64]| {
        let ranks = doubled_ranks(&figures.iter().map(|&figure| Rounded::figure(figure)).collect::<Vec<_>>());
        // The mean of doubled ranks is n + 1.
        ranks.into_iter().map(|rank| rank as f64 - (figures.len() + 1) as f64).collect::<Vec<f64>>()
    };
    let (a, b) = (centred(a), centred(b));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    Ok((scale > 0.0).then(|| product(&a, &b) / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_ranks() {
        // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance 4.5 / sqrt(4.5 * 5).
        let found = rank_correlation(&[1.0, 2.0, 2.0, 3.0], &[0.0, 1.0, 2.0, 3.0]).unwrap().unwrap();
        assert!((found - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12, "{found}");
        // Without ties, 1 - 6 sum d^2 / (n (n^2 - 1)).
        let found = rank_correlation(&[1.0, 2.0, 3.0, 4.0, 5.0], &[20.0, 10.0, 50.0, 30.0, 60.0]).unwrap().unwrap();
        let ranks: [f64; 5] = [2.0, 1.0, 4.0, 3.0, 5.0];
        let squares: f64 = ranks.iter().zip(1..).map(|(rank, at)| (rank - f64::from(at)).powi(2)).sum();
        assert!((found - (1.0 - 6.0 * squares / 120.0)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_has_no_order_has_no_correlation() {
        assert_eq!(rank_correlation(&[1.0], &[2.0]).unwrap(), None);
        assert!(rank_correlation(&[], &[]).is_err() && rank_correlation(&[1.0], &[]).is_err());
        assert!(rank_correlation(&[f64::NAN], &[1.0]).is_err());
    }
}
