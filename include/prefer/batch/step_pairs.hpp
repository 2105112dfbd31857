// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// One judged step of a chain of reasoning: after the same correct steps, a preferred next one and a wrong one.
struct step_preference {
  std::span<std::uint32_t const> prompt;  ///< tokens
  std::span<std::uint32_t const>
      correct;  ///< tokens of the steps so far, which both share; may be empty
  std::span<std::uint32_t const> preferred;  ///< tokens of the next step
  std::span<std::uint32_t const> wrong;      ///< tokens of the next step, in its place
};

/// Where the correct steps so far go.
enum class step_context : std::uint8_t {
  in_prompt,  ///< x = prompt and correct steps, y = the next step alone
  in_completion,  ///< x = prompt, y = correct steps and the next step, of which a step_mask counts the last part
};

/// Step-DPO: pairs of single steps.
///
///   loss = DPO with x := prompt + correct steps so far, y := the one next step
///
///   prefer::step_pairs steps(prefer::step_context::in_completion);
///   steps.add({.prompt = question, .correct = so_far, .preferred = better, .wrong = worse});
///   prefer::aggregated policy(model, prefer::step_mask(steps.counted()));
///
/// Either context gives the same log-ratios. data().prompt numbers the token sequences of prompts();
/// data().completion those of completions(); data().length holds the steps' tokens. For a policy whose prompt is
/// one token, such as `bigram`, prompt_is_last_token() replaces the numbers.
///
/// Errors  precondition_error for an empty prompt or step, or a step preferred to itself; nothing is added then
/// Source  Lai et al. 2024, arXiv:2406.18629
template <class = on_demand>
class basic_step_pairs {
 public:
  explicit basic_step_pairs(step_context context) : context_(context) {}

  void add(step_preference const& step) {
    expects_sizes(step);
    std::vector<std::uint32_t> shared;
    append(shared, step.prompt);
    if (context_ == step_context::in_prompt) append(shared, step.correct);
    std::uint32_t const prompt = prompts_.add(view_of(shared));
    std::uint32_t const chosen = add_completion(step, step.preferred);
    std::uint32_t const rejected = add_completion(step, step.wrong);
    data_.add_pair(prompt, chosen, rejected);
  }

  /// From now on prompts are the last token of what they were.
  void prompt_is_last_token() {
    expects(prompt_is_number_, "step_pairs: prompts are last tokens already");
    data_.prompt = prompts_.last_tokens(view_of(data_.prompt));
    prompt_is_number_ = false;
  }

  [[nodiscard]] choice_data const& data() const { return data_; }
  [[nodiscard]] token_table const& prompts() const { return prompts_; }
  [[nodiscard]] token_table const& completions() const { return completions_; }
  /// The tokens of the step in each completion, by number, for a step_mask.
  [[nodiscard]] std::vector<token_range> const& counted() const { return counted_; }

 private:
  void expects_sizes(step_preference const& step) const {
    expects(prompt_is_number_, "step_pairs::add: prompts are last tokens already; add first");
    expects(!step.prompt.empty(), "step_pairs::add: a prompt has at least one token");
    expects(!step.preferred.empty(), "step_pairs::add: a step has at least one token");
    expects(!step.wrong.empty(), "step_pairs::add: a step has at least one token");
    bool same = step.preferred.size() == step.wrong.size();
    for (std::size_t t = 0; same && t != step.wrong.size(); ++t) {
      same = step.preferred[t] == step.wrong[t];
    }
    if (same) {
      detail::broken("step_pairs::add: the preferred step of pair " + std::to_string(data_.size()) +
                     " equals the wrong one");
    }
  }

  std::uint32_t add_completion(step_preference const& step, std::span<std::uint32_t const> next) {
    std::vector<std::uint32_t> tokens;
    if (context_ == step_context::in_completion) append(tokens, step.correct);
    std::size_t const begin = tokens.size();
    append(tokens, next);
    counted_.push_back({begin, tokens.size()});
    data_.length.push_back(static_cast<float>(next.size()));
    return completions_.add(view_of(tokens));
  }

  step_context context_;
  bool prompt_is_number_ = true;
  token_table prompts_;
  token_table completions_;
  choice_data data_;
  std::vector<token_range> counted_;
};
using step_pairs = basic_step_pairs<>;

}  // namespace prefer::inline v0_1
