// candle's kernels that are not elementwise: reductions, sorting, softmax and norms, indexing.
// Names and parameters are those of candle-kernels 0.11.1; each function does the whole grid.
#include <algorithm>
#include <numeric>
#include <vector>

#include "candle.h"

namespace emulator {
namespace {

// The reduced dimensions come last: output j covers `each` elements from j * each on.
template <typename T, typename Out, typename Body>
void reduce(Size outputs, Size each, Size count, Size rank, const Size *info, const T *in, Out *out, Body body) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size j = 0; j < outputs; ++j) {
        const Size begin = j * each, end = std::min(begin + each, count);
        out[j] = static_cast<Out>(body(begin, end, [&](Size i) { return static_cast<Compute<T>>(in[at(i)]); }));
    }
}

template <typename T>
void sum_of(Size outputs, Size each, Size count, Size rank, const Size *info, const T *in, T *out) {
    reduce(outputs, each, count, rank, info, in, out, [](Size begin, Size end, auto element) {
        Accumulate<Compute<T>> sum = 0;
        for (Size i = begin; i < end; ++i) sum += element(i);
        return static_cast<Compute<T>>(sum);
    });
}

template <typename T>
void fast_sum(Size count, Size each, Size rank, const Size *info, const T *in, T *out) {
    sum_of(gridDim.x, each, count, rank, info, in, out);
}

// For short sums candle passes the number of outputs instead of that of inputs.
template <typename T>
void fast_sum_small(Size outputs, Size each, Size rank, const Size *info, const T *in, T *out) {
    sum_of(outputs, each, outputs * each, rank, info, in, out);
}

template <typename T, bool Maximum>
void fast_extreme(Size count, Size each, Size rank, const Size *info, const T *in, T *out) {
    using C = Compute<T>;
    using Limits = std::numeric_limits<C>;
    const C highest = std::is_integral_v<C> ? Limits::max() : Limits::infinity();
    const C lowest = std::is_integral_v<C> ? Limits::lowest() : -Limits::infinity();
    reduce(gridDim.x, each, count, rank, info, in, out, [&](Size begin, Size end, auto element) {
        C best = Maximum ? lowest : highest;
        for (Size i = begin; i < end; ++i) best = Maximum ? larger(best, element(i)) : smaller(best, element(i));
        return best;
    });
}

template <typename T, bool Maximum>
void fast_arg(Size count, Size each, Size rank, const Size *info, const T *in, uint32_t *out) {
    reduce(gridDim.x, each, count, rank, info, in, out, [&](Size begin, Size end, auto element) {
        Size best = begin;
        for (Size i = begin + 1; i < end; ++i)
            if (Maximum ? element(best) < element(i) : element(i) < element(best)) best = i;
        return best % info[rank - 1];
    });
}

template <typename T, bool Ascending>
void asort(const T *in, uint32_t *out, int columns, int) {
    for (Size row = 0; row < gridDim.x; ++row) {
        const T *x = in + row * columns;
        uint32_t *order = out + row * columns;
        std::iota(order, order + columns, 0u);
        std::stable_sort(order, order + columns, [&](uint32_t a, uint32_t b) {
            const Compute<T> left = x[a], right = x[b];
            return Ascending ? left < right : right < left;
        });
    }
}

template <typename T>
void softmax(const T *in, T *out, int columns) {
    using C = Compute<T>;
    for (Size row = 0; row < static_cast<Size>(gridDim.x) * blockDim.x; ++row) {
        const T *x = in + row * columns;
        T *y = out + row * columns;
        C top = -std::numeric_limits<C>::infinity();
        for (int i = 0; i < columns; ++i) top = larger(top, static_cast<C>(x[i]));
        double sum = 0;
        for (int i = 0; i < columns; ++i) sum += std::exp(static_cast<C>(x[i]) - top);
        for (int i = 0; i < columns; ++i)
            y[i] = static_cast<T>(static_cast<C>(std::exp(static_cast<C>(x[i]) - top) / sum));
    }
}

// Both norms compute in double here; the card uses float even for f64.
template <typename T>
void normalize(const T *in, T *out, const T *scale, const T *shift, int columns, float eps, bool centre) {
    using C = Compute<T>;
    for (Size row = 0; row < static_cast<Size>(gridDim.x) * blockDim.y; ++row) {
        const T *x = in + row * columns;
        double mean = 0, square = 0;
        for (int i = 0; i < columns; ++i) mean += static_cast<C>(x[i]);
        mean = centre ? mean / columns : 0;
        for (int i = 0; i < columns; ++i) square += std::pow(static_cast<C>(x[i]) - mean, 2);
        const double factor = 1 / std::sqrt(square / columns + eps);
        for (int i = 0; i < columns; ++i) {
            double y = (static_cast<C>(x[i]) - mean) * factor;
            if (scale != nullptr) y *= static_cast<C>(scale[i]);
            if (shift != nullptr) y += static_cast<C>(shift[i]);
            out[row * columns + i] = static_cast<T>(static_cast<C>(y));
        }
    }
}
template <typename T>
void layernorm(const T *in, T *out, const T *scale, const T *shift, int columns, int, float eps) {
    normalize(in, out, scale, shift, columns, eps, true);
}
template <typename T>
void rmsnorm(const T *in, T *out, const T *scale, int columns, int, float eps) {
    normalize<T>(in, out, scale, nullptr, columns, eps, false);
}

