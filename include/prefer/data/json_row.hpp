// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/data/place.hpp>
#include <prefer/text/spelling.hpp>

namespace prefer::inline v0_1::data {

/// JSON whose objects keep their members in the order of the text, which is the order in which a chat template prints them.
using json = nlohmann::ordered_json;

/// One line of a JSON Lines file.
struct json_row {
  place at;
  json fields;  // always an object
};

namespace detail {

// What a value is, as it stands behind "found".
inline std::string kind_of(json const& value) {
  switch (value.type()) {
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "a list";
    case json::value_t::string:
      return "the string " + in_quotes(value.get_ref<std::string const&>());
    case json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    case json::value_t::null:
      return "null";
    case json::value_t::number_integer:
      return "the number " + std::to_string(value.get<std::int64_t>());
    case json::value_t::number_unsigned:
      return "the number " + std::to_string(value.get<std::uint64_t>());
    default:
      return "the number " + value.dump();
  }
}

}  // namespace detail

/// Throws backend_error about one field: `field "name": reason`.
[[noreturn]] inline void refuse_field(json_row const& row, std::string_view name,
                                      std::string const& reason) {
  row.at.refuse("field " + in_quotes(name) + ": " + reason);
}

/// The value of an optional field; nullptr where the row lacks it or has null.
[[nodiscard]] inline json const* find_field(json_row const& row, std::string_view name) {
  // Objects are lists of members here, and a look-up by the parser's own `find` would make a string first.
  for (auto const& [written, value] : row.fields.get_ref<json::object_t const&>()) {
    if (written == name) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

/// Throws backend_error: `field "name" is missing; expected ...`, pointing at a likely misspelling.
[[noreturn]] inline void refuse_missing(json_row const& row, std::string_view name,
                                        std::string const& expected) {
  std::string const reason = "field " + in_quotes(name) + " is missing; expected " + expected;
  std::string nearest;
  std::size_t distance = prefer::text::slips(name);
  for (auto const& [written, value] : row.fields.items()) {
    // What is expected itself (response_1 beside response_2) is no misspelling.
    if (written == name || expected.find(in_quotes(written)) != std::string::npos) continue;
    std::size_t const apart = prefer::text::edit_distance(written, name, distance);
    if (apart > distance || (apart == distance && !nearest.empty())) continue;
    distance = apart;
    nearest = written;
  }
  row.at.refuse(nearest.empty() ? reason
                                : reason + "; is " + in_quotes(nearest) + " a misspelling of it?");
}

/// The value of a required field.
///
/// Errors  backend_error if the row lacks it; null counts as a value here
[[nodiscard]] inline json const& field(json_row const& row, std::string_view name,
                                       std::string const& expected) {
  auto const found = row.fields.find(std::string(name));
  if (found == row.fields.end()) refuse_missing(row, name, expected);
  return *found;
}

namespace detail {

inline double number_in(json_row const& row, std::string_view name, json const& value) {
  if (!value.is_number()) {
    refuse_field(row, name, "found " + kind_of(value) + "; expected a finite number");
  }
  return value.get<double>();  // finite: the parser accepts no other
}
inline std::string const& text_in(json_row const& row, std::string_view name, json const& value) {
  if (!value.is_string())
    refuse_field(row, name, "found " + kind_of(value) + "; expected a string");
  return value.get_ref<std::string const&>();
}

}  // namespace detail

/// A required number. Strings such as "nan" or "1.5" are not numbers.
///
/// Errors  backend_error naming file, line and field, what was found and what was expected
[[nodiscard]] inline double number(json_row const& row, std::string_view name) {
  return detail::number_in(row, name, field(row, name, "a number of this name"));
}
/// A number, or nothing where the row lacks the field or has null.
[[nodiscard]] inline std::optional<double> optional_number(json_row const& row,
                                                           std::string_view name) {
  auto const* const value = find_field(row, name);
  return value == nullptr ? std::nullopt : std::optional(detail::number_in(row, name, *value));
}
/// A required string, empty or not.
[[nodiscard]] inline std::string text(json_row const& row, std::string_view name) {
  return detail::text_in(row, name, field(row, name, "a string of this name"));
}
/// A string, or nothing where the row lacks the field or has null.
[[nodiscard]] inline std::optional<std::string> optional_text(json_row const& row,
                                                              std::string_view name) {
  auto const* const value = find_field(row, name);
  return value == nullptr ? std::nullopt : std::optional(detail::text_in(row, name, *value));
}
/// A required truth value: true, false, or the integers 1 and 0.
[[nodiscard]] inline bool truth(json_row const& row, std::string_view name) {
  json const& value = field(row, name, "true or false");
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer() && (value == 0 || value == 1)) return value == 1;
  refuse_field(row, name, "found " + detail::kind_of(value) + "; expected true, false, 1 or 0");
}

/// Refuses a field that looks like a misspelling of a known one that the row lacks; see `misspells`.
///
/// Other unknown fields pass: data sets carry identifiers, sources and notes.
inline void refuse_misspelt(json_row const& row, std::vector<std::string_view> const& known) {
  for (auto const& [written, value] : row.fields.items()) {
    bool const is_known = std::find(known.begin(), known.end(), written) != known.end();
    for (std::string_view const name : known) {
      if (!is_known && prefer::text::misspells(written, name) && !row.fields.contains(name)) {
        row.at.refuse("field " + in_quotes(written) + " is unknown; did you mean " +
                      in_quotes(name) + "?");
      }
    }
  }
}

}  // namespace prefer::inline v0_1::data
