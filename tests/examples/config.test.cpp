// SPDX-License-Identifier: MIT
//
// Flags in a file: --config, of every program.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

std::string const rows =
    "{\"prompt\":\"a\",\"chosen\":\"longer answer\",\"rejected\":\"no\"}\n"
    "{\"prompt\":\"b\",\"chosen\":\"yes\",\"rejected\":\"something else\"}\n";

}  // namespace

TEST_CASE("config: flags in a file are flags, and those that are given go before them",
          "[examples][config]") {
  workplace const place("audit", PREFER_EXAMPLE_AUDIT);
  place.file("rows.jsonl", rows);
  place.file("all.json", R"({"data": ["one=rows.jsonl"], "json": true, "strict": false})");
  auto const from_file = nlohmann::json::parse(place.run("--config all.json").out);
  CHECK(from_file["splits"][0]["name"] == "one");
  CHECK(from_file["options"]["data"] == "one=rows.jsonl");
  CHECK(from_file["options"]["strict"] == false);
  CHECK(from_file["options"]["ties"] == "drop");
  auto const given =
      nlohmann::json::parse(place.run("--config all.json --data two=rows.jsonl").out);
  CHECK(given["splits"].size() == 1);
  CHECK(given["splits"][0]["name"] == "two");
  // What a document says of its options is a file of them.
  place.file("again.json", from_file["options"].dump());
  CHECK(nlohmann::json::parse(place.run("--config again.json").out) == from_file);
}

TEST_CASE("config: names with values are an object, and a list is as on the command line",
          "[examples][config]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  place.file("set.json",
             R"({"loss": "dpo", "set": {"beta": 0.5}, "plot": "a.svg", "margins": [-1, 2]})");
  CHECK(place.run("--config set.json --quiet").code == 0);
  CHECK(place.run("--loss dpo --set beta=0.5 --plot b.svg --margins -1 2 --quiet").code == 0);
  CHECK(place.content("a.svg") == place.content("b.svg"));
  place.file("bad.json", R"({"loss": "dpo", "bad_rows": "skip"})");
  CHECK_THAT(
      place.run("--config bad.json").err,
      StartsWith("losses: bad.json: there is no flag \"bad_rows\"; did you mean \"bad-rows\"?"));
}

TEST_CASE("config: a file that cannot be is refused in a sentence with its name",
          "[examples][config]") {
  workplace const place("audit", PREFER_EXAMPLE_AUDIT);
  place.file("rows.jsonl", rows);
  auto const refused = [&](std::string const& text, std::string const& sentence) {
    place.file("bad.json", text);
    INFO(text);
    auto const run = place.run("--data rows.jsonl --config bad.json");
    CHECK(run.code == 2);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, StartsWith("audit: bad.json: ") && Contains(sentence));
  };
  refused("{", "is no JSON");
  refused("[]", "is no object; expected flags");
  refused("{\"strikt\": true}", "there is no flag \"strikt\"; did you mean \"strict\"?");
  refused("{\"config\": \"x\"}", "there is no flag \"config\"");
  refused("{\"zzz\": 1}", "there is no flag \"zzz\"; expected names of flags without their dashes");
  refused("{\"strict\": \"yes\"}", "\"strict\": expected true or false");
  refused("{\"ties\": null}", "\"ties\": expected a number");
  refused("{\"ties\": []}", "\"ties\": found nothing");
  refused("{\"ties\": \"keep\", \"ties\": \"half\"}", "\"ties\" is there twice");
  refused("{\"ties\": 7}", "--ties: ");
  auto const missing = place.run("--data rows.jsonl --config none.json");
  CHECK(missing.code == 2);
  CHECK(missing.err ==
        "audit: --config: none.json: cannot read this file; --help shows examples\n");
}
