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
constexpr unsigned WARP = 32;

enum class Status { Done, Ready, AtWarp, AtBlock };

struct Fiber {
    ucontext_t start;
    jmp_buf state;
    Dim index;
    Status status = Status::Done;
    bool started = false;
};

std::vector<Fiber *> fibers;
unsigned live_threads = 0;  // size of the block that runs now
unsigned running = MAX_THREADS;
jmp_buf scheduler;
void (*job)(void **) = nullptr;
void **job_params = nullptr;
alignas(16) unsigned char slots[MAX_THREADS][16];

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

void wait_as(Status status) {
    if (running == MAX_THREADS)
        stop("a kernel with a barrier was registered by REGISTER; it needs REGISTER_BLOCK");
    Fiber *self = fibers[running];
    self->status = status;
    if (_setjmp(self->state) == 0) _longjmp(scheduler, 1);
}

// Lets the threads from `begin` to `end` go on if all of them that have not ended wait at `barrier`.
bool release(unsigned begin, unsigned end, Status barrier) {
    unsigned waiting = 0;
    for (unsigned t = begin; t < end; ++t) {
        if (fibers[t]->status == barrier)
            ++waiting;
        else if (fibers[t]->status != Status::Done)
            return false;
    }
    for (unsigned t = begin; t < end; ++t)
        if (fibers[t]->status == barrier) fibers[t]->status = Status::Ready;
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

bool run(Launcher launcher, const Launch &launch) {
    static std::mutex lock;
    std::lock_guard<std::mutex> guard(lock);
    gridDim = launch.grid;
    blockDim = launch.block;
    try {
        launcher(launch);
    } catch (const DeviceAssert &) {
        return false;
    }
    return true;
}

void sync_block() { wait_as(Status::AtBlock); }
void sync_warp() { wait_as(Status::AtWarp); }

unsigned linear_thread() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
void *exchange_slot(unsigned thread) { return thread < live_threads ? slots[thread] : nullptr; }

void run_fibers(void (*call)(void **), void **params) {
    job = call;
    job_params = params;
    live_threads = static_cast<unsigned>(blockDim.count());
    while (fibers.size() < live_threads) fibers.push_back(new_fiber());
    unsigned next = 0;
    for_each_index(blockDim, threadIdx, [&] {
        fibers[next]->index = threadIdx;
        fibers[next++]->status = Status::Ready;
    });
    for (;;) {
        bool ended = true;
        for (unsigned t = 0; t < live_threads; ++t)
            if (fibers[t]->status == Status::Ready) resume(t);
        bool released = false;
        for (unsigned t = 0; t < live_threads; t += WARP)
            released |= release(t, t + WARP < live_threads ? t + WARP : live_threads, Status::AtWarp);
        if (released) continue;
        if (release(0, live_threads, Status::AtBlock)) continue;
        for (unsigned t = 0; t < live_threads; ++t) ended &= fibers[t]->status == Status::Done;
        if (ended) return;
        stop("the threads of a block wait for each other at different barriers");
    }
}

}  // namespace emulator
