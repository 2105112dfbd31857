// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <reference_study/runs.hpp>
#include <string>

#include "workplace.hpp"

namespace {

using namespace prefer::test;

std::string number(char const* name, double mean, double error) {
  return std::string("\"") + name + R"(":{"count":8,"mean":)" + std::to_string(mean) +
         R"(,"standard_error":)" + std::to_string(error) + "}";
}

/// What sample says of a policy.
std::string sampled(double score, double error) {
  return "{\"tuned\":{" + number("score", score, error) + "," + number("kl", 2, 0.5) + "," +
         number("tokens", 30, 1) + "," + number("ended", 0.9, 0.1) + "}}";
}

std::string const tuned = "{\"held_out\":{\"after\":{" + number("accuracy", 0.75, 0.1) + "," +
                          number("reward_chosen", -1, 0.2) + "}}}";

std::string const scored = "{\"summary\":{" + number("accuracy", 0.625, 0.1) + "," +
                           number("reward_chosen", -2, 0.2) + "}}";

void add_run(workplace const& at, std::string const& place, double score, double error) {
  at.file("runs/" + place + "/summary.json", tuned);
  at.file("runs/" + place + "/scored.json", scored);
  at.file("runs/" + place + "/sampled.json", sampled(score, error));
}

}  // namespace

TEST_CASE("reference_study: seeds of a setting become their mean, betas stand by size",
          "[examples][reference_study]") {
  workplace const at("reference_study", PREFER_EXAMPLE_REFERENCE_STUDY);
  at.file("runs/start.json", sampled(0.125, 0.0625));
  add_run(at, "start/beta-1/seed-1", 0.25, 0.3);
  add_run(at, "start/beta-0.1/seed-1", 1.0, 0.3);
  add_run(at, "start/beta-0.1/seed-2", 2.0, 0.4);
  at.file("runs/start/beta-0.1/seed-3/summary.json", tuned);

  auto const found = reference_study::read_runs(at.path("runs"), {"start"});
  REQUIRE(found.runs.size() == 3);
  CHECK(found.unfinished == std::vector{at.path("runs/start/beta-0.1/seed-3")});
  CHECK(found.start_score.mean == 0.125);

  auto const settings = reference_study::settings_of(found.runs);
  REQUIRE(settings.size() == 2);
  CHECK(settings[0].beta == 0.1);
  CHECK(settings[0].score.mean == 1.5);
  CHECK(settings[0].score.standard_error == Approx(0.25));  // sqrt(0.3^2 + 0.4^2) / 2
  CHECK(settings[0].score.count == 16);
  CHECK(settings[0].accuracy.mean == 0.75);
  CHECK(settings[0].accuracy_from_start.mean == 0.625);
  CHECK(settings[0].chosen_from_start.mean == -2.0);
  CHECK(settings[1].beta == 1.0);
  CHECK(settings[1].score.mean == 0.25);

  auto const run = at.run("runs --references start --output out");
  CHECK(run.code == 0);
  CHECK_THAT(run.err, Catch::Matchers::Contains("seed-3 is not finished"));
  CHECK_THAT(run.out, Catch::Matchers::Contains("1.500 ± 0.250"));
  CHECK(at.content("out/reference.csv").starts_with("reference,beta,seed,score,"));
  CHECK(at.content("out/reference_beta.svg").starts_with("<?xml"));
  CHECK(at.content("out/reference_frontier.svg").starts_with("<?xml"));
}

TEST_CASE("reference_study: what is not a study is refused with its place",
          "[examples][reference_study]") {
  workplace const at("reference_study", PREFER_EXAMPLE_REFERENCE_STUDY);
  auto const refused = [&](std::string const& piece) {
    check_refusal(at.run("runs --references start --output out"), "reference_study", piece);
  };
  refused("start.json: cannot be opened");
  at.file("runs/start.json", sampled(0, 0.1));
  refused("runs/start: no such folder");
  at.file("runs/start/beta-one/seed-1/summary.json", tuned);
  refused("expected a folder named beta-NUMBER");
  std::filesystem::remove_all(at / "runs/start/beta-one");
  refused("no finished run is here");
  add_run(at, "start/beta-1/seed-1", 1, 0.1);
  at.file("runs/start/beta-1/seed-1/summary.json", "{");
  refused("summary.json: is not JSON");
  at.file("runs/start/beta-1/seed-1/summary.json", "{}");
  refused("has no mean, standard_error and count at /held_out/after/accuracy");
}
