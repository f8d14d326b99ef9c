// Those of candle's own kernels that our programs reach: elementwise operations, casts, copies, sums, maxima, selections.
// Names and parameters are those of candle-kernels 0.11.1; each function does the work of the whole grid. A kernel
// that is missing here is named when it is asked for.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "launch.h"

namespace emulator {
namespace {

using Size = std::size_t;

// The position in memory of element i of a tensor. No dimensions means: contiguous.
struct Strided {
    Size rank;
    const Size *dims, *strides;
    Strided(Size rank, const Size *info, Size part)
        : rank(rank), dims(info), strides(info == nullptr || contiguous(rank, info, info + part * rank) ? nullptr : info + part * rank) {}
    Size operator()(Size i) const {
        if (strides == nullptr) return i;
        Size offset = 0;
        for (Size d = rank; d-- > 0; i /= dims[d]) offset += i % dims[d] * strides[d];
        return offset;
    }
    static bool contiguous(Size rank, const Size *dims, const Size *strides) {
        Size expected = 1;
        for (Size d = rank; d-- > 0; expected *= dims[d])
            if (dims[d] > 1 && strides[d] != expected) return false;
        return true;
    }
};

template <typename T, typename Op>
void unary(Size count, Size rank, const Size *info, const T *in, T *out) {
    const Strided at(rank, info, 1);
    for (Size i = 0; i < count; ++i) out[i] = Op::of(in != nullptr ? in[at(i)] : out[i]);
}

template <typename T>
void affine(Size count, Size rank, const Size *info, const T *in, T *out, T mul, T add) {
    const Strided at(rank, info, 1);
    for (Size i = 0; i < count; ++i) out[i] = (in != nullptr ? in[at(i)] : out[i]) * mul + add;
}

template <typename T, typename Out, typename Op>
void binary(Size count, Size rank, const Size *info, const T *lhs, const T *rhs, Out *out) {
    const Strided left(rank, info, 1), right(rank, info, 2);
    for (Size i = 0; i < count; ++i) out[i] = static_cast<Out>(Op::of(lhs[left(i)], rhs[right(i)]));
}

template <typename From, typename To>
void cast(Size count, Size rank, const Size *info, const From *in, To *out) {
    const Strided at(rank, info, 1);
    for (Size i = 0; i < count; ++i) out[i] = static_cast<To>(in[at(i)]);
}

template <typename T>
void const_set(Size count, Size rank, const Size *info, T value, T *out) {
    const Strided at(rank, info, 1);
    for (Size i = 0; i < count; ++i) out[at(i)] = value;
}

template <typename T>
void copy2d(const T *in, T *out, uint32_t rows, uint32_t columns, uint32_t in_stride, uint32_t out_stride) {
    for (Size r = 0; r < rows; ++r)
        for (Size c = 0; c < columns; ++c) out[r * out_stride + c] = in[r * in_stride + c];
}

// The reduced dimensions come last: output j covers `each` elements from j * each on.
template <typename T, typename Body>
void reduce(Size outputs, Size each, Size count, Size rank, const Size *info, const T *in, T *out, double start, Body body) {
    const Strided at(rank, info, 1);
    for (Size j = 0; j < outputs; ++j) {
        double total = start;
        for (Size i = j * each; i < std::min((j + 1) * each, count); ++i) total = body(total, static_cast<double>(in[at(i)]));
        out[j] = static_cast<T>(total);
    }
}
double sum(double a, double b) { return a + b; }
double larger(double a, double b) { return std::fmax(a, b); }

template <typename T>
void fast_sum(Size count, Size each, Size rank, const Size *info, const T *in, T *out) {
    reduce(gridDim.x, each, count, rank, info, in, out, 0, sum);
}
// For short sums candle passes the number of outputs instead of that of inputs.
template <typename T>
void fast_sum_small(Size outputs, Size each, Size rank, const Size *info, const T *in, T *out) {
    reduce(outputs, each, outputs * each, rank, info, in, out, 0, sum);
}
template <typename T>
void fast_max(Size count, Size each, Size rank, const Size *info, const T *in, T *out) {
    reduce(gridDim.x, each, count, rank, info, in, out, -INFINITY, larger);
}

template <typename T>
void fast_argmax(Size count, Size each, Size rank, const Size *info, const T *in, uint32_t *out) {
    const Strided at(rank, info, 1);
    for (Size j = 0; j < gridDim.x; ++j) {
        Size best = j * each;
        for (Size i = best + 1; i < std::min((j + 1) * each, count); ++i)
            if (in[at(best)] < in[at(i)]) best = i;
        out[j] = static_cast<uint32_t>(best % info[rank - 1]);
    }
}

// An index beyond the dimension stops a card; here, the program.
template <typename T>
void index_select(Size count, Size rank, const Size *info, const uint32_t *ids, const T *in, T *out, Size, Size size,
                  Size ids_size, Size right) {
    const Strided at(rank, info, 1);
    for (Size i = 0; i < count; ++i) {
        const Size id = ids[i / right % ids_size];
        if (id >= size) std::fprintf(stderr, "emulated card: index %zu of %zu\n", id, size), std::abort();
        out[i] = in[at((i / (ids_size * right) * size + id) * right + i % right)];
    }
}

#define UNARY(name, expression) \
    struct name { template <typename T> static T of(T x) { return expression; } };
UNARY(Copy, x)
UNARY(Neg, -x)
UNARY(Exp, std::exp(x))
UNARY(Log, std::log(x))
UNARY(Abs, std::fabs(x))
UNARY(Sqr, x * x)
UNARY(Sqrt, std::sqrt(x))

#define BINARY(name, expression) \
    struct name { template <typename T> static auto of(T x, T y) { return expression; } };
BINARY(Add, x + y)
BINARY(Sub, x - y)
BINARY(Mul, x * y)
BINARY(Div, x / y)
BINARY(Minimum, std::fmin(x, y))
BINARY(Maximum, std::fmax(x, y))
BINARY(Eq, x == y)
BINARY(Ne, x != y)

// A whole-grid function under its name with the suffix of its element type.
#define ADD(name, suffix, ...) add_kernel(name "_" suffix, &launch_whole<&__VA_ARGS__>)

#define ADD_ANY(T, suffix)                     \
    ADD("ucopy", suffix, unary<T, Copy>);      \
    ADD("const_set", suffix, const_set<T>);    \
    ADD("copy2d", suffix, copy2d<T>);          \
    ADD("is_u32", suffix, index_select<T>);

#define ADD_FLOAT(T, suffix)                         \
    ADD_ANY(T, suffix)                               \
    ADD("uneg", suffix, unary<T, Neg>);              \
    ADD("uexp", suffix, unary<T, Exp>);              \
    ADD("ulog", suffix, unary<T, Log>);              \
    ADD("uabs", suffix, unary<T, Abs>);              \
    ADD("usqr", suffix, unary<T, Sqr>);              \
    ADD("usqrt", suffix, unary<T, Sqrt>);            \
    ADD("affine", suffix, affine<T>);                \
    ADD("badd", suffix, binary<T, T, Add>);          \
    ADD("bsub", suffix, binary<T, T, Sub>);          \
    ADD("bmul", suffix, binary<T, T, Mul>);          \
    ADD("bdiv", suffix, binary<T, T, Div>);          \
    ADD("bminimum", suffix, binary<T, T, Minimum>);  \
    ADD("bmaximum", suffix, binary<T, T, Maximum>);  \
    ADD("eq", suffix, binary<T, uint8_t, Eq>);       \
    ADD("ne", suffix, binary<T, uint8_t, Ne>);       \
    ADD("cast_" suffix, "f32", cast<T, float>);      \
    ADD("cast_" suffix, "f64", cast<T, double>);     \
    ADD("fast_sum", suffix, fast_sum<T>);            \
    ADD("fast_sum_small", suffix, fast_sum_small<T>);\
    ADD("fast_max", suffix, fast_max<T>);            \
    ADD("fast_argmax", suffix, fast_argmax<T>);

const bool registered = [] {
    ADD_FLOAT(float, "f32")
    ADD_FLOAT(double, "f64")
    ADD_ANY(uint8_t, "u8")
    ADD_ANY(uint32_t, "u32")
    ADD_ANY(int64_t, "i64")
    ADD("fast_sum", "u32", fast_sum<uint32_t>);
    ADD("fast_sum_small", "u32", fast_sum_small<uint32_t>);
    ADD("cast_u8", "f32", cast<uint8_t, float>);
    ADD("cast_u8", "f64", cast<uint8_t, double>);
    ADD("cast_u8", "u32", cast<uint8_t, uint32_t>);
    ADD("cast_u8", "i64", cast<uint8_t, int64_t>);
    ADD("cast_u32", "u8", cast<uint32_t, uint8_t>);
    ADD("cast_u32", "i64", cast<uint32_t, int64_t>);
    return true;
}();

}  // namespace
}  // namespace emulator
