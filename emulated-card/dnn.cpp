// cuDNN: descriptors and the three passes of a convolution, summed in double precision.
//
// Tensors have up to three spatial dimensions; fewer are filled up with ones in front. Every pass goes
// over rows of the innermost spatial dimension, where the loop has a fixed step on each side.
#include <cstdint>

#include "card.h"

namespace {

using emulator::parallel_for;

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1001, BAD_PARAM = 2000, NOT_SUPPORTED = 3000 };
enum { FLOAT = 0, DOUBLE = 1 };
enum { NON_DETERMINISTIC = 0, DETERMINISTIC = 1 };
enum { NCHW = 0, NHWC = 1 };

constexpr int SPATIAL = 3, MAX_DIMS = 2 + SPATIAL;
// Every algorithm asks for a little workspace, so that a caller that does not provide it is found.
constexpr std::size_t WORKSPACE = 64;

struct Context {
    void *stream = nullptr;
};

// Outer dimensions (batch or output channels, then channels) and spatial dimensions with strides.
struct Tensor {
    int type = -1;
    int64_t dims[MAX_DIMS] = {}, strides[MAX_DIMS] = {};

    Status set(int data_type, int count, const int *sizes, const int *steps) {
        if (count < 3 || count > MAX_DIMS) return NOT_SUPPORTED;
        type = data_type;
        for (int d = 0; d < MAX_DIMS; ++d) {
            const int from = d < 2 ? d : d - (MAX_DIMS - count);
            const bool given = d < 2 || from >= 2;
            dims[d] = given ? sizes[from] : 1;
            strides[d] = given ? steps[from] : 0;
            if (dims[d] < 1) return BAD_PARAM;
        }
        return SUCCESS;
    }
    Status set_packed(int data_type, int format, int count, const int *sizes) {
        if (count < 3 || count > MAX_DIMS || (format != NCHW && format != NHWC)) return NOT_SUPPORTED;
        int steps[MAX_DIMS], step = 1;
        if (format == NHWC) steps[1] = 1, step = sizes[1];
        for (int d = count - 1; d >= 0; --d)
            if (format == NCHW || d != 1) steps[d] = step, step *= sizes[d];
        return set(data_type, count, sizes, steps);
    }
};

struct Convolution {
    int64_t pad[SPATIAL] = {}, stride[SPATIAL] = {1, 1, 1}, dilation[SPATIAL] = {1, 1, 1};
    int64_t groups = 1;
    int math = 0, compute = FLOAT;
    bool flip = false;

    Status set(int count, const int *pads, const int *steps, const int *gaps, int mode, int type) {
        if (count < 1 || count > SPATIAL) return NOT_SUPPORTED;
        for (int d = 0; d < SPATIAL; ++d) {
            const int from = d - (SPATIAL - count);
            pad[d] = from < 0 ? 0 : pads[from];
            stride[d] = from < 0 ? 1 : steps[from];
            dilation[d] = from < 0 ? 1 : gaps[from];
            if (pad[d] < 0 || stride[d] < 1 || dilation[d] < 1) return BAD_PARAM;
        }
        flip = mode == 0;
        compute = type;
        return SUCCESS;
    }
    int64_t output(int64_t input, int64_t taps, int d) const {
        return (input + 2 * pad[d] - dilation[d] * (taps - 1) - 1) / stride[d] + 1;
    }
};

