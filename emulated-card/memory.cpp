// Device memory is host memory. Every allocation is known, so that copies outside of one are refused
// as on the card, and a kernel's writes past the end of one are found when it is freed.
#include <cstdio>
#include <map>
#include <mutex>

#include "driver.h"

namespace {

constexpr std::size_t TOTAL = std::size_t(16) << 30;
constexpr std::size_t ALIGNMENT = 256;
constexpr std::size_t GUARD = 256;
// Fresh memory reads as NaN, in f32 and f64.
constexpr unsigned char FRESH = 0xff, GUARD_BYTE = 0xa5;

std::mutex lock;
std::map<CUdeviceptr, std::size_t> blocks;
std::size_t used = 0;

CUresult allocate(CUdeviceptr *pointer, std::size_t bytes) {
    if (!emulator::card_enabled()) return CUDA_ERROR_NOT_INITIALIZED;
    const std::size_t rounded = (bytes + GUARD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    std::lock_guard<std::mutex> guard(lock);
    if (bytes > TOTAL - used) return CUDA_ERROR_OUT_OF_MEMORY;
    auto *memory = static_cast<unsigned char *>(std::aligned_alloc(ALIGNMENT, rounded));
    if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
    std::memset(memory, FRESH, bytes);
    std::memset(memory + bytes, GUARD_BYTE, GUARD);
    *pointer = reinterpret_cast<CUdeviceptr>(memory);
    blocks[*pointer] = bytes;
    used += bytes;
    return CUDA_SUCCESS;
}

CUresult release(CUdeviceptr pointer) {
    std::lock_guard<std::mutex> guard(lock);
    const auto found = blocks.find(pointer);
    if (found == blocks.end()) return CUDA_ERROR_INVALID_VALUE;
    auto *memory = reinterpret_cast<unsigned char *>(pointer);
    for (std::size_t i = 0; i < GUARD; ++i)
        if (memory[found->second + i] != GUARD_BYTE) {
            std::fprintf(stderr, "emulated card: something wrote past the end of an allocation of %zu bytes\n",
                         found->second);
            std::abort();
        }
    used -= found->second;
    blocks.erase(found);
    std::free(memory);
    return CUDA_SUCCESS;
}

// Whether all the bytes lie in one allocation.
bool inside(CUdeviceptr pointer, std::size_t bytes) {
    if (bytes == 0) return true;
    std::lock_guard<std::mutex> guard(lock);
    auto next = blocks.upper_bound(pointer);
    if (next == blocks.begin()) return false;
    const auto &[begin, size] = *--next;
    return pointer - begin <= size && bytes <= size - (pointer - begin);
}

template <typename T>
T *host(CUdeviceptr pointer) { return reinterpret_cast<T *>(pointer); }

CUresult copy(void *to, const void *from, std::size_t bytes) {
    if (bytes > 0) std::memmove(to, from, bytes);
    return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, std::size_t bytes) {
    return bytes == 0 ? CUDA_ERROR_INVALID_VALUE : allocate(pointer, bytes);
}
// Unlike the above, an empty allocation is allowed.
CUresult cuMemAllocAsync(CUdeviceptr *pointer, std::size_t bytes, Handle) {
    *pointer = 0;
    return bytes == 0 ? CUDA_SUCCESS : allocate(pointer, bytes);
}
CUresult cuMemFree_v2(CUdeviceptr pointer) { return pointer == 0 ? CUDA_SUCCESS : release(pointer); }
CUresult cuMemFreeAsync(CUdeviceptr pointer, Handle) { return cuMemFree_v2(pointer); }

CUresult cuMemGetInfo_v2(std::size_t *free, std::size_t *total) {
    std::lock_guard<std::mutex> guard(lock);
    *free = TOTAL - used;
    *total = TOTAL;
    return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, std::size_t bytes) {
    return inside(to, bytes) ? copy(host<void>(to), from, bytes) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, std::size_t bytes) {
    return inside(from, bytes) ? copy(to, host<void>(from), bytes) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes) {
    if (!inside(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
    return cuMemcpyHtoD_v2(to, host<void>(from), bytes);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, std::size_t bytes, Handle) {
    return cuMemcpyHtoD_v2(to, from, bytes);
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, std::size_t bytes, Handle) {
    return cuMemcpyDtoH_v2(to, from, bytes);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, Handle) {
    return cuMemcpyDtoD_v2(to, from, bytes);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t count, Handle) {
    if (!inside(to, count)) return CUDA_ERROR_INVALID_VALUE;
    return std::memset(host<void>(to), value, count), CUDA_SUCCESS;
}

// Memory pools exist, and change nothing here.
static int the_pool;
CUresult cuDeviceGetDefaultMemPool(Handle *pool, CUdevice) { return *pool = &the_pool, CUDA_SUCCESS; }
CUresult cuMemPoolSetAttribute(Handle, int, void *) { return CUDA_SUCCESS; }
CUresult cuMemPoolGetAttribute(Handle, int, void *value) { return *static_cast<uint64_t *>(value) = 0, CUDA_SUCCESS; }

}  // extern "C"
