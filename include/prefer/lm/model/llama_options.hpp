// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/lm/arithmetic/eigen_products.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/model/row_layout.hpp>
#include <prefer/policy/completion_outputs.hpp>

namespace prefer::inline v0_1::lm {

/// How a policy computes.
template <std::floating_point T>
struct llama_options {
  arithmetic<T> by = {eigen_products};  ///< whose products; `use` replaces its threads
  /// Keep what goes into each layer alone, and compute the rest again on the way back.
  bool checkpoint = false;
};

/// Says that all weights of a model train.
struct full_fine_tuning {};

/// Of each group: 0 where all of its coefficients are 0, so that a backward pass may leave it out, else 1. Empty where none is.
template <std::floating_point T>
[[nodiscard]] std::vector<unsigned char> groups_with_coefficients(
    row_layout const& layout, completion_gradients<T> const& given) {
  std::vector<unsigned char> out(layout.groups(), 0);
  auto const offset = layout.token_offset();
  std::size_t kept = 0;
  for (std::size_t g = 0, i = 0; g != out.size(); ++g) {
    for (; i != layout.completions() && offset[i] < layout.group_tokens()[g + 1]; ++i) {
      auto const any = [](std::span<T const> of, std::size_t from, std::size_t to) {
        if (of.empty()) return false;
        auto const part = of.subspan(from, to - from);
        return std::any_of(part.begin(), part.end(), [](T x) { return x != 0; });
      };
      if (any(given.log_prob, i, i + 1) || any(given.divergence, i, i + 1) ||
          any(given.value, i, i + 1) || any(given.token_log_prob, offset[i], offset[i + 1])) {
        out[g] = 1;
      }
    }
    kept += out[g];
  }
  if (kept == out.size()) out.clear();
  return out;
}

}  // namespace prefer::inline v0_1::lm
