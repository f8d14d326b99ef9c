//! The Euclidean projection onto the simplex.

/// The point of `{w : w_i >= 0, sum_i w_i = 1}` nearest to `x` `[T]`, T at least 1: `w_i = max(x_i - t, 0)` with the t that makes
/// the sum 1.
pub(crate) fn onto_simplex(x: &[f64]) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut threshold) = (0.0, f64::NEG_INFINITY);
    for (count, &entry) in sorted.iter().enumerate() {
        sum += entry;
        let candidate = (sum - 1.0) / (count + 1) as f64;
        if entry - candidate > 0.0 {
            threshold = candidate;
        }
    }
    x.iter().map(|entry| (entry - threshold).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A point of the simplex is the projection exactly if no other point of it is nearer: it suffices to try the corners.
        #[test]
        fn no_corner_lies_on_the_nearer_side(x in prop::collection::vec(-3.0..3.0f64, 1..8)) {
            let w = onto_simplex(&x);
            prop_assert!(w.iter().all(|&w| w >= 0.0) && (w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let off: Vec<f64> = x.iter().zip(&w).map(|(x, w)| x - w).collect();
            let at_w: f64 = off.iter().zip(&w).map(|(a, b)| a * b).sum();
            prop_assert!(off.iter().all(|corner| corner - at_w < 1e-12));
        }
    }
}
