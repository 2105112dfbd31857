// SPDX-License-Identifier: MIT
//
// The program `audit`, which says what preferences will do to training.
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;

struct workplace : prefer::test::workplace {
  workplace() : prefer::test::workplace("audit", PREFER_EXAMPLE_AUDIT) {}
  /// Writes a file and gives its name, for an argument.
  [[nodiscard]] std::string write(std::string const& name, std::string const& content) const {
    file(name, content);
    return name;
  }
};

std::string const samples = std::string(PREFER_SOURCE_DIR) + "/tests/data/audit/";
std::string const both =
    "--data train=" + samples + "train.jsonl eval=" + samples + "eval.jsonl --annotator annotator";

constexpr char const* pair = R"({"prompt": "Name a bird.", "chosen": "Wren.", "rejected": "Oak."})"
                             "\n";

}  // namespace

TEST_CASE("audit: the page of the program shows what it prints", "[examples][audit]") {
  auto const run = workplace().run(both);
  CHECK(run.code == 0);
  std::ifstream stream(std::string(PREFER_SOURCE_DIR) + "/docs/programs/audit.md");
  std::string const page{std::istreambuf_iterator<char>(stream), {}};
  REQUIRE_FALSE(run.out.empty());
  CHECK_THAT(page, Contains("```text\n" + run.out + "```\n"));
}

TEST_CASE("audit: JSON has the numbers of the table, counted by hand", "[examples][audit]") {
  auto const run = workplace().run(both + " --json");
  CHECK(run.code == 0);
  auto const all = nlohmann::json::parse(run.out);
  auto const& train = all.at("splits").at(0);
  CHECK(all.at("program") == "audit");
  CHECK(train.at("name") == "train");
  CHECK(train.at("rows") == 20);
  CHECK(train.at("prompts") == 13);
  CHECK(train.at("annotators") == 3);
  CHECK(train.at("contradictions") == 1);
  CHECK(train.at("cyclic_prompts") == 1);
  CHECK(all.at("overlaps").at(0).at("rows") == 1);
  CHECK(all.at("overlaps").at(0).at("prompts") == 2);
}

TEST_CASE("audit: a card is written, and says where the rows came from", "[examples][audit]") {
  workplace const place;
  auto const run = place.run(both + " --card card.md");
  CHECK(run.code == 0);
  std::string const card = place.content("card.md");
  CHECK_THAT(card, Contains("| rows | 20 | 4 |") && Contains("eval.jsonl: trl") &&
                       Contains("**warning**, train"));
  prefer::test::check_refusal(place.run(both + " --card no/such/folder/card.md"), "audit",
                              "no/such/folder");
}

TEST_CASE("audit: it ends with 1 where a later number would mean nothing", "[examples][audit]") {
  workplace const place;
  std::string const train = place.write("train.jsonl", pair);
  std::string const copy = place.write("copy.jsonl", pair);
  CHECK(place.run("--data " + train).code == 0);
  auto const same = place.run("--data " + train + " " + copy);
  CHECK(same.code == 1);
  CHECK_THAT(same.out, Contains("error, copy: every row compares two completions"));
  CHECK(place.run("--data " + place.write("empty.jsonl", "")).code == 1);
  CHECK(place.run(both).code == 0);
  CHECK(place.run(both + " --strict").code == 1);
}

TEST_CASE("audit: labels are read where they are said to be there", "[examples][audit]") {
  workplace const place;
  std::string const rows = place.write(
      "labels.jsonl", R"({"prompt": "Name a bird.", "completion": "Wren.", "label": true})"
                      "\n"
                      R"({"prompt": "Name a bird.", "completion": "Oak.", "label": false})"
                      "\n");
  auto const run = place.run("--labels --json --data " + rows);
  CHECK(run.code == 0);
  CHECK(nlohmann::json::parse(run.out).at("splits").at(0).at("labels") == 2);
  CHECK(place.run("--data " + rows).code == 1);
}

