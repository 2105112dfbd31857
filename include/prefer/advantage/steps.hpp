// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/scalar/kl_estimators.hpp>

namespace prefer::inline v0_1 {

// A completion as an episode: each token is an action, the prompt and the tokens before it the state. Numbers of steps lie
// end to end, episode i in [step_offset[i], step_offset[i + 1]).
//
// An episode has as many steps as the completion has tokens, or one more: the state after the end, in which nothing is
// written any more. Its score is given in its last step, so in that state where there is one.

/// Where the steps of each completion begin, and the end [G + 1]: a completion of fewer than `limit` tokens has ended by
/// itself and has a step after its end; one that was cut off there has none. A limit of 0 gives none to any.
///
/// TRL     PPOTrainer, where the limit is the width of the batch: "score at the token after the end"
template <class = on_demand>
[[nodiscard]] std::vector<std::size_t> step_offsets(std::span<std::size_t const> token_offset,
                                                    std::size_t limit) {
  expects(!token_offset.empty(),
          "step_offsets: token_offset is empty; it has one element more than "
          "there are completions");
  std::vector<std::size_t> out = {0};
  for (std::size_t i = 0; i + 1 < token_offset.size(); ++i) {
    std::size_t const tokens = token_offset[i + 1] - token_offset[i];
    out.push_back(out.back() + tokens + (tokens < limit ? 1 : 0));
  }
  return out;
}

/// Which estimate of KL(policy || reference) a token's reward pays for, of its log_ratio.
enum class kl_estimator : std::uint8_t {
  k1,  ///< log_ratio, of either sign
  k3   ///< exp(-log_ratio) - 1 + log_ratio, never negative
};

/// What being away from the reference costs.
struct kl_penalty {
  non_negative coefficient = 0.05;
  kl_estimator estimator = kl_estimator::k1;
};

namespace detail {

/// Refuses numbers that are not finite; `each` is what one of them is called.
template <class = on_demand>
void expects_finite(std::span<double const> numbers, char const* where, char const* each) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (std::isfinite(numbers[i])) continue;
    broken(std::string(where) + ": " + each + " " + std::to_string(i) + " is " +
           std::to_string(numbers[i]) + "; expected a finite number");
  }
}

/// Refuses offsets that do not part `count` numbers into episodes or groups of at least `least`.
template <class = on_demand>
void expects_parts(std::span<std::size_t const> offset, std::size_t count, std::size_t least,
                   char const* where, char const* part) {
  auto const say = [&](std::string const& what) { broken(std::string(where) + ": " + what); };
  if (offset.empty() || offset.front() != 0) say("offsets must begin with 0");
  for (std::size_t i = 0; i + 1 < offset.size(); ++i) {
    if (offset[i + 1] >= offset[i] + least) continue;
    say(std::string(part) + " " + std::to_string(i) + " is from " + std::to_string(offset[i]) +
        " to " + std::to_string(offset[i + 1]) + "; expected at least " + std::to_string(least) +
        (least == 1 ? " element" : " elements"));
  }
  if (offset.back() != count) {
    say("offsets end at " + std::to_string(offset.back()) + ", and there are " +
        std::to_string(count) + " elements");
  }
}

/// Refuses steps that are not those of the completions: as many as tokens, or one more.
template <class = on_demand>
void expects_steps(std::span<std::size_t const> token_offset,
                   std::span<std::size_t const> step_offset, char const* where) {
  expects_size(step_offset.size(), token_offset.size(), where, "step_offset");
  for (std::size_t i = 0; i + 1 < token_offset.size(); ++i) {
    std::size_t const tokens = token_offset[i + 1] - token_offset[i];
    std::size_t const steps = step_offset[i + 1] - step_offset[i];
    if (steps == tokens || steps == tokens + 1) continue;
    broken(std::string(where) + ": completion " + std::to_string(i) + " has " +
           std::to_string(tokens) + " tokens and " + std::to_string(steps) +
           " steps; expected as many, or one more");
  }
}

}  // namespace detail

