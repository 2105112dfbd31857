// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer {

/// What is reported of a batch of pairs, as sums over examples, so that batches can be added up before
/// dividing. Weights of pairs do not count. TRL's names in quotes.
struct pair_metrics {
  sum_and_count reward_chosen = {};    ///< "rewards/chosen": beta * log_ratio, nats
  sum_and_count reward_rejected = {};  ///< "rewards/rejected"
  sum_and_count reward_margin = {};    ///< "rewards/margins": chosen minus rejected
  sum_and_count accuracy =
      {};  ///< "rewards/accuracies": share of pairs with margin > 0; a tie is a miss
  sum_and_count log_prob_chosen = {};    ///< "logps/chosen", nats; per token if the rule is
  sum_and_count log_prob_rejected = {};  ///< "logps/rejected"

  friend pair_metrics operator+(pair_metrics const& a, pair_metrics const& b) {
    return {a.reward_chosen + b.reward_chosen,     a.reward_rejected + b.reward_rejected,
            a.reward_margin + b.reward_margin,     a.accuracy + b.accuracy,
            a.log_prob_chosen + b.log_prob_chosen, a.log_prob_rejected + b.log_prob_rejected};
  }
};

/// The same of labelled completions, by class.
struct unpaired_metrics {
  sum_and_count reward_desirable = {};      ///< "rewards/chosen": beta * log_ratio, nats
  sum_and_count reward_undesirable = {};    ///< "rewards/rejected"
  sum_and_count log_prob_desirable = {};    ///< "logps/chosen", nats; per token if the rule is
  sum_and_count log_prob_undesirable = {};  ///< "logps/rejected"

  /// "rewards/margins": the difference of the class means; NaN unless both classes are there.
  [[nodiscard]] double reward_margin() const {
    if (reward_desirable.count == 0.0 || reward_undesirable.count == 0.0) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    return reward_desirable.mean() - reward_undesirable.mean();
  }

  friend unpaired_metrics operator+(unpaired_metrics const& a, unpaired_metrics const& b) {
    return {a.reward_desirable + b.reward_desirable, a.reward_undesirable + b.reward_undesirable,
            a.log_prob_desirable + b.log_prob_desirable,
            a.log_prob_undesirable + b.log_prob_undesirable};
  }
};

/// How a loss turns log-probabilities into rewards.
struct reward_rule {
  double beta = 1.0;
  bool per_token = false;  ///< of losses without a reference that average over tokens
};

/// The rule of a loss: its beta; per token where it reads lengths and no reference, as SimPO does, unless it has a
/// member `rewards_per_token` that says otherwise. A loss made of losses reports the rewards of its first part that has
/// a beta, and of its first part where none has: `cpo{} + 0.1 * nll_per_token{}` those of cpo.
template <Loss L>
[[nodiscard]] constexpr reward_rule reward_rule_of(L const& loss) {
  expects_parameters_in_range(loss);
  if constexpr (requires { L::rewards_per_token; }) {
    return {beta_of(loss), L::rewards_per_token};
  } else if constexpr (detail::has_parts<L>) {
    reward_rule out;
    bool first = true;
    bool found = false;
    detail::for_each_part(loss, [&](auto, auto const& part) {
      bool const leads = !found && detail::count_betas(part) > 0;
      if (first || leads) out = reward_rule_of(part);
      first = false;
      found = found || leads;
    });
    out.beta = beta_of(loss);
    return out;
  } else {
    column_set const read = reads(loss);
    return {beta_of(loss),
            read.contains(column_name::length) && !read.contains(column_name::reference)};
  }
}

namespace detail {

/// Implicit rewards of a batch of pairs, one at a time; sizes are checked once, in the name of `where`.
class pair_rewards {
 public:
  pair_rewards(pair_columns const& batch, reward_rule rule, char const* where)
      : batch_(batch), rule_(rule), referenced_(batch.reference.chosen.present()) {
    std::size_t const n = batch.size();
    expects_size(batch.policy.rejected.size(), n, where, "policy.rejected");
    if (referenced_ || batch.reference.rejected.present()) {
      expects_size(batch.reference.chosen.size(), n, where, "reference.chosen");
      expects_size(batch.reference.rejected.size(), n, where, "reference.rejected");
    }
    if (batch.beta.present()) expects_size(batch.beta.size(), n, where, "beta");
    if (rule.per_token) expects_lengths(batch, where);
  }

  [[nodiscard]] std::size_t size() const { return batch_.size(); }
  [[nodiscard]] double chosen(std::size_t i) const {
    return reward(i, batch_.policy.chosen, batch_.reference.chosen, batch_.length.chosen);
  }
  [[nodiscard]] double rejected(std::size_t i) const {
    return reward(i, batch_.policy.rejected, batch_.reference.rejected, batch_.length.rejected);
  }
  [[nodiscard]] double log_prob_chosen(std::size_t i) const {
    return scaled(i, batch_.policy.chosen[i], batch_.length.chosen);
  }
  [[nodiscard]] double log_prob_rejected(std::size_t i) const {
    return scaled(i, batch_.policy.rejected[i], batch_.length.rejected);
  }

  static void expects_lengths(pair_columns const& batch, char const* where) {
    expects_size(batch.length.chosen.size(), batch.size(), where, "length.chosen");
    expects_size(batch.length.rejected.size(), batch.size(), where, "length.rejected");
  }

 private:
  [[nodiscard]] double scaled(std::size_t i, double nats, column const& length) const {
    return rule_.per_token ? nats / length[i] : nats;
  }
  [[nodiscard]] double reward(std::size_t i, column const& policy, column const& reference,
                              column const& length) const {
    double const beta = batch_.beta.present() ? batch_.beta[i] : rule_.beta;
    return beta * scaled(i, policy[i] - (referenced_ ? reference[i] : 0.0), length);
  }

