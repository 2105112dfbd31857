// SPDX-License-Identifier: MIT
#include "completions.hpp"

#include <nlohmann/json.hpp>

#include <prefer/data/json_lines.hpp>
#include <prefer/data/message_json.hpp>

#include "../program/json.hpp"
#include "../reading_options.hpp"

namespace sample {

namespace {

namespace data = prefer::data;

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// Of messages the one that was written, of a text all of it.
std::string text_of(data::json_row const& row, data::turns const& completion) {
  if (completion.is_text()) return completion.text();
  if (completion.messages().size() != 1) {
    data::refuse_field(row, "completion",
                       "has " + std::to_string(completion.messages().size()) +
                           " messages; expected one, the answer");
  }
  return completion.messages().front().content.plain();
}

data::turns part_of(data::json_row const& row, char const* name) {
  data::json const* const value = data::find_field(row, name);
  if (value == nullptr) data::refuse_missing(row, name, "a text or messages");
  data::happened passed_over;
  return data::message_reader(row, name, data::other_parts::refused, passed_over).read(*value);
}

}  // namespace

data::turns turns_of(data::turns const& prompt, std::string const& text) {
  if (prompt.is_text()) return text;
  return data::conversation{data::message{"assistant", text}};
}

bool has_replacement(std::string_view text) {
  return text.find(replacement) != std::string_view::npos;
}

std::string to_json(data::turns const& prompt, completion const& one) {
  auto const parsed = [](data::turns const& part) {
    return program::json::parse(data::to_json(part));
  };
  program::json row = {{"prompt", parsed(prompt)},
                       {"completion", parsed(turns_of(prompt, one.text))},
                       {"tokens", one.tokens},
                       {"ended", one.ended}};
  if (one.score) row["score"] = program::number(*one.score);
  return row.dump();
}

std::vector<answers> read_answers(std::string const& path) {
  std::vector<answers> out;
  for (data::json_row const& row :
       data::json_lines(path, data::line_limits{}, program::decoders_here())) {
    data::turns prompt = part_of(row, "prompt");
    data::turns const written = part_of(row, "completion");
    if (prompt.blank()) data::refuse_field(row, "prompt", "is empty");
    if (prompt.is_text() != written.is_text()) {
      data::refuse_field(row, "completion",
                         "is not of the form of its prompt; expected both to "
                         "be texts, or both messages");
    }
    completion one{text_of(row, written), 0, true, std::nullopt};
    if (data::json const* const tokens = data::find_field(row, "tokens")) {
      if (!tokens->is_number_unsigned()) {
        data::refuse_field(row, "tokens", "expected a whole number, 0 or greater");
      }
      one.tokens = tokens->get<std::size_t>();
    }
    if (data::json const* const ended = data::find_field(row, "ended")) {
      if (!ended->is_boolean()) data::refuse_field(row, "ended", "expected true or false");
      one.ended = ended->get<bool>();
    }
    if (data::json const* const score = data::find_field(row, "score")) {
      if (!score->is_number()) data::refuse_field(row, "score", "expected a number");
      one.score = score->get<double>();
    }
    if (out.empty() || !(out.back().prompt == prompt)) out.push_back({std::move(prompt), {}});
    out.back().completions.push_back(std::move(one));
  }
  return out;
}

}  // namespace sample