int64_t ceil_div(int64_t a, int64_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

// x [n, c, spatial], w [k, c / groups, spatial], y [n, k, spatial].
struct Problem {
    const Tensor &x, &w, &y;
    const Convolution &conv;

    Status check() const {
        const bool types = x.type == w.type && x.type == y.type;
        if (!types || (x.type != FLOAT && x.type != DOUBLE) || conv.compute != x.type) return NOT_SUPPORTED;
        bool fits = conv.groups > 0 && x.dims[0] == y.dims[0] && x.dims[1] == w.dims[1] * conv.groups &&
                    y.dims[1] == w.dims[0] && w.dims[0] % conv.groups == 0;
        for (int d = 0; d < SPATIAL; ++d)
            fits = fits && y.dims[2 + d] == conv.output(x.dims[2 + d], w.dims[2 + d], d);
        return fits ? SUCCESS : BAD_PARAM;
    }
    double work() const {
        double product = 1.0 * x.dims[0] * y.dims[1] * w.dims[1];
        for (int d = 2; d < MAX_DIMS; ++d) product *= y.dims[d] * w.dims[d];
        return product;
    }
    int64_t taps() const { return w.dims[2] * w.dims[3] * w.dims[4]; }
    int64_t tap_offset(int64_t tap) const {
        const int64_t at[SPATIAL] = {tap / (w.dims[3] * w.dims[4]), tap / w.dims[4] % w.dims[3], tap % w.dims[4]};
        return at[0] * w.strides[2] + at[1] * w.strides[3] + at[2] * w.strides[4];
    }

    // For one tap of the filter, the rows of output pixels that it joins to input pixels: calls
    // body(first output pixel, first input pixel, count), pixels as positions in a packed plane.
    template <typename Body>
    void rows(int64_t tap, Body body) const {
        int64_t at[SPATIAL] = {tap / (w.dims[3] * w.dims[4]), tap / w.dims[4] % w.dims[3], tap % w.dims[4]};
        int64_t shift[SPATIAL], first[SPATIAL], end[SPATIAL];
        for (int d = 0; d < SPATIAL; ++d) {
            if (conv.flip) at[d] = w.dims[2 + d] - 1 - at[d];
            shift[d] = at[d] * conv.dilation[d] - conv.pad[d];
            first[d] = ceil_div(-shift[d], conv.stride[d]);
            end[d] = std::min(y.dims[2 + d], ceil_div(x.dims[2 + d] - shift[d], conv.stride[d]));
        }
        if (first[2] >= end[2]) return;
        for (int64_t i = first[0]; i < end[0]; ++i)
            for (int64_t j = first[1]; j < end[1]; ++j) {
                const int64_t in[SPATIAL] = {i * conv.stride[0] + shift[0], j * conv.stride[1] + shift[1],
                                             first[2] * conv.stride[2] + shift[2]};
                body((i * y.dims[3] + j) * y.dims[4] + first[2], (in[0] * x.dims[3] + in[1]) * x.dims[4] + in[2],
                     end[2] - first[2]);
            }
    }
};

int64_t plane_size(const Tensor &t) { return t.dims[2] * t.dims[3] * t.dims[4]; }

// Copies one plane out of a tensor, or puts it back: target = alpha plane + beta target.
template <typename T, typename Body>
void over_plane(const Tensor &t, T *data, int64_t a, int64_t b, Body body) {
    T *plane = data + a * t.strides[0] + b * t.strides[1];
    int64_t at = 0;
    for (int64_t i = 0; i < t.dims[2]; ++i)
        for (int64_t j = 0; j < t.dims[3]; ++j)
            for (int64_t k = 0; k < t.dims[4]; ++k)
                body(plane[i * t.strides[2] + j * t.strides[3] + k * t.strides[4]], at++);
}
template <typename T>
std::vector<double> load_plane(const Tensor &t, const T *data, int64_t a, int64_t b) {
    std::vector<double> plane(static_cast<std::size_t>(plane_size(t)));
    over_plane(t, data, a, b, [&](const T &value, int64_t at) { plane[at] = value; });
    return plane;
}
template <typename T>
void store(T &target, double value, double alpha, double beta) {
    target = static_cast<T>(alpha * value + (beta == 0 ? 0.0 : beta * target));
}
template <typename T>
void store_plane(const Tensor &t, T *data, int64_t a, int64_t b, const std::vector<double> &plane, double alpha,
                 double beta) {
    over_plane(t, data, a, b, [&](T &target, int64_t at) { store(target, plane[at], alpha, beta); });
}

template <typename T>
void forward(const Problem &p, double alpha, const T *x, const T *w, double beta, T *y) {
    const int64_t outs = p.y.dims[1], channels = p.w.dims[1], outs_per_group = outs / p.conv.groups;
    parallel_for(static_cast<std::size_t>(p.y.dims[0] * outs), p.work(), [&](std::size_t index) {
        const int64_t n = static_cast<int64_t>(index) / outs, k = static_cast<int64_t>(index) % outs;
        std::vector<double> sums(static_cast<std::size_t>(plane_size(p.y)));
        for (int64_t c = 0; c < channels; ++c) {
            const auto plane = load_plane(p.x, x, n, k / outs_per_group * channels + c);
            for (int64_t tap = 0; tap < p.taps(); ++tap) {
                const double factor = w[k * p.w.strides[0] + c * p.w.strides[1] + p.tap_offset(tap)];
                p.rows(tap, [&](int64_t out, int64_t in, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) sums[out + i] += factor * plane[in + i * p.conv.stride[2]];
                });
            }
        }
        store_plane(p.y, y, n, k, sums, alpha, beta);
    });
}

