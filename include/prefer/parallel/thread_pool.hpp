// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1 {

/// Threads that the calling process can run at once, as far as the system says; at least 1.
[[nodiscard]] inline unsigned available_threads() noexcept {
  unsigned const reported = std::thread::hardware_concurrency();
  return reported == 0 ? 1 : reported;
}

/// Worker threads for executor::for_each_chunk. `thread_pool pool{2}` is the caller and one worker.
///
///   thread_pool pool{4};
///   pool.executor().for_each_chunk(chunks, [&](std::size_t chunk) { ... });
///
/// The caller takes part and waits only for workers that have joined in, so a worker that the system does not schedule
/// delays nothing. Idle workers look for work for `spin`, then until `patience` is over while they give way to others, and
/// then sleep, because to wake one takes longer than a small chunk. A call from inside a chunk, or from a second thread while
/// the pool is busy, runs serially on the thread that makes it.
///
/// Errors  precondition_error for zero threads; backend_error when the system refuses a thread. An exception of a chunk
///         reaches the caller: the one of the lowest chunk that threw, as in a serial run.
/// Needs   a build with exceptions; everything else in the core does without.
class thread_pool {
 public:
  static constexpr std::chrono::nanoseconds spin = std::chrono::microseconds(5);
  static constexpr std::chrono::nanoseconds patience = std::chrono::microseconds(200);
  static constexpr unsigned most_threads = 1024;

  explicit thread_pool(unsigned threads = available_threads()) {
    expects(threads >= 1, "thread_pool: threads must be at least 1, the calling thread");
    expects(threads <= most_threads, "thread_pool: threads must be at most 1024");
    workers_.reserve(threads - 1);
    try {
      while (workers_.size() + 1 < threads) workers_.emplace_back([this] { work(); });
    } catch (std::system_error const& error) {
      stop();
      detail::fail(backend_error("thread_pool", "thread " + std::to_string(workers_.size() + 2),
                                 std::string("cannot start: ") + error.what()));
    }
  }
  thread_pool(thread_pool const&) = delete;
  thread_pool& operator=(thread_pool const&) = delete;
  ~thread_pool() { stop(); }

  [[nodiscard]] unsigned concurrency() const noexcept {
    return static_cast<unsigned>(workers_.size()) + 1;
  }

  /// Valid as long as the pool; a pool of one gives the serial executor.
  [[nodiscard]] prefer::executor executor() noexcept {
    return workers_.empty() ? prefer::executor() : prefer::executor(this, &run, concurrency());
  }

 private:
  // state_ is [generation | stopping | open | joined]. The job may be written only while it is closed and nobody is
  // joined. A worker joins by a compare-and-swap on an open state, which is also what shows it the job; should the
  // generation wrap around meanwhile, the worker joins or misses a job, and either is harmless.
  static constexpr std::uint32_t one_joined = 1;
  static constexpr std::uint32_t joined_mask = 0xfff;
  static constexpr std::uint32_t open = 0x1000;
  static constexpr std::uint32_t stopping = 0x2000;
  static constexpr std::uint32_t one_generation = 0x4000;
  static_assert(most_threads < joined_mask);

  struct job {
    executor::chunk_function body = nullptr;
    void* work = nullptr;
    std::size_t chunks = 0;
  };

  static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  // Returns the first state for which `done` holds: looks for a while, then gives way, then sleeps between changes.
  template <class Done>
  std::uint32_t wait_until(Done done) noexcept {
    auto state = state_.load(std::memory_order_acquire);
    if (done(state)) return state;
    auto const begin = std::chrono::steady_clock::now();
    for (auto waited = spin - spin; waited < patience;
         waited = std::chrono::steady_clock::now() - begin) {
      if (waited >= spin) std::this_thread::yield();
      for (int i = 0; i != 8; ++i) {
        pause();
        state = state_.load(std::memory_order_acquire);
        if (done(state)) return state;
      }
    }
    while (!done(state)) {
      state_.wait(state, std::memory_order_acquire);
      state = state_.load(std::memory_order_acquire);
    }
    return state;
  }

  static void run(void* pool, std::size_t chunks, executor::chunk_function body, void* work) {
    static_cast<thread_pool*>(pool)->run(job{body, work, chunks});
  }

  void run(job const& next) {
    if (busy_.exchange(true, std::memory_order_acquire)) {
      for (std::size_t chunk = 0; chunk != next.chunks; ++chunk) next.body(next.work, chunk);
      return;
    }
    job_ = next;
    next_chunk_.store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    state_.fetch_add(one_generation + open, std::memory_order_seq_cst);
    state_.notify_all();

    run_chunks();

    state_.fetch_sub(open, std::memory_order_acq_rel);
    wait_until([](std::uint32_t state) { return (state & joined_mask) == 0; });

    std::exception_ptr error;
    error.swap(error_);
    busy_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
  }

  // Chunks are handed out in ascending order and a chunk that was handed out is run, so whichever chunk fails first in
  // time, every lower one has run or is running: the lowest failing chunk is the same in every run.
  void run_chunks() noexcept {
    while (!failed_.load(std::memory_order_relaxed)) {
      std::size_t const chunk = next_chunk_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= job_.chunks) return;
      try {
        job_.body(job_.work, chunk);
      } catch (...) {
        keep(std::current_exception(), chunk);
      }
    }
  }

  void keep(std::exception_ptr error, std::size_t chunk) noexcept {
    while (error_lock_.exchange(true, std::memory_order_acquire)) pause();
    if (!error_ || chunk < error_chunk_) {
      error_.swap(error);
      error_chunk_ = chunk;
    }
    error_lock_.store(false, std::memory_order_release);
    failed_.store(true, std::memory_order_relaxed);
  }

  void work() noexcept {
    std::uint32_t seen = 0;
    for (;;) {
      auto state = wait_until([seen](std::uint32_t now) {
        return (now & stopping) != 0 || ((now & open) != 0 && generation(now) != seen);
      });
      if ((state & stopping) != 0) return;
      if (!state_.compare_exchange_weak(state, state + one_joined, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
        continue;
      }
      seen = generation(state);
      run_chunks();
      auto const before = state_.fetch_sub(one_joined, std::memory_order_acq_rel);
      if ((before & joined_mask) == one_joined && (before & open) == 0) state_.notify_all();
    }
  }

  static constexpr std::uint32_t generation(std::uint32_t state) noexcept {
    return state / one_generation;
  }

  void stop() noexcept {
    state_.fetch_or(stopping, std::memory_order_seq_cst);
    state_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  // One cache line each for what idle workers look at and what busy ones write.
  alignas(64) std::atomic<std::uint32_t> state_ = 0;
  alignas(64) std::atomic<std::size_t> next_chunk_ = 0;
  alignas(64) std::atomic<bool> failed_ = false;
  job job_;
  std::atomic<bool> busy_ = false;
  std::atomic<bool> error_lock_ = false;
  std::exception_ptr error_;
  std::size_t error_chunk_ = 0;
  std::vector<std::thread> workers_;  // last: a worker uses every other member
};

}  // namespace prefer::inline v0_1
