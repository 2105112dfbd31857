// SPDX-License-Identifier: MIT
//
// What the programs give to machines: JSON, completions of a shell, manual pages.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;
using nlohmann::json;

constexpr char const* pairs =
    R"({"policy_chosen": -12, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14}
{"policy_chosen": -1, "policy_rejected": -1e300, "ref_chosen": -1, "ref_rejected": -1}
)";

/// The one document on standard output.
json document_of(outcome const& run, std::string const& program) {
  INFO(run.out);
  REQUIRE(run.code == 0);
  REQUIRE(run.lines() == 1);
  auto const out = json::parse(run.out);
  CHECK(out.at("program") == program);
  CHECK(out.at("version").is_string());
  return out;
}

/// Numbers of a row as the CSV file has them: the shortest text that reads back as the same value.
double csv_number(csv_row const& row, std::string const& name) {
  return std::strtod(row.at(name).c_str(), nullptr);
}

/// What bash would offer for a command line that ends in its last word.
std::set<std::string> completed(workplace const& place, std::string const& program,
                                std::vector<std::string> const& words) {
  std::string line = "source '" PREFER_PROGRAM_PAGES "/completions/" + program + "'\nCOMP_WORDS=(";
  for (auto const& word : words) line += "'" + word + "' ";
  line += ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) + "\n_prefer_" + program +
          "\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
  place.file("complete.bash", line);
  CHECK(place.shell("bash complete.bash >completed 2>completed.err") == 0);
  CHECK(place.content("completed.err").empty());
  std::istringstream text(place.content("completed"));
  std::set<std::string> out;
  for (std::string word; std::getline(text, word);) {
    if (!word.empty()) out.insert(word);
  }
  return out;
}

}  // namespace

TEST_CASE("losses: --json ends the rows with their summary", "[examples][machines]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  auto const run = place.run("--loss ipo_sum --json", pairs);
  REQUIRE(run.code == 0);
  CHECK(run.err.empty());
  REQUIRE(run.lines() == 3);
  std::istringstream text(run.out);
  std::vector<json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  CHECK(lines[1].at("loss") == "inf");
  auto const& summary = lines[2].at("summary");
  CHECK(summary.at("rows") == 2);
  CHECK(summary.at("mean_loss") == "inf");
  CHECK(summary.at("accuracy") == 1.0);
  place.file("in.jsonl", pairs);
  auto const to_file = place.run("--loss dpo --json --output out.jsonl in.jsonl");
  CHECK(to_file.lines() == 1);
  CHECK(json::parse(to_file.out).contains("summary"));
  CHECK(place.run("--loss dpo --quiet in.jsonl").err.empty());
}

TEST_CASE("losses: --json lists every loss, and what a check found", "[examples][machines]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  auto const list = document_of(place.run("--list --json"), "losses");
  auto const& losses = list.at("losses");
  CHECK(losses.size() >= 67);
  auto const dpo = std::find_if(losses.begin(), losses.end(),
                                [](json const& l) { return l.at("loss") == "dpo"; });
  REQUIRE(dpo != losses.end());
  CHECK(dpo->at("hyper_parameters") == json{{"beta", 0.1}, {"label_smoothing", 0.0}});
  CHECK(dpo->at("over") == "pairs");
  auto const check =
      document_of(place.run("--check '" PREFER_GOLDEN_DIR "'/dpo.json --json"), "losses");
  CHECK(check.at("good") == true);
  CHECK(check.at("rows").back().at("failed") == 0);
  CHECK(check.at("rows").back().at("numbers").get<int>() > 100);
}

