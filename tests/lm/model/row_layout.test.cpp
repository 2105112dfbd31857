// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/lm/model/row_layout.hpp>

using prefer::lm::row_layout;
using prefer::lm::row_question;
using prefer::lm::row_scoring;
using prefer::lm::token_segment;

namespace {

using tokens = std::vector<std::uint32_t>;

// Groups of a prompt and its completions, as numbers of tables.
struct groups {
  prefer::token_sequences texts;
  std::vector<std::uint32_t> prompt;
  std::vector<std::uint32_t> completion;
  std::vector<std::size_t> offset = {0};

  groups& add(tokens const& x, std::vector<tokens> const& ys) {
    prompt.push_back(texts.prompts.add(x));
    for (auto const& y : ys) completion.push_back(texts.completions.add(y));
    offset.push_back(completion.size());
    return *this;
  }
  [[nodiscard]] prefer::choice_batch batch() const {
    return {.prompt = prompt, .completion = completion, .offset = offset};
  }
  [[nodiscard]] row_layout layout(prefer::lm::text_limits limits = {100, 100},
                                  row_question const& asked = {}) const {
    row_layout out;
    out.lay_out(batch(), texts, limits, 0, prompt.size(), "test", asked);
    return out;
  }
};

template <class T>
std::vector<T> listed(std::span<T const> of) {
  return {of.begin(), of.end()};
}

// The tokens that a row sees: its own segment up to it, and all above.
tokens seen_from(row_layout const& of, std::size_t row) {
  std::size_t s = 0;
  while (of.segments()[s].first_row + of.segments()[s].rows <= row) ++s;
  tokens out;
  for (std::size_t end = row + 1;;) {
    token_segment const& each = of.segments()[s];
    auto const part = of.token().subspan(each.first_row, end - each.first_row);
    out.insert(out.begin(), part.begin(), part.end());
    if (each.parent == token_segment::no_parent) return out;
    s = each.parent;
    end = of.segments()[s].first_row + of.segments()[s].rows;
  }
}

}  // namespace

TEST_CASE("row_layout: what a pair begins with alike is there once, and last tokens have no row",
          "[lm][row_layout]") {
  auto const of = groups().add({1, 2}, {{3, 4, 5}, {3, 6}}).layout();
  CHECK(listed(of.token()) == tokens{1, 2, 3, 4});
  CHECK(listed(of.position()) == tokens{0, 1, 2, 3});
  // From row 1 both completions' 3, from row 2 one's 4 and the other's 6, from row 3 the 5.
  CHECK(listed(of.scored_rows()) == std::vector<std::size_t>{1, 2, 3});
  CHECK(listed(of.scored_from()) == tokens{0, 1, 2, 0, 1});
  CHECK(listed(of.target()) == tokens{3, 4, 5, 3, 6});
  CHECK(listed(of.token_offset()) == std::vector<std::size_t>{0, 3, 5});
}

TEST_CASE("row_layout: a list is a tree, each segment behind its parent", "[lm][row_layout]") {
  auto const of =
      groups().add({9}, {{1, 2, 3, 4}, {1, 2, 7, 7}, {1, 8, 8}, {5, 5}, {1, 2}}).layout();
  //  9 -> 1 -> 2 -> 3
  //       |    '--> 7
  //       '--> 8
  //  '--> 5
  CHECK(listed(of.token()) == tokens{9, 1, 2, 3, 7, 8, 5});
  REQUIRE(of.segments().size() == 7);
  std::vector<std::uint32_t> parents;
  for (auto const& each : of.segments()) parents.push_back(each.parent);
  CHECK(parents == tokens{token_segment::no_parent, 0, 1, 2, 2, 1, 0});
  CHECK(listed(of.position()) == tokens{0, 1, 2, 3, 3, 2, 1});
}

TEST_CASE("row_layout: every token is scored from a row that sees the prompt and what came before",
          "[lm][row_layout]") {
  // Completions over two tokens share beginnings of every kind: equal ones, prefixes of each other, and none.
  std::uint32_t state = 1;
  auto const draw = [&](std::uint32_t n) {
    return ((state = state * 1664525U + 1013904223U) >> 16) % n;
  };
  groups all;
  for (int g = 0; g != 40; ++g) {
    std::vector<tokens> ys(1 + draw(6));
    for (auto& y : ys) {
      y.resize(1 + draw(5));
      for (auto& token : y) token = draw(2);
    }
    tokens x(1 + draw(3));
    for (auto& token : x) token = draw(2);
    all.add(x, ys);
  }
  auto const of = all.layout();
  auto const batch = all.batch();
  REQUIRE_NOTHROW(prefer::lm::expects_segments(of.segments(), of.rows(), "test"));
  std::size_t t = 0;
  for (std::size_t g = 0; g != batch.size(); ++g) {
    auto const x = all.texts.prompts.tokens(batch.prompt[g]);
    for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
      tokens before(x.begin(), x.end());
      for (std::uint32_t const token : all.texts.completions.tokens(batch.completion[i])) {
        std::size_t const row = of.scored_rows()[of.scored_from()[t]];
        REQUIRE(of.target()[t] == token);
        REQUIRE(seen_from(of, row) == before);
        REQUIRE(of.group_rows()[g] <= row);
        REQUIRE(row < of.group_rows()[g + 1]);
        before.push_back(token);
        ++t;
      }
      REQUIRE(of.token_offset()[i + 1] == t);
    }
    REQUIRE(of.group_tokens()[g + 1] == t);
  }
  // No two rows of a group see the same: nothing is computed twice.
  for (std::size_t g = 0; g != batch.size(); ++g) {
    std::vector<tokens> seen;
    for (std::size_t r = of.group_rows()[g]; r != of.group_rows()[g + 1]; ++r) {
      for (auto const& other : seen) REQUIRE(other != seen_from(of, r));
      seen.push_back(seen_from(of, r));
    }
  }
}