/// The reward of every step: what each token pays for being away from the reference, and the completion's score in the last
/// step.
///
///   reward_t = -coefficient * k(log_prob_t - reference_log_prob_t) + (score where t is the episode's last step)
///
/// Reads   log-probabilities of tokens under the policy that wrote them and under the reference, nats [tokens]; one score per
///         completion
/// Gives   [steps]
/// Errors  precondition_error for a coefficient below 0, for shapes that disagree and for scores that are not finite
/// Source  Ziegler et al. 2019, arXiv:1909.08593, eq. 2; Ouyang et al. 2022, arXiv:2203.02155
/// TRL     PPOTrainer, `kl_coef` and `kl_estimator`
template <class = on_demand>
[[nodiscard]] std::vector<double> step_rewards(std::span<double const> log_prob,
                                               std::span<double const> reference_log_prob,
                                               std::span<double const> score,
                                               std::span<std::size_t const> token_offset,
                                               std::span<std::size_t const> step_offset,
                                               kl_penalty const& penalty = {}) {
  constexpr char const* where = "step_rewards";
  expects_in_range(penalty.coefficient, where, "coefficient");
  detail::expects_parts(token_offset, log_prob.size(), 1, where, "completion");
  detail::expects_steps(token_offset, step_offset, where);
  expects_size(reference_log_prob.size(), log_prob.size(), where, "reference_log_prob");
  expects_size(score.size(), token_offset.size() - 1, where, "score");
  detail::expects_finite(score, where, "score");
  std::vector<double> out(step_offset.back());
  for (std::size_t i = 0; i < score.size(); ++i) {
    std::size_t step = step_offset[i];
    for (std::size_t t = token_offset[i]; t != token_offset[i + 1]; ++t, ++step) {
      double const log_ratio = log_prob[t] - reference_log_prob[t];
      double const kl = penalty.estimator == kl_estimator::k1 ? kl_k1(log_ratio) : kl_k3(log_ratio);
      out[step] = -penalty.coefficient * kl;
    }
    out[step_offset[i + 1] - 1] += score[i];
  }
  return out;
}

/// The same of whole completions: their scores minus what they pay. k1 adds up over tokens, so sums of log-probabilities
/// are all it takes.
///
///   reward_i = score_i - coefficient * (log_prob_i - reference_log_prob_i)
///
/// Errors  precondition_error for a coefficient below 0, for sizes that disagree and for scores that are not finite
/// Source  Ahmadian et al. 2024, arXiv:2402.14740
/// TRL     RLOOTrainer, `beta`
template <class = on_demand>
[[nodiscard]] std::vector<double> penalised_scores(std::span<double const> score,
                                                   std::span<double const> log_prob,
                                                   std::span<double const> reference_log_prob,
                                                   non_negative coefficient = 0.05) {
  constexpr char const* where = "penalised_scores";
  expects_in_range(coefficient, where, "coefficient");
  expects_size(log_prob.size(), score.size(), where, "log_prob");
  expects_size(reference_log_prob.size(), score.size(), where, "reference_log_prob");
  detail::expects_finite(score, where, "score");
  std::vector<double> out;
  for (std::size_t i = 0; i < score.size(); ++i) {
    out.push_back(score[i] - coefficient * (log_prob[i] - reference_log_prob[i]));
  }
  return out;
}

/// Of numbers per step those of the tokens, without the state after the end.
///
/// Errors  precondition_error for shapes that disagree
template <class = on_demand>
[[nodiscard]] std::vector<double> of_tokens(std::span<double const> steps,
                                            std::span<std::size_t const> token_offset,
                                            std::span<std::size_t const> step_offset) {
  detail::expects_parts(step_offset, steps.size(), 1, "of_tokens", "episode");
  detail::expects_steps(token_offset, step_offset, "of_tokens");
  std::vector<double> out;
  out.reserve(token_offset.back());
  for (std::size_t i = 0; i + 1 < token_offset.size(); ++i) {
    std::size_t const tokens = token_offset[i + 1] - token_offset[i];
    append(out, steps.subspan(step_offset[i], tokens));
  }
  return out;
}

}  // namespace prefer::inline v0_1
