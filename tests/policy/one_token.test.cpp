// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/model/tabular.hpp>
#include <prefer/policy/one_token.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/reference/frozen.hpp>

#include "support/message_of.hpp"

namespace {

using namespace prefer;
using table = tabular<double>;
using numbers = std::vector<double>;
using ids = std::vector<std::uint32_t>;

static_assert(check::sampling_policy<one_token<table>>());
static_assert(check::token_policy<one_token<table>, choice_batch>());
static_assert(TokenReference<frozen<one_token<table>>, choice_batch>);

numbers logits() { return {0.5, -1.0, 0.25, 0.0, 1.5, -0.5}; }

}  // namespace

TEST_CASE("one_token: log-probabilities and gradients are those of the choices inside",
          "[policy]") {
  token_table words;
  // Numbers of completions in the table that are none of their choices.
  for (std::uint32_t const choice : {2U, 0U, 1U}) words.add(ids{choice});
  one_token policy(table(2, 3, logits()), words);
  table alone(2, 3, logits());
  choice_data data, choices;
  for (std::uint32_t i = 0; i != 4; ++i) {
    data.add_labelled(i % 2, i % 3, true);
    choices.add_labelled(i % 2, words.tokens(i % 3)[0], true);
  }
  numbers ours(4), by_token(4), theirs(4);
  policy.log_prob(data.batch(), ours);
  policy.token_log_prob(data.batch(), by_token);
  alone.log_prob(choices.batch(), theirs);
  CHECK(ours == theirs);
  CHECK(by_token == theirs);
  numbers const coefficient = {0.5, -1.0, 2.0, 0.25};
  policy.token_backward(data.batch(), coefficient);
  policy.finish_backward();
  alone.backward(choices.batch(), coefficient);
  alone.finish_backward();
  auto const of = [](auto& model) {
    auto const gradient = model.parameters()[0].gradient;
    return numbers(gradient.begin(), gradient.end());
  };
  CHECK(of(policy) == of(alone));
}

TEST_CASE("one_token: choices come as often as they are probable, whoever is asked beside",
          "[policy]") {
  token_table words;
  one_token const policy(table(2, 3, logits()), words);
  constexpr std::size_t count = 20'000;
  ids prompts(count, 1);
  prompts[1] = 0;
  ids written(count);
  random_address const from{.seed = 4, .purpose = random_purpose::completion};
  policy.sample(prompts, {.max_tokens = 1}, from, words, written);
  numbers expected(3), seen(3);
  policy.policy().log_probs(1, expected);
  for (std::size_t i = 2; i != count; ++i) seen[words.tokens(written[i])[0]] += 1.0 / count;
  for (std::size_t y = 0; y != 3; ++y) {
    double const p = std::exp(expected[y]);
    CHECK(std::fabs(seen[y] - p) < 5 * std::sqrt(p * (1 - p) / count));
  }
  // One alone, at its own address.
  random_address third = from;
  third.index = 3;
  ids alone(1);
  policy.sample(ids{1}, {.max_tokens = 1}, third, words, alone);
  CHECK(words.tokens(alone[0])[0] == words.tokens(written[3])[0]);
}

TEST_CASE("one_token: a completion of two tokens is refused", "[policy]") {
  token_table words;
  words.add(ids{1, 2});
  one_token policy(table(2, 3), words);
  choice_data data;
  data.add_labelled(0, 0, true);
  numbers out(1);
  CHECK(test::message_of([&] { policy.log_prob(data.batch(), out); }) ==
        "one_token: completion 0 has 2 tokens, expected 1");
}
