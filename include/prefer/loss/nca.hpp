// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/list_exponentials.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Noise Contrastive Alignment on a pair: raises the chosen reward in absolute terms, unlike losses of the margin.
///
///   loss = softplus(-u_chosen) + softplus(u_chosen) / 2 + softplus(u_rejected) / 2,  u = beta * log_ratio
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. At rest where sigmoid(u_chosen) = 2/3
/// Errors  beta <= 0 is refused
/// Source  Chen et al. 2024, arXiv:2402.05369
/// TRL     DPOTrainer `nca_pair`
struct nca_pair {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "nca_pair";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const b = pair.beta_or(beta);
    auto const chosen = b * pair.chosen.log_ratio();
    auto const rejected = b * pair.rejected.log_ratio();
    return softplus(-chosen) + 0.5 * softplus(chosen) + 0.5 * softplus(rejected);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// InfoNCA: cross-entropy from the softmax of a reward to the policy's softmax over a list.
///
///   loss = -sum over i of p_i log softmax(s)_i,  p = softmax(score / temperature),  s = beta * log_ratio
///
/// Reads   policy and reference log_prob of every completion, and its score: a reward, any finite number; beta per list
///         where given
/// Units   nats; a list of one completion has loss 0. With all weight on the first it is softmax_dpo
/// Errors  beta <= 0 or temperature <= 0 is refused
/// Source  Chen et al. 2024, arXiv:2402.05369
/// TRL     none
struct info_nca {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "info_nca";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  positive beta = 0.1;
  positive temperature = 1.0;

  constexpr auto operator()(auto const& list) const {
    auto const reward = [&](auto const& y) { return y.score / temperature; };
    auto const log_reward_z = log_sum_exp(list, 0, reward);
    auto const u = [](auto const& y) { return y.log_ratio(); };
    auto const shift = shared_shift(list, u);
    auto const s = [&](auto const& y) { return list.beta_or(beta) * (u(y) - shift); };
    auto const log_z = log_sum_exp(list, 0, s);
    auto const term = [&](std::size_t i) {
      return exp(reward(list[i]) - log_reward_z) * (log_z - s(list[i]));
    };
    auto total = term(0);
    using number = decltype(total);
    if (list.size() == 1) return number(0.0);  // whatever its log-ratio is
    for (std::size_t i = 1; i < list.size(); ++i) total = total + term(i);
    return total;
  }

  /// The loss, and d loss / d log_prob_i = beta * (softmax(s)_i - p_i) into `out`, with p in `room`.
  static constexpr std::size_t coefficient_room = 1;
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out,
                                         std::span<S> room) const {
    if (list.size() == 1) {
      out[0] = 0.0;
      return 0.0;
    }
    S const list_beta = list.beta_or(beta);
    auto const s = [&](auto const& y) { return list_beta * y.log_ratio(); };
    S const sharpness = S(1.0 / temperature);
    auto const reward = [&](auto const& y) { return y.score * sharpness; };
    auto const of_policy = exponentials(list, s, out);
    auto const of_reward = exponentials(list, reward, room);
    S const log_z = of_policy.largest + log(of_policy.total);
    S const per_policy = S(1.0) / of_policy.total;
    S const per_reward = S(1.0) / of_reward.total;
    S loss = 0.0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      S const p = room[i] * per_reward;
      loss = loss + p * (log_z - s(list[i]));
      out[i] = list_beta * (out[i] * per_policy - p);
    }
    return loss;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("temperature", self.temperature);
  }
};

/// Noise Contrastive Alignment over a list: every completion against the reference, weighted by the reward's softmax.
///
///   loss = sum over i of p_i softplus(-s_i) + softplus(s_i) / K,  p = softmax(score / temperature),
///   s = beta * log_ratio
///
/// Reads   policy and reference log_prob of every completion, and its score: a reward, any finite number; beta per list
///         where given
/// Units   nats
/// Errors  beta <= 0 or temperature <= 0 is refused
/// Source  Chen et al. 2024, arXiv:2402.05369. nca_pair is K = 2 with all weight on the chosen completion
/// TRL     none
struct nca {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "nca";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  positive beta = 0.1;
  positive temperature = 1.0;

  constexpr auto operator()(auto const& list) const {
    auto const reward = [&](auto const& y) { return y.score / temperature; };
    auto const log_reward_z = log_sum_exp(list, 0, reward);
    double const share = 1.0 / static_cast<double>(list.size());
    auto const term = [&](std::size_t i) {
      auto const s = list.beta_or(beta) * list[i].log_ratio();
      return exp(reward(list[i]) - log_reward_z) * softplus(-s) + share * softplus(s);
    };
    auto total = term(0);
    for (std::size_t i = 1; i < list.size(); ++i) total = total + term(i);
    return total;
  }

  /// The loss, and d loss / d log_prob_i = beta * (sigmoid(s_i) / K - p_i sigmoid(-s_i)) into `out`: both softplus and both
  /// sigmoids from one exponential, that of -|s|.
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out) const {
    S const list_beta = list.beta_or(beta);
    S const sharpness = S(1.0 / temperature);
    auto const reward = [&](auto const& y) { return y.score * sharpness; };
    auto const of_reward = exponentials(list, reward, out);
    S const per_reward = S(1.0) / of_reward.total;
    S const share = S(1.0 / static_cast<double>(list.size()));
    S loss = 0.0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      S const p = out[i] * per_reward;
      S const s = list_beta * list[i].log_ratio();
      auto const above = s > 0.0;
      S const left = select(above, -s, s);
      S const lower = sigmoid(left);
      S const upper = S(1.0) - lower;
      loss = loss + (select(above, share, -p) * s + (p + share) * softplus(left));
      out[i] = list_beta * (share * select(above, upper, lower) - p * select(above, lower, upper));
    }
    return loss;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("temperature", self.temperature);
  }
};

}  // namespace prefer::inline v0_1
