// Types and error codes of the driver interface that the emulated card uses.
#pragma once

#include <cstddef>
#include <cstdint>

#include "card.h"

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = uint64_t;
using Handle = void *;  // contexts, streams, modules, functions, pools

enum : CUresult {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_SUPPORTED = 801,
};
