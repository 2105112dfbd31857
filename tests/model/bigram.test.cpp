// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>

#include "bigram_by_hand.hpp"
#include "token_sequences.hpp"

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;

TEST_CASE("bigram: log_prob is the log of the product along the sequence", "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  auto const data = data_by_hand();
  std::vector<double> out(2);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(std::log(1 / 32.0)));
  CHECK(out[1] == Approx(std::log(1 / 8.0)));
  std::vector<double> token(4);
  policy.token_log_prob(data.batch(), token);
  CHECK(token[0] == Approx(std::log(3 / 6.0)));
  CHECK(token[1] == Approx(std::log(1 / 8.0)));
  CHECK(token[2] == Approx(std::log(1 / 2.0)));
  CHECK(token[3] == Approx(std::log(1 / 8.0)));
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  CHECK(offset == std::vector<std::size_t>{0, 3, 4});
}

TEST_CASE("bigram: probabilities of all sequences of a length add up to 1", "[policy][bigram]") {
  auto const all = token_table::all_of_length(3, 4);
  auto policy = test::filled_bigram<double>(3, all);
  std::vector<std::uint32_t> ids(all.size());
  for (std::size_t i = 0; i != ids.size(); ++i) ids[i] = static_cast<std::uint32_t>(i);
  REQUIRE(ids.size() == 81);
  choice_data data;
  for (std::uint32_t x = 0; x != 3; ++x) data.add_list(x, ids);
  std::vector<double> out(data.completion.size());
  policy.log_prob(data.batch(), out);
  for (std::size_t x = 0; x != 3; ++x) {
    double sum = 0;
    for (std::size_t i = 0; i != 81; ++i) sum += std::exp(out[x * 81 + i]);
    CHECK(sum == Approx(1).epsilon(rounding));
  }
}

TEST_CASE("bigram: with one token per completion it is the tabular policy", "[policy][bigram]") {
  auto const single = token_table::all_of_length(5, 1);
  auto policy = test::filled_bigram<float>(5, single);
  tabular<float> same(5, 5);
  test::fill_parameters(same, 3, 2.0);
  auto const data = test::lists(20, 5, 5);
  auto const coefficient = test::numbers<float>(data.completion.size(), 6);
  test::outcome<bigram<float>> const ours(policy, data, coefficient);
  test::outcome<tabular<float>> const theirs(same, data, coefficient);
  CHECK(test::same_bytes(ours.log_prob, theirs.log_prob));
  CHECK(test::same_bytes(ours.gradient, theirs.gradient));
}

TEST_CASE("bigram: rows of the prompts alone say what a whole table says of one token",
          "[policy][bigram]") {
  auto const single = token_table::all_of_length(5, 1);
  auto whole = test::filled_bigram<double>(5, single);
  auto const logits = whole.parameters()[0].value;
  bigram<double> part(5, single, {logits.begin(), logits.begin() + 10});
  auto const data = test::lists(20, 2, 5);
  auto const coefficient = test::numbers<double>(data.completion.size(), 6);
  test::outcome<bigram<double>> const ours(part, data, coefficient);
  test::outcome<bigram<double>> const theirs(whole, data, coefficient);
  CHECK(test::same_bytes(ours.log_prob, theirs.log_prob));
  CHECK(part.parameters()[0].shape == tensor_shape{2, 5});
  REQUIRE(ours.gradient.size() == 10);
  for (std::size_t i = 0; i != 10; ++i) CHECK(ours.gradient[i] == theirs.gradient[i]);
  auto const written = [](bigram<double> const& by) {
    token_table table;
    std::vector<std::uint32_t> ids(40);
    by.sample(std::vector<std::uint32_t>(40, 1), {.max_tokens = 1}, {.seed = 3}, table, ids);
    std::vector<std::uint32_t> out;
    for (std::uint32_t const id : ids) out.push_back(table.tokens(id)[0]);
    return out;
  };
  CHECK(written(part) == written(whole));
  CHECK(part.identity() != whole.identity());

  // A token that nothing may follow is refused where something does, and a prompt that has no row.
  token_table pairs;
  pairs.add(std::vector<std::uint32_t>{1, 4});
  pairs.add(std::vector<std::uint32_t>{2, 0});
  bigram<double> two(5, pairs, std::vector<double>(10));
  std::vector<double> out(1);
  choice_data good, followed, prompt;
  good.add_list(1, std::vector<std::uint32_t>{0});
  followed.add_list(1, std::vector<std::uint32_t>{1});
  prompt.add_list(2, std::vector<std::uint32_t>{0});
  two.log_prob(good.batch(), out);
  CHECK(out[0] == Approx(2 * std::log(0.2)));
  CHECK_THROWS_WITH(two.log_prob(followed.batch(), out),
                    Contains("completion 1 has token 2, expected less than 2"));
  CHECK_THROWS_WITH(two.log_prob(prompt.batch(), out),
                    Contains("prompt of group 0 is 2, expected less than 2"));
  bigram<double> const square(5, pairs);
  CHECK_THROWS_WITH(two.evaluate(good.batch(), {.divergence = out}, square),
                    Contains("the reference has 5 rows of logits, expected 2"));
  CHECK_THROWS_WITH((bigram<double>(5, pairs, std::vector<double>(12))),
                    Contains("logits has 12 elements, expected 25"));
}

