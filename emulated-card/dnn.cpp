// cuDNN: descriptors and the three passes of a two-dimensional convolution on packed NCHW maps, summed in double precision.
//
// Every pass goes over rows of pixels, along which input and output advance by fixed steps.
#include <cstdint>

#include "card.h"

namespace {

using emulator::parallel_for;

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1001, BAD_PARAM = 2000, NOT_SUPPORTED = 3000 };
enum { FLOAT = 0, DOUBLE = 1 };
enum { NON_DETERMINISTIC = 0, DETERMINISTIC = 1 };
enum { NCHW = 0 };
enum { CROSS_CORRELATION = 1 };

// Every algorithm asks for a little workspace, so that a caller that does not provide it is found.
constexpr std::size_t WORKSPACE = 64;

struct Context {
    void *stream = nullptr;
};

// Maps [n, c, h, w] or kernels [k, c, h, w].
struct Tensor {
    int type = -1;
    int64_t n = 0, c = 0, h = 0, w = 0;

    int64_t plane() const { return h * w; }
    // Where plane (a, b) begins.
    int64_t at(int64_t a, int64_t b) const { return (a * c + b) * plane(); }
};

struct Convolution {
    int64_t pad[2] = {}, stride[2] = {1, 1}, dilation[2] = {1, 1};
    int math = 0, compute = FLOAT;

    int64_t output(int64_t input, int64_t taps, int d) const {
        return (input + 2 * pad[d] - dilation[d] * (taps - 1) - 1) / stride[d] + 1;
    }
};

int64_t ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

// x [n, c, h, w], w [k, c, kh, kw], y [n, k, oh, ow].
struct Problem {
    const Tensor &x, &w, &y;
    const Convolution &conv;

    Status check() const {
        const bool types = x.type == w.type && x.type == y.type;
        if (!types || (x.type != FLOAT && x.type != DOUBLE) || conv.compute != x.type) return NOT_SUPPORTED;
        const bool fits = x.n == y.n && x.c == w.c && y.c == w.n && y.h == conv.output(x.h, w.h, 0) && y.w == conv.output(x.w, w.w, 1);
        return fits ? SUCCESS : BAD_PARAM;
    }
    double work() const { return 1.0 * x.n * y.c * w.c * y.plane() * w.plane(); }

    // For one tap of the kernel, the rows of output pixels that it connects with input pixels: calls
    // body(first output pixel, first input pixel, count), pixels as positions in a plane.
    template <typename Body>
    void rows(int64_t tap, Body body) const {
        const int64_t at[] = {tap / w.w, tap % w.w}, in[] = {x.h, x.w}, out[] = {y.h, y.w};
        int64_t shift[2], first[2], end[2];
        for (int d = 0; d < 2; ++d) {
            shift[d] = at[d] * conv.dilation[d] - conv.pad[d];
            first[d] = ceil_div(-shift[d], conv.stride[d]);
            end[d] = std::min(out[d], ceil_div(in[d] - shift[d], conv.stride[d]));
        }
        if (first[1] >= end[1]) return;
        for (int64_t i = first[0]; i < end[0]; ++i)
            body(i * y.w + first[1], (i * conv.stride[0] + shift[0]) * x.w + first[1] * conv.stride[1] + shift[1], end[1] - first[1]);
    }
};

using Sums = std::vector<double>;

// target = alpha sums + beta target; a beta of zero does not read the target.
template <typename T>
void store(T *target, const Sums &sums, double alpha, double beta) {
    for (const double sum : sums) {
        *target = static_cast<T>(alpha * sum + (beta == 0 ? 0.0 : beta * *target));
        ++target;
    }
}

template <typename T>
void forward(const Problem &p, double alpha, const T *x, const T *w, double beta, T *y) {
    parallel_for(static_cast<std::size_t>(p.y.n * p.y.c), p.work(), [&](std::size_t index) {
        const int64_t n = static_cast<int64_t>(index) / p.y.c, k = static_cast<int64_t>(index) % p.y.c, step = p.conv.stride[1];
        Sums sums(static_cast<std::size_t>(p.y.plane()));
        for (int64_t c = 0; c < p.x.c; ++c) {
            const T *plane = x + p.x.at(n, c), *taps = w + p.w.at(k, c);
            for (int64_t tap = 0; tap < p.w.plane(); ++tap)
                p.rows(tap, [&](int64_t out, int64_t in, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) sums[out + i] += 1.0 * taps[tap] * plane[in + i * step];
                });
        }
        store(y + p.y.at(n, k), sums, alpha, beta);
    });
}

