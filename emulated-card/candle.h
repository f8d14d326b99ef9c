// Helpers for the kernels that candle brings along: strided layouts and registration by type.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "launch.h"
#include "small_float.h"

namespace emulator {

using Size = std::size_t;

// The position in memory of element i of a tensor. No dimensions means: contiguous.
struct Strided {
    Size rank;
    const Size *dims, *strides;
    Strided(Size rank, const Size *dims, const Size *strides)
        : rank(rank), dims(dims), strides(dims == nullptr || contiguous(rank, dims, strides) ? nullptr : strides) {}
    Size operator()(Size i) const {
        if (strides == nullptr) return i;
        Size offset = 0;
        for (Size d = rank; d-- > 0; i /= dims[d]) offset += i % dims[d] * strides[d];
        return offset;
    }
    static bool contiguous(Size rank, const Size *dims, const Size *strides) {
        Size expected = 1;
        for (Size d = rank; d-- > 0; expected *= dims[d])
            if (dims[d] > 1 && strides[d] != expected) return false;
        return true;
    }
};

// The k-th block of `rank` numbers behind info.
inline const Size *info_part(const Size *info, Size rank, Size k) { return info == nullptr ? nullptr : info + k * rank; }

// What a type is computed with.
template <typename T>
struct Computed { using Type = T; };
template <>
struct Computed<Bf16> { using Type = float; };
template <>
struct Computed<F16> { using Type = float; };
template <typename T>
using Compute = typename Computed<T>::Type;

// Sums are kept more precisely than the card does; integers wrap as they do there.
template <typename T>
using Accumulate = std::conditional_t<std::is_integral_v<T>, T, double>;

template <typename T>
T smaller(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return std::fmin(a, b);
    else return b < a ? b : a;
}
template <typename T>
T larger(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b);
    else return a < b ? b : a;
}

// A whole-grid function under its name with the suffix of its element type.
#define ADD(name, suffix, ...) add_kernel(name "_" suffix, &launch_whole<&__VA_ARGS__>)

}  // namespace emulator
