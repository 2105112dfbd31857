// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/bad_rows.hpp>
#include <prefer/data/lines.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/ratings_form.hpp>
#include <prefer/data/rows.hpp>
#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

/// One user's rating of one item.
struct rating {
  std::string user;
  std::string item;
  double value = 0;  // in the file's own scale; of counts the count; 1 where the file has no number
  bool is_opinion =
      true;  // whether value says how much it was liked: not of counts, nor of what was met and not rated
  double timestamp =
      0;  // seconds since 1970 in MovieLens files; whole numbers up to 2^53 are exact; 0 without times
  std::size_t line = 0;  // in its file, from 1
};

/// What became of the rows of an interaction file.
struct ratings_report {
  std::size_t rows = 0;     // that were met, bad ones included
  bad_row_counts bad = {};  // by reason
};

/// Reads an interaction file; `ratings` makes a range of it.
///
/// Separator, header and columns are detected in the first line, unless `reading` gives them, and `form` says what was
/// found: a header names columns in any order, under the usual names (MovieLens, Book-Crossing, Amazon), a name may carry
/// a type (rating:float, as in RecBole's atomic files), and further columns are passed over; without a header columns are
/// user, item, rating, timestamp. Rating and timestamp may be missing.
///
/// Errors  backend_error with source and line, what was found and what was expected: no columns for user and item, a
///         column that is named twice, a row of another number of cells than the first line (a truncated line), an empty
///         id, a rating or timestamp that is not a finite number, a rating outside its scale, a count that is not
///         positive, text that is not in the encoding, and what line_reader refuses. With bad_rows::skipped such a row is
///         counted, the first line (of which columns are known) aside, and the end is an error if too many were bad
class rating_reader {
 public:
  using row = rating;

  /// Without a `report`, which outlives the reader, what happens to rows is counted for nobody.
  rating_reader(std::unique_ptr<byte_source> source, place at, ratings_reading reading = {},
                ratings_report* report = nullptr)
      : own_(report == nullptr ? std::make_unique<ratings_report>() : nullptr),
        report_(report == nullptr ? own_.get() : report),
        lines_(std::move(source), std::move(at), "rows of user, item, rating and timestamp",
               most_line_bytes),
        reading_(std::move(reading)) {
    lines_.take_any_bytes();  // Latin-1 is no UTF-8; `text` checks
    expects(reading_.most_bad >= 0 && reading_.most_bad <= 1,
            "data::ratings_reading: most_bad is a share, from 0 to 1");
  }

  bool next(rating& out) {
    if (form_.cells == 0) read_first();
    for (;;) {
      bool more = true;
      bool good = true;
      auto const read = [&] { more = next_row(out); };
      if (reading_.bad == bad_rows::refused) {
        read();
      } else {
        good = attempt(read, [&](backend_error const& error) {
          count_bad_row(error, lines_.at(), report_->bad);
        });
      }
      if (!more) return finish(), false;
      ++report_->rows;
      if (good) return true;
    }
  }

  /// How the file is read. Reads its first line, if that has not been read.
  [[nodiscard]] ratings_form const& form() {
    if (form_.cells == 0) read_first();
    return form_;
  }

 private:
  static constexpr std::size_t most_line_bytes = std::size_t{1} << 20;

  bool next_row(rating& out) {
    if (!first_is_row_ && !next_line()) return false;
    first_is_row_ = false;
    out.user = id(rating_column::user);
    out.item = id(rating_column::item);
    take_value(out);
    out.timestamp = form_.has(rating_column::timestamp) ? number(rating_column::timestamp) : 0.0;
    out.line = lines_.at().line;
    return true;
  }

  void finish() const {
    expect_few_bad_rows(report_->bad, report_->rows, reading_.most_bad, lines_.at());
    if (report_->rows == count_of(report_->bad)) {
      lines_.at().refuse("there is no row below the header");
    }
  }

  void read_first() {
    lines_.next();
    form_ = detail::form_finder(reading_, lines_.at()).find(text());
    first_is_row_ = !form_.header;
    if (first_is_row_) split();
  }

  bool next_line() {
    if (!lines_.next()) return false;
    split();
    std::size_t const found = splitter_.cells().size();
    if (found == form_.cells) return true;
    lines_.at().refuse(
        "found " + std::to_string(found) + " cells; expected " + std::to_string(form_.cells) +
        " as in the " + (form_.header ? "header" : "first line") +
        (found < form_.cells && !lines_.has_line_end() ? " (the file is truncated)" : ""));
  }

