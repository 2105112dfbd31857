// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/data/lines.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/rows.hpp>
#include <prefer/text/spelling.hpp>

namespace prefer::inline v0_1::data {

/// How large one line may be before reading it is refused.
struct line_limits {
  std::size_t bytes = std::size_t{64} << 20;
  std::size_t depth = 64;  // lists and objects inside each other; the row itself is 1
};

/// One line of a JSON Lines file.
struct json_row {
  place at;
  nlohmann::json fields;  // always an object
};

namespace detail {

// What a value is, as it stands behind "found".
inline std::string kind_of(nlohmann::json const& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::object:
      return "an object";
    case nlohmann::json::value_t::array:
      return "a list";
    case nlohmann::json::value_t::string:
      return "the string " + in_quotes(value.get_ref<std::string const&>());
    case nlohmann::json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    case nlohmann::json::value_t::null:
      return "null";
    case nlohmann::json::value_t::number_integer:
      return "the number " + std::to_string(value.get<std::int64_t>());
    case nlohmann::json::value_t::number_unsigned:
      return "the number " + std::to_string(value.get<std::uint64_t>());
    default:
      return "the number " + value.dump();
  }
}

// Builds a row from parser events. The parser keeps its own stack on the heap, so depth is limited here for the sake of
// whoever walks the finished value by recursion (a copy, a dump).
class row_builder {
 public:
  row_builder(nlohmann::json& row, std::size_t most_depth) : row_(&row), most_depth_(most_depth) {}

  bool null() { return add(nullptr) != nullptr; }
  bool boolean(bool value) { return add(value) != nullptr; }
  bool number_integer(std::int64_t value) { return add(value) != nullptr; }
  bool number_unsigned(std::uint64_t value) { return add(value) != nullptr; }
  bool number_float(double value, std::string const&) { return add(value) != nullptr; }
  bool string(std::string& value) { return add(std::move(value)) != nullptr; }
  bool binary(nlohmann::json::binary_t&) { return refuse("binary values are not JSON text"); }

  bool start_object(std::size_t) { return open(nlohmann::json::object()); }
  bool start_array(std::size_t) { return open(nlohmann::json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    key_ = std::move(name);
    return !open_.back()->contains(key_) || refuse("field " + in_quotes(key_) + " appears twice");
  }
  bool parse_error(std::size_t position, std::string const&,
                   nlohmann::json::exception const& error) {
    position_ = position;
    reason_ = reason_of(error.what());
    return false;
  }

  /// What this class itself objected to; empty where the parser did.
  [[nodiscard]] std::string const& objection() const noexcept { return objection_; }
  [[nodiscard]] std::size_t position() const noexcept {
    return position_;
  }  // bytes read, at a parse error
  [[nodiscard]] std::string const& reason() const noexcept { return reason_; }
  [[nodiscard]] std::string const& last_key() const noexcept { return key_; }

 private:
  // The sentence part of "[tag] parse error at line 1, column 2: syntax error while ... - reason; last read: ...".
  static std::string reason_of(std::string_view what) {
    auto const start = what.find(" - ");
    if (start == std::string_view::npos) {
      return what.find("out_of_range") == std::string_view::npos
                 ? ""
                 : "a number too large for a double";
    }
    what.remove_prefix(start + 3);
    auto const last_read = what.find("; last read: ");
    if (last_read == std::string_view::npos) return std::string(what);
    // Behind the text that was read (of any length) may stand "; expected ...", of which the first part tells enough.
    return std::string(what.substr(0, last_read));
  }
  bool refuse(std::string objection) {
    objection_ = std::move(objection);
    return false;
  }
  nlohmann::json* add(nlohmann::json value) {
    if (open_.empty()) {
      if (!value.is_object()) {
        refuse("found " + kind_of(value) + "; expected one JSON object per line");
        return nullptr;
      }
      *row_ = std::move(value);
      return row_;
    }
    nlohmann::json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }
  bool open(nlohmann::json value) {
    if (open_.size() == most_depth_) {
      return refuse("lists and objects are nested deeper than the limit of " +
                    std::to_string(most_depth_));
    }
    nlohmann::json* const added = add(std::move(value));
    // Stays valid while it is open: only the innermost container grows.
    if (added != nullptr) open_.push_back(added);
    return added != nullptr;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  nlohmann::json* row_;
  std::size_t most_depth_;
  std::vector<nlohmann::json*> open_;
  std::string key_;
  std::string objection_;
  std::string reason_;
  std::size_t position_ = 0;
};

// True if a line that is no JSON would need more text to become some: it ends in a string or in a bracket.
inline bool ends_early(std::string_view line) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char const c = line[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return in_string || depth > 0;
}

// The NaN or infinity, as Python and JavaScript write it, that the parser stopped in; empty if it is none.
inline std::string_view not_finite(std::string_view line, std::size_t position) {
  for (std::size_t back = std::min<std::size_t>(2, position); back > 0; --back) {
    std::string_view const rest = line.substr(std::min(position - back, line.size()));
    for (std::string_view const word :
         {"NaN", "nan", "-Infinity", "Infinity", "-inf", "inf", "Inf"}) {
      if (rest.starts_with(word)) return word;
    }
  }
  return {};
}

[[noreturn]] inline void refuse_json(line_reader const& lines, row_builder const& built) {
  place const& at = lines.at();
  std::string_view const line = lines.line();
  if (!built.objection().empty()) at.refuse(built.objection());

  if (auto const word = not_finite(line, built.position()); !word.empty()) {
    at.refuse("field " + in_quotes(built.last_key()) + ": found " + std::string(word) +
              ", which JSON does not have; expected a finite number");
  }
  std::size_t const read = std::min(built.position(), line.size());
  if (read == line.size() && ends_early(line)) {
    at.refuse(lines.has_line_end()
                  ? "the line ends inside its JSON object; expected one whole object per line"
                  : "truncated: the file ends inside a JSON object");
  }
  // The excerpt begins and ends between two code points.
  auto const continues = [&](std::size_t i) {
    return i < line.size() && (static_cast<unsigned char>(line[i]) & 0xC0u) == 0x80u;
  };
  std::size_t start = read - std::min<std::size_t>(read, 24);
  std::size_t end = read;
  while (continues(start)) --start;
  while (continues(end)) ++end;
  at.refuse("not valid JSON at byte " + std::to_string(read) +
            (built.reason().empty() ? "" : " (" + built.reason() + ")") + ", after " +
            in_quotes(line.substr(start, end - start)));
}

}  // namespace detail

/// Reads one JSON object per line; `json_lines` makes a range of it.
///
/// Errors  backend_error with source and line: not JSON, not an object, a field that appears twice (in any object of
///         the row), nesting deeper than the limit, and what line_reader refuses
class json_row_reader {
 public:
  using row = json_row;

