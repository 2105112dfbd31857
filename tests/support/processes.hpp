// SPDX-License-Identifier: MIT
#pragma once

#include <barrier>
#include <cstddef>
#include <span>
#include <thread>
#include <vector>

#include <prefer/parallel/communicator.hpp>

namespace prefer::test {

/// Threads that stand for processes: a Communicator for each, over one table that all of them see.
class thread_processes {
 public:
  class process {
   public:
    process(thread_processes& all, std::size_t rank) : all_(&all), rank_(rank) {}
    [[nodiscard]] std::size_t rank() const { return rank_; }
    [[nodiscard]] std::size_t size() const { return all_->given_.size(); }
    void all_sum(std::span<double> values) const {
      auto const given = all_->exchange(rank_, values);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = 0.0;
        for (auto const& one : given) values[i] += one.at(i);
      }
    }
    [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
      std::vector<double> out;
      for (auto const& one : all_->exchange(rank_, mine)) {
        out.insert(out.end(), one.begin(), one.end());
      }
      return out;
    }

   private:
    thread_processes* all_;
    std::size_t rank_;
  };

  /// Calls body(process) on `count` threads at once; an exception in it ends the program.
  template <class Body>
  static void run(std::size_t count, Body const& body) {
    thread_processes all(count);
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < count; ++rank) {
      threads.emplace_back([&, rank] { body(process(all, rank)); });
    }
    for (auto& thread : threads) thread.join();
  }

 private:
  explicit thread_processes(std::size_t count)
      : given_(count), meeting_(static_cast<std::ptrdiff_t>(count)) {}

  /// What all processes give to this call. Nobody gives to the next one before all have copied.
  std::vector<std::vector<double>> exchange(std::size_t rank, std::span<double const> mine) {
    given_[rank].assign(mine.begin(), mine.end());
    meeting_.arrive_and_wait();
    auto const out = given_;
    meeting_.arrive_and_wait();
    return out;
  }

  std::vector<std::vector<double>> given_;
  std::barrier<> meeting_;
};

static_assert(Communicator<thread_processes::process>);

}  // namespace prefer::test
