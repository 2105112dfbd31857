// SPDX-License-Identifier: MIT
//
// The program `tune` where it trains a reward model, and `score`, which reads it.
#include <cmath>
#include <string>

#include <catch2/catch.hpp>

#include "tuning.hpp"

namespace {

using Catch::Matchers::Contains;
using tuning::adapter;
using tuning::json;
using tuning::lines_of;
using tuning::model;
using tuning::tiny;
using tuning::workplace;

std::string const score = "'" PREFER_EXAMPLE_SCORE "' --quiet " + model;

}  // namespace

TEST_CASE(
    "tune --reward-model: it ranks held-out pairs, says how calibrated it is, and score agrees",
    "[examples][tune][reward]") {
  workplace const place;
  auto const run = place.tune(
      "--reward-model --eval-data held-out.jsonl --epochs 8 --lr 0.01 --set centering=0.01 --out "
      "rm");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.err + run.out, !Contains("KL from the start"));
  auto const all = place.summary("rm");
  // A head of 0 says nothing: every score is 0.
  CHECK(all.at("first_loss").get<double>() == Approx(std::log(2.0)).epsilon(1e-6));
  CHECK(all.at("reference") == "none");
  CHECK_FALSE(all.contains("answers"));
  auto const& before = all.at("held_out").at("before");
  auto const& after = all.at("held_out").at("after");
  CHECK(before.at("reward_margin").at("mean") == 0.0);
  CHECK(before.at("calibration").at("log_loss").at("mean").get<double>() ==
        Approx(std::log(2.0)).epsilon(1e-12));
  CHECK(before.at("calibration").at("brier").at("mean") == 0.25);
  CHECK(after.at("accuracy").at("mean") == 1.0);
  CHECK(after.at("calibration").at("log_loss").at("mean").get<double>() < 0.2);
  auto const shown = place.run(model + "--data pairs.jsonl --batch 4 --reward-model --epochs 1 " +
                               "--eval-data held-out.jsonl --out shown");
  CHECK_THAT(shown.out, Contains("log loss, nats") && Contains("calibration error") &&
                            !Contains("log_prob of chosen"));

  // Its scores are what losses reads, and the same numbers.
  REQUIRE(place.shell(score + "--json --adapter rm/adapter --data held-out.jsonl >scored.json") ==
          0);
  auto const scored = json::parse(place.content("scored.json"));
  CHECK(scored.at("reward_model") == true);
  CHECK_FALSE(scored.contains("beta"));
  for (std::string const name : {"accuracy", "reward_margin", "reward_chosen"}) {
    CHECK(scored.at("summary").at(name).at("mean").get<double>() ==
          Approx(after.at(name).at("mean").get<double>()).epsilon(1e-4));
  }
  CHECK(scored.at("summary").at("calibration").at("log_loss").at("mean").get<double>() ==
        Approx(after.at("calibration").at("log_loss").at("mean").get<double>()).epsilon(1e-3));
  double margin = 0;
  for (auto const& row : scored.at("rows")) {
    margin += row.at("policy_chosen").get<double>() - row.at("policy_rejected").get<double>();
    CHECK_FALSE(row.contains("ref_chosen"));
  }
  CHECK(margin / 4 == Approx(after.at("reward_margin").at("mean").get<double>()).epsilon(1e-4));

  // Going on from it, and from an adapter that had no head.
  auto const more =
      place.tune("--reward-model --adapter rm/adapter --epochs 1 --lr 1e-6 --out more");
  INFO(more.err);
  REQUIRE(more.code == 0);
  CHECK(place.summary("more").at("first_loss").get<double>() < 0.2);
  auto const from =
      place.tune("--reward-model --adapter " + tiny + "llama_tied/adapter --epochs 1 --out from");
  CHECK(from.code == 0);
  CHECK(place.summary("from").at("first_loss").get<double>() ==
        Approx(std::log(2.0)).epsilon(1e-6));

  // Who writes has no use for it.
  CHECK(place.shell("'" PREFER_EXAMPLE_SAMPLE "' --quiet " + model +
                    "--adapter rm/adapter hello >.out 2>.err") == 1);
  CHECK_THAT(place.content(".err"), Contains("it is a reward model's"));
  auto const policy = place.tune("--adapter rm/adapter --out policy");
  CHECK(policy.code == 1);
  CHECK_THAT(policy.err, Contains("it is a reward model's"));
}

