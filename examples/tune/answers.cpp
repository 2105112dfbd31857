// SPDX-License-Identifier: MIT
#include "answers.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>

namespace tune {

std::vector<std::uint32_t> prompts_among(std::vector<std::uint32_t> const& prompts,
                                         prefer::token_sequences const& texts, std::size_t room,
                                         std::size_t most) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t const prompt : prompts) {
    if (out.size() == most) break;
    if (texts.prompts.length(prompt) > room) continue;
    if (std::find(out.begin(), out.end(), prompt) == out.end()) out.push_back(prompt);
  }
  return out;
}

std::vector<std::uint32_t> answer(policy_handle& from, std::vector<std::uint32_t> const& prompts,
                                  prefer::lm::tokenizer const& words, prefer::token_table& into,
                                  answer_options const& how) {
  prefer::sampling_options options{.max_tokens = how.most_tokens};
  auto const stops = words.stop_tokens();
  if (!stops.empty()) options.stop_token = stops.back();
  std::vector<std::uint32_t> out(prompts.size());
  from.sample(prompts, options, {.seed = how.seed, .purpose = prefer::random_purpose::completion},
              into, out);
  return out;
}

std::vector<shown_answer> answers_to(policy_handle& from, std::vector<std::uint32_t> const& prompts,
                                     prefer::lm::tokenizer const& words,
                                     prefer::token_sequences const& texts,
                                     prefer::token_table& into, answer_options const& how) {
  auto const on_one_line = [](std::string text) {
    for (char& c : text) {
      if (c == '\n' || c == '\r') c = ' ';
    }
    return text;
  };
  auto const ids = answer(from, prompts, words, into, how);
  std::vector<shown_answer> out;
  for (std::size_t i = 0; i != prompts.size(); ++i) {
    out.push_back({on_one_line(words.decode_text(texts.prompts.tokens(prompts[i]))),
                   on_one_line(words.decode_text(into.tokens(ids[i])))});
  }
  return out;
}

prefer::choice_data rows_of(std::vector<std::uint32_t> const& prompts,
                            std::vector<std::uint32_t> const& answers) {
  prefer::choice_data out;
  for (std::size_t i = 0; i != prompts.size(); ++i) out.add_labelled(prompts[i], answers[i], true);
  return out;
}

answer_report report_of(prefer::choice_data const& answers, prefer::token_sequences const& texts,
                        std::vector<float> const& policy, std::vector<float> const& start) {
  std::vector<double> length;
  std::vector<double> k1;
  std::vector<double> k3;
  for (std::size_t i = 0; i != policy.size(); ++i) {
    double const ratio = static_cast<double>(policy[i]) - static_cast<double>(start[i]);
    length.push_back(static_cast<double>(texts.completions.length(answers.completion[i])));
    k1.push_back(prefer::kl_k1(ratio));
    k3.push_back(prefer::kl_k3(ratio));
  }
  return {.length = language::mean_of(length),
          .k1 = language::mean_of(k1),
          .k3 = language::mean_of(k3)};
}

}  // namespace tune
