// SPDX-License-Identifier: MIT
#include "adapters/cuda_emulator/machine.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adapters/cuda_emulator/shadow.hpp"

// The linker's names for the writable statics of the program: `__shared__` is `static`, so in a kernel they are shared memory.
extern "C" char __data_start[], _end[], __executable_start[];

namespace cuda_emulator {

namespace {

constexpr std::size_t stack_size = 256 * 1024;

/// While the emulator itself works. What it shares with instrumented code, such as members of std::map, the linker keeps
/// once, and may keep announced.
constinit bool busy = false;

class own_work {
 public:
  own_work() { busy = true; }
  own_work(own_work const&) = delete;
  own_work& operator=(own_work const&) = delete;
  ~own_work() { busy = before_; }

 private:
  bool before_ = busy;
};

enum class doing : std::uint8_t { ready, at_barrier, in_warp, ended };

struct fiber {
  ucontext_t context;
  char* stack = nullptr;
  doing what = doing::ended;
  site at{"", 0};
  // In an operation of a warp.
  char const* operation = "";
  std::uint32_t mask = 0;
  std::uint64_t value = 0;
  bool orders_memory = false;
  lanes given;
};

constinit fiber* running = nullptr;

struct machine {
  counters counted;
  device_memory memory;
  std::vector<std::unique_ptr<fiber>> fibers;
  std::unordered_map<std::uintptr_t, traces> shared;
  std::vector<std::uint32_t> warp_syncs;
  ucontext_t scheduler;
  void (*body)(void const*) = nullptr;
  index3 grid, block, block_at;
  moment now;
  char const* parameters = nullptr;
  std::size_t parameters_size = 0;
  std::string broken;      // what a thread did wrong
  std::string host_fault;  // what the host did wrong
  std::exception_ptr thrown;
};

machine& on() {
  static machine one;
  return one;
}

std::string at(site where) { return std::string(where.file) + ":" + std::to_string(where.line); }

std::string here() {
  return "block " + std::to_string(on().now.block) + ", thread " + std::to_string(on().now.thread);
}

/// Ends the kernel: a thread's stack cannot be left by an exception, so the scheduler throws.
void stop(std::string const& sentence) {
  machine& m = on();
  if (running == nullptr) throw violation(sentence);
  m.broken = here() + " " + sentence;
  running->what = doing::ended;
  swapcontext(&running->context, &m.scheduler);
}

void yield() { swapcontext(&running->context, &on().scheduler); }

void run_thread() {
  machine& m = on();
  void (*const body)(void const*) = m.body;
  void const* const parameters = m.parameters;
  try {
    busy = false;
    body(parameters);
    busy = true;
  } catch (...) {
    busy = true;
    m.thrown = std::current_exception();
  }
  running->what = doing::ended;
  swapcontext(&running->context, &m.scheduler);
}

void start(fiber& f) {
  if (f.stack == nullptr) {
    void* const room = mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) throw violation("no memory for the stack of a thread");
    f.stack = static_cast<char*>(room);
  }
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = stack_size;
  f.context.uc_link = nullptr;
  makecontext(&f.context, run_thread, 0);
  f.what = doing::ready;
}

std::string describe(std::size_t thread, fiber const& f) {
  std::string const who = "thread " + std::to_string(thread);
  if (f.what == doing::ended) return who + " has ended";
  if (f.what == doing::at_barrier) return who + " waits at the barrier of " + at(f.at);
  return who + " waits in " + f.operation + " of " + at(f.at);
}

/// Lets the lanes of a warp go that have all come to one operation.
bool release_warp(std::size_t warp, std::size_t threads) {
  machine& m = on();
  std::size_t const first = warp * 32;
  std::size_t const lanes_here = std::min<std::size_t>(32, threads - first);
  bool released = false;
  for (std::size_t lane = 0; lane < lanes_here; ++lane) {
    fiber const& leader = *m.fibers[first + lane];
    if (leader.what != doing::in_warp) continue;
    lanes all;
    bool complete = true;
    for (std::size_t other = 0; other < lanes_here; ++other) {
      if ((leader.mask >> other & 1u) == 0) continue;
      fiber const& f = *m.fibers[first + other];
      complete = complete && f.what == doing::in_warp && f.mask == leader.mask &&
                 f.at == leader.at && std::string(f.operation) == leader.operation;
      all.value[other] = f.value;
      all.mask |= 1u << other;
    }
    if (!complete) continue;
    if (leader.orders_memory) ++m.warp_syncs[warp];
    for (std::size_t other = 0; other < lanes_here; ++other) {
      if ((all.mask >> other & 1u) == 0) continue;
      fiber& f = *m.fibers[first + other];
      f.given = all;
      f.given.self = static_cast<unsigned>(other);
      f.what = doing::ready;
    }
    released = true;
  }
  return released;
}

void check_what_happened() {
  machine& m = on();
  running = nullptr;
  if (m.thrown) std::rethrow_exception(std::exchange(m.thrown, nullptr));
  if (!m.broken.empty()) throw violation(std::exchange(m.broken, ""));
}

void run_block(std::size_t threads) {
  machine& m = on();
  m.shared.clear();
  m.now.barriers = 0;
  m.warp_syncs.assign((threads + 31) / 32, 0);
  while (m.fibers.size() < threads) m.fibers.push_back(std::make_unique<fiber>());
  for (std::size_t t = 0; t < threads; ++t) start(*m.fibers[t]);
  for (;;) {
    bool moved = false;
    for (std::size_t t = 0; t < threads; ++t) {
      fiber& f = *m.fibers[t];
      if (f.what != doing::ready) continue;
      running = &f;
      m.now.thread = static_cast<std::uint32_t>(t);
      m.now.warp_syncs = m.warp_syncs[t / 32];
      swapcontext(&m.scheduler, &f.context);
      check_what_happened();
      moved = true;
    }
    for (std::size_t w = 0; w * 32 < threads; ++w) moved = release_warp(w, threads) || moved;
    if (moved) continue;
    std::size_t ended = 0;
    std::size_t waiting = 0;
    fiber const& first = *m.fibers[0];
    std::size_t odd = threads;  // who does something else than the first
    for (std::size_t t = 0; t < threads; ++t) {
      fiber const& f = *m.fibers[t];
      if (f.what == doing::ended) ++ended;
      if (f.what == doing::at_barrier && f.at == first.at) ++waiting;
      if (odd == threads && (f.what != first.what || !(f.at == first.at))) odd = t;
    }
    if (ended == threads) return;
    if (waiting != threads) {
      if (odd == threads) odd = 0;  // all wait alike, for a lane that is not there
      throw violation("block " + std::to_string(m.now.block) +
                      ": divergent: " + describe(0, first) + ", " + describe(odd, *m.fibers[odd]));
    }
    ++m.now.barriers;
    for (std::size_t t = 0; t < threads; ++t) m.fibers[t]->what = doing::ready;
  }
}

std::size_t volume(index3 of) {
  return std::size_t{of.x} * std::max(of.y, 1u) * std::max(of.z, 1u);
}

/// The traces of the two bytes at an address of shared memory.
void access_shared(std::uintptr_t at, std::size_t size, bool writes, bool atomic) {
  machine& m = on();
  for (std::uintptr_t two = at / 2; two <= (at + size - 1) / 2; ++two) {
    if (char const* const wrong = leave_trace(m.shared[two], m.now, writes, atomic)) {
      stop(std::string(wrong) + ", in shared memory");
      return;
    }
  }
}

std::string offset_in(device_memory::place const& place, void const* address) {
  auto const offset = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(address)) -
                      static_cast<std::ptrdiff_t>(place.begin);
  return "byte " + std::to_string(offset) + " of an allocation of " +
         std::to_string(place.in->size);
}

}  // namespace

