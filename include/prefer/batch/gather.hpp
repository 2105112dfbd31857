// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/check_columns.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

/// The columns of all processes, and which rows of them are one's own.
template <class Columns>
class gathered_rows {
 public:
  /// The numbers of every column, in the order of the description, and where each begins and the last one ends; of
  /// absent columns there are none.
  gathered_rows(std::vector<double> numbers, std::vector<std::size_t> offset, std::uint64_t present,
                std::size_t begin, std::size_t count)
      : numbers_(std::move(numbers)),
        offset_(std::move(offset)),
        present_(present),
        begin_(begin),
        count_(count) {}

  /// The whole batch, in order of rank. Views of this object's numbers: valid as long as it lives.
  [[nodiscard]] Columns columns() const {
    Columns out{};
    std::size_t next = 0;
    detail::for_each_column(out, [&](auto, per, column_side, column& to) {
      if ((present_ >> next & 1u) != 0) {
        to = strided(numbers_.data() + offset_[next], offset_[next + 1] - offset_[next]);
      }
      ++next;
    });
    return out;
  }
  [[nodiscard]] std::size_t begin() const { return begin_; }  ///< the first row of one's own
  [[nodiscard]] std::size_t count() const { return count_; }  ///< how many rows are one's own

 private:
  std::vector<double> numbers_;
  std::vector<std::size_t> offset_;
  std::uint64_t present_;
  std::size_t begin_;
  std::size_t count_;
};

/// Gives every process the rows of all: for losses that put together rows of the whole batch (aot, aot_unpaired).
///
/// Each process evaluates the whole and keeps the coefficients of its own rows, [begin(), begin() + count()): with
/// reduction::mean they are those of the mean over all rows. Lists have no such rows and are not gathered.
///
/// Errors  precondition_error on every process where processes have different columns; on one where a column has
///         another size than its batch
/// Cost    one all_gather for each column, and every process evaluates every row. Numbers are doubles
template <class Columns, Communicator Processes>
[[nodiscard]] gathered_rows<Columns> gather_rows(Columns const& mine, Processes const& processes) {
  static_assert(
      !requires { mine.offset; },
      "prefer: gather_rows takes rows of columns, and lists have offsets");
  detail::check_sizes(mine, "gather_rows");
  std::uint64_t present = 0;
  std::size_t next = 0;
  detail::for_each_column(mine, [&](auto, per, column_side, column const& one) {
    if (one.present()) present |= std::uint64_t{1} << next;
    ++next;
  });
  // Who has no rows has no say in which columns there are.
  double const size_and_columns[] = {static_cast<double>(mine.size()),
                                     static_cast<double>(present)};
  std::vector<double> const of_all = processes.all_gather(size_and_columns);
  std::size_t begin = 0;
  std::size_t first = processes.size();  // with rows
  for (std::size_t process = 0; process < processes.size(); ++process) {
    if (process < processes.rank()) begin += static_cast<std::size_t>(of_all[2 * process]);
    if (of_all[2 * process] == 0.0) continue;
    if (first == processes.size()) first = process;
    if (of_all[2 * process + 1] != of_all[2 * first + 1]) {
      detail::broken("gather_rows: process " + std::to_string(process) +
                     " has other columns than process " + std::to_string(first));
    }
  }
  if (first != processes.size()) present = static_cast<std::uint64_t>(of_all[2 * first + 1]);

  std::vector<double> numbers;
  std::vector<std::size_t> offset = {0};
  detail::for_each_column(mine, [&](auto, per, column_side, column const& one) {
    if ((present >> (offset.size() - 1) & 1u) != 0) {
      std::vector<double> own(one.size());
      for (std::size_t i = 0; i < own.size(); ++i) own[i] = one[i];
      std::vector<double> const of_column = processes.all_gather(own);
      append(numbers, of_column);
    }
    offset.push_back(numbers.size());
  });
  return {std::move(numbers), std::move(offset), present, begin, mine.size()};
}

}  // namespace prefer::inline v0_1
