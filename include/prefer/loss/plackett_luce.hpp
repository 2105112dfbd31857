// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/loss/loss.hpp>

namespace prefer {

/// DPO over a full ranking, under the Plackett-Luce model. Completions come best first.
///
///   loss = sum over k < K of  log sum over j >= k of exp(beta * (log_ratio_j - log_ratio_k))
///
/// Reads   policy and reference log_prob of every completion; beta per list where given
/// Units   nats; a list of one completion has loss 0
/// Errors  beta <= 0 does not construct
/// Source  Rafailov et al. 2023, appendix A.3, arXiv:2305.18290. For K = 2 it is dpo.
struct plackett_luce {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "plackett_luce";

  positive beta = 0.1;

  constexpr auto operator()(auto const& list) const {
    auto const rank_loss = [&](std::size_t k) {
      auto const best = list[k].log_ratio();
      return log_sum_exp(list, k, [&](auto const& completion) {
        return list.beta_or(beta) * (completion.log_ratio() - best);
      });
    };
    auto total = rank_loss(0);
    for (std::size_t k = 1; k + 1 < list.size(); ++k) total = total + rank_loss(k);
    return total;
  }

  /// The loss, and d loss / d log_prob_i into `out`, in time linear in K (the formula's dual is quadratic):
  ///
  ///   beta * (sum over k <= min(i, K - 2) of softmax_{j >= k}(s)_i - [i < K - 1]),  s = beta * log_ratio
  [[nodiscard]] double coefficients(auto const& list, std::span<double> out) const {
    std::size_t const count = list.size();
    double const list_beta = list.beta_or(beta);
    auto const score = [&](std::size_t i) { return list_beta * list[i].log_ratio(); };

    out[count - 1] = score(count - 1);  // out[i] holds log sum over j >= i of exp(s_j) at first
    for (std::size_t i = count - 1; i-- > 0;) {
      double const s = score(i);
      out[i] = relu(s - out[i + 1]) + out[i + 1] + softplus(-(s > out[i + 1] ? s - out[i + 1] : out[i + 1] - s));
    }
    double loss = 0.0;
    double share = 0.0;  // sum over k <= i of exp(tail_i - tail_k); tails fall, so nothing overflows
    double previous_tail = out[0];
    for (std::size_t i = 0; i < count; ++i) {
      double const tail = out[i];
      bool const ranked = i + 1 < count;
      share = share * prefer::exp(tail - previous_tail) + (ranked ? 1.0 : 0.0);
      if (ranked) loss += tail - score(i);
      out[i] = list_beta * (share * prefer::exp(score(i) - tail) - (ranked ? 1.0 : 0.0));
      previous_tail = tail;
    }
    return loss;
  }
  static constexpr void parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer
