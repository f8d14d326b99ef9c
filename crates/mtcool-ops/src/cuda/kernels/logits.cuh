// The logits of one position of a map [B, K, P].
#pragma once

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
