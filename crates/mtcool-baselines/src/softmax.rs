//! The softmax of one number per task.

/// `total softmax(values / temperature)` `[T]`: positive numbers whose sum is `total`.
pub(crate) fn softmax(values: &[f64], temperature: f64, total: f64) -> Vec<f64> {
    // Subtracting the largest changes no share and avoids overflow.
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = values.iter().map(|value| ((value - largest) / temperature).exp()).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| total * share / sum).collect()
}
