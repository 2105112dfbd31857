// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/on_demand.hpp>

namespace prefer {

/// Which rows of a batch of pairs a loss puts together, where that is not each row with itself. Rows that are empty
/// leave their columns as they are. Rows is a backend's type.
template <class Rows>
struct basic_pair_order {
  Rows rejected;   ///< chosen i is compared with the rejected completion of this row [B]
  Rows reference;  ///< policy pair i is held against the references of this row [B]
};
using pair_order = basic_pair_order<std::vector<std::uint32_t>>;

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

/// Stable, by the keys' digits of `Bits` bits, the lowest first. A digit that is the same in all keys, as the last ones of
/// numbers that were floats are, costs nothing.
template <unsigned Bits>
void sort_by_key(std::vector<sort_entry>& entries) {
  constexpr std::size_t digits = (64 + Bits - 1) / Bits;
  constexpr std::size_t values = std::size_t{1} << Bits;
  auto const digit_of = [](sort_entry const& one, std::size_t d) {
    return one.key >> (Bits * d) & (values - 1);
  };
  std::vector<std::uint32_t> counts(digits * values);
  for (sort_entry const& one : entries) {
    for (std::size_t d = 0; d < digits; ++d) ++counts[d * values + digit_of(one, d)];
  }
  std::vector<sort_entry> sorted(entries.size());
  for (std::size_t d = 0; d < digits; ++d) {
    std::uint32_t* const place = counts.data() + d * values;
    if (place[digit_of(entries.front(), d)] == entries.size()) continue;
    std::uint32_t next = 0;  // where the first row with this digit goes
    for (std::size_t v = 0; v < values; ++v) {
      std::uint32_t const of_this = place[v];
      place[v] = next;
      next += of_this;
    }
    for (sort_entry const& one : entries) sorted[place[digit_of(one, d)]++] = one;
    entries.swap(sorted);
  }
}

/// The same for few rows, where counting digits costs more than moving entries.
template <class = on_demand>
void insert_by_key(std::vector<sort_entry>& entries) {
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
  if (n <= 64) {
    detail::insert_by_key(entries);
  } else if (n < 4096) {
    detail::sort_by_key<8>(entries);
  } else {
    detail::sort_by_key<11>(entries);  // fewer passes, and tables that cost more to begin with
  }
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = entries[i].row;
  return order;
}

/// Row i of one side belongs with the row of the other side that has the same rank: matching quantiles.
///
///   partner[order_a[k]] = order_b[k]
template <class = on_demand>
[[nodiscard]] std::vector<std::uint32_t> match_by_rank(std::span<std::uint32_t const> order_a,
                                                       std::span<std::uint32_t const> order_b) {
  expects_size(order_b.size(), order_a.size(), "match_by_rank", "order_b");
  std::vector<std::uint32_t> partner(order_a.size());
  for (std::size_t k = 0; k < order_a.size(); ++k) partner[order_a[k]] = order_b[k];
  return partner;
}

}  // namespace prefer
