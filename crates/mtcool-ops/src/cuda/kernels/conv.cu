// Before and after the matrix products of a convolution: patches as columns, and the inverse.
#include "device.cuh"

// The sizes of a convolution, as in cuda/conv/columns.rs.
struct Geometry {
    Size channels, height, width, kernel_h, kernel_w, out_h, out_w, stride, padding, dilation;

    __device__ Size taps() const { return channels * kernel_h * kernel_w; }
    __device__ Size out_pixels() const { return out_h * out_w; }
};

// columns [S, C kh kw, OH OW] of x [S, C, H, W].
template <typename T> __device__ void columns_of(const T* x, T* columns, Geometry g, Size count) {
    Size i = position();
    if (i >= count) return;
    Size ox = i % g.out_w, oy = i / g.out_w % g.out_h, tap = i / g.out_pixels() % g.taps(), sample = i / (g.out_pixels() * g.taps());
    Size kx = tap % g.kernel_w, ky = tap / g.kernel_w % g.kernel_h, channel = tap / (g.kernel_w * g.kernel_h);
    long long row = (long long)(oy * g.stride + ky * g.dilation) - (long long)g.padding;
    long long column = (long long)(ox * g.stride + kx * g.dilation) - (long long)g.padding;
    bool is_inside = row >= 0 && row < (long long)g.height && column >= 0 && column < (long long)g.width;
    columns[i] = is_inside ? x[((sample * g.channels + channel) * g.height + row) * g.width + column] : T(0);
}
KERNEL(columns_of, (const T* x, T* columns, Geometry g, Size count), (x, columns, g, count))

// Each pixel of x [S, C, H, W] becomes the sum of the elements of columns that were read from it.
template <typename T> __device__ void sum_columns(const T* columns, T* x, Geometry g, Size count) {
    Size i = position();
    if (i >= count) return;
    Size column = i % g.width, row = i / g.width % g.height, channel = i / (g.width * g.height) % g.channels;
    Size sample = i / (g.width * g.height * g.channels);
    T sum = 0;
    for (Size ky = 0; ky < g.kernel_h; ++ky) {
        long long y = (long long)(row + g.padding) - (long long)(ky * g.dilation);
        if (y < 0 || y % (long long)g.stride != 0 || y / (long long)g.stride >= (long long)g.out_h) continue;
        for (Size kx = 0; kx < g.kernel_w; ++kx) {
            long long z = (long long)(column + g.padding) - (long long)(kx * g.dilation);
            if (z < 0 || z % (long long)g.stride != 0 || z / (long long)g.stride >= (long long)g.out_w) continue;
            Size tap = (channel * g.kernel_h + ky) * g.kernel_w + kx;
            sum += columns[((sample * g.taps() + tap) * g.out_h + y / g.stride) * g.out_w + z / g.stride];
        }
    }
    x[i] = sum;
}
KERNEL(sum_columns, (const T* columns, T* x, Geometry g, Size count), (columns, x, g, count))
