// SPDX-License-Identifier: MIT
//
// The program `tune`, on tiny random models.
#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tuning.hpp"

namespace {

using Catch::Matchers::Contains;
using tuning::adapter;
using tuning::json;
using tuning::lines_of;
using tuning::model;
using tuning::pairs;
using tuning::tiny;
using tuning::workplace;

}  // namespace

TEST_CASE("tune: DPO begins at ln 2, learns what held-out pairs have in common, and score agrees",
          "[examples][tune]") {
  workplace const place;
  auto const run = place.tune(
      "--eval-data held-out.jsonl --epochs 6 --lr 0.01 --samples 4 "
      "--sample-tokens 8 --out out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const all = place.summary("out");
  CHECK(all.at("first_loss").get<double>() == Approx(std::log(2.0)).epsilon(1e-6));
  CHECK(all.at("last_loss").get<double>() < 0.1);
  CHECK(all.at("reference") == "adapter-off");
  CHECK(all.at("reference_was_the_start") == true);
  CHECK(all.at("steps") == 18);
  auto const& held_out = all.at("held_out");
  CHECK(held_out.at("before").at("reward_margin").at("mean") == 0.0);
  CHECK(held_out.at("after").at("accuracy").at("mean") == 1.0);
  CHECK(all.at("answers").at("kl_k3").at("mean").get<double>() > 0.0);
  CHECK(all.at("answers").at("length").at("count") == 4);
  CHECK(lines_of(place.content("out/metrics.csv")).size() == 19);
  auto const rows = lines_of(place.content("out/metrics.jsonl"));
  REQUIRE(rows.size() == 18);
  CHECK(json::parse(rows.back()).at("tokens_per_second").get<double>() > 0.0);
  CHECK_THAT(place.content("out/curves.svg"), Contains("<svg"));
  CHECK_FALSE(place.has("out/checkpoint.unfinished"));

  REQUIRE(place.shell("'" PREFER_EXAMPLE_SCORE "' --quiet --json " + model +
                      "--adapter out/adapter --data held-out.jsonl >scored.json") == 0);
  auto const scored = json::parse(place.content("scored.json")).at("summary");
  double const margin = held_out.at("after").at("reward_margin").at("mean").get<double>();
  CHECK(scored.at("accuracy").at("mean") == 1.0);
  CHECK(scored.at("reward_margin").at("mean").get<double>() == Approx(margin).epsilon(1e-4));
}

TEST_CASE("tune: losses of every kind train, by any reference that they take", "[examples][tune]") {
  workplace const place;
  std::string const once =
      model + "--data pairs.jsonl --quiet --epochs 1 --batch 12 --samples 0 --out out --loss ";
  for (std::string const loss :
       {"ipo", "simpo --set gamma=0.5", "orpo", "kto", "plackett_luce", "tdpo2", "wpo",
        "epsilon_dpo", "beta_dpo", "aot", "nll", "nll_per_batch_token",
        "dpo --beta 0.3 --reference frozen", "dpo --reference ema:0.1", "dpo --reference ema:0.5,2",
        "dpo --reference none", "tdpo1 --reference ema:0.1",
        "dpo --rs-lora --lora 2 --targets q_proj,v_proj --lora-dropout 0.1"}) {
    INFO(loss);
    auto const run = place.run(once + loss);
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK(place.summary("out").at("steps").get<int>() >= 1);
  }
}

TEST_CASE("tune: fine-tuning on answers makes them likely, whatever they come with",
          "[examples][tune]") {
  workplace const place;
  place.file("answers.jsonl", R"({"prompt": "Say it.", "completion": " It is said."})"
                              "\n");
  auto const run = place.run(model +
                             "--data answers.jsonl --loss nll_per_token --epochs 20 --quiet "
                             "--lr 0.01 --samples 0 --out sft");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const all = place.summary("sft");
  CHECK(all.at("reference") == "none");
  CHECK(all.at("last_loss").get<double>() < 0.1 * all.at("first_loss").get<double>());
  // nll of the chosen completions of pairs is the same loss as of pairs' chosen completions alone.
  auto const of_pairs = place.tune("--loss nll --epochs 1 --samples 0 --out of-pairs");
  REQUIRE(of_pairs.code == 0);
  auto const next = place.run(model +
                              "--adapter sft/adapter --data pairs.jsonl --batch 4 --quiet "
                              "--epochs 1 --samples 0 --out dpo");
  INFO(next.err);
  REQUIRE(next.code == 0);
  CHECK(place.summary("dpo").at("reference") == "frozen");
  CHECK(place.summary("dpo").at("first_loss").get<double>() == Approx(std::log(2.0)).epsilon(1e-6));
}

TEST_CASE("tune: all weights train, from a cache of the start, and a merged adapter is a model",
          "[examples][tune]") {
  workplace const place;
  auto const run = place.tune(
      "--full --epochs 2 --lr 0.001 --samples 2 --sample-tokens 4 --out full "
      "--reference cached:start.cache");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(place.summary("full").at("first_loss").get<double>() ==
        Approx(std::log(2.0)).epsilon(1e-6));
  auto const merged = place.tune("--epochs 2 --lr 0.01 --samples 0 --out lora --merge merged");
  INFO(merged.err);
  REQUIRE(merged.code == 0);
  auto const said_by = [&](std::string const& of) {
    REQUIRE(place.shell("'" PREFER_EXAMPLE_SCORE "' --quiet --data held-out.jsonl " + of +
                        " >scored.jsonl") == 0);
    return json::parse(lines_of(place.content("scored.jsonl")).at(0))
        .at("policy_chosen")
        .get<double>();
  };
  CHECK(said_by("--model merged") ==
        Approx(said_by(model + "--adapter lora/adapter")).epsilon(1e-5));
  CHECK(said_by("--model full/model") != said_by(model));

  // The cache is read again, and one of other rows is refused.
  auto const again =
      place.tune("--full --epochs 1 --samples 0 --out again --reference cached:start.cache");
  CHECK(again.code == 0);
  auto const other = place.run(model +
                               "--data held-out.jsonl --full --quiet --out other "
                               "--reference cached:start.cache");
  CHECK(other.code == 1);
  CHECK_THAT(other.err, Contains("start.cache: the cache is stale"));
}

TEST_CASE("tune: killed at any step, the same command goes on to the same bytes",
          "[examples][tune]") {
  workplace const place;
  std::string const what = "--epochs 40 --lr 0.01 --samples 0 --save-every 1 --reference ema:0.1 ";
  REQUIRE(place.tune(what + "--out whole").code == 0);
  std::string const command = "'" PREFER_EXAMPLE_TUNE "' " + model +
                              "--data pairs.jsonl --batch 4 --quiet " + what + "--out killed";
  // Killed some time after it has kept a step of its own, on a machine of any speed.
  int killed = 0;
  for (char const* const seconds : {"0", "0.03", "0.05", "0.01"}) {
    killed += place.shell("touch .begun; sleep 0.02; " + command +
                          " >.out 2>.err & of=$!; while kill -0 $of 2>/dev/null && "
                          "! [ killed/checkpoint.unfinished -nt .begun ]; do sleep 0.01; done; "
                          "sleep " +
                          std::string(seconds) + "; kill -KILL $of 2>/dev/null; wait $of") != 0
                  ? 1
                  : 0;
  }
  CHECK(killed > 0);
  INFO(place.content(".err"));
  REQUIRE(place.shell(command + " >.out 2>.err") == 0);
  for (auto const& file : {std::string("/") + adapter, std::string("/metrics.csv")}) {
    CHECK(place.content("killed" + file) == place.content("whole" + file));
  }
}

TEST_CASE("tune: asked to stop, it finishes the step, keeps it and says how to go on",
          "[examples][tune]") {
  workplace const place;
  std::string const what =
      model + "--data pairs.jsonl --batch 1 --samples 0 --epochs 400 --out out";
  int const code = place.shell("timeout --preserve-status -s INT 2 '" PREFER_EXAMPLE_TUNE "' " +
                               what + " >.out 2>.err");
  CHECK(code == 130);
  CHECK_THAT(place.content(".err"), Contains("what is done is in out; to go on: "));
  auto const other = place.run(what + " --seed 2");
  CHECK(other.code == 1);
  CHECK_THAT(other.err, Contains("here is unfinished work of other settings"));
}

TEST_CASE("tune: what does not fit is refused in a sentence", "[examples][tune]") {
  workplace const place;
  auto const refused = [&](std::string const& more, std::string const& sentence, int code) {
    auto const run = place.tune("--samples 0 --out out " + more);
    INFO(more);
    INFO(run.err);
    CHECK(run.code == code);
    CHECK_THAT(run.err, Contains(sentence));
    CHECK(run.out.empty());
  };
  refused("--loss dop", "did you mean", 2);
  refused("--set beat=1", "has no hyper-parameter", 2);
  refused("--beta 0.1 --set beta=0.2", "beta is set by --set, too", 2);
  refused("--loss nash_md", "written", 2);
  refused("--loss tdpo2 --reference cached", "whole distributions", 2);
  refused("--full --reference adapter-off", "there is no adapter to leave out", 2);
  refused("--reference ema:2", "a share above 0", 2);
  refused("--reference model:none.gguf", "none.gguf", 1);
  refused("--full --lora 4", "does not go with", 2);
  refused("--targets k_prj", "is not one of", 2);
  refused("--reference cached:/dev/full", "/dev/full", 1);
  refused("--resume", "there is nothing to go on from", 1);
  refused("--products none", "expected", 2);
  refused("--adapter " + tiny + "llama_heads/adapter", "it is an adapter of another model", 1);
  place.file("file", "");
  auto const no_folder = place.tune("--out file/out");
  CHECK(no_folder.code == 1);
  CHECK_THAT(no_folder.err, Contains("cannot create this folder"));
  place.file("twice.jsonl", pairs(0, 2) + pairs(0, 1));
  auto const warned = place.run(model + "--data twice.jsonl --epochs 1 --samples 0 --out out");
  CHECK(warned.code == 0);
  CHECK_THAT(warned.err, Contains("warning: train: 1 row repeats an earlier row"));
}
