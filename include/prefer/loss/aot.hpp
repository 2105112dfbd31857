// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/pair_order.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

namespace detail {

struct policy_margin {
  constexpr auto operator()(auto const& pair) const {
    return pair.chosen.log_prob - pair.rejected.log_prob;
  }
};
struct reference_margin {
  constexpr auto operator()(auto const& pair) const {
    return pair.chosen.reference_log_prob - pair.rejected.reference_log_prob;
  }
};
struct log_ratio_of_chosen {
  constexpr auto operator()(auto const& pair) const { return pair.chosen.log_ratio(); }
};
struct log_ratio_of_rejected {
  constexpr auto operator()(auto const& pair) const { return pair.rejected.log_ratio(); }
};

}  // namespace detail

/// Alignment via Optimal Transport, paired: the policy's margins are pushed above the reference's as distributions, rank
/// against rank.
///
///   loss = -(1 - e) log sigmoid(z) - e log sigmoid(-z),
///   z = beta * (log_prob_margin - the reference's margin of the same rank in the batch)
///
/// So a pair keeps its policy margin and gets the reference margin of another pair: entry i of the results belongs to
/// pair i.
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. Ties keep the order of the batch
/// Several processes: the ranks are those of one process; for those of the whole batch the columns are gathered first
/// Errors  beta <= 0 or label_smoothing outside [0, 1/2) is refused
/// Source  Melnyk et al. 2024, arXiv:2406.05882
/// TRL     DPOTrainer `aot`; there entry k of the per-pair losses belongs to rank k, and ranks are those of one device
struct aot {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "aot";

  positive beta = 0.1;
  flip_probability label_smoothing = 0.0;

  void match(auto const& batch, auto& order) const {
    order.reference = batch.same_rank(detail::policy_margin{}, detail::reference_margin{});
  }
  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * pair.log_ratio_margin();
    return smoothed_logistic(z, label_smoothing);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("label_smoothing", self.label_smoothing);
  }
};

/// Alignment via Optimal Transport, unpaired: chosen log-ratios are pushed above rejected ones as distributions, so that
/// who was compared with whom does not matter.
///
///   loss = -(1 - e) log sigmoid(z) - e log sigmoid(-z),
///   z = beta * (log_ratio_chosen - the rejected log_ratio of the same rank in the batch)
///
/// Entry i of the values belongs to chosen completion i; each coefficient to its own completion.
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. Ties keep the order of the batch
/// Several processes: as for aot
/// Errors  beta <= 0 or label_smoothing outside [0, 1/2) is refused
/// Source  Melnyk et al. 2024, arXiv:2406.05882
/// TRL     DPOTrainer `aot_unpaired`, until February 2026 `aot_pair`; entries belong to ranks as for aot
struct aot_unpaired {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "aot_unpaired";

  positive beta = 0.1;
  flip_probability label_smoothing = 0.0;

  void match(auto const& batch, auto& order) const {
    order.rejected =
        batch.same_rank(detail::log_ratio_of_chosen{}, detail::log_ratio_of_rejected{});
  }
  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * (pair.chosen.log_ratio() - pair.rejected.log_ratio());
    return smoothed_logistic(z, label_smoothing);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("label_smoothing", self.label_smoothing);
  }
};

}  // namespace prefer::inline v0_1
