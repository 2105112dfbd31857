// SPDX-License-Identifier: MIT
#include "file_words.hpp"

#include <optional>

#include <prefer/expects.hpp>

namespace recommend {

namespace {

prefer::data::rating_scale scale_of(std::string const& text) {
  std::size_t const cut = text.find(':');
  std::optional<double> const low = prefer::data::finite_number_in(text.substr(0, cut));
  std::optional<double> high;
  if (cut != std::string::npos) high = prefer::data::finite_number_in(text.substr(cut + 1));
  if (!low || !high || !(*low < *high)) {
    prefer::refuse("--scale: found \"" + text +
                   "\"; expected the lowest and the highest rating, as in 1:5");
  }
  return {*low, *high};
}

}  // namespace

prefer::data::ratings_reading reading_of(file_words const& words) {
  using prefer::data::feedback;
  using prefer::data::text_encoding;
  prefer::data::ratings_reading out;
  out.separator = words.separator == "tab"     ? "\t"
                  : words.separator == "space" ? " "
                                               : words.separator;
  if (!words.header.empty()) out.header = words.header == "yes";
  out.columns = words.columns;
  for (std::string& each : out.columns) {  // a group stands in the place of an item
    if (each == "group" || each.starts_with("group=")) each.replace(0, 5, "item");
  }
  if (!words.scale.empty()) out.scale = scale_of(words.scale);
  if (words.meaning == "ratings") out.meaning = feedback::ratings;
  if (words.meaning == "counts") out.meaning = feedback::counts;
  if (words.meaning == "pairs") out.meaning = feedback::pairs;
  if (words.encoding == "utf8") out.encoding = text_encoding::utf8;
  if (words.encoding == "latin1") out.encoding = text_encoding::latin1;
  return out;
}

split_rule rule_of(split_rule rule, file_words const& words) {
  if (words.again == "first") rule.again = repeats::first;
  if (words.again == "last") rule.again = repeats::last;
  if (words.again == "refused") rule.again = repeats::refused;
  return rule;
}

}  // namespace recommend
