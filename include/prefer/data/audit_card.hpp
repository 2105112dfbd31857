// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/data/audit_findings.hpp>
#include <prefer/data/audit_report.hpp>
#include <prefer/text/counted.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::data {

/// "note", "warning" or "error".
[[nodiscard]] constexpr std::string_view to_string(severity how) {
  switch (how) {
    case severity::note:
      return "note";
    case severity::warning:
      return "warning";
    case severity::error:
      return "error";
  }
  return "";
}

namespace detail {

inline nlohmann::ordered_json to_json(std::size_t count) { return count; }
inline nlohmann::ordered_json to_json(length_summary const& lengths) {
  return {{"mean", lengths.mean},
          {"least", lengths.least},
          {"median", lengths.median},
          {"most", lengths.most}};
}
/// null where nothing was estimated, and for an error that is not known.
inline nlohmann::ordered_json to_json(std::optional<estimate> const& number) {
  if (!number) return nullptr;
  nlohmann::ordered_json error = nullptr;
  if (!std::isnan(number->standard_error)) error = number->standard_error;
  return {{"value", number->value}, {"standard_error", error}};
}

inline std::string in_words(std::size_t count) { return text::grouped(count); }
inline std::string in_words(length_summary const& lengths) {
  return "mean " + text::fixed(lengths.mean, 1) + ", median " + text::grouped(lengths.median) +
         " (" + text::grouped(lengths.least) + " to " + text::grouped(lengths.most) + ")";
}
inline std::string in_words(std::optional<estimate> const& number) {
  if (!number) return "not known";
  std::string const share = text::percent(number->value);
  return std::isnan(number->standard_error) ? share
                                            : share + " ± " + text::percent(number->standard_error);
}

inline std::string spaced(std::string_view name) {
  std::string words(name);
  for (char& c : words) c = c == '_' ? ' ' : c;
  return words;
}

/// A text inside a cell of a Markdown table.
inline std::string cell(std::string_view words) {
  std::string out;
  for (char const c : words) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace detail

/// The report and what was found, for programs: {"unit", "splits": [{"name", "rows", ...}], "overlaps": [...],
/// "findings": [{"severity", "about", "split", "sentence"}]}, with the names of the fields of `split_audit`.
[[nodiscard]] inline nlohmann::ordered_json to_json(audit_report const& report) {
  nlohmann::ordered_json all = {{"unit", report.unit},
                                {"splits", nlohmann::ordered_json::array()},
                                {"overlaps", nlohmann::ordered_json::array()},
                                {"findings", nlohmann::ordered_json::array()}};
  for (split_audit const& split : report.splits) {
    nlohmann::ordered_json fields = {{"name", split.name}};
    split.describe(
        [&](char const* name, auto const& value) { fields[name] = detail::to_json(value); });
    all["splits"].push_back(std::move(fields));
  }
  for (split_overlap const& common : report.overlaps) {
    all["overlaps"].push_back({{"first", common.first},
                               {"second", common.second},
                               {"prompts", common.prompts},
                               {"rows", common.rows},
                               {"second_rows", common.second_rows}});
  }
  for (audit_finding const& found : findings_of(report)) {
    all["findings"].push_back({{"severity", to_string(found.severity)},
                               {"about", found.about},
                               {"split", found.split},
                               {"sentence", found.sentence}});
  }
  return all;
}

/// The numbers of a report in words: a line for the names of the splits, then one for each field of `split_audit`.
[[nodiscard]] inline std::vector<std::vector<std::string>> audit_table(audit_report const& report) {
  std::vector<std::vector<std::string>> lines = {{""}};
  for (split_audit const& split : report.splits) {
    lines[0].push_back(split.name);
    std::size_t line = 0;
    split.describe([&](char const* name, auto const& value) {
      if (++line == lines.size()) lines.push_back({detail::spaced(name)});
      lines[line].push_back(detail::in_words(value));
    });
  }
  return lines;
}

/// A data card: what the data are, as a Markdown page. `sources` are sentences on where they come from, in the order in
/// which they are to be read.
[[nodiscard]] inline std::string data_card(audit_report const& report, std::string_view title,
                                           std::vector<std::string> const& sources) {
  std::string page = "# " + std::string(title) + "\n\n";
  for (std::string const& source : sources) page += "- " + source + "\n";
  if (!sources.empty()) page += "\n";

  page += "## In numbers\n\nLengths are in " + report.unit + "; ± is one standard error.\n\n";
  bool header = true;
  for (std::vector<std::string> const& line : audit_table(report)) {
    page += "|";
    for (std::string const& words : line) page += " " + detail::cell(words) + " |";
    page += "\n";
    if (!std::exchange(header, false)) continue;
    page += "|";
    for (std::size_t i = 0; i < line.size(); ++i) page += "---|";
    page += "\n";
  }
  for (split_overlap const& common : report.overlaps) {
    page += "\n" + text::counted(common.prompts, "prompt") + " and " +
            text::counted(common.rows, "row") + " of \"" + common.second + "\" are in \"" +
            common.first + "\", too.\n";
  }

  page += "\n## To be known before training\n\n";
  std::vector<audit_finding> const found = findings_of(report);
  if (found.empty()) page += "Nothing was found.\n";
  for (audit_finding const& each : found) {
    page += "- **" + std::string(to_string(each.severity)) + "**, " + each.split + ": " +
            each.sentence + ".\n";
  }
  return page;
}

}  // namespace prefer::inline v0_1::data
