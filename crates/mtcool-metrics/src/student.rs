//! Student's distribution: its two-sided probability and the quantile that belongs to it.

use statrs::function::beta::beta_reg;

/// `P(|T| >= |t|)` of Student's distribution, `I_x(v/2, 1/2)` with `x = v / (v + t^2)`; NaN if `t` is NaN.
pub(crate) fn two_sided(t: f64, degrees_of_freedom: f64) -> f64 {
    // In this form an infinite t gives x = 0. The beta function panics on NaN, so NaN has to be kept from it.
    let x = 1.0 / (1.0 + t * t / degrees_of_freedom);
    if x.is_nan() { f64::NAN } else { beta_reg(degrees_of_freedom / 2.0, 0.5, x) }
}

/// The `t` with `P(|T| >= t) = p`, for `p` between 0 and 1, both excluded. It is found by bisection to the last bits, since
/// [`two_sided`] decreases with `t`.
pub(crate) fn two_sided_quantile(p: f64, degrees_of_freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1.0f64);
    while two_sided(high, degrees_of_freedom) > p && high.is_finite() {
        (low, high) = (high, 2.0 * high);
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if two_sided(middle, degrees_of_freedom) > p { low = middle } else { high = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_closed_forms_and_of_printed_tables() {
        // v = 1 is Cauchy's distribution, t = tan(pi / 2 (1 - p)); for v = 2, t = sqrt(2) (1 - p) / sqrt(1 - (1 - p)^2).
        for p in [0.5, 0.1, 0.05, 0.01, 0.001] {
            let inside = 1.0 - p;
            let cauchy = (std::f64::consts::FRAC_PI_2 * inside).tan();
            let of_two = std::f64::consts::SQRT_2 * inside / (1.0 - inside * inside).sqrt();
            assert!((two_sided_quantile(p, 1.0) / cauchy - 1.0).abs() < 1e-10, "{p}");
            assert!((two_sided_quantile(p, 2.0) / of_two - 1.0).abs() < 1e-10, "{p}");
        }
        for (freedom, printed) in [(4.0, 2.776), (8.0, 2.306), (10.0, 2.228), (30.0, 2.042), (120.0, 1.980)] {
            assert!((two_sided_quantile(0.05, freedom) - printed).abs() < 5e-4, "{freedom}");
        }
    }
}
