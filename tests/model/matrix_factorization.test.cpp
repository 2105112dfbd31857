// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <prefer/model/matrix_factorization.hpp>

#include "choice_policy.hpp"

using namespace prefer;

namespace {

constexpr std::size_t default_memory = std::size_t{64} << 20;

template <class T>
matrix_factorization<T> filled(std::size_t users, std::size_t items, std::size_t factors,
                               std::size_t kept_bytes = default_memory) {
  matrix_factorization<T> policy(users, items, factors, kept_bytes);
  test::fill_parameters(policy, 5, factors > 8 ? 0.4 : 1.0);
  return policy;
}

// Logits of user 1: 0, log 2, log 3, the last from its bias.
matrix_factorization<double> sixths() {
  matrix_factorization<double> policy(2, 3, 2);
  auto const parameters = policy.parameters();
  double const user[] = {0, 0, 1, 2};
  double const item[] = {0, 0, -std::log(2.0), std::log(2.0), 2, -1};
  double const bias[] = {0, 0, std::log(3.0)};
  std::memcpy(parameters[0].value.data(), user, sizeof user);
  std::memcpy(parameters[1].value.data(), item, sizeof item);
  std::memcpy(parameters[2].value.data(), bias, sizeof bias);
  return policy;
}

// The same step by its definition, in long double and plain loops.
template <class T>
test::outcome<matrix_factorization<T>> by_definition(matrix_factorization<T> policy,
                                                     choice_data const& data,
                                                     std::vector<T> const& coefficient) {
  std::size_t const items = policy.completions();
  std::size_t const factors = policy.factors();
  auto const parameters = policy.parameters();
  auto const value = [&](std::size_t p, std::size_t i) {
    return static_cast<long double>(parameters[p].value[i]);
  };
  std::vector<long double> gradient[3];
  for (std::size_t p = 0; p != 3; ++p) gradient[p].resize(parameters[p].value.size());
  test::outcome<matrix_factorization<T>> out(policy, {}, {});
  for (std::size_t g = 0; g != data.size(); ++g) {
    std::size_t const u = data.prompt[g];
    std::vector<long double> logit(items);
    long double total = 0;
    for (std::size_t i = 0; i != items; ++i) {
      logit[i] = value(2, i);
      for (std::size_t f = 0; f != factors; ++f) {
        logit[i] += value(0, u * factors + f) * value(1, i * factors + f);
      }
      total += std::exp(logit[i]);
    }
    for (std::size_t n = data.offset[g]; n != data.offset[g + 1]; ++n) {
      std::size_t const y = data.completion[n];
      out.log_prob.push_back(static_cast<T>(logit[y] - std::log(total)));
      for (std::size_t i = 0; i != items; ++i) {
        long double const c = static_cast<long double>(coefficient[n]) *
                              ((i == y ? 1.0L : 0.0L) - std::exp(logit[i]) / total);
        gradient[2][i] += c;
        for (std::size_t f = 0; f != factors; ++f) {
          gradient[0][u * factors + f] += c * value(1, i * factors + f);
          gradient[1][i * factors + f] += c * value(0, u * factors + f);
        }
      }
    }
  }
  out.gradient.clear();
  for (auto const& each : gradient) {
    for (long double const x : each) out.gradient.push_back(static_cast<T>(x));
  }
  return out;
}

template <class T>
double farthest(std::vector<T> const& a, std::vector<T> const& b) {
  REQUIRE(a.size() == b.size());
  double out = 0;
  for (std::size_t i = 0; i != a.size(); ++i) {
    out = std::fmax(out, static_cast<double>(std::fabs(a[i] - b[i])));
  }
  return out;
}

template <class T>
void check_definition(std::size_t users, std::size_t items, std::size_t factors, std::size_t groups,
                      double tolerance) {
  auto const policy = filled<T>(users, items, factors);
  auto const data = test::lists(groups, users, items);
  auto const coefficient = test::numbers<T>(data.completion.size(), 80);
  test::outcome<matrix_factorization<T>> const computed(policy, data, coefficient);
  auto const expected = by_definition(policy, data, coefficient);
  INFO(users << " users, " << items << " items, " << factors << " factors");
  CHECK(farthest(computed.log_prob, expected.log_prob) < tolerance);
  CHECK(farthest(computed.gradient, expected.gradient) < tolerance);
}

}  // namespace

