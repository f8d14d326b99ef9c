// The pooled softmax and MT-COOL's KL term, after softmax.rs and disagreement.rs: logits [B, K, P].
#include "logits.cuh"

struct Blocks {
    Size classes, height, width, side;
};

// means [B, K, H / side, W / side] of the softmax over K; each block of threads computes one square of pixels.
template <typename T> __device__ void pooled_softmax(const T* logits, T* means, Blocks sizes) {
    Size columns = sizes.width / sizes.side, rows = sizes.height / sizes.side, square = sizes.side * sizes.side;
    Size column = blockIdx.x % columns, row = blockIdx.x / columns % rows, sample = blockIdx.x / (columns * rows);
    for (Size k = 0; k < sizes.classes; ++k) {
        T sum = 0;
        for (Size i = threadIdx.x; i < square; i += THREADS) {
            Size pixel = (row * sizes.side + i / sizes.side) * sizes.width + column * sizes.side + i % sizes.side;
            Size plane = sizes.height * sizes.width;
            Position<T> own = {logits + sample * sizes.classes * plane + pixel, sizes.classes, plane};
            T largest = own.largest();
            sum += exp(own[k] - largest) / own.terms(largest);
        }
        sum = block_sum(sum);
        if (threadIdx.x == 0) means[((sample * sizes.classes + k) * rows + row) * columns + column] = sum / (T)square;
    }
}
BLOCK_KERNEL(pooled_softmax, (const T* logits, T* means, Blocks sizes), (logits, means, sizes))

// p_k (g_k - sum_j g_j p_j) / side^2, g the gradient of the pixel's square; `count` is B H W.
template <typename T>
__device__ void pooled_softmax_backward(const T* logits, const T* grad, T* result, Blocks sizes, Size count) {
    Size i = position();
    if (i >= count) return;
    Size plane = sizes.height * sizes.width, sample = i / plane, pixel = i % plane;
    Size columns = sizes.width / sizes.side, rows = sizes.height / sizes.side;
    Size square = pixel / sizes.width / sizes.side * columns + pixel % sizes.width / sizes.side;
    const T* of_squares = grad + sample * sizes.classes * rows * columns + square;
    Position<T> own = {logits + sample * sizes.classes * plane + pixel, sizes.classes, plane};
    T largest = own.largest(), terms = own.terms(largest), mean = 0;
    for (Size k = 0; k < sizes.classes; ++k) mean += of_squares[k * rows * columns] * exp(own[k] - largest) / terms;
    T pixels = (T)(sizes.side * sizes.side);
    for (Size k = 0; k < sizes.classes; ++k)
        result[(sample * sizes.classes + k) * plane + pixel] =
            exp(own[k] - largest) / terms * (of_squares[k * rows * columns] - mean) / pixels;
}
KERNEL(pooled_softmax_backward, (const T* logits, const T* grad, T* result, Blocks sizes, Size count),
       (logits, grad, result, sizes, count))

// Logits of several draws, [M, B, K, P].
struct Draws {
    Size draws, batch, classes, positions;
};

// The predictions of all draws at one position.
template <typename T> struct Predictions {
    static constexpr Size KEPT = 16;
    const T* logits;
    Draws sizes;
    Size at;
    // The normalisers of the first KEPT draws; those of further draws are computed again where they are needed.
    T kept[KEPT];

    __device__ Predictions(const T* logits, Draws sizes, Size at) : logits(logits), sizes(sizes), at(at) {
        for (Size draw = 0; draw < sizes.draws && draw < KEPT; ++draw) kept[draw] = normaliser(draw);
    }
    __device__ Position<T> of(Size draw) const {
        Size step = sizes.batch * sizes.classes * sizes.positions;
        return logits_at(logits + draw * step, sizes.classes, sizes.positions, at);
    }
    // log sum_k exp(logit_k)
    __device__ T normaliser(Size draw) const {
        Position<T> own = of(draw);
        T largest = own.largest();
        return largest + log(own.terms(largest));
    }
    __device__ T log_p(Size draw, Size k) const { return of(draw)[k] - (draw < KEPT ? kept[draw] : normaliser(draw)); }
    // log(1/M sum_n p_n), by logarithms, so that probabilities too small for the type do no harm.
    __device__ T log_mean(Size k) const {
        T largest = log_p(0, k), sum = 0;
        for (Size draw = 1; draw < sizes.draws; ++draw) {
            T other = log_p(draw, k);
            if (other > largest || other != other) largest = other;
        }
        for (Size draw = 0; draw < sizes.draws; ++draw) sum += exp(log_p(draw, k) - largest);
        return largest + log(sum / (T)sizes.draws);
    }
};

// partial [blocks]: sums over `a_block` positions of sum_j KL(p_j || 1/M sum_n p_n).
template <typename T> __device__ void disagreement(const T* logits, double* partial, Draws sizes, Size a_block) {
    Size count = sizes.batch * sizes.positions;
    Size first = blockIdx.x * a_block, end = first + a_block < count ? first + a_block : count;
    double sum = 0;
    for (Size i = first + threadIdx.x; i < end; i += THREADS) {
        Predictions<T> all(logits, sizes, i);
        for (Size k = 0; k < sizes.classes; ++k) {
            T log_mean = all.log_mean(k);
            for (Size draw = 0; draw < sizes.draws; ++draw) {
                T log_p = all.log_p(draw, k);
                sum += (double)(exp(log_p) * (log_p - log_mean));
            }
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
BLOCK_KERNEL(disagreement, (const T* logits, double* partial, Draws sizes, Size a_block), (logits, partial, sizes, a_block))

// mean [1]: the sum of partial [blocks] times factor; one block.
template <typename T> __device__ void scaled_sum(const double* partial, T* mean, double factor, Size blocks) {
    double sum = 0;
    for (Size i = threadIdx.x; i < blocks; i += THREADS) sum += partial[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) mean[0] = (T)(sum * factor);
}
BLOCK_KERNEL(scaled_sum, (const double* partial, T* mean, double factor, Size blocks), (partial, mean, factor, blocks))

// With g_jk = log p_jk - log mean_k: grad factor p_jk (g_jk - sum_l p_jl g_jl). The mean's own gradient cancels, since
// probabilities sum to 1.
template <typename T>
__device__ void disagreement_backward(const T* logits, const T* grad, T* result, Draws sizes, double factor, Size count) {
    Size i = position();
    if (i >= count) return;
    Predictions<T> all(logits, sizes, i);
    T scale = (T)((double)grad[0] * factor);
    Size step = sizes.batch * sizes.classes * sizes.positions;
    Size own = i / sizes.positions * sizes.classes * sizes.positions + i % sizes.positions;
    for (Size draw = 0; draw < sizes.draws; ++draw) {
        T mean = 0;
        for (Size k = 0; k < sizes.classes; ++k) {
            T log_p = all.log_p(draw, k);
            mean += exp(log_p) * (log_p - all.log_mean(k));
        }
        for (Size k = 0; k < sizes.classes; ++k) {
            T log_p = all.log_p(draw, k);
            result[draw * step + own + k * sizes.positions] = scale * exp(log_p) * (log_p - all.log_mean(k) - mean);
        }
    }
}
KERNEL(disagreement_backward, (const T* logits, const T* grad, T* result, Draws sizes, double factor, Size count),
       (logits, grad, result, sizes, factor, count))
