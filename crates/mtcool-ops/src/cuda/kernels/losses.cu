// Sums of losses over classes, after src/losses: cross-entropy, Dice and focal loss of logits [B, K, P] and targets [B, P].
#include "logits.cuh"

// The settings; `weights` of the kernels is an array [5, K], read only if `has_weights`: the class weights of the
// cross-entropy, (1 - e) w_k, e/K w_k, the class weights of the focal loss, the shares of Dice.
struct LossSettings {
    // A target, or -1 if none is ignored.
    long long ignored;
    double cross_entropy, focal, dice, gamma, smooth;
    int has_weights, has_cross_entropy, has_focal, has_dice;
    // Whether the sum is divided by the sum of the targets' weights rather than by their number.
    int cross_entropy_by_weights, focal_by_weights;
};

// A group is what one Dice adds up: the batch or an image. So many blocks share each.
struct LossSizes {
    Size classes, positions, count, groups, blocks;
};

// Slots of a group's sums: cross-entropy and what it is divided by, focal loss and what it is divided by, number of targets;
// then for Dice, of each class, the number of targets, sum p_k, and sum p_k y_k.
constexpr Size SCALARS = 5;
__device__ inline Size slots_of(LossSettings settings, Size classes) {
    return SCALARS + (settings.has_dice ? 3 * classes : 0);
}

// One class's numbers.
struct ClassNumbers {
    double weight, one_hot, spread, focal, share;
};
__device__ inline ClassNumbers numbers_of(Size k, const double* weights, LossSettings settings, Size classes) {
    if (!settings.has_weights) return {1.0, 1.0, 0.0, 1.0, 0.0};
    return {weights[k], weights[classes + k], weights[2 * classes + k], weights[3 * classes + k], weights[4 * classes + k]};
}

__device__ inline bool is_ignored(long long target, LossSettings settings) {
    return target == settings.ignored && settings.ignored >= 0;
}
__device__ inline bool is_class(long long target, Size classes) { return target >= 0 && (Size)target < classes; }

// How likely the target is: p, 1 - p, -log p.
template <typename T> struct Likelihood {
    T p, rest, loss;

    __device__ Likelihood(Position<T> own, Size target, T largest, T terms) {
        T others = 0, distance = largest - own[target];
        for (Size k = 0; k < own.classes; ++k)
            if (k != target) others += exp(own[k] - largest);
        p = exp(own[target] - largest) / terms;
        rest = others / terms;
        // The sum is 1 and the others' if the target has the largest logit.
        loss = distance == T(0) ? log1p(others) : distance + log(terms);
    }
    // p (-log p) / (1 - p), which tends to 1 as p does, and to 0 with p.
    __device__ T pull() const {
        T ratio = rest > T(0) ? loss / rest : T(1);
        return isfinite(ratio) ? p * ratio : T(0);
    }
};

