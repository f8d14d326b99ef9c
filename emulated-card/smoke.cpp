// A test of the emulated card: memory, launches of both kinds, candle's kernels, a matrix product, and
// a convolution whose three passes are checked against each other. Exit status 0 if all is well.
//
// Without EMULATED_NVIDIA_CARD=1 it checks that there is no card.
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

extern "C" {
int cuInit(unsigned);
int cuDeviceGetCount(int *);
int cuDevicePrimaryCtxRetain(void **, int);
int cuCtxSetCurrent(void *);
int cuMemAlloc_v2(uint64_t *, size_t);
int cuMemFree_v2(uint64_t);
int cuMemcpyHtoD_v2(uint64_t, const void *, size_t);
int cuMemcpyDtoH_v2(void *, uint64_t, size_t);
int cuModuleLoadData(void **, const void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
int cuGraphDestroy(void *);
int cuDriverGetVersion(int *);
int cuDeviceGetName(char *, int, int);
int cuDeviceGetAttribute(int *, int, int);
int cuDeviceTotalMem_v2(size_t *, int);
int cuEventCreate(void **, unsigned);
int cuEventRecord(void *, void *);
int cuEventSynchronize(void *);
int cuEventElapsedTime_v2(float *, void *, void *);
int cuEventDestroy_v2(void *);
int cublasCreate_v2(void **);
int cublasGemmStridedBatchedEx(void *, int, int, int, int, int, const void *, const void *, int, int, long long,
                               const void *, int, int, long long, const void *, void *, int, int, long long, int, int, int);
int cudnnCreate(void **);
int cudnnCreateTensorDescriptor(void **);
int cudnnCreateFilterDescriptor(void **);
int cudnnCreateConvolutionDescriptor(void **);
int cudnnSetTensor4dDescriptor(void *, int, int, int, int, int, int);
int cudnnSetFilter4dDescriptor(void *, int, int, int, int, int, int);
int cudnnSetConvolution2dDescriptor(void *, int, int, int, int, int, int, int, int);
int cudnnConvolutionForward(void *, const void *, void *, const void *, void *, const void *, void *, int, void *, size_t,
                            const void *, void *, void *);
int cudnnConvolutionBackwardData(void *, const void *, void *, const void *, void *, const void *, void *, int, void *,
                                 size_t, const void *, void *, void *);
int cudnnConvolutionBackwardFilter(void *, const void *, void *, const void *, void *, const void *, void *, int, void *,
                                   size_t, const void *, void *, void *);
int curandCreateGenerator(void **, int);
int curandGenerateUniform(void *, float *, size_t);
}

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "smoke: line %d: %s does not hold\n", __LINE__, #condition); \
            return 1;                                                             \
        }                                                                         \
    } while (0)

// Parameters by value, as a struct and as numbers.
struct Line {
    float slope;
    double offset;
};
extern "C" __global__ void smoke_line(const float *x, float *y, unsigned long long n, Line line) {
    const unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = line.slope * x[i] + (float)line.offset;
}
REGISTER(smoke_line)

// The sum over a block, by shared memory. Some threads return early.
extern "C" __global__ void smoke_sum(const float *x, float *sums, int n, int early) {
    __shared__ float part[128];
    const int t = (int)threadIdx.x, i = (int)blockIdx.x * (int)blockDim.x + t;
    part[t] = i < n ? x[i] : 0.0f;
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads();
        if (early && t >= half) return;
        if (t < half) part[t] += part[t + half];
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}
REGISTER_BLOCK(smoke_sum)

using Numbers = std::vector<double>;

Numbers random_numbers(size_t count) {
    static std::mt19937_64 source(1);
    Numbers numbers(count);
    for (double &x : numbers) x = std::uniform_real_distribution<double>(-1, 1)(source);
    return numbers;
}
double dot(const Numbers &a, const Numbers &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}
bool close(double a, double b) { return std::fabs(a - b) <= 1e-9 * (1 + std::fabs(a)); }

