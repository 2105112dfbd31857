// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <prefer/data/bad_rows.hpp>
#include <prefer/data/place.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::data {

/// What a ratings file may say of a row.
enum class rating_column : std::size_t { user, item, rating, timestamp };
inline constexpr std::array<std::string_view, 4> rating_columns = {"user", "item", "rating",
                                                                   "timestamp"};

/// The lowest and the highest rating that a file may hold.
struct rating_scale {
  double low = 0;
  double high = 0;
};

enum class text_encoding { utf8, latin1 };

/// What the numbers of a file mean.
enum class feedback {
  ratings,  // how much it was liked
  counts,   // how often it was met: no opinion
  pairs     // that it was met: no number at all
};

/// How a ratings file is to be read. What is not given is detected.
struct ratings_reading {
  std::string separator = {};              ///< "\t", "::", ",", ";", "|" or " "
  std::optional<bool> header = {};         ///< whether the first line names the columns
  std::vector<std::string> columns = {};   ///< in the order of the file ("user", "item", "-"), or
                                           ///< "user=reviewer": which name in the header is which
  std::optional<rating_scale> scale = {};  ///< ratings outside of it are refused
  std::optional<feedback> meaning = {};    ///< of the numbers
  std::optional<text_encoding> encoding = {};
  bad_rows bad = bad_rows::refused;
  double most_bad = 0.01;  ///< share of the rows that may be skipped, before the end is an error
};

/// How a ratings file is read: given, or found in its first line.
struct ratings_form {
  std::string name;  ///< of the public data set whose form this is, if any
  std::string separator;
  bool header = false;
  std::array<std::optional<std::size_t>, 4> place = {};  ///< of each rating_column, from 0
  std::array<std::string, 4> spelling = {};              ///< of each column in the header
  std::size_t cells = 0;                                 ///< of every row
  std::optional<rating_scale> scale = {};
  feedback meaning = feedback::ratings;
  bool zero_is_no_rating = false;  ///< 0 stands for an item that was met and not rated
  text_encoding encoding = text_encoding::utf8;

  [[nodiscard]] bool has(rating_column which) const {
    return place[static_cast<std::size_t>(which)].has_value();
  }
  /// In one line, as a program says what it has detected.
  [[nodiscard]] std::string sentence() const {
    std::string out = separator == "\t"  ? "separated by tabs"
                      : separator == " " ? "separated by spaces"
                                         : "separated by " + separator;
    out += header ? ", a header, columns" : ", no header, columns";
    for (std::size_t c = 0; c < place.size(); ++c) {
      if (!place[c]) continue;
      out += " " + std::string(rating_columns[c]) + "=" +
             (header ? spelling[c] : std::to_string(*place[c] + 1));
    }
    if (!has(rating_column::timestamp)) out += ", without times: the order of lines is time";
    if (meaning == feedback::counts) out += ", counts of what was met";
    if (meaning == feedback::pairs) out += ", who met what without a rating";
    if (scale && meaning == feedback::ratings) {
      out += ", ratings from " + prefer::text::shortest(scale->low) + " to " +
             prefer::text::shortest(scale->high);
    }
    if (zero_is_no_rating) out += ", 0 is no rating";
    return out + (name.empty() ? "" : " (as " + name + ")");
  }
};

/// The finite number that a whole cell is, if it is one.
[[nodiscard]] inline std::optional<double> finite_number_in(std::string_view cell) {
  double result = 0;
  auto const [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), result);
  // from_chars reads "nan" and "inf" as numbers.
  if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(result)) {
    return std::nullopt;
  }
  return result;
}

