// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::report {

/// One field of a CSV row, made from a text, an integer or a floating-point number. A number is written in the shortest
/// form that reads back as the same value of its own type.
class csv_field {
 public:
  csv_field(std::string text) : text_(std::move(text)) {}
  csv_field(std::string_view text) : text_(text) {}
  csv_field(char const* text) : text_(text) {}
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  csv_field(T value) : text_(std::to_string(value)) {}
  template <std::floating_point T>
  csv_field(T value) : text_(prefer::text::shortest(value)) {}

  [[nodiscard]] std::string const& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// Writes a CSV file that appears whole, with `commit`, or not at all.
///
/// A field is quoted if it holds a comma, a quote or a line break, or starts or ends with a space; quotes inside are
/// doubled. Lines end with a line feed alone. Non-finite numbers are nan, inf and -inf.
///
/// Errors  an empty header, a repeated column name, a row of the wrong length, or use after commit or after a failed
///         write: precondition_error. A file that cannot be written, a full disk included: backend_error, and the
///         target keeps its old content.
/// Source  RFC 4180, section 2, for the quoting
class csv_writer {
 public:
  csv_writer(std::string path, std::vector<std::string> header)
      : columns_(checked(header).size()), file_(std::move(path)) {
    std::vector<csv_field> names;
    for (auto& name : header) names.emplace_back(std::move(name));
    add_row(names);
  }

  void add_row(std::vector<csv_field> const& fields) {
    expects(open_, "report::csv_writer::add_row: the file is already committed or has failed");
    expects_size(fields.size(), columns_, "report::csv_writer::add_row", "fields");
    std::string line;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i != 0) line += ',';
      append_field(line, fields[i].text());
    }
    line += '\n';
    open_ = false;  // stays so if the write throws: the temporary is gone by then
    file_.write(line);
    open_ = true;
  }

  /// Moves the finished file onto its path. Without this call the path keeps its old content.
  void commit() {
    expects(open_, "report::csv_writer::commit: the file is already committed or has failed");
    open_ = false;
    file_.commit();
  }

  [[nodiscard]] std::string const& path() const noexcept { return file_.path(); }

 private:
  // Runs before the file is created, so that a bad header leaves no trace.
  static std::vector<std::string> const& checked(std::vector<std::string> const& header) {
    expects(!header.empty(), "report::csv_writer: the header needs at least one column");
    for (auto name = header.begin(); name != header.end(); ++name) {
      if (std::find(header.begin(), name, *name) != name) {
        prefer::detail::broken("report::csv_writer: column \"" + *name +
                               "\" is in the header twice");
      }
    }
    return header;
  }

  void append_field(std::string& line, std::string_view text) const {
    // An empty line is no row for many readers, so a lone empty field needs its quotes.
    bool const lone_and_empty = text.empty() && columns_ == 1;
    bool const padded = !text.empty() && (text.front() == ' ' || text.back() == ' ');
    if (!lone_and_empty && !padded && text.find_first_of(",\"\r\n") == std::string_view::npos) {
      line += text;
      return;
    }
    line += '"';
    for (char const c : text) {
      if (c == '"') line += '"';
      line += c;
    }
    line += '"';
  }

  std::size_t columns_;
  atomic_file file_;
  bool open_ = true;
};

}  // namespace prefer::inline v0_1::report