template <typename T>
void backward_data(const Problem &p, double alpha, const T *w, const T *dy, double beta, T *dx) {
    const int64_t ins = p.x.dims[1], channels = p.w.dims[1], outs_per_group = p.y.dims[1] / p.conv.groups;
    parallel_for(static_cast<std::size_t>(p.x.dims[0] * ins), p.work(), [&](std::size_t index) {
        const int64_t n = static_cast<int64_t>(index) / ins, in_channel = static_cast<int64_t>(index) % ins;
        const int64_t group = in_channel / channels, c = in_channel % channels;
        std::vector<double> sums(static_cast<std::size_t>(plane_size(p.x)));
        for (int64_t k = group * outs_per_group; k < (group + 1) * outs_per_group; ++k) {
            const auto plane = load_plane(p.y, dy, n, k);
            for (int64_t tap = 0; tap < p.taps(); ++tap) {
                const double factor = w[k * p.w.strides[0] + c * p.w.strides[1] + p.tap_offset(tap)];
                p.rows(tap, [&](int64_t out, int64_t in, int64_t count) {
                    for (int64_t i = 0; i < count; ++i) sums[in + i * p.conv.stride[2]] += factor * plane[out + i];
                });
            }
        }
        store_plane(p.x, dx, n, in_channel, sums, alpha, beta);
    });
}

