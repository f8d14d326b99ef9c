//! Holm's correction of p-values for the number of comparisons.

use crate::error::MetricError;

/// The p-values `p` `[m]` adjusted for `m` comparisons by Holm's step-down method, in the order of the input (Holm 1979).
///
/// With the p-values in ascending order, `adjusted_(k) = max over j <= k of min(1, (m - j + 1) p_(j))`, `k` from 1 to `m`. To
/// reject each hypothesis with `adjusted <= alpha` keeps the probability of one or more false rejections at `alpha` or below,
/// however the tests depend on each other.
///
/// ```
/// # fn main() -> Result<(), mtcool_metrics::MetricError> {
/// let adjusted = mtcool_metrics::holm(&[0.02, 0.5, 0.01])?;
/// assert_eq!(adjusted, [0.04, 0.5, 0.03]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If a number lies outside `0..=1`.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, MetricError> {
    if let Some(index) = p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        let expected = "a probability from 0 to 1";
        return Err(MetricError::OutOfRange { what: "p-value", index, value: p[index], expected });
    }
    let mut ascending: Vec<usize> = (0..p.len()).collect();
    ascending.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0f64;
    for (position, &index) in ascending.iter().enumerate() {
        let not_yet_rejected = (p.len() - position) as f64;
        largest = largest.max((not_yet_rejected * p[index]).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}
