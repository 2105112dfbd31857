// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/first_bytes.hpp>
#include <prefer/data/json_array.hpp>
#include <prefer/data/json_row.hpp>
#include <prefer/data/line_limits.hpp>
#include <prefer/data/lines.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/rows.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

namespace detail {

// Builds a row from parser events. The parser keeps its own stack on the heap, so depth is limited here for the sake of
// whoever walks the finished value by recursion (a copy, a dump).
class row_builder {
 public:
  row_builder(json& row, std::size_t most_depth) : row_(&row), most_depth_(most_depth) {}

  bool null() { return add(nullptr) != nullptr; }
  bool boolean(bool value) { return add(value) != nullptr; }
  bool number_integer(std::int64_t value) { return add(value) != nullptr; }
  bool number_unsigned(std::uint64_t value) { return add(value) != nullptr; }
  bool number_float(double value, std::string const& written) {
    // A whole number that does not fit 64 bits would come out as another one.
    if (written.find_first_of(".eE") == std::string::npos) {
      return refuse("the whole number " + written.substr(0, 40) +
                    " has more than 64 bits; expected a string or a number with an exponent");
    }
    return add(value) != nullptr;
  }
  bool string(std::string& value) { return add(std::move(value)) != nullptr; }
  bool binary(json::binary_t&) { return refuse("binary values are not JSON text"); }

  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    key_ = std::move(name);
    return !was_there() || refuse("field " + in_quotes(key_) + " appears twice");
  }
  bool parse_error(std::size_t position, std::string const&, json::exception const& error) {
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
  struct open_container {
    json* container;
    std::unordered_set<std::string> names;  // of an object's members, where there are many
  };

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
  json* add(json value) {
    if (open_.empty()) {
      if (!value.is_object()) {
        refuse("found " + kind_of(value) + "; expected one JSON object per line");
        return nullptr;
      }
      *row_ = std::move(value);
      return row_;
    }
    json& parent = *open_.back().container;
    if (auto* const object = parent.get_ptr<json::object_t*>()) {
      object->emplace_back(std::move(key_), std::move(value));
      return &object->back().second;
    }
    parent.push_back(std::move(value));
    return &parent.back();
  }
  /// Whether the object has a member of this name: looked for one by one among few, by hash among many.
  bool was_there() {
    constexpr std::size_t few = 16;
    open_container& at = open_.back();
    auto const& object = at.container->get_ref<json::object_t const&>();
    if (object.size() < few) {
      return std::any_of(object.begin(), object.end(),
                         [&](auto const& each) { return each.first == key_; });
    }
    if (at.names.empty()) {
      for (auto const& each : object) at.names.insert(each.first);
    }
    return !at.names.insert(key_).second;
  }
  bool open(json value) {
    if (open_.size() == most_depth_) {
      return refuse("lists and objects are nested deeper than the limit of " +
                    std::to_string(most_depth_));
    }
    json* const added = add(std::move(value));
    // Stays valid while it is open: only the innermost container grows.
    if (added != nullptr) open_.push_back({added, {}});
    return added != nullptr;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  json* row_;
  std::size_t most_depth_;
  std::vector<open_container> open_;
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
    return i < line.size() && prefer::text::continues_code_point(line[i]);
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

/// Reads one JSON object per line, or the objects of one JSON array, of which a row's line is the number of its element;
/// `json_lines` makes a range of it. After an error about a line, `next` goes on behind it.
///
/// Errors  backend_error with source and line: not JSON, not an object, a field that appears twice (in any object of
///         the row), nesting deeper than the limit, and what line_reader refuses
class json_row_reader {
 public:
  using row = json_row;

  json_row_reader(std::unique_ptr<byte_source> source, place const& at, line_limits limits,
                  decoders decode = {})
      : lines_(std::make_unique<json_array_lines>(
                   std::make_unique<plain_bytes>(std::move(source), at, decode), at),
               at, "one JSON object per line", limits.bytes),
        limits_(limits) {}

  bool next(json_row& out) {
    if (!lines_.next()) return false;
    out.at = lines_.at();
    out.fields = nullptr;
    std::string_view const line = lines_.line();
    detail::row_builder builder(out.fields, limits_.depth);
    if (!json::sax_parse(line.data(), line.data() + line.size(), &builder)) {
      detail::refuse_json(lines_, builder);
    }
    return true;
  }

  [[nodiscard]] place const& at() const noexcept { return lines_.at(); }

 private:
  line_reader lines_;
  line_limits limits_;
};

namespace detail {

// The three things that every reader of JSON Lines reads from.
inline json_row_reader json_file(char const* reader, std::string path, line_limits limits,
                                 decoders decode = {}) {
  place at{reader, std::move(path), 0};
  return {std::make_unique<file_bytes>(at), at, limits, decode};
}
inline json_row_reader json_text(char const* reader, std::string_view text, std::string name,
                                 line_limits limits, decoders decode = {}) {
  return {std::make_unique<text_bytes>(text), place{reader, std::move(name), 0}, limits, decode};
}
inline json_row_reader json_stream(char const* reader, std::istream& stream, std::string name,
                                   line_limits limits, decoders decode = {}) {
  place at{reader, std::move(name), 0};
  return {std::make_unique<stream_bytes>(stream, at), at, limits, decode};
}

}  // namespace detail

/// The objects of a JSON Lines file (or of a file that is one JSON array), one at a time. The file is opened here and read on demand.
///
/// Errors  see json_row_reader; the fields of a row are fetched by `number`, `text` and their like below
[[nodiscard]] inline rows<json_row_reader> json_lines(std::string path, line_limits limits = {},
                                                      decoders decode = {}) {
  return rows(detail::json_file("data::json_lines", std::move(path), limits, decode));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<json_row_reader> json_lines_in(std::string_view text,
                                                         std::string name = "text",
                                                         line_limits limits = {},
                                                         decoders decode = {}) {
  return rows(detail::json_text("data::json_lines", text, std::move(name), limits, decode));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<json_row_reader> json_lines_in(std::istream& stream,
                                                         std::string name = "stream",
                                                         line_limits limits = {},
                                                         decoders decode = {}) {
  return rows(detail::json_stream("data::json_lines", stream, std::move(name), limits, decode));
}

}  // namespace prefer::inline v0_1::data