TEST_CASE("row_layout: where completions are scored, each is from the row of its last token",
          "[lm][row_layout]") {
  groups const all = groups()
                         .add({9}, {{1, 2, 3, 4}, {1, 2, 7, 7}, {1, 2}, {5}, {1, 2}})
                         .add({1, 2}, {{3, 4, 5}, {3, 6}});
  auto const of = all.layout({100, 100}, {row_scoring::completions});
  CHECK(listed(of.token()) == tokens{9, 1, 2, 3, 4, 7, 7, 5, 1, 2, 3, 4, 5, 6});
  REQUIRE(of.tokens() == 7);
  CHECK(listed(of.group_tokens()) == std::vector<std::size_t>{0, 5, 7});
  // Two completions are the same, and one row.
  CHECK(of.scored_rows().size() == 6);
  auto const batch = all.batch();
  for (std::size_t g = 0; g != batch.size(); ++g) {
    for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
      auto const x = all.texts.prompts.tokens(batch.prompt[g]);
      auto const y = all.texts.completions.tokens(batch.completion[i]);
      tokens whole(x.begin(), x.end());
      whole.insert(whole.end(), y.begin(), y.end());
      CHECK(seen_from(of, of.scored_rows()[of.scored_from()[i]]) == whole);
      CHECK(of.target()[i] == y.back());
    }
  }
  // The last token needs a position here.
  CHECK_NOTHROW(all.layout({100, 5}, {row_scoring::completions}));
  CHECK_THROWS_WITH(
      all.layout({100, 4}, {row_scoring::completions}),
      "test: row 0 (prompt 0, completion 0) takes 5 positions, the model's context is 4");
}

TEST_CASE(
    "row_layout: where steps are scored, each is from the row of the token before, the last too",
    "[lm][row_layout]") {
  groups const all = groups().add({9, 8}, {{1, 2, 3}, {1, 2, 4}, {1, 2}}).add({1}, {{3}});
  // The second was cut off: it has no state after its end.
  std::vector<std::size_t> const steps = {0, 4, 7, 10, 12};
  auto const of = all.layout({100, 100}, {row_scoring::steps, steps});
  CHECK(listed(of.token()) == tokens{9, 8, 1, 2, 3, 1, 3});
  CHECK(listed(of.group_tokens()) == std::vector<std::size_t>{0, 10, 12});
  CHECK(listed(of.token_offset()) == steps);
  auto const batch = all.batch();
  for (std::size_t g = 0; g != batch.size(); ++g) {
    for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
      auto const x = all.texts.prompts.tokens(batch.prompt[g]);
      auto const y = all.texts.completions.tokens(batch.completion[i]);
      tokens before(x.begin(), x.end());
      for (std::size_t step = steps[i]; step != steps[i + 1]; ++step) {
        CHECK(seen_from(of, of.scored_rows()[of.scored_from()[step]]) == before);
        if (step - steps[i] != y.size()) before.push_back(y[step - steps[i]]);
      }
    }
  }
  // Without a state after the end the last token needs no position.
  groups const one = groups().add({9, 8}, {{1, 2}});
  std::vector<std::size_t> const cut = {0, 2};
  std::vector<std::size_t> const ended = {0, 3};
  std::vector<std::size_t> const other = {0, 4};
  CHECK_NOTHROW(one.layout({100, 3}, {row_scoring::steps, cut}));
  CHECK_THROWS_WITH(
      one.layout({100, 3}, {row_scoring::steps, ended}),
      "test: row 0 (prompt 0, completion 0) takes 4 positions, the model's context is 3");
  CHECK_THROWS_WITH(one.layout({100, 9}, {row_scoring::steps, other}),
                    "test: row 0 (prompt 0, completion 0) has 2 tokens and 4 steps; expected as "
                    "many, or one more");
}

TEST_CASE("row_layout: a text longer than the context and a token that is none are refused by row",
          "[lm][row_layout]") {
  groups const two = groups().add({1, 2}, {{3}}).add({1, 2, 3}, {{4, 5}, {6}});
  CHECK_NOTHROW(two.layout({100, 4}));  // the last token needs no position
  CHECK_THROWS_WITH(
      two.layout({100, 3}),
      "test: row 1 (prompt 1, completion 1) takes 4 positions, the model's context is 3");
  CHECK_THROWS_WITH(
      two.layout({6, 4}),
      "test: row 1 (prompt 1, completion 2) has token 6, the model's vocabulary is 6");
}