template <typename T>
void backward_filter(const Problem &p, double alpha, const T *x, const T *dy, double beta, T *dw) {
    const int64_t channels = p.w.dims[1], outs_per_group = p.y.dims[1] / p.conv.groups;
    parallel_for(static_cast<std::size_t>(p.w.dims[0] * channels), p.work(), [&](std::size_t index) {
        const int64_t k = static_cast<int64_t>(index) / channels, c = static_cast<int64_t>(index) % channels;
        std::vector<double> sums(static_cast<std::size_t>(p.taps()));
        for (int64_t n = 0; n < p.x.dims[0]; ++n) {
            const auto input = load_plane(p.x, x, n, k / outs_per_group * channels + c);
            const auto gradient = load_plane(p.y, dy, n, k);
            for (int64_t tap = 0; tap < p.taps(); ++tap)
                p.rows(tap, [&](int64_t out, int64_t in, int64_t count) {
                    for (int64_t i = 0; i < count; ++i)
                        sums[tap] += gradient[out + i] * input[in + i * p.conv.stride[2]];
                });
        }
        for (int64_t tap = 0; tap < p.taps(); ++tap)
            store(dw[k * p.w.strides[0] + c * p.w.strides[1] + p.tap_offset(tap)], sums[tap], alpha, beta);
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

std::size_t cudnnGetVersion() { return 91000; }
std::size_t cudnnGetCudartVersion() { return 13000; }
const char *cudnnGetErrorString(int status) { return status == SUCCESS ? "CUDNN_STATUS_SUCCESS" : "emulated cuDNN: error"; }
Status cudnnOpsVersionCheck() { return SUCCESS; }
Status cudnnCnnVersionCheck() { return SUCCESS; }
Status cudnnAdvVersionCheck() { return SUCCESS; }

Status cudnnCreate(Context **handle) {
    if (!emulator::card_enabled()) return NOT_INITIALIZED;
    return *handle = new Context(), SUCCESS;
}
Status cudnnDestroy(Context *handle) { return delete handle, SUCCESS; }
Status cudnnSetStream(Context *handle, void *stream) { return handle->stream = stream, SUCCESS; }
Status cudnnGetStream(Context *handle, void **stream) { return *stream = handle->stream, SUCCESS; }

Status cudnnCreateTensorDescriptor(Tensor **tensor) { return *tensor = new Tensor(), SUCCESS; }
Status cudnnDestroyTensorDescriptor(Tensor *tensor) { return delete tensor, SUCCESS; }
Status cudnnSetTensor4dDescriptor(Tensor *tensor, int format, int type, int n, int c, int h, int w) {
    const int dims[] = {n, c, h, w};
    return tensor->set_packed(type, format, 4, dims);
}
Status cudnnSetTensor4dDescriptorEx(Tensor *tensor, int type, int n, int c, int h, int w, int n_step, int c_step,
                                    int h_step, int w_step) {
    const int dims[] = {n, c, h, w}, steps[] = {n_step, c_step, h_step, w_step};
    return tensor->set(type, 4, dims, steps);
}
Status cudnnSetTensorNdDescriptor(Tensor *tensor, int type, int count, const int *dims, const int *steps) {
    return tensor->set(type, count, dims, steps);
}
Status cudnnSetTensorNdDescriptorEx(Tensor *tensor, int format, int type, int count, const int *dims) {
    return tensor->set_packed(type, format, count, dims);
}

Status cudnnCreateFilterDescriptor(Tensor **filter) { return cudnnCreateTensorDescriptor(filter); }
Status cudnnDestroyFilterDescriptor(Tensor *filter) { return cudnnDestroyTensorDescriptor(filter); }
Status cudnnSetFilter4dDescriptor(Tensor *filter, int type, int format, int k, int c, int h, int w) {
    return cudnnSetTensor4dDescriptor(filter, format, type, k, c, h, w);
}
Status cudnnSetFilterNdDescriptor(Tensor *filter, int type, int format, int count, const int *dims) {
    return filter->set_packed(type, format, count, dims);
}

Status cudnnCreateConvolutionDescriptor(Convolution **conv) { return *conv = new Convolution(), SUCCESS; }
Status cudnnDestroyConvolutionDescriptor(Convolution *conv) { return delete conv, SUCCESS; }
Status cudnnSetConvolution2dDescriptor(Convolution *conv, int pad_h, int pad_w, int stride_h, int stride_w,
                                       int dilation_h, int dilation_w, int mode, int type) {
    const int pads[] = {pad_h, pad_w}, strides[] = {stride_h, stride_w}, dilations[] = {dilation_h, dilation_w};
    return conv->set(2, pads, strides, dilations, mode, type);
}
Status cudnnSetConvolutionNdDescriptor(Convolution *conv, int count, const int *pads, const int *strides,
                                       const int *dilations, int mode, int type) {
    return conv->set(count, pads, strides, dilations, mode, type);
}
Status cudnnSetConvolutionMathType(Convolution *conv, int math) { return conv->math = math, SUCCESS; }
Status cudnnGetConvolutionMathType(Convolution *conv, int *math) { return *math = conv->math, SUCCESS; }
Status cudnnSetConvolutionGroupCount(Convolution *conv, int groups) { return conv->groups = groups, SUCCESS; }
Status cudnnGetConvolutionGroupCount(Convolution *conv, int *groups) {
    return *groups = static_cast<int>(conv->groups), SUCCESS;
}
Status cudnnGetConvolution2dForwardOutputDim(Convolution *conv, Tensor *x, Tensor *w, int *n, int *k, int *h, int *v) {
    *n = static_cast<int>(x->dims[0]), *k = static_cast<int>(w->dims[0]);
    *h = static_cast<int>(conv->output(x->dims[3], w->dims[3], 1));
    return *v = static_cast<int>(conv->output(x->dims[4], w->dims[4], 2)), SUCCESS;
}

Status cudnnGetConvolutionForwardAlgorithmMaxCount(Context *, int *count) { return *count = 2, SUCCESS; }
Status cudnnGetConvolutionBackwardDataAlgorithmMaxCount(Context *, int *count) { return *count = 2, SUCCESS; }
Status cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(Context *, int *count) { return *count = 2, SUCCESS; }
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
