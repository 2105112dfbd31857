// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/batch/step_pairs.hpp>
#include <string>
#include <vector>

using namespace prefer;
using Catch::Matchers::Contains;
using tokens = std::vector<std::uint32_t>;

namespace {

tokens of(token_table const& table, std::uint32_t id) {
  auto const view = table.tokens(id);
  return {view.begin(), view.end()};
}

tokens const question = {1, 2};
tokens const so_far = {3, 4, 5};
tokens const better = {6};
tokens const worse = {7, 8};

}  // namespace

TEST_CASE("step_pairs: in the completion, both share the correct steps and the last part counts",
          "[batch][step_pairs]") {
  step_pairs pairs(step_context::in_completion);
  pairs.add({.prompt = question, .correct = so_far, .preferred = better, .wrong = worse});
  auto const& data = pairs.data();
  REQUIRE(data.size() == 1);
  CHECK(of(pairs.prompts(), data.prompt[0]) == question);
  CHECK(of(pairs.completions(), data.completion[0]) == tokens{3, 4, 5, 6});
  CHECK(of(pairs.completions(), data.completion[1]) == tokens{3, 4, 5, 7, 8});
  CHECK(pairs.counted() == std::vector<token_range>{{3, 4}, {3, 5}});
  CHECK(data.length == std::vector<float>{1, 2});
  CHECK(data.offset == std::vector<std::size_t>{0, 2});
}

TEST_CASE("step_pairs: in the prompt, the correct steps belong to it and the step is all there is",
          "[batch][step_pairs]") {
  step_pairs pairs(step_context::in_prompt);
  pairs.add({.prompt = question, .correct = so_far, .preferred = better, .wrong = worse});
  auto const& data = pairs.data();
  CHECK(of(pairs.prompts(), data.prompt[0]) == tokens{1, 2, 3, 4, 5});
  CHECK(of(pairs.completions(), data.completion[0]) == better);
  CHECK(of(pairs.completions(), data.completion[1]) == worse);
  CHECK(pairs.counted() == std::vector<token_range>{{0, 1}, {0, 2}});
  CHECK(data.length == std::vector<float>{1, 2});
}

TEST_CASE("step_pairs: a prompt can become its last token", "[batch][step_pairs]") {
  step_pairs in_prompt(step_context::in_prompt);
  step_pairs in_completion(step_context::in_completion);
  for (auto* pairs : {&in_prompt, &in_completion}) {
    pairs->add({.prompt = question, .correct = so_far, .preferred = better, .wrong = worse});
    pairs->add({.prompt = question, .correct = {}, .preferred = better, .wrong = worse});
    pairs->prompt_is_last_token();
  }
  CHECK(in_prompt.data().prompt == tokens{5, 2});
  CHECK(in_completion.data().prompt == tokens{2, 2});
  CHECK_THROWS_WITH(in_prompt.prompt_is_last_token(), Contains("last tokens already"));
  CHECK_THROWS_WITH(in_prompt.add({question, so_far, better, worse}),
                    Contains("last tokens already; add first"));
}

TEST_CASE("step_pairs: what is no pair of steps is refused and not added", "[batch][step_pairs]") {
  step_pairs pairs(step_context::in_completion);
  pairs.add({question, so_far, better, worse});
  CHECK_THROWS_WITH(pairs.add({{}, so_far, better, worse}), Contains("a prompt has at least one"));
  CHECK_THROWS_WITH(pairs.add({question, so_far, {}, worse}), Contains("a step has at least one"));
  CHECK_THROWS_WITH(pairs.add({question, so_far, better, {}}), Contains("a step has at least one"));
  CHECK_THROWS_WITH(pairs.add({question, so_far, worse, worse}),
                    "step_pairs::add: the preferred step of pair 1 equals the wrong one");
  CHECK(pairs.data().size() == 1);
  CHECK(pairs.prompts().size() == 1);
  CHECK(pairs.completions().size() == 2);
  CHECK(pairs.counted().size() == 2);
  CHECK(pairs.data().length.size() == 2);
}
