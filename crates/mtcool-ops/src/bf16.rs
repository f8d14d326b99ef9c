//! Numbers of bf16, the upper half of an f32: rounding to them, and products of pairs of them.

/// The bits of the bf16 number nearest to `value`, halves to even; NaN stays NaN.
#[inline(always)]
pub(crate) fn nearest(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if value.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

/// `sum` and the products of the bf16 numbers that `a` and `b` hold, step by step as the instruction of AVX512-BF16 adds
/// them: the second product first, rounding after each addition, subnormal numbers taken for zero.
#[inline(always)]
pub(crate) fn add_pair_products(sum: f32, a: f32, b: f32) -> f32 {
    let flushed = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0f32.copysign(x) } else { x };
    let first = |x: f32| flushed(f32::from_bits(x.to_bits() << 16));
    let second = |x: f32| flushed(f32::from_bits(x.to_bits() & 0xffff_0000));
    let sum = flushed(second(a).mul_add(second(b), flushed(sum)));
    flushed(first(a).mul_add(first(b), sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_add_two_products() {
        let pair = |first: f32, second: f32| f32::from_bits(nearest(first) | nearest(second) << 16);
        assert_eq!(add_pair_products(1.0, pair(2.0, 3.0), pair(5.0, 7.0)), 32.0);
    }
}
