// Each thread computes one element.
#include "device.cuh"

template <typename T> __device__ T relu_of(T x) { return x < T(0) ? T(0) : x; }

// y = max(0, x); NaN stays NaN.
template <typename T> __device__ void relu(const T* x, T* y, Size count) {
    Size i = position();
    if (i < count) y[i] = relu_of(x[i]);
}
KERNEL(relu, (const T* x, T* y, Size count), (x, y, count))

// grad where output > 0 or NaN, else 0.
template <typename T> __device__ void relu_backward(const T* output, const T* grad, T* result, Size count) {
    Size i = position();
    if (i < count) result[i] = output[i] <= T(0) ? T(0) : grad[i];
}
KERNEL(relu_backward, (const T* output, const T* grad, T* result, Size count), (output, grad, result, count))

template <typename T> __device__ void add(const T* a, const T* b, T* sum, Size count) {
    Size i = position();
    if (i < count) sum[i] = a[i] + b[i];
}
KERNEL(add, (const T* a, const T* b, T* sum, Size count), (a, b, sum, count))

// y [B, C, P] <- activation(y + bias[C]), in place; `has_bias` and `is_relu` are 0 or 1.
template <typename T>
__device__ void bias_activation(T* y, const T* bias, Size channels, Size pixels, int has_bias, int is_relu, Size count) {
    Size i = position();
    if (i >= count) return;
    T value = y[i];
    if (has_bias) value += bias[i / pixels % channels];
    y[i] = is_relu ? relu_of(value) : value;
}
KERNEL(bias_activation, (T* y, const T* bias, Size channels, Size pixels, int has_bias, int is_relu, Size count),
       (y, bias, channels, pixels, has_bias, is_relu, count))

// Samples of a (`of_a` elements each) and b (`of_b`) in turn.
template <typename T> __device__ void join(const T* a, const T* b, T* joined, Size of_a, Size of_b, Size count) {
    Size i = position();
    if (i >= count) return;
    Size sample = i / (of_a + of_b), at = i % (of_a + of_b);
    joined[i] = at < of_a ? a[sample * of_a + at] : b[sample * of_b + at - of_a];
}
KERNEL(join, (const T* a, const T* b, T* joined, Size of_a, Size of_b, Size count), (a, b, joined, of_a, of_b, count))

// The inverse: of each sample of `joined` (`of_all` elements), as many elements from `first` on as a sample of the part has.
template <typename T> __device__ void part(const T* joined, T* out, Size of_all, Size first, Size of_part, Size count) {
    Size i = position();
    if (i < count) out[i] = joined[i / of_part * of_all + first + i % of_part];
}
KERNEL(part, (const T* joined, T* out, Size of_all, Size first, Size of_part, Size count),
       (joined, out, of_all, first, of_part, count))

// The bf16 number nearest to each element, halves to even; NaN stays NaN.
template <typename T> __device__ void round_bf16(const T* x, T* y, Size count) {
    Size i = position();
    if (i >= count) return;
    union {
        float value;
        unsigned bits;
    } word;
    word.value = (float)x[i];
    bool is_nan = x[i] != x[i];
    word.bits = is_nan ? (word.bits | 0x400000u) & 0xffff0000u : (word.bits + 0x7fffu + ((word.bits >> 16) & 1u)) & 0xffff0000u;
    y[i] = (T)word.value;
}
KERNEL(round_bf16, (const T* x, T* y, Size count), (x, y, count))