// partial [groups, blocks, slots]: what each block's positions add up to.
template <typename T>
__device__ void class_loss_parts(const T* logits, const long long* targets, const double* weights, double* partial,
                                 LossSettings settings, LossSizes sizes, Size a_block) {
    Size classes = sizes.classes, of_group = sizes.count / sizes.groups, group = blockIdx.x / sizes.blocks;
    Size first = group * of_group + blockIdx.x % sizes.blocks * a_block, behind = (group + 1) * of_group;
    Size end = first + a_block < behind ? first + a_block : behind;
    double sums[SCALARS] = {0, 0, 0, 0, 0};
    for (Size i = first + threadIdx.x; i < end; i += THREADS) {
        if (is_ignored(targets[i], settings)) continue;
        // A target that is no class makes the loss NaN by its count.
        sums[4] += is_class(targets[i], classes) ? 1.0 : nan("");
        if (!is_class(targets[i], classes)) continue;
        Size target = (Size)targets[i];
        ClassNumbers numbers = numbers_of(target, weights, settings, classes);
        Position<T> own = logits_at(logits, classes, sizes.positions, i);
        T largest = own.largest(), terms = own.terms(largest);
        if (settings.has_cross_entropy) {
            sums[1] += settings.cross_entropy_by_weights ? numbers.weight : 1.0;
            if (numbers.one_hot > 0.0) sums[0] += numbers.one_hot * (double)((largest - own[target]) + log(terms));
            for (Size k = 0; settings.has_weights && k < classes; ++k) {
                double spread = numbers_of(k, weights, settings, classes).spread;
                if (spread > 0.0) sums[0] += spread * (double)((largest - own[k]) + log(terms));
            }
        }
        if (settings.has_focal) {
            sums[3] += settings.focal_by_weights ? numbers.focal : 1.0;
            Likelihood<T> likely(own, target, largest, terms);
            if (numbers.focal > 0.0) sums[2] += numbers.focal * (double)(pow(likely.rest, (T)settings.gamma) * likely.loss);
        }
    }
    double* own_partial = partial + blockIdx.x * slots_of(settings, classes);
    for (Size slot = 0; slot < SCALARS; ++slot) {
        double sum = block_sum(sums[slot]);
        if (threadIdx.x == 0) own_partial[slot] = sum;
    }
    if (!settings.has_dice) return;
    // So many classes at a time, whose sums stay in registers.
    constexpr Size KEPT = 4;
    for (Size start = 0; start < classes; start += KEPT) {
        double counts[KEPT] = {}, predicted[KEPT] = {}, common[KEPT] = {};
        for (Size i = first + threadIdx.x; i < end; i += THREADS) {
            if (is_ignored(targets[i], settings) || !is_class(targets[i], classes)) continue;
            Position<T> own = logits_at(logits, classes, sizes.positions, i);
            T largest = own.largest(), terms = own.terms(largest);
            for (Size at = 0; at < KEPT; ++at) {
                if (start + at >= classes) break;
                double p = (double)(exp(own[start + at] - largest) / terms);
                bool is_target = start + at == (Size)targets[i];
                counts[at] += is_target ? 1.0 : 0.0;
                predicted[at] += p;
                common[at] += is_target ? p : 0.0;
            }
        }
        for (Size at = 0; at < KEPT && start + at < classes; ++at) {
            double sums_of_class[3] = {block_sum(counts[at]), block_sum(predicted[at]), block_sum(common[at])};
            if (threadIdx.x == 0)
                for (Size slot = 0; slot < 3; ++slot) own_partial[SCALARS + 3 * (start + at) + slot] = sums_of_class[slot];
        }
    }
}
BLOCK_KERNEL(class_loss_parts,
             (const T* logits, const long long* targets, const double* weights, double* partial, LossSettings settings,
              LossSizes sizes, Size a_block),
             (logits, targets, weights, partial, settings, sizes, a_block))

