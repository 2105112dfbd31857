// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Weighted Preference Optimization: pairs count by how likely the policy is to write them, as if they were its own.
///
///   loss = min(exp(alignment_chosen + alignment_rejected), largest_weight) * L
///   alignment = mean over tokens of log p(token) - log sum over v of p(v)^2, without gradient
///
/// Reads   what L reads, and alignment, which a policy over tokens gives
/// Units   those of L
/// Errors  largest_weight <= 0 is refused; trained by a policy without alignment it does not compile
/// Source  Zhou et al. 2024, arXiv:2406.11827, and the authors' code, which bounds the product of both weights by 1
/// TRL     use_weighting, since February 2026 without a bound: largest_weight = 1e6 here does the same
template <PairLoss L = dpo>
struct wpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "wpo";

  L loss = {};
  positive largest_weight = 1.0;

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& pair, auto const& weighted) const {
    auto const weight =
        clamp(exp(pair.chosen.alignment + pair.rejected.alignment), 0.0, largest_weight);
    return weight * weighted(pair);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("largest_weight", self.largest_weight);
  }
};

}  // namespace prefer::inline v0_1