TEST_CASE("matrix_factorization: log-probabilities are those of the softmax",
          "[policy][matrix_factorization]") {
  auto policy = sixths();
  choice_data data;
  data.add_list(1, std::vector<std::uint32_t>{0, 1, 2});
  data.add_list(0, std::vector<std::uint32_t>{2});
  std::vector<double> out(4);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(std::log(1.0 / 6)));
  CHECK(out[1] == Approx(std::log(2.0 / 6)));
  CHECK(out[2] == Approx(std::log(3.0 / 6)));
  CHECK(out[3] == Approx(std::log(3.0 / 5)));  // user 0 has the biases 0, 0, log 3 alone
}

TEST_CASE("matrix_factorization: the gradient of one log-probability",
          "[policy][matrix_factorization]") {
  auto policy = sixths();
  choice_data data;
  data.add_list(1, std::vector<std::uint32_t>{1});
  std::vector<double> out(1);
  std::vector<double> const coefficient = {6.0};
  policy.log_prob(data.batch(), out);
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  auto const parameters = policy.parameters();
  // d logit = 6 * (one-hot - softmax) = -1, 4, -3
  CHECK(parameters[2].gradient[0] == Approx(-1));
  CHECK(parameters[2].gradient[1] == Approx(4));
  CHECK(parameters[2].gradient[2] == Approx(-3));
  CHECK(parameters[1].gradient[4] == Approx(-3));  // d logit_2 * user_0
  CHECK(parameters[1].gradient[5] == Approx(-6));  // d logit_2 * user_1
  CHECK(parameters[0].gradient[2] == Approx(-4 * std::log(2.0) - 6));
  CHECK(parameters[0].gradient[3] == Approx(4 * std::log(2.0) + 3));
  CHECK(parameters[0].gradient[0] == 0);
}

TEST_CASE("matrix_factorization: gradients agree with differences",
          "[policy][matrix_factorization]") {
  test::check_gradient(filled<double>(5, 7, 3), test::lists(12, 5, 7));
  test::check_gradient(filled<double>(3, 66, 2), test::lists(9, 3, 66));
}

TEST_CASE("matrix_factorization: any size agrees with the definition",
          "[policy][matrix_factorization]") {
  for (std::size_t const factors : {1u, 3u, 8u, 17u, 64u, 70u}) {
    for (std::size_t const items : {1u, 2u, 63u, 64u, 130u}) {
      check_definition<double>(5, items, factors, 8, 1e-12);
      check_definition<float>(5, items, factors, 8, 2e-5);
    }
  }
  // More users than a thread takes at a time, and than stay in the first-level cache.
  for (std::size_t const users : {23u, 25u, 48u, 97u, 130u}) {
    check_definition<double>(users, 70, 5, 3 * users, 1e-12);
  }
}

TEST_CASE("matrix_factorization: bits do not depend on cuts and threads",
          "[policy][matrix_factorization]") {
  test::check_bits(filled<float>(60, 200, 64), test::lists(80, 60, 200));
  test::check_bits(filled<float>(7, 65, 5), test::lists(40, 7, 65));
  test::check_bits(filled<double>(130, 67, 9), test::lists(200, 130, 67));
}

TEST_CASE("matrix_factorization: bits do not depend on the working memory",
          "[policy][matrix_factorization]") {
  auto const data = test::lists(300, 130, 100);
  auto const coefficient = test::numbers<float>(data.completion.size(), 81);
  using model = matrix_factorization<float>;
  test::outcome<model> const whole(filled<float>(130, 100, 7), data, coefficient);
  // A row of 100 items takes 512 bytes: one row at a time, then ten.
  for (std::size_t const bytes : {0u, 5120u}) {
    test::outcome<model> const cut(filled<float>(130, 100, 7, bytes), data, coefficient, {100});
    CHECK(test::same_bytes(cut.log_prob, whole.log_prob));
    CHECK(test::same_bytes(cut.gradient, whole.gradient));
  }
}

