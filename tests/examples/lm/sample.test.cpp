// SPDX-License-Identifier: MIT
//
// The programs sample and make_pairs as people run them, on a tiny model of random weights.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <prefer/data/preference.hpp>

#include "../hostile.hpp"
#include "../workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using nlohmann::json;
using prefer::test::check_refusal;
using prefer::test::hostile_case;
using prefer::test::workplace;

std::string const tiny = std::string(PREFER_GOLDEN_DIR) + "/lm_tiny/llama_tied";
std::string const model = "--model '" + tiny + "' --raw --threads 1 ";
// Rates of words of random weights are nothing to a reader; that completions differ is what matters.
std::string const drawing = model + "--prompts prompts.txt --n 3 --max-tokens 6 --seed 5 ";

struct desk : workplace {
  explicit desk(std::string const& name)
      : workplace(name, name == "sample" ? PREFER_EXAMPLE_SAMPLE : PREFER_EXAMPLE_MAKE_PAIRS) {
    file("prompts.txt", "The cat\nOnce upon a time\nA door\nThe end of the\n");
  }
};

std::vector<json> lines_of(std::string const& text) {
  std::vector<json> out;
  for (auto const& line : prefer::test::split(text, '\n')) {
    if (!line.empty()) out.push_back(json::parse(line));
  }
  return out;
}

}  // namespace

TEST_CASE("sample: neither batch, threads nor other prompts change a completion",
          "[examples][sample]") {
  desk const place("sample");
  auto const usual = place.run(drawing + "--output all.jsonl --quiet");
  INFO(usual.err);
  REQUIRE(usual.code == 0);
  std::string const all = place.content("all.jsonl");
  auto const rows = lines_of(all);
  REQUIRE(rows.size() == 12);
  std::set<std::string> texts;
  for (auto const& row : rows) {
    texts.insert(row.at("completion").get<std::string>());
    CHECK(row.at("tokens").get<int>() >= 1);
    CHECK(row.at("tokens").get<int>() <= 6);
    CHECK((row.at("ended").get<bool>() || row.at("tokens").get<int>() == 6));
  }
  CHECK(texts.size() > 6);
  CHECK(rows[3].at("prompt") == "Once upon a time");
  for (std::string const other : {"--batch 1", "--batch 5", "--threads 2"}) {
    INFO(other);
    std::string arguments = drawing;
    if (other == "--threads 2") arguments = prefer::test::without_flag(arguments, "--threads");
    CHECK(place.run(arguments + other + " --output other.jsonl --quiet").code == 0);
    CHECK(place.content("other.jsonl") == all);
  }
  place.file("prompts.txt", "The cat\nOnce upon a time\n");
  CHECK(place.run(drawing + "--output fewer.jsonl --quiet").code == 0);
  CHECK_THAT(all, StartsWith(place.content("fewer.jsonl")));
  CHECK(lines_of(place.content("fewer.jsonl")).size() == 6);
  auto const seed = place.run(prefer::test::without_flag(drawing, "--seed") +
                              "--seed 6 --output seed.jsonl --quiet");
  CHECK(seed.code == 0);
  CHECK_FALSE(StartsWith(place.content("seed.jsonl")).match(all));
}

TEST_CASE("sample: JSON has the lines of the file and a summary, a terminal the texts",
          "[examples][sample]") {
  desk const place("sample");
  CHECK(place.run(drawing + "--output all.jsonl --quiet").code == 0);
  auto const printed = place.run(drawing + "--json --quiet --scorer lengths");
  CHECK(printed.code == 0);
  auto const rows = lines_of(place.content("all.jsonl"));
  auto lines = lines_of(printed.out);
  REQUIRE(lines.size() == rows.size() + 1);
  double tokens = 0;
  for (std::size_t i = 0; i != rows.size(); ++i) {
    CHECK(lines[i].at("completion") == rows[i].at("completion"));
    CHECK(lines[i].contains("score"));
    tokens += rows[i].at("tokens").get<double>();
  }
  auto const& summary = lines.back();
  CHECK(summary.at("program") == "sample");
  CHECK(summary.at("tuned").at("completions") == 12);
  CHECK(summary.at("tuned").at("tokens").at("mean").get<double>() == Approx(tokens / 12));

  auto const read = place.run(drawing);
  CHECK(read.code == 0);
  CHECK_THAT(read.out, StartsWith("> The cat\n1. ") && Contains("\n\n> Once upon a time\n1. "));
  CHECK_THAT(read.err, Contains("12 completions, "));
}

TEST_CASE("sample: at temperature 0 every completion is the most likely one, whatever the seed",
          "[examples][sample]") {
  desk const place("sample");
  std::string const greedy =
      model + "'The cat' --n 2 --max-tokens 8 --temperature 0 --json --quiet";
  auto const first = lines_of(place.run(greedy).out);
  auto const other = lines_of(place.run(greedy + " --seed 99").out);
  REQUIRE(first.size() == 3);
  CHECK(first[0] == first[1]);
  CHECK(first[0] == other[0]);
}

