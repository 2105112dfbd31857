// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include <prefer/batch/sum_and_count.hpp>

namespace prefer::inline v0_1::detail {

/// The values that a loss gave to examples, so that those of processes can be added up.
template <class T>
[[nodiscard]] sum_and_count sum_of_values(std::span<T const> values) {
  sum_and_count total{.sum = 0.0, .count = static_cast<double>(values.size())};
  for (T const value : values) total.sum += static_cast<double>(value);
  return total;
}

/// A number that is not finite, and the group of examples that has it; or none, which is false.
struct not_finite {
  std::size_t group = 0;
  char const* what = nullptr;

  [[nodiscard]] explicit operator bool() const { return what != nullptr; }
};

/// The first group in [begin, begin + count) with a value or a coefficient that is not finite; group g has those in
/// [offset[g], offset[g + 1]).
template <class T>
[[nodiscard]] not_finite first_not_finite(std::span<T const> value,
                                          std::span<std::size_t const> value_offset,
                                          std::span<T const> coefficient,
                                          std::span<std::size_t const> coefficient_offset,
                                          std::size_t begin, std::size_t count) {
  auto const any = [](std::span<T const> of, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if (!std::isfinite(of[i])) return true;
    }
    return false;
  };
  for (std::size_t g = begin; g < begin + count; ++g) {
    bool const per_group = value_offset.empty();
    if (any(value, per_group ? g : value_offset[g], per_group ? g + 1 : value_offset[g + 1])) {
      return {g, "the loss"};
    }
    if (any(coefficient, coefficient_offset[g], coefficient_offset[g + 1])) {
      return {g, "the derivative of the loss"};
    }
  }
  return {};
}

/// The largest size of any number; 0 of none.
template <class T>
[[nodiscard]] double largest_size(std::span<T const> numbers) {
  double largest = 0.0;
  for (T const each : numbers) {
    double const size = std::abs(static_cast<double>(each));
    if (size > largest) largest = size;
  }
  return largest;
}

}  // namespace prefer::inline v0_1::detail
