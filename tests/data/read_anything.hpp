// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <prefer/data/example_identity.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/data/ratings.hpp>

namespace anything {

inline void must(bool holds, char const* law) {
  if (!holds) throw std::logic_error(law);
}

inline bool finite(std::optional<double> const& value) { return !value || std::isfinite(*value); }

inline std::string flat(prefer::data::turns const& part) {
  if (part.is_text()) return part.text();
  std::string all;
  for (auto const& message : part.messages()) all += message.role + message.content.plain();
  return all;
}

// An implicit prompt and what is left of a completion are together what the row has.
inline void check_split(prefer::data::json_row const& row) {
  if (row.fields.size() != 2 || !row.fields.contains("chosen") ||
      !row.fields.contains("rejected")) {
    return;
  }
  if (!row.fields["chosen"].is_string()) return;
  std::optional<prefer::data::preference_pair> pair;
  try {
    pair = *prefer::data::pairs_in(row.fields.dump()).begin();
  } catch (prefer::backend_error const&) {
    return;
  }
  std::string const& prompt = pair->prompt.text();
  must(!prompt.empty(), "an implicit prompt is not empty");
  must(prompt + pair->chosen.text() == row.fields["chosen"],
       "prompt and chosen make the row's chosen");
  must(prompt + pair->rejected.text() == row.fields["rejected"],
       "prompt and rejected make the row's rejected");
}

inline void check(prefer::data::json_row const& row) {
  must(row.fields.is_object(), "a row is an object");
  auto const again =
      prefer::data::json::parse(row.fields.dump());  // throws where a string is not UTF-8
  must(again == row.fields, "a row can be written and read back");
  check_split(row);
}

inline prefer::data::preference_pair written_and_read(prefer::data::preference_pair const& pair) {
  return *prefer::data::pairs_in(to_json(pair)).begin();
}

inline void check(prefer::data::preference_pair const& pair) {
  must(!(pair.chosen == pair.rejected), "completions differ");
  must(!pair.chosen.blank() && !pair.rejected.blank(), "completions are not empty");
  must(pair.chosen.is_text() == pair.rejected.is_text(), "completions have one form");
  must(pair.prompt.is_text() == pair.chosen.is_text(), "prompt and completions have one form");
  for (auto const* part : {&pair.prompt, &pair.chosen, &pair.rejected}) {
    must(!prefer::text::first_invalid_utf8(flat(*part)), "every part is UTF-8");
  }
  must(finite(pair.weight) && pair.weight.value_or(0) >= 0, "weight is finite and >= 0");
  must(finite(pair.beta) && pair.beta.value_or(1) > 0, "beta is finite and > 0");
  must(finite(pair.score_chosen) && finite(pair.score_rejected), "scores are finite");
  must(fingerprint_of(written_and_read(pair)) == fingerprint_of(pair),
       "a pair can be written and read back");
}

inline void check(prefer::data::unpaired_example const& example) {
  must(!example.completion.blank(), "the completion is not empty");
  must(example.prompt.is_text() == example.completion.is_text(), "both parts have one form");
  must(!prefer::text::first_invalid_utf8(flat(example.prompt) + flat(example.completion)),
       "every part is UTF-8");
}

inline void check(prefer::data::rating const& rating) {
  must(!rating.user.empty() && !rating.item.empty(), "ids are not empty");
  must(std::isfinite(rating.value) && std::isfinite(rating.timestamp), "numbers are finite");
  must(!prefer::text::first_invalid_utf8(rating.user + rating.item), "ids are UTF-8");
}

struct outcome {
  std::size_t rows = 0;
  std::size_t errors = 0;
};

template <class Rows>
void drain(Rows rows, outcome& seen) {
  try {
    for (auto const& row : rows) {
      check(row);
      ++seen.rows;
    }
  } catch (prefer::backend_error const& error) {
    ++seen.errors;
    must(std::string_view(error.what()).size() < 1000, "a message is short");
    must(!prefer::text::first_invalid_utf8(error.what()), "a message is UTF-8");
    must(std::string_view(error.what()).find('\n') == std::string_view::npos,
         "a message is one line");
    must(rows.begin() == rows.end(), "an error ends the range");
  }
}

/// Reads the bytes as ratings: as they are, and as somebody may say they are.
inline outcome read_ratings(std::string_view bytes) {
  namespace data = prefer::data;
  outcome seen;
  drain(data::ratings_in(bytes), seen);
  drain(data::ratings_in(bytes, "text", {.encoding = data::text_encoding::latin1}), seen);
  drain(data::ratings_in(bytes, "text", {.meaning = data::feedback::counts}), seen);
  for (std::string const separator : {"\t", "::", ",", ";", "|", " "}) {
    drain(data::ratings_in(bytes, "text", {.separator = separator, .header = false}), seen);
    drain(data::ratings_in(bytes, "text",
                           {.separator = separator,
                            .columns = {"item", "user", "rating"},
                            .scale = data::rating_scale{0, 10}}),
          seen);
  }
  return seen;
}

/// Reads the bytes in every way that there is; whatever they are, only backend_error may be thrown inside
/// (anything else leaves this function), and the rows that are given out keep their promises.
inline outcome read(std::string_view bytes) {
  namespace data = prefer::data;
  outcome seen;
  constexpr data::line_limits tight{.bytes = 64, .depth = 3};
  drain(data::json_lines_in(bytes), seen);
  drain(data::json_lines_in(bytes, "text", tight), seen);
  drain(data::pairs_in(bytes), seen);
  drain(
      data::pairs_in(bytes, "text", {.space = data::prompt_space::joins_completion, .limits = {}}),
      seen);
  drain(data::unpaired_in(bytes), seen);
  outcome const rated = read_ratings(bytes);
  return {seen.rows + rated.rows, seen.errors + rated.errors};
}

}  // namespace anything
