// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/columns.hpp>

namespace prefer {

/// Which rows of a batch of pairs a loss puts together, where that is not each row with itself. An empty vector
/// leaves its columns as they are.
struct pair_order {
  std::vector<std::uint32_t>
      rejected;  ///< chosen i is compared with the rejected completion of this row [B]
  std::vector<std::uint32_t>
      reference;  ///< policy pair i is held against the references of this row [B]
};

/// The numbers 0 ... n-1 in ascending order of `value(i)`; equal values, and NaN, keep their order.
///
/// Time    n log n comparisons (merge sort: the order is stable, hence the same everywhere)
template <class Value>
[[nodiscard]] std::vector<std::uint32_t> ascending_order(std::size_t n, Value const& value) {
  struct entry {
    double value;
    std::uint32_t index;
  };
  std::vector<entry> sorted(n);
  for (std::size_t i = 0; i < n; ++i) {
    sorted[i] = {static_cast<double>(value(i)), static_cast<std::uint32_t>(i)};
  }
  std::vector<entry> merged(n);
  for (std::size_t width = 1; width < n; width *= 2) {
    for (std::size_t begin = 0; begin < n; begin += 2 * width) {
      std::size_t const middle = begin + detail::at_most(width, n - begin);
      std::size_t const end = begin + detail::at_most(2 * width, n - begin);
      std::size_t left = begin;
      std::size_t right = middle;
      for (std::size_t i = begin; i < end; ++i) {
        bool const take_right =
            left == middle || (right < end && sorted[right].value < sorted[left].value);
        merged[i] = take_right ? sorted[right++] : sorted[left++];
      }
    }
    sorted.swap(merged);
  }
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = sorted[i].index;
  return order;
}

/// Row i of one side belongs with the row of the other side that has the same rank: matching quantiles.
///
///   partner[order_a[k]] = order_b[k]
[[nodiscard]] inline std::vector<std::uint32_t> match_by_rank(
    std::span<std::uint32_t const> order_a, std::span<std::uint32_t const> order_b) {
  expects_size(order_b.size(), order_a.size(), "match_by_rank", "order_b");
  std::vector<std::uint32_t> partner(order_a.size());
  for (std::size_t k = 0; k < order_a.size(); ++k) partner[order_a[k]] = order_b[k];
  return partner;
}

}  // namespace prefer
