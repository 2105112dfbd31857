// SPDX-License-Identifier: MIT
//
// The program `score`, which says what a language model says of preferences.
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using nlohmann::json;

std::string const tiny = PREFER_GOLDEN_DIR "/lm_tiny/";

struct workplace : prefer::test::workplace {
  workplace() : prefer::test::workplace("score", PREFER_EXAMPLE_SCORE) {
    file(
        "pairs.jsonl",
        R"({"prompt": "Name a bird.", "chosen": " A wren.", "rejected": " An oak tree.", "weight": 2})"
        "\n"
        R"({"prompt": "Two and two?", "chosen": " Four", "rejected": " Five"})"
        "\n");
  }
};

std::vector<json> lines_of(std::string const& text) {
  std::vector<json> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(json::parse(line));
  return out;
}

json golden(std::string const& model) {
  std::ifstream stream(tiny + model + "/golden.json");
  return json::parse(stream);
}

}  // namespace

TEST_CASE("score: six tiny models say what another implementation says of them, with adapters",
          "[examples][score]") {
  workplace const place;
  for (std::string const model : {"llama_tied", "llama_heads", "llama3_scaled", "mistral_window",
                                  "qwen2_bias", "qwen3_norm"}) {
    INFO(model);
    auto const run = place.run("--model " + tiny + model + " --products eigen --check " + tiny +
                               model + "/golden.json --json");
    CHECK(run.code == 0);
    auto const found = json::parse(run.out);
    CHECK(found.at("good") == true);
    CHECK(found.at("parts").size() == 8);
  }
  auto const exact = place.run("--model " + tiny + "llama_tied --double --check " + tiny +
                               "llama_tied/golden.json");
  CHECK(exact.code == 0);
  CHECK_THAT(exact.out, Contains("adapter: gradients"));
}

TEST_CASE("score --check: with an adapter it is the adapted model that is compared",
          "[examples][score]") {
  workplace const place;
  // The form of log_probs.json, of what another implementation says with the adapter on.
  json const tiny_golden = golden("llama_tied");
  json rows = json::array();
  for (std::size_t g = 0; g != tiny_golden.at("rows").size(); ++g) {
    auto const& row = tiny_golden.at("rows").at(g);
    auto const& said = tiny_golden.at("adapter").at("log_probs").at(g);
    json out = {{"prompt_ids", row.at("prompt")}};
    for (std::string const side : {"chosen", "rejected"}) {
      out[side] = {{"ids", row.at(side)}, {"log_probs", said.at(side)}};
    }
    rows.push_back(out);
  }
  place.file("log_probs.json", json{{"rows", rows}}.dump());
  std::string const check = "--model " + tiny + "llama_tied --products eigen --check ";
  std::string const with = " --adapter " + tiny + "llama_tied/adapter";
  auto const adapted = place.run(check + "log_probs.json" + with);
  CHECK(adapted.code == 0);
  CHECK_THAT(adapted.out, Contains("with the adapter: token log-probabilities"));
  CHECK(place.run(check + "log_probs.json").code == 1);
  // Gradients there are of all weights, and an adapter of scores says nothing of texts.
  place.file("gradients.json", R"({"gradients": {}, "reference": [], "beta": 1, "loss": 0})");
  place.check_refused(check + "gradients.json" + with, "leave --adapter out", 1);
  place.check_refused(check + "log_probs.json --adapter " + tiny + "llama_tied/reward_adapter",
                      "it is a reward model's", 1);
}

TEST_CASE("score: every golden number that differs is named, and the program fails",
          "[examples][score]") {
  workplace const place;
  json wrong = golden("qwen2_bias");
  wrong["rows"][1]["log_probs_chosen"][0] =
      wrong["rows"][1]["log_probs_chosen"][0].get<double>() - 0.01;
  wrong["full"]["gradients"]["model.norm.weight"]["norm"] = 0.0;
  wrong["tokenizer"][3]["ids"] = {1, 2, 3};
  wrong.erase("adapter");
  place.file("golden.json", wrong.dump());
  auto const run = place.run("--model " + tiny + "qwen2_bias --check golden.json");
  CHECK(run.code == 1);
  CHECK_THAT(run.out,
             Contains("mismatch: golden.json: token log-probabilities, row 1 chosen token 0"));
  CHECK_THAT(run.out, Contains("mismatch: golden.json: gradients, model.norm.weight norm"));
  CHECK_THAT(run.out, Contains("mismatch: golden.json: tokenizer, "));
  place.file("golden.json", "[1]");
  place.check_refused("--model " + tiny + "qwen2_bias --check golden.json", "is no object of JSON",
                      1);
  place.file("golden.json", "{}");
  place.check_refused("--model " + tiny + "qwen2_bias --check golden.json",
                      "neither log_probs.json", 1);
}

