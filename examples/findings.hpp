// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <prefer/data/audit_findings.hpp>
#include <prefer/data/audit_rows.hpp>
#include <prefer/expects.hpp>

#include "program/voice.hpp"

// What has to be known before anything is learned from data, in the same words from every program.

namespace program {

/// Says what was found: a warning each on standard error; notes are for the program `audit`.
///
/// Errors  backend_error for the first finding with which a later number would mean nothing
inline void heed(std::vector<prefer::data::audit_finding> const& found) {
  using prefer::data::severity;
  for (auto const& each : found) {
    if (each.severity == severity::warning) warn(each.split + ": " + each.sentence);
  }
  auto const meaningless = std::find_if(found.begin(), found.end(), [](auto const& each) {
    return each.severity == severity::error;
  });
  if (meaningless != found.end()) {
    prefer::refuse(prefer::backend_error("data::audit", meaningless->split, meaningless->sentence));
  }
}

/// A split of the data under its name: rows that are kept, of any kind that prefer::data::add_row takes.
template <class Rows>
struct split_of_rows {
  char const* name;
  Rows const& rows;
};
template <class Rows>
split_of_rows(char const*, Rows const&) -> split_of_rows<Rows>;

/// Audits the splits together and heeds what is found, before the first of them is learned from.
///
///   program::heed_audit(data::in_tokens(tokenizer), split_of_rows{"train", pairs}, split_of_rows{"eval", held_out});
template <class Measure, class... Rows>
void heed_audit(Measure const& measure, split_of_rows<Rows> const&... splits) {
  prefer::data::audit all(Measure::unit);
  auto const add = [&](auto const& split) {
    std::size_t const number = all.add_split(split.name);
    for (auto const& row : split.rows) add_row(all, number, row, measure);
  };
  (add(splits), ...);
  heed(findings_of(all.report()));
}

}  // namespace program
