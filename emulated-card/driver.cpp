// The driver: one device with one context; streams and events, over which all work is done at once;
// modules, whose contents are ignored, and launches of the kernels that are compiled in.
#include "driver.h"

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "launch.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Event {
    Clock::time_point time;
    bool recorded = false, timed = true;
};

struct Function {
    std::string name;
    emulator::Launcher launcher;
};

constexpr unsigned EVENT_DISABLE_TIMING = 2;
int the_context, the_module;
thread_local Handle current_context = nullptr;

// Numbers of a card of compute capability 9.0 as far as programs ask for them; few multiprocessors,
// so that grids made to measure stay small.
int device_attribute(int attribute) {
    switch (attribute) {
        case 1: case 2: case 3: return 1024;       // threads per block; block x, y
        case 4: return 64;                         // block z
        case 5: return 2147483647;                 // grid x
        case 6: case 7: return 65535;              // grid y, z
        case 8: return 48 << 10;                   // shared memory per block
        case 9: return 64 << 10;                   // constant memory
        case 10: return 32;                        // warp
        case 12: case 82: return 65536;            // registers per block, per multiprocessor
        case 13: case 36: return 1000000;          // clock rates, kHz
        case 16: return 4;                         // multiprocessors
        case 31: case 41: case 83: case 95: case 115: return 1;  // concurrent kernels, unified addresses,
                                                                 // managed memory, cooperative launch, pools
        case 37: return 256;                       // memory bus width
        case 38: return 4 << 20;                   // L2 cache
        case 39: return 2048;                      // threads per multiprocessor
        case 75: return 9;                         // compute capability
        case 76: return 0;
        case 81: return 228 << 10;                 // shared memory per multiprocessor
        case 97: return 227 << 10;                 // shared memory per block, opt-in
        case 106: return 32;                       // blocks per multiprocessor
        default: return 0;
    }
}

CUresult answer(int *out, int value) { return *out = value, CUDA_SUCCESS; }

CUresult launch(Handle function, emulator::Dim grid, emulator::Dim block, unsigned shared, void **params) {
    if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const bool grid_ok = grid.count() > 0 && grid.x <= 2147483647 && grid.y <= 65535 && grid.z <= 65535;
    const bool block_ok = block.count() > 0 && block.count() <= 1024 && block.z <= 64;
    if (!grid_ok || !block_ok || shared > (227 << 10)) return CUDA_ERROR_INVALID_VALUE;
    const auto *known = static_cast<const Function *>(function);
    return emulator::run(known->launcher, {grid, block, params}) ? CUDA_SUCCESS : CUDA_ERROR_ASSERT;
}

struct Named {
    CUresult code;
    const char *name, *text;
};
constexpr Named ERRORS[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_ASSERT, "CUDA_ERROR_ASSERT", "device-side assert triggered"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
};

