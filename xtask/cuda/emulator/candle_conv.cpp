// candle's kernels for images: convolutions, pooling, resizing. Without cuDNN candle unfolds an image
// (im2col) and multiplies; the gradient of a convolution is a transposed one.
// Names and parameters are those of candle-kernels 0.11.1; each function does the whole grid.
#include <algorithm>

#include "candle.h"

namespace emulator {
namespace {

// Dimensions and strides of a tensor of four (or three) dimensions, as they lie in info.
struct Image {
    const Size *dims, *strides;
    Image(const Size *info, Size rank) : dims(info), strides(info + rank) {}
    Size at(Size a, Size b, Size c) const { return a * strides[0] + b * strides[1] + c * strides[2]; }
    Size at(Size a, Size b, Size c, Size d) const { return at(a, b, c) + d * strides[3]; }
};

// The input position under tap `tap` of the filter for output position `out`; false in the padding.
bool under(Size out, Size tap, Size stride, Size padding, Size dilation, Size length, Size &in) {
    in = out * stride + tap * dilation;
    if (in < padding || in >= length + padding) return false;
    in -= padding;
    return true;
}

// The input position whose tap `tap` reaches output position `out` in a transposed convolution.
bool reaching(Size out, Size tap, Size stride, Size padding, Size dilation, Size length, Size &in) {
    const Size shifted = out + padding;
    if (shifted < tap * dilation || (shifted - tap * dilation) % stride != 0) return false;
    in = (shifted - tap * dilation) / stride;
    return in < length;
}

// The output index as four coordinates over the last three sizes.
struct Place {
    Size a, b, c, d;
    Place(Size i, Size size_b, Size size_c, Size size_d)
        : a(i / (size_b * size_c * size_d)), b(i / (size_c * size_d) % size_b), c(i / size_d % size_c), d(i % size_d) {}
};

template <typename T>
void im2col1d(Size count, Size l_out, Size taps, Size stride, Size padding, Size dilation, const Size *info, const T *in,
              T *out) {
    const Image x(info, 3);
    for (Size i = 0; i < count; ++i)
        for (Size tap = 0; tap < taps; ++tap) {
            const Place p(i, l_out, x.dims[1], 1);
            Size l;
            const bool inside = under(p.b, tap, stride, padding, dilation, x.dims[2], l);
            out[i * taps + tap] = inside ? in[x.at(p.a, p.c, l)] : static_cast<T>(0);
        }
}

template <typename T>
void im2col(Size count, Size h_out, Size w_out, Size h_k, Size w_k, Size stride, Size padding, Size dilation,
            const Size *info, const T *in, T *out) {
    const Image x(info, 4);
    for (Size i = 0; i < count; ++i) {
        const Place tap(i, x.dims[1], h_k, w_k), p(tap.a, h_out, w_out, 1);
        Size h, w;
        const bool inside = under(p.b, tap.c, stride, padding, dilation, x.dims[2], h) &&
                            under(p.c, tap.d, stride, padding, dilation, x.dims[3], w);
        out[i] = inside ? in[x.at(p.a, tap.b, h, w)] : static_cast<T>(0);
    }
}

// The image comes before the filter [out, in, h, w]; transposed it is [in, out, h, w].
template <typename T, bool Transposed>
void convolve(Size w_out, Size h_out, Size stride, Size padding, Size dilation, const Size *info, const T *in,
              const T *filter, T *out) {
    const Image x(info, 4), k(info + 8, 4);
    const Size c_out = k.dims[Transposed ? 1 : 0], c_in = x.dims[1];
    const auto find = Transposed ? reaching : under;
    for (Size i = 0; i < x.dims[0] * c_out * h_out * w_out; ++i) {
        const Place p(i, c_out, h_out, w_out);
        double sum = 0;
        for (Size a = 0; a < k.dims[2]; ++a)
            for (Size b = 0; b < k.dims[3]; ++b) {
                Size h, w;
                if (!find(p.c, a, stride, padding, dilation, x.dims[2], h)) continue;
                if (!find(p.d, b, stride, padding, dilation, x.dims[3], w)) continue;
                for (Size c = 0; c < c_in; ++c) {
                    const Size tap = Transposed ? k.at(c, p.b, a, b) : k.at(p.b, c, a, b);
                    sum += static_cast<double>(in[x.at(p.a, c, h, w)]) * static_cast<double>(filter[tap]);
                }
            }
        out[i] = static_cast<T>(static_cast<Compute<T>>(sum));
    }
}
template <typename T>
void conv2d(Size, Size w_out, Size h_out, Size stride, Size padding, Size dilation, const Size *info, const T *in,
            const T *filter, T *out) {
    convolve<T, false>(w_out, h_out, stride, padding, dilation, info, in, filter, out);
}
template <typename T>
void conv_transpose2d(Size, Size w_out, Size h_out, Size stride, Size padding, Size, Size dilation, const Size *info,
                      const T *in, const T *filter, T *out) {
    convolve<T, true>(w_out, h_out, stride, padding, dilation, info, in, filter, out);
}

// In the pooling and resizing kernels `w` is the third dimension and `h` the fourth.
template <typename T, bool Maximum>
void pool2d(Size, Size w_k, Size h_k, Size w_stride, Size h_stride, const Size *info, const T *in, T *out) {
    const Image x(info, 4);
    const Size w_out = (x.dims[2] - w_k) / w_stride + 1, h_out = (x.dims[3] - h_k) / h_stride + 1;
    for (Size i = 0; i < x.dims[0] * x.dims[1] * w_out * h_out; ++i) {
        const Place p(i, x.dims[1], w_out, h_out);
        Compute<T> best = in[x.at(p.a, p.b, p.c * w_stride, p.d * h_stride)];
        double sum = 0;
        for (Size a = 0; a < w_k; ++a)
            for (Size b = 0; b < h_k; ++b) {
                const Compute<T> value = in[x.at(p.a, p.b, p.c * w_stride + a, p.d * h_stride + b)];
                best = larger(best, value);
                sum += static_cast<double>(value);
            }
        out[i] = static_cast<T>(Maximum ? best : static_cast<Compute<T>>(sum / static_cast<double>(w_k * h_k)));
    }
}

template <typename T>
void upsample_nearest2d(Size w_out, Size h_out, double w_scale, double h_scale, const Size *info, const T *in, T *out) {
    const Image x(info, 4);
    for (Size i = 0; i < x.dims[0] * x.dims[1] * w_out * h_out; ++i) {
        const Place p(i, x.dims[1], w_out, h_out);
        const Size w = std::min(static_cast<Size>(static_cast<double>(p.c) * w_scale), x.dims[2] - 1);
        const Size h = std::min(static_cast<Size>(static_cast<double>(p.d) * h_scale), x.dims[3] - 1);
        out[i] = in[x.at(p.a, p.b, w, h)];
    }
}

#define ADD_ALL(T, suffix)                                     \
    ADD("im2col1d", suffix, im2col1d<T>);                      \
    ADD("im2col", suffix, im2col<T>);                          \
    ADD("conv2d", suffix, conv2d<T>);                          \
    ADD("conv_transpose2d", suffix, conv_transpose2d<T>);      \
    ADD("avg_pool2d", suffix, pool2d<T, false>);               \
    ADD("max_pool2d", suffix, pool2d<T, true>);                \
    ADD("upsample_nearest2d", suffix, upsample_nearest2d<T>);

const bool registered = [] {
    ADD_ALL(float, "f32")
    ADD_ALL(double, "f64")
    ADD_ALL(Bf16, "bf16")
    ADD_ALL(F16, "f16")
    return true;
}();

}  // namespace
}  // namespace emulator
