// What the emulated libraries share: whether the card is switched on, and a loop over two or more
// CPU threads for the heavy routines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace emulator {

// The stub libraries report that there is no card unless EMULATED_NVIDIA_CARD is 1.
inline bool card_enabled() {
    const char *value = std::getenv("EMULATED_NVIDIA_CARD");
    return value != nullptr && std::strcmp(value, "1") == 0;
}

// Calls `body(i)` for every i below `count`. `work` is a rough number of operations in all; a small
// job stays on the calling thread, where starting threads would cost more than it saves. Each i runs
// on one thread only, so results do not depend on the number of threads.
template <typename Body>
void parallel_for(std::size_t count, double work, Body body) {
    std::size_t threads = std::max(1u, std::thread::hardware_concurrency());
    threads = std::min({threads, count, static_cast<std::size_t>(8)});
    if (threads < 2 || work < 1e6) {
        for (std::size_t i = 0; i < count; ++i) body(i);
        return;
    }
    auto part = [&](std::size_t t) {
        for (std::size_t i = t; i < count; i += threads) body(i);
    };
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < threads; ++t) others.emplace_back(part, t);
    part(0);
    for (auto &thread : others) thread.join();
}

}  // namespace emulator
