// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// A uniformly drawn order of `values`, in place (Fisher-Yates).
template <class T>
constexpr void shuffle(std::span<T> values, random_stream& numbers) {
  for (std::size_t left = values.size(); left > 1; --left) {
    auto const drawn = static_cast<std::size_t>(below(numbers, left));
    T const last = values[left - 1];
    values[left - 1] = values[drawn];
    values[drawn] = last;
  }
}

/// The numbers 0 ... n-1 in a uniformly drawn order: the visiting order of n rows in one epoch.
///
/// Errors  n > 2^32 or epoch >= 2^32 throws precondition_error
template <class = on_demand>
[[nodiscard]] std::vector<std::uint32_t> permutation(std::size_t n, std::uint64_t seed,
                                                     std::uint64_t epoch) {
  expects(n <= std::uint64_t{1} << 32, "permutation: n must be at most 2^32");
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i != n; ++i) order[i] = static_cast<std::uint32_t>(i);
  random_stream numbers({.seed = seed, .purpose = random_purpose::shuffle, .step = epoch});
  shuffle(std::span<std::uint32_t>(order), numbers);
  return order;
}

/// `count` different numbers below n in a uniformly drawn order. Time and memory grow with count, not with n.
///
/// Errors  count > n throws precondition_error
/// Source  Floyd's method (Bentley and Floyd 1987, "A sample of brilliance"), shuffled afterwards
template <class = on_demand>
[[nodiscard]] std::vector<std::uint64_t> sample_without_replacement(std::uint64_t n,
                                                                    std::size_t count,
                                                                    random_stream& numbers) {
  expects(count <= n, "sample_without_replacement: count must be at most n");
  // An open-addressing set at most half full; `n` is no member and marks an empty slot.
  std::size_t const places = std::bit_ceil(2 * count + 1);
  std::vector<std::uint64_t> set(places, n);
  auto const slot_of = [&set, places, n](std::uint64_t member) {
    auto slot = static_cast<std::size_t>(member * 0x9E3779B97F4A7C15U >> 32) & (places - 1);
    while (set[slot] != n && set[slot] != member) slot = (slot + 1) & (places - 1);
    return slot;
  };
  std::vector<std::uint64_t> sample;
  sample.reserve(count);
  for (std::uint64_t last = n - count; last != n; ++last) {
    std::uint64_t const drawn = below(numbers, last + 1);
    std::uint64_t const member = set[slot_of(drawn)] == n ? drawn : last;
    set[slot_of(member)] = member;
    sample.push_back(member);
  }
  shuffle(std::span<std::uint64_t>(sample), numbers);
  return sample;
}

}  // namespace prefer::inline v0_1
