// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/rows.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

/// Where the space goes that an implicit text prompt would end in.
enum class prompt_space {
  stays,            // the prompt is the longest common beginning, whatever it ends in
  joins_completion  // one space at its end goes to both completions, as tokenizers with " word"
                    // tokens like it
};

/// How a preference file is read.
struct reading {
  prompt_space space = prompt_space::stays;
  line_limits limits = {};
};

namespace detail {

inline turns turns_in(json_row const& row, std::string_view name, nlohmann::json const& value) {
  if (value.is_string()) return turns(value.get_ref<std::string const&>());
  if (!value.is_array()) {
    refuse_field(row, name,
                 "found " + kind_of(value) + "; expected a string or a list of messages");
  }
  conversation messages;
  messages.reserve(value.size());
  for (nlohmann::json const& entry : value) {
    auto const refuse = [&](std::string const& reason) {
      refuse_field(row, name, "message " + std::to_string(messages.size() + 1) + ": " + reason);
    };
    auto const part = [&](char const* key) -> std::string const& {
      auto const found = entry.find(key);
      if (found == entry.end())
        refuse(in_quotes(key) + " is missing; expected \"role\", \"content\"");
      if (!found->is_string())
        refuse(in_quotes(key) + ": found " + kind_of(*found) + "; expected a string");
      return found->get_ref<std::string const&>();
    };
    if (!entry.is_object()) {
      refuse("found " + kind_of(entry) + "; expected an object with \"role\" and \"content\"");
    }
    if (part("role").empty()) refuse("\"role\" is empty");
    messages.push_back({part("role"), part("content")});
  }
  return turns(std::move(messages));
}

inline char const* form_of(turns const& part) {
  return part.is_text() ? "a string" : "a list of messages";
}

inline void same_form(json_row const& row, std::string_view name, turns const& part,
                      std::string_view other, turns const& part_of_other) {
  if (part.is_text() == part_of_other.is_text()) return;
  row.at.refuse(in_quotes(name) + " is " + form_of(part) + " and " + in_quotes(other) + " is " +
                form_of(part_of_other) + "; expected the same form");
}

inline void not_blank(json_row const& row, std::string_view name, turns const& completion) {
  if (completion.blank()) refuse_field(row, name, "the completion is empty");
}

inline std::optional<double> weight_in(json_row const& row) {
  auto const weight = optional_number(row, "weight");
  if (weight && *weight < 0)
    refuse_field(row, "weight", "found a negative number; expected one >= 0");
  return weight;
}
inline std::optional<double> beta_in(json_row const& row) {
  auto const beta = optional_number(row, "beta");
  if (beta && !(*beta > 0)) refuse_field(row, "beta", "found a number <= 0; expected one > 0");
  return beta;
}

// Cuts the common beginning off both completions.
inline turns take_common(json_row const& row, turns& chosen, turns& rejected, prompt_space space) {
  auto const nothing_left = [&](turns const& completion, turns const& other) {
    row.at.refuse(in_quotes(&completion == &chosen ? "chosen" : "rejected") +
                  " is the beginning of " + in_quotes(&other == &chosen ? "chosen" : "rejected") +
                  ", so that nothing is left of it behind the common prompt");
  };
  auto const nothing_common = [&](char const* what) {
    refuse_missing(
        row, "prompt",
        std::string("it, or \"chosen\" and \"rejected\" that begin with the same ") + what);
  };
  if (chosen.is_text()) {
    std::string const& a = chosen.text();
    std::string const& b = rejected.text();
    std::size_t length = prefer::text::common_prefix(a, b);
    if (length == 0) nothing_common("text");
    if (length == a.size()) nothing_left(chosen, rejected);
    if (length == b.size()) nothing_left(rejected, chosen);
    if (space == prompt_space::joins_completion && a[length - 1] == ' ') --length;
    turns prompt = a.substr(0, length);
    chosen = a.substr(length);
    rejected = b.substr(length);
    return prompt;
  }
  conversation const& a = chosen.messages();
  conversation const& b = rejected.messages();
  auto const [end_a, end_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (end_a == a.begin()) nothing_common("messages");
  if (end_a == a.end()) nothing_left(chosen, rejected);
  if (end_b == b.end()) nothing_left(rejected, chosen);
  turns prompt = conversation(a.begin(), end_a);
  turns rest_a = conversation(end_a, a.end());
  turns rest_b = conversation(end_b, b.end());
  chosen = std::move(rest_a);
  rejected = std::move(rest_b);
  return prompt;
}

inline bool begins_with(conversation const& whole, conversation const& beginning) {
  return whole.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), whole.begin());
}

}  // namespace detail