TEST_CASE("sample: an adapter is compared with the start, and their KL divergence is known",
          "[examples][sample]") {
  desk const place("sample");
  std::string const compare = drawing + "--adapter '" + tiny + "/adapter' --compare --quiet ";
  auto const run = place.run(compare + "--json");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const lines = lines_of(run.out);
  REQUIRE(lines.size() == 25);
  CHECK(lines[0].at("by") == "start");
  CHECK(lines[12].at("by") == "tuned");
  auto const& summary = lines.back();
  // An estimate of something that is never negative, from 12 completions that two policies write differently.
  CHECK(summary.at("tuned").at("kl").at("mean").get<double>() != 0.0);
  CHECK(summary.at("tuned").at("kl").at("standard_error").get<double>() > 0.0);
  CHECK_FALSE(summary.at("start").contains("kl"));
  // What the start writes is what the model writes without the adapter.
  auto const alone = lines_of(place.run(drawing + "--json --quiet").out);
  for (std::size_t i = 0; i != 12; ++i) {
    CHECK(lines[i].at("completion") == alone[i].at("completion"));
  }
  auto const cooler = place.run(compare + "--json --temperature 0.5");
  CHECK_FALSE(lines_of(cooler.out).back().at("tuned").contains("kl"));
  auto const shown = place.run(compare + "--show 1");
  CHECK_THAT(shown.out, Contains("start") && Contains("tuned") && Contains("KL from the start"));
}

TEST_CASE("sample: who is stopped goes on by the same command to the same file",
          "[examples][sample]") {
  desk const place("sample");
  std::string const many =
      prefer::test::without_flag(drawing, "--n") + "--n 2000 --batch 4 --output all.jsonl";
  place.file("stop.sh",
             "'" PREFER_EXAMPLE_SAMPLE "' " + many +
                 " 2>err &\nit=$!\n"
                 "while [ \"$(cat all.jsonl.unfinished 2>/dev/null | wc -l)\" -lt 9 ]; do "
                 "sleep 0.02; done\nkill -INT $it\nwait $it\necho $? >code\n");
  CHECK(place.shell("timeout 60 sh stop.sh") == 0);
  CHECK(place.content("code") == "130\n");
  CHECK_THAT(place.content("err"), Contains("interrupted; what is finished is in "
                                            "all.jsonl.unfinished; to go on: "));
  CHECK_FALSE(place.has("all.jsonl"));
  // The rest of 8000 completions would take a while: those that are kept are what counts.
  auto const kept = lines_of(place.content("all.jsonl.unfinished"));
  REQUIRE(kept.size() > 8);
  auto const other = place.run(drawing + "--output all.jsonl");
  CHECK(other.code == 1);
  CHECK_THAT(other.err,
             Contains("all.jsonl.unfinished: here is unfinished work of other settings"));
  auto const whole = place.run(drawing + "--output whole.jsonl --quiet");
  CHECK(whole.code == 0);
  auto const rows = lines_of(place.content("whole.jsonl"));
  // Completion k of the first prompt has number k in both.
  for (std::size_t k = 0; k != 3; ++k) {
    CHECK(kept[1 + k].at("text") == rows[k].at("completion"));
  }
}

TEST_CASE("make_pairs: pairs of a model's own completions are read as preferences",
          "[examples][make_pairs]") {
  desk const place("make_pairs");
  // Of random bytes few are UTF-8, so that it takes some to find two of them.
  auto const run = place.run(model +
                             "--prompts prompts.txt --n 40 --max-tokens 2 --scorer lengths "
                             "--keep-unfinished --output pairs.jsonl --json");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const summary = lines_of(run.out).at(0);
  std::size_t pairs = 0;
  for (auto const& pair : prefer::data::pairs(place.path("pairs.jsonl"))) {
    ++pairs;
    CHECK(pair.score_margin().value() > 0.0);
  }
  CHECK(summary.at("rows") == pairs);
  CHECK(summary.at("completions") == 160);
  CHECK(summary.at("rows").get<std::size_t>() + summary.at("tied").get<std::size_t>() +
            summary.at("alone").get<std::size_t>() + summary.at("unreadable").get<std::size_t>() ==
        4);
  CHECK_FALSE(place.has("pairs.jsonl.unfinished"));
}

