// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <prefer/batch/column.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/expects.hpp>

// What can be seen of a batch without reading an element: sides, sizes, offsets.

namespace prefer::inline v0_1::detail {

/// A column of pairs that is there for one side only is a slip, not an absent column.
template <class Columns>
void check_sides(Columns const& batch, char const* function) {
  Columns::describe(batch, [&](auto is, per, auto const& both) {
    if constexpr (requires { both.rejected; }) {
      if (both.chosen.present() == both.rejected.present()) return;
      broken(std::string(function) + ": " + is.spelling + " is given for " +
             (both.chosen.present() ? "chosen" : "rejected") +
             " completions only; expected both or neither");
    }
  });
}

/// Every column that is there is as long as what it has one number for.
template <class Columns>
void check_sizes(Columns const& batch, char const* function) {
  for_each_column(batch, [&](auto is, per each, column_side side, auto const& one) {
    if (!one.present() || one.size() == batch.rows(each)) return;
    expects_size(one.size(), batch.rows(each), function, label_of(is.spelling, side).c_str());
  });
}
template <class R>
void check_size(R const& c, std::size_t expected, char const* function, char const* name) {
  if (c.present()) expects_size(c.size(), expected, function, name);
}

/// `expected` completions in every list; 0 for any number.
template <class C>
void check_lists(basic_list_columns<C> const& batch, std::size_t expected, char const* function) {
  std::size_t const n = batch.policy.size();
  auto const where = [&] { return std::string(function); };
  if (batch.offset.empty() || batch.offset.front() != 0 || batch.offset.back() != n) {
    broken(where() + ": offset must run from 0 to the number of completions, " + std::to_string(n));
  }
  for (std::size_t g = 0; g + 1 < batch.offset.size(); ++g) {
    if (batch.offset[g + 1] <= batch.offset[g]) {
      broken(where() + ": list " + std::to_string(g) + " is empty or its offset descends");
    }
    if (std::size_t const size = batch.offset[g + 1] - batch.offset[g];
        expected != 0 && size != expected) {
      broken(where() + ": list " + std::to_string(g) + " has " + std::to_string(size) +
             " completions; this loss takes " + std::to_string(expected));
    }
  }
}

}  // namespace prefer::inline v0_1::detail
