// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
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
  /// Groups whose coefficients are all below this share of the largest in the batch are left out of its backward pass: the
  /// loss has settled them. 0: none. The batch is a micro-batch here, so results depend on how batches are cut.
  double skip_settled = 0;
};

/// Says that all weights of a model train.
struct full_fine_tuning {};

/// Of each group: 0 where all of its coefficients are below `share` of the largest of all groups, else 1. A group with a
/// coefficient that is NaN is not settled.
template <std::floating_point T>
[[nodiscard]] std::vector<unsigned char> unsettled_groups(row_layout const& layout,
                                                          completion_gradients<T> const& given,
                                                          double share) {
  std::vector<double> size(layout.groups());
  double largest = 0;
  auto const offset = layout.token_offset();
  for (std::size_t g = 0, i = 0; g != size.size(); ++g) {
    for (; i != layout.completions() && offset[i] < layout.group_tokens()[g + 1]; ++i) {
      auto const take = [&](std::span<T const> of, std::size_t at) {
        double const x = of.empty() ? 0 : std::abs(static_cast<double>(of[at]));
        if (!(x <= size[g])) size[g] = x;
      };
      take(given.log_prob, i);
      take(given.divergence, i);
      for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) take(given.token_log_prob, t);
    }
    if (size[g] > largest) largest = size[g];
  }
  std::vector<unsigned char> out;
  for (double const each : size) out.push_back(each < share * largest ? 0 : 1);
  return out;
}

}  // namespace prefer::inline v0_1::lm
