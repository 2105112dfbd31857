// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

// What runs kernels on this processor: blocks one after another, their threads as fibers, with an eye on all that they
// read and write. cuda_runtime.h beside it gives it the words of CUDA.
//
// Sources with kernels are compiled with -fsanitize=thread and linked without its library: the compiler announces each
// access to memory, and access.cpp hands it to `access` below. One is not announced: that of a struct which a function returns
// straight into memory; our kernels give it a name first.

namespace cuda_emulator {

/// A kernel did what a device would not forgive, or would forgive by luck.
class violation : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

struct index3 {
  unsigned x = 0, y = 0, z = 0;
};

/// Where the source stands, for messages.
struct site {
  char const* file;
  unsigned line;

  friend bool operator==(site const& a, site const& b) {
    return a.line == b.line && std::string(a.file) == b.file;
  }
};

/// Runs `body(parameters)` once for each thread of each block; the `size` bytes of parameters are the kernel's to read.
///
/// Errors  violation, which names block and thread: a barrier that not all threads of a block reach; a lane in a mask
///         that does not come; a number from a lane that is not in the mask; an access outside of an allocation, to
///         memory of the host, or to what nobody has written; two threads at one number, one of them writing, without a
///         barrier between them (of different blocks: ever)
void launch(index3 grid, index3 block, void (*body)(void const*), void const* parameters,
            std::size_t size);

[[nodiscard]] bool in_kernel();
[[nodiscard]] index3 thread_index();
[[nodiscard]] index3 block_index();
[[nodiscard]] index3 block_size();
[[nodiscard]] index3 grid_size();

/// Waits for all threads of the block.
void block_barrier(site at);

/// What the lanes of a warp hand to each other.
struct lanes {
  std::array<std::uint64_t, 32> value{};
  std::uint32_t mask = 0;  // who has given one
  unsigned self = 0;
};
/// Waits for the lanes in `mask`. `name` says which operation, for messages; `orders_memory` is true of __syncwarp alone.
[[nodiscard]] lanes exchange(char const* name, std::uint32_t mask, std::uint64_t value, site at,
                             bool orders_memory = false);
/// The number that lane `from` has given.
[[nodiscard]] std::uint64_t taken_from(lanes const& all, unsigned from, char const* name);

/// An access that the compiler has announced, or an atomic one.
void access(void const* address, std::size_t size, bool writes, bool atomic = false);

// Memory of the device. Allocations are as far apart as it takes to tell an access beside one.
[[nodiscard]] void* allocate(std::size_t bytes);  // null beyond the limit
[[nodiscard]] bool release(void* address);        // false for what is no allocation
[[nodiscard]] bool is_allocated(void const* address);
/// An address where `allocate_at` allocates, as often as it was given back.
[[nodiscard]] void* reserve(std::size_t bytes);
void allocate_at(void* address, std::size_t bytes);
/// Marks what came from outside of kernels as written; refuses a range that leaves its allocation.
void written_from_outside(void const* address, std::size_t size);
void read_from_outside(void const* address, std::size_t size);
/// Copies from and to either side, and does both.
void copy_watched(void* to, void const* from, std::size_t size);
/// Throws what the host did wrong since the last call: it has touched memory of the device.
void expect_good_host();
// Without a word to anyone.
void copy(void* to, void const* from, std::size_t size);
void fill(void* to, int value, std::size_t size);

/// What tests ask and set.
struct counters {
  std::size_t allocated = 0;            // bytes, now
  std::size_t limit = ~std::size_t{0};  // bytes: allocations beyond it fail
  std::size_t synchronisations = 0;     // times that the host waited
  std::size_t launches = 0;
  int next_error = 0;  // what the next call of the runtime returns, once
};
[[nodiscard]] counters& state();

}  // namespace cuda_emulator
