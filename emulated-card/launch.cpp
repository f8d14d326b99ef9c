// The kernel table and the fibers that stand for the threads of a block.
//
// A fiber is started once with ucontext and then kept: it waits in a loop for the next block, so that
// a launch of many blocks does not set up stacks again. Switches use _setjmp/_longjmp, which unlike
// swapcontext make no system call.
#include "launch.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace emulator {

Dim threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr std::size_t STACK_BYTES = 64 * 1024;
constexpr unsigned MAX_THREADS = 1024;

enum class Status { Done, Ready, Waiting };

struct Fiber {
    ucontext_t start;
    jmp_buf state;
    Dim index;
    Status status = Status::Done;
    bool started = false;
};

std::vector<Fiber *> fibers;
unsigned running = MAX_THREADS;
jmp_buf scheduler;
void (*job)(void **) = nullptr;
void **job_params = nullptr;

[[noreturn]] void stop(const char *message) {
    std::fprintf(stderr, "emulated card: %s\n", message);
    std::abort();
}

std::map<std::string, Launcher> &table() {
    static std::map<std::string, Launcher> kernels;
    return kernels;
}

void fiber_main() {
    for (;;) {
        job(job_params);
        Fiber *self = fibers[running];
        self->status = Status::Done;
        if (_setjmp(self->state) == 0) _longjmp(scheduler, 1);
    }
}

Fiber *new_fiber() {
    auto *fiber = new Fiber();
    void *stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || getcontext(&fiber->start) != 0) stop("no memory for a thread's stack");
    fiber->start.uc_stack.ss_sp = stack;
    fiber->start.uc_stack.ss_size = STACK_BYTES;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, &fiber_main, 0);
    return fiber;
}

// Runs one fiber until it waits or ends. Nothing local lives across the switch.
void resume(unsigned thread) {
    running = thread;
    threadIdx = fibers[thread]->index;
    if (_setjmp(scheduler) == 0) {
        Fiber *fiber = fibers[running];
        if (fiber->started) _longjmp(fiber->state, 1);
        fiber->started = true;
        setcontext(&fiber->start);
    }
    running = MAX_THREADS;
}

// Lets all waiting threads go on. False if none waits.
bool release(unsigned threads) {
    unsigned waiting = 0;
    for (unsigned t = 0; t < threads; ++t)
        if (fibers[t]->status == Status::Waiting) fibers[t]->status = Status::Ready, ++waiting;
    return waiting > 0;
}

}  // namespace

bool add_kernel(const char *name, Launcher launcher) {
    if (!table().emplace(name, launcher).second)
        std::fprintf(stderr, "emulated card: kernel %s is registered twice\n", name);
    return true;
}

Launcher find_kernel(const char *name) {
    auto found = table().find(name);
    return found == table().end() ? nullptr : found->second;
}

void run(Launcher launcher, const Launch &launch) {
    static std::mutex lock;
    std::lock_guard<std::mutex> guard(lock);
    gridDim = launch.grid;
    blockDim = launch.block;
    launcher(launch);
}

void sync_block() {
    if (running == MAX_THREADS)
        stop("a kernel with a barrier was registered by REGISTER; it needs REGISTER_BLOCK");
    Fiber *self = fibers[running];
    self->status = Status::Waiting;
    if (_setjmp(self->state) == 0) _longjmp(scheduler, 1);
}

void run_fibers(void (*call)(void **), void **params) {
    job = call;
    job_params = params;
    const auto threads = static_cast<unsigned>(blockDim.count());
    while (fibers.size() < threads) fibers.push_back(new_fiber());
    unsigned next = 0;
    for_each_index(blockDim, threadIdx, [&] {
        fibers[next]->index = threadIdx;
        fibers[next++]->status = Status::Ready;
    });
    // As on the card, threads that have ended are not waited for.
    do {
        for (unsigned t = 0; t < threads; ++t)
            if (fibers[t]->status == Status::Ready) resume(t);
    } while (release(threads));
}

}  // namespace emulator
