// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <prefer/data/lines.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/rows.hpp>

namespace prefer::inline v0_1::data {

/// One user's rating of one item.
struct rating {
  std::string user;
  std::string item;
  double value = 0;  // in the file's own scale
  double timestamp =
      0;  // seconds since 1970 in MovieLens files; whole numbers up to 2^53 are exact
  std::size_t line = 0;  // in its file, from 1
};

/// Reads an interaction file; `ratings` makes a range of it.
///
/// Tab-separated, with a header line that names the columns user_id, item_id, rating and timestamp in any order; a name
/// may carry a type (rating:float), and further columns are passed over.
///
/// Errors  backend_error with source and line: a column is missing or named twice, a row has another number of cells
///         than the header (a truncated line), an empty id, a rating or timestamp that is not a finite number, and what
///         line_reader refuses
class rating_reader {
 public:
  using row = rating;

  rating_reader(std::unique_ptr<byte_source> source, place at)
      : lines_(std::move(source), std::move(at),
               "a header line with the columns user_id, item_id, rating, timestamp",
               most_line_bytes) {}

  bool next(rating& out) {
    if (columns_ == 0) read_header();
    if (!lines_.next()) {
      if (!any_row_) lines_.at().refuse("there is no row below the header");
      return false;
    }
    any_row_ = true;
    split();
    if (cells_.size() != columns_) {
      lines_.at().refuse(
          "found " + std::to_string(cells_.size()) + " cells; expected " +
          std::to_string(columns_) + " as in the header" +
          (cells_.size() < columns_ && !lines_.has_line_end() ? " (the file is truncated)" : ""));
    }
    out.user = id(user);
    out.item = id(item);
    out.value = number(value);
    out.timestamp = number(timestamp);
    out.line = lines_.at().line;
    return true;
  }

 private:
  enum column : std::size_t { user, item, value, timestamp };
  static constexpr std::array<std::string_view, 4> names = {"user_id", "item_id", "rating",
                                                            "timestamp"};
  static constexpr std::size_t most_line_bytes = std::size_t{1} << 20;

  void split() {
    cells_.clear();
    std::string_view rest = lines_.line();
    for (auto tab = rest.find('\t'); tab != std::string_view::npos; tab = rest.find('\t')) {
      cells_.push_back(rest.substr(0, tab));
      rest.remove_prefix(tab + 1);
    }
    cells_.push_back(rest);
  }

  void read_header() {
    lines_.next();
    split();
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto const is_it = [&](std::string_view cell) {
        return cell.substr(0, cell.find(':')) == names[i];
      };
      auto const found = std::find_if(cells_.begin(), cells_.end(), is_it);
      if (found == cells_.end()) {
        lines_.at().refuse("column " + in_quotes(names[i]) + " is missing in the header " +
                           in_quotes(lines_.line(), 120) +
                           "; expected user_id, item_id, rating, timestamp, separated by tabs");
      }
      if (std::find_if(found + 1, cells_.end(), is_it) != cells_.end()) {
        lines_.at().refuse("column " + in_quotes(names[i]) + " is named twice in the header");
      }
      where_[i] = static_cast<std::size_t>(found - cells_.begin());
    }
    columns_ = cells_.size();
  }

  std::string_view id(column which) const {
    std::string_view const cell = cells_[where_[which]];
    if (cell.empty()) lines_.at().refuse("column " + in_quotes(names[which]) + " is empty");
    return cell;
  }

  double number(column which) const {
    std::string_view const cell = cells_[where_[which]];
    double result = 0;
    auto const [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), result);
    // from_chars reads "nan" and "inf" as numbers.
    if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(result)) {
      lines_.at().refuse("column " + in_quotes(names[which]) + ": found " + in_quotes(cell) +
                         "; expected a finite number");
    }
    return result;
  }

  line_reader lines_;
  std::vector<std::string_view> cells_;
  std::array<std::size_t, 4> where_{};
  std::size_t columns_ = 0;
  bool any_row_ = false;
};

/// The ratings of an interaction file (MovieLens-style .inter), one at a time. The file is opened here and read on
/// demand.
///
/// Errors  see rating_reader
[[nodiscard]] inline rows<rating_reader> ratings(std::string path) {
  place const at{"data::ratings", std::move(path), 0};
  return rows(rating_reader(std::make_unique<file_bytes>(at), at));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<rating_reader> ratings_in(std::string_view text,
                                                    std::string name = "text") {
  return rows(rating_reader(std::make_unique<text_bytes>(text),
                            place{"data::ratings", std::move(name), 0}));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<rating_reader> ratings_in(std::istream& stream,
                                                    std::string name = "stream") {
  place const at{"data::ratings", std::move(name), 0};
  return rows(rating_reader(std::make_unique<stream_bytes>(stream, at), at));
}

/// All ratings of a file.
[[nodiscard]] inline std::vector<rating> read_ratings(std::string path) {
  std::vector<rating> all;
  for (rating& one : ratings(std::move(path))) all.push_back(std::move(one));
  return all;
}

}  // namespace prefer::inline v0_1::data