  void split() {
    std::string const wrong = splitter_.split(text(), form_.separator);
    if (!wrong.empty()) lines_.at().refuse(wrong);
  }

  /// The line as UTF-8.
  std::string_view text() {
    auto const bad = prefer::text::first_invalid_utf8(lines_.line());
    if (!bad) return lines_.line();
    auto const encoding = reading_.encoding.value_or(form_.encoding);
    if (encoding == text_encoding::latin1) {
      converted_ = prefer::text::from_latin1(lines_.line());
      return converted_;
    }
    lines_.at().refuse("byte " + std::to_string(*bad + 1) +
                       " of the line is not valid UTF-8; if it is Latin-1, say so");
  }

  [[nodiscard]] std::string const& cell(rating_column which) const {
    return splitter_.cells()[*form_.place[static_cast<std::size_t>(which)]];
  }
  [[nodiscard]] std::string name(rating_column which) const {
    std::string const& spelling = form_.spelling[static_cast<std::size_t>(which)];
    std::string const plain(rating_columns[static_cast<std::size_t>(which)]);
    return in_quotes(form_.header ? spelling.substr(0, spelling.find(':')) : plain);
  }

  std::string const& id(rating_column which) const {
    if (cell(which).empty()) lines_.at().refuse("column " + name(which) + " is empty");
    return cell(which);
  }

  double number(rating_column which) const {
    if (auto const found = finite_number_in(cell(which))) return *found;
    lines_.at().refuse("column " + name(which) + ": found " + in_quotes(cell(which)) +
                       "; expected a finite number");
  }

  void take_value(rating& out) const {
    out.is_opinion = form_.meaning == feedback::ratings;
    if (form_.meaning == feedback::pairs) {
      out.value = 1;
      return;
    }
    out.value = number(rating_column::rating);
    auto const refuse = [&](std::string const& expected) {
      lines_.at().refuse("column " + name(rating_column::rating) + ": found " +
                         in_quotes(cell(rating_column::rating)) + "; expected " + expected);
    };
    if (form_.meaning == feedback::counts) {
      if (!(out.value > 0)) refuse("a count greater than 0");
      return;
    }
    if (form_.zero_is_no_rating && out.value == 0) {
      out.is_opinion = false;
      return;
    }
    if (form_.scale && (out.value < form_.scale->low || out.value > form_.scale->high)) {
      refuse("a rating from " + prefer::text::shortest(form_.scale->low) + " to " +
             prefer::text::shortest(form_.scale->high) +
             (form_.name.empty() ? "" : ", as in " + form_.name));
    }
  }

  std::unique_ptr<ratings_report> own_;
  ratings_report* report_;
  line_reader lines_;
  ratings_reading reading_;
  ratings_form form_;
  detail::cell_splitter splitter_;
  std::string converted_;
  bool first_is_row_ = false;
};

/// The ratings of an interaction file (MovieLens and its relatives), one at a time. The file is opened here and read on
/// demand.
///
/// Errors  see rating_reader
[[nodiscard]] inline rows<rating_reader> ratings(std::string path, ratings_reading reading = {},
                                                 ratings_report* report = nullptr) {
  place const at{"data::ratings", std::move(path), 0};
  return rows(rating_reader(std::make_unique<file_bytes>(at), at, std::move(reading), report));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<rating_reader> ratings_in(std::string_view text,
                                                    std::string name = "text",
                                                    ratings_reading reading = {},
                                                    ratings_report* report = nullptr) {
  return rows(rating_reader(std::make_unique<text_bytes>(text),
                            place{"data::ratings", std::move(name), 0}, std::move(reading),
                            report));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<rating_reader> ratings_in(std::istream& stream,
                                                    std::string name = "stream",
                                                    ratings_reading reading = {},
                                                    ratings_report* report = nullptr) {
  place const at{"data::ratings", std::move(name), 0};
  return rows(
      rating_reader(std::make_unique<stream_bytes>(stream, at), at, std::move(reading), report));
}

/// All ratings of a file.
[[nodiscard]] inline std::vector<rating> read_ratings(std::string path,
                                                      ratings_reading reading = {}) {
  std::vector<rating> all;
  for (rating& one : ratings(std::move(path), std::move(reading))) all.push_back(std::move(one));
  return all;
}

}  // namespace prefer::inline v0_1::data