template <typename T>
void backward_data(const Problem &p, double alpha, const T *w, const T *dy, double beta, T *dx) {
    parallel_for(static_cast<std::size_t>(p.x.n * p.x.c), p.work(), [&](std::size_t index) {
        const int64_t n = static_cast<int64_t>(index) / p.x.c, c = static_cast<int64_t>(index) % p.x.c, step = p.conv.stride[1];
        Sums sums(static_cast<std::size_t>(p.x.plane()));
        for (int64_t k = 0; k < p.y.c; ++k) {
            const T *plane = dy + p.y.at(n, k), *taps = w + p.w.at(k, c);
            for (int64_t tap = 0; tap < p.w.plane(); ++tap)
                p.rows(tap, [&](int64_t out, int64_t in, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) sums[in + i * step] += 1.0 * taps[tap] * plane[out + i];
                });
        }
        store(dx + p.x.at(n, c), sums, alpha, beta);
    });
}

template <typename T>
void backward_filter(const Problem &p, double alpha, const T *x, const T *dy, double beta, T *dw) {
    parallel_for(static_cast<std::size_t>(p.w.n * p.w.c), p.work(), [&](std::size_t index) {
        const int64_t k = static_cast<int64_t>(index) / p.w.c, c = static_cast<int64_t>(index) % p.w.c, step = p.conv.stride[1];
        Sums sums(static_cast<std::size_t>(p.w.plane()));
        for (int64_t n = 0; n < p.x.n; ++n) {
            const T *input = x + p.x.at(n, c), *gradient = dy + p.y.at(n, k);
            for (int64_t tap = 0; tap < p.w.plane(); ++tap)
                p.rows(tap, [&](int64_t out, int64_t in, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) sums[tap] += 1.0 * gradient[out + i] * input[in + i * step];
                });
        }
        store(dw + p.w.at(k, c), sums, alpha, beta);
    });
}

// Checks the problem and the workspace, then calls the pass for the type: double scales for double.
template <typename Pass>
Status convolve(const Problem &p, const void *alpha, const void *beta, const void *workspace, std::size_t bytes,
                int algorithm, int algorithms, Pass pass) {
    if (const Status status = p.check()) return status;
    if (algorithm < 0 || algorithm >= algorithms) return NOT_SUPPORTED;
    if (workspace == nullptr || bytes < WORKSPACE) return BAD_PARAM;
    if (p.x.type == DOUBLE) pass(double(), *static_cast<const double *>(alpha), *static_cast<const double *>(beta));
    else pass(float(), *static_cast<const float *>(alpha), *static_cast<const float *>(beta));
    return SUCCESS;
}

struct Performance {
    int algorithm, status;
    float time;
    std::size_t memory;
    int determinism, math, reserved[3];
};

// Algorithms 0 and 1. For the backward passes 0 is the one that a card does not repeat exactly.
Status algorithms(const Problem &p, int first_determinism, int requested, int *returned, Performance *results) {
    if (const Status status = p.check()) return status;
    if (requested < 1) return BAD_PARAM;
    *returned = std::min(requested, 2);
    for (int i = 0; i < *returned; ++i)
        results[i] = {i, SUCCESS, 1.0f + i, WORKSPACE, i == 0 ? first_determinism : DETERMINISTIC, p.conv.math, {}};
    return SUCCESS;
}

Status workspace(const Problem &p, std::size_t *bytes) { return *bytes = WORKSPACE, p.check(); }

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() { return 91200; }  // 9.12.0
Status cudnnCreate(Context **handle) {
    if (!emulator::card_enabled()) return NOT_INITIALIZED;
    return *handle = new Context(), SUCCESS;
}
Status cudnnDestroy(Context *handle) { return delete handle, SUCCESS; }
Status cudnnSetStream(Context *handle, void *stream) { return handle->stream = stream, SUCCESS; }
Status cudnnCreateTensorDescriptor(Tensor **tensor) { return *tensor = new Tensor(), SUCCESS; }
Status cudnnDestroyTensorDescriptor(Tensor *tensor) { return delete tensor, SUCCESS; }
Status cudnnSetTensor4dDescriptor(Tensor *tensor, int format, int type, int n, int c, int h, int w) {
    if (format != NCHW) return NOT_SUPPORTED;
    if (n < 1 || c < 1 || h < 1 || w < 1) return BAD_PARAM;
    *tensor = {type, n, c, h, w};
    return SUCCESS;
}

