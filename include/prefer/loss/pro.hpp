// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer {

/// Preference Ranking Optimization: each completion against all worse ones, sharper where rewards differ more.
///
///   loss = sum over k < K of log(exp(T_kk a_k) + sum over i > k of exp(T_ki a_i)) - T_kk a_k
///          - sft_weight * (K - 1)^2 * log_prob_first
///   a = mean_log_prob,  T_ki = score_k - score_i,  T_kk = max over i > k of T_ki
///
/// Lists come best first. T are inverse temperatures in the paper's terms.
///
/// Reads   policy log_prob and length of every completion, and its score: a reward that does not rise along the list
/// Units   nats
/// Errors  sft_weight < 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Song et al. 2023, arXiv:2306.17492, with the weights of the authors' code. There 1e-10 is added to the sum
///         inside the logarithm
/// TRL     none
struct pro {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "pro";
  static constexpr batch_meaning batch_means = {.score = score_kind::ordered_reward};

  non_negative sft_weight = 0.05;

  constexpr auto operator()(auto const& list) const {
    auto const gap = [&](std::size_t k, std::size_t i) { return list[k].score - list[i].score; };
    auto const others = static_cast<double>(list.size() - 1);
    auto total = -weighted(sft_weight * others * others, list[0].log_prob);
    for (std::size_t k = 0; k + 1 < list.size(); ++k) {
      auto sharpest = gap(k, k + 1);
      for (std::size_t i = k + 2; i < list.size(); ++i) {
        sharpest = select(gap(k, i) > sharpest, gap(k, i), sharpest);
      }
      auto const scaled = [&](std::size_t i) {
        return weighted(gap(k, i), list[i].mean_log_prob());
      };
      auto log_sum = scaled(k + 1);  // log of the sum over those behind
      for (std::size_t i = k + 2; i < list.size(); ++i) log_sum = log_add_exp(log_sum, scaled(i));
      total = total + softplus(log_sum - weighted(sharpest, list[k].mean_log_prob()));
    }
    return total;
  }
  static constexpr void parameters(auto& self, auto&& visit) {
    visit("sft_weight", self.sft_weight);
  }
};

}  // namespace prefer
