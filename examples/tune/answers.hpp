// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/lm/text/tokenizer.hpp>

#include "../language/statistics.hpp"
#include "training.hpp"

namespace tune {

/// What a policy writes to prompts, and how far that is from the model at the start.
struct answer_report {
  language::mean_of_rows length;  ///< tokens
  language::mean_of_rows
      k1;  ///< KL(policy || start) by log-ratios, nats a completion, see kl_estimates
  language::mean_of_rows k3;  ///< by exp(-r) - 1 + r
};

/// How a policy answers.
struct answer_options {
  std::size_t most_tokens = 64;
  std::uint64_t seed = 1;
};

/// The different ones of prompts, the first `most` of those that leave room for an answer, by number.
[[nodiscard]] std::vector<std::uint32_t> prompts_among(std::vector<std::uint32_t> const& prompts,
                                                       prefer::token_sequences const& texts,
                                                       std::size_t room, std::size_t most);

/// One completion for each prompt, drawn from the policy's own distribution, by number in `into`.
[[nodiscard]] std::vector<std::uint32_t> answer(policy_handle& from,
                                                std::vector<std::uint32_t> const& prompts,
                                                prefer::lm::tokenizer const& words,
                                                prefer::token_table& into,
                                                answer_options const& how);

/// A prompt and what was answered, as people read it, each on one line.
struct shown_answer {
  std::string prompt;
  std::string text;
};
[[nodiscard]] std::vector<shown_answer> answers_to(policy_handle& from,
                                                   std::vector<std::uint32_t> const& prompts,
                                                   prefer::lm::tokenizer const& words,
                                                   prefer::token_sequences const& texts,
                                                   prefer::token_table& into,
                                                   answer_options const& how);

/// A row for each prompt with its answer.
[[nodiscard]] prefer::choice_data rows_of(std::vector<std::uint32_t> const& prompts,
                                          std::vector<std::uint32_t> const& answers);

/// KL estimates from what policy and start say of the policy's own answers.
[[nodiscard]] answer_report report_of(prefer::choice_data const& answers,
                                      prefer::token_sequences const& texts,
                                      std::vector<float> const& policy,
                                      std::vector<float> const& start);

}  // namespace tune
