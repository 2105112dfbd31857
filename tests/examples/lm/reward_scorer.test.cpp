// SPDX-License-Identifier: MIT
//
// A reward model that `tune --reward-model` made, as the judge of whoever takes --scorer.
#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tuning.hpp"

namespace {

using Catch::Matchers::Contains;
using tuning::json;
using tuning::lines_of;
using tuning::model;
using tuning::tiny;

std::string const sample = "'" PREFER_EXAMPLE_SAMPLE "' --quiet ";
std::string const make_pairs = "'" PREFER_EXAMPLE_MAKE_PAIRS "' --quiet ";
std::string const score = "'" PREFER_EXAMPLE_SCORE "' --quiet ";
// Of a model with random weights few completions end.
std::string const drawing = "--raw --prompts prompts.txt --max-tokens 4 --keep-unfinished ";

struct judged_place : tuning::workplace {
  judged_place() {
    file("prompts.txt", "Number 20 is\nNumber 21 is\nOnce upon\n");
    REQUIRE(tune("--reward-model --epochs 4 --lr 0.01 --out rm").code == 0);
  }
  [[nodiscard]] std::vector<double> scores_by(std::string const& scorer) const {
    REQUIRE(shell(sample + model + "--raw --prompts prompts.txt --max-tokens 4 --n 3 --json " +
                  scorer + " >scored.jsonl 2>.err") == 0);
    std::vector<double> out;
    for (auto const& line : lines_of(content("scored.jsonl"))) {
      auto const row = json::parse(line);
      if (row.contains("completion")) out.push_back(row.at("score").get<double>());
    }
    REQUIRE(out.size() == 9);
    return out;
  }
};

}  // namespace

TEST_CASE("--scorer reward: pairs are ranked by the numbers that score gives, and tune learns them",
          "[examples][make_pairs][reward]") {
  judged_place const place;
  REQUIRE(place.shell(make_pairs + model + drawing +
                      "--n 24 --scorer reward:rm --output drawn.jsonl 2>.err") == 0);
  REQUIRE(place.shell(score + model + "--adapter rm/adapter --data drawn.jsonl >scored.jsonl") ==
          0);
  auto const pairs = lines_of(place.content("drawn.jsonl"));
  auto const scored = lines_of(place.content("scored.jsonl"));
  REQUIRE(pairs.size() == 3);
  REQUIRE(scored.size() == pairs.size());
  for (std::size_t g = 0; g != pairs.size(); ++g) {
    auto const pair = json::parse(pairs[g]);
    auto const row = json::parse(scored[g]);
    CHECK(pair.at("score_chosen").get<double>() > pair.at("score_rejected").get<double>());
    // Passes over other completions round alike: the same bits.
    CHECK(pair.at("score_chosen") == row.at("policy_chosen"));
    CHECK(pair.at("score_rejected") == row.at("policy_rejected"));
  }
  // Completions that lie in a file are judged by the same numbers, by adapter as by folder.
  REQUIRE(place.shell(sample + model +
                      "--raw --prompts prompts.txt --max-tokens 4 --n 24 --output "
                      "done.jsonl 2>.err") == 0);
  REQUIRE(place.shell(make_pairs + "--completions done.jsonl --keep-unfinished --products eigen " +
                      "--scorer reward:rm/adapter --scorer-model " + tiny +
                      "llama_tied --output again.jsonl 2>.err") == 0);
  CHECK(place.content("again.jsonl") == place.content("drawn.jsonl"));
  auto const tuned = place.run(model + "--data drawn.jsonl --quiet --out tuned --samples 0");
  INFO(tuned.err);
  CHECK(tuned.code == 0);
}

TEST_CASE("--scorer reward: several are their mean less deviations", "[examples][sample][reward]") {
  judged_place const place;
  REQUIRE(place.tune("--reward-model --epochs 4 --lr 0.01 --seed 2 --out other").code == 0);
  auto const a = place.scores_by("--scorer reward:rm");
  auto const b = place.scores_by("--scorer reward:other");
  auto const both = place.scores_by("--scorer reward:rm,other");
  auto const careful = place.scores_by("--scorer reward:rm,other --scorer-deviations 2");
  for (std::size_t i = 0; i != a.size(); ++i) {
    CHECK(a[i] != b[i]);
    double const mean = (a[i] + b[i]) / 2;
    double const deviation = std::abs(a[i] - b[i]) / std::sqrt(2.0);  // of a sample of two
    CHECK(both[i] == Approx(mean).epsilon(1e-6).margin(1e-6));
    CHECK(careful[i] == Approx(mean - 2 * deviation).epsilon(1e-6).margin(1e-6));
  }
}

