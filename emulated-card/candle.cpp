// candle's elementwise kernels: unary, affine, binary, comparisons, selection, casts, fills, copies.
// Names and parameters are those of candle-kernels 0.11.1; each function does the whole grid.
#include "candle.h"

namespace emulator {
namespace {

template <typename T, typename Op>
void unary(Size count, Size rank, const Size *info, const T *in, T *out) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size i = 0; i < count; ++i) {
        const Compute<T> x = in != nullptr ? in[at(i)] : out[i];
        out[i] = static_cast<T>(Op::of(x));
    }
}

// With a parameter: powers and elu.
template <typename T, typename Op>
void unary_with(Size count, Size rank, const Size *info, T parameter, const T *in, T *out) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size i = 0; i < count; ++i) {
        const Compute<T> x = in != nullptr ? in[at(i)] : out[i];
        out[i] = static_cast<T>(Op::of(x, static_cast<Compute<T>>(parameter)));
    }
}

template <typename T>
void affine(Size count, Size rank, const Size *info, const T *in, T *out, T mul, T add) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size i = 0; i < count; ++i) {
        const Compute<T> x = in != nullptr ? in[at(i)] : out[i];
        out[i] = static_cast<T>(x * static_cast<Compute<T>>(mul) + static_cast<Compute<T>>(add));
    }
}

template <typename T, typename Out, typename Op>
void binary(Size count, Size rank, const Size *info, const T *lhs, const T *rhs, Out *out) {
    const Strided left(rank, info, info_part(info, rank, 1)), right(rank, info, info_part(info, rank, 2));
    for (Size i = 0; i < count; ++i) {
        const Compute<T> x = lhs[left(i)], y = rhs[right(i)];
        out[i] = static_cast<Out>(Op::of(x, y));
    }
}

template <typename T, typename Id>
void where(Size count, Size rank, const Size *info, const Id *ids, const T *yes, const T *no, T *out) {
    const Strided at(rank, info, info_part(info, rank, 1));
    const Strided at_yes(rank, info, info_part(info, rank, 2)), at_no(rank, info, info_part(info, rank, 3));
    for (Size i = 0; i < count; ++i) out[i] = ids[at(i)] ? yes[at_yes(i)] : no[at_no(i)];
}

// The card's conversion to an integer stops at the ends of the range; bytes go by way of 32 bits.
template <typename To, typename From>
To converted(From x) {
    if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
        using Wide = std::conditional_t<sizeof(To) == 1, uint32_t, To>;
        constexpr Wide low = std::numeric_limits<Wide>::lowest(), high = std::numeric_limits<Wide>::max();
        if (x != x) return 0;
        if (x <= static_cast<From>(low)) return static_cast<To>(low);
        if (x >= static_cast<From>(high)) return static_cast<To>(high);
        return static_cast<To>(static_cast<Wide>(x));
    } else {
        return static_cast<To>(x);
    }
}

template <typename From, typename To>
void cast(Size count, Size rank, const Size *info, const From *in, To *out) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size i = 0; i < count; ++i) out[i] = To(converted<Compute<To>>(static_cast<Compute<From>>(in[at(i)])));
}

template <typename T>
void fill(T *out, T value, Size count) {
    for (Size i = 0; i < count; ++i) out[i] = value;
}

template <typename T>
void const_set(Size count, Size rank, const Size *info, T value, T *out) {
    const Strided at(rank, info, info_part(info, rank, 1));
    for (Size i = 0; i < count; ++i) out[at(i)] = value;
}

template <typename T>
void copy2d(const T *in, T *out, uint32_t rows, uint32_t columns, uint32_t in_stride, uint32_t out_stride) {
    for (Size r = 0; r < rows; ++r)
        for (Size c = 0; c < columns; ++c) out[r * out_stride + c] = in[r * in_stride + c];
}

// Float constants are converted to the type that is computed with, as candle's kernels do.
#define UNARY(name, expression) \
    struct name { template <typename C> static C of(C x) { return static_cast<C>(expression); } };
UNARY(Copy, x)
UNARY(Neg, -x)
UNARY(Recip, C(1) / x)
UNARY(Exp, std::exp(x))
UNARY(Log, std::log(x))
UNARY(Sin, std::sin(x))
UNARY(Cos, std::cos(x))
UNARY(Tanh, std::tanh(x))
UNARY(Erf, std::erf(x))
UNARY(Ceil, std::ceil(x))
UNARY(Floor, std::floor(x))
UNARY(Round, std::round(x))
UNARY(NormCdf, C(0.5) * std::erfc(-x * C(M_SQRT1_2)))
UNARY(Abs, std::fabs(x))
UNARY(Sqr, x * x)
UNARY(Sqrt, std::sqrt(x))
UNARY(Gelu, C(0.5) * x * (C(1) + std::tanh(C(M_2_SQRTPI * M_SQRT1_2) * (x + C(0.044715) * x * x * x))))
UNARY(GeluErf, x * C(0.5) * std::erfc(-x * C(M_SQRT1_2)))
UNARY(Relu, larger(x, C(0)))
UNARY(Silu, x / (C(1) + std::exp(-x)))
UNARY(Sigmoid, C(1) / (C(1) + std::exp(-x)))
UNARY(Sign, C(x > C(0)) - C(x < C(0)))

#define BINARY(name, expression) \
    struct name { template <typename C> static auto of(C x, C y) { return expression; } };
