// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <prefer/data/audit.hpp>
#include <prefer/data/audit_card.hpp>
#include <prefer/data/audit_findings.hpp>

using namespace prefer::data;

namespace {

struct row {
  std::string prompt;
  std::string chosen;
  std::string rejected;
  std::string annotator = {};
};

judgement seen(row const& one) {
  return {one.prompt,        one.chosen,          one.rejected, one.prompt.size(),
          one.chosen.size(), one.rejected.size(), one.annotator};
}

split_audit audit_of(std::vector<row> const& rows) {
  audit all("characters");
  std::size_t const split = all.add_split("train");
  for (row const& one : rows) all.add(split, seen(one));
  return all.report().splits.at(0);
}

std::vector<std::string> names_of(audit_report const& report, severity how) {
  std::vector<std::string> names;
  for (audit_finding const& found : findings_of(report)) {
    if (found.severity == how) names.push_back(found.about);
  }
  return names;
}

}  // namespace

TEST_CASE("data::audit: rows, prompts, completions and lengths are counted", "[data][audit]") {
  split_audit const found =
      audit_of({{"p", "four", "x"}, {"p", "four", "yy"}, {"longer", "a", "sixsix"}});
  CHECK(found.rows == 3);
  CHECK(found.prompts == 2);
  CHECK(found.completions == 5);  // of p: four, x, yy
  CHECK(found.chosen_length.mean == 3.0);
  CHECK(found.chosen_length.least == 1);
  CHECK(found.chosen_length.median == 4);
  CHECK(found.chosen_length.most == 4);
  CHECK(found.rejected_length.mean == 3.0);
  CHECK(found.prompt_length.mean == Approx(8.0 / 3));
  CHECK(found.duplicates == 0);
  CHECK(found.contradictions == 0);
  CHECK(found.annotators == 0);
  CHECK(found.rows_without_annotator == 3);
}

TEST_CASE("data::audit: a longer chosen completion counts 1, an equal one 1/2", "[data][audit]") {
  split_audit const found =
      audit_of({{"p", "long", "s"}, {"q", "ab", "cd"}, {"r", "s", "long"}, {"s", "long", "s"}});
  REQUIRE(found.chosen_longer);
  CHECK(found.chosen_longer->value == 2.5 / 4);
  // The variance of 1, 1/2, 0, 1 is 0.171875.
  CHECK(found.chosen_longer->standard_error == Approx(std::sqrt(0.171875 / 4)));
}

TEST_CASE("data::audit: duplicates are rows that an earlier row has, under its own prompt",
          "[data][audit]") {
  CHECK(audit_of({{"p", "a", "b"}, {"p", "a", "b"}, {"p", "a", "b"}}).duplicates == 2);
  CHECK(audit_of({{"p", "a", "b"}, {"q", "a", "b"}}).duplicates == 0);
  CHECK(audit_of({{"p", "a", "b"}, {"p", "b", "a"}}).duplicates == 0);
  // The same words with another border between prompt and completion are other rows.
  CHECK(audit_of({{"pa", "b", "c"}, {"p", "ab", "c"}}).duplicates == 0);
}

TEST_CASE("data::audit: a pair judged both ways is one contradiction, the minority is outvoted",
          "[data][audit]") {
  split_audit const found =
      audit_of({{"p", "a", "b"}, {"p", "b", "a"}, {"p", "a", "b"}, {"q", "b", "a"}});
  CHECK(found.contradictions == 1);
  CHECK(found.outvoted == 1);
  CHECK(found.both_sides == 2);           // a and b under p
  CHECK(found.both_sides_anywhere == 2);  // and nothing more under q
}

