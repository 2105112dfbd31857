// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/scalar/math.hpp>
#include <prefer/train/learning_rate.hpp>
#include <prefer/train/options.hpp>

#include "../exact.hpp"
#include "method.hpp"
#include "ratings_arena.hpp"
#include "run_meter.hpp"

namespace sweep {

inline constexpr std::size_t group = 4;       ///< completions that are compared with one another
inline constexpr std::size_t ppo_epochs = 4;  ///< over each rollout

/// A reward for each completion, fitted on labelled pairs.
struct fitted_reward {
  numbers reward;  ///< of every completion, nats of preference; the start's expectation is 0
  std::size_t parameters = 0;
  double seconds = 0.0;          ///< that it took
  std::uint64_t peak_bytes = 0;  ///< most memory that it took at once
};

/// What a seed gives to the methods: a problem, what may be spent, and what the labels have taught.
///
/// Rewards here are in nats of preference, r = label_sharpness * R: annotators' odds are exp(r_a - r_b), a reward model that
/// has learned from them estimates r, and so dpo and RLHF of the same beta look for the same policy, start * exp(r / beta) / Z.
class arena {
 public:
  /// `options` is borrowed.
  arena(task const& of, std::shared_ptr<problem const> given, std::uint64_t seed,
        method_options const& options);

  [[nodiscard]] task const& of() const { return of_; }
  [[nodiscard]] problem const& given() const { return *given_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  [[nodiscard]] method_options const& options() const { return options_; }
  [[nodiscard]] bool by_labels() const { return options_.budget == budget_kind::labels; }

  /// Of ratings.
  [[nodiscard]] ratings_arena const& on_ratings() const { return *ratings_; }

  // Of a problem whose completions can be listed:

  [[nodiscard]] bool is_exact() const { return exact_ != nullptr; }
  [[nodiscard]] exact_problem const& exact() const { return *exact_; }
  [[nodiscard]] numbers const& start() const { return exact_->all().start; }
  /// The reward model of the labels; with a budget of samples nothing is fitted.
  [[nodiscard]] fitted_reward const& learned() const { return learned_; }
  /// What methods raise: the learned reward with a budget of labels, the true one with a budget of samples; nats.
  [[nodiscard]] numbers const& reward() const { return reward_; }
  /// Steps at which training is judged: a 16th, an 8th, a quarter, a half and all of `steps`.
  [[nodiscard]] static std::vector<std::uint64_t> judged_at(std::uint64_t steps);
  /// What the policy is worth. `log_prob` is of every completion.
  [[nodiscard]] progress_point judge(numbers const& log_prob, std::uint64_t step,
                                     spending const& spent) const;

 private:
  task const& of_;
  std::shared_ptr<problem const> given_;
  exact_problem const* exact_;
  std::uint64_t seed_;
  method_options const& options_;
  fitted_reward learned_;
  numbers reward_;
  std::unique_ptr<ratings_arena const> ratings_;
};

/// Fits what the labelled pairs of a problem say by Bradley-Terry: on a bandit one free score per action, on sequences a score
/// per transition.
[[nodiscard]] fitted_reward fit_reward(exact_problem const& of, reward_fit fit);

/// The pairs of a problem as the trainer takes them, for a policy over all completions.
[[nodiscard]] prefer::choice_data labelled_pairs(exact_problem const& of);

/// A policy over tokens that writes into a table of its own, and what goes with it. The table begins with all completions,
/// so that their numbers are those of the problem.
class writing_policy {
 public:
  using policy_type = prefer::bigram<double>;

  /// What lists all completions, which only judging needs, is not on the meter.
  writing_policy(exact_problem const& of, run_meter& meter)
      : shape_(of.start_tokens()),
        table_(every_completion(shape_, meter)),
        policy_(shape_.vocabulary, table_, shape_.logits) {}
  writing_policy(writing_policy const&) = delete;
  writing_policy& operator=(writing_policy const&) = delete;

