// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::report {

/// Side of its column on which a cell stands; `automatic` is right for a column that holds a number and left for one of
/// text alone.
enum class align { automatic, left, right };

/// One column of a table; `precision` is the number of digits behind the point of a double.
struct table_column {
  std::string header = {};
  int precision = 4;
  report::align align = report::align::automatic;
};

/// A mean and how far its samples spread (standard deviation or error; the header says which), printed as `mean ±
/// spread` in the column's precision.
struct mean_spread {
  double mean = 0;
  double spread = 0;
};

/// One cell of a table, made from a text, an integer, a double or a mean_spread.
class table_cell {
 public:
  table_cell(std::string text) : text_(std::move(text)) {}
  table_cell(std::string_view text) : text_(text) {}
  table_cell(char const* text) : text_(text) {}
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  table_cell(T value) : kind_(kind::integer), text_(std::to_string(value)) {}
  table_cell(double value) : kind_(kind::number), value_{.mean = value} {}
  table_cell(mean_spread value) : kind_(kind::mean_spread), value_(value) {}

  [[nodiscard]] bool is_number() const noexcept { return kind_ != kind::text; }

  /// The cell in words, a double with `precision` digits behind the point.
  [[nodiscard]] std::string text(int precision) const {
    if (kind_ == kind::number) return prefer::text::fixed(value_.mean, precision);
    if (kind_ == kind::mean_spread) {
      return prefer::text::fixed(value_.mean, precision) + " ± " +
             prefer::text::fixed(value_.spread, precision);
    }
    return text_;
  }

 private:
  enum class kind { text, integer, number, mean_spread };
  kind kind_ = kind::text;
  std::string text_;
  report::mean_spread value_;
};

/// A table in plain text: a header, a rule, aligned rows, two spaces between columns.
///
/// Widths count UTF-8 code points as a terminal shows them. A control character in a cell, which would break the row,
/// is shown as a space.
///
/// Errors  no column, a negative precision or a row of the wrong length is a precondition_error
class table {
 public:
  explicit table(std::vector<table_column> columns) : columns_(std::move(columns)) {
    expects(!columns_.empty(), "report::table: needs at least one column");
    for (auto const& column : columns_) {
      expects(column.precision >= 0, "report::table: the precision of a column must be at least 0");
    }
  }

  void add_row(std::vector<table_cell> cells) {
    expects_size(cells.size(), columns_.size(), "report::table::add_row", "cells");
    rows_.push_back(std::move(cells));
  }

  [[nodiscard]] std::size_t row_count() const noexcept { return rows_.size(); }

  /// The whole table; every line, the last one too, ends with a newline and none with spaces.
  [[nodiscard]] std::string text() const {
    std::vector<std::vector<std::string>> lines(rows_.size() + 1);
    std::vector<std::size_t> widths(columns_.size());
    std::vector<bool> to_right(columns_.size());
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      auto const& column = columns_[c];
      lines[0].push_back(one_line(column.header));
      to_right[c] = column.align == align::right;
      for (std::size_t r = 0; r < rows_.size(); ++r) {
        auto const& cell = rows_[r][c];
        lines[r + 1].push_back(one_line(cell.text(column.precision)));
        if (column.align == align::automatic && cell.is_number()) to_right[c] = true;
      }
      for (auto const& line : lines)
        widths[c] = std::max(widths[c], prefer::text::display_width(line[c]));
    }

    std::string result;
    for (std::size_t r = 0; r < lines.size(); ++r) {
      append_line(result, lines[r], widths, to_right);
      if (r != 0) continue;
      for (std::size_t c = 0; c < widths.size(); ++c) {
        if (c != 0) result += "  ";
        result.append(widths[c], '-');
      }
      result += '\n';
    }
    return result;
  }

  /// Writes text() to `stream`.
  ///
  /// Errors  backend_error if the stream does not take all of it
  void print(std::FILE* stream) const {
    std::string const all = text();
    if (std::fwrite(all.data(), 1, all.size(), stream) != all.size() || std::fflush(stream) != 0) {
      prefer::detail::fail(backend_error("report::table::print", "stream", std::strerror(errno)));
    }
  }

 private:
  static std::string one_line(std::string text) {
    for (char& c : text) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return text;
  }

  static void append_line(std::string& result, std::vector<std::string> const& cells,
                          std::vector<std::size_t> const& widths,
                          std::vector<bool> const& to_right) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c != 0) result += "  ";
      std::size_t const gap = widths[c] - prefer::text::display_width(cells[c]);
      if (to_right[c]) result.append(gap, ' ');
      result += cells[c];
      if (!to_right[c]) result.append(gap, ' ');
    }
    while (!result.empty() && result.back() == ' ') result.pop_back();
    result += '\n';
  }

  std::vector<table_column> columns_;
  std::vector<std::vector<table_cell>> rows_;
};

}  // namespace prefer::inline v0_1::report