TEST_CASE("data::audit: circles are found among majorities of one prompt, of any length",
          "[data][audit]") {
  CHECK(audit_of({{"p", "a", "b"}, {"p", "b", "c"}, {"p", "c", "a"}}).cyclic_prompts == 1);
  CHECK(audit_of({{"p", "a", "b"}, {"p", "b", "c"}, {"p", "a", "c"}}).cyclic_prompts == 0);
  CHECK(audit_of({{"p", "a", "b"}, {"p", "b", "c"}, {"q", "c", "a"}}).cyclic_prompts == 0);
  // Two judgements against one turn c over a around; a tie of votes takes it out.
  CHECK(audit_of(
            {{"p", "a", "b"}, {"p", "b", "c"}, {"p", "c", "a"}, {"p", "a", "c"}, {"p", "a", "c"}})
            .cyclic_prompts == 0);
  CHECK(audit_of({{"p", "a", "b"}, {"p", "b", "c"}, {"p", "c", "a"}, {"p", "a", "c"}})
            .cyclic_prompts == 0);
  std::vector<row> ring;
  for (int i = 0; i < 50'000; ++i) ring.push_back({"", std::to_string(i), std::to_string(i + 1)});
  CHECK(audit_of(ring).cyclic_prompts == 0);
  ring.push_back({"", "50000", "0"});
  CHECK(audit_of(ring).cyclic_prompts == 1);
}

TEST_CASE("data::audit: counts agree with a plain search on random judgements", "[data][audit]") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<row> rows;
    std::size_t const count = 1 + random() % 30;
    while (rows.size() < count) {
      row one{std::to_string(random() % 3), std::to_string(random() % 4),
              std::to_string(random() % 4)};
      if (one.chosen != one.rejected) rows.push_back(one);
    }
    std::size_t duplicates = 0;
    std::vector<std::tuple<std::string, std::string, std::string>> contradicted;
    std::vector<std::pair<std::string, std::string>> both;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto const before = rows.begin() + static_cast<std::ptrdiff_t>(i);
      auto const& one = rows[i];
      duplicates += std::any_of(rows.begin(), before, [&](row const& other) {
        return other.prompt == one.prompt && other.chosen == one.chosen &&
               other.rejected == one.rejected;
      });
      for (row const& other : rows) {
        if (other.prompt != one.prompt) continue;
        if (other.chosen == one.rejected) both.emplace_back(one.prompt, other.chosen);
        if (other.chosen == one.rejected && other.rejected == one.chosen &&
            one.chosen < one.rejected)
          contradicted.emplace_back(one.prompt, one.chosen, one.rejected);
      }
    }
    auto const different = [](auto values) {
      std::sort(values.begin(), values.end());
      return static_cast<std::size_t>(std::unique(values.begin(), values.end()) - values.begin());
    };
    split_audit const found = audit_of(rows);
    CHECK(found.duplicates == duplicates);
    CHECK(found.contradictions == different(contradicted));
    CHECK(found.both_sides == different(both));
  }
}

TEST_CASE("data::audit: label noise is found again that was put in", "[data][audit]") {
  constexpr double noise = 0.2;
  std::mt19937 random(3);
  std::bernoulli_distribution wrong(noise);
  std::vector<row> rows;
  for (int pair = 0; pair < 4000; ++pair) {
    for (std::string const annotator : {"x", "y", "z"}) {
      row one{std::to_string(pair), "good", "bad", annotator};
      if (wrong(random)) std::swap(one.chosen, one.rejected);
      rows.push_back(one);
    }
  }
  split_audit const found = audit_of(rows);
  REQUIRE(found.label_noise);
  CHECK(found.pairs_judged_again == 4000);
  // d = 0.32; over three judgements the number that disagree is 0 or 2, 2 with probability 0.48: the variance of d is
  // (4 * 0.48 * 0.52 / 9) / 4000, and de/dd = 1 / (2 sqrt(1 - 2d)) = 5/6.
  double const expected_error = 5.0 / 6 * std::sqrt(4 * 0.48 * 0.52 / 9 / 4000);
  CHECK(found.label_noise->standard_error == Approx(expected_error).epsilon(0.05));
  CHECK(std::abs(found.label_noise->value - noise) < 4 * expected_error);
}

TEST_CASE("data::audit: whoever judges the same again does not agree with somebody else",
          "[data][audit]") {
  CHECK_FALSE(audit_of({{"p", "a", "b", "x"}, {"p", "a", "b", "x"}}).label_noise);
  auto const two = audit_of({{"p", "a", "b", "x"}, {"p", "a", "b", "y"}});
  REQUIRE(two.label_noise);
  CHECK(two.label_noise->value == 0.0);
  // As often against as for: nothing is known, and no error is either.
  auto const against = audit_of({{"p", "a", "b", "x"}, {"p", "b", "a", "y"}});
  REQUIRE(against.label_noise);
  CHECK(against.label_noise->value == 0.5);
}

