// SPDX-License-Identifier: MIT
#include "online.hpp"

#include <string_view>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

#include "../language/prompt.hpp"

namespace tune {

using language::row_kind;

online_prompts encoded(std::vector<prefer::data::turns> prompts, prefer::lm::tokenizer const& words,
                       std::size_t most, std::size_t context, prefer::token_sequences& into) {
  online_prompts out;
  out.text = std::move(prompts);
  for (auto const& each : out.text) {
    prefer::expects(each.is_text() == out.text.front().is_text(),
                    "online_prompts: prompts are all texts or all messages");
    auto const tokens = language::prompt_tokens(each, words);
    language::expect_room(each, tokens.size(), most, context);
    out.number.push_back(into.prompts.add(tokens));
  }
  out.end = language::end_of_answer(out.text.front(), words);
  return out;
}

online_judge::online_judge(make_pairs::judge& by, make_pairs::judge_options const& how,
                           row_kind kind, online_prompts const& prompts,
                           prefer::lm::tokenizer const& words)
    : by_(by),
      how_(how),
      kind_(kind),
      prompts_(prompts),
      words_(words),
      form_(kind == row_kind::lists ? make_pairs::row_form::list
                                    : make_pairs::row_form::best_worst),
      ranking_(how.ranked_as(form_)) {}

std::vector<std::string> online_judge::sentences() const {
  return to_sentences(ranking_.counted(), form_);
}

std::uint64_t online_judge::identity() const {
  prefer::fingerprint out;
  out.add("online").add(by_.identity());
  out.add(how_.min_margin).add(how_.keep_unfinished).add(static_cast<std::uint64_t>(kind_));
  return out.value();
}

void online_judge::look(std::span<prefer::written_completions const> all) {
  answers_.clear();
  judged_ = 0;
  std::size_t tokens = 0;
  for (auto const& each : all) {
    std::uint32_t const first = prompts_.number.front();
    answers_.push_back({prompts_.text[each.prompt - first], {}});
    for (std::size_t i = 0; i != each.size(); ++i) {
      auto const written = each.tokens(i);
      bool const ended = prompts_.end && written.back() == *prompts_.end;
      answers_.back().completions.push_back(
          {words_.decode_text(written), written.size(), ended, std::nullopt});
      tokens += written.size();
    }
  }
  by_.score(answers_);
  double score = 0;
  double completions = 0;
  for (auto const& each : answers_) {
    for (auto const& one : each.completions) {
      score += *one.score;
      ++completions;
    }
  }
  last_ = {.score = score / completions, .skipped = 0, .tokens = static_cast<double>(tokens)};
}

void online_judge::operator()(prefer::written_completions const& written,
                              prefer::choice_data& examples) {
  auto const& answers = answers_[judged_++];
  auto const groups = ranking_.groups_of(answers);
  if (groups.empty()) {
    ++last_.skipped;
    return;
  }
  auto const& group = groups.front();
  std::vector<std::uint32_t> ids;
  for (auto const* one : group) {
    ids.push_back(written.completion[static_cast<std::size_t>(one - answers.completions.data())]);
  }
  if (kind_ == row_kind::demonstrations) ids.resize(1);
  for (std::size_t i = 0; i != ids.size(); ++i) {
    examples.length.push_back(static_cast<float>(written.table.length(ids[i])));
    examples.score.push_back(static_cast<float>(*group[i]->score));
  }
  switch (kind_) {
    case row_kind::pairs:
      examples.add_pair(written.prompt, ids[0], ids[1]);
      break;
    case row_kind::lists:
      examples.add_list(written.prompt, ids);
      break;
    case row_kind::labels:
      examples.add_labelled(written.prompt, ids[0], true);
      examples.add_labelled(written.prompt, ids[1], false);
      break;
    case row_kind::demonstrations:
      examples.add_labelled(written.prompt, ids[0], true);
      break;
  }
}

}  // namespace tune