TEST_CASE("bigram: the gradient of log_prob agrees with differences", "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  test::check_gradient(test::filled_bigram<double>(7, table), test::lists(12, 7, 20));
}

TEST_CASE("bigram: the gradient of token log-probabilities agrees with differences",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<double>(7, table);
  auto const data = test::lists(12, 7, 20);
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  auto const coefficient = test::numbers<double>(offset.back(), 12);
  policy.token_backward(data.batch(), coefficient);
  policy.finish_backward();
  std::vector<double> out(offset.back());
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    policy.token_log_prob(data.batch(), out);
    return test::weighted_sum(coefficient, out);
  });
}

TEST_CASE("bigram: one coefficient for all tokens of a completion is its coefficient",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<float>(7, table);
  auto const data = test::lists(12, 7, 20);
  auto const coefficient = test::numbers<float>(data.completion.size(), 12);
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  std::vector<float> repeated;
  for (std::size_t i = 0; i != coefficient.size(); ++i) {
    repeated.insert(repeated.end(), offset[i + 1] - offset[i], coefficient[i]);
  }
  auto copy = policy;
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  copy.token_backward(data.batch(), repeated);
  copy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(policy), test::gradient_of(copy)));
}

TEST_CASE("bigram: bits do not depend on cuts and threads", "[policy][bigram]") {
  auto const wide = test::table_of(150, 40);
  test::check_bits(test::filled_bigram<float>(150, wide), test::lists(40, 150, 40));
  auto const narrow = test::table_of(3, 40);
  test::check_bits(test::filled_bigram<double>(3, narrow), test::lists(40, 3, 40));
}

TEST_CASE("bigram: next-token probabilities are those of a batch", "[policy][bigram]") {
  auto const single = token_table::all_of_length(7, 1);
  auto policy = test::filled_bigram<float>(7, single);
  std::vector<float> row(7);
  std::vector<float> batch(7);
  choice_data data;
  data.add_list(4, std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6});
  policy.token_log_probs(4, row);
  policy.log_prob(data.batch(), batch);
  CHECK(test::same_bytes(row, batch));
}

TEST_CASE("bigram: NaN flows through", "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  policy.parameters()[0].value[6] = std::nan("");
  auto const data = data_by_hand();
  std::vector<double> out(2);
  policy.log_prob(data.batch(), out);
  CHECK(std::isnan(out[0]));
  policy.evaluate(data.batch(), {.divergence = out}, bigram<double>(3, table));
  CHECK(std::isnan(out[0]));
  policy.evaluate(data.batch(), {.alignment = out});
  CHECK(std::isnan(out[0]));
  policy.evaluate(data.batch(), {.entropy = out});
  CHECK(std::isnan(out[0]));
}

