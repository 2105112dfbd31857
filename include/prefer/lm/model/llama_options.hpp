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
/// `any(first, end, token, end of tokens)` says whether completions [first, end) have one that is not 0.
[[nodiscard]] std::vector<unsigned char> groups_in_which(row_layout const& layout,
                                                         auto const& any) {
  std::vector<unsigned char> out(layout.groups(), 0);
  auto const offset = layout.token_offset();
  std::size_t kept = 0;
  for (std::size_t g = 0, i = 0; g != out.size(); ++g) {
    std::size_t const first = i;
    while (i != layout.completions() && offset[i] < layout.group_tokens()[g + 1]) ++i;
    out[g] = any(first, i, layout.group_tokens()[g], layout.group_tokens()[g + 1]) ? 1 : 0;
    kept += out[g];
  }
  if (kept == out.size()) out.clear();
  return out;
}
template <std::floating_point T>
[[nodiscard]] bool any_but_zero(std::span<T const> of, std::size_t from, std::size_t to) {
  if (of.empty()) return false;
  auto const part = of.subspan(from, to - from);
  return std::any_of(part.begin(), part.end(), [](T x) { return x != 0; });
}
/// By what a backward pass is given of completions and tokens.
template <std::floating_point T>
[[nodiscard]] std::vector<unsigned char> groups_with_coefficients(
    row_layout const& layout, completion_gradients<T> const& given) {
  return groups_in_which(layout, [&](std::size_t first, std::size_t end, std::size_t token,
                                     std::size_t end_of_tokens) {
    return any_but_zero(given.log_prob, first, end) || any_but_zero(given.divergence, first, end) ||
           any_but_zero(given.value, first, end) ||
           any_but_zero(given.token_log_prob, token, end_of_tokens);
  });
}
/// By the gradient of the features of what is scored [completions or steps, width].
template <std::floating_point T>
[[nodiscard]] std::vector<unsigned char> groups_with_coefficients(row_layout const& layout,
                                                                  std::span<T const> gradient,
                                                                  std::size_t width) {
  return groups_in_which(layout, [&](std::size_t, std::size_t, std::size_t first, std::size_t end) {
    return any_but_zero(gradient, first * width, end * width);
  });
}

}  // namespace prefer::inline v0_1::lm