// sums [groups, slots] of partial [groups, blocks, slots]; a block does each.
template <typename T> __device__ void class_loss_sums(const double* partial, double* sums, Size blocks, Size slots) {
    Size group = blockIdx.x / slots, slot = blockIdx.x % slots;
    double sum = 0;
    for (Size i = threadIdx.x; i < blocks; i += THREADS) sum += partial[(group * blocks + i) * slots + slot];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
BLOCK_KERNEL(class_loss_sums, (const double* partial, double* sums, Size blocks, Size slots), (partial, sums, blocks, slots))

// loss [1], totals [2], what cross-entropy and focal loss are divided by, and slopes [groups, K, 2], the gradient of Dice by the
// probabilities: everywhere, and besides where the class is the target. One block. All are NaN if a target is no class.
template <typename T>
__device__ void class_loss_value(const double* sums, const double* weights, T* loss, double* totals, double* slopes,
                                 LossSettings settings, LossSizes sizes) {
    Size classes = sizes.classes, slots = slots_of(settings, classes);
    double scalars[SCALARS] = {0, 0, 0, 0, 0}, used = 0;
    for (Size group = threadIdx.x; group < sizes.groups; group += THREADS) {
        for (Size slot = 0; slot < SCALARS; ++slot) scalars[slot] += sums[group * slots + slot];
        used += sums[group * slots + SCALARS - 1] == 0.0 ? 0.0 : 1.0;
    }
    for (Size slot = 0; slot < SCALARS; ++slot) scalars[slot] = block_sum(scalars[slot]);
    used = block_sum(used);
    bool is_bad = scalars[4] != scalars[4];
    double dice = 0;
    for (Size i = threadIdx.x; settings.has_dice && i < sizes.groups * classes; i += THREADS) {
        const double* own = sums + i / classes * slots;
        const double* of_class = own + SCALARS + 3 * (i % classes);
        double share = numbers_of(i % classes, weights, settings, classes).share / used;
        double above = 2 * of_class[2] + settings.smooth, below = of_class[0] + of_class[1] + settings.smooth;
        bool counts = share > 0.0 && own[SCALARS - 1] != 0.0 && below != 0.0;
        if (counts) dice += share * (1.0 - above / below);
        slopes[2 * i] = is_bad ? nan("") : counts ? settings.dice * share * above / (below * below) : 0.0;
        slopes[2 * i + 1] = is_bad ? nan("") : counts ? -2.0 * settings.dice * share / below : 0.0;
    }
    dice = block_sum(dice);
    if (threadIdx.x == 0) {
        double sum = settings.dice * dice;
        if (scalars[1] > 0.0) sum += settings.cross_entropy * (scalars[0] / scalars[1]);
        if (scalars[3] > 0.0) sum += settings.focal * (scalars[2] / scalars[3]);
        loss[0] = (T)(is_bad ? nan("") : sum);
        totals[0] = is_bad ? nan("") : scalars[1];
        totals[1] = is_bad ? nan("") : scalars[3];
    }
}
BLOCK_KERNEL(class_loss_value,
             (const double* sums, const double* weights, T* loss, double* totals, double* slopes, LossSettings settings,
              LossSizes sizes),
             (sums, weights, loss, totals, slopes, settings, sizes))

// The gradient of the logits, after gradients.rs, from grad [1], that of the loss; exactly 0 where nothing counts.
template <typename T>
__device__ void class_loss_backward(const T* logits, const long long* targets, const double* weights, const double* totals,
                                    const double* slopes, const T* grad, T* result, LossSettings settings, LossSizes sizes) {
    Size i = position(), classes = sizes.classes;
    if (i >= sizes.count) return;
    T* own_result = result + i / sizes.positions * classes * sizes.positions + i % sizes.positions;
    bool counts = !is_ignored(targets[i], settings);
    Size target = is_class(targets[i], classes) ? (Size)targets[i] : 0;
    ClassNumbers numbers = numbers_of(target, weights, settings, classes);
    bool is_smooth = settings.has_cross_entropy && settings.has_weights;
    double spread_sum = 0;
    for (Size k = 0; is_smooth && k < classes; ++k) spread_sum += numbers_of(k, weights, settings, classes).spread;
    counts = counts && (settings.has_dice || (settings.has_cross_entropy && (numbers.one_hot > 0.0 || spread_sum > 0.0)) ||
                        (settings.has_focal && numbers.focal > 0.0));
    if (!counts) {
        for (Size k = 0; k < classes; ++k) own_result[k * sizes.positions] = T(0);
        return;
    }
    Position<T> own = logits_at(logits, classes, sizes.positions, i);
    T largest = own.largest(), terms = own.terms(largest), u = 0, v = 0;
    double factor = settings.cross_entropy * (double)grad[0], spread_factor = 0;
    if (settings.has_cross_entropy && totals[0] != 0.0) {
        v = (T)(numbers.one_hot * factor / totals[0]);
        u = v + (T)(spread_sum * factor / totals[0]);
        spread_factor = factor / totals[0];
    }
    if (settings.has_focal && numbers.focal > 0.0 && totals[1] != 0.0) {
        Likelihood<T> likely(own, target, largest, terms);
        T slope = pow(likely.rest, (T)settings.gamma) * (T(1) + (T)settings.gamma * likely.pull());
        slope *= (T)(numbers.focal * settings.focal * (double)grad[0] / totals[1]);
        u += slope;
        v += slope;
    }
    const double* own_slopes = slopes + i / (sizes.count / sizes.groups) * 2 * classes;
    if (settings.has_dice) {
        T mean = 0, common = (T)(own_slopes[2 * target + 1] * (double)grad[0]) * exp(own[target] - largest) / terms;
        for (Size k = 0; k < classes; ++k)
            mean += (T)(own_slopes[2 * k] * (double)grad[0]) * (exp(own[k] - largest) / terms);
        u -= mean + common;
        v -= common;
    }
    T ratio = u / terms;
    for (Size k = 0; k < classes; ++k) {
        T slope = ratio;
        if (settings.has_dice) slope = (u + (T)(own_slopes[2 * k] * (double)grad[0])) / terms;
        T gradient = exp(own[k] - largest) * slope;
        if (spread_sum > 0.0) gradient -= (T)(numbers_of(k, weights, settings, classes).spread * spread_factor);
        own_result[k * sizes.positions] = k == target ? gradient - v : gradient;
    }
}
KERNEL(class_loss_backward,
       (const T* logits, const long long* targets, const double* weights, const double* totals, const double* slopes,
        const T* grad, T* result, LossSettings settings, LossSizes sizes),
       (logits, targets, weights, totals, slopes, grad, result, settings, sizes))