TEST_CASE("bigram: what does not fit is refused by every member", "[policy][bigram]") {
  token_table table;
  table.add(std::vector<std::uint32_t>{1, 0});
  table.add(std::vector<std::uint32_t>{2, 3});
  bigram<double> policy(3, table);
  bigram<double> const wide(4, table);
  std::vector<double> one(1);
  std::vector<double> two(2);
  std::vector<double> three(3);
  auto const refused = [&](choice_batch const& batch, std::vector<double>& column,
                           std::string const& why) {
    CHECK_THROWS_WITH(policy.log_prob(batch, column), Contains("bigram::log_prob: " + why));
    CHECK_THROWS_WITH(policy.backward(batch, column), Contains("bigram::backward: " + why));
  };
  auto const refused_by_evaluate = [&](choice_batch const& batch, std::string const& why) {
    std::vector<double> column(batch.completions());
    CHECK_THROWS_WITH(policy.evaluate(batch, {.entropy = column}),
                      Contains("bigram::evaluate: " + why));
    CHECK_THROWS_WITH(policy.evaluate(batch, {.divergence = column}, policy),
                      Contains("bigram::evaluate: " + why));
    CHECK_THROWS_WITH(policy.backward(batch, {.divergence = column}, policy),
                      Contains("bigram::backward: " + why));
  };
  choice_data good;
  good.add_list(0, std::vector<std::uint32_t>{0});
  refused(good.batch(), two, "the column of values has 2 elements, expected 1");
  choice_data prompt;
  prompt.add_list(3, std::vector<std::uint32_t>{0});
  refused(prompt.batch(), one, "prompt of group 0 is 3, expected less than 3");
  refused_by_evaluate(prompt.batch(), "prompt of group 0 is 3, expected less than 3");
  choice_data unknown;
  unknown.add_list(0, std::vector<std::uint32_t>{2});
  refused(unknown.batch(), one, "completion 0 is 2, expected less than 2");
  refused_by_evaluate(unknown.batch(), "completion 0 is 2, expected less than 2");
  choice_data token;
  token.add_list(0, std::vector<std::uint32_t>{1});
  refused(token.batch(), one, "completion 1 has token 3, expected less than 3");
  refused_by_evaluate(token.batch(), "completion 1 has token 3, expected less than 3");

  CHECK_THROWS_WITH(policy.token_log_prob(good.batch(), three),
                    Contains("bigram::token_log_prob: the column of token values has 3 elements, "
                             "expected 2"));
  CHECK_THROWS_WITH(policy.token_backward(good.batch(), one),
                    Contains("bigram::token_backward: the column of token values has 1 elements, "
                             "expected 2"));
  CHECK_THROWS_WITH(policy.evaluate(good.batch(), {.log_prob = one, .alignment = two}),
                    Contains("bigram::evaluate: alignment has 2 elements, expected 1"));
  CHECK_THROWS_WITH(policy.backward(good.batch(), {.divergence = two}, policy),
                    Contains("bigram::backward: divergence has 2 elements, expected 1"));
  CHECK_THROWS_WITH(policy.evaluate(good.batch(), {.divergence = one}, wide),
                    Contains("bigram::evaluate: the reference has a vocabulary of 4, expected 3"));
  CHECK_THROWS_WITH(policy.token_log_probs(3, three),
                    Contains("bigram::token_log_probs: prompt is 3, expected less than 3"));
  CHECK_THROWS_WITH((bigram<double>(0, table)), Contains("vocabulary must be greater than zero"));
  CHECK_THROWS_WITH((bigram<double>(2, table, {1, 2, 3})),
                    Contains("logits has 3 elements, expected 4"));

  policy.finish_backward();
  CHECK(test::gradient_of(policy) == std::vector<double>(9));
}

TEST_CASE("bigram: a table may grow after its policy is made", "[policy][bigram]") {
  token_table table;
  bigram<double> policy(2, table);
  table.add(std::vector<std::uint32_t>{0, 1, 1});
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  std::vector<double> out(1);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(3 * std::log(0.5)));
}

TEST_CASE("bigram: is a value", "[policy][bigram]") {
  auto const table = test::table_of(5, 20);
  test::check_value_semantics(test::filled_bigram<float>(5, table), test::lists(10, 5, 20));
}

TEST_CASE("bigram: is found inside of references, if it is of the same type", "[policy][bigram]") {
  STATIC_REQUIRE(BigramReference<bigram<float>, float>);
  STATIC_REQUIRE(BigramReference<frozen<bigram<float>>, float>);
  STATIC_REQUIRE(BigramReference<frozen<frozen<bigram<float>>>, float>);
  STATIC_REQUIRE_FALSE(BigramReference<frozen<bigram<float>>, double>);
  STATIC_REQUIRE_FALSE(BigramReference<no_reference<float>, float>);
  STATIC_REQUIRE_FALSE(BigramReference<frozen<tabular<float>>, float>);
  token_table const table;
  frozen const reference(bigram<float>(3, table));
  CHECK(&bigram_of<float>(reference) == &reference.policy());
}
