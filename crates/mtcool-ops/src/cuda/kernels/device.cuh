// Shared by all kernels: the declaration of a kernel for both element types, and sums over a block.
//
// A kernel `name` is a template over its element type T; KERNEL exports it as `name_f32` and `name_f64`. Where threads of a
// block work together, BLOCK_KERNEL does. The difference matters only on the emulated card (emulated-card/),
// which runs the threads of a plain kernel one after the other.
#pragma once

#ifndef MTCOOL_EMULATED
#define REGISTER(name)
#define REGISTER_BLOCK(name)
#endif

typedef unsigned long long Size;

#define EXPORT_AS(name, suffix, type, registration, parameters, arguments)                                                     \
    namespace name##_of_##suffix {                                                                                             \
    using T = type;                                                                                                            \
    extern "C" __global__ void name##_##suffix parameters { ::name<T> arguments; }                                             \
    registration(name##_##suffix)                                                                                              \
    }

#define KERNEL(name, parameters, arguments)                                                                                    \
    EXPORT_AS(name, f32, float, REGISTER, parameters, arguments)                                                               \
    EXPORT_AS(name, f64, double, REGISTER, parameters, arguments)

#define BLOCK_KERNEL(name, parameters, arguments)                                                                              \
    EXPORT_AS(name, f32, float, REGISTER_BLOCK, parameters, arguments)                                                         \
    EXPORT_AS(name, f64, double, REGISTER_BLOCK, parameters, arguments)

// Threads of a block, the same as `THREADS` in launch.rs.
constexpr int THREADS = 256;

// The element that this thread computes, in a plain kernel.
__device__ inline Size position() { return (Size)blockIdx.x * blockDim.x + threadIdx.x; }

// The sum of `value` over the threads of the block, by halves, so that its order is always the same; for every thread.
template <typename T> __device__ T block_sum(T value) {
    __shared__ T sums[THREADS];
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    T sum = sums[0];
    // All threads have read the sum before the next one is written.
    __syncthreads();
    return sum;
}

// A plane is divided into chunks, one for each block. `[first, end)` are its pixels.
struct Chunk {
    Size plane, first, end;
};

__device__ inline Chunk chunk_of(Size block, Size pixels, Size chunks) {
    Size length = (pixels + chunks - 1) / chunks;
    Size first = block % chunks * length;
    Size end = first + length < pixels ? first + length : pixels;
    return {block / chunks, first < pixels ? first : pixels, end};
}
