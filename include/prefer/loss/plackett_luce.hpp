// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/loss/list_exponentials.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// DPO over a full ranking, under the Plackett-Luce model. Completions come best first.
///
///   loss = sum over k < K of  log sum over j >= k of exp(beta * (log_ratio_j - log_ratio_k))
///
/// Reads   policy and reference log_prob of every completion; beta per list where given
/// Units   nats; a list of one completion has loss 0
/// Errors  beta <= 0 is refused
/// Source  Rafailov et al. 2023, appendix A.3, arXiv:2305.18290. For K = 2 it is dpo.
/// TRL     none
struct plackett_luce {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "plackett_luce";

  positive beta = 0.1;

  constexpr auto operator()(auto const& list) const {
    auto const u = [](auto const& y) { return y.log_ratio(); };
    auto const shift = shared_shift(list, u);
    auto const s = [&](auto const& y) { return list.beta_or(beta) * (u(y) - shift); };
    auto const rank_loss = [&](std::size_t k) { return log_sum_exp(list, k, s) - s(list[k]); };
    auto total = rank_loss(0);
    using number = decltype(total);
    if (list.size() == 1) return number(0.0);  // whatever its log-ratio is
    for (std::size_t k = 1; k + 1 < list.size(); ++k) total = total + rank_loss(k);
    return total;
  }

  /// The loss, and d loss / d log_prob_i into `out`, in time linear in K (the formula's dual is quadratic):
  ///
  ///   beta * (sum over k < i of softmax_{j >= k}(s)_i - [i < K - 1] * sum over j > i of softmax_{j >= i}(s)_j)
  ///
  /// with s = beta * log_ratio: from one exponential and one logarithm for each rank, of sums less the largest s behind it,
  /// so that nothing overflows and nothing near 1 is subtracted from 1.
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out) const {
    std::size_t const count = list.size();
    S const list_beta = list.beta_or(beta);
    S loss = 0.0;
    S largest = list_beta * list[count - 1].log_ratio();  // of s_j, j > i
    S behind = 1.0;                                       // sum over j > i of exp(s_j - largest)
    for (std::size_t i = count - 1; i-- > 0;) {
      S const own = list_beta * list[i].log_ratio();
      S const lead = own - largest;
      auto const ahead = lead > 0.0;
      S const smaller = exp(select(ahead, -lead, lead));
      largest = select(ahead, own, largest);
      behind = select(ahead, smaller, S(1.0)) * behind;
      auto const sum = sum_with_own(select(ahead, S(1.0), smaller), behind, ahead);
      loss = loss + (sum.logarithm + relu(-lead));
      out[i] = behind * sum.inverse;  // what softmax_{j >= i} leaves to those behind i
      behind = sum.value;
    }
    S share = 0.0;  // sum over k < i of the product of what k ... i - 1 leave
    for (std::size_t i = 0; i + 1 < count; ++i) {
      S const rest = out[i];
      out[i] = list_beta * (share * (S(1.0) - rest) - rest);
      share = (share + S(1.0)) * rest;
    }
    out[count - 1] = list_beta * share;
    return loss;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
