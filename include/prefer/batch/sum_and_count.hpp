// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

/// A mean in two halves, so that parts of a batch (threads, processes) can be added up before dividing.
struct sum_and_count {
  double sum = 0.0;
  double count = 0.0;

  friend constexpr sum_and_count operator+(sum_and_count a, sum_and_count b) {
    return {a.sum + b.sum, a.count + b.count};
  }
  /// 0 for an empty batch.
  [[nodiscard]] constexpr double mean() const { return count > 0.0 ? sum / count : 0.0; }
};

/// Sum and count of a batch from those of its parts, one per process.
template <Communicator Processes>
[[nodiscard]] sum_and_count over_processes(sum_and_count part, Processes const& processes) {
  double both[] = {part.sum, part.count};
  processes.all_sum(both);
  return {both[0], both[1]};
}

}  // namespace prefer::inline v0_1
