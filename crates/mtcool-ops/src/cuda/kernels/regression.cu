// Losses on numbers, after src/losses/regression.rs; a target that is NaN is missing.
#include "device.cuh"

// `Weights` of regression.rs.
struct RegressionWeights {
    double l1, l2, huber, delta;
};

__device__ inline double loss_of(double error, RegressionWeights weights) {
    double size = fabs(error), loss = 0;
    // A weight of 0 makes no NaN of an infinite error.
    if (weights.l1 > 0.0) loss += weights.l1 * size;
    if (weights.l2 > 0.0) loss += weights.l2 * error * error;
    if (weights.huber > 0.0)
        loss += weights.huber * (size <= weights.delta ? error * error / 2 : weights.delta * (size - weights.delta / 2));
    return loss;
}

__device__ inline double slope_of(double error, RegressionWeights weights) {
    double sign = error > 0.0 ? 1.0 : error < 0.0 ? -1.0 : error, slope = 0;
    if (weights.l1 > 0.0) slope += weights.l1 * sign;
    if (weights.l2 > 0.0) slope += weights.l2 * 2 * error;
    if (weights.huber > 0.0) slope += weights.huber * (fabs(error) <= weights.delta ? error : weights.delta * sign);
    return slope;
}

// partial [blocks, 2]: sums of the loss and numbers of targets, of `a_block` elements each.
template <typename T>
__device__ void regression_parts(const T* x, const T* targets, double* partial, RegressionWeights weights, Size count,
                                 Size a_block) {
    double loss = 0, total = 0;
    Size first = blockIdx.x * a_block, end = first + a_block < count ? first + a_block : count;
    for (Size i = first + threadIdx.x; i < end; i += THREADS) {
        if (targets[i] != targets[i]) continue;
        loss += loss_of((double)x[i] - (double)targets[i], weights);
        total += 1;
    }
    loss = block_sum(loss);
    total = block_sum(total);
    if (threadIdx.x == 0) {
        partial[2 * (Size)blockIdx.x] = loss;
        partial[2 * (Size)blockIdx.x + 1] = total;
    }
}
BLOCK_KERNEL(regression_parts,
             (const T* x, const T* targets, double* partial, RegressionWeights weights, Size count, Size a_block),
             (x, targets, partial, weights, count, a_block))

// loss [1], the mean, and total [1], the number of targets; one block.
template <typename T> __device__ void regression_mean(const double* partial, T* loss, double* total, Size blocks) {
    double sum = 0, count = 0;
    for (Size i = threadIdx.x; i < blocks; i += THREADS) {
        sum += partial[2 * i];
        count += partial[2 * i + 1];
    }
    sum = block_sum(sum);
    count = block_sum(count);
    if (threadIdx.x == 0) {
        loss[0] = (T)(count == 0.0 ? 0.0 : sum / count);
        total[0] = count;
    }
}
BLOCK_KERNEL(regression_mean, (const double* partial, T* loss, double* total, Size blocks), (partial, loss, total, blocks))

// The gradient of the predictions from grad [1], that of the loss; 0 where the target is missing.
template <typename T>
__device__ void regression_backward(const T* x, const T* targets, const double* total, const T* grad, T* result,
                                    RegressionWeights weights, Size count) {
    Size i = position();
    if (i >= count) return;
    bool is_missing = targets[i] != targets[i];
    double slope = is_missing ? 0.0 : slope_of((double)x[i] - (double)targets[i], weights);
    result[i] = is_missing ? T(0) : (T)((double)grad[0] / total[0] * slope);
}
KERNEL(regression_backward,
       (const T* x, const T* targets, const double* total, const T* grad, T* result, RegressionWeights weights, Size count),
       (x, targets, total, grad, result, weights, count))
