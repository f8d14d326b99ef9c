// Group and batch normalisation with scale, shift and ReLU, after norm/mod.rs: x [B, C, P].
#include "device.cuh"

// Which elements are normalised together: one of `groups` groups of channels of a sample, or, if `groups` is 0, a channel over the batch.
struct Sets {
    Size batch, channels, groups;

    __device__ Size count() const { return groups ? batch * groups : channels; }
    __device__ Size of(Size plane) const { return groups ? plane / (channels / groups) : plane % channels; }
    __device__ Size planes() const { return groups ? channels / groups : batch; }
    // Plane `index` of set `set`.
    __device__ Size plane(Size set, Size index) const {
        return groups ? set * (channels / groups) + index : index * channels + set;
    }
};

template <typename T> struct Affine {
    T scale, shift, mean, inverse;
};

// `moments` are mean and 1 / sqrt(variance + eps) of each set.
template <typename T>
__device__ Affine<T> affine_of(const T* moments, const T* weight, const T* bias, Sets sets, Size plane) {
    T mean = moments[2 * sets.of(plane)], inverse = moments[2 * sets.of(plane) + 1];
    T scale = inverse * weight[plane % sets.channels];
    return {scale, bias[plane % sets.channels] - mean * scale, mean, inverse};
}

// partial [planes, chunks, 2]: sums of deviations from an element of the set, and of their squares.
template <typename T> __device__ void moment_sums(const T* x, T* partial, Sets sets, Size pixels, Size chunks) {
    Chunk chunk = chunk_of(blockIdx.x, pixels, chunks);
    T pivot = x[sets.plane(sets.of(chunk.plane), 0) * pixels];
    const T* plane = x + chunk.plane * pixels;
    T sum = 0, squares = 0;
    for (Size i = chunk.first + threadIdx.x; i < chunk.end; i += THREADS) {
        T deviation = plane[i] - pivot;
        sum += deviation;
        squares += deviation * deviation;
    }
    sum = block_sum(sum);
    squares = block_sum(squares);
    if (threadIdx.x == 0) {
        partial[2 * (Size)blockIdx.x] = sum;
        partial[2 * (Size)blockIdx.x + 1] = squares;
    }
}
BLOCK_KERNEL(moment_sums, (const T* x, T* partial, Sets sets, Size pixels, Size chunks), (x, partial, sets, pixels, chunks))

// moments [sets, 2] from the sums of the chunks; one block for each set.
template <typename T>
__device__ void moments(const T* x, const T* partial, T* moments, Sets sets, Size pixels, Size chunks, T eps) {
    Size set = blockIdx.x;
    T sum = 0, squares = 0;
    for (Size i = threadIdx.x; i < sets.planes() * chunks; i += THREADS) {
        const T* own = partial + 2 * (sets.plane(set, i / chunks) * chunks + i % chunks);
        sum += own[0];
        squares += own[1];
    }
    sum = block_sum(sum);
    squares = block_sum(squares);
    if (threadIdx.x == 0) {
        T count = (T)(sets.planes() * pixels), mean = sum / count, variance = squares / count - mean * mean;
        // Rounding may make a variance slightly negative; NaN stays NaN.
        if (variance < T(0)) variance = T(0);
        moments[2 * set] = x[sets.plane(set, 0) * pixels] + mean;
        moments[2 * set + 1] = T(1) / sqrt(variance + eps);
    }
}
BLOCK_KERNEL(moments, (const T* x, const T* partial, T* moments, Sets sets, Size pixels, Size chunks, T eps),
             (x, partial, moments, sets, pixels, chunks, eps))

// y = activation(scale x + shift); one block for each chunk.
template <typename T>
__device__ void norm_apply(const T* x, const T* moments, const T* weight, const T* bias, T* y, Sets sets, Size pixels,
                           Size chunks, int is_relu) {
    Chunk chunk = chunk_of(blockIdx.x, pixels, chunks);
    Affine<T> affine = affine_of(moments, weight, bias, sets, chunk.plane);
    Size first = chunk.plane * pixels;
    for (Size i = chunk.first + threadIdx.x; i < chunk.end; i += THREADS) {
        T value = affine.scale * x[first + i] + affine.shift;
        y[first + i] = is_relu && value < T(0) ? T(0) : value;
    }
}
KERNEL(norm_apply,
       (const T* x, const T* moments, const T* weight, const T* bias, T* y, Sets sets, Size pixels, Size chunks, int is_relu),
       (x, moments, weight, bias, y, sets, pixels, chunks, is_relu))

// The gradient before the activation: 0 where the output is not positive.
template <typename T> __device__ T before_activation(T grad, T x, Affine<T> affine, int is_relu) {
    return is_relu && affine.scale * x + affine.shift <= T(0) ? T(0) : grad;
}

