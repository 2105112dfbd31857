// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer {

namespace detail {

/// Calls visit(column, name) for every column of a batch of pairs, in a fixed order.
void for_each_pair_column(auto& batch, auto&& visit) {
  auto const both = [&](auto& of, char const* name) {
    visit(of.chosen, name);
    visit(of.rejected, name);
  };
  both(batch.policy, "policy");
  both(batch.reference, "reference");
  both(batch.length, "length");
  both(batch.score, "score");
  both(batch.divergence, "divergence");
  both(batch.alignment, "alignment");
  both(batch.perturbed_toward, "perturbed_toward");
  both(batch.perturbed_away, "perturbed_away");
  visit(batch.weight, "weight");
  visit(batch.beta, "beta");
  visit(batch.target_margin, "target_margin");
  visit(batch.chosen_from_reference, "chosen_from_reference");
  visit(batch.uniform, "uniform");
}

}  // namespace detail

/// The pairs of all processes, and which of them are one's own.
class gathered_pairs {
 public:
  /// One vector for every column, in the order of for_each_pair_column; absent columns are empty.
  gathered_pairs(std::vector<std::vector<double>> numbers, std::uint32_t present, std::size_t begin,
                 std::size_t count)
      : numbers_(std::move(numbers)), present_(present), begin_(begin), count_(count) {}

  /// The whole batch, in order of rank. Views of this object's numbers: valid as long as it lives.
  [[nodiscard]] pair_columns columns() const {
    pair_columns out;
    std::size_t c = 0;
    detail::for_each_pair_column(out, [&](column& to, char const*) {
      if ((present_ >> c & 1u) != 0) to = numbers_[c];
      ++c;
    });
    return out;
  }
  [[nodiscard]] std::size_t begin() const { return begin_; }  ///< the first row of one's own
  [[nodiscard]] std::size_t count() const { return count_; }  ///< how many rows are one's own

 private:
  std::vector<std::vector<double>> numbers_;
  std::uint32_t present_;
  std::size_t begin_;
  std::size_t count_;
};

/// Gives every process the pairs of all: for losses that put together rows of the whole batch (aot, aot_unpaired).
///
/// Each process evaluates the whole and keeps the coefficients of its own rows, [begin(), begin() + count()): with
/// reduction::mean they are those of the mean over all pairs.
///
/// Errors  precondition_error on every process where processes have different columns; on one where a column has
///         another size than its batch
/// Cost    one all_gather for each column, and every process evaluates every pair. Numbers are doubles
template <Communicator Processes>
[[nodiscard]] gathered_pairs gather_pairs(pair_columns const& mine, Processes const& processes) {
  std::uint32_t present = 0;
  std::size_t c = 0;
  detail::for_each_pair_column(mine, [&](column const& one, char const* name) {
    if (one.present()) {
      present |= 1u << c;
      expects_size(one.size(), mine.size(), "gather_pairs", name);
    }
    ++c;
  });
  double const size_and_columns[] = {static_cast<double>(mine.size()),
                                     static_cast<double>(present)};
  std::vector<double> const of_all = processes.all_gather(size_and_columns);
  std::size_t begin = 0;
  for (std::size_t process = 0; process < processes.size(); ++process) {
    if (process < processes.rank()) begin += static_cast<std::size_t>(of_all[2 * process]);
    if (of_all[2 * process + 1] != of_all[1]) {
      detail::broken("gather_pairs: process " + std::to_string(process) +
                     " has other columns than process 0");
    }
  }

  std::vector<std::vector<double>> numbers;
  std::vector<double> own(mine.size());
  detail::for_each_pair_column(mine, [&](column const& one, char const*) {
    numbers.emplace_back();
    if (!one.present()) return;
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = one[i];
    numbers.back() = processes.all_gather(own);
  });
  return {std::move(numbers), present, begin, mine.size()};
}

}  // namespace prefer