TEST_CASE("recommend, sweep, diffusion: --json has the numbers of the CSV file, and nothing beside",
          "[examples][machines]") {
  workplace const recommend("recommend", PREFER_EXAMPLE_RECOMMEND);
  recommend.file("ratings.inter", tiny_ratings());
  auto const study = document_of(
      recommend.run("--ratings ratings.inter --beta 0.1 1 --factors 2 --start-epochs 2 --epochs 1 "
                    "--pairs 3 --seeds 2 --output out --json --quiet"),
      "recommend");
  auto const rows = rows_of(recommend.content("out/recommend.csv"));
  REQUIRE(study.at("rows").size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (char const* name :
         {"pair_accuracy", "ndcg_at_10", "reward_margin", "kl_start", "seconds"}) {
      CHECK(study["rows"][i].at(name) == csv_number(rows[i], name));
    }
  }
  CHECK(study.at("data").at("people") == 12);
  auto const& first = study.at("summary").at(0);
  CHECK(first.at("loss") == "start");
  CHECK(first.at("seeds") == 2);
  std::size_t const again = rows.size() / 2;
  CHECK(first.at("ndcg_at_10").at("mean").get<double>() ==
        Approx((csv_number(rows[0], "ndcg_at_10") + csv_number(rows[again], "ndcg_at_10")) / 2)
            .epsilon(1e-14));

  workplace const sweep("sweep", PREFER_EXAMPLE_SWEEP);
  auto const swept = document_of(
      sweep.run("--loss dpo,hinge --beta 0.5,1 --reference start --seeds 1 --steps 3 --actions 6 "
                "--pairs 20 --output out --json --quiet"),
      "sweep");
  auto const runs = rows_of(sweep.content("out/sweep.csv"));
  REQUIRE(swept.at("averages").size() == runs.size());  // one seed: the mean is the run
  for (std::size_t i = 0; i < runs.size(); ++i) {
    CHECK(swept["averages"][i].at("loss") == runs[i].at("loss"));
    CHECK(swept["averages"][i].at("reward").at("mean") == csv_number(runs[i], "reward"));
    CHECK(swept["averages"][i].at("kl_start").at("mean") == csv_number(runs[i], "kl_start"));
  }
  CHECK(swept.at("best").size() == 2);
  CHECK(swept["best"][0].at("paired_difference").at("mean") == 0.0);

  workplace const diffusion("diffusion", PREFER_EXAMPLE_DIFFUSION);
  auto const ring = document_of(
      diffusion.run(
          "--modes 2 --preferred 0 --points 16 --hidden 2 --noise-levels 2 --batch-size 4 "
          "--start-steps 3 --steps 2 --samples 9 --beta 1 --output out --json --quiet"),
      "diffusion");
  auto const models = rows_of(diffusion.content("out/diffusion.csv"));
  REQUIRE(ring.at("rows").size() == models.size());
  CHECK(ring["rows"][0].at("beta").is_null());
  for (std::size_t i = 0; i < models.size(); ++i) {
    CHECK(ring["rows"][i].at("preferred") == csv_number(models[i], "preferred"));
    CHECK(ring["rows"][i].at("kl_start") == csv_number(models[i], "kl_start"));
  }
}

TEST_CASE("programs: bash completes flags, words, losses and folders", "[examples][machines]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  std::filesystem::create_directories(place / "sub folder");
  place.file("some file", "");
  using words = std::set<std::string>;
  CHECK(completed(place, "losses", {"losses", "--red"}) == words{"--reduction"});
  CHECK(completed(place, "losses", {"losses", "--reduction", ""}) == words{"none", "mean"});
  CHECK(completed(place, "losses", {"losses", "--reduction", "=", "m"}) == words{"mean"});
  CHECK(completed(place, "losses", {"losses", "--loss", "tdpo"}) == words{"tdpo1", "tdpo2"});
  CHECK(completed(place, "losses", {"losses", "--loss", "dpo", "some"}).size() == 1);
  CHECK(completed(place, "losses", {"losses", "--allow-uncovered", "--che"}) == words{"--check"});
  CHECK(completed(place, "sweep", {"sweep", "--task", ""}) == words{"bandit", "markov", "ratings"});
  CHECK(completed(place, "sweep", {"sweep", "--output", "sub"}) == words{"sub folder"});
  CHECK(completed(place, "sweep", {"sweep", "--seeds", ""}).empty());
  CHECK(completed(place, "recommend", {"recommend", "--ratings", "some"}) == words{"some file"});
  CHECK(completed(place, "audit", {"audit", "--car"}) == words{"--card"});
  // Every flag of --help is offered.
  for (char const* program : {"losses", "recommend", "sweep", "diffusion"}) {
    auto const offered = completed(place, program, {program, "--"});
    for (char const* flag : {"--help", "--version", "--json", "--quiet", "--output"}) {
      INFO(program << ' ' << flag);
      CHECK(offered.count(flag) == 1);
    }
  }
}

TEST_CASE("programs: manual pages are set without a warning", "[examples][machines]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  if (place.shell("command -v man >.man") != 0) return;
  for (std::string const program : {"losses", "recommend", "sweep", "diffusion", "audit"}) {
    std::string const page = PREFER_PROGRAM_PAGES "/man/" + program + ".1";
    if (!std::filesystem::exists(page)) continue;  // built without help2man
    INFO(program);
    CHECK(place.shell("MANROFFSEQ= MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings -l '" + page +
                      "' >page 2>page.err") == 0);
    CHECK(place.content("page.err").empty());
    CHECK_THAT(place.content("page"), Contains("NAME") && Contains("--json") && Contains(program));
  }
}
