// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <make_pairs/judge.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/data/example.hpp>
#include <prefer/lm/text/tokenizer.hpp>
#include <prefer/train/judges.hpp>

#include "../language/rows.hpp"

namespace tune {

/// Prompts that the policy answers while it trains.
struct online_prompts {
  std::vector<prefer::data::turns> text;
  std::vector<std::uint32_t> number;  ///< in the table of prompts, one behind the other
  std::optional<std::uint32_t> end;   ///< the token that ends an answer, to texts or to messages
};

/// Puts prompts into the table, all of them texts or all messages, as read_prompts gives them.
///
/// Errors  precondition_error for one that leaves no room for `most` tokens
[[nodiscard]] online_prompts encoded(std::vector<prefer::data::turns> prompts,
                                     prefer::lm::tokenizer const& words, std::size_t most,
                                     std::size_t context, prefer::token_sequences& into);

/// What a step has drawn; NaN where nothing is.
struct drawn_numbers {
  double score = std::numeric_limits<double>::quiet_NaN();    ///< mean over all completions
  double skipped = std::numeric_limits<double>::quiet_NaN();  ///< prompts without an example
  double tokens = std::numeric_limits<double>::quiet_NaN();   ///< prompts, once, and completions
};

/// Judges what the policy has just written by its text, as make_pairs does, and makes examples of it: a Judge that looks at
/// all of a step at once. Of pairs the best and the worst of a prompt; of labels both, the best desirable; of lists all that
/// are apart; of demonstrations the best.
class online_judge {
 public:
  online_judge(make_pairs::judge& by, make_pairs::judge_options const& how, language::row_kind kind,
               online_prompts const& prompts, prefer::lm::tokenizer const& words);

  void look(std::span<prefer::written_completions const> all);
  void operator()(prefer::written_completions const& written, prefer::choice_data& examples);
  [[nodiscard]] std::uint64_t identity() const;

  /// Of the last step.
  [[nodiscard]] drawn_numbers const& last() const { return last_; }
  /// What was made of all steps since the program began, in sentences.
  [[nodiscard]] std::vector<std::string> sentences() const;

 private:
  make_pairs::judge& by_;
  make_pairs::judge_options const& how_;
  language::row_kind kind_;
  online_prompts const& prompts_;
  prefer::lm::tokenizer const& words_;
  make_pairs::row_form form_;
  make_pairs::ranking ranking_;
  std::vector<sample::answers> answers_;  // of this step
  std::size_t judged_ = 0;
  drawn_numbers last_;
};

}  // namespace tune
