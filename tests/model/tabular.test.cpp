// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include <prefer/model/tabular.hpp>

#include "choice_policy.hpp"

using namespace prefer;

namespace {

template <class T>
tabular<T> filled(std::size_t prompts, std::size_t completions) {
  tabular<T> policy(prompts, completions);
  test::fill_parameters(policy, 3, 2.0);
  return policy;
}

// Logits 0, log 2, log 3: probabilities 1/6, 2/6, 3/6 for prompt 1.
tabular<double> sixths() { return {2, 3, {0, 0, 0, 0, std::log(2.0), std::log(3.0)}}; }

}  // namespace

TEST_CASE("tabular: log-probabilities are those of the softmax", "[policy][tabular]") {
  auto policy = sixths();
  choice_data data;
  data.add_list(1, std::vector<std::uint32_t>{0, 1, 2});
  data.add_list(0, std::vector<std::uint32_t>{2});
  std::vector<double> out(4);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(std::log(1.0 / 6)));
  CHECK(out[1] == Approx(std::log(2.0 / 6)));
  CHECK(out[2] == Approx(std::log(3.0 / 6)));
  CHECK(out[3] == Approx(std::log(1.0 / 3)));
}

TEST_CASE("tabular: the gradient of one log-probability is one-hot minus softmax",
          "[policy][tabular]") {
  auto policy = sixths();
  choice_data data;
  data.add_list(1, std::vector<std::uint32_t>{1});
  std::vector<double> out(1);
  std::vector<double> const coefficient = {6.0};
  policy.log_prob(data.batch(), out);
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  auto const gradient = test::gradient_of(policy);
  CHECK(gradient[3] == Approx(-1.0));
  CHECK(gradient[4] == Approx(6.0 - 2.0));
  CHECK(gradient[5] == Approx(-3.0));
  CHECK(gradient[0] == 0.0);
  // What was remembered is spent.
  policy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(policy), gradient));
}

TEST_CASE("tabular: gradients agree with differences", "[policy][tabular]") {
  test::check_gradient(filled<double>(5, 7), test::lists(12, 5, 7));
}

TEST_CASE("tabular: bits do not depend on cuts and threads", "[policy][tabular]") {
  test::check_bits(filled<float>(30, 400), test::lists(40, 30, 400));
  test::check_bits(filled<double>(30, 2), test::lists(40, 30, 2));
  test::check_bits(filled<double>(6, 33), test::lists(40, 6, 33));
}

TEST_CASE("tabular: probabilities add up to 1", "[policy][tabular]") {
  test::check_log_probs(filled<float>(3, 37), 1e-6);
  test::check_log_probs(filled<double>(3, 64), 1e-14);
}

TEST_CASE("tabular: logits are log-probabilities up to a constant", "[policy][tabular]") {
  test::check_logits(filled<float>(7, 19), 1e-5);
  test::check_logits(filled<double>(7, 19), 1e-13);
}

TEST_CASE("tabular: a far completion keeps its log-probability", "[policy][tabular]") {
  // exp(-1000) is 0 in double, its logarithm is not.
  tabular<double> policy(1, 2, {0.0, -1000.0});
  std::vector<double> row(2);
  policy.log_probs(0, row);
  CHECK(row[0] == 0.0);
  CHECK(row[1] == -1000.0);
}

TEST_CASE("tabular: a completion of logit -infinity has probability 0", "[policy][tabular]") {
  double const infinity = std::numeric_limits<double>::infinity();
  tabular<double> policy(1, 3, {1.0, -infinity, 1.0});
  std::vector<double> row(3);
  policy.log_probs(0, row);
  CHECK(row[0] == Approx(std::log(0.5)));
  CHECK(row[1] == -infinity);
}

TEST_CASE("tabular: NaN flows through", "[policy][tabular]") {
  for (std::size_t at = 0; at != 40; ++at) {
    tabular<float> policy(1, 40);
    policy.parameters()[0].value[at] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> row(40);
    policy.log_probs(0, row);
    for (float const each : row) CHECK(std::isnan(each));
  }
}

TEST_CASE("tabular: what does not fit is refused", "[policy][tabular]") {
  test::check_refusals(filled<float>(4, 5), "tabular");
  CHECK_THROWS_WITH(tabular<float>(0, 1), Catch::Contains("prompts must be greater than zero"));
  CHECK_THROWS_WITH(tabular<float>(1, 0), Catch::Contains("completions must be greater than zero"));
  CHECK_THROWS_WITH(tabular<float>(2, 3, std::vector<float>(5)),
                    Catch::Contains("logits has 5 elements, expected 6"));
}

TEST_CASE("tabular: is a value", "[policy][tabular]") {
  test::check_value_semantics(filled<float>(4, 5), test::lists(10, 4, 5));
}