namespace detail {

/// Cuts a line into cells. With a separator other than the tab a cell may be in quotes, in which it holds separators, and
/// quotes that are doubled or follow a backslash; spaces around a cell do not count.
class cell_splitter {
 public:
  /// What is wrong with the line, if anything is: a quote that does not end, or something behind one that has.
  [[nodiscard]] std::string split(std::string_view line, std::string_view separator) {
    cells_.clear();
    bool const quotes = separator != "\t";
    bool const any_spaces = separator == " ";
    if (quotes) line = trimmed(line);
    while (true) {
      std::string cell;
      if (quotes && !trimmed(line).empty() && trimmed(line).front() == '"') {
        std::string_view const all = line;
        if (!take_quoted(line = trimmed(line), cell)) {
          return "a quote does not end on its line: " + in_quotes(all, 60);
        }
        if (!line.empty() && !line.starts_with(separator)) {
          return "found " + in_quotes(line, 20) + " behind a cell in quotes; expected " +
                 in_quotes(separator) + " or the end of the line";
        }
      } else {
        std::size_t const end = std::min(line.find(separator), line.size());
        cell = quotes ? trimmed(line.substr(0, end)) : line.substr(0, end);
        line.remove_prefix(end);
      }
      cells_.push_back(std::move(cell));
      if (line.empty()) return {};
      line.remove_prefix(separator.size());
      if (any_spaces) line = trimmed(line);
    }
  }
  [[nodiscard]] std::vector<std::string> const& cells() const { return cells_; }

 private:
  static std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  }
  static bool take_quoted(std::string_view& line, std::string& cell) {
    for (std::size_t i = 1; i < line.size(); ++i) {
      char const next = i + 1 < line.size() ? line[i + 1] : '\0';
      if ((line[i] == '"' || line[i] == '\\') && next == '"') {
        cell += '"';
        ++i;
      } else if (line[i] == '"') {
        line.remove_prefix(i + 1);
        return true;
      } else {
        cell += line[i];
      }
    }
    return false;
  }

  std::vector<std::string> cells_;
};

