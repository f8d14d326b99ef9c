// cuBLAS: handles and matrix products, column-major. Products are summed in double precision.
#include <cstdint>

#include "card.h"
#include "small_float.h"

namespace {

using emulator::Bf16;
using emulator::F16;
using emulator::parallel_for;

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum DataType { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14 };

struct Context {
    void *stream = nullptr;
    int pointer_mode = 0, math_mode = 0;
};

struct Shape {
    bool transpose_a, transpose_b;
    int64_t m, n, k, lda, stride_a, ldb, stride_b, ldc, stride_c, batch;
};

template <typename T>
double number(T x) {
    if constexpr (sizeof(T) == 2) return static_cast<double>(static_cast<float>(x));
    else return static_cast<double>(x);
}
template <typename T>
T rounded(double x) {
    if constexpr (sizeof(T) == 2) return T(static_cast<float>(x));
    else return static_cast<T>(x);
}

// One column of the product: c = alpha op(A) op(B)[:, j] + beta c. A beta of zero does not read c.
// `scratch` has room for m + k numbers.
template <typename T, typename Out>
void column(const Shape &s, double alpha, const T *a, const T *b, double beta, Out *c, int64_t j, double *scratch) {
    double *sums = scratch, *factors = scratch + s.m;
    for (int64_t p = 0; p < s.k; ++p) factors[p] = number(s.transpose_b ? b[j + p * s.ldb] : b[p + j * s.ldb]);
    std::fill_n(sums, s.m, 0.0);
    if (s.transpose_a) {
        for (int64_t i = 0; i < s.m; ++i)
            for (int64_t p = 0; p < s.k; ++p) sums[i] += number(a[p + i * s.lda]) * factors[p];
    } else {
        for (int64_t p = 0; p < s.k; ++p)
            for (int64_t i = 0; i < s.m; ++i) sums[i] += number(a[i + p * s.lda]) * factors[p];
    }
    for (int64_t i = 0; i < s.m; ++i) {
        Out &target = c[i + j * s.ldc];
        target = rounded<Out>(alpha * sums[i] + (beta == 0 ? 0.0 : beta * number(target)));
    }
}

template <typename T, typename Out>
Status gemm(const Shape &s, double alpha, const void *a, const void *b, double beta, void *c) {
    const bool fits = s.lda >= std::max<int64_t>(1, s.transpose_a ? s.k : s.m) &&
                      s.ldb >= std::max<int64_t>(1, s.transpose_b ? s.n : s.k) && s.ldc >= std::max<int64_t>(1, s.m);
    if (s.m < 0 || s.n < 0 || s.k < 0 || s.batch < 0 || !fits) return INVALID_VALUE;
    const double work = 1.0 * s.m * s.n * s.k * s.batch;
    parallel_for(static_cast<std::size_t>(s.n * s.batch), work, [&](std::size_t index) {
        thread_local std::vector<double> scratch;
        scratch.resize(static_cast<std::size_t>(s.m + s.k));
        const int64_t batch = static_cast<int64_t>(index) / s.n, j = static_cast<int64_t>(index) % s.n;
        column(s, alpha, static_cast<const T *>(a) + batch * s.stride_a, static_cast<const T *>(b) + batch * s.stride_b,
               beta, static_cast<Out *>(c) + batch * s.stride_c, j, scratch.data());
    });
    return SUCCESS;
}

// alpha and beta have the type of the computation.
double scalar(const void *value, int compute) {
    if (compute == 70 || compute == 71) return *static_cast<const double *>(value);
    if (compute == 64 || compute == 65) return static_cast<float>(*static_cast<const F16 *>(value));
    return *static_cast<const float *>(value);
}

Status gemm_ex(const Shape &s, const void *alpha, const void *a, int type_a, const void *b, int type_b,
               const void *beta, void *c, int type_c, int compute) {
    const bool integers = compute == 72 || compute == 73, doubles = compute == 70 || compute == 71;
    if (type_a != type_b || integers || doubles != (type_a == R_64F)) return NOT_SUPPORTED;
    const double x = scalar(alpha, compute), y = scalar(beta, compute);
    if (type_a == R_32F && type_c == R_32F) return gemm<float, float>(s, x, a, b, y, c);
    if (type_a == R_64F && type_c == R_64F) return gemm<double, double>(s, x, a, b, y, c);
    if (type_a == R_16F && type_c == R_16F) return gemm<F16, F16>(s, x, a, b, y, c);
    if (type_a == R_16F && type_c == R_32F) return gemm<F16, float>(s, x, a, b, y, c);
    if (type_a == R_16BF && type_c == R_16BF) return gemm<Bf16, Bf16>(s, x, a, b, y, c);
    if (type_a == R_16BF && type_c == R_32F) return gemm<Bf16, float>(s, x, a, b, y, c);
    return NOT_SUPPORTED;
}

template <typename T>
Status gemv(int trans, int64_t m, int64_t n, T alpha, const T *a, int64_t lda, const T *x, int64_t incx, T beta, T *y,
            int64_t incy) {
    if (incx <= 0 || incy <= 0 || lda < std::max<int64_t>(1, m)) return INVALID_VALUE;
    for (int64_t i = 0; i < (trans ? n : m); ++i) {
        double sum = 0;
        for (int64_t p = 0; p < (trans ? m : n); ++p) sum += number(trans ? a[p + i * lda] : a[i + p * lda]) * x[p * incx];
        y[i * incy] = static_cast<T>(alpha * sum + (beta == 0 ? 0.0 : number(beta) * y[i * incy]));
    }
    return SUCCESS;
}

template <typename T>
Status asum(int64_t n, const T *x, int64_t incx, T *result) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += std::abs(number(x[i * incx]));
    return *result = static_cast<T>(sum), SUCCESS;
}

}  // namespace