// partial [planes, chunks, 2]: sum g and sum g (x - mean).
template <typename T>
__device__ void norm_sums(const T* x, const T* grad, const T* moments, const T* weight, const T* bias, T* partial, Sets sets,
                          Size pixels, Size chunks, int is_relu) {
    Chunk chunk = chunk_of(blockIdx.x, pixels, chunks);
    Affine<T> affine = affine_of(moments, weight, bias, sets, chunk.plane);
    Size first = chunk.plane * pixels;
    T sum = 0, product = 0;
    for (Size i = chunk.first + threadIdx.x; i < chunk.end; i += THREADS) {
        T value = x[first + i], gradient = before_activation(grad[first + i], value, affine, is_relu);
        sum += gradient;
        product += gradient * (value - affine.mean);
    }
    sum = block_sum(sum);
    product = block_sum(product);
    if (threadIdx.x == 0) {
        partial[2 * (Size)blockIdx.x] = sum;
        partial[2 * (Size)blockIdx.x + 1] = product;
    }
}
BLOCK_KERNEL(norm_sums,
             (const T* x, const T* grad, const T* moments, const T* weight, const T* bias, T* partial, Sets sets, Size pixels,
              Size chunks, int is_relu),
             (x, grad, moments, weight, bias, partial, sets, pixels, chunks, is_relu))

// sums [planes, 2]: sum g and sum g h, h = (x - mean) inverse; one block for each plane.
template <typename T>
__device__ void plane_sums(const T* partial, const T* moments, T* sums, Sets sets, Size chunks) {
    T sum = 0, product = 0;
    for (Size i = threadIdx.x; i < chunks; i += THREADS) {
        sum += partial[2 * (blockIdx.x * chunks + i)];
        product += partial[2 * (blockIdx.x * chunks + i) + 1];
    }
    sum = block_sum(sum);
    product = block_sum(product);
    if (threadIdx.x == 0) {
        sums[2 * (Size)blockIdx.x] = sum;
        sums[2 * (Size)blockIdx.x + 1] = product * moments[2 * sets.of(blockIdx.x) + 1];
    }
}
BLOCK_KERNEL(plane_sums, (const T* partial, const T* moments, T* sums, Sets sets, Size chunks),
             (partial, moments, sums, sets, chunks))

// set_sums [sets, 2]: the sums over the planes of a set, each times its channel's weight; one block for each set.
template <typename T> __device__ void set_sums(const T* sums, const T* weight, T* set_sums, Sets sets) {
    T sum = 0, product = 0;
    for (Size i = threadIdx.x; i < sets.planes(); i += THREADS) {
        Size plane = sets.plane(blockIdx.x, i);
        sum += weight[plane % sets.channels] * sums[2 * plane];
        product += weight[plane % sets.channels] * sums[2 * plane + 1];
    }
    sum = block_sum(sum);
    product = block_sum(product);
    if (threadIdx.x == 0) {
        set_sums[2 * (Size)blockIdx.x] = sum;
        set_sums[2 * (Size)blockIdx.x + 1] = product;
    }
}
BLOCK_KERNEL(set_sums, (const T* sums, const T* weight, T* set_sums, Sets sets), (sums, weight, set_sums, sets))

// of_weight [C] and of_bias [C], from the sums of the planes.
template <typename T> __device__ void parameter_sums(const T* sums, T* of_weight, T* of_bias, Sets sets) {
    Size channel = position();
    if (channel >= sets.channels) return;
    T sum = 0, product = 0;
    for (Size sample = 0; sample < sets.batch; ++sample) {
        sum += sums[2 * (sample * sets.channels + channel)];
        product += sums[2 * (sample * sets.channels + channel) + 1];
    }
    of_weight[channel] = product;
    of_bias[channel] = sum;
}
KERNEL(parameter_sums, (const T* sums, T* of_weight, T* of_bias, Sets sets), (sums, of_weight, of_bias, sets))

// dx = inverse (w g - mean(w g) - h mean(w g h)); one block for each chunk.
template <typename T>
__device__ void norm_backward(const T* x, const T* grad, const T* moments, const T* weight, const T* bias, const T* set_sums,
                              T* result, Sets sets, Size pixels, Size chunks, int is_relu) {
    Chunk chunk = chunk_of(blockIdx.x, pixels, chunks);
    Affine<T> affine = affine_of(moments, weight, bias, sets, chunk.plane);
    const T* own = set_sums + 2 * sets.of(chunk.plane);
    T count = (T)(sets.planes() * pixels);
    T of_x = -affine.inverse * affine.inverse * own[1] / count;
    T constant = -affine.inverse * own[0] / count - of_x * affine.mean;
    Size first = chunk.plane * pixels;
    for (Size i = chunk.first + threadIdx.x; i < chunk.end; i += THREADS) {
        T value = x[first + i], gradient = before_activation(grad[first + i], value, affine, is_relu);
        result[first + i] = affine.scale * gradient + of_x * value + constant;
    }
}
KERNEL(norm_backward,
       (const T* x, const T* grad, const T* moments, const T* weight, const T* bias, const T* set_sums, T* result, Sets sets,
        Size pixels, Size chunks, int is_relu),
       (x, grad, moments, weight, bias, set_sums, result, sets, pixels, chunks, is_relu))