/// A column's name as names are compared: without type, case and marks ("user_id:token" and "User-ID" are "userid").
[[nodiscard]] inline std::string plain_name(std::string_view name) {
  std::string out;
  for (char const c : name.substr(0, name.find(':'))) {
    if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out;
}

/// Names under which columns go, the most telling first.
inline std::vector<std::vector<std::string_view>> const& usual_names() {
  static std::vector<std::vector<std::string_view>> const names = {
      {"userid", "user", "uid", "reviewerid", "customerid", "personid", "person", "visitorid",
       "memberid", "username", "sessionid"},
      {"itemid", "item", "iid", "movieid", "movie", "isbn", "parentasin", "asin", "productid",
       "product", "bookid", "artistid", "trackid", "songid", "businessid", "gameid", "animeid"},
      {"rating", "bookrating", "overall", "starrating", "stars", "score", "ratings", "value"},
      {"timestamp", "time", "unixreviewtime", "unixtime", "ts", "ratedat"}};
  return names;
}
inline bool names_a_count(std::string const& plain) {
  constexpr std::array<std::string_view, 9> names = {
      "count", "counts", "plays", "weight", "clicks", "playcount", "views", "listens", "frequency"};
  return std::find(names.begin(), names.end(), plain) != names.end();
}

/// Finds the form of a file by its first line.
class form_finder {
 public:
  form_finder(ratings_reading const& given, place const& at) : given_(given), at_(at) {}

  [[nodiscard]] ratings_form find(std::string_view line) {
    std::vector<std::string> const usual = {"\t", "::", ";", ",", "|", " "};
    for (std::string const& separator :
         given_.separator.empty() ? usual : std::vector<std::string>{given_.separator}) {
      if (line.find(separator) == std::string_view::npos) continue;
      form_ = {};
      form_.separator = separator;
      bool const is_it = splitter_.split(line, separator).empty();
      form_.cells = splitter_.cells().size();
      if (!is_it || form_.cells < 2 || !find_columns()) continue;
      settle();
      return form_;
    }
    at_.refuse("found " + in_quotes(line, 80) + "; expected " +
               (given_.separator.empty()
                    ? std::string("columns user, item, perhaps rating and timestamp, separated by "
                                  "tabs, ::, semicolons, commas, | or spaces")
                    : "columns user, item, perhaps rating and timestamp, separated by " +
                          in_quotes(given_.separator)) +
               "; a header names them, or the columns have to be given");
  }

 private:
  [[nodiscard]] std::vector<std::string> const& cells() const { return splitter_.cells(); }

  bool find_columns() {
    bool const by_name =
        !given_.columns.empty() && given_.columns.front().find('=') != std::string::npos;
    if (by_name) return map_names();
    if (!given_.columns.empty()) return take_places();
    if (given_.header.value_or(true) && read_header()) return true;
    return !given_.header.value_or(false) && guess_places();
  }

  [[nodiscard]] std::optional<std::size_t>& place_of(rating_column which) {
    return form_.place[static_cast<std::size_t>(which)];
  }

  // "user=reviewerID": the header's names for ours.
  bool map_names() {
    form_.header = true;
    for (std::string const& each : given_.columns) {
      std::size_t const cut = std::min(each.find('='), each.size());
      std::size_t const which = role_of(each.substr(0, cut));
      std::string const wanted = cut < each.size() ? each.substr(cut + 1) : "";
      auto const found = std::find_if(cells().begin(), cells().end(), [&](std::string const& c) {
        return c == wanted || c.substr(0, c.find(':')) == wanted;
      });
      if (found == cells().end()) {
        at_.refuse("column " + in_quotes(wanted) + " is missing in the header");
      }
      if (form_.place[which]) at_.refuse("column " + in_quotes(each) + " was given twice");
      form_.place[which] = static_cast<std::size_t>(found - cells().begin());
      form_.spelling[which] = *found;
    }
    return both_known();
  }

  // "user", "item", "-", "rating": ours in the order of the file.
  bool take_places() {
    if (given_.columns.size() > form_.cells) {
      at_.refuse("found " + std::to_string(form_.cells) + " cells; expected " +
                 std::to_string(given_.columns.size()) + " as the columns that were given");
    }
    for (std::size_t i = 0; i < given_.columns.size(); ++i) {
      if (given_.columns[i] == "-") continue;
      std::size_t const which = role_of(given_.columns[i]);
      if (form_.place[which]) {
        at_.refuse("column " + in_quotes(given_.columns[i]) + " was given twice");
      }
      form_.place[which] = i;
      form_.spelling[which] = cells()[i];
    }
    if (!both_known()) return false;
    // A header is no row: where a number should be, it has none.
    auto const& number = place_of(rating_column::rating);
    form_.header = given_.header.value_or(number && !finite_number_in(cells()[*number]));
    return true;
  }
  bool both_known() {
    if (place_of(rating_column::user) && place_of(rating_column::item)) return true;
    at_.refuse("the columns that were given lack user or item");
  }

  std::size_t role_of(std::string const& name) {
    auto const found = std::find(rating_columns.begin(), rating_columns.end(), name);
    if (found != rating_columns.end()) {
      return static_cast<std::size_t>(found - rating_columns.begin());
    }
    if (name == "count") {
      form_.meaning = feedback::counts;
      return static_cast<std::size_t>(rating_column::rating);
    }
    at_.refuse("found column " + in_quotes(name) +
               " among those that were given; expected user, item, rating, count, timestamp or -");
  }

  bool read_header() {
    std::vector<std::string> plain;
    for (std::string const& cell : cells()) plain.push_back(plain_name(cell));
    for (std::size_t which = 0; which < form_.place.size(); ++which) {
      for (std::string_view const name : usual_names()[which]) {
        auto const found = std::find(plain.begin(), plain.end(), name);
        if (found == plain.end()) continue;
        auto const place = static_cast<std::size_t>(found - plain.begin());
        if (std::find(found + 1, plain.end(), name) != plain.end()) {
          at_.refuse("column " + in_quotes(cells()[place].substr(0, cells()[place].find(':'))) +
                     " is named twice in the header");
        }
        form_.place[which] = place;
        form_.spelling[which] = cells()[place];
        break;
      }
    }
    bool const user = place_of(rating_column::user).has_value();
    bool const item = place_of(rating_column::item).has_value();
    if (user != item) {
      at_.refuse(std::string("column ") + (user ? "\"item_id\"" : "\"user_id\"") +
                 " is missing in the header; found a name for the other" +
                 "; the columns may be given");
    }
    form_.header = user;
    if (!user) return false;
    if (!place_of(rating_column::rating)) {
      auto const count = std::find_if(plain.begin(), plain.end(), names_a_count);
      if (count != plain.end()) {
        auto const place = static_cast<std::size_t>(count - plain.begin());
        place_of(rating_column::rating) = place;
        form_.spelling[static_cast<std::size_t>(rating_column::rating)] = cells()[place];
        form_.meaning = feedback::counts;
      }
    }
    name_by_header(plain);
    return true;
  }

  void name_by_header(std::vector<std::string> const& plain) {
    auto const named = [&](std::string_view name) {
      return std::find(plain.begin(), plain.end(), name) != plain.end();
    };
    if (named("isbn") && named("bookrating")) {
      form_.name = "Book-Crossing";
      form_.scale = rating_scale{0, 10};
      form_.zero_is_no_rating = true;
      form_.encoding = text_encoding::latin1;
    } else if (named("userid") && named("movieid")) {
      form_.name = "MovieLens latest";
      form_.scale = rating_scale{0.5, 5};
    } else if (named("asin") || named("parentasin")) {
      form_.name = "Amazon reviews";
      form_.scale = rating_scale{1, 5};
    } else if (cells().front().find(':') != std::string::npos) {
      form_.name = "RecBole's atomic files";
    }
  }

  // Amazon's number of an article: ten capitals and digits, which begin with B0 or are an ISBN.
  static bool looks_like_article(std::string const& cell) {
    return cell.size() == 10 && std::all_of(cell.begin(), cell.end(), [](char c) {
             return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
           });
  }

  bool guess_places() {
    constexpr double earliest = 1e8;  // seconds since 1970: above all ratings, below all times
    auto const& row = cells();
    std::array<std::size_t, 4> order = {0, 1, 2, 3};
    bool rated = row.size() > 2;
    bool timed = row.size() > 3;
    std::optional<double> third;
    std::optional<double> fourth;
    if (rated) third = finite_number_in(row[2]);
    if (timed) fourth = finite_number_in(row[3]);
    if (rated && !third) return false;
    if (timed && !fourth) return false;
    if (third && *third >= earliest) {
      std::swap(order[2], order[3]);
      timed = true;
      rated = fourth && *fourth < earliest;
    }
    bool const article_first =
        looks_like_article(row[0]) && row[0].starts_with("B0") && !looks_like_article(row[1]);
    bool const article_second = looks_like_article(row[1]) && row[1].starts_with("B0");
    if (article_first) std::swap(order[0], order[1]);
    place_of(rating_column::user) = order[0];
    place_of(rating_column::item) = order[1];
    if (rated) place_of(rating_column::rating) = order[2];
    if (timed) place_of(rating_column::timestamp) = order[3];
    if (rated && (article_first || article_second)) {
      form_.name = "Amazon reviews";
      form_.scale = rating_scale{1, 5};
    } else if (rated && timed && form_.separator == "::") {
      form_.name = "MovieLens 1M";
      form_.scale = rating_scale{0.5, 5};
    } else if (row.size() == 4 && form_.separator == "\t" && fourth.value_or(0.0) >= earliest &&
               finite_number_in(row[0]) && finite_number_in(row[1])) {
      form_.name = "MovieLens 100k";
      form_.scale = rating_scale{1, 5};
    }
    return true;
  }

  void settle() {
    if (!form_.has(rating_column::rating)) form_.meaning = feedback::pairs;
    if (given_.meaning) form_.meaning = *given_.meaning;
    if (form_.meaning != feedback::pairs && !form_.has(rating_column::rating)) {
      at_.refuse(std::string("no column is a ") +
                 (form_.meaning == feedback::counts ? "count" : "rating") +
                 "; expected one, or feedback that is mere pairs");
    }
    if (given_.scale) {
      form_.scale = given_.scale;
      form_.zero_is_no_rating = form_.zero_is_no_rating && given_.scale->low <= 0;
    }
    if (given_.encoding) form_.encoding = *given_.encoding;
  }

  ratings_reading const& given_;
  place const& at_;
  cell_splitter splitter_;
  ratings_form form_;
};

}  // namespace detail

}  // namespace prefer::inline v0_1::data
