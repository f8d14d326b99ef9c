// Uniform numbers from ChaCha with 8 rounds (Bernstein 2008), a counter-based generator: number i follows from the key, the
// stream and i alone, so threads need nothing of each other, and the numbers are those that the host draws.
#include "device.cuh"

struct Key {
    unsigned words[8];
    unsigned stream[2];
};

__device__ inline unsigned rotated(unsigned word, int by) { return (word << by) | (word >> (32 - by)); }

__device__ inline void quarter_round(unsigned* s, int a, int b, int c, int d) {
    s[a] += s[b];
    s[d] = rotated(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotated(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotated(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotated(s[b] ^ s[c], 7);
}

// The 16 words of block `counter`.
__device__ inline void block_of(const Key& key, Size counter, unsigned* words) {
    // "expand 32-byte k"
    const unsigned constants[4] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};
    unsigned start[16];
    for (int i = 0; i < 4; ++i) start[i] = constants[i];
    for (int i = 0; i < 8; ++i) start[4 + i] = key.words[i];
    start[12] = (unsigned)counter;
    start[13] = (unsigned)(counter >> 32);
    start[14] = key.stream[0];
    start[15] = key.stream[1];
    for (int i = 0; i < 16; ++i) words[i] = start[i];
    for (int round = 0; round < 8; round += 2) {
        for (int i = 0; i < 4; ++i) quarter_round(words, i, i + 4, i + 8, i + 12);
        for (int i = 0; i < 4; ++i) quarter_round(words, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12);
    }
    for (int i = 0; i < 16; ++i) words[i] += start[i];
}

// Number `index` of a block; multiplied and added with a rounding each, as the host does it.
__device__ inline void number_of(const unsigned* words, int index, float scale, float bound, float& number) {
    number = __fadd_rn(__fmul_rn((float)(words[index] >> 8), scale), -bound);
}

__device__ inline void number_of(const unsigned* words, int index, double scale, double bound, double& number) {
    Size word = (Size)words[2 * index] | (Size)words[2 * index + 1] << 32;
    number = __dadd_rn(__dmul_rn((double)(word >> 11), scale), -bound);
}

// U(-bound, bound); a thread does the numbers of one block.
template <typename T> __device__ void uniform(T* numbers, Key key, T scale, T bound, Size count) {
    Size a_block = 64 / sizeof(T), first = position() * a_block;
    if (first >= count) return;
    unsigned words[16];
    block_of(key, position(), words);
    for (Size i = 0; i < a_block && first + i < count; ++i) number_of(words, (int)i, scale, bound, numbers[first + i]);
}
KERNEL(uniform, (T* numbers, Key key, T scale, T bound, Size count), (numbers, key, scale, bound, count))