void expect_good_host() {
  machine& m = on();
  if (!m.host_fault.empty()) throw violation(std::exchange(m.host_fault, ""));
}

counters& state() { return on().counted; }
bool in_kernel() { return running != nullptr; }
index3 thread_index() { return {on().now.thread, 0, 0}; }
index3 block_index() { return on().block_at; }
index3 block_size() { return on().block; }
index3 grid_size() { return on().grid; }

void launch(index3 grid, index3 block, void (*body)(void const*), void const* parameters,
            std::size_t size) {
  own_work const mine;
  machine& m = on();
  std::size_t const threads = volume(block);
  if (in_kernel()) throw violation("a kernel launches a kernel");
  expect_good_host();
  if (threads == 0 || threads > 1024 || block.y > 1 || block.z > 1) {
    throw violation("a block has 1 to 1024 threads, in one dimension here");
  }
  m.body = body;
  m.grid = grid;
  m.block = block;
  m.parameters = static_cast<char const*>(parameters);
  m.parameters_size = size;
  ++m.counted.launches;
  ++m.now.launch;
  std::uint32_t number = 0;
  for (unsigned y = 0; y < std::max(grid.y, 1u); ++y) {
    for (unsigned x = 0; x < grid.x; ++x) {
      m.block_at = {x, y, 0};
      m.now.block = number++;
      run_block(threads);
    }
  }
}

void block_barrier(site where) {
  own_work const mine;
  fiber& f = *running;
  f.what = doing::at_barrier;
  f.at = where;
  yield();
}

lanes exchange(char const* name, std::uint32_t mask, std::uint64_t value, site where,
               bool orders_memory) {
  own_work const mine;
  fiber& f = *running;
  if ((mask >> (on().now.thread % 32) & 1u) == 0) {
    stop(std::string("is not in the mask that it gives to ") + name);
  }
  f.what = doing::in_warp;
  f.at = where;
  f.operation = name;
  f.mask = mask;
  f.value = value;
  f.orders_memory = orders_memory;
  yield();
  return f.given;
}