int launch(const char *name, unsigned grid, unsigned block, std::vector<void *> params) {
    void *module, *function;
    if (cuModuleLoadData(&module, "") != 0) return -1;
    if (const int code = cuModuleGetFunction(&function, module, name)) return code;
    return cuLaunchKernel(function, grid, 1, 1, block, 1, 1, 0, nullptr, params.data(), nullptr);
}

int kernels() {
    const size_t n = 1000;
    std::vector<float> x(n), y(n);
    for (size_t i = 0; i < n; ++i) x[i] = (float)(i % 17) - 3;
    uint64_t dx, dy;
    CHECK(cuMemAlloc_v2(&dx, n * 4) == 0 && cuMemAlloc_v2(&dy, n * 4) == 0);
    CHECK(cuMemcpyDtoH_v2(y.data(), dy, n * 4) == 0 && std::isnan(y[0]) && std::isnan(y[n - 1]));
    CHECK(cuMemcpyHtoD_v2(dx, x.data(), n * 4) == 0 && cuMemcpyDtoH_v2(y.data(), dx, n * 4) == 0 && x == y);
    CHECK(cuMemcpyHtoD_v2(dx + 4, x.data(), n * 4) == 1);

    unsigned long long count = n;
    Line line{2, 0.5};
    CHECK(launch("smoke_line", 8, 128, {&dx, &dy, &count, &line}) == 0);
    CHECK(cuMemcpyDtoH_v2(y.data(), dy, n * 4) == 0);
    for (size_t i = 0; i < n; ++i) CHECK(y[i] == 2 * x[i] + 0.5f);
    CHECK(launch("smoke_line", 0, 128, {&dx, &dy, &count, &line}) == 1);
    CHECK(launch("smoke_line", 1, 1025, {&dx, &dy, &count, &line}) == 1);
    CHECK(launch("smoke_absent", 1, 1, {}) == 500);

    for (int early = 0; early < 2; ++early) {
        int length = n;
        CHECK(launch("smoke_sum", 8, 128, {&dx, &dy, &length, &early}) == 0);
        CHECK(cuMemcpyDtoH_v2(y.data(), dy, n * 4) == 0);
        for (size_t b = 0; b < 8; ++b) {
            float sum = 0;
            for (size_t i = b * 128; i < std::min(n, (b + 1) * 128); ++i) sum += x[i];
            CHECK(y[b] == sum);
        }
    }

    // candle: y = x^T of a 4 by 3 matrix (strided), times two plus one, and sums of its rows.
    const size_t layout[] = {3, 4, 1, 3};
    uint64_t info, null = 0;
    size_t elements = 12, rank = 2, each = 4, rows = 3;
    float two = 2, one = 1;
    CHECK(cuMemAlloc_v2(&info, sizeof layout) == 0 && cuMemcpyHtoD_v2(info, layout, sizeof layout) == 0);
    CHECK(launch("affine_f32", 1, 1024, {&elements, &rank, &info, &dx, &dy, &two, &one}) == 0);
    CHECK(cuMemcpyDtoH_v2(y.data(), dy, 48) == 0);
    for (size_t i = 0; i < 12; ++i) CHECK(y[i] == 2 * x[i % 4 * 3 + i / 4] + 1);
    CHECK(launch("fast_sum_small_f32", 1, 256, {&rows, &each, &rank, &info, &dx, &dy}) == 0);
    CHECK(cuMemcpyDtoH_v2(y.data(), dy, 12) == 0 && y[1] == x[1] + x[4] + x[7] + x[10]);
    CHECK(launch("badd_f32", 1, 1024, {&elements, &rank, &null, &dx, &dx, &dy}) == 0);
    CHECK(cuMemcpyDtoH_v2(y.data(), dy, 48) == 0 && y[11] == 2 * x[11]);
    CHECK(cuMemFree_v2(dx) == 0 && cuMemFree_v2(dy) == 0 && cuMemFree_v2(info) == 0 && cuMemFree_v2(dx) == 1);
    return 0;
}

