// SPDX-License-Identifier: MIT
//
// What the program `losses` takes for a row: names of columns, fields that it does not read, rows that are bad.
#include <string>

#include <catch2/catch.hpp>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;

struct workplace : prefer::test::workplace {
  workplace() : prefer::test::workplace("losses", PREFER_EXAMPLE_LOSSES) {}
  /// Writes a file and gives its name, for an argument.
  [[nodiscard]] std::string write(std::string const& name, std::string const& content) const {
    file(name, content);
    return name;
  }
};

constexpr char const* of_trl =
    R"({"chosen_logps": -12, "rejected_logps": -15, "ref_chosen_logps": -13, "ref_rejected_logps": -14})"
    "\n";
constexpr char const* pair =
    R"({"policy_chosen": -12, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14})"
    "\n";

}  // namespace

TEST_CASE("losses: TRL's names of columns are read, and said", "[examples][losses]") {
  workplace const place;
  auto const ours = place.run("--loss dpo " + place.write("ours.jsonl", pair));
  auto const theirs = place.run("--loss dpo " + place.write("theirs.jsonl", of_trl));
  CHECK(theirs.code == 0);
  CHECK(theirs.out == ours.out);
  CHECK_THAT(theirs.err, Contains("chosen_logps is read as policy_chosen"));
}

TEST_CASE("losses: --columns gives a field its name", "[examples][losses]") {
  workplace const place;
  std::string const file = place.write(
      "named.jsonl", R"([{"a": -12, "b": -15, "ref_chosen": -13, "ref_rejected": -14}])");
  auto const run = place.run("--loss dpo --columns policy_chosen=a,policy_rejected=b " + file);
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("0.598138"));
  auto const missing =
      place.run("--loss dpo --columns policy_chosen=x " + place.write("p.jsonl", pair));
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, Contains("no row has a field \"x\""));
}

TEST_CASE("losses: fields that are not read are named once, with their rows",
          "[examples][losses]") {
  workplace const place;
  std::string const row =
      R"({"policy_chosen": -12, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14, "id": 1, "score_chosen": 2, "score_rejected": 1})"
      "\n";
  auto const run = place.run("--loss dpo " + place.write("rows.jsonl", row + row));
  CHECK(run.code == 0);
  CHECK_THAT(run.err,
             Contains("fields that dpo does not read: \"id\" in 2 rows (first in line 1)\n") &&
                 Contains("warning: rows have a judge's score that is not used here: 2 rows"));
}

TEST_CASE("losses: bad rows are skipped and counted, as long as they are few",
          "[examples][losses]") {
  workplace const place;
  std::string const file =
      place.write("bad.jsonl", std::string(pair) + "{\"policy_chosen\": \"x\"}\n" + pair);
  for (std::string const reduction : {"none", "mean"}) {
    auto const run =
        place.run("--loss dpo --bad-rows skip --max-bad 0.5 --reduction " + reduction + " " + file);
    CHECK(run.code == 0);
    CHECK_THAT(run.err, Contains("skipped, ") && Contains("2 rows, mean loss 0.598139"));
  }
  auto const many = place.run("--loss dpo --bad-rows skip " + file);
  CHECK(many.code == 1);
  CHECK_THAT(many.err, Contains("1 of 3 rows are bad"));
}
