// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/data/json_row.hpp>
#include <prefer/data/place.hpp>
#include <prefer/file/binary_file.hpp>

namespace prefer::inline v0_1::lm {

using data::json;
using data::json_row;

namespace detail {

/// An object of JSON whose objects all have members with names of their own, at every depth; else backend_error. Members
/// are in alphabetical order, since the parser takes quadratic time to keep that of the text.
[[nodiscard]] inline nlohmann::json parse_json_object(std::string_view text,
                                                      data::place const& at) {
  using parser = nlohmann::json;
  std::vector<std::set<std::string>> names;  // of the objects that are open
  std::optional<std::string> twice;
  auto const look = [&](int, parser::parse_event_t event, parser& parsed) {
    if (event == parser::parse_event_t::object_start) names.emplace_back();
    if (event == parser::parse_event_t::object_end) names.pop_back();
    if (event == parser::parse_event_t::key && !twice &&
        !names.back().insert(parsed.get_ref<std::string const&>()).second) {
      twice = parsed.get_ref<std::string const&>();
    }
    return true;
  };
  parser parsed;
  std::string reason;
#if defined(__cpp_exceptions)
  try {
    parsed = parser::parse(text.begin(), text.end(), look);
  } catch (parser::exception const& error) {
    reason = error.what();
    // The parser's sentence begins with its own name in brackets.
    reason = reason.substr(std::min(reason.find(']') + 1, reason.size()));
  }
#else
  parsed = parser::parse(text.begin(), text.end(), look, false);
  if (parsed.is_discarded()) reason = " it cannot be parsed";
#endif
  if (!reason.empty()) at.refuse("is no JSON:" + reason);
  if (!parsed.is_object()) at.refuse("found JSON that is no object, expected an object");
  if (twice) at.refuse("field " + data::in_quotes(*twice) + " is there twice in one object");
  return parsed;
}

}  // namespace detail

/// The object that a file of JSON is.
///
/// Errors  backend_error: the file cannot be read, is no JSON, no object, or an object in it has a name twice
[[nodiscard]] inline json_row read_json_object(std::string const& reader, std::string const& path) {
  auto const bytes = read_bytes(path);
  data::place const at{reader, path, 0};
  constexpr std::size_t longest = std::size_t{1} << 20;
  if (bytes.size() > longest) {
    at.refuse("has " + std::to_string(bytes.size()) + " bytes, expected at most " +
              std::to_string(longest));
  }
  auto const* const text = reinterpret_cast<char const*>(bytes.data());
  return {at, detail::parse_json_object(std::string_view(text, bytes.size()), at)};
}

/// A whole number that is not negative, or nothing where the field is missing or null.
[[nodiscard]] inline std::optional<std::size_t> optional_count(json_row const& row,
                                                               std::string_view name) {
  auto const* const value = data::find_field(row, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() || *value < 0) {
    data::refuse_field(row, name,
                       "found " + data::detail::kind_of(*value) +
                           "; expected a whole number that is not negative");
  }
  return static_cast<std::size_t>(value->get<std::uint64_t>());
}
[[nodiscard]] inline std::size_t count(json_row const& row, std::string_view name) {
  auto const value = optional_count(row, name);
  if (!value) data::refuse_missing(row, name, "a whole number of this name");
  return *value;
}

/// True or false, or `otherwise` where the field is missing or null.
[[nodiscard]] inline bool flag(json_row const& row, std::string_view name, bool otherwise) {
  auto const* const value = data::find_field(row, name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) {
    data::refuse_field(row, name,
                       "found " + data::detail::kind_of(*value) + "; expected true or false");
  }
  return value->get<bool>();
}

}  // namespace prefer::inline v0_1::lm
