// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Which rows of a batch of pairs a loss puts together, where that is not each row with itself. Rows that are empty
/// leave their columns as they are. Rows is a backend's type.
template <class Rows>
struct basic_pair_order {
  Rows rejected;   ///< chosen i is compared with the rejected completion of this row [B]
  Rows reference;  ///< policy pair i is held against the references of this row [B]
};
using pair_order = basic_pair_order<std::vector<std::uint32_t>>;

namespace detail {

/// Bits that ascend as the numbers do: both zeros are one number, and NaN, whatever its sign, comes after infinity. What is
/// 0 at the end of the mantissas is 0 at the end of the bits, of negative numbers too.
[[nodiscard]] constexpr std::uint64_t ascending_bits(double x) {
  constexpr std::uint64_t sign = std::uint64_t{1} << 63;
  constexpr std::uint64_t not_a_number = std::uint64_t{0xfff8} << 48;
  if (x != x) return not_a_number;
  auto const bits = std::bit_cast<std::uint64_t>(x);
  return (bits & sign) != 0 ? sign - (bits & ~sign) : sign + bits;
}

/// The bits in which numbers differ, once what all have in common is taken away: those of (number >> shift) - base.
struct varying_bits {
  unsigned shift = 0;
  std::uint64_t base = 0;
  unsigned count = 0;
};
template <class = on_demand>
[[nodiscard]] varying_bits varying_bits_of(std::vector<std::uint64_t> const& keys) {
  if (keys.empty()) return {};
  std::uint64_t differing = 0;
  std::uint64_t least = keys[0];
  std::uint64_t most = keys[0];
  for (std::uint64_t const key : keys) {
    differing |= key ^ keys[0];
    if (key < least) least = key;
    if (key > most) most = key;
  }
  if (differing == 0) return {};
  auto const shift = static_cast<unsigned>(std::countr_zero(differing));
  std::uint64_t const base = least >> shift;
  return {shift, base, static_cast<unsigned>(std::bit_width((most >> shift) - base))};
}

/// Stable, by `bits` bits of each entry, which begin at bit `from` and end the entry.
template <class = on_demand>
void sort_by_bits(std::vector<std::uint64_t>& entries, unsigned from, unsigned bits) {
  std::size_t const n = entries.size();
  if (bits == 0) return;
  if (n <= 64) {  // counting digits costs more than moving entries
    for (std::size_t i = 1; i < n; ++i) {
      std::uint64_t const one = entries[i];
      std::size_t at = i;
      for (; at > 0 && entries[at - 1] >> from > one >> from; --at) entries[at] = entries[at - 1];
      entries[at] = one;
    }
    return;
  }
  // Digits as wide as makes their tables pay, the lowest first.
  unsigned const widest = n < 4096 ? 8 : 12;
  unsigned const digits = (bits + widest - 1) / widest;
  unsigned const width = (bits + digits - 1) / digits;
  std::uint64_t const mask = (std::uint64_t{1} << width) - 1;
  auto const digit_of = [&](std::uint64_t entry, unsigned d) {
    return static_cast<std::size_t>(entry >> (from + d * width) & mask);
  };
  std::vector<std::uint32_t> counts(std::size_t{digits} << width);
  for (std::uint64_t const entry : entries) {
    for (unsigned d = 0; d < digits; ++d) ++counts[(std::size_t{d} << width) + digit_of(entry, d)];
  }
  std::vector<std::uint64_t> sorted(n);
  for (unsigned d = 0; d < digits; ++d) {
    std::uint32_t* const place = counts.data() + (std::size_t{d} << width);
    if (place[digit_of(entries.front(), d)] == n) continue;
    std::uint32_t next = 0;  // where the first row with this digit goes
    for (std::size_t v = 0; v <= mask; ++v) {
      std::uint32_t const of_this = place[v];
      place[v] = next;
      next += of_this;
    }
    for (std::uint64_t const entry : entries) sorted[place[digit_of(entry, d)]++] = entry;
    entries.swap(sorted);
  }
}

/// The rows of keys in ascending order. A row and the bits of its key share one number where there is room for both, as
/// there is for differences of floats; else the lower half of the keys is sorted by first.
template <class = on_demand>
[[nodiscard]] std::vector<std::uint32_t> rows_in_order(std::vector<std::uint64_t> keys) {
  std::size_t const n = keys.size();
  varying_bits const varying = varying_bits_of(keys);
  auto const of_row = static_cast<unsigned>(std::bit_width(n));
  std::uint64_t const row_mask = (std::uint64_t{1} << of_row) - 1;
  for (std::uint64_t& key : keys) key = (key >> varying.shift) - varying.base;
  std::vector<std::uint32_t> order(n);
  auto const write_rows = [&](std::vector<std::uint64_t> const& entries) {
    for (std::size_t i = 0; i < n; ++i)
      order[i] = static_cast<std::uint32_t>(entries[i] & row_mask);
  };
  if (varying.count + of_row <= 64) {
    for (std::size_t i = 0; i < n; ++i) keys[i] = keys[i] << of_row | i;
    sort_by_bits(keys, of_row, varying.count);
    write_rows(keys);
    return order;
  }
  constexpr unsigned half = 32;  // a row has no more bits
  std::vector<std::uint64_t> entries(n);
  for (std::size_t i = 0; i < n; ++i) entries[i] = keys[i] << half | i;
  sort_by_bits(entries, half, half);
  for (std::uint64_t& entry : entries) {
    std::size_t const row = static_cast<std::uint32_t>(entry);
    entry = keys[row] >> half << half | row;
  }
  sort_by_bits(entries, half, half);
  write_rows(entries);
  return order;
}

}  // namespace detail

/// The numbers 0 ... n-1 in ascending order of `value(i)`; equal values keep their order, and NaN come last, in theirs.
///
/// Time    linear in n (radix sort of the bits): the order is stable, hence the same everywhere
template <class Value>
[[nodiscard]] std::vector<std::uint32_t> ascending_order(std::size_t n, Value const& value) {
  std::vector<std::uint64_t> keys(n);
  for (std::size_t i = 0; i < n; ++i) {
    keys[i] = detail::ascending_bits(static_cast<double>(value(i)));
  }
  return detail::rows_in_order(std::move(keys));
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

}  // namespace prefer::inline v0_1