TEST_CASE("data::audit: annotators are counted, and the busiest one's rows", "[data][audit]") {
  split_audit const found =
      audit_of({{"p", "a", "b", "x"}, {"q", "a", "b", "x"}, {"r", "a", "b", "y"}, {"s", "a", "b"}});
  CHECK(found.annotators == 2);
  CHECK(found.rows_of_busiest_annotator == 2);
  CHECK(found.rows_without_annotator == 1);
}

TEST_CASE("data::audit: ties are counted beside the rows", "[data][audit]") {
  audit all("characters");
  std::size_t const split = all.add_split("train");
  all.add(split, seen({"p", "a", "b"}));
  all.add_ties(split, 2);
  CHECK(all.report().splits.at(0).rows == 1);
  CHECK(all.report().splits.at(0).ties == 2);
  CHECK(names_of(all.report(), severity::note) == std::vector<std::string>{"ties"});
}

TEST_CASE("data::audit: labels that contradict, repeat or stand on both sides are found",
          "[data][audit]") {
  audit all("tokens");
  std::size_t const split = all.add_split("train");
  all.add(split, label{"p", "a", true, 1, 10});
  all.add(split, label{"p", "a", false, 1, 10});
  all.add(split, label{"p", "b", false, 1, 30});
  all.add(split, label{"p", "b", false, 1, 30});
  split_audit const found = all.report().splits.at(0);
  CHECK(found.labels == 4);
  CHECK(found.completions == 2);
  CHECK(found.duplicates == 1);
  CHECK(found.contradictions == 1);
  CHECK(found.outvoted == 1);
  CHECK(found.both_sides == 1);
  CHECK(found.chosen_length.mean == 10.0);
  CHECK(found.rejected_length.mean == Approx(70.0 / 3));
  CHECK_FALSE(found.chosen_longer);
}

TEST_CASE("data::audit: splits share prompts and pairs, either way round", "[data][audit]") {
  audit all("characters");
  std::size_t const train = all.add_split("train");
  std::size_t const eval = all.add_split("eval");
  for (row const& one : std::vector<row>{{"p", "a", "b"}, {"q", "a", "b"}, {"r", "a", "b"}})
    all.add(train, seen(one));
  for (row const& one :
       std::vector<row>{{"p", "b", "a"}, {"p", "b", "a"}, {"q", "a", "c"}, {"new", "a", "b"}})
    all.add(eval, seen(one));
  audit_report const report = all.report();
  REQUIRE(report.overlaps.size() == 1);
  CHECK(report.overlaps[0].prompts == 2);  // p and q
  CHECK(report.overlaps[0].rows == 2);     // p, twice
  CHECK(report.overlaps[0].second_rows == 4);
  CHECK_THROWS_AS(all.add_split("train"), prefer::precondition_error);
  CHECK_THROWS_AS(all.add(2, seen({"p", "a", "b"})), prefer::precondition_error);
}

