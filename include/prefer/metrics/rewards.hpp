// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

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

/// How a loss turns log-probabilities into rewards: by what it reads, whatever else a batch holds.
struct reward_rule {
  double beta = 1.0;
  bool per_token = false;  ///< of losses without a reference that average over tokens
  bool from_reference =
      true;  ///< of log-ratios; false: of log-probabilities, even where a reference is there
  bool own_beta = true;        ///< a batch's beta column takes the place of beta
  bool best_by_score = false;  ///< of lists: the best is the one of highest score, else the first
  std::size_t first = 0;       ///< of lists: those before it are not compared
};

/// The rule of a reward model, whose score stands in the policy's column and is the reward itself:
///
///   prefer::no_reference<double> none;
///   auto const scored = prefer::score_pairs(model, none, held_out);
///   prefer::metrics(scored.columns(), prefer::reward_is_score).accuracy.mean();
///   prefer::calibration_of(scored.columns(), prefer::reward_is_score).expected_error();
inline constexpr reward_rule reward_is_score{.from_reference = false, .own_beta = false};

namespace detail {

template <class L>
inline constexpr std::size_t compares_from = [] {
  if constexpr (requires { L::compares_from; }) {
    return std::size_t{L::compares_from};
  } else {
    return std::size_t{0};
  }
}();

}  // namespace detail

/// The rule of a loss: its beta; from the reference where it reads one; per token where it reads lengths and no
/// reference, as SimPO does, unless it has a member `rewards_per_token` that says otherwise. A loss made of losses reports the rewards of its first part that has
/// a beta, and of its first part where none has: `cpo{} + 0.1 * nll_per_token{}` those of cpo.
template <Loss L>
[[nodiscard]] constexpr reward_rule reward_rule_of(L const& loss) {
  expects_hyper_parameters_in_range(loss);
  if constexpr (detail::has_parts<L> && !requires { L::rewards_per_token; }) {
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
    bool const from_reference = read.contains(column_name::reference);
    bool per_token = read.contains(column_name::length) && !from_reference;
    if constexpr (requires { L::rewards_per_token; }) per_token = L::rewards_per_token;
    return {.beta = beta_of(loss),
            .per_token = per_token,
            .from_reference = from_reference,
            .own_beta = read.contains(column_name::beta),
            .best_by_score = L::arity == dynamic_arity && read.contains(column_name::score),
            .first = detail::compares_from<L>};
  }
}

namespace detail {

/// A loss that ranks by sums has no use for lengths; one that ranks per token must have them.
template <class Columns>
void expects_lengths(Columns const& batch, char const* where) {
  if constexpr (requires { batch.length.chosen; }) {
    expects_size(batch.length.chosen.size(), batch.size(), where, "length.chosen");
    expects_size(batch.length.rejected.size(), batch.size(), where, "length.rejected");
  } else {
    expects_size(batch.length.size(), batch.size(), where, "length");
  }
}

/// The statistics of a batch that a rule is applied to.
template <class Columns>
[[nodiscard]] batch_statistics<Columns> ruled(Columns const& batch, reward_rule rule,
                                              char const* where) {
  if (rule.per_token) expects_lengths(batch, where);
  return batch_statistics(batch, where);
}

}  // namespace detail

/// The log-probability of a completion as a rule takes it: of the whole, or per token.
[[nodiscard]] constexpr auto log_prob_by(reward_rule rule, auto const& completion) {
  return rule.per_token ? completion.mean_log_prob() : completion.log_prob;
}
/// The implicit reward of a completion that is part of `example`.
///
///   beta * (log_prob - reference log_prob), or beta * log_prob where the rule has no reference; divided by length with
///   rule.per_token
[[nodiscard]] constexpr auto reward_by(reward_rule rule, auto const& example,
                                       auto const& completion) {
  auto const nats = rule.from_reference ? completion.log_ratio() : completion.log_prob;
  auto const score = rule.per_token ? nats / completion.completion_length : nats;
  auto const own =
      rule.own_beta ? example.beta_or(rule.beta) : decltype(example.beta_or(1.0))(rule.beta);
  return own * score;
}
/// z: the reward of chosen minus that of rejected.
[[nodiscard]] constexpr auto reward_margin_by(reward_rule rule, auto const& pair) {
  return reward_by(rule, pair, pair.chosen) - reward_by(rule, pair, pair.rejected);
}

namespace detail {

// What is added up has a name: a device's compiler takes no lambda of the host.
struct rewards_of_pair {
  reward_rule rule;

  constexpr auto operator()(auto const& pair) const {
    auto const chosen = reward_by(rule, pair, pair.chosen);
    auto const rejected = reward_by(rule, pair, pair.rejected);
    using S = std::remove_const_t<decltype(chosen)>;
    return std::array<S, 6>{chosen,
                            rejected,
                            chosen - rejected,
                            where(chosen > rejected, S(1.0)),
                            log_prob_by(rule, pair.chosen),
                            log_prob_by(rule, pair.rejected)};
  }
};
struct rewards_of_example {
  reward_rule rule;

  constexpr auto operator()(auto const& example) const {
    auto const reward = reward_by(rule, example, example);
    auto const log_prob = log_prob_by(rule, example);
    using S = std::remove_const_t<decltype(reward)>;
    S const none = 0.0;
    return std::array<S, 5>{
        where(example.desirable, reward), select(example.desirable, none, reward),
        where(example.desirable, log_prob), select(example.desirable, none, log_prob),
        where(example.desirable, S(1.0))};
  }
};

}  // namespace detail

