// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include <prefer/model/log_linear.hpp>

#include "choice_policy.hpp"

using namespace prefer;

namespace {

template <class T>
log_linear<T> filled(std::size_t prompts, std::size_t completions, std::size_t features,
                     bool shared) {
  auto values = test::numbers<T>((shared ? 1 : prompts) * completions * features, 21);
  log_linear<T> policy(prompts, completions, features, values);
  test::fill_parameters(policy, 4);
  return policy;
}

// Two features, three completions, weights log 2 and log 3: logits 0, log 2, log 3.
log_linear<double> sixths() {
  log_linear<double> policy(2, 3, 2, {0, 0, 1, 0, 0, 1});
  policy.parameters()[0].value[0] = std::log(2.0);
  policy.parameters()[0].value[1] = std::log(3.0);
  return policy;
}

}  // namespace

TEST_CASE("log_linear: log-probabilities are those of the softmax", "[policy][log_linear]") {
  auto policy = sixths();
  choice_data data;
  data.add_list(1, std::vector<std::uint32_t>{0, 1, 2});
  std::vector<double> out(3);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(std::log(1.0 / 6)));
  CHECK(out[1] == Approx(std::log(2.0 / 6)));
  CHECK(out[2] == Approx(std::log(3.0 / 6)));
}

TEST_CASE("log_linear: the gradient is the feature minus its expectation", "[policy][log_linear]") {
  auto policy = sixths();
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{1});
  std::vector<double> out(1);
  std::vector<double> const coefficient = {6.0};
  policy.log_prob(data.batch(), out);
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  auto const gradient = test::gradient_of(policy);
  CHECK(gradient[0] == Approx(6.0 * (1 - 2.0 / 6)));
  CHECK(gradient[1] == Approx(6.0 * (0 - 3.0 / 6)));
}

TEST_CASE("log_linear: features of each prompt are its own", "[policy][log_linear]") {
  log_linear<double> policy(2, 2, 1, {0, 1, 3, 0});
  policy.parameters()[0].value[0] = std::log(2.0);
  std::vector<double> row(2);
  policy.log_probs(0, row);
  CHECK(row[1] == Approx(std::log(2.0 / 3)));
  policy.log_probs(1, row);
  CHECK(row[0] == Approx(std::log(8.0 / 9)));
}

TEST_CASE("log_linear: gradients agree with differences", "[policy][log_linear]") {
  test::check_gradient(filled<double>(5, 7, 3, false), test::lists(12, 5, 7));
  test::check_gradient(filled<double>(5, 7, 19, true), test::lists(12, 5, 7));
}

TEST_CASE("log_linear: bits do not depend on cuts and threads", "[policy][log_linear]") {
  test::check_bits(filled<float>(100, 11, 5, false), test::lists(150, 100, 11));
  test::check_bits(filled<float>(9, 50, 33, true), test::lists(40, 9, 50));
  test::check_bits(filled<double>(9, 50, 8, false), test::lists(40, 9, 50));
}

TEST_CASE("log_linear: probabilities add up to 1", "[policy][log_linear]") {
  test::check_log_probs(filled<float>(3, 37, 6, true), 1e-6);
  test::check_log_probs(filled<double>(3, 37, 6, false), 1e-14);
}

TEST_CASE("log_linear: logits are log-probabilities up to a constant", "[policy][log_linear]") {
  test::check_logits(filled<float>(7, 19, 4, false), 1e-5);
  test::check_logits(filled<double>(7, 19, 4, true), 1e-13);
}

TEST_CASE("log_linear: what does not fit is refused", "[policy][log_linear]") {
  test::check_refusals(filled<float>(4, 5, 2, false), "log_linear");
  CHECK_THROWS_WITH(
      log_linear<float>(4, 5, 2, std::vector<float>(11)),
      Catch::Contains("features has 11 elements, expected 10") && Catch::Contains("40"));
  CHECK_THROWS_WITH(log_linear<float>(0, 5, 2, {}), Catch::Contains("prompts"));
  CHECK_THROWS_WITH(log_linear<float>(4, 0, 2, {}), Catch::Contains("completions"));
  CHECK_THROWS_WITH(log_linear<float>(4, 5, 0, {}), Catch::Contains("features_per_completion"));
}

TEST_CASE("log_linear: is a value", "[policy][log_linear]") {
  test::check_value_semantics(filled<float>(4, 5, 3, false), test::lists(10, 4, 5));
}