CUresult describe(CUresult code, const char **out, const char *Named::*field) {
    for (const Named &error : ERRORS)
        if (error.code == code) return *out = error.*field, CUDA_SUCCESS;
    return *out = nullptr, CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned) { return emulator::card_enabled() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
CUresult cuDriverGetVersion(int *version) { return answer(version, 13000); }
CUresult cuGetErrorName(CUresult code, const char **name) { return describe(code, name, &Named::name); }
CUresult cuGetErrorString(CUresult code, const char **text) { return describe(code, text, &Named::text); }

CUresult cuDeviceGetCount(int *count) {
    if (!emulator::card_enabled()) return *count = 0, CUDA_ERROR_NOT_INITIALIZED;
    return answer(count, 1);
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    if (!emulator::card_enabled()) return CUDA_ERROR_NOT_INITIALIZED;
    return ordinal == 0 ? answer(device, 0) : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    return device == 0 ? answer(value, device_attribute(attribute)) : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice) {
    std::snprintf(name, static_cast<std::size_t>(length), "Emulated card (CPU)");
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(void *uuid, CUdevice) { return std::memcpy(uuid, "emulated card #0", 16), CUDA_SUCCESS; }
CUresult cuDeviceGetUuid(void *uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

CUresult cuDevicePrimaryCtxRetain(Handle *context, CUdevice device) {
    if (!emulator::card_enabled()) return CUDA_ERROR_NOT_INITIALIZED;
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    return *context = &the_context, CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(Handle *context) { return *context = current_context, CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(Handle context) { return current_context = context, CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice *device) { return answer(device, 0); }
CUresult cuCtxSynchronize() { return current_context != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT; }
CUresult cuCtxSetFlags(unsigned) { return CUDA_SUCCESS; }
CUresult cuCtxSetLimit(int, std::size_t) { return CUDA_SUCCESS; }
CUresult cuCtxSetCacheConfig(int) { return CUDA_SUCCESS; }
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, answer(greatest, 0); }

CUresult cuStreamCreate(Handle *stream, unsigned) { return *stream = new int(0), CUDA_SUCCESS; }
CUresult cuStreamCreateWithPriority(Handle *stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
CUresult cuStreamDestroy_v2(Handle stream) { return delete static_cast<int *>(stream), CUDA_SUCCESS; }
CUresult cuStreamSynchronize(Handle) { return CUDA_SUCCESS; }
CUresult cuStreamQuery(Handle) { return CUDA_SUCCESS; }
CUresult cuStreamWaitEvent(Handle, Handle event, unsigned) { return event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult cuStreamIsCapturing(Handle, int *status) { return answer(status, 0); }
CUresult cuLaunchHostFunc(Handle, void (*function)(void *), void *data) { return function(data), CUDA_SUCCESS; }

CUresult cuEventCreate(Handle *event, unsigned flags) {
    auto *created = new Event();
    created->timed = (flags & EVENT_DISABLE_TIMING) == 0;
    return *event = created, CUDA_SUCCESS;
}
CUresult cuEventDestroy_v2(Handle event) { return delete static_cast<Event *>(event), CUDA_SUCCESS; }
CUresult cuEventRecord(Handle event, Handle) {
    auto *recorded = static_cast<Event *>(event);
    if (recorded == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    recorded->time = Clock::now();
    recorded->recorded = true;
    return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(Handle event) { return event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult cuEventQuery(Handle event) { return event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }
CUresult cuEventElapsedTime_v2(float *milliseconds, Handle start, Handle end) {
    const auto *from = static_cast<const Event *>(start), *to = static_cast<const Event *>(end);
    if (!from || !to || !from->timed || !to->timed || !from->recorded || !to->recorded) return CUDA_ERROR_INVALID_HANDLE;
    *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
    return CUDA_SUCCESS;
}
CUresult cuEventElapsedTime(float *milliseconds, Handle start, Handle end) {
    return cuEventElapsedTime_v2(milliseconds, start, end);
}

CUresult cuModuleLoadData(Handle *module, const void *image) {
    if (!emulator::card_enabled()) return CUDA_ERROR_NOT_INITIALIZED;
    if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return *module = &the_module, CUDA_SUCCESS;
}
CUresult cuModuleLoadDataEx(Handle *module, const void *image, unsigned, void *, void **) {
    return cuModuleLoadData(module, image);
}
CUresult cuModuleLoad(Handle *module, const char *path) { return cuModuleLoadData(module, path); }
CUresult cuModuleUnload(Handle) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(Handle *function, Handle, const char *name) {
    const emulator::Launcher launcher = emulator::find_kernel(name);
    if (launcher == nullptr) {
        std::fprintf(stderr, "emulated card: no kernel %s\n", name);
        return CUDA_ERROR_NOT_FOUND;
    }
    // Functions live as long as the program, as handles to them may.
    static std::mutex lock;
    static std::map<std::string, Function> functions;
    std::lock_guard<std::mutex> guard(lock);
    *function = &functions.emplace(name, Function{name, launcher}).first->second;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, int attribute, Handle) {
    if (attribute == 0) return answer(value, 1024);                   // threads per block
    if (attribute == 4) return answer(value, 32);                     // registers
    if (attribute == 5 || attribute == 6) return answer(value, 90);   // versions of PTX and code
    return answer(value, 0);
}
CUresult cuFuncSetAttribute(Handle, int, int) { return CUDA_SUCCESS; }
CUresult cuFuncSetCacheConfig(Handle, int) { return CUDA_SUCCESS; }
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, Handle, int threads, std::size_t, unsigned) {
    return threads > 0 ? answer(blocks, 2048 / threads) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Handle function, int threads, std::size_t shared) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared, 0);
}

CUresult cuLaunchKernel(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, Handle, void **params, void **extra) {
    if (extra != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    return launch(function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, params);
}

struct LaunchConfig {
    unsigned grid[3], block[3], shared;
    Handle stream;
    void *attributes;
    unsigned attribute_count;
};
CUresult cuLaunchKernelEx(const LaunchConfig *config, Handle function, void **params, void **extra) {
    if (config == nullptr || extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto &[grid, block, shared, stream, attributes, attribute_count] = *config;
    return launch(function, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared, params);
}

}  // extern "C"
