// CUDA's language extensions and built-in functions, so that g++ compiles our kernel sources as C++.
// It is included before everything else (g++ -x c++ -include device.h). It has what our kernels use; a kernel that
// uses something else does not compile here, and the line that is missing belongs in this file.
#pragma once

#define MTCOOL_EMULATED 1

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "launch.h"

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
// One block runs at a time, so a static variable serves as memory that its threads share.
#define __shared__ static

using emulator::blockDim;
using emulator::blockIdx;
using emulator::gridDim;
using emulator::threadIdx;

#define __syncthreads() ::emulator::sync_block()

// REGISTER: the threads do not communicate. REGISTER_BLOCK: they share memory or wait for each other at barriers.
#define REGISTER(name)                                           \
    [[maybe_unused]] static const bool emulator_registered_##name = \
        ::emulator::add_kernel(#name, &::emulator::launch_plain<&name>);
#define REGISTER_BLOCK(name)                                     \
    [[maybe_unused]] static const bool emulator_registered_##name = \
        ::emulator::add_kernel(#name, &::emulator::launch_block<&name>);

// Of two floating-point numbers the one that is not NaN, as on the card.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
template <typename A, typename B>
using Integers = std::enable_if_t<std::is_integral_v<A> && std::is_integral_v<B>, std::common_type_t<A, B>>;
template <typename A, typename B>
constexpr Integers<A, B> min(A a, B b) {
    using C = std::common_type_t<A, B>;
    return static_cast<C>(b) < static_cast<C>(a) ? static_cast<C>(b) : static_cast<C>(a);
}
template <typename A, typename B>
constexpr Integers<A, B> max(A a, B b) {
    using C = std::common_type_t<A, B>;
    return static_cast<C>(a) < static_cast<C>(b) ? static_cast<C>(b) : static_cast<C>(a);
}

// Single operations that are rounded once: g++ is told not to fuse them (-ffp-contract=off).
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