TEST_CASE("score: its lines are the input of losses, number for number", "[examples][score]") {
  workplace const place;
  auto const run = place.run("--quiet --model " + tiny + "llama_tied --adapter " + tiny +
                             "llama_tied/adapter --data pairs.jsonl --output scored.jsonl");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.out.empty());
  auto const scored = lines_of(place.content("scored.jsonl"));
  REQUIRE(scored.size() == 2);
  CHECK(scored[0].at("line") == 1);
  CHECK(scored[0].at("weight") == 2.0);
  CHECK(scored[1].at("weight") == 1.0);
  CHECK(scored[0].at("policy_chosen") != scored[0].at("ref_chosen"));
  REQUIRE(place.shell("'" PREFER_EXAMPLE_LOSSES
                      "' --loss dpo --set beta=0.3 scored.jsonl >losses.jsonl 2>.err") == 0);
  auto const losses = lines_of(place.content("losses.jsonl"));
  REQUIRE(losses.size() == 2);
  for (std::size_t i = 0; i != 2; ++i) {
    auto const at = [&](char const* name) { return scored[i].at(name).get<double>(); };
    double const margin =
        at("policy_chosen") - at("ref_chosen") - at("policy_rejected") + at("ref_rejected");
    double const expected = at("weight") * std::log1p(std::exp(-0.3 * margin));
    CHECK(losses[i].at("loss").get<double>() == Approx(expected).epsilon(1e-9));
  }
}

TEST_CASE("score: what losses over tokens read is said beside, against the reference",
          "[examples][score]") {
  workplace const place;
  std::string const start = "--quiet --model " + tiny + "llama_tied --adapter " + tiny +
                            "llama_tied/adapter --data pairs.jsonl ";
  auto const run = place.run(start + "--outputs divergence,alignment,perturbed >scored.jsonl");
  INFO(run.err);
  REQUIRE(run.code == 0);
  for (std::string const loss : {"tdpo2", "wpo", "epsilon_dpo"}) {
    INFO(loss);
    CHECK(place.shell("'" PREFER_EXAMPLE_LOSSES "' --loss " + loss +
                      " scored.jsonl >losses.jsonl 2>.err") == 0);
    CHECK(lines_of(place.content("losses.jsonl")).size() == 2);
  }
  place.check_refused("--model " + tiny + "llama_tied --data pairs.jsonl --outputs divergence",
                      "are against a reference", 2);
}

TEST_CASE("score: a model against itself has rewards of 0, in the summary and in JSON",
          "[examples][score]") {
  workplace const place;
  std::string const model = tiny + "mistral_window";
  auto const run =
      place.run("--model " + model + " --reference model:" + model + " --data pairs.jsonl --json");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const all = json::parse(run.out);
  CHECK(all.at("summary").at("accuracy").at("mean") == 0.0);  // a tie is a miss
  CHECK(all.at("summary").at("reward_margin").at("mean") == 0.0);
  CHECK(all.at("rows").size() == 2);
}

TEST_CASE("score: labels and lists are rows too", "[examples][score]") {
  workplace const place;
  std::string const model = "--quiet --model " + tiny + "llama_tied ";
  auto const labels = place.run(model + "--rows labels --data pairs.jsonl");
  REQUIRE(labels.code == 0);
  auto const each = lines_of(labels.out);
  REQUIRE(each.size() == 4);
  CHECK(each[0].at("label") == true);
  CHECK(each[1].at("label") == false);
  place.file("lists.jsonl",
             R"({"prompt": "Count.", "completions": [" 1", " 1 2 3", " 3 2"], "scores": [1, 3, 2]})"
             "\n");
  auto const lists = place.run(model + "--rows lists --data lists.jsonl");
  REQUIRE(lists.code == 0);
  CHECK(lines_of(lists.out).at(0).at("score") == json({3.0, 2.0, 1.0}));
  CHECK(lines_of(lists.out).at(0).at("policy").size() == 3);
}

TEST_CASE("score: what does not fit is refused in a sentence", "[examples][score]") {
  workplace const place;
  std::string const model = "--model " + tiny + "llama_tied ";
  place.check_refused("--data pairs.jsonl", "give --model FILE", 2);
  place.check_refused(model, "give one of --data FILE and --check FILE", 2);
  place.check_refused("--model none.gguf --data pairs.jsonl", "none.gguf", 1);
  place.check_refused("--quiet " + model + "--data none.jsonl", "none.jsonl", 1);
  place.check_refused(model + "--data pairs.jsonl --reference frozen", "nothing trains here", 2);
  place.check_refused(model + "--data pairs.jsonl --reference frozn", "did you mean frozen", 2);
  place.check_refused(model + "--data pairs.jsonl --double", "--double is for --check", 2);
  auto const run = place.run("--quiet " + model + "--max-length 4000000 --data pairs.jsonl");
  CHECK(run.code == 2);
  CHECK_THAT(run.err, Contains("--max-length"));
  auto const longer =
      place.run("--quiet " + model + "--max-length 6 --truncate refuse --data pairs.jsonl");
  CHECK(longer.code == 1);
  CHECK_THAT(longer.err, Contains("pairs.jsonl: line 1: the prompt and a completion have"));
  place.file("empty.jsonl", R"({"prompt": "a", "chosen": "", "rejected": "b"})"
                            "\n");
  auto const empty = place.run("--quiet " + model + "--data empty.jsonl");
  CHECK(empty.code == 1);
  CHECK_THAT(empty.err, Contains("empty.jsonl:1: field \"chosen\": the completion is empty"));
  auto const other = place.run("--quiet " + model + "--adapter " + tiny +
                               "llama_heads/adapter --data pairs.jsonl");
  CHECK(other.code == 1);
  CHECK_THAT(other.err, Contains("it is an adapter of another model"));
  auto const full = place.run("--quiet " + model + "--data pairs.jsonl --output /dev/full");
  CHECK(full.code == 1);
}
