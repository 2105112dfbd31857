// SPDX-License-Identifier: MIT
#include "check_files.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "golden.hpp"

namespace golden {

namespace {

/// The cases of one loss of one file that were treated alike.
struct group {
  std::string family;
  std::string loss_type;
  std::string meaning;
  bool covered = false;
  std::size_t counts[statuses] = {};  // by status
  std::size_t numbers = 0;

  std::size_t& count(status status) { return counts[static_cast<std::size_t>(status)]; }
  void add(group const& other) {
    for (std::size_t s = 0; s < statuses; ++s) counts[s] += other.counts[s];
    numbers += other.numbers;
  }
};

void print_failures(golden_case const& row, outcome const& outcome) {
  constexpr std::size_t most = 5;  // of one case; the first says most
  using prefer::text::shortest;
  for (std::size_t i = 0; i < outcome.mismatches.size() && i < most; ++i) {
    auto const& one = outcome.mismatches[i];
    std::fprintf(stderr, "failed: %s (%s) %s%s: expected %s, got %s\n", row.id.c_str(),
                 outcome.meaning.c_str(), one.field.c_str(),
                 one.index.empty() ? "" : ("[" + one.index + "]").c_str(),
                 shortest(one.expected).c_str(), shortest(one.got).c_str());
  }
  if (outcome.mismatches.size() > most) {
    std::fprintf(stderr, "failed: %s: %zu more numbers\n", row.id.c_str(),
                 outcome.mismatches.size() - most);
  }
}

std::string count_or_dash(std::size_t count) { return count == 0 ? "-" : std::to_string(count); }

}  // namespace

check_report check_files(std::vector<std::string> const& paths, bool allow_uncovered) {
  std::vector<golden_file> files;
  for (auto const& path : paths) files.push_back(read(path));  // all, before anything is printed

  std::vector<group> groups;
  group total{"all", "", "", true};
  for (auto const& file : files) {
    std::string const family = file.content["family"];
    checker checker;
    for (auto const& row : cases_of(file)) {
      auto const outcome = checker.check(row);
      print_failures(row, outcome);
      bool const covered = outcome.status != status::not_covered;
      auto const same = [&](group const& g) {
        return g.family == family && g.loss_type == row.loss_type && g.covered == covered &&
               g.meaning == outcome.meaning;
      };
      auto found = std::find_if(groups.begin(), groups.end(), same);
      if (found == groups.end()) {
        groups.push_back({family, row.loss_type, outcome.meaning, covered});
        found = groups.end() - 1;
      }
      ++found->count(outcome.status);
      found->numbers += covered ? outcome.numbers : 0;
    }
  }
  auto const is_covered = [](group const& g) { return g.covered; };
  std::stable_partition(groups.begin(), groups.end(), is_covered);
  for (auto const& g : groups) total.add(g);

  check_report out;
  auto const add = [&](group& g, std::string here) {
    out.rows.push_back({.file = g.family,
                        .loss = g.loss_type,
                        .here = std::move(here),
                        .covered = g.covered,
                        .passed = g.count(status::passed),
                        .failed = g.count(status::failed),
                        .not_covered = g.count(status::not_covered),
                        .not_finite = g.count(status::not_finite),
                        .cut_off = g.count(status::saturated),
                        .numbers = g.numbers});
  };
  for (auto& g : groups) add(g, g.meaning);
  add(total, "");

  std::size_t const failed = total.count(status::failed);
  std::size_t const uncovered = total.count(status::not_covered);
  auto const say = [](std::size_t cases, char const* what) {
    if (cases != 0) std::fprintf(stderr, "%zu case%s %s\n", cases, cases == 1 ? "" : "s", what);
  };
  say(total.count(status::not_finite),
      "with values that are not finite: the others agree, and none here is NaN");
  say(total.count(status::saturated),
      "in which the old trainer cut an exponential at exp(709.7827): the other pairs agree");
  say(uncovered, allow_uncovered
                     ? "not covered by a loss of this version"
                     : "not covered by a loss of this version; --allow-uncovered accepts that");
  say(failed, "failed");
  out.good = failed == 0 && (allow_uncovered || uncovered == 0);
  return out;
}

std::string check_report::text() const {
  constexpr auto right = prefer::report::align::right;
  prefer::report::table table({{"file"},
                               {"loss"},
                               {"here"},
                               {.header = "passed", .align = right},
                               {.header = "failed", .align = right},
                               {.header = "not covered", .align = right},
                               {.header = "not finite", .align = right},
                               {.header = "cut off", .align = right},
                               {.header = "numbers", .align = right}});
  for (auto const& row : rows) {
    table.add_row({row.file, row.loss, row.covered ? row.here : "(" + row.here + ")",
                   count_or_dash(row.passed), count_or_dash(row.failed),
                   count_or_dash(row.not_covered), count_or_dash(row.not_finite),
                   count_or_dash(row.cut_off), count_or_dash(row.numbers)});
  }
  return table.text();
}

}  // namespace golden