BINARY(Pow, std::pow(x, y))
BINARY(Elu, x > C(0) ? x : C(y * (std::exp(x) - C(1))))
BINARY(Add, x + y)
BINARY(Sub, x - y)
BINARY(Mul, x * y)
BINARY(Minimum, smaller(x, y))
BINARY(Maximum, larger(x, y))
BINARY(Eq, x == y)
BINARY(Ne, x != y)
BINARY(Lt, x < y)
BINARY(Le, x <= y)
BINARY(Gt, x > y)
BINARY(Ge, x >= y)
struct Div {
    template <typename C>
    static C of(C x, C y) {
        // An integer division by zero stops a processor, but not the card.
        if constexpr (std::is_integral_v<C>)
            if (y == 0) return static_cast<C>(-1);
        return static_cast<C>(x / y);
    }
};

#define ADD_UNARY(T, suffix)                     \
    ADD("uneg", suffix, unary<T, Neg>);          \
    ADD("urecip", suffix, unary<T, Recip>);      \
    ADD("uexp", suffix, unary<T, Exp>);          \
    ADD("ulog", suffix, unary<T, Log>);          \
    ADD("usin", suffix, unary<T, Sin>);          \
    ADD("ucos", suffix, unary<T, Cos>);          \
    ADD("utanh", suffix, unary<T, Tanh>);        \
    ADD("uerf", suffix, unary<T, Erf>);          \
    ADD("uceil", suffix, unary<T, Ceil>);        \
    ADD("ufloor", suffix, unary<T, Floor>);      \
    ADD("uround", suffix, unary<T, Round>);      \
    ADD("unormcdf", suffix, unary<T, NormCdf>);  \
    ADD("uabs", suffix, unary<T, Abs>);          \
    ADD("usqr", suffix, unary<T, Sqr>);          \
    ADD("usqrt", suffix, unary<T, Sqrt>);        \
    ADD("ugelu", suffix, unary<T, Gelu>);        \
    ADD("ugelu_erf", suffix, unary<T, GeluErf>); \
    ADD("urelu", suffix, unary<T, Relu>);        \
    ADD("usilu", suffix, unary<T, Silu>);        \
    ADD("usigmoid", suffix, unary<T, Sigmoid>);  \
    ADD("usign", suffix, unary<T, Sign>);        \
    ADD("uelu", suffix, unary_with<T, Elu>);     \
    ADD("upowf", suffix, unary_with<T, Pow>);

#define ADD_COMMON(T, suffix)                          \
    ADD("ucopy", suffix, unary<T, Copy>);              \
    ADD("affine", suffix, affine<T>);                  \
    ADD("badd", suffix, binary<T, T, Add>);            \
    ADD("bsub", suffix, binary<T, T, Sub>);            \
    ADD("bmul", suffix, binary<T, T, Mul>);            \
    ADD("bdiv", suffix, binary<T, T, Div>);            \
    ADD("bminimum", suffix, binary<T, T, Minimum>);    \
    ADD("bmaximum", suffix, binary<T, T, Maximum>);    \
    ADD("eq", suffix, binary<T, uint8_t, Eq>);         \
    ADD("ne", suffix, binary<T, uint8_t, Ne>);         \
    ADD("lt", suffix, binary<T, uint8_t, Lt>);         \
    ADD("le", suffix, binary<T, uint8_t, Le>);         \
    ADD("gt", suffix, binary<T, uint8_t, Gt>);         \
    ADD("ge", suffix, binary<T, uint8_t, Ge>);         \
    ADD("where_u8", suffix, where<T, uint8_t>);        \
    ADD("where_u32", suffix, where<T, uint32_t>);      \
    ADD("where_i64", suffix, where<T, int64_t>);       \
    ADD("cast_" suffix, "u8", cast<T, uint8_t>);       \
    ADD("cast_" suffix, "u32", cast<T, uint32_t>);     \
    ADD("cast_" suffix, "f32", cast<T, float>);        \
    ADD("cast_" suffix, "f64", cast<T, double>);       \
    ADD("fill", suffix, fill<T>);                      \
    ADD("const_set", suffix, const_set<T>);            \
    ADD("copy2d", suffix, copy2d<T>);

// candle has no casts between the 16-bit types and 64-bit integers.
#define ADD_CASTS(T, suffix)                     \
    ADD("cast_" suffix, "i64", cast<T, int64_t>);
#define ADD_SMALL_CASTS(T, suffix)               \
    ADD("cast_" suffix, "bf16", cast<T, Bf16>);  \
    ADD("cast_" suffix, "f16", cast<T, F16>);

const bool registered = [] {
    ADD_COMMON(float, "f32")
    ADD_COMMON(double, "f64")
    ADD_COMMON(uint8_t, "u8")
    ADD_COMMON(uint32_t, "u32")
    ADD_COMMON(int64_t, "i64")
    ADD_COMMON(Bf16, "bf16")
    ADD_COMMON(F16, "f16")
    ADD_CASTS(float, "f32")
    ADD_CASTS(double, "f64")
    ADD_CASTS(uint8_t, "u8")
    ADD_CASTS(uint32_t, "u32")
    ADD_CASTS(int64_t, "i64")
    ADD_SMALL_CASTS(float, "f32")
    ADD_SMALL_CASTS(double, "f64")
    ADD_SMALL_CASTS(uint8_t, "u8")
    ADD_SMALL_CASTS(uint32_t, "u32")
    ADD_SMALL_CASTS(Bf16, "bf16")
    ADD_SMALL_CASTS(F16, "f16")
    ADD_UNARY(float, "f32")
    ADD_UNARY(double, "f64")
    ADD_UNARY(Bf16, "bf16")
    ADD_UNARY(F16, "f16")
    return true;
}();

}  // namespace
}  // namespace emulator
