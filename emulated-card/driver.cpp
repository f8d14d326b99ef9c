// The driver: one device with one context; streams, whose work is done at once; modules, whose contents are ignored;
// and launches of the kernels that are compiled in.
#include "driver.h"

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "launch.h"

namespace {

struct Function {
    std::string name;
    emulator::Launcher launcher;
};

int the_context, the_module;
thread_local Handle current_context = nullptr;

// What is asked for: the compute capability, and whether the card has memory pools.
int device_attribute(int attribute) {
    constexpr int MAJOR = 75, MINOR = 76, POOLS = 115;
    return attribute == MAJOR ? 9 : attribute == MINOR ? 0 : attribute == POOLS ? 1 : 0;
}

// The CUDA version of the driver.
constexpr int VERSION = 13000;

// An event: when the work before it was done, which is when it is recorded.
using Event = std::chrono::steady_clock::time_point;

CUresult answer(int *out, int value) { return *out = value, CUDA_SUCCESS; }

CUresult launch(Handle function, emulator::Dim grid, emulator::Dim block, unsigned shared, void **params) {
    if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const bool grid_ok = grid.count() > 0 && grid.x <= 2147483647 && grid.y <= 65535 && grid.z <= 65535;
    const bool block_ok = block.count() > 0 && block.count() <= 1024 && block.z <= 64;
    if (!grid_ok || !block_ok || shared > (227 << 10)) return CUDA_ERROR_INVALID_VALUE;
    const auto *known = static_cast<const Function *>(function);
    return emulator::run(known->launcher, {grid, block, params}), CUDA_SUCCESS;
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
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
};

CUresult describe(CUresult code, const char **out, const char *Named::*field) {
    for (const Named &error : ERRORS)
        if (error.code == code) return *out = error.*field, CUDA_SUCCESS;
    return *out = nullptr, CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

extern "C" {

CUresult cuMemGetInfo_v2(std::size_t *free, std::size_t *total);

CUresult cuInit(unsigned) { return emulator::card_enabled() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
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

CUresult cuDriverGetVersion(int *version) { return answer(version, VERSION); }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    if (device != 0 || length <= 0) return CUDA_ERROR_INVALID_DEVICE;
    std::snprintf(name, length, "emulated card");
    return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem_v2(std::size_t *bytes, CUdevice device) {
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    std::size_t free;
    return cuMemGetInfo_v2(&free, bytes);
}

CUresult cuDevicePrimaryCtxRetain(Handle *context, CUdevice device) {
    if (!emulator::card_enabled()) return CUDA_ERROR_NOT_INITIALIZED;
    if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
    return *context = &the_context, CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(Handle *context) { return *context = current_context, CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(Handle context) { return current_context = context, CUDA_SUCCESS; }
CUresult cuCtxSynchronize() { return current_context != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT; }

CUresult cuStreamCreate(Handle *stream, unsigned) { return *stream = new int(0), CUDA_SUCCESS; }
CUresult cuStreamDestroy_v2(Handle stream) { return delete static_cast<int *>(stream), CUDA_SUCCESS; }
CUresult cuStreamSynchronize(Handle) { return CUDA_SUCCESS; }

CUresult cuEventCreate(Handle *event, unsigned) { return *event = new Event(), CUDA_SUCCESS; }
CUresult cuEventDestroy_v2(Handle event) { return delete static_cast<Event *>(event), CUDA_SUCCESS; }
CUresult cuEventSynchronize(Handle) { return CUDA_SUCCESS; }
CUresult cuEventRecord(Handle event, Handle) {
    if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    return *static_cast<Event *>(event) = std::chrono::steady_clock::now(), CUDA_SUCCESS;
}
CUresult cuEventElapsedTime_v2(float *milliseconds, Handle begin, Handle end) {
    if (begin == nullptr || end == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const auto passed = *static_cast<Event *>(end) - *static_cast<Event *>(begin);
    *milliseconds = std::chrono::duration<float, std::milli>(passed).count();
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(Handle *module, const void *image) {
    if (!emulator::card_enabled()) return CUDA_ERROR_NOT_INITIALIZED;
    if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return *module = &the_module, CUDA_SUCCESS;
}
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

CUresult cuLaunchKernel(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, Handle, void **params, void **extra) {
    if (extra != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    return launch(function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, params);
}

}  // extern "C"