/// One row of a preference file.
///
/// Accepted forms
///   prompt, chosen, rejected   three strings, or three lists of {"role", "content"}
///   chosen, rejected           the prompt is what both begin with: of two strings the longest common beginning that
///                              does not end inside a code point, of two lists the messages that are equal at their
///                              start
///   prompt a string, chosen and rejected lists
///                              as before; the string must be the content of one of the common messages
///
/// with the optional numbers weight (>= 0), beta (> 0), score_chosen, score_rejected; null is absent.
///
/// An implicit prompt must not be empty; an explicit one may be. TRL's extract_prompt gives the same split except that
/// it moves one space from a prompt's end to the completions (prompt_space::joins_completion does so too), and that it
/// cuts one element earlier where one completion is the beginning of the other, which is an error here.
///
/// Errors  backend_error: a field is missing, misspelt or of the wrong type; completions are equal, empty or of
///         different forms; lists that repeat an explicit prompt
[[nodiscard]] inline preference_pair to_pair(json_row const& row,
                                             prompt_space space = prompt_space::stays) {
  std::string const expected = "\"prompt\", \"chosen\", \"rejected\"";
  auto const part = [&](char const* name) {
    return detail::turns_in(row, name, field(row, name, expected));
  };
  preference_pair pair;
  pair.chosen = part("chosen");
  pair.rejected = part("rejected");
  refuse_misspelt(
      row, {"prompt", "chosen", "rejected", "weight", "beta", "score_chosen", "score_rejected"});
  detail::same_form(row, "chosen", pair.chosen, "rejected", pair.rejected);
  if (pair.chosen == pair.rejected)
    row.at.refuse("\"chosen\" and \"rejected\" are equal; expected a preference");
  detail::not_blank(row, "chosen", pair.chosen);
  detail::not_blank(row, "rejected", pair.rejected);

  bool const has_prompt = find_field(row, "prompt") != nullptr;
  if (has_prompt) pair.prompt = part("prompt");
  if (!has_prompt) {
    pair.prompt = detail::take_common(row, pair.chosen, pair.rejected, space);
  } else if (pair.prompt.is_text() && !pair.chosen.is_text()) {
    std::string const said = pair.prompt.text();
    pair.prompt = detail::take_common(row, pair.chosen, pair.rejected, space);
    conversation const& common = pair.prompt.messages();
    if (std::none_of(common.begin(), common.end(),
                     [&](message const& m) { return m.content == said; })) {
      refuse_field(row, "prompt",
                   "the string is none of the messages that \"chosen\" and \"rejected\" share");
    }
  } else {
    detail::same_form(row, "prompt", pair.prompt, "chosen", pair.chosen);
    if (!pair.prompt.is_text() && !pair.prompt.messages().empty() &&
        detail::begins_with(pair.chosen.messages(), pair.prompt.messages()) &&
        detail::begins_with(pair.rejected.messages(), pair.prompt.messages())) {
      refuse_field(
          row, "prompt",
          "\"chosen\" and \"rejected\" repeat it; leave it out there, or leave the field out");
    }
  }
  detail::not_blank(row, "chosen",
                    pair.chosen);  // messages left behind the prompt may have no content
  detail::not_blank(row, "rejected", pair.rejected);

  pair.weight = detail::weight_in(row);
  pair.beta = detail::beta_in(row);
  pair.score_chosen = optional_number(row, "score_chosen");
  pair.score_rejected = optional_number(row, "score_rejected");
  pair.line = row.at.line;
  return pair;
}

