//! Numbers in words.

use std::fmt::Display;

/// The number of things of a kind, such as `1 run` and `3 runs`. `what` is the singular of a word whose plural ends with `s`.
pub(crate) fn number_of<N: Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [number_of(0_usize, "run"), number_of(1_u64, "run"), number_of(2_usize, "run")],
            ["0 runs", "1 run", "2 runs"]
        );
    }
}
