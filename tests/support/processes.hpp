// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace prefer::test {

/// Several processes without threads. Each runs its part from the start, again and again; what it gives to its n-th
/// collective call is written down, and what others have not given yet counts as nothing. After as many rounds as
/// there are calls, every process has seen what all gave.
class replayed_processes {
 public:
  explicit replayed_processes(std::size_t size) : given_(size) {}

  /// One process's end of the line, for one run of its part.
  class end {
   public:
    end(replayed_processes* all, std::size_t rank) : all_(all), rank_(rank) {}
    [[nodiscard]] std::size_t rank() const { return rank_; }
    [[nodiscard]] std::size_t size() const { return all_->given_.size(); }
    void all_sum(std::span<double> values) const {
      std::size_t const call = write_down({values.begin(), values.end()});
      for (double& value : values) value = 0.0;
      for (auto const& process : all_->given_) {
        if (process.size() <= call) continue;
        for (std::size_t i = 0; i < values.size(); ++i) values[i] += process[call][i];
      }
    }
    [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
      std::size_t const call = write_down({mine.begin(), mine.end()});
      std::vector<double> out;
      for (auto const& process : all_->given_) {
        if (process.size() <= call) continue;
        out.insert(out.end(), process[call].begin(), process[call].end());
      }
      return out;
    }

   private:
    std::size_t write_down(std::vector<double> values) const {
      auto& own = all_->given_[rank_];
      if (own.size() <= calls_) own.resize(calls_ + 1);
      own[calls_] = values;
      return calls_++;
    }
    replayed_processes* all_;
    std::size_t rank_;
    mutable std::size_t calls_ = 0;
  };

  /// Runs `part(end)` for every rank until all have seen all.
  template <class Part>
  void run(Part const& part) {
    constexpr int rounds = 8;  // more than any statistic has collective calls
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t rank = 0; rank < given_.size(); ++rank) part(end(this, rank));
    }
  }

 private:
  std::vector<std::vector<std::vector<double>>> given_;
};

}  // namespace prefer::test