  pair_columns const& batch_;
  reward_rule rule_;
  bool referenced_;
};

}  // namespace detail

/// Implicit rewards and log-probabilities of a batch of pairs: per example first, then added up in order.
///
///   implicit_reward = beta * (log_prob - reference log_prob), or beta * log_prob without a reference,
///                     or beta * log_prob / length with rule.per_token
///
/// TRL reports beta * log_ratio for every DPO loss, averaging ones included; and per token for SimPO.
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline pair_metrics metrics(pair_columns const& batch, reward_rule rule) {
  detail::pair_rewards const reward(batch, rule, "metrics");
  pair_metrics out;
  for (std::size_t i = 0; i < reward.size(); ++i) {
    double const chosen = reward.chosen(i);
    double const rejected = reward.rejected(i);
    out = out + pair_metrics{{chosen, 1.0},
                             {rejected, 1.0},
                             {chosen - rejected, 1.0},
                             {chosen > rejected ? 1.0 : 0.0, 1.0},
                             {reward.log_prob_chosen(i), 1.0},
                             {reward.log_prob_rejected(i), 1.0}};
  }
  return out;
}

[[nodiscard]] inline pair_metrics metrics(pair_columns const& batch, double beta) {
  return metrics(batch, reward_rule{.beta = beta});
}

/// The same of labelled completions.
///
/// TRL     KTOTrainer and BCOTrainer leave a NaN out of the sums; here it shows in the mean
/// Errors  precondition_error for sizes that disagree, and without labels
[[nodiscard]] inline unpaired_metrics metrics(unpaired_columns const& batch, reward_rule rule) {
  std::size_t const n = batch.size();
  expects_size(batch.label.size(), n, "metrics", "label");
  if (batch.reference.present()) expects_size(batch.reference.size(), n, "metrics", "reference");
  if (batch.beta.present()) expects_size(batch.beta.size(), n, "metrics", "beta");
  if (rule.per_token) expects_size(batch.length.size(), n, "metrics", "length");
  unpaired_metrics out;
  for (std::size_t i = 0; i < n; ++i) {
    double const length = rule.per_token ? batch.length[i] : 1.0;
    double const reference = batch.reference.present() ? batch.reference[i] : 0.0;
    double const beta = batch.beta.present() ? batch.beta[i] : rule.beta;
    bool const desirable = batch.label[i] > 0.0;
    sum_and_count& reward = desirable ? out.reward_desirable : out.reward_undesirable;
    sum_and_count& log_prob = desirable ? out.log_prob_desirable : out.log_prob_undesirable;
    reward = reward + sum_and_count{beta * ((batch.policy[i] - reference) / length), 1.0};
    log_prob = log_prob + sum_and_count{batch.policy[i] / length, 1.0};
  }
  return out;
}

[[nodiscard]] inline unpaired_metrics metrics(unpaired_columns const& batch, double beta) {
  return metrics(batch, reward_rule{.beta = beta});
}

/// A metric's name in TRL's logs, and where it is kept.
template <class Metrics>
struct metric_name {
  char const* name;
  sum_and_count Metrics::*field;
};

inline constexpr metric_name<pair_metrics> pair_metric_names[] = {
    {"rewards/chosen", &pair_metrics::reward_chosen},
    {"rewards/rejected", &pair_metrics::reward_rejected},
    {"rewards/margins", &pair_metrics::reward_margin},
    {"rewards/accuracies", &pair_metrics::accuracy},
    {"logps/chosen", &pair_metrics::log_prob_chosen},
    {"logps/rejected", &pair_metrics::log_prob_rejected}};

inline constexpr metric_name<unpaired_metrics> unpaired_metric_names[] = {
    {"rewards/chosen", &unpaired_metrics::reward_desirable},
    {"rewards/rejected", &unpaired_metrics::reward_undesirable},
    {"logps/chosen", &unpaired_metrics::log_prob_desirable},
    {"logps/rejected", &unpaired_metrics::log_prob_undesirable}};

namespace detail {

template <class Metrics, std::size_t N>
void visit_metrics(Metrics const& sums, metric_name<Metrics> const (&names)[N], auto&& visit) {
  for (auto const& each : names) {
    sum_and_count const value = sums.*each.field;
    if (value.count > 0.0) visit(each.name, value.mean());
  }
}

}  // namespace detail

/// Calls `visit(name, mean)` for each metric that was measured, under TRL's name.
void for_each_metric(pair_metrics const& sums, auto&& visit) {
  detail::visit_metrics(sums, pair_metric_names, visit);
}
void for_each_metric(unpaired_metrics const& sums, auto&& visit) {
  detail::visit_metrics(sums, unpaired_metric_names, visit);
  double const margin = sums.reward_margin();
  if (sums.reward_desirable.count > 0.0 && sums.reward_undesirable.count > 0.0) {
    visit("rewards/margins", margin);
  }
}

/// Calls `visit(name, value)` for what a loss has to report of its state: KTO's "kl". A loss reports by a
/// static member `metrics(state, visit)`; a loss made of losses reports its own, then what its parts do.
template <Loss L>
void for_each_state_metric(L const& loss, loss_state<L> const& state, auto&& visit) {
  if constexpr (requires { L::metrics(own_state_of(loss, state), visit); }) {
    L::metrics(own_state_of(loss, state), visit);
  }
  detail::for_each_part(loss, [&]<std::size_t I, class P>(detail::place<I>, P const& part) {
    for_each_state_metric(part, detail::kept_at<I, loss_state<P>>(state), visit);
  });
}

}  // namespace prefer
