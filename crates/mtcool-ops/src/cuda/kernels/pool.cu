// Max-pooling and bilinear upsampling, after pool.rs and upsample.rs.
#include "device.cuh"

struct Pool {
    Size height, width, out_h, out_w, kernel, stride;
};

// Where the first maximum (or the last NaN) of an output pixel's window lies in its plane.
template <typename T> __device__ Size first_maximum(const T* plane, Pool pool, Size oy, Size ox) {
    Size best = oy * pool.stride * pool.width + ox * pool.stride;
    for (Size ky = 0; ky < pool.kernel; ++ky) {
        Size row = (oy * pool.stride + ky) * pool.width + ox * pool.stride;
        for (Size i = row; i < row + pool.kernel; ++i)
            if (plane[i] > plane[best] || plane[i] != plane[i]) best = i;
    }
    return best;
}

template <typename T> __device__ void max_pool(const T* x, T* y, Pool pool, Size count) {
    Size i = position();
    if (i >= count) return;
    Size ox = i % pool.out_w, oy = i / pool.out_w % pool.out_h, plane = i / (pool.out_w * pool.out_h);
    const T* own = x + plane * pool.height * pool.width;
    y[i] = own[first_maximum(own, pool, oy, ox)];
}
KERNEL(max_pool, (const T* x, T* y, Pool pool, Size count), (x, y, pool, count))

// Each input pixel takes the gradients of the windows whose first maximum it is: nothing is added by two threads.
template <typename T> __device__ void max_pool_backward(const T* x, const T* grad, T* result, Pool pool, Size count) {
    Size i = position();
    if (i >= count) return;
    Size column = i % pool.width, row = i / pool.width % pool.height, plane = i / (pool.width * pool.height);
    const T* own = x + plane * pool.height * pool.width;
    const T* own_grad = grad + plane * pool.out_h * pool.out_w;
    Size at = row * pool.width + column;
    Size top = row < pool.kernel ? 0 : (row - pool.kernel) / pool.stride + 1;
    Size left = column < pool.kernel ? 0 : (column - pool.kernel) / pool.stride + 1;
    T sum = 0;
    for (Size oy = top; oy < pool.out_h && oy * pool.stride <= row; ++oy)
        for (Size ox = left; ox < pool.out_w && ox * pool.stride <= column; ++ox)
            if (first_maximum(own, pool, oy, ox) == at) sum += own_grad[oy * pool.out_w + ox];
    result[i] = sum;
}
KERNEL(max_pool_backward, (const T* x, const T* grad, T* result, Pool pool, Size count), (x, grad, result, pool, count))

// The two small coordinates that a large one lies between, and how far along.
template <typename T> struct Between {
    Size first, second;
    T along;
};

template <typename T> __device__ Between<T> between(Size large, Size small, Size scale) {
    double source = ((double)large + 0.5) / (double)scale - 0.5;
    if (source < 0.0) source = 0.0;
    Size first = (Size)source;
    return {first, first + 1 < small ? first + 1 : small - 1, (T)(source - (double)first)};
}

// x [planes, height, width] to y [planes, scale height, scale width].
template <typename T> __device__ void upsample(const T* x, T* y, Size height, Size width, Size scale, Size count) {
    Size i = position();
    if (i >= count) return;
    Size column = i % (width * scale), row = i / (width * scale) % (height * scale), plane = i / (width * height * scale * scale);
    Between<T> down = between<T>(row, height, scale), right = between<T>(column, width, scale);
    const T* own = x + plane * height * width;
    T upper = (T(1) - right.along) * own[down.first * width + right.first] + right.along * own[down.first * width + right.second];
    T lower = (T(1) - right.along) * own[down.second * width + right.first] + right.along * own[down.second * width + right.second];
    y[i] = (T(1) - down.along) * upper + down.along * lower;
}
KERNEL(upsample, (const T* x, T* y, Size height, Size width, Size scale, Size count), (x, y, height, width, scale, count))

// How much of small coordinate `at` a large one is made of.
template <typename T> __device__ T share(Between<T> between, Size at) {
    return (between.first == at ? T(1) - between.along : T(0)) + (between.second == at ? between.along : T(0));
}

// The transpose: a small pixel takes from the large ones it went into.
template <typename T>
__device__ void upsample_backward(const T* grad, T* result, Size height, Size width, Size scale, Size count) {
    Size i = position();
    if (i >= count) return;
    Size column = i % width, row = i / width % height, plane = i / (width * height);
    const T* own = grad + plane * height * width * scale * scale;
    Size top = row == 0 ? 0 : (row - 1) * scale, bottom = (row + 2) * scale;
    Size left = column == 0 ? 0 : (column - 1) * scale, right = (column + 2) * scale;
    T sum = 0;
    for (Size y = top; y < bottom && y < height * scale; ++y) {
        T of_row = share(between<T>(y, height, scale), row);
        for (Size x = left; x < right && x < width * scale; ++x)
            sum += of_row * share(between<T>(x, width, scale), column) * own[y * width * scale + x];
    }
    result[i] = sum;
}
KERNEL(upsample_backward, (const T* grad, T* result, Size height, Size width, Size scale, Size count),
       (grad, result, height, width, scale, count))
