// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Softmax-DPO (S-DPO): one preferred completion, first in its list, against all the others.
///
///   loss = log sum over j of exp(beta * (log_ratio_j - log_ratio_first))
///
/// Reads   policy and reference log_prob of every completion; beta per list where given
/// Units   nats; a list of one completion has loss 0
/// Errors  beta <= 0 is refused
/// Source  Chen et al. 2024, arXiv:2406.09215 (recommendation with several negatives), whose script has beta 1. For K = 2
///         it is dpo.
/// TRL     none
struct softmax_dpo {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "softmax_dpo";

  positive beta = 1.0;

  constexpr auto operator()(auto const& list) const {
    auto const u = [](auto const& y) { return y.log_ratio(); };
    auto const shift = shared_shift(list, u);
    auto const s = [&](auto const& y) { return list.beta_or(beta) * (u(y) - shift); };
    auto const loss = log_sum_exp(list, 0, s) - s(list[0]);
    using number = std::remove_cvref_t<decltype(loss)>;
    return list.size() == 1 ? number(0.0) : loss;  // of one, 0 whatever its log-ratio is
  }

  /// The loss, and d loss / d log_prob_i = beta * (softmax(s)_i - [i = 0]) into `out`, s = beta * log_ratio.
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out) const {
    if (list.size() == 1) {
      out[0] = 0.0;
      return 0.0;
    }
    S const list_beta = list.beta_or(beta);
    S largest = list[0].log_ratio();
    for (std::size_t i = 1; i < list.size(); ++i) {
      S const r = list[i].log_ratio();
      largest = select(r > largest, r, largest);
    }
    S others = 0.0;  // without the preferred one: 1 - softmax_0 would cancel where it is near 1
    for (std::size_t i = 1; i < list.size(); ++i) {
      out[i] = exp(list_beta * (list[i].log_ratio() - largest));
      others = others + out[i];
    }
    S const gap = list_beta * (list[0].log_ratio() - largest);
    S const per_weight = list_beta / (others + exp(gap));
    for (std::size_t i = 1; i < list.size(); ++i) out[i] = out[i] * per_weight;
    out[0] = -(others * per_weight);
    return softplus(log(others) - gap);  // log of a sum of 0, of a list of one, is -infinity
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
