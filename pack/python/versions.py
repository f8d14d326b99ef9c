"""Prints as JSON what the driver and the libraries say of themselves: versions and cards.

usage: versions.py '{"libcuda.so.1": "/path/libcuda.so.1", ...}'
A process of its own, since a library that does not fit may end it.
"""

import ctypes
import json
import sys

MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...


def dotted(number, major, minor):
    return f"{number // major}.{number % major // minor}"


def driver(file):
    cuda = ctypes.CDLL(file)
    code = cuda.cuInit(0)
    version = ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    supports = dotted(version.value, 1000, 10)
    if code != 0:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(code, ctypes.byref(text))
        reason = (text.value or b"unknown").decode()
        return {"error": f"the NVIDIA driver (CUDA {supports}) does not start: error {code}, {reason}. `nvidia-smi` tells "
                         f"whether there is a card; error 803 means that {file} belongs to another driver version"}
    count = ctypes.c_int(0)
    cuda.cuDeviceGetCount(ctypes.byref(count))
    cards = []
    for number in range(count.value):
        device, name, memory = ctypes.c_int(0), ctypes.create_string_buffer(256), ctypes.c_size_t(0)
        cuda.cuDeviceGet(ctypes.byref(device), number)
        cuda.cuDeviceGetName(name, 256, device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        attribute = []
        for which in (MAJOR, MINOR):
            value = ctypes.c_int(0)
            cuda.cuDeviceGetAttribute(ctypes.byref(value), which, device)
            attribute.append(str(value.value))
        cards.append({"name": name.value.decode(errors="replace"), "compute": ".".join(attribute),
                      "memory_mib": memory.value >> 20})
    return {"driver_supports": supports, "cards": cards}


def library(soname, file):
    """The version of a library as text, None if it does not tell."""
    loaded = ctypes.CDLL(file)
    if soname.startswith("libcudnn.so"):
        loaded.cudnnGetVersion.restype = ctypes.c_size_t
        number = loaded.cudnnGetVersion()
        return f"{number // 10000}.{number % 10000 // 100}.{number % 100}" if number else None
    if soname.startswith("libcublas.so"):
        parts = []
        for which in range(3):
            value = ctypes.c_int(0)
            if loaded.cublasGetProperty(which, ctypes.byref(value)) != 0:
                return None
            parts.append(str(value.value))
        return ".".join(parts)
    if soname.startswith("libnvrtc.so"):
        major, minor = ctypes.c_int(0), ctypes.c_int(0)
        return f"{major.value}.{minor.value}" if loaded.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)) == 0 else None
    return None


def main():
    files = json.loads(sys.argv[1])
    said = {"driver_supports": None, "cards": []}
    if "libcuda.so.1" in files:
        said = driver(files["libcuda.so.1"])
    said["libraries"], said["files"] = {}, files
    if "error" not in said:
        for soname, file in files.items():
            if soname != "libcuda.so.1":
                said["libraries"][soname] = library(soname, file)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