TEST_CASE("audit: ties are counted, whatever becomes of them in training", "[examples][audit]") {
  workplace const place;
  std::string const rows = place.write(
      "judged.jsonl",
      R"({"prompt": "Name a bird.", "response1": "Wren.", "response2": "Oak.", "overall_preference": 0})"
      "\n"
      R"({"prompt": "Name a tree.", "response1": "Wren.", "response2": "Oak.", "overall_preference": 2})"
      "\n");
  auto const run = place.run("--json --data " + rows);
  CHECK(run.code == 0);
  auto const split = nlohmann::json::parse(run.out).at("splits").at(0);
  CHECK(split.at("rows") == 1);
  CHECK(split.at("ties") == 1);
}

TEST_CASE("audit: bad use is one sentence", "[examples][audit]") {
  workplace const place;
  std::string const rows = place.write("rows.jsonl", pair);
  using prefer::test::check_refusal;
  check_refusal(place.run("--data " + rows + " rows=" + rows), "audit",
                "two files are called \"rows\"");
  check_refusal(place.run("--quiet --data " + rows + " --annotator worker"), "audit",
                "no row has the field \"worker\"");
  check_refusal(place.run("--data missing.jsonl"), "audit", "missing.jsonl");
  check_refusal(place.run("--data " + rows + " --format chatty"), "audit", "chatty");
}

TEST_CASE("audit: every flag about rows does what it says", "[examples][audit]") {
  workplace const place;
  auto const split_of = [&](std::string const& arguments) {
    auto const run = place.run("--json --quiet " + arguments);
    INFO(arguments << run.err);
    REQUIRE(run.code == 0);
    return nlohmann::json::parse(run.out).at("splits").at(0);
  };
  std::string const scored = place.write(
      "scored.jsonl",
      R"({"prompt": "q", "completions": ["a", "bb", "ccc", "dddd"], "scores": [4, 3, 3, 1]})"
      "\n");
  CHECK(split_of("--data " + scored).at("rows") == 1);
  CHECK(split_of("--scored all-pairs --data " + scored).at("rows") == 5);  // 6 but for equal scores
  CHECK(split_of("--scored list --data " + scored).at("rows") == 3);

  std::string const image = place.write(
      "image.jsonl",
      R"({"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": )"
      R"([{"type": "text", "text": "ab"}, {"type": "image_url"}]}], "rejected": )"
      R"([{"role": "assistant", "content": "c"}]})"
      "\n");
  prefer::test::check_refusal(place.run("--quiet --data " + image), "audit",
                              "part 2: found \"image_url\"; expected a text (--parts skip");
  auto const skipped = place.run("--parts skip --data " + image);
  CHECK(skipped.code == 0);
  CHECK_THAT(skipped.err, Contains("parts of messages that are no text, passed over: 1 row"));

  std::string const named =
      place.write("named.jsonl", R"({"q": "Name a bird.", "chosen": "Wren.", "rejected": "Oak."})"
                                 "\nno row\n");
  CHECK(split_of("--columns prompt=q --bad-rows skip --max-bad 0.5 --data " + named).at("rows") ==
        1);
  prefer::test::check_refusal(
      place.run("--quiet --columns prompt=q --bad-rows skip --data " + named), "audit",
      "1 of 2 rows are bad");
}

TEST_CASE("audit: lengths are in the tokens of a model, where one is given", "[examples][audit]") {
  workplace const place;
  std::string const rows = place.write("rows.jsonl", pair);
  auto const run = place.run("--json --quiet --data " + rows + " --model '" +
                             std::string(PREFER_GOLDEN_DIR) + "/lm_tiny/llama_tied'");
  if (run.code == 2) {  // a build without language models
    CHECK_THAT(run.err, Contains("--model: this build has no prefer::lm"));
    return;
  }
  CHECK(run.code == 0);
  auto const all = nlohmann::json::parse(run.out);
  CHECK(all.at("unit") == "tokens");
  // "Name a bird." has twelve bytes, each a token at most, with one before it at most.
  auto const& length = all.at("splits").at(0).at("prompt_length");
  CHECK(length.at("most") > 0);
  CHECK(length.at("most") <= 13);
  CHECK(place.run("--quiet --data " + rows + " --model nowhere.gguf").code == 1);
}