TEST_CASE("make_pairs: completions that were drawn before are judged by numbers or by a command",
          "[examples][make_pairs]") {
  desk const place("make_pairs");
  place.file("done.jsonl",
             "{\"prompt\": \"p\", \"completion\": \"short\"}\n"
             "{\"prompt\": \"p\", \"completion\": \"much longer\"}\n"
             "{\"prompt\": \"q\", \"completion\": \"a\"}\n"
             "{\"prompt\": \"q\", \"completion\": \"b\"}\n");
  place.file("scores.txt", "2\n1\n0\n0\n");
  auto const by_file = place.run("--completions done.jsonl --scores scores.txt");
  CHECK(by_file.code == 0);
  CHECK(by_file.out ==
        "{\"prompt\":\"p\",\"chosen\":\"short\",\"rejected\":\"much longer\",\"score_chosen\":2.0,"
        "\"score_rejected\":1.0}\n");
  CHECK_THAT(by_file.err, Contains("prompts whose completions are ties, dropped: 1"));
  auto const by_command =
      place.run("--completions done.jsonl --scorer-command \"awk '{print length}'\" --rows list");
  CHECK(by_command.code == 0);
  CHECK_THAT(by_command.out,
             StartsWith("{\"prompt\":\"p\",\"completions\":[\"much longer\",\"short\"]"));
  auto const none = place.run("--completions done.jsonl --min-margin 5 --scores scores.txt");
  CHECK(none.code == 1);
  CHECK_THAT(none.err, Contains("no two completions of a prompt could be told apart: no rows"));
}

TEST_CASE("sample and make_pairs: what cannot be is refused in a sentence", "[examples][hostile]") {
  desk const sample("sample");
  std::string const at = "--quiet --model '" + tiny + "' ";
  sample.check_refused("hello", "--model is missing", 2);
  sample.check_refused(at, "there is no prompt", 2);
  sample.check_refused(at + "--raw --prompts prompts.txt hello", "give them in one place", 2);
  sample.check_refused(at + "--raw hello --compare", "--compare needs --adapter", 2);
  sample.check_refused(at + "--raw hello --kl", "--kl needs --adapter", 2);
  sample.check_refused(at + "--raw hello --kl --adapter '" + tiny + "/adapter' --top-k 5",
                       "--kl needs completions of the policy's own distribution", 2);
  sample.check_refused("--model missing.gguf hello", "missing.gguf", 1);
  sample.check_refused(at + "--raw hello --adapter missing", "missing", 1);
  sample.check_refused(at + "--raw hello --max-tokens 100000", "the model's context", 2);
  sample.check_refused(at + "--raw hello --scorer taste",
                       "expected sentiment, lengths or reward:FOLDER", 2);
  sample.check_refused(at + "hello", "chat template", 1);
  sample.file("truncated.gguf", "GGUF");
  sample.check_refused("--model truncated.gguf --raw hello", "truncated.gguf", 1);

  desk const pairs("make_pairs");
  pairs.check_refused("--completions c --model m", "nothing is drawn", 2);
  pairs.check_refused("--scores s --prompts p --model m", "--scores needs --completions", 2);
  pairs.check_refused("--completions c --scores s --scorer lengths", "give one of", 2);
  pairs.check_refused("--completions missing.jsonl", "missing.jsonl", 1);
  pairs.file("c.jsonl", "{\"prompt\": \"p\", \"completion\": \"a\"}\n");
  pairs.check_refused("--completions c.jsonl --scorer-command 'exit 4'", "it ended with 4", 1);
  pairs.check_refused("--completions c.jsonl --output /nowhere/pairs.jsonl", "/nowhere", 1);
  pairs.file("bad.jsonl", "{\"prompt\": \"p\"}\n");
  pairs.check_refused("--completions bad.jsonl", "field \"completion\" is missing", 1);
}

TEST_CASE("sample and make_pairs: numbers, help and flags, as of all programs",
          "[examples][hostile]") {
  std::vector<std::string> const drawn = {"--n",     "--max-tokens", "--temperature", "--top-k",
                                          "--top-p", "--seed",       "--batch",       "--threads"};
  std::string const usual = "--model '" + tiny + "' --raw --prompts prompts.txt --max-tokens 2";
  std::vector<std::string> of_sample = drawn;
  of_sample.push_back("--show");
  std::vector<std::string> of_pairs = drawn;
  of_pairs.push_back("--min-margin");
  // At temperature 0 all completions are alike, and there is no pair.
  of_pairs.erase(std::find(of_pairs.begin(), of_pairs.end(), "--temperature"));
  hostile_case const both[] = {
      {"sample", PREFER_EXAMPLE_SAMPLE, usual, of_sample},
      {"make_pairs", PREFER_EXAMPLE_MAKE_PAIRS,
       usual + " --n 40 --keep-unfinished --scorer lengths --output pairs.jsonl", of_pairs}};
  for (hostile_case const& each : both) {
    prefer::test::check_numbers(desk(each.name), each);
    prefer::test::check_help(each);
    prefer::test::check_flags(each);
  }
}
