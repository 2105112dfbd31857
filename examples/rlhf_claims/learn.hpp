// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <prefer/advantage/steps.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/policy/parameter.hpp>

#include "listed.hpp"
#include "minimise.hpp"

namespace rlhf_claims {

/// A policy or a reward model over all completions of one prompt, trained to the minimum of an objective.
///
/// An objective is called with a number for each completion, its log-probability or its score, gives a value and writes
/// the derivatives by those numbers.
template <class P>
class learner {
 public:
  learner(P model, std::size_t completions) : model_(std::move(model)), every_(completions) {
    for (std::size_t y = 0; y != completions; ++y) every_[y] = static_cast<std::uint32_t>(y);
    offset_ = {0, completions};
    at_ = values();
    start_ = at_;
  }

  [[nodiscard]] numbers log_prob() {
    numbers out(every_.size());
    model_.log_prob(batch(), std::span(out));
    return out;
  }

  /// From where it is, minimises objective + ridge / 2 * |parameters - those of the start|^2.
  template <class Objective>
  minimum train(Objective&& objective, double ridge = 0.0, std::size_t most_steps = 2000) {
    numbers out(every_.size()), slope(every_.size());
    auto const f = [&](numbers const& at, numbers& gradient) {
      put(at);
      for (auto const& each : model_.parameters()) {
        for (double& g : each.gradient) g = 0.0;
      }
      model_.log_prob(batch(), std::span(out));
      double value = objective(out, slope);
      model_.backward(batch(), std::span<double const>(slope));
      if constexpr (requires { model_.finish_backward(); }) model_.finish_backward();
      std::size_t i = 0;
      for (auto const& each : model_.parameters()) {
        for (double const g : each.gradient) {
          double const moved = at[i] - start_[i];
          value += 0.5 * ridge * moved * moved;
          gradient[i++] = g + ridge * moved;
        }
      }
      return value;
    };
    auto const found = minimise(at_, f, 1e-9, most_steps);
    put(at_);
    return found;
  }

  void restart() {
    at_ = start_;
    put(at_);
  }

 private:
  [[nodiscard]] prefer::choice_batch batch() const { return {prompt_, every_, offset_}; }
  [[nodiscard]] numbers values() {
    numbers out;
    for (auto const& each : model_.parameters()) {
      out.insert(out.end(), each.value.begin(), each.value.end());
    }
    return out;
  }
  void put(numbers const& at) {
    std::size_t i = 0;
    for (auto const& each : model_.parameters()) {
      for (double& x : each.value) x = at[i++];
    }
    if constexpr (requires { model_.parameters_moved(); }) model_.parameters_moved();
  }

  P model_;
  std::vector<std::uint32_t> prompt_ = {0};
  std::vector<std::uint32_t> every_;
  std::vector<std::size_t> offset_;
  numbers at_;
  numbers start_;
};

/// A pair loss of the library over weighted pairs, as an objective. Pairs and reference outlive it.
template <class L>
class pair_objective {
 public:
  /// `reference`: log_prob of each completion; none for a loss that reads none.
  pair_objective(L loss, weighted_pairs const& pairs, numbers const* reference)
      : loss_(loss), pairs_(&pairs), up_(pairs.size()), down_(pairs.size()) {
    policy_ = {numbers(pairs.size()), numbers(pairs.size())};
    if (reference != nullptr)
      reference_ = {of(pairs.chosen, *reference), of(pairs.rejected, *reference)};
  }

  double operator()(numbers const& log_prob, numbers& slope) {
    for (std::size_t k = 0; k != pairs_->size(); ++k) {
      policy_.first[k] = log_prob[pairs_->chosen[k]];
      policy_.second[k] = log_prob[pairs_->rejected[k]];
    }
    prefer::pair_columns columns{.policy = {.chosen = policy_.first, .rejected = policy_.second},
                                 .weight = pairs_->weight};
    if (!reference_.first.empty()) {
      columns.reference = {.chosen = reference_.first, .rejected = reference_.second};
    }
    double const value = prefer::evaluate_into(
        loss_, columns, prefer::pair_results{.chosen = up_, .rejected = down_});
    for (double& each : slope) each = 0.0;
    for (std::size_t k = 0; k != pairs_->size(); ++k) {
      slope[pairs_->chosen[k]] += up_[k];
      slope[pairs_->rejected[k]] += down_[k];
    }
    return value;
  }

 private:
  static numbers of(std::vector<std::uint32_t> const& ids, numbers const& all) {
    numbers out;
    for (auto const y : ids) out.push_back(all[y]);
    return out;
  }

  L loss_;
  weighted_pairs const* pairs_;
  std::pair<numbers, numbers> policy_;
  std::pair<numbers, numbers> reference_;
  numbers up_, down_;
};

/// E[reward] - beta * KL(policy || start), negative, with its exact policy gradient: REINFORCE over every completion, weighted by
/// its probability, with k1 in the reward.
class reward_objective {
 public:
  reward_objective(numbers const& reward, numbers const& start, double beta)
      : reward_(&reward), start_(&start), beta_(beta) {}

  double operator()(numbers const& log_prob, numbers& slope) {
    probability_.clear();
    for (double const each : log_prob) probability_.push_back(std::exp(each));
    numbers score = prefer::penalised_scores(*reward_, log_prob, *start_, beta_);
    double mean = 0.0;
    for (std::size_t y = 0; y != score.size(); ++y) mean += probability_[y] * score[y];
    for (double& each : score) each -= mean;  // a baseline, which no exact gradient depends on
    prefer::evaluate_into(
        prefer::reinforce{},
        prefer::unpaired_columns{.policy = log_prob, .score = score, .weight = probability_},
        prefer::unpaired_results{.coefficient = slope}, {.reduce = prefer::reduction::none});
    return -mean;
  }

 private:
  numbers const* reward_;
  numbers const* start_;
  double beta_;
  numbers probability_;
};

/// Where training on all pairs that the policy itself writes, labelled by `reward`, comes to rest: the writer follows the policy
/// by a quarter of the way in each round, until the two are one.
struct online_end {
  std::size_t rounds = 0;
  double apart = 0.0;  ///< KL(policy || writer) in the end, nats
};
template <class L, class P>
online_end train_online(L const& loss, learner<P>& policy, numbers const& reward,
                        numbers const& start) {
  online_end out;
  numbers writer = policy.log_prob();
  weighted_pairs pairs = every_pair(writer, reward);
  out.apart = std::numeric_limits<double>::infinity();
  while (out.apart > 1e-9 && out.rounds != 300) {
    policy.train(pair_objective(loss, pairs, &start), 0.0, 4);
    numbers const now = policy.log_prob();
    out.apart = divergence(now, writer);
    for (std::size_t y = 0; y != now.size(); ++y) {
      writer[y] = std::log(0.75 * std::exp(writer[y]) + 0.25 * std::exp(now[y]));
    }
    ++out.rounds;
    weigh_by(writer, reward, pairs);
  }
  return out;
}

}  // namespace rlhf_claims
