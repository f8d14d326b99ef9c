// Sums over pixels and samples, in an order that is always the same.
#include "device.cuh"

// partial [planes, chunks]: the sum of each chunk of x [planes, pixels].
template <typename T> __device__ void chunk_sums(const T* x, T* partial, Size pixels, Size chunks) {
    Chunk chunk = chunk_of(blockIdx.x, pixels, chunks);
    const T* plane = x + chunk.plane * pixels;
    T sum = 0;
    for (Size i = chunk.first + threadIdx.x; i < chunk.end; i += THREADS) sum += plane[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
BLOCK_KERNEL(chunk_sums, (const T* x, T* partial, Size pixels, Size chunks), (x, partial, pixels, chunks))

// sums [sets]: factor times the sum over batch and parts of partial [batch, sets, parts]; each set is added up by one block.
template <typename T> __device__ void fold(const T* partial, T* sums, Size batch, Size sets, Size parts, T factor) {
    T sum = 0;
    for (Size i = threadIdx.x; i < batch * parts; i += THREADS)
        sum += partial[(i / parts * sets + blockIdx.x) * parts + i % parts];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum * factor;
}
BLOCK_KERNEL(fold, (const T* partial, T* sums, Size batch, Size sets, Size parts, T factor),
             (partial, sums, batch, sets, parts, factor))