/// Implicit rewards and log-probabilities of a batch of pairs: per example first, then added up.
///
///   implicit_reward = beta * (log_prob - reference log_prob), or beta * log_prob without a reference,
///                     or beta * log_prob / length with rule.per_token
///
/// TRL reports beta * log_ratio for every DPO loss, averaging ones included; and per token for SimPO.
/// Errors  precondition_error for sizes that disagree
template <class C = column>
[[nodiscard]] pair_metrics metrics(basic_pair_columns<C> const& batch, reward_rule rule) {
  auto const sums = detail::ruled(batch, rule, "metrics").sums(detail::rewards_of_pair{rule});
  auto const n = static_cast<double>(batch.size());
  return {{sums[0], n}, {sums[1], n}, {sums[2], n}, {sums[3], n}, {sums[4], n}, {sums[5], n}};
}

template <class C = column>
[[nodiscard]] pair_metrics metrics(basic_pair_columns<C> const& batch, double beta) {
  return metrics(batch, reward_rule{.beta = beta});
}

namespace detail {

/// A number of the best completion of a list, and of the others.
template <class S>
struct best_and_others {
  S best;
  S sum_of_others;
  S largest_other;
};

/// `number(completion)` of the best completion, as the rule has it, and of those that it is compared with: at least one.
[[nodiscard]] constexpr auto compare_by(reward_rule rule, auto const& list, auto const& number) {
  using S = std::remove_cvref_t<decltype(number(list[0]))>;
  auto const score = [&](std::size_t i) { return rule.best_by_score ? S(list[i].score) : S(0.0); };
  S best = number(list[rule.first]);
  S score_of_best = score(rule.first);
  S total = best;
  S largest = number(list[rule.first + 1]);
  for (std::size_t i = rule.first + 1; i < list.size(); ++i) {
    S const own = number(list[i]);
    auto const better = score(i) > score_of_best;
    S const other = select(better, best, own);
    largest = i == rule.first + 1 ? other : select(other > largest, other, largest);
    best = select(better, own, best);
    score_of_best = select(better, score(i), score_of_best);
    total = total + own;
  }
  return best_and_others<S>{best, total - best, largest};
}

enum class comparison : std::uint8_t { of_best, of_others, is_best_largest };

/// A number of each list that has something to compare; 0 of the others.
struct compared_list {
  reward_rule rule;
  bool of_rewards;  // else of log-probabilities
  comparison what;

  constexpr auto operator()(auto const& list) const {
    using S = std::remove_cvref_t<decltype(log_prob_by(rule, list[0]))>;
    if (list.size() < rule.first + 2) return S(0.0);
    auto const of = compare_by(rule, list, [&](auto const& y) {
      return of_rewards ? S(reward_by(rule, list, y)) : S(log_prob_by(rule, y));
    });
    if (what == comparison::of_best) return S(of.best);
    if (what == comparison::is_best_largest) return where(of.best > of.largest_other, S(1.0));
    return S(of.sum_of_others / static_cast<double>(list.size() - rule.first - 1));
  }
};

}  // namespace detail

/// The same of lists: the best completion stands for chosen, the mean of the others for rejected, and accuracy is the
/// share of lists whose best completion has a higher reward than every other. A list with nothing to compare is left out.
///
/// Errors  precondition_error for sizes that disagree
template <class C = column>
[[nodiscard]] pair_metrics metrics(basic_list_columns<C> const& batch, reward_rule rule) {
  detail::check_sizes(batch, "metrics");
  if (rule.per_token) {
    expects_size(batch.length.size(), batch.policy.size(), "metrics", "length");
  }
  double lists = 0.0;
  for (std::size_t g = 0; g < batch.size(); ++g) {
    if (batch.offset[g + 1] - batch.offset[g] >= rule.first + 2) lists += 1.0;
  }
  auto const on = detail::backend_of_batch(batch);
  using result = typename std::remove_const_t<decltype(on)>::result;
  auto const sum = [&](bool of_rewards, detail::comparison what) {
    detail::number_of_list const formula{detail::compared_list{rule, of_rewards, what}};
    return on.for_each_list(batch, formula, result{}, result{});
  };
  using enum detail::comparison;
  auto const [best, rest, wins, best_log_prob, other_log_probs] =
      on.read(std::array{sum(true, of_best), sum(true, of_others), sum(true, is_best_largest),
                         sum(false, of_best), sum(false, of_others)});
  return {.reward_chosen = {best, lists},
          .reward_rejected = {rest, lists},
          .reward_margin = {best - rest, lists},
          .accuracy = {wins, lists},
          .log_prob_chosen = {best_log_prob, lists},
          .log_prob_rejected = {other_log_probs, lists}};
}

/// The same of labelled completions.
///
/// TRL     KTOTrainer and BCOTrainer leave a NaN out of the sums; here it shows in the mean
/// Errors  precondition_error for sizes that disagree, and without labels
template <class C = column>
[[nodiscard]] unpaired_metrics metrics(basic_unpaired_columns<C> const& batch, reward_rule rule) {
  expects_size(batch.label.size(), batch.size(), "metrics", "label");
  auto const sums = detail::ruled(batch, rule, "metrics").sums(detail::rewards_of_example{rule});
  double const desirable = sums[4];
  double const undesirable = static_cast<double>(batch.size()) - desirable;
  return {
      {sums[0], desirable}, {sums[1], undesirable}, {sums[2], desirable}, {sums[3], undesirable}};
}

template <class C = column>
[[nodiscard]] unpaired_metrics metrics(basic_unpaired_columns<C> const& batch, double beta) {
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
  detail::for_each_part(loss, [&]<std::size_t Is, class P>(detail::place<Is>, P const& part) {
    for_each_state_metric(part, detail::kept_at<Is, loss_state<P>>(state), visit);
  });
}

}  // namespace prefer::inline v0_1