TEST_CASE("data::findings_of: nothing is said of sound data, each fault is said by name",
          "[data][audit]") {
  auto const report_of = [](std::vector<row> const& rows, std::vector<row> const& held_out) {
    audit all("characters");
    std::size_t const train = all.add_split("train");
    for (row const& one : rows) all.add(train, seen(one));
    if (!held_out.empty()) {
      std::size_t const eval = all.add_split("eval");
      for (row const& one : held_out) all.add(eval, seen(one));
    }
    return all.report();
  };
  using names = std::vector<std::string>;
  std::vector<row> const sound = {{"p", "a", "b", "x"}, {"q", "c", "d", "y"}};
  CHECK(findings_of(report_of(sound, {{"r", "e", "f"}})).empty());
  CHECK(names_of(report_of({}, {}), severity::error) == names{"empty"});
  CHECK(names_of(report_of({{"p", "a", "b"}, {"p", "a", "b"}}, {}), severity::warning) ==
        names{"duplicates"});
  CHECK(names_of(report_of({{"p", "a", "b"}, {"p", "b", "c"}, {"p", "c", "a"}}, {}),
                 severity::warning) == names{"cycles"});
  CHECK(names_of(report_of(sound, {{"p", "b", "a"}}), severity::error) == names{"overlap"});
  CHECK(names_of(report_of(sound, {{"p", "b", "a"}, {"r", "a", "b"}}), severity::warning) ==
        names{"overlap"});
  CHECK(names_of(report_of(sound, {{"p", "a", "c"}}), severity::note) == names{"overlap"});
  CHECK(names_of(report_of({{"p", "a", "b", "x"},
                            {"q", "a", "b", "x"},
                            {"r", "a", "b", "x"},
                            {"s", "a", "b", "y"},
                            {"t", "a", "b", "z"}},
                           {}),
                 severity::warning) == names{"annotators"});
  CHECK(names_of(report_of({{"p", "a", "b"}, {"p", "b", "a"}}, {}), severity::note) ==
        names{"label_noise", "both_sides"});
  std::vector<row> noisy;
  for (int i = 0; i < 60; ++i) {
    noisy.push_back({std::to_string(i), "a", "b", "x"});
    noisy.push_back({std::to_string(i), i % 3 == 0 ? "b" : "a", i % 3 == 0 ? "a" : "b", "y"});
  }
  CHECK(names_of(report_of(noisy, {}), severity::warning) ==
        names{"duplicates", "contradictions", "label_noise"});
  std::vector<row> long_ones;
  for (int i = 0; i < 100; ++i) long_ones.push_back({std::to_string(i), "long", "s"});
  CHECK(names_of(report_of(long_ones, {}), severity::warning) == names{"length_bias"});
  CHECK(names_of(report_of({{"p", "a", "b"}, {"p", "b", "a"}}, {}), severity::warning) ==
        names{"contradictions"});
}

TEST_CASE("data::findings_of: a sentence has the numbers that it is about", "[data][audit]") {
  audit all("characters");
  std::size_t const split = all.add_split("train");
  for (row const& one :
       std::vector<row>{{"p", "a", "b"}, {"p", "b", "a"}, {"p", "a", "b"}, {"q", "a", "b"}})
    all.add(split, seen(one));
  auto const found = findings_of(all.report());
  auto const contradiction = std::find_if(
      found.begin(), found.end(), [](auto const& one) { return one.about == "contradictions"; });
  REQUIRE(contradiction != found.end());
  CHECK(contradiction->sentence ==
        "1 pair of completions is preferred both ways: nothing that is learned can be right about "
        "more "
        "than 75.0 % of the rows");
}

TEST_CASE("data::to_json, data::data_card: every number of a report is in both", "[data][audit]") {
  audit all("characters");
  std::size_t const train = all.add_split("train");
  std::size_t const eval = all.add_split("held | out");
  all.add(train, seen({"p", "four", "x", "me"}));
  all.add(train, seen({"p", "x", "four", "you"}));
  all.add(eval, seen({"p", "x", "y"}));
  audit_report const report = all.report();

  auto const json = to_json(report);
  auto const& split = json.at("splits").at(0);
  std::size_t fields = 0;
  report.splits[0].describe([&](char const* name, auto const&) {
    ++fields;
    CHECK(split.contains(name));
  });
  CHECK(split.size() == fields + 1);  // and the name
  CHECK(split.at("rows") == 2);
  CHECK(split.at("contradictions") == 1);
  CHECK(split.at("chosen_length").at("mean") == 2.5);
  CHECK(split.at("chosen_longer").at("value") == 0.5);
  CHECK(split.at("label_noise").at("value") == 0.5);
  CHECK(split.at("label_noise").at("standard_error").is_null());
  CHECK(json.at("splits").at(1).at("label_noise").is_null());
  CHECK(json.at("overlaps").at(0).at("prompts") == 1);
  CHECK(json.at("findings").size() == findings_of(report).size());

  std::string const card = data_card(report, "Of two rows", {"made up for this test"});
  CHECK(card.find("# Of two rows\n\n- made up for this test\n") == 0);
  CHECK(card.find("|  | train | held \\| out |\n") != std::string::npos);
  CHECK(card.find("| rows | 2 | 1 |\n") != std::string::npos);
  CHECK(card.find(
            "| chosen length | mean 2.5, median 1 (1 to 4) | mean 1.0, median 1 (1 to 1) |\n") !=
        std::string::npos);
  CHECK(card.find("| label noise | 50.0 % | not known |\n") != std::string::npos);
  for (audit_finding const& found : findings_of(report))
    CHECK(card.find(found.sentence) != std::string::npos);
}