TEST_CASE("tune --reward-model --full: a model folder with a head, which score and a judge read",
          "[examples][tune][reward]") {
  workplace const place;
  // A GGUF file has no place for the head: what comes of it is a folder too, with its tokenizer.
  REQUIRE(place.shell("'" PREFER_EXAMPLE_CONVERT "' --quiet --model " + tiny +
                      "llama_tied --output tiny.gguf 2>.err") == 0);
  for (std::string const& base : {tiny + "llama_tied", std::string("tiny.gguf")}) {
    INFO(base);
    std::string const of = "--products eigen --model ";
    auto const run = place.run(of + base +
                               " --data pairs.jsonl --batch 4 --quiet --reward-model --full "
                               "--eval-data held-out.jsonl --epochs 8 --lr 0.003 --out rm");
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK_FALSE(place.has("rm/adapter"));
    CHECK_FALSE(place.has("rm/model.gguf"));
    auto const held_out = place.summary("rm").at("held_out");
    CHECK(held_out.at("before").at("reward_margin").at("mean") == 0.0);
    CHECK(held_out.at("after").at("accuracy").at("mean") == 1.0);

    std::string const scoring = "'" PREFER_EXAMPLE_SCORE "' --quiet " + of;
    REQUIRE(place.shell(scoring + "rm/model --json --data held-out.jsonl >scored.json 2>.err") ==
            0);
    auto const scored = json::parse(place.content("scored.json"));
    CHECK(scored.at("reward_model") == true);
    CHECK(scored.at("summary").at("reward_margin").at("mean").get<double>() ==
          Approx(held_out.at("after").at("reward_margin").at("mean").get<double>()).epsilon(1e-4));
    auto const row = json::parse(lines_of(place.content("held-out.jsonl")).front());
    json const written = {{"prompt", row.at("prompt")}, {"completion", row.at("chosen")}};
    json const other = {{"prompt", row.at("prompt")}, {"completion", row.at("rejected")}};
    place.file("done.jsonl", written.dump() + "\n" + other.dump() + "\n");
    REQUIRE(place.shell("'" PREFER_EXAMPLE_MAKE_PAIRS
                        "' --quiet --products eigen --completions done.jsonl "
                        "--scorer reward:rm >pairs.out 2>.err") == 0);
    auto const pair = json::parse(place.content("pairs.out"));
    CHECK(pair.at("score_chosen") == scored.at("rows").at(0).at("policy_chosen"));
    CHECK(pair.at("score_rejected") == scored.at("rows").at(0).at("policy_rejected"));
  }

  // Going on from it, and who has no use for it.
  auto const more = place.run(
      "--products eigen --model rm/model --data pairs.jsonl --batch 4 --quiet --reward-model "
      "--full --epochs 1 --lr 1e-7 --out more");
  INFO(more.err);
  REQUIRE(more.code == 0);
  CHECK(place.summary("more").at("first_loss").get<double>() < 0.2);
  auto const refused = [&](std::string const& command, std::string const& sentence) {
    CHECK(place.shell(command + " >.out 2>.err") != 0);
    CHECK_THAT(place.content(".err"), Contains(sentence));
  };
  refused("'" PREFER_EXAMPLE_SAMPLE "' --quiet --products eigen --model rm/model --raw hello",
          "it has a head, and gives scores where others write");
  refused("'" PREFER_EXAMPLE_TUNE "' --quiet --model rm/model --data pairs.jsonl --out policy",
          "it has a head, and gives scores where others write");
  refused("'" PREFER_EXAMPLE_CONVERT "' --quiet --model rm/model --output rm.gguf",
          "it has a head, and what is converted here are models that write");
  refused("'" PREFER_EXAMPLE_MAKE_PAIRS
          "' --quiet --completions done.jsonl --scorer reward:rm "
          "--scorer-model " +
              tiny + "llama_tied",
          "is a whole model, and no adapter of one");
}

TEST_CASE("score: a reward model that PEFT saved gives the scores that transformers gives",
          "[examples][score][reward]") {
  // reward.json has them for prompts and completions of ids; here the adapter is read and answers for texts.
  workplace const place;
  REQUIRE(place.shell(score + "--adapter " + tiny +
                      "llama_tied/reward_adapter --data held-out.jsonl >scored.jsonl 2>.err") == 0);
  for (auto const& line : lines_of(place.content("scored.jsonl"))) {
    auto const row = json::parse(line);
    CHECK(row.at("policy_chosen") != row.at("policy_rejected"));
  }
  REQUIRE(place.shell(score + "--adapter " + tiny +
                      "llama_tied/reward_adapter --data held-out.jsonl --reference adapter-off "
                      ">.out 2>.err") != 0);
  CHECK_THAT(place.content(".err"), Contains("its scores are held against nothing"));
  REQUIRE(place.shell(score + "--adapter " + tiny +
                      "llama_tied/reward_adapter --data held-out.jsonl --outputs alignment "
                      ">.out 2>.err") != 0);
  CHECK_THAT(place.content(".err"), Contains("gives scores alone"));
}

TEST_CASE("tune --reward-model: what it goes without is refused in a sentence",
          "[examples][tune][reward]") {
  workplace const place;
  auto const refused = [&](std::string const& more, std::string const& sentence) {
    auto const run = place.tune("--out out " + more);
    INFO(more);
    CHECK(run.code == 2);
    CHECK_THAT(run.err, Contains(sentence));
  };
  refused("--loss bradley_terry", "it ranks scores, and a policy gives log-probabilities");
  refused("--reward-model --loss dpo", "it is over log-probabilities, and a reward model gives");
  refused("--reward-model --merge m.gguf", "--reward-model goes without --merge");
  refused("--reward-model --sample-every 1", "--reward-model goes without --sample-every");
  refused("--reward-model --reference frozen", "--reward-model goes without --reference");
  CHECK_FALSE(place.has("out/adapter"));
}
