// Kernel launches on the CPU: the table of kernels by name, and the three ways to run one.
//
// A kernel's parameter types are taken from its function type, so that the launcher can read each
// argument from the pointers that cuLaunchKernel is given. Any trivially copyable type works.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace emulator {

struct Dim {
    unsigned x, y, z;
    std::size_t count() const { return static_cast<std::size_t>(x) * y * z; }
};

struct Launch {
    Dim grid, block;
    void **params;
};

using Launcher = void (*)(const Launch &);

// The indices that kernels read. One launch runs at a time, and within it one thread.
extern Dim threadIdx, blockIdx, blockDim, gridDim;

// Adds a kernel to the table; the value serves as initialiser of a static variable.
bool add_kernel(const char *name, Launcher launcher);
Launcher find_kernel(const char *name);

// Runs a launch. One launch runs at a time.
void run(Launcher launcher, const Launch &launch);

// The barrier of a block's threads (kernels of REGISTER_BLOCK only).
void sync_block();

// Runs `call(params)` once for each thread of the block, every thread as a fiber.
void run_fibers(void (*call)(void **), void **params);

template <auto Kernel>
struct Call;

template <typename... Args, void (*Kernel)(Args...)>
struct Call<Kernel> {
    static_assert((std::is_trivially_copyable_v<Args> && ...), "kernel arguments are copied bytes");

    template <std::size_t... I>
    static std::tuple<Args...> read(void **params, std::index_sequence<I...>) {
        return std::tuple<Args...>(*static_cast<const Args *>(params[I])...);
    }
    static std::tuple<Args...> read(void **params) {
        return read(params, std::index_sequence_for<Args...>());
    }
    static void once(void **params) { std::apply(Kernel, read(params)); }
};

template <typename Body>
void for_each_index(const Dim &size, Dim &index, Body body) {
    for (index.z = 0; index.z < size.z; ++index.z)
        for (index.y = 0; index.y < size.y; ++index.y)
            for (index.x = 0; index.x < size.x; ++index.x) body();
}

// Threads that do not communicate: nested loops over blocks and threads.
template <auto Kernel>
void launch_plain(const Launch &launch) {
    const auto args = Call<Kernel>::read(launch.params);
    for_each_index(launch.grid, blockIdx, [&] {
        for_each_index(launch.block, threadIdx, [&] { std::apply(Kernel, args); });
    });
}

// Threads that share memory and wait at barriers: one block after the other, its threads as fibers.
template <auto Kernel>
void launch_block(const Launch &launch) {
    for_each_index(launch.grid, blockIdx, [&] { run_fibers(&Call<Kernel>::once, launch.params); });
}

// A function that does the work of the whole grid in one call.
template <auto Kernel>
void launch_whole(const Launch &launch) {
    Call<Kernel>::once(launch.params);
}

}  // namespace emulator
