// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <prefer/data/audit.hpp>
#include <prefer/data/encode.hpp>
#include <prefer/data/example.hpp>
#include <prefer/data/example_identity.hpp>
#include <prefer/data/message.hpp>
#include <prefer/data/tokenizer.hpp>
#include <prefer/data/truncation.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

namespace detail {

inline std::size_t code_points_in(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char byte) { return !text::continues_code_point(byte); }));
}

/// Code points of a member's value: of a string its own, of anything else those of its JSON text.
inline std::size_t code_points_of(member const& value) {
  if (!value.json.starts_with('"')) return value.json == "null" ? 0 : code_points_in(value.json);
  return code_points_in(nlohmann::json::parse(value.json).get_ref<std::string const&>());
}

}  // namespace detail

/// Lengths of rows in characters (code points), for an audit without a tokenizer: texts; of messages what they say, their
/// reasoning, and their calls as JSON; tools and documents beside a prompt as JSON. Roles and a template's marks do not count.
struct in_characters {
  static constexpr char const* unit = "characters";

  [[nodiscard]] std::size_t prompt(turns const& part, members const& context,
                                   std::size_t /*line*/) const {
    std::size_t all = of(part);
    for (member const& each : context) {
      if (each.name == "tools" || each.name == "documents") all += detail::code_points_of(each);
    }
    return all;
  }
  [[nodiscard]] std::size_t completion(turns const& part, std::size_t /*line*/) const {
    return of(part);
  }

 private:
  static std::size_t of(turns const& part) {
    if (part.is_text()) return detail::code_points_in(part.text());
    std::size_t all = 0;
    for (message const& each : part.messages()) {
      all += detail::code_points_in(each.content.plain());
      for (member const& further : each.further) {
        if (message::is_read(further.name)) all += detail::code_points_of(further);
      }
    }
    return all;
  }
};

/// Lengths of rows in the tokens that `encode` makes of them without limits: begin_token, end_token and what a chat template
/// adds included. The tokenizer is borrowed.
///
/// Errors  backend_error with the row's line, as for `encode`: messages without a ChatTokenizer, tools without one that
///         takes them
template <Tokenizer T>
class in_tokens {
 public:
  static constexpr char const* unit = "tokens";

  explicit in_tokens(T const& tokenizer) : tokenizer_(&tokenizer) {}

  [[nodiscard]] std::size_t prompt(turns const& part, members const& context,
                                   std::size_t line) const {
    truncation const unlimited;
    return detail::part_encoder<T>(*tokenizer_, unlimited).prompt(part, context, line).token.size();
  }
  [[nodiscard]] std::size_t completion(turns const& part, std::size_t line) const {
    truncation const unlimited;
    return detail::part_encoder<T>(*tokenizer_, unlimited).completion(part, 0, line).token.size();
  }

 private:
  T const* tokenizer_;
};

/// Adds a row to an audit, with its lengths as `measure` (in_characters, in_tokens) has them.
///
///   audit all(in_characters::unit);
///   auto const train = all.add_split("train");
///   for (auto const& row : pairs("pairs.jsonl")) add_row(all, train, row, in_characters());
template <class Measure>
void add_row(audit& to, std::size_t split, preference_pair const& row, Measure const& measure,
             std::string_view annotator = {}) {
  to.add(split, judgement{name_of(row.prompt, row.context), name_of(row.chosen),
                          name_of(row.rejected), measure.prompt(row.prompt, row.context, row.line),
                          measure.completion(row.chosen, row.line),
                          measure.completion(row.rejected, row.line), annotator});
}
template <class Measure>
void add_row(audit& to, std::size_t split, unpaired_example const& row, Measure const& measure,
             std::string_view annotator = {}) {
  to.add(split, label{name_of(row.prompt, row.context), name_of(row.completion), row.label,
                      measure.prompt(row.prompt, row.context, row.line),
                      measure.completion(row.completion, row.line), annotator});
}
/// A list counts as its best against each completion with a lower score; one without a lower score is a tie.
template <class Measure>
void add_row(audit& to, std::size_t split, scored_completions const& row, Measure const& measure,
             std::string_view annotator = {}) {
  std::string const prompt = name_of(row.prompt, row.context);
  std::size_t const prompt_length = measure.prompt(row.prompt, row.context, row.line);
  auto const best = static_cast<std::size_t>(std::max_element(row.score.begin(), row.score.end()) -
                                             row.score.begin());
  bool any = false;
  for (std::size_t i = 0; i < row.score.size(); ++i) {
    if (!(row.score[i] < row.score[best])) continue;
    any = true;
    to.add(split, judgement{prompt, name_of(row.completions[best]), name_of(row.completions[i]),
                            prompt_length, measure.completion(row.completions[best], row.line),
                            measure.completion(row.completions[i], row.line), annotator});
  }
  if (!any) to.add_ties(split, 1);
}

}  // namespace prefer::inline v0_1::data
