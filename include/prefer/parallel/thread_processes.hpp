// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

/// Threads that stand for processes, for tests of what runs on several: a Communicator for each of them.
///
///   prefer::thread_processes::run(4, [&](prefer::thread_processes::process const& process) {
///     my_policy policy = ...;  // each has its own, as processes would
///     prefer::trainer run(policy, loss, reference, data, options, {}, process);
///   });
///
/// Sums are taken in order of rank, in the type of the numbers. Every call copies what all have given: meant for small
/// problems, to show that several processes compute what one computes, and not to be fast.
///
/// Errors  what a body throws leaves `run`, the first in time; the others do not wait for it but get a backend_error
///         from the call in which they would. So they do for a process that has returned, or that gives another number
///         of elements
/// Needs   a build with exceptions
class thread_processes {
 public:
  /// One of them, as a handle: passed by value, valid as long as `run`.
  class process {
   public:
    [[nodiscard]] std::size_t rank() const { return rank_; }
    [[nodiscard]] std::size_t size() const { return all_->given_.size(); }
    void all_sum(std::span<double> values) const { sum(values); }
    void all_sum(std::span<float> values) const { sum(values); }
    void broadcast(std::span<std::byte> bytes, std::size_t from) const {
      expects(from < size(), "thread_processes::broadcast: there is no process of this rank");
      auto const given = all_->exchange(rank_, bytes);
      expect_as_many(given, bytes.size(), "thread_processes::broadcast");
      if (!bytes.empty()) std::memcpy(bytes.data(), given[from].data(), bytes.size());
    }
    [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
      std::vector<double> out;
      for (auto const& one : all_->exchange(rank_, std::as_bytes(mine))) {
        std::size_t const before = out.size();
        out.resize(before + one.size() / sizeof(double));
        if (!one.empty()) std::memcpy(out.data() + before, one.data(), one.size());
      }
      return out;
    }
    void sum_shares(std::span<double> values, std::span<std::size_t const> counts) const {
      sum_own(values, counts);
    }
    void sum_shares(std::span<float> values, std::span<std::size_t const> counts) const {
      sum_own(values, counts);
    }
    void gather_shares(std::span<double> values, std::span<std::size_t const> counts) const {
      gather(values, counts);
    }
    void gather_shares(std::span<float> values, std::span<std::size_t const> counts) const {
      gather(values, counts);
    }

   private:
    friend thread_processes;
    process(thread_processes& all, std::size_t rank) : all_(&all), rank_(rank) {}

    template <class T>
    void sum(std::span<T> values) const {
      auto const given = all_->exchange(rank_, std::as_bytes(values));
      expect_as_many(given, values.size_bytes(), "thread_processes::all_sum");
      sum_part(values, given, 0, values.size());
    }
    template <class T>
    void sum_own(std::span<T> values, std::span<std::size_t const> counts) const {
      std::size_t const begin = begin_of(rank_, counts, values.size());
      auto const given = all_->exchange(rank_, std::as_bytes(values));
      expect_as_many(given, values.size_bytes(), "thread_processes::sum_shares");
      sum_part(values, given, begin, begin + counts[rank_]);
    }
    template <class T>
    void gather(std::span<T> values, std::span<std::size_t const> counts) const {
      std::size_t const own = begin_of(rank_, counts, values.size());
      auto const given = all_->exchange(rank_, std::as_bytes(values.subspan(own, counts[rank_])));
      for (std::size_t rank = 0, begin = 0; rank != size(); begin += counts[rank++]) {
        if (counts[rank] == 0) continue;
        std::memcpy(values.data() + begin, given[rank].data(), counts[rank] * sizeof(T));
      }
    }

    /// values[begin, end) become the sums of what is there in order of rank.
    template <class T>
    static void sum_part(std::span<T> values, std::vector<std::vector<std::byte>> const& given,
                         std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        values[i] = 0;
        for (auto const& one : given) {
          T term;
          std::memcpy(&term, one.data() + i * sizeof(T), sizeof(T));
          values[i] += term;
        }
      }
    }
    /// Where the share of a rank begins, of shares that make up all the values.
    std::size_t begin_of(std::size_t rank, std::span<std::size_t const> counts,
                         std::size_t values) const {
      expects_size(counts.size(), size(), "thread_processes", "counts of shares");
      std::size_t begin = 0;
      std::size_t all = 0;
      for (std::size_t i = 0; i != counts.size(); ++i) {
        if (i == rank) begin = all;
        all += counts[i];
      }
      expects_size(values, all, "thread_processes", "values of all shares");
      return begin;
    }
    static void expect_as_many(std::vector<std::vector<std::byte>> const& given, std::size_t bytes,
                               char const* where) {
      for (std::size_t rank = 0; rank < given.size(); ++rank) {
        if (given[rank].size() == bytes) continue;
        detail::fail(backend_error(where, "process " + std::to_string(rank),
                                   "gives " + std::to_string(given[rank].size()) +
                                       " bytes where another gives " + std::to_string(bytes)));
      }
    }

    thread_processes* all_;
    std::size_t rank_;
  };

  /// Calls body(process) on `count` threads at once and returns when all have returned.
  template <class Body>
  static void run(std::size_t count, Body const& body) {
    expects(count > 0, "thread_processes::run: count must be at least 1");
    thread_processes all(count);
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < count; ++rank) {
      threads.emplace_back([&all, &body, rank] {
        try {
          body(process(all, rank));
          all.end(rank, "has returned", nullptr);
        } catch (std::exception const& error) {
          all.end(rank, error.what(), std::current_exception());
        } catch (...) {
          all.end(rank, "an exception without a message", std::current_exception());
        }
      });
    }
    for (auto& thread : threads) thread.join();
    if (all.error_) std::rethrow_exception(all.error_);
  }

 private:
  explicit thread_processes(std::size_t count) : given_(count) {}

  /// What all processes give to this call. Nobody gives to the next one before all have copied.
  std::vector<std::vector<std::byte>> exchange(std::size_t rank, std::span<std::byte const> mine) {
    given_[rank].assign(mine.begin(), mine.end());
    meet();
    auto out = given_;
    meet();
    return out;
  }

  void meet() {
    std::unique_lock lock(mutex_);
    std::size_t const round = round_;
    if (!ended_ && ++arrived_ == given_.size()) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock, [&] { return round_ != round || ended_; });
    if (round_ != round) return;
    detail::fail(
        backend_error("thread_processes", "process " + std::to_string(ended_rank_), reason_));
  }

  void end(std::size_t rank, char const* reason, std::exception_ptr const& error) {
    std::lock_guard const lock(mutex_);
    if (error && !error_) error_ = error;
    if (ended_) return;
    ended_ = true;
    ended_rank_ = rank;
    reason_ = reason;
    changed_.notify_all();
  }

  std::vector<std::vector<std::byte>> given_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t arrived_ = 0;
  std::size_t round_ = 0;
  bool ended_ = false;
  std::size_t ended_rank_ = 0;
  std::string reason_;
  std::exception_ptr error_;
};

static_assert(ShareCommunicator<thread_processes::process>);

}  // namespace prefer::inline v0_1
