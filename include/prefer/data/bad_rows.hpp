// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include <prefer/data/happened.hpp>
#include <prefer/data/place.hpp>
#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::data {

/// What becomes of a row that cannot be read.
enum class bad_rows { refused, skipped };

/// Rows that could not be read, by reason.
using bad_row_counts = std::map<std::string, happened>;

[[nodiscard]] inline std::size_t count_of(bad_row_counts const& bad) {
  std::size_t all = 0;
  for (auto const& [reason, seen] : bad) all += seen.count;
  return all;
}

/// A reason without what differs from row to row: numbers, and what was found.
[[nodiscard]] inline std::string kind_of_reason(std::string_view reason) {
  std::string out;
  bool found = false;
  for (char const c : reason) {
    for (std::string_view const before :
         {"string \"", "after \"", "with \"", "fields \"", "\": found \""}) {
      if (!found && out.ends_with(before)) {
        found = true;
        out += "...";
      }
    }
    if (found && c == '"') found = false;
    if (found) continue;
    bool const digit = c >= '0' && c <= '9';
    if (digit && out.ends_with('#')) continue;
    out += digit ? '#' : c;
  }
  return out;
}

/// Counts a row that could not be read, by reason; `source` is where rows come from.
///
/// Errors  throws the error again where it is about the source as a whole, which cannot be read any further
inline void count_bad_row(backend_error const& error, place const& source, bad_row_counts& into) {
  constexpr std::size_t most_reasons = 32;
  std::string const& where = error.place();
  auto const colon = where.rfind(':');
  if (where.size() <= source.source.size() || colon == std::string::npos) refuse(error);
  std::string const what = error.what();
  std::string const kind = kind_of_reason(what.substr(what.find(where) + where.size() + 2));
  bool const one_more = into.count(kind) != 0 || into.size() < most_reasons;
  into[one_more ? kind : "for other reasons"].add(std::stoul(where.substr(colon + 1)));
}

/// Whether few enough rows were bad.
///
/// Errors  backend_error with every reason, if more than the share `most` were
inline void expect_few_bad_rows(bad_row_counts const& bad, std::size_t rows, double most,
                                place const& source) {
  std::size_t const all = count_of(bad);
  std::string reasons;
  for (auto const& [reason, seen] : bad) {
    if (reasons.size() < 500) reasons += "; " + reason + ": " + to_words(seen);
  }
  if (static_cast<double>(all) <= most * static_cast<double>(rows)) return;
  place{source.reader, source.source, 0}.refuse(
      std::to_string(all) + " of " + std::to_string(rows) +
      " rows are bad, more than the share of " + prefer::text::shortest(most) +
      " that may be skipped" + reasons);
}

}  // namespace prefer::inline v0_1::data
