// CUDA's language extensions and built-in functions for kernel sources compiled as C++.
// It is included before everything else (g++ -x c++ -include device.h).
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
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
// One block runs at a time, so that a static variable is memory shared by its threads.
#define __shared__ static

using emulator::blockDim;
using emulator::blockIdx;
using emulator::gridDim;
using emulator::threadIdx;

constexpr int warpSize = 32;

#define __syncthreads() ::emulator::sync_block()
#define __syncwarp(...) ::emulator::sync_warp()
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)

// REGISTER: threads do not talk to each other. REGISTER_BLOCK: they share memory or meet at barriers.
#define REGISTER(name)                                           \
    [[maybe_unused]] static const bool emulator_registered_##name = \
        ::emulator::add_kernel(#name, &::emulator::launch_plain<&name>);
#define REGISTER_BLOCK(name)                                     \
    [[maybe_unused]] static const bool emulator_registered_##name = \
        ::emulator::add_kernel(#name, &::emulator::launch_block<&name>);

using dim3 = emulator::Dim;
using uint3 = emulator::Dim;
struct int2 { int x, y; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct int4 { int x, y, z, w; };
struct float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

// min and max: of two floating-point numbers the one that is not NaN, as on the card.
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

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * static_cast<float>(M_SQRT1_2)); }
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

// Rounded single operations: g++ is told not to contract, so that these are what they say.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline double __dsqrt_rn(double a) { return sqrt(a); }

template <typename To, typename From>
inline To emulator_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float x) { return emulator_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator_bits<unsigned>(x); }
inline float __int_as_float(int x) { return emulator_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulator_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator_bits<double>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
template <typename T>
inline T __ldg(const T *pointer) { return *pointer; }

// Threads of a launch run one at a time, so that atomic operations are plain ones.
template <typename T>
inline T atomicAdd(T *address, std::common_type_t<T> value) {
    T old = *address;
    *address = old + value;
    return old;
}
template <typename T>
inline T atomicMax(T *address, std::common_type_t<T> value) {
    T old = *address;
    if (old < value) *address = value;
    return old;
}
template <typename T>
inline T atomicMin(T *address, std::common_type_t<T> value) {
    T old = *address;
    if (value < old) *address = value;
    return old;
}
template <typename T>
inline T atomicExch(T *address, std::common_type_t<T> value) {
    T old = *address;
    *address = value;
    return old;
}
template <typename T>
inline T atomicCAS(T *address, std::common_type_t<T> compare, std::common_type_t<T> value) {
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

// Warp shuffles (in kernels of REGISTER_BLOCK): each lane leaves its value, then reads another's.
template <typename T>
inline T emulator_shuffle(T value, int lane, int source, int width) {
    static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
    const unsigned self = emulator::linear_thread();
    std::memcpy(emulator::exchange_slot(self), &value, sizeof value);
    emulator::sync_warp();
    const bool inside = source >= 0 && source / width == lane / width;
    if (void *slot = inside ? emulator::exchange_slot(self - lane + source) : nullptr)
        std::memcpy(&value, slot, sizeof value);
    emulator::sync_warp();
    return value;
}
inline int emulator_lane() { return static_cast<int>(emulator::linear_thread() % warpSize); }
template <typename T>
inline T __shfl_sync(unsigned, T value, int source, int width = warpSize) {
    const int lane = emulator_lane();
    return emulator_shuffle(value, lane, lane / width * width + source % width, width);
}
template <typename T>
inline T __shfl_down_sync(unsigned, T value, unsigned delta, int width = warpSize) {
    const int lane = emulator_lane();
    return emulator_shuffle(value, lane, lane + static_cast<int>(delta), width);
}
template <typename T>
inline T __shfl_up_sync(unsigned, T value, unsigned delta, int width = warpSize) {
    const int lane = emulator_lane();
    return emulator_shuffle(value, lane, lane - static_cast<int>(delta), width);
}
template <typename T>
inline T __shfl_xor_sync(unsigned, T value, int mask, int width = warpSize) {
    const int lane = emulator_lane();
    return emulator_shuffle(value, lane, lane ^ mask, width);
}
