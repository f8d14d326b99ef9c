// Updates of parameters, each in one pass.
#include "device.cuh"

// As PyTorch's SGD: d = g + decay p; v' = momentum v + d (the first time d); p' = p - rate v'. Without momentum v' is not kept.
template <typename T>
__device__ void sgd(const T* parameter, const T* gradient, const T* velocity, T* moved, T* kept, T rate, T momentum, T decay,
                    int has_velocity, int keeps, Size count) {
    Size i = position();
    if (i >= count) return;
    T direction = gradient[i] + decay * parameter[i];
    if (has_velocity) direction += momentum * velocity[i];
    if (keeps) kept[i] = direction;
    moved[i] = parameter[i] - rate * direction;
}
KERNEL(sgd,
       (const T* parameter, const T* gradient, const T* velocity, T* moved, T* kept, T rate, T momentum, T decay,
        int has_velocity, int keeps, Size count),
       (parameter, gradient, velocity, moved, kept, rate, momentum, decay, has_velocity, keeps, count))

// x, held within `bound` of `center`; NaN stays.
template <typename T> __device__ void clamp_around(const T* x, const T* center, T* y, T bound, Size count) {
    Size i = position();
    if (i >= count) return;
    T lowest = center[i] - bound, highest = center[i] + bound, value = x[i];
    y[i] = value < lowest ? lowest : value > highest ? highest : value;
}
KERNEL(clamp_around, (const T* x, const T* center, T* y, T bound, Size count), (x, center, y, bound, count))
