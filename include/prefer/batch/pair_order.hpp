// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
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

namespace detail {

/// A row of a batch and the bits by which it is sorted.
struct sort_entry {
  std::uint64_t key;
  std::uint32_t row;
};

/// Bits that ascend as the numbers do: both zeros are one number, and NaN, whatever its sign, comes after infinity.
[[nodiscard]] constexpr std::uint64_t ascending_bits(double x) {
  constexpr std::uint64_t sign = std::uint64_t{1} << 63;
  if (x != x) return ~std::uint64_t{0};
  auto const bits = std::bit_cast<std::uint64_t>(x + 0.0);  // -0.0 + 0.0 is 0.0
  return (bits & sign) != 0 ? ~bits : bits | sign;
}

/// Stable, by the keys' bytes from the lowest to the highest (least significant digit first). A byte that is the same
/// in all keys, as the last ones of numbers that were floats are, costs nothing.
inline void sort_by_key(std::vector<sort_entry>& entries) {
  constexpr std::size_t bytes = 8;
  constexpr std::size_t values = 256;
  std::vector<std::uint32_t> counts(bytes * values);
  for (sort_entry const& one : entries) {
    for (std::size_t b = 0; b < bytes; ++b) ++counts[b * values + (one.key >> (8 * b) & 255)];
  }
  std::vector<sort_entry> sorted(entries.size());
  for (std::size_t b = 0; b < bytes; ++b) {
    std::uint32_t* const place = counts.data() + b * values;
    if (place[entries.front().key >> (8 * b) & 255] == entries.size()) continue;
    std::uint32_t next = 0;  // where the first row with this byte goes
    for (std::size_t v = 0; v < values; ++v) {
      std::uint32_t const of_this = place[v];
      place[v] = next;
      next += of_this;
    }
    for (sort_entry const& one : entries) sorted[place[one.key >> (8 * b) & 255]++] = one;
    entries.swap(sorted);
  }
}

/// The same for few rows, where counting bytes costs more than moving entries.
inline void insert_by_key(std::vector<sort_entry>& entries) {
  for (std::size_t i = 1; i < entries.size(); ++i) {
    sort_entry const one = entries[i];
    std::size_t at = i;
    for (; at > 0 && entries[at - 1].key > one.key; --at) entries[at] = entries[at - 1];
    entries[at] = one;
  }
}

}  // namespace detail

/// The numbers 0 ... n-1 in ascending order of `value(i)`; equal values keep their order, and NaN come last, in theirs.
///
/// Time    linear in n (radix sort of the bits): the order is stable, hence the same everywhere
template <class Value>
[[nodiscard]] std::vector<std::uint32_t> ascending_order(std::size_t n, Value const& value) {
  std::vector<detail::sort_entry> entries(n);
  for (std::size_t i = 0; i < n; ++i) {
    entries[i] = {detail::ascending_bits(static_cast<double>(value(i))),
                  static_cast<std::uint32_t>(i)};
  }
  constexpr std::size_t few = 64;
  n <= few ? detail::insert_by_key(entries) : detail::sort_by_key(entries);
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = entries[i].row;
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