// What a card says of itself, and the time between two events.
int description() {
    int version = 0, major = 0;
    char name[16];
    size_t memory = 0;
    CHECK(cuDriverGetVersion(&version) == 0 && version == 13000);
    CHECK(cuDeviceGetAttribute(&major, 75, 0) == 0 && major == 9 && cuDeviceGetAttribute(&major, 75, 1) == 101);
    CHECK(cuDeviceGetName(name, sizeof name, 0) == 0 && std::strcmp(name, "emulated card") == 0);
    CHECK(cuDeviceTotalMem_v2(&memory, 0) == 0 && memory == size_t(16) << 30);
    void *begin, *end;
    float milliseconds = -1;
    CHECK(cuEventCreate(&begin, 0) == 0 && cuEventCreate(&end, 0) == 0 && cuEventRecord(begin, nullptr) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(cuEventRecord(end, nullptr) == 0 && cuEventSynchronize(end) == 0);
    CHECK(cuEventElapsedTime_v2(&milliseconds, begin, end) == 0 && milliseconds >= 20 && milliseconds < 10000);
    CHECK(cuEventElapsedTime_v2(&milliseconds, end, begin) == 0 && milliseconds < 0);
    CHECK(cuEventDestroy_v2(begin) == 0 && cuEventDestroy_v2(end) == 0);
    return 0;
}

int products() {
    void *blas;
    CHECK(cublasCreate_v2(&blas) == 0);
    const int m = 5, n = 7, k = 3, batch = 2;
    const double alpha = 1.5, beta = 0.5;
    for (int kind = 0; kind < 4; ++kind) {
        const bool ta = kind & 1, tb = kind & 2;
        const int lda = (ta ? k : m) + 1, ldb = (tb ? n : k) + 2, ldc = m + 1;
        const int sa = lda * m * k, sb = ldb * n * k, sc = ldc * n;
        const Numbers a = random_numbers(sa * batch), b = random_numbers(sb * batch), before = random_numbers(sc * batch);
        Numbers c = before;
        CHECK(cublasGemmStridedBatchedEx(blas, ta, tb, m, n, k, &alpha, a.data(), 1, lda, sa, b.data(), 1, ldb, sb, &beta,
                                         c.data(), 1, ldc, sc, batch, 70, -1) == 0);
        for (int s = 0; s < batch; ++s)
            for (int i = 0; i < m; ++i)
                for (int j = 0; j < n; ++j) {
                    double sum = 0;
                    for (int p = 0; p < k; ++p)
                        sum += a[s * sa + (ta ? p + i * lda : i + p * lda)] * b[s * sb + (tb ? j + p * ldb : p + j * ldb)];
                    CHECK(close(c[s * sc + i + j * ldc], alpha * sum + beta * before[s * sc + i + j * ldc]));
                }
    }
    // A beta of zero does not read the result; types that are not supported are refused.
    const float two = 2, three = 3, one = 1, zero = 0;
    float out = NAN;
    CHECK(cublasGemmStridedBatchedEx(blas, 0, 0, 1, 1, 1, &one, &two, 0, 1, 0, &three, 0, 1, 0, &zero, &out, 0, 1, 0, 1, 68,
                                     -1) == 0 && out == 6);
    CHECK(cublasGemmStridedBatchedEx(blas, 0, 0, 1, 1, 1, &one, &two, 0, 1, 0, &three, 0, 1, 0, &zero, &out, 14, 1, 0, 1, 68,
                                     -1) == 15);
    return 0;
}

// y by its definition, then <y, conv(x, w)> = <dx, x> = <dw, w> for the two backward passes.
int convolution(int stride, int dilation) {
    void *dnn, *dx, *dy, *dw, *dc;
    CHECK(cudnnCreate(&dnn) == 0 && cudnnCreateTensorDescriptor(&dx) == 0 && cudnnCreateTensorDescriptor(&dy) == 0);
    CHECK(cudnnCreateFilterDescriptor(&dw) == 0 && cudnnCreateConvolutionDescriptor(&dc) == 0);
    const int n = 2, c = 4, h = 9, v = 8, k = 6, r = 3, s = 2, pad_h = 2, pad_v = 1;
    const int oh = (h + 2 * pad_h - dilation * (r - 1) - 1) / stride + 1;
    const int ov = (v + 2 * pad_v - dilation * (s - 1) - 1) / stride + 1;
    CHECK(cudnnSetTensor4dDescriptor(dx, 0, 1, n, c, h, v) == 0);
    CHECK(cudnnSetTensor4dDescriptor(dx, 1, 1, n, c, h, v) == 3000);
    CHECK(cudnnSetTensor4dDescriptor(dy, 0, 1, n, k, oh, ov) == 0);
    CHECK(cudnnSetFilter4dDescriptor(dw, 1, 0, k, c, r, s) == 0);
    CHECK(cudnnSetConvolution2dDescriptor(dc, pad_h, pad_v, stride, stride, dilation, dilation, 1, 1) == 0);

    const Numbers x = random_numbers(n * c * h * v), w = random_numbers(k * c * r * s), g = random_numbers(n * k * oh * ov);
    Numbers y(g.size(), NAN), gx(x.size(), NAN), gw(w.size(), 1.0);
    char workspace[64];
    const double one = 1, zero = 0;
    CHECK(cudnnConvolutionForward(dnn, &one, dx, x.data(), dw, w.data(), dc, 1, nullptr, 0, &zero, dy, y.data()) == 2000);
    CHECK(cudnnConvolutionForward(dnn, &one, dx, x.data(), dw, w.data(), dc, 1, workspace, 64, &zero, dy, y.data()) == 0);
    CHECK(cudnnConvolutionBackwardData(dnn, &one, dw, w.data(), dy, g.data(), dc, 1, workspace, 64, &zero, dx, gx.data()) == 0);
    CHECK(cudnnConvolutionBackwardFilter(dnn, &one, dx, x.data(), dy, g.data(), dc, 1, workspace, 64, &one, dw, gw.data()) == 0);
    for (double &value : gw) value -= 1;  // beta was one

    for (int b = 0, at = 0; b < n; ++b)
        for (int o = 0; o < k; ++o)
            for (int i = 0; i < oh; ++i)
                for (int j = 0; j < ov; ++j, ++at) {
                    double sum = 0;
                    for (int q = 0; q < c; ++q)
                        for (int e = 0; e < r; ++e)
                            for (int f = 0; f < s; ++f) {
                                const int row = i * stride - pad_h + e * dilation, column = j * stride - pad_v + f * dilation;
                                if (row < 0 || row >= h || column < 0 || column >= v) continue;
                                sum += w[((o * c + q) * r + e) * s + f] * x[((b * c + q) * h + row) * v + column];
                            }
                    CHECK(close(y[at], sum));
                }
    CHECK(close(dot(y, g), dot(gx, x)) && close(dot(y, g), dot(gw, w)));
    return 0;
}

int main() {
    int count = -1;
    const char *value = getenv("EMULATED_NVIDIA_CARD");
    if (value == nullptr || strcmp(value, "1") != 0) {
        void *handle;
        CHECK(cuInit(0) == 100 && cuDeviceGetCount(&count) != 0 && count == 0);
        CHECK(cublasCreate_v2(&handle) != 0 && cudnnCreate(&handle) != 0);
        return 0;
    }
    void *context, *generator;
    float number;
    CHECK(cuInit(0) == 0 && cuDeviceGetCount(&count) == 0 && count == 1);
    CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0);
    CHECK(cuGraphDestroy(nullptr) == 801);
    CHECK(curandCreateGenerator(&generator, 100) == 0 && curandGenerateUniform(generator, &number, 1) != 0);
    if (description() || kernels() || products()) return 1;
    for (int stride = 1; stride <= 3; ++stride)
        for (int dilation = 1; dilation <= 2; ++dilation)
            if (convolution(stride, dilation)) return 1;
    return 0;
}
