// Softmax cross-entropy and the pooled softmax, after cross_entropy.rs and softmax.rs: logits [B, K, P].
#include "device.cuh"

// Logits of one position.
template <typename T> struct Position {
    const T* logits;
    Size classes, step;

    __device__ T operator[](Size k) const { return logits[k * step]; }
    __device__ T largest() const {
        T largest = (*this)[0];
        for (Size k = 1; k < classes; ++k) {
            T logit = (*this)[k];
            if (logit > largest || logit != logit) largest = logit;
        }
        return largest;
    }
    // sum_k exp(logit_k - largest)
    __device__ T terms(T largest) const {
        T sum = 0;
        for (Size k = 0; k < classes; ++k) sum += exp((*this)[k] - largest);
        return sum;
    }
};

template <typename T> __device__ Position<T> logits_at(const T* logits, Size classes, Size positions, Size i) {
    return {logits + i / positions * classes * positions + i % positions, classes, positions};
}

// How targets count: `weights` has one a class, or none at all; `ignored` is a target or -1, and then none is.
struct Targets {
    long long ignored;
    int has_weights;
};

// The weight of a target; NaN for one that is no class, so that the loss shows it.
__device__ inline double weight_of(long long target, const double* weights, Targets settings, Size classes) {
    if (target == settings.ignored && settings.ignored >= 0) return 0.0;
    if (target < 0 || (Size)target >= classes) return nan("");
    return settings.has_weights ? weights[target] : 1.0;
}

// partial [blocks, 2]: sums of w l and of w, of `a_block` positions each.
template <typename T>
__device__ void losses(const T* logits, const long long* targets, const double* weights, double* partial, Targets settings,
                       Size classes, Size positions, Size count, Size a_block) {
    double loss = 0, total = 0;
    Size first = blockIdx.x * a_block, end = first + a_block < count ? first + a_block : count;
    for (Size i = first + threadIdx.x; i < end; i += THREADS) {
        double weight = weight_of(targets[i], weights, settings, classes);
        if (weight == 0.0) continue;
        total += weight;
        if (weight != weight) continue;
        Position<T> own = logits_at(logits, classes, positions, i);
        T largest = own.largest();
        loss += weight * (double)((largest - own[targets[i]]) + log(own.terms(largest)));
    }
    loss = block_sum(loss);
    total = block_sum(total);
    if (threadIdx.x == 0) {
        partial[2 * (Size)blockIdx.x] = loss;
        partial[2 * (Size)blockIdx.x + 1] = total;
    }
}
BLOCK_KERNEL(losses,
             (const T* logits, const long long* targets, const double* weights, double* partial, Targets settings, Size classes,
              Size positions, Size count, Size a_block),
             (logits, targets, weights, partial, settings, classes, positions, count, a_block))

// loss [1], the mean, and total [1], of all weights; one block.
template <typename T> __device__ void mean_loss(const double* partial, T* loss, double* total, Size blocks) {
    double sum = 0, weight = 0;
    for (Size i = threadIdx.x; i < blocks; i += THREADS) {
        sum += partial[2 * i];
        weight += partial[2 * i + 1];
    }
    sum = block_sum(sum);
    weight = block_sum(weight);
    if (threadIdx.x == 0) {
        loss[0] = (T)(weight == 0.0 ? sum : sum / weight);
        total[0] = weight;
    }
}
BLOCK_KERNEL(mean_loss, (const double* partial, T* loss, double* total, Size blocks), (partial, loss, total, blocks))

// factor w (softmax(logits) - onehot(target)) / total, factor the gradient of the loss; exactly 0 where w is.
template <typename T>
__device__ void losses_backward(const T* logits, const long long* targets, const double* weights, const double* total,
                                const T* grad, T* result, Targets settings, Size classes, Size positions, Size count) {
    Size i = position();
    if (i >= count) return;
    double weight = weight_of(targets[i], weights, settings, classes);
    T* own_result = result + i / positions * classes * positions + i % positions;
    if (weight == 0.0) {
        for (Size k = 0; k < classes; ++k) own_result[k * positions] = T(0);
        return;
    }
    Position<T> own = logits_at(logits, classes, positions, i);
    T scale = (T)(weight * (double)grad[0] / total[0]), largest = own.largest(), ratio = scale / own.terms(largest);
    for (Size k = 0; k < classes; ++k) {
        T gradient = exp(own[k] - largest) * ratio;
        own_result[k * positions] = (long long)k == targets[i] ? gradient - scale : gradient;
    }
}
KERNEL(losses_backward,
       (const T* logits, const long long* targets, const double* weights, const double* total, const T* grad, T* result,
        Targets settings, Size classes, Size positions, Size count),
       (logits, targets, weights, total, grad, result, settings, classes, positions, count))

struct Blocks {
    Size classes, height, width, side;
};

// means [B, K, H / side, W / side] of the softmax over K; a block does a square of pixels.
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
    // Of the first draws; those of more are computed again where they are needed.
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
    // log(1/M sum_n p_n): probabilities too small for the type do no harm.
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