std::uint64_t taken_from(lanes const& all, unsigned from, char const* name) {
  own_work const mine;
  if (from >= 32 || (all.mask >> from & 1u) == 0) {
    stop(std::string("takes the number of a lane that gives none, ") + std::to_string(from) +
         ", in " + name);
  }
  return all.value[from];
}

void access(void const* address, std::size_t size, bool writes, bool atomic) {
  // Most accesses are the host's, to its own memory.
  if (busy || (running == nullptr && !device_memory::contains(address))) return;
  own_work const mine;
  machine& m = on();
  auto const where = reinterpret_cast<std::uintptr_t>(address);
  if (running == nullptr) {
    auto const place = m.memory.find(address, size);
    // Code that the compiler takes for an access cannot throw: the next call of the runtime does.
    if (place.in != nullptr && m.host_fault.empty()) {
      m.host_fault = "the host " + std::string(writes ? "writes" : "reads") +
                     " memory of the device: " + offset_in(place, address);
    }
    return;
  }
  auto const stack = reinterpret_cast<std::uintptr_t>(running->stack);
  if (where >= stack && where < stack + stack_size) return;
  auto const place = m.memory.find(address, size);
  if (place.in != nullptr) {
    if (place.beside) {
      stop((writes ? "writes outside of an allocation: " : "reads outside of an allocation: ") +
           offset_in(place, address));
      return;
    }
    std::size_t const first = where - place.begin;
    for (std::size_t two = first / 2; two <= (first + size - 1) / 2; ++two) {
      if (char const* const wrong = leave_trace(place.in->of[two], m.now, writes, atomic)) {
        stop(std::string(wrong) + ", " + offset_in(place, address));
        return;
      }
    }
    return;
  }
  auto const in_program = [&](char const* begin, char const* end) {
    return where >= reinterpret_cast<std::uintptr_t>(begin) &&
           where < reinterpret_cast<std::uintptr_t>(end);
  };
  if (in_program(__data_start, _end)) return access_shared(where, size, writes, atomic);
  bool const constant = in_program(m.parameters, m.parameters + m.parameters_size) ||
                        in_program(__executable_start, __data_start);
  if (constant && !writes) return;
  if (m.memory.contains(address)) {
    stop(writes ? "writes memory that was given back" : "reads memory that was given back");
    return;
  }
  stop(writes ? "writes memory of the host" : "reads memory of the host");
}

void copy(void* to, void const* from, std::size_t size) { std::memcpy(to, from, size); }
void fill(void* to, int value, std::size_t size) { std::memset(to, value, size); }

void* allocate(std::size_t bytes) {
  own_work const mine;
  machine& m = on();
  if (bytes > m.counted.limit || m.counted.allocated > m.counted.limit - bytes) return nullptr;
  void* const made = m.memory.allocate(bytes);
  if (made != nullptr) m.counted.allocated += bytes;
  return made;
}

void* reserve(std::size_t bytes) {
  own_work const mine;
  return on().memory.reserve(bytes);
}

void allocate_at(void* address, std::size_t bytes) {
  own_work const mine;
  on().memory.allocate_at(address, bytes);
  on().counted.allocated += bytes;
}

bool is_allocated(void const* address) {
  own_work const mine;
  return on().memory.is_allocated(address);
}

bool release(void* address) {
  own_work const mine;
  auto const size = on().memory.release(address);
  if (size) on().counted.allocated -= *size;
  return size.has_value();
}

namespace {

device_memory::place expect_range(void const* address, std::size_t size) {
  expect_good_host();
  auto const place = on().memory.find(address, size);
  if (place.in != nullptr && place.beside) {
    throw violation("a copy leaves its allocation: " + offset_in(place, address) + ", " +
                    std::to_string(size) + " bytes");
  }
  return place;
}

}  // namespace

void written_from_outside(void const* address, std::size_t size) {
  own_work const mine;
  auto const place = expect_range(address, size);
  if (place.in == nullptr || size == 0) return;
  std::size_t const first = reinterpret_cast<std::uintptr_t>(address) - place.begin;
  for (std::size_t two = first / 2; two <= (first + size - 1) / 2; ++two) {
    place.in->of[two] = traces{};
    place.in->of[two].written = true;
  }
}

void read_from_outside(void const* address, std::size_t size) {
  own_work const mine;
  auto const place = expect_range(address, size);
  if (place.in == nullptr || size == 0) return;
  std::size_t const first = reinterpret_cast<std::uintptr_t>(address) - place.begin;
  for (std::size_t two = first / 2; two <= (first + size - 1) / 2; ++two) {
    if (!place.in->of[two].written) {
      throw violation("a copy reads what nobody has written: " + offset_in(place, address));
    }
  }
}

void copy_watched(void* to, void const* from, std::size_t size) {
  read_from_outside(from, size);
  written_from_outside(to, size);
  copy(to, from, size);
}

}  // namespace cuda_emulator