// An index at the top of its type means "none"; one beyond the dimension fails an assertion.
template <typename Id>
bool skipped(Id id, Size size) {
    if (id == std::numeric_limits<Id>::max()) return true;
    if (static_cast<Size>(id) >= size) throw DeviceAssert();
    return false;
}

template <typename T, typename Id>
void index_select(Size count, Size rank, const Size *info, const Id *ids, const T *in, T *out, Size, Size size,
                  Size ids_size, Size right) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size i = 0; i < count; ++i) {
        const Id id = ids[i / right % ids_size];
        const Size source = (i / (ids_size * right) * size + static_cast<Size>(id)) * right + i % right;
        out[i] = skipped(id, size) ? static_cast<T>(0) : in[at(source)];
    }
}

template <typename T, typename Id>
void gather(Size count, const Id *ids, const T *in, T *out, Size, Size size, Size ids_size, Size right) {
    for (Size i = 0; i < count; ++i) {
        const Size source = (i / (right * ids_size) * size + static_cast<Size>(ids[i])) * right + i % right;
        out[i] = skipped(ids[i], size) ? static_cast<T>(0) : in[source];
    }
}

template <typename T>
T sum(T a, T b) { return static_cast<T>(static_cast<Compute<T>>(a) + static_cast<Compute<T>>(b)); }

// `ids` holds one index for each slice along the dimension.
template <typename T, typename Id>
void index_add(const Id *ids, Size ids_size, const T *in, T *out, Size left, Size, Size size, Size right) {
    for (Size l = 0; l < left; ++l)
        for (Size j = 0; j < ids_size; ++j) {
            if (skipped(ids[j], size)) continue;
            for (Size r = 0; r < right; ++r) {
                T &target = out[(l * size + static_cast<Size>(ids[j])) * right + r];
                target = sum(target, in[(l * ids_size + j) * right + r]);
            }
        }
}

// `ids` holds one index for each element.
template <typename T, typename Id, bool Add>
void scatter(const Id *ids, const T *in, T *out, Size left, Size in_size, Size size, Size right) {
    for (Size l = 0; l < left; ++l)
        for (Size j = 0; j < in_size; ++j)
            for (Size r = 0; r < right; ++r) {
                const Size source = (l * in_size + j) * right + r;
                if (skipped(ids[source], size)) continue;
                T &target = out[(l * size + static_cast<Size>(ids[source])) * right + r];
                target = Add ? sum(target, in[source]) : in[source];
            }
}

#define ADD_INDEX(T, suffix, Id, id)                     \
    ADD("is_" id, suffix, index_select<T, Id>);          \
    ADD("gather_" id, suffix, gather<T, Id>);            \
    ADD("ia_" id, suffix, index_add<T, Id>);             \
    ADD("s_" id, suffix, scatter<T, Id, false>);         \
    ADD("sa_" id, suffix, scatter<T, Id, true>);

#define ADD_COMMON(T, suffix)                            \
    ADD("fast_sum", suffix, fast_sum<T>);                \
    ADD("fast_sum_small", suffix, fast_sum_small<T>);    \
    ADD("fast_min", suffix, fast_extreme<T, false>);     \
    ADD("fast_max", suffix, fast_extreme<T, true>);      \
    ADD("fast_argmin", suffix, fast_arg<T, false>);      \
    ADD("fast_argmax", suffix, fast_arg<T, true>);       \
    ADD("asort_asc", suffix, asort<T, true>);            \
    ADD("asort_desc", suffix, asort<T, false>);          \
    ADD_INDEX(T, suffix, uint8_t, "u8")                  \
    ADD_INDEX(T, suffix, uint32_t, "u32")                \
    ADD_INDEX(T, suffix, int64_t, "i64")

#define ADD_FLOAT(T, suffix)                             \
    ADD_COMMON(T, suffix)                                \
    ADD("softmax", suffix, softmax<T>);                  \
    ADD("layernorm", suffix, layernorm<T>);              \
    ADD("rmsnorm", suffix, rmsnorm<T>);

const bool registered = [] {
    ADD_FLOAT(float, "f32")
    ADD_FLOAT(double, "f64")
    ADD_FLOAT(Bf16, "bf16")
    ADD_FLOAT(F16, "f16")
    ADD_COMMON(uint8_t, "u8")
    ADD_COMMON(uint32_t, "u32")
    ADD_COMMON(int64_t, "i64")
    return true;
}();

}  // namespace
}  // namespace emulator