  [[nodiscard]] policy_type& policy() { return policy_; }
  [[nodiscard]] prefer::token_table& table() { return table_; }
  [[nodiscard]] token_policy const& shape() const { return shape_; }
  [[nodiscard]] prefer::sampling_options sampling() const { return {.max_tokens = shape_.length}; }
  [[nodiscard]] std::size_t parameters() const { return shape_.logits.size(); }
  /// Of every completion.
  [[nodiscard]] numbers log_prob() {
    std::size_t count = 1;
    for (std::size_t t = 0; t < shape_.length; ++t) count *= shape_.vocabulary;
    std::vector<std::uint32_t> every(count);
    for (std::uint32_t i = 0; i < count; ++i) every[i] = i;
    std::vector<std::uint32_t> const prompt = {0};
    std::vector<std::size_t> const offset = {0, count};
    numbers out(count);
    policy_.log_prob({prompt, every, offset}, out);
    return out;
  }
  /// What of_completion says of these tokens.
  [[nodiscard]] std::uint32_t number_of(std::span<std::uint32_t const> tokens) const {
    std::size_t out = 0;
    for (std::uint32_t const token : tokens) out = out * shape_.vocabulary + token;
    return static_cast<std::uint32_t>(out);
  }
  /// A reward of every completion as a function of tokens.
  [[nodiscard]] auto reward_of(numbers const& reward) const {
    return [this, &reward](std::uint32_t, std::span<std::uint32_t const> tokens) {
      return reward[number_of(tokens)];
    };
  }

 private:
  static prefer::token_table every_completion(token_policy const& shape, run_meter& meter) {
    meter.hold();
    auto out = prefer::token_table::all_of_length(shape.vocabulary, shape.length);
    meter.go();
    return out;
  }

  token_policy shape_;
  prefer::token_table table_;
  policy_type policy_;
};

/// Options of a trainer over `steps` steps.
[[nodiscard]] inline prefer::train_options falling_rate(double rate, std::uint64_t steps) {
  return {.steps = steps, .rate = prefer::learning_rate::linear({.peak = rate, .steps = steps})};
}

/// What a run has spent that writes two completions for each example: after the pairs of the reward model, with a budget of
/// labels.
[[nodiscard]] inline auto spent_in_pairs(arena const& on) {
  return [&on](std::uint64_t step) -> spending {
    std::uint64_t const written = step * (on.options().batch / 2) * 2;
    if (!on.by_labels()) return {.scored = written, .written = written};
    return {.labels = on.given().drawn(), .written = 2 * on.given().drawn() + written};
  };
}

/// One policy that is trained, and `copies` of it and the reward model, if there is one, that are asked.
[[nodiscard]] inline held_models with_reward_model(arena const& on, std::size_t copies) {
  std::size_t const parameters = on.exact().start_parameters();
  return {.trained = parameters,
          .asked = copies * parameters + (on.by_labels() ? on.learned().parameters : 0)};
}

/// The most memory that a run takes at once which asks the reward model: while that is fitted, or after it, beside its scores.
[[nodiscard]] inline std::uint64_t peak_with_reward_model(arena const& on, run_meter const& meter) {
  if (!on.by_labels()) return meter.peak_bytes();
  std::uint64_t const scores = on.learned().reward.size() * sizeof(double);
  return std::max(on.learned().peak_bytes, scores + meter.peak_bytes());
}

/// Runs a trainer of a method that asks a reward to its end, judged on the way. `spent(step)` says what was used until then.
template <class Trainer, class Spent>
void train_and_judge(Trainer& training, writing_policy& writer, arena const& on, run_meter& meter,
                     Spent const& spent, method_run& out) {
  for (std::uint64_t const until : arena::judged_at(training.steps_planned())) {
    while (training.steps_done() < until) (void)training.step();
    meter.hold();
    out.points.push_back(on.judge(writer.log_prob(), until, spent(until)));
    out.points.back().seconds = on.learned().seconds + meter.seconds();
    meter.go();
  }
  meter.hold();
  out.peak_bytes = peak_with_reward_model(on, meter);
}

}  // namespace sweep
