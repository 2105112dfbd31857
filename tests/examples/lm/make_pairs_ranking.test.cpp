// SPDX-License-Identifier: MIT
//
// What make_pairs makes of completions that have scores, and that prefer::data reads it as it is meant.
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <make_pairs/ranking.hpp>

#include <prefer/data/preference.hpp>

namespace {

namespace data = prefer::data;
using make_pairs::ranking;
using make_pairs::row_form;
using sample::answers;
using sample::completion;

data::turns chat(std::string const& text) {
  return data::conversation{data::message{"user", text}};
}
data::turns answer(std::string const& text) {
  return data::conversation{data::message{"assistant", text}};
}

completion scored(std::string text, double score, std::size_t tokens = 1, bool ended = true) {
  return {std::move(text), tokens, ended, score};
}

std::vector<data::preference_pair> read(std::vector<std::string> const& rows) {
  std::vector<data::preference_pair> out;
  for (auto const& row : rows) {
    for (auto const& pair : data::pairs_in(row)) out.push_back(pair);
  }
  return out;
}

}  // namespace

TEST_CASE("ranking: the first of the best is preferred to the first of the worst",
          "[examples][make_pairs]") {
  ranking by({.form = row_form::best_worst});
  auto const pairs = read(by.rows_of({chat("End it."),
                                      {scored("a", 0.5, 2), scored("b", 1, 4), scored("c", -1, 3),
                                       scored("d", 1, 9), scored("e", -1, 9)}}));
  REQUIRE(pairs.size() == 1);
  CHECK(pairs[0].prompt == chat("End it."));
  CHECK(pairs[0].chosen == answer("b"));
  CHECK(pairs[0].rejected == answer("c"));
  CHECK(pairs[0].score_chosen == 1.0);
  CHECK(pairs[0].score_rejected == -1.0);
  CHECK(by.counted().rows == 1);
  CHECK(by.counted().tokens_best == 4.0);
  CHECK(by.counted().tokens_worst == 3.0);
}

TEST_CASE("ranking: all pairs are those that are further apart than the margin",
          "[examples][make_pairs]") {
  ranking by({.form = row_form::all_pairs, .min_margin = 0.5});
  auto const pairs = read(by.rows_of({"Once", {scored("a", 0), scored("b", 1), scored("c", 0.5)}}));
  REQUIRE(pairs.size() == 1);  // 1 over 0; 1 over 0.5 and 0.5 over 0 are 0.5 apart and no more
  CHECK(pairs[0].chosen == data::turns("b"));
  CHECK(pairs[0].rejected == data::turns("a"));
  CHECK(by.counted().tied == 2);

  ranking finer({.form = row_form::all_pairs});
  CHECK(finer.rows_of({"Once", {scored("a", 0), scored("b", 1), scored("c", 0.5)}}).size() == 3);
}

TEST_CASE("ranking: a list has the best first and of equal scores the first alone",
          "[examples][make_pairs]") {
  ranking by({.form = row_form::list});
  auto const rows = by.rows_of(
      {chat("Go on."), {scored("a", 0), scored("b", 2), scored("c", 2), scored("d", 1)}});
  REQUIRE(rows.size() == 1);
  std::vector<data::scored_completions> lists;
  for (auto const& list : data::scored_in(rows[0])) lists.push_back(list);
  REQUIRE(lists.size() == 1);
  CHECK(lists[0].prompt == chat("Go on."));
  CHECK(lists[0].completions == std::vector<data::turns>{answer("b"), answer("d"), answer("a")});
  CHECK(lists[0].score == std::vector<double>{2, 1, 0});
}

TEST_CASE("ranking: what is left out is counted once, under its reason", "[examples][make_pairs]") {
  ranking by({});
  CHECK(by.rows_of({"p",
                    {scored("same", 1), scored("same", 1), scored(" \n", -1),
                     scored("cut", -1, 9, false), scored("half \xEF\xBF\xBD", 0)}})
            .empty());
  CHECK(by.rows_of({"q", {scored("a", 1), scored("b", 1)}}).empty());
  CHECK(by.rows_of({"r", {}}).empty());
  auto const& counted = by.counted();
  CHECK(counted.prompts == 3);
  CHECK(counted.completions == 7);
  CHECK(counted.repeated == 1);
  CHECK(counted.blank == 1);
  CHECK(counted.unfinished == 1);
  CHECK(counted.broken == 1);
  CHECK(counted.alone == 2);
  CHECK(counted.tied == 1);
  CHECK(counted.rows == 0);

  ranking keeping({.keep_unfinished = true});
  CHECK(keeping.rows_of({"p", {scored("a", 1), scored("cut", -1, 9, false)}}).size() == 1);
}

TEST_CASE("ranking: every row is read as it was meant, or is none", "[examples][make_pairs]") {
  // Texts that a reader of preferences would take for something else: completions that repeat the prompt, in whole or in
  // part, quotes, line ends, fields.
  std::string const prompt = "The quick brown fox jumps over the fence.";
  std::vector<std::string> const texts = {prompt + " It ran.",
                                          prompt + " It slept.",
                                          "x\n\n\"y\"",
                                          "{\"chosen\": 1}",
                                          " leading",
                                          "fox",
                                          prompt};
  for (bool const messages : {false, true}) {
    data::turns const asked = messages ? chat(prompt) : data::turns(prompt);
    std::size_t rows = 0;
    std::size_t dropped = 0;
    for (auto const& better : texts) {
      for (auto const& worse : texts) {
        if (better == worse) continue;
        INFO(better << " | " << worse);
        ranking by({});
        auto const read_back = read(by.rows_of({asked, {scored(worse, 0), scored(better, 1)}}));
        REQUIRE(read_back.size() + by.counted().unreadable == 1);
        dropped += by.counted().unreadable;
        if (read_back.empty()) continue;
        ++rows;
        CHECK(read_back[0].prompt == asked);
        CHECK(read_back[0].chosen == (messages ? answer(better) : data::turns(better)));
        CHECK(read_back[0].rejected == (messages ? answer(worse) : data::turns(worse)));
      }
    }
    CHECK(rows > 0);
    if (messages) CHECK(dropped == 0);
    if (!messages) CHECK(dropped > 0);  // the reader takes a repeated prompt for the prompt
  }
}
