// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1 {

/// A handle to something that runs chunks of work, perhaps on several threads; by default, the calling thread.
///
/// Two pointers and a number, passed by value; it does not own what it points to (a thread_pool outlives its
/// executors). Which thread runs which chunk is not specified, so a computation keeps its bits for every executor
/// exactly when its chunks are fixed by the problem and never by concurrency(), and no chunk reads what another writes.
///
/// Whoever brings another engine writes one function of type `run_function` that calls `body(work, chunk)` once for
/// every chunk in [0, chunks), returns when all are done, and rethrows the exception of the lowest chunk that threw.
class executor {
 public:
  using chunk_function = void (*)(void* work, std::size_t chunk);
  using run_function = void (*)(void* context, std::size_t chunks, chunk_function body, void* work);

  /// Runs every chunk on the calling thread, in ascending order.
  constexpr executor() noexcept = default;
  constexpr executor(void* context, run_function run, unsigned concurrency) noexcept
      : context_(context), run_(run), concurrency_(concurrency) {}

  /// Threads that take part at most, the caller included; 1 when serial.
  [[nodiscard]] constexpr unsigned concurrency() const noexcept { return concurrency_; }

  /// Calls `f(chunk)` once for every chunk in [0, chunks) and returns when all calls have returned.
  ///
  /// Errors  what a chunk throws is rethrown here, from the lowest chunk that threw; chunks above it may be left out
  template <class F>
  void for_each_chunk(std::size_t chunks, F&& f) const {
    if (run_ == nullptr || chunks < 2) {
      for (std::size_t chunk = 0; chunk != chunks; ++chunk) f(chunk);
      return;
    }
    // A function has no object address; a lambda that refers to it has.
    auto call = [&f](std::size_t chunk) { f(chunk); };
    using call_type = decltype(call);
    run_(
        context_, chunks,
        [](void* work, std::size_t chunk) { (*static_cast<call_type*>(work))(chunk); }, &call);
  }

  /// Cuts [0, size) into blocks of `block` elements, the last one shorter, and calls `f(begin, end)` for each.
  template <class F>
  void for_each_block(std::size_t size, std::size_t block, F&& f) const {
    expects(block != 0, "executor::for_each_block: block must be greater than zero");
    std::size_t const chunks = size / block + (size % block != 0 ? 1 : 0);
    for_each_chunk(chunks, [&f, size, block](std::size_t chunk) {
      std::size_t const begin = chunk * block;
      f(begin, size - begin < block ? size : begin + block);
    });
  }

 private:
  void* context_ = nullptr;
  run_function run_ = nullptr;
  unsigned concurrency_ = 1;
};

}  // namespace prefer::inline v0_1
