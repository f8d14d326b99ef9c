// cuBLAS: handles and batches of matrix products in f32 and f64, column-major. Products are summed in double precision.
#include <cstdint>

#include "card.h"

namespace {

using emulator::parallel_for;

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum DataType { R_32F = 0, R_64F = 1 };
enum ComputeType { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32F_FAST_TF32 = 77 };

struct Context {
    void *stream = nullptr;
};

struct Shape {
    bool transpose_a, transpose_b;
    int64_t m, n, k, lda, stride_a, ldb, stride_b, ldc, stride_c, batch;
};

// One column of the product: c = alpha op(A) op(B)[:, j] + beta c. A beta of zero does not read c.
// `scratch` has room for m + k numbers.
template <typename T>
void column(const Shape &s, double alpha, const T *a, const T *b, double beta, T *c, int64_t j, double *scratch) {
    double *sums = scratch, *factors = scratch + s.m;
    for (int64_t p = 0; p < s.k; ++p) factors[p] = s.transpose_b ? b[j + p * s.ldb] : b[p + j * s.ldb];
    std::fill_n(sums, s.m, 0.0);
    if (s.transpose_a) {
        for (int64_t i = 0; i < s.m; ++i)
            for (int64_t p = 0; p < s.k; ++p) sums[i] += a[p + i * s.lda] * factors[p];
    } else {
        for (int64_t p = 0; p < s.k; ++p)
            for (int64_t i = 0; i < s.m; ++i) sums[i] += a[i + p * s.lda] * factors[p];
    }
    for (int64_t i = 0; i < s.m; ++i) {
        T &target = c[i + j * s.ldc];
        target = static_cast<T>(alpha * sums[i] + (beta == 0 ? 0.0 : beta * target));
    }
}

template <typename T>
Status gemm(const Shape &s, const void *alpha, const void *a, const void *b, const void *beta, void *c) {
    const bool fits = s.lda >= std::max<int64_t>(1, s.transpose_a ? s.k : s.m) &&
                      s.ldb >= std::max<int64_t>(1, s.transpose_b ? s.n : s.k) && s.ldc >= std::max<int64_t>(1, s.m);
    if (s.m < 0 || s.n < 0 || s.k < 0 || s.batch < 0 || !fits) return INVALID_VALUE;
    // The scalars have the type of the matrices.
    const double factor = *static_cast<const T *>(alpha), kept = *static_cast<const T *>(beta);
    const double work = 1.0 * s.m * s.n * s.k * s.batch;
    parallel_for(static_cast<std::size_t>(s.n * s.batch), work, [&](std::size_t index) {
        thread_local std::vector<double> scratch;
        scratch.resize(static_cast<std::size_t>(s.m + s.k));
        const int64_t batch = static_cast<int64_t>(index) / s.n, j = static_cast<int64_t>(index) % s.n;
        column(s, factor, static_cast<const T *>(a) + batch * s.stride_a, static_cast<const T *>(b) + batch * s.stride_b,
               kept, static_cast<T *>(c) + batch * s.stride_c, j, scratch.data());
    });
    return SUCCESS;
}

}  // namespace

extern "C" {

Status cublasGetProperty(int part, int *value) { return *value = part == 0 ? 13 : 0, SUCCESS; }  // 13.0.0
Status cublasCreate_v2(Context **handle) {
    if (!emulator::card_enabled()) return NOT_INITIALIZED;
    return *handle = new Context(), SUCCESS;
}
Status cublasDestroy_v2(Context *handle) { return delete handle, SUCCESS; }
Status cublasSetStream_v2(Context *handle, void *stream) { return handle->stream = stream, SUCCESS; }

Status cublasGemmStridedBatchedEx(Context *, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                                  int type_a, int lda, long long stride_a, const void *b, int type_b, int ldb,
                                  long long stride_b, const void *beta, void *c, int type_c, int ldc,
                                  long long stride_c, int batch, int compute, int) {
    const Shape s{ta != 0, tb != 0, m, n, k, lda, stride_a, ldb, stride_b, ldc, stride_c, batch};
    if (type_a != type_b || type_a != type_c) return NOT_SUPPORTED;
    const bool is_single = compute == COMPUTE_32F || compute == COMPUTE_32F_FAST_TF32;
    if (type_a == R_32F && is_single) return gemm<float>(s, alpha, a, b, beta, c);
    if (type_a == R_64F && compute == COMPUTE_64F) return gemm<double>(s, alpha, a, b, beta, c);
    return NOT_SUPPORTED;
}

}  // extern "C"