  json_row_reader(std::unique_ptr<byte_source> source, place at, line_limits limits)
      : lines_(std::move(source), std::move(at), "one JSON object per line", limits.bytes),
        limits_(limits) {}

  bool next(json_row& out) {
    if (!lines_.next()) return false;
    out.at = lines_.at();
    out.fields = nullptr;
    std::string_view const line = lines_.line();
    detail::row_builder builder(out.fields, limits_.depth);
    if (!nlohmann::json::sax_parse(line.data(), line.data() + line.size(), &builder)) {
      detail::refuse_json(lines_, builder);
    }
    return true;
  }

 private:
  line_reader lines_;
  line_limits limits_;
};

namespace detail {

// The three things that every reader of JSON Lines reads from.
inline json_row_reader json_file(char const* reader, std::string path, line_limits limits) {
  place at{reader, std::move(path), 0};
  return {std::make_unique<file_bytes>(at), at, limits};
}
inline json_row_reader json_text(char const* reader, std::string_view text, std::string name,
                                 line_limits limits) {
  return {std::make_unique<text_bytes>(text), place{reader, std::move(name), 0}, limits};
}
inline json_row_reader json_stream(char const* reader, std::istream& stream, std::string name,
                                   line_limits limits) {
  place at{reader, std::move(name), 0};
  return {std::make_unique<stream_bytes>(stream, at), at, limits};
}

}  // namespace detail

/// The objects of a JSON Lines file, one at a time. The file is opened here and read on demand.
///
/// Errors  see json_row_reader; the fields of a row are fetched by `number`, `text` and their like below
[[nodiscard]] inline rows<json_row_reader> json_lines(std::string path, line_limits limits = {}) {
  return rows(detail::json_file("data::json_lines", std::move(path), limits));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<json_row_reader> json_lines_in(std::string_view text,
                                                         std::string name = "text",
                                                         line_limits limits = {}) {
  return rows(detail::json_text("data::json_lines", text, std::move(name), limits));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<json_row_reader> json_lines_in(std::istream& stream,
                                                         std::string name = "stream",
                                                         line_limits limits = {}) {
  return rows(detail::json_stream("data::json_lines", stream, std::move(name), limits));
}

/// Throws backend_error about one field: `field "name": reason`.
[[noreturn]] inline void refuse_field(json_row const& row, std::string_view name,
                                      std::string const& reason) {
  row.at.refuse("field " + in_quotes(name) + ": " + reason);
}

/// The value of an optional field; nullptr where the row lacks it or has null.
[[nodiscard]] inline nlohmann::json const* find_field(json_row const& row, std::string_view name) {
  auto const found = row.fields.find(std::string(name));
  return found == row.fields.end() || found->is_null() ? nullptr : &*found;
}

/// Throws backend_error: `field "name" is missing; expected ...`, pointing at a likely misspelling.
[[noreturn]] inline void refuse_missing(json_row const& row, std::string_view name,
                                        std::string const& expected) {
  std::string reason = "field " + in_quotes(name) + " is missing; expected " + expected;
  for (auto const& [written, value] : row.fields.items()) {
    if (written != name && prefer::text::edit_distance(written, name, prefer::text::slips(name)) <=
                               prefer::text::slips(name)) {
      row.at.refuse(reason + "; is " + in_quotes(written) + " a misspelling of it?");
    }
  }
  row.at.refuse(reason);
}

/// The value of a required field.
///
/// Errors  backend_error if the row lacks it; null counts as a value here
[[nodiscard]] inline nlohmann::json const& field(json_row const& row, std::string_view name,
                                                 std::string const& expected) {
  auto const found = row.fields.find(std::string(name));
  if (found == row.fields.end()) refuse_missing(row, name, expected);
  return *found;
}

namespace detail {

inline double number_in(json_row const& row, std::string_view name, nlohmann::json const& value) {
  if (!value.is_number()) {
    refuse_field(row, name, "found " + kind_of(value) + "; expected a finite number");
  }
  return value.get<double>();  // finite: the parser accepts no other
}
inline std::string const& text_in(json_row const& row, std::string_view name,
                                  nlohmann::json const& value) {
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
  nlohmann::json const& value = field(row, name, "true or false");
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
