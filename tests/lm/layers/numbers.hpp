// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/random/distributions.hpp>

namespace prefer::test {

/// Normal numbers, other ones for each seed.
template <class T>
[[nodiscard]] std::vector<T> normal_numbers(std::size_t count, std::uint64_t seed) {
  std::vector<T> out(count);
  fill_normal(std::span<T>(out), {.seed = seed}, 0.0, 1.0);
  return out;
}

template <class T>
[[nodiscard]] std::span<T const> view(std::vector<T> const& values) {
  return values;
}

[[nodiscard]] inline std::vector<double> moved(std::vector<double> from,
                                               std::vector<double> const& along, double by) {
  for (std::size_t i = 0; i != from.size(); ++i) from[i] += by * along[i];
  return from;
}

template <class A, class B>
[[nodiscard]] double inner(A const& a, B const& b) {
  double sum = 0;
  for (std::size_t i = 0; i != a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

}  // namespace prefer::test