/// One row of an unpaired file: prompt and completion (two strings, or two lists of messages), label (true, false, 1 or
/// 0), and the optional numbers weight (>= 0) and beta (> 0).
///
/// Errors  backend_error, as for to_pair
[[nodiscard]] inline unpaired_example to_unpaired(json_row const& row) {
  std::string const expected = "\"prompt\", \"completion\", \"label\"";
  auto const part = [&](char const* name) {
    return detail::turns_in(row, name, field(row, name, expected));
  };
  unpaired_example example;
  example.prompt = part("prompt");
  example.completion = part("completion");
  detail::same_form(row, "prompt", example.prompt, "completion", example.completion);
  detail::not_blank(row, "completion", example.completion);
  if (!row.fields.contains("label")) refuse_missing(row, "label", expected);
  example.label = truth(row, "label");
  refuse_misspelt(row, {"prompt", "completion", "label", "weight", "beta"});
  example.weight = detail::weight_in(row);
  example.beta = detail::beta_in(row);
  example.line = row.at.line;
  return example;
}

/// Reads one preference pair per line; `pairs` makes a range of it.
class pair_reader {
 public:
  using row = preference_pair;
  pair_reader(json_row_reader rows, prompt_space space) : rows_(std::move(rows)), space_(space) {}

  bool next(preference_pair& pair) {
    if (!rows_.next(row_)) return false;
    pair = to_pair(row_, space_);
    return true;
  }

 private:
  json_row_reader rows_;
  json_row row_;
  prompt_space space_;
};

/// Reads one unpaired example per line; `unpaired` makes a range of it.
class unpaired_reader {
 public:
  using row = unpaired_example;
  explicit unpaired_reader(json_row_reader rows) : rows_(std::move(rows)) {}

  bool next(unpaired_example& example) {
    if (!rows_.next(row_)) return false;
    example = to_unpaired(row_);
    return true;
  }

 private:
  json_row_reader rows_;
  json_row row_;
};

/// The preference pairs of a JSON Lines file, one at a time; see `to_pair` for what a row may be. The file is opened
/// here and read on demand.
///
/// Errors  backend_error with file and line, when the row is reached
[[nodiscard]] inline rows<pair_reader> pairs(std::string path, reading how = {}) {
  return rows(
      pair_reader(detail::json_file("data::pairs", std::move(path), how.limits), how.space));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<pair_reader> pairs_in(std::string_view text, std::string name = "text",
                                                reading how = {}) {
  return rows(
      pair_reader(detail::json_text("data::pairs", text, std::move(name), how.limits), how.space));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<pair_reader> pairs_in(std::istream& stream, std::string name = "stream",
                                                reading how = {}) {
  return rows(pair_reader(detail::json_stream("data::pairs", stream, std::move(name), how.limits),
                          how.space));
}

/// The unpaired examples of a JSON Lines file, one at a time; see `to_unpaired`.
[[nodiscard]] inline rows<unpaired_reader> unpaired(std::string path, line_limits limits = {}) {
  return rows(unpaired_reader(detail::json_file("data::unpaired", std::move(path), limits)));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<unpaired_reader> unpaired_in(std::string_view text,
                                                       std::string name = "text",
                                                       line_limits limits = {}) {
  return rows(unpaired_reader(detail::json_text("data::unpaired", text, std::move(name), limits)));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<unpaired_reader> unpaired_in(std::istream& stream,
                                                       std::string name = "stream",
                                                       line_limits limits = {}) {
  return rows(
      unpaired_reader(detail::json_stream("data::unpaired", stream, std::move(name), limits)));
}

/// All pairs of a file. Errors as for `pairs`: the first bad row ends it.
[[nodiscard]] inline std::vector<preference_pair> read_pairs(std::string path, reading how = {}) {
  std::vector<preference_pair> all;
  for (preference_pair& pair : pairs(std::move(path), how)) all.push_back(std::move(pair));
  return all;
}
/// All unpaired examples of a file.
[[nodiscard]] inline std::vector<unpaired_example> read_unpaired(std::string path,
                                                                 line_limits limits = {}) {
  std::vector<unpaired_example> all;
  for (unpaired_example& example : unpaired(std::move(path), limits))
    all.push_back(std::move(example));
  return all;
}

}  // namespace prefer::inline v0_1::data