TEST_CASE("--scorer reward: it judges what is written at every step, and in rounds",
          "[examples][tune][reward]") {
  judged_place const place;
  std::string const learning =
      model + drawing + "--n 24 --batch 3 --samples 0 --quiet --scorer reward:rm ";
  auto const online = place.run(learning + "--online --epochs 3 --lr 0.02 --out online");
  INFO(online.err);
  REQUIRE(online.code == 0);
  CHECK(place.summary("online").at("online").at("examples") > 3);
  // All weights train, and the judge stays an adapter of the model that the first round began with.
  auto const rounds = place.run(learning + "--rounds 2 --full --lr 1e-3 --out rounds");
  INFO(rounds.err);
  REQUIRE(rounds.code == 0);
  for (std::string const round : {"round-1", "round-2"}) {
    auto const drawn = lines_of(place.content("rounds/" + round + "/completions.jsonl"));
    REQUIRE(drawn.size() == 72);
    REQUIRE(place.shell(make_pairs + "--products eigen --keep-unfinished --completions rounds/" +
                        round + "/completions.jsonl --scorer reward:rm --scorer-model " + tiny +
                        "llama_tied --output again.jsonl 2>.err") == 0);
    CHECK(place.content("again.jsonl") == place.content("rounds/" + round + "/pairs.jsonl"));
  }
}

TEST_CASE("--scorer reward: what is no judge of these completions is refused in a sentence",
          "[examples][make_pairs][reward]") {
  judged_place const place;
  auto const refused = [&](std::string const& more, std::string const& sentence, int code) {
    INFO(more);
    CHECK(place.shell(make_pairs + more + " --output out.jsonl >.out 2>.err") == code);
    CHECK_THAT(place.content(".err"), Contains(sentence));
    CHECK(lines_of(place.content(".err")).size() == 1);
    CHECK_FALSE(place.has("out.jsonl"));
    CHECK_FALSE(place.has("out.jsonl.unfinished"));  // before anything is drawn
  };
  std::string const by = model + drawing + "--scorer ";
  refused(by + "reward:", "expected a folder behind reward:", 2);
  refused(by + "reward:rm,,rm", "expected a folder behind reward:", 2);
  refused(by + "reward:nowhere", "nowhere: there is no reward model", 1);
  refused(by + "reward:" + tiny, "there is no reward model", 1);
  refused(by + "reward:" + tiny + "llama_tied/adapter", "it has no head", 1);
  refused(by + "reward:rm --scorer-model " + tiny + "qwen3_norm", "adapter of another model", 1);
  refused(by + "reward:rm --scorer-deviations 1", "one judge has no deviation", 2);
  refused(by + "lengths --scorer-deviations 1", "one judge has no deviation", 2);
  refused(by + "lengths --scorer-model m.gguf", "--scorer-model is for --scorer reward:FOLDER", 2);
  refused(by + "reward:rm --scorer-command cat", "give one of", 2);
  // One token more than can be written needs no position of the writer's, and one of the judge's.
  refused("--products eigen --completions done.jsonl --scorer reward:rm", "needs --scorer-model",
          2);
  refused(model + "--raw 'A wren' --max-tokens 252 --keep-unfinished --scorer reward:rm",
          "expected no more than the reward model's context, 256", 2);
  std::string word;
  for (int i = 0; i != 300; ++i) word += "x ";
  place.file("long.jsonl", R"({"prompt": "Say x.", "completion": ")" + word + "\"}\n");
  refused("--products eigen --completions long.jsonl --scorer reward:rm --scorer-model " + tiny +
              "llama_tied",
          "the prompt \"Say x.\" and a completion have ", 2);
}