extern "C" {

Status cublasCreate_v2(Context **handle) {
    if (!emulator::card_enabled()) return NOT_INITIALIZED;
    return *handle = new Context(), SUCCESS;
}
Status cublasDestroy_v2(Context *handle) { return delete handle, SUCCESS; }
Status cublasSetStream_v2(Context *handle, void *stream) { return handle->stream = stream, SUCCESS; }
Status cublasGetStream_v2(Context *handle, void **stream) { return *stream = handle->stream, SUCCESS; }
Status cublasSetPointerMode_v2(Context *handle, int mode) { return handle->pointer_mode = mode, SUCCESS; }
Status cublasGetPointerMode_v2(Context *handle, int *mode) { return *mode = handle->pointer_mode, SUCCESS; }
Status cublasSetMathMode(Context *handle, int mode) { return handle->math_mode = mode, SUCCESS; }
Status cublasGetMathMode(Context *handle, int *mode) { return *mode = handle->math_mode, SUCCESS; }
Status cublasSetWorkspace_v2(Context *, void *, std::size_t) { return SUCCESS; }
Status cublasSetAtomicsMode(Context *, int) { return SUCCESS; }
Status cublasGetVersion_v2(Context *, int *version) { return *version = 130000, SUCCESS; }

Status cublasGemmStridedBatchedEx(Context *, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                                  int type_a, int lda, long long stride_a, const void *b, int type_b, int ldb,
                                  long long stride_b, const void *beta, void *c, int type_c, int ldc,
                                  long long stride_c, int batch, int compute, int) {
    const Shape s{ta != 0, tb != 0, m, n, k, lda, stride_a, ldb, stride_b, ldc, stride_c, batch};
    return gemm_ex(s, alpha, a, type_a, b, type_b, beta, c, type_c, compute);
}
Status cublasGemmEx(Context *, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int type_a,
                    int lda, const void *b, int type_b, int ldb, const void *beta, void *c, int type_c, int ldc,
                    int compute, int) {
    const Shape s{ta != 0, tb != 0, m, n, k, lda, 0, ldb, 0, ldc, 0, 1};
    return gemm_ex(s, alpha, a, type_a, b, type_b, beta, c, type_c, compute);
}

#define TYPED(letter, T)                                                                                           \
    Status cublas##letter##gemmStridedBatched(Context *, int ta, int tb, int m, int n, int k, const T *alpha,      \
                                              const T *a, int lda, long long stride_a, const T *b, int ldb,       \
                                              long long stride_b, const T *beta, T *c, int ldc, long long stride_c, \
                                              int batch) {                                                         \
        const Shape s{ta != 0, tb != 0, m, n, k, lda, stride_a, ldb, stride_b, ldc, stride_c, batch};              \
        return gemm<T, T>(s, *alpha, a, b, *beta, c);                                                              \
    }                                                                                                              \
    Status cublas##letter##gemm_v2(Context *, int ta, int tb, int m, int n, int k, const T *alpha, const T *a,     \
                                   int lda, const T *b, int ldb, const T *beta, T *c, int ldc) {                   \
        const Shape s{ta != 0, tb != 0, m, n, k, lda, 0, ldb, 0, ldc, 0, 1};                                       \
        return gemm<T, T>(s, *alpha, a, b, *beta, c);                                                              \
    }                                                                                                              \
    Status cublas##letter##gemv_v2(Context *, int trans, int m, int n, const T *alpha, const T *a, int lda,        \
                                   const T *x, int incx, const T *beta, T *y, int incy) {                          \
        return gemv<T>(trans, m, n, *alpha, a, lda, x, incx, *beta, y, incy);                                      \
    }                                                                                                              \
    Status cublas##letter##asum_v2(Context *, int n, const T *x, int incx, T *result) {                            \
        return asum<T>(n, x, incx, result);                                                                        \
    }
TYPED(S, float)
TYPED(D, double)

}  // extern "C"
