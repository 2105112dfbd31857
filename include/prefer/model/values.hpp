// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1 {

// Value models for policies over finite sets and over short memories; see ValueModel.

/// A free number for every prompt, whatever was written since: all that there is to know where a completion is one token.
///
///   value(x, t) = value[x]
///
/// Parameters  "value" [prompts], initially 0
/// Errors      precondition_error for a prompt out of range and shapes that disagree
template <std::floating_point T = float>
class prompt_values {
 public:
  using value_type = T;

  explicit prompt_values(std::size_t prompts) : value_(prompts), gradient_(prompts) {
    expects(prompts > 0, "prompt_values: prompts must be greater than zero");
  }

  void values(choice_batch const& batch, std::span<std::size_t const> step_offset,
              std::span<T> out) const {
    for_each_step(batch, step_offset, out.size(),
                  [&](std::size_t step, std::size_t x) { out[step] = value_[x]; });
  }
  void backward_values(choice_batch const& batch, std::span<std::size_t const> step_offset,
                       std::span<T const> coefficient) {
    for_each_step(batch, step_offset, coefficient.size(),
                  [&](std::size_t step, std::size_t x) { gradient_[x] += coefficient[step]; });
  }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "value", .value = value_, .gradient = gradient_, .shape = {value_.size()}}};
  }

 private:
  void for_each_step(choice_batch const& batch, std::span<std::size_t const> step_offset,
                     std::size_t count, auto&& f) const {
    expects_size(step_offset.size(), batch.completions() + 1, "prompt_values", "step_offset");
    expects_size(count, step_offset.back(), "prompt_values", "the column of values");
    for (std::size_t g = 0; g != batch.size(); ++g) {
      if (batch.prompt[g] >= value_.size()) {
        detail::broken("prompt_values: prompt is " + std::to_string(batch.prompt[g]) +
                       ", expected less than " + std::to_string(value_.size()));
      }
      for (std::size_t step = step_offset[batch.offset[g]];
           step != step_offset[batch.offset[g + 1]]; ++step) {
        f(step, batch.prompt[g]);
      }
    }
  }

  std::vector<T> value_;     // [prompts]
  std::vector<T> gradient_;  // [prompts]
};

/// A free number for every state of a policy that remembers one token, such as `bigram`, and, where there are several
/// positions, for how many tokens were written before. With as many positions as a completion has states, any value
/// function of such a policy with rewards of transitions is one of these.
///
///   value(x, y, t) = value[min(t, positions - 1), y_{t-1}],  y_{-1} = x
///
/// The table is borrowed and outlives it; prompts are tokens.
///
/// Parameters  "value" [positions, vocabulary], initially 0
/// Errors      precondition_error for a prompt or a token outside the vocabulary, and for shapes that disagree
template <std::floating_point T = float>
class state_values {
 public:
  using value_type = T;

  state_values(std::size_t vocabulary, token_table const& table, std::size_t positions = 1)
      : vocabulary_(vocabulary),
        positions_(positions),
        table_(&table),
        value_(positions * vocabulary),
        gradient_(positions * vocabulary) {
    expects(vocabulary > 0, "state_values: vocabulary must be greater than zero");
    expects(positions > 0, "state_values: positions must be greater than zero");
  }

  void values(choice_batch const& batch, std::span<std::size_t const> step_offset,
              std::span<T> out) const {
    for_each_step(batch, step_offset, out.size(),
                  [&](std::size_t step, std::size_t state) { out[step] = value_[state]; });
  }
  void backward_values(choice_batch const& batch, std::span<std::size_t const> step_offset,
                       std::span<T const> coefficient) {
    for_each_step(batch, step_offset, coefficient.size(), [&](std::size_t step, std::size_t state) {
      gradient_[state] += coefficient[step];
    });
  }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "value",
             .value = value_,
             .gradient = gradient_,
             .shape = {positions_, vocabulary_}}};
  }

 private:
  void for_each_step(choice_batch const& batch, std::span<std::size_t const> step_offset,
                     std::size_t count, auto&& f) const {
    expects_size(step_offset.size(), batch.completions() + 1, "state_values", "step_offset");
    expects_size(count, step_offset.back(), "state_values", "the column of values");
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        auto const tokens = table_->tokens(batch.completion[i]);
        std::size_t const steps = step_offset[i + 1] - step_offset[i];
        expects(steps == tokens.size() || steps == tokens.size() + 1,
                "state_values: a completion has as many steps as tokens, or one more");
        std::size_t before = batch.prompt[g];
        for (std::size_t t = 0; t != steps; ++t) {
          if (before >= vocabulary_) {
            detail::broken("state_values: a token is " + std::to_string(before) +
                           ", expected less than " + std::to_string(vocabulary_));
          }
          f(step_offset[i] + t, detail::at_most(positions_ - 1, t) * vocabulary_ + before);
          if (t != tokens.size()) before = tokens[t];
        }
      }
    }
  }

  std::size_t vocabulary_;
  std::size_t positions_;
  token_table const* table_;
  std::vector<T> value_;     // [positions, vocabulary]
  std::vector<T> gradient_;  // [positions, vocabulary]
};

}  // namespace prefer::inline v0_1
