// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/list_exponentials.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Efficient Exact Optimization on a pair: the reverse KL divergence from the policy's preference to a smoothed label.
///
///   loss = KL(q || 1 - e) = q log(q / (1 - e)) + (1 - q) log((1 - q) / e),  q = sigmoid(z),
///   z = beta * log_ratio_margin
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. Smallest, 0, at z = log((1 - e) / e); the slope vanishes on both sides of it
/// Errors  beta <= 0, or label_smoothing outside (0, 1/2), is refused: without smoothing the divergence is
///         infinite
/// Source  Ji et al. 2024, eq. 16, arXiv:2402.00856
/// TRL     DPOTrainer `exo_pair`, whose label_smoothing has no default that works: 0 is infinite
struct exo_pair {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "exo_pair";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;
  smoothing label_smoothing = 1e-3;

  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * pair.log_ratio_margin();
    auto const at = finite(value_of(z));
    using number = std::remove_cvref_t<decltype(at)>;
    number const best = log(number((1.0 - label_smoothing) / label_smoothing));
    number const log_odds_left = softplus(best);
    number const log_odds_right = softplus(-best);
    // Two forms, each without cancellation on its side of 0, of one exponential.
    auto const left = at < 0.0;
    number const small_share = sigmoid(select(left, at, -at));  // q on the left, 1 - q on the right
    number const pull = small_share * (at - best);
    auto const value = select(left, log_odds_left, log_odds_right) -
                       softplus(select(left, at, -at)) + select(left, pull, -pull);
    // The derivative, written out: the terms of those forms that cancel in it would leave their rounding errors.
    number const slope = (number(1.0) - small_share) * pull;
    return with_slope(z, value, slope);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("label_smoothing", self.label_smoothing);
  }
};

/// Efficient Exact Optimization over a list: the reverse KL divergence from the policy's distribution over the list to
/// that of a reward.
///
///   loss = KL(softmax(s) || softmax(score / reward_beta)),  s = beta * log_ratio
///
/// Reads   policy and reference log_prob of every completion, and its score: a reward, any finite number; beta per list
///         where given
/// Units   nats; a list of one completion has loss 0
/// Errors  beta <= 0 or reward_beta <= 0 is refused
/// Source  Ji et al. 2024, arXiv:2402.00856
/// TRL     none
struct exo {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "exo";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  positive beta = 0.1;
  positive reward_beta = 1.0;

  constexpr auto operator()(auto const& list) const {
    auto const u = [](auto const& y) { return y.log_ratio(); };
    auto const shift = shared_shift(list, u);
    auto const s = [&](auto const& y) { return list.beta_or(beta) * (u(y) - shift); };
    auto const reward = [&](auto const& y) { return y.score / reward_beta; };
    auto const log_z = log_sum_exp(list, 0, s);
    auto const log_reward_z = log_sum_exp(list, 0, reward);
    auto const term = [&](std::size_t i) {
      auto const log_q = finite(s(list[i]) - log_z);
      return exp(log_q) * (log_q - (reward(list[i]) - log_reward_z));
    };
    auto total = term(0);
    using number = decltype(total);
    if (list.size() == 1) return number(0.0);  // whatever its log-ratio is
    for (std::size_t i = 1; i < list.size(); ++i) total = total + term(i);
    return total;
  }

  /// The loss, and d loss / d log_prob_i = beta * q_i (log(q_i / p_i) - loss) into `out`, q = softmax(s),
  /// p = softmax(score / reward_beta); the logarithms in `room`. Those of both sums are one, of their ratio.
  static constexpr std::size_t coefficient_room = 1;
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out,
                                         std::span<S> room) const {
    if (list.size() == 1) {
      out[0] = 0.0;
      return 0.0;
    }
    S const list_beta = list.beta_or(beta);
    S const sharpness = S(1.0 / reward_beta);
    auto const s = [&](auto const& y) { return list_beta * y.log_ratio(); };
    auto const reward = [&](auto const& y) { return y.score * sharpness; };
    auto const of_reward = exponentials(list, reward, room);
    auto const of_policy = exponentials(list, s, out);
    S const per_policy = S(1.0) / of_policy.total;
    S const log_sums = log(of_reward.total * per_policy);
    S const least = S(-1e30);  // so that the logarithm of q = 0 times q is 0
    S loss = 0.0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      S const below = s(list[i]) - of_policy.largest;
      room[i] =
          select(below > least, below, least) - (reward(list[i]) - of_reward.largest) + log_sums;
      out[i] = out[i] * per_policy;
      loss = loss + out[i] * room[i];
    }
    for (std::size_t i = 0; i < list.size(); ++i) out[i] = list_beta * out[i] * (room[i] - loss);
    return loss;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("reward_beta", self.reward_beta);
  }
};

}  // namespace prefer::inline v0_1
