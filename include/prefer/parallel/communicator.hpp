// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

namespace prefer {

/// Processes that hold parts of one batch each.
///
/// Asked for   `rank()` and `size()`; `all_sum(values)`, which replaces each number by its sum over processes;
///             `all_gather(values)`, the numbers of all processes, one after another in order of rank
/// Semantics   collective: every process makes the same calls in the same order. Sums are taken in order of rank,
///             so every process gets the same bits, and a second run gets them again
///
/// An engine (MPI, NCCL) joins with these four functions; the library has none of its own.
template <class C>
concept Communicator =
    requires(C const& processes, std::span<double> values, std::span<double const> mine) {
      { processes.rank() } -> std::convertible_to<std::size_t>;
      { processes.size() } -> std::convertible_to<std::size_t>;
      processes.all_sum(values);
      { processes.all_gather(mine) } -> std::convertible_to<std::vector<double>>;
    };

/// One process, which has the whole batch.
struct single_process {
  [[nodiscard]] static constexpr std::size_t rank() { return 0; }
  [[nodiscard]] static constexpr std::size_t size() { return 1; }
  static constexpr void all_sum(std::span<double> /*values*/) {}
  [[nodiscard]] static std::vector<double> all_gather(std::span<double const> mine) {
    return {mine.begin(), mine.end()};
  }
};

}  // namespace prefer
