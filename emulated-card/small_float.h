// The 16-bit floating-point types: stored as bits, computed with as float.
#pragma once

#include <cstdint>
#include <cstring>

namespace emulator {

inline uint32_t float_bits(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float bits_float(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// bfloat16: the upper half of a float, rounded to nearest even.
struct Bf16 {
    uint16_t bits;
    Bf16() = default;
    Bf16(float x) {
        const uint32_t b = float_bits(x);
        bits = static_cast<uint16_t>(x != x ? (b >> 16) | 0x40 : (b + 0x7fff + ((b >> 16) & 1)) >> 16);
    }
    operator float() const { return bits_float(static_cast<uint32_t>(bits) << 16); }
};

// IEEE half precision.
struct F16 {
    uint16_t bits;
    F16() = default;
    F16(float x) {
        const uint32_t b = float_bits(x);
        const uint16_t sign = static_cast<uint16_t>((b >> 16) & 0x8000);
        const uint32_t magnitude = b & 0x7fffffff;
        uint32_t half;
        if (magnitude > 0x7f800000) {
            half = 0x7e00;
        } else if (magnitude >= 0x477ff000) {  // rounds to 65536 or more
            half = 0x7c00;
        } else if (magnitude < 0x38800000) {
            // Below the normal numbers: adding 0.5 leaves the rounded value in the low bits.
            half = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
        } else {
            half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
        }
        bits = static_cast<uint16_t>(sign | half);
    }
    operator float() const {
        const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
        const uint32_t exponent = (bits >> 10) & 31, fraction = bits & 1023;
        if (exponent == 0) {
            const float small = static_cast<float>(fraction) * 0x1p-24f;
            return sign ? -small : small;
        }
        if (exponent == 31) return bits_float(sign | 0x7f800000 | (fraction << 13));
        return bits_float(sign | ((exponent + 112) << 23) | (fraction << 13));
    }
};

}  // namespace emulator
