// SPDX-License-Identifier: MIT
//
// Counts what the program allocates: `new` and `delete` of the whole program, over malloc.
#include "heap.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace sweep {

namespace {

thread_local constinit heap_use of_this_thread = {};

// The size stands before the block, at as much room as keeps the block aligned.
constexpr std::size_t usual_room = alignof(std::max_align_t);
static_assert(usual_room >= sizeof(std::size_t));

void* take(std::size_t size, std::size_t room) {
  if (size > static_cast<std::size_t>(PTRDIFF_MAX)) throw std::bad_alloc();
  std::size_t const whole = (size + 2 * room - 1) / room * room;
  void* const block = room > usual_room ? std::aligned_alloc(room, whole) : std::malloc(whole);
  if (block == nullptr) throw std::bad_alloc();
  *static_cast<std::size_t*>(block) = size;
  auto& use = of_this_thread;
  use.held += static_cast<std::int64_t>(size);
  use.most = std::max(use.most, use.held);
  return static_cast<std::byte*>(block) + room;
}

void give_back(void* at, std::size_t room) noexcept {
  if (at == nullptr) return;
  void* const block = static_cast<std::byte*>(at) - room;
  of_this_thread.held -= static_cast<std::int64_t>(*static_cast<std::size_t*>(block));
  std::free(block);
}

std::size_t room_of(std::align_val_t alignment) noexcept {
  return std::max(static_cast<std::size_t>(alignment), usual_room);
}

}  // namespace

heap_use& heap_of_this_thread() noexcept { return of_this_thread; }

}  // namespace sweep

// Of the replaceable functions those that the library's others call; sizes are known here, and what is sized goes the same way.
void* operator new(std::size_t size) { return sweep::take(size, sweep::usual_room); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return sweep::take(size, sweep::room_of(alignment));
}
void operator delete(void* at) noexcept { sweep::give_back(at, sweep::usual_room); }
void operator delete(void* at, std::size_t) noexcept { sweep::give_back(at, sweep::usual_room); }
void operator delete(void* at, std::align_val_t alignment) noexcept {
  sweep::give_back(at, sweep::room_of(alignment));
}
void operator delete(void* at, std::size_t, std::align_val_t alignment) noexcept {
  sweep::give_back(at, sweep::room_of(alignment));
}