Status cudnnCreateFilterDescriptor(Tensor **filter) { return cudnnCreateTensorDescriptor(filter); }
Status cudnnDestroyFilterDescriptor(Tensor *filter) { return cudnnDestroyTensorDescriptor(filter); }
Status cudnnSetFilter4dDescriptor(Tensor *filter, int type, int format, int k, int c, int h, int w) {
    return cudnnSetTensor4dDescriptor(filter, format, type, k, c, h, w);
}
Status cudnnCreateConvolutionDescriptor(Convolution **conv) { return *conv = new Convolution(), SUCCESS; }
Status cudnnDestroyConvolutionDescriptor(Convolution *conv) { return delete conv, SUCCESS; }
Status cudnnSetConvolution2dDescriptor(Convolution *conv, int pad_h, int pad_w, int stride_h, int stride_w,
                                       int dilation_h, int dilation_w, int mode, int type) {
    if (mode != CROSS_CORRELATION) return NOT_SUPPORTED;
    if (pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h < 1 || dilation_w < 1) return BAD_PARAM;
    *conv = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, conv->math, type};
    return SUCCESS;
}
Status cudnnSetConvolutionMathType(Convolution *conv, int math) { return conv->math = math, SUCCESS; }

Status cudnnGetConvolutionForwardAlgorithm_v7(Context *, Tensor *x, Tensor *w, Convolution *conv, Tensor *y,
                                              int requested, int *returned, Performance *results) {
    return algorithms({*x, *w, *y, *conv}, DETERMINISTIC, requested, returned, results);
}
Status cudnnGetConvolutionBackwardDataAlgorithm_v7(Context *, Tensor *w, Tensor *dy, Convolution *conv, Tensor *dx,
                                                   int requested, int *returned, Performance *results) {
    return algorithms({*dx, *w, *dy, *conv}, NON_DETERMINISTIC, requested, returned, results);
}
Status cudnnGetConvolutionBackwardFilterAlgorithm_v7(Context *, Tensor *x, Tensor *dy, Convolution *conv, Tensor *dw,
                                                     int requested, int *returned, Performance *results) {
    return algorithms({*x, *dw, *dy, *conv}, NON_DETERMINISTIC, requested, returned, results);
}
Status cudnnGetConvolutionForwardWorkspaceSize(Context *, Tensor *x, Tensor *w, Convolution *conv, Tensor *y, int,
                                               std::size_t *bytes) {
    return workspace({*x, *w, *y, *conv}, bytes);
}
Status cudnnGetConvolutionBackwardDataWorkspaceSize(Context *, Tensor *w, Tensor *dy, Convolution *conv, Tensor *dx,
                                                    int, std::size_t *bytes) {
    return workspace({*dx, *w, *dy, *conv}, bytes);
}
Status cudnnGetConvolutionBackwardFilterWorkspaceSize(Context *, Tensor *x, Tensor *dy, Convolution *conv, Tensor *dw,
                                                      int, std::size_t *bytes) {
    return workspace({*x, *dw, *dy, *conv}, bytes);
}

Status cudnnConvolutionForward(Context *, const void *alpha, Tensor *x_desc, const void *x, Tensor *w_desc,
                               const void *w, Convolution *conv, int algorithm, void *work, std::size_t bytes,
                               const void *beta, Tensor *y_desc, void *y) {
    const Problem p{*x_desc, *w_desc, *y_desc, *conv};
    return convolve(p, alpha, beta, work, bytes, algorithm, 8, [&](auto zero, double a, double b) {
        using T = decltype(zero);
        forward(p, a, static_cast<const T *>(x), static_cast<const T *>(w), b, static_cast<T *>(y));
    });
}
Status cudnnConvolutionBackwardData(Context *, const void *alpha, Tensor *w_desc, const void *w, Tensor *dy_desc,
                                    const void *dy, Convolution *conv, int algorithm, void *work, std::size_t bytes,
                                    const void *beta, Tensor *dx_desc, void *dx) {
    const Problem p{*dx_desc, *w_desc, *dy_desc, *conv};
    return convolve(p, alpha, beta, work, bytes, algorithm, 6, [&](auto zero, double a, double b) {
        using T = decltype(zero);
        backward_data(p, a, static_cast<const T *>(w), static_cast<const T *>(dy), b, static_cast<T *>(dx));
    });
}
Status cudnnConvolutionBackwardFilter(Context *, const void *alpha, Tensor *x_desc, const void *x, Tensor *dy_desc,
                                      const void *dy, Convolution *conv, int algorithm, void *work, std::size_t bytes,
                                      const void *beta, Tensor *dw_desc, void *dw) {
    const Problem p{*x_desc, *dw_desc, *dy_desc, *conv};
    return convolve(p, alpha, beta, work, bytes, algorithm, 7, [&](auto zero, double a, double b) {
        using T = decltype(zero);
        backward_filter(p, a, static_cast<const T *>(x), static_cast<const T *>(dy), b, static_cast<T *>(dw));
    });
}

}  // extern "C"