TEST_CASE("matrix_factorization: users whose coefficients cancel change no bit of the others",
          "[policy][matrix_factorization]") {
  auto const start = filled<float>(40, 90, 6);
  auto const data = test::lists(60, 40, 90);
  auto coefficient = test::numbers<float>(data.completion.size(), 82);
  for (std::size_t g = 0; g != data.size(); ++g) {
    if (data.prompt[g] % 3 != 0) continue;
    for (std::size_t n = data.offset[g]; n != data.offset[g + 1]; ++n) coefficient[n] = 0;
  }
  test::outcome<matrix_factorization<float>> const kept(start, data, coefficient);
  // One group at a time, nothing is kept that finish_backward needs.
  std::vector<std::size_t> cuts;
  for (std::size_t g = 1; g != data.size(); ++g) cuts.push_back(g);
  test::outcome<matrix_factorization<float>> const again(start, data, coefficient, cuts);
  CHECK(test::same_bytes(kept.gradient, again.gradient));
  auto const expected = by_definition(start, data, coefficient);
  CHECK(farthest(kept.gradient, expected.gradient) < 2e-5);
}

TEST_CASE("matrix_factorization: a step does not remember the parameters of the last",
          "[policy][matrix_factorization]") {
  using model = matrix_factorization<double>;
  auto const data = test::lists(20, 10, 70);
  auto const coefficient = test::numbers<double>(data.completion.size(), 83);
  std::vector<double> out(coefficient.size());
  auto policy = filled<double>(10, 70, 4);
  policy.log_prob(data.batch(), out);
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  policy.clear_gradient();

  auto moved = filled<double>(10, 70, 4);
  test::fill_parameters(moved, 55);
  test::outcome<model> const expected(moved, data, coefficient);
  test::fill_parameters(policy, 55);
  // Without a log_prob in between, which would compute everything anew anyhow.
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(policy), expected.gradient));
  CHECK(test::same_bytes(test::outcome<model>(policy, data, coefficient).log_prob,
                         expected.log_prob));
}

TEST_CASE("matrix_factorization: clear_gradient leaves nothing behind",
          "[policy][matrix_factorization]") {
  auto const all_zero = [](matrix_factorization<float>& policy) {
    for (float const each : test::gradient_of(policy)) {
      if (each != 0) return false;
    }
    return true;
  };
  auto policy = filled<float>(20, 90, 5);
  auto const data = test::lists(15, 20, 90);
  auto const coefficient = test::numbers<float>(data.completion.size(), 84);
  std::vector<float> out(coefficient.size());
  policy.logit(data.batch(), out);
  policy.backward_logit(data.batch(), coefficient);
  CHECK(!all_zero(policy));
  policy.clear_gradient();
  CHECK(all_zero(policy));

  policy.log_prob(data.batch(), out);
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  CHECK(!all_zero(policy));
  policy.clear_gradient();
  CHECK(all_zero(policy));
}

TEST_CASE("matrix_factorization: probabilities add up to 1", "[policy][matrix_factorization]") {
  test::check_log_probs(filled<float>(3, 137, 6), 1e-6);
  test::check_log_probs(filled<double>(3, 137, 6), 1e-14);
}

TEST_CASE("matrix_factorization: logits are log-probabilities up to a constant",
          "[policy][matrix_factorization]") {
  test::check_logits(filled<float>(7, 19, 4), 1e-5);
  test::check_logits(filled<double>(7, 119, 64), 1e-12);
}

TEST_CASE("matrix_factorization: NaN flows through", "[policy][matrix_factorization]") {
  for (std::size_t const at : {0u, 3u, 63u, 64u, 69u}) {
    auto policy = filled<float>(2, 70, 3);
    policy.parameters()[2].value[at] = std::numeric_limits<float>::quiet_NaN();
    choice_data data;
    data.add_list(1, std::vector<std::uint32_t>{1});
    std::vector<float> out(1);
    policy.log_prob(data.batch(), out);
    CHECK(std::isnan(out[0]));
  }
}

TEST_CASE("matrix_factorization: what does not fit is refused", "[policy][matrix_factorization]") {
  test::check_refusals(filled<float>(4, 5, 2), "matrix_factorization");
  CHECK_THROWS_WITH(matrix_factorization<float>(0, 1, 1),
                    Catch::Contains("users must be greater than zero"));
  CHECK_THROWS_WITH(matrix_factorization<float>(1, 0, 1),
                    Catch::Contains("items must be greater than zero"));
  CHECK_THROWS_WITH(matrix_factorization<float>(1, 1, 0),
                    Catch::Contains("factors must be greater than zero"));
}

TEST_CASE("matrix_factorization: is a value", "[policy][matrix_factorization]") {
  test::check_value_semantics(filled<float>(4, 70, 3), test::lists(10, 4, 70));
}
