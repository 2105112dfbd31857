// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/objective/evaluate.hpp>
#include <string>
#include <train/small_problem.hpp>
#include <vector>

namespace {

std::vector<double> softmax(std::vector<double> const& logits) {
  double sum = 0.0;
  for (double const each : logits) sum += std::exp(each);
  std::vector<double> out;
  for (double const each : logits) out.push_back(std::exp(each) / sum);
  return out;
}

double kl(std::vector<double> const& p, std::vector<double> const& q) {
  double sum = 0.0;
  for (std::size_t y = 0; y < p.size(); ++y) sum += p[y] * std::log(p[y] / q[y]);
  return sum;
}

// The expectation over the policy's own outcomes: no sampling, no noise.
double expectation(std::vector<double> const& policy, auto const& value_at) {
  double sum = 0.0;
  for (std::size_t y = 0; y < policy.size(); ++y) sum += policy[y] * value_at(y);
  return sum;
}

struct five_outcomes {
  std::vector<double> logits = {0.3, -1.1, 2.0, 0.0, -0.4};
  std::vector<double> policy = softmax(logits);
  std::vector<double> reference = softmax({-0.5, 0.2, 0.7, 1.3, 0.0});
  [[nodiscard]] double log_ratio(std::size_t y) const { return std::log(policy[y] / reference[y]); }
};

}  // namespace

TEST_CASE("kl: the expectations of k1 and k3 are KL(policy || reference), that of k2 is E[r^2] / 2",
          "[objective][kl]") {
  five_outcomes const at;
  double const exact = kl(at.policy, at.reference);
  REQUIRE(exact > 0.1);
  auto const mean = [&](auto const& estimator) {
    return expectation(at.policy, [&](std::size_t y) { return estimator(at.log_ratio(y)); });
  };
  // Sums of five numbers of order 1: a few units of 1e-16.
  CHECK(mean([](double r) { return prefer::kl_k1(r); }) == Approx(exact).epsilon(1e-14));
  CHECK(mean([](double r) { return prefer::kl_k3(r); }) == Approx(exact).epsilon(1e-14));
  double half_square = 0.0;
  for (std::size_t y = 0; y < 5; ++y) {
    double const r = std::log(at.policy[y]) - std::log(at.reference[y]);
    half_square += at.policy[y] * r * r / 2;
  }
  CHECK(mean([](double r) { return prefer::kl_k2(r); }) == Approx(half_square).epsilon(1e-14));
  CHECK(std::abs(half_square / exact - 1) > 1e-3);  // biased, by far more than rounding
}

TEST_CASE("kl: the bias of k2 is of third order in the distance, the KL of second",
          "[objective][kl]") {
  // The policy is the reference tilted by t times fixed numbers. E[exp(-r)] = 1, expanded, gives
  // KL = E[r] = E[r^2 / 2 - r^3 / 6 + ...]: halving t divides KL by 4 and the bias by 8, up to O(t).
  std::vector<double> const base = {0.1, -0.7, 0.9, 0.0};
  std::vector<double> const tilt = {1.0, 0.0, -1.0, 0.5};
  auto const at = [&](double t) {
    auto logits = base;
    for (std::size_t y = 0; y < 4; ++y) logits[y] += t * tilt[y];
    auto const p = softmax(logits);
    auto const q = softmax(base);
    double const exact = kl(p, q);
    double const k2 =
        expectation(p, [&](std::size_t y) { return prefer::kl_k2(std::log(p[y] / q[y])); });
    return std::vector{exact, k2 - exact};
  };
  auto const wide = at(0.02);
  auto const narrow = at(0.01);
  CHECK(wide[0] / narrow[0] == Approx(4).epsilon(0.05));
  CHECK(wide[1] / narrow[1] == Approx(8).epsilon(0.05));
}

TEST_CASE("kl: near the reference k3 has far less variance than k1", "[objective][kl]") {
  // For a tilt t the variance of k1, that of r, is of order t^2; k3 is r^2 / 2 + ..., of order t^4.
  std::vector<double> const q = softmax({0.1, -0.7, 0.9, 0.0});
  std::vector<double> const p = softmax({0.2, -0.7, 0.8, 0.05});
  auto const variance = [&](auto const& estimator) {
    auto const value = [&](std::size_t y) { return estimator(std::log(p[y] / q[y])); };
    double const mean = expectation(p, value);
    return expectation(p, [&](std::size_t y) { return (value(y) - mean) * (value(y) - mean); });
  };
  double const k1 = variance([](double r) { return prefer::kl_k1(r); });
  double const k3 = variance([](double r) { return prefer::kl_k3(r); });
  CHECK(k3 < 0.01 * k1);  // t is 0.1
}

TEST_CASE("kl: k2 and k3 are never negative, k1 can be", "[objective][kl]") {
  for (double r = -40; r <= 40; r += 0.125) {
    CHECK(prefer::kl_k2(r) >= 0);
    CHECK(prefer::kl_k3(r) >= 0);
  }
  for (double r = 1e-17; r < 1; r *= 1.7) {
    CHECK(prefer::kl_k3(r) >= 0);
    CHECK(prefer::kl_k3(-r) >= 0);
  }
  CHECK(prefer::kl_k1(-1.0) < 0);
}

TEST_CASE("kl: as terms of a loss k1 pulls nowhere, k2 to the reference, k3 the other way round",
          "[objective][kl]") {
  // The gradient of sum_y p(y) k(r(y)), p held fixed, by logit j is sum_y p(y) k'(r(y)) ([y = j] - p(j)).
  // d KL(p || q) / d logit j = p(j) (r(j) - KL(p || q));  d KL(q || p) / d logit j = p(j) - q(j).
  five_outcomes const at;
  std::vector<double> log_p, log_q;
  for (std::size_t y = 0; y < 5; ++y) {
    log_p.push_back(std::log(at.policy[y]));
    log_q.push_back(std::log(at.reference[y]));
  }
  auto const gradient = [&](auto const& loss) {
    auto const each =
        prefer::evaluate(loss, prefer::unpaired_columns{.policy = log_p, .reference = log_q},
                         {.reduce = prefer::reduction::none});
    std::vector<double> out;
    for (std::size_t j = 0; j < 5; ++j) {
      out.push_back(expectation(at.policy, [&](std::size_t y) {
        return each.coefficient[y] * ((y == j ? 1.0 : 0.0) - at.policy[j]);
      }));
    }
    return out;
  };
  auto const k1 =
      gradient(prefer::unpaired_loss([](auto const& e) { return prefer::kl_k1(e.log_ratio()); }));
  auto const k2 =
      gradient(prefer::unpaired_loss([](auto const& e) { return prefer::kl_k2(e.log_ratio()); }));
  auto const k3 =
      gradient(prefer::unpaired_loss([](auto const& e) { return prefer::kl_k3(e.log_ratio()); }));
  double const distance = kl(at.policy, at.reference);
  for (std::size_t j = 0; j < 5; ++j) {
    // Lanes compute exp and log to a few ulps: 1e-13 on numbers of order 1.
    CHECK(std::abs(k1[j]) < 1e-13);
    CHECK(std::abs(k2[j] - at.policy[j] * (at.log_ratio(j) - distance)) < 1e-13);
    CHECK(std::abs(k3[j] - (at.policy[j] - at.reference[j])) < 1e-13);
  }
}

TEST_CASE("kl: an estimate over samples is the mean over them", "[objective][kl]") {
  // Policy (1/2, 1/4, 1/4) as four samples in exactly these shares; reference (1/4, 1/4, 1/2).
  double const half = std::log(0.5);
  double const quarter = std::log(0.25);
  std::vector<double> const policy = {half, half, quarter, quarter};
  std::vector<double> const reference = {quarter, quarter, quarter, half};
  auto const sums = prefer::estimate_kl(policy, reference);
  double const ln2 = std::log(2.0);
  CHECK(sums.k1.count == 4);
  CHECK(sums.k1.mean() == Approx(ln2 / 4).epsilon(1e-14));            // (1/2 - 1/4) ln 2
  CHECK(sums.k3.mean() == Approx(ln2 / 4).epsilon(1e-14));            // as an expectation is exact
  CHECK(sums.k2.mean() == Approx(3 * ln2 * ln2 / 8).epsilon(1e-14));  // 3/4 (ln 2)^2 / 2
  auto const twice = sums + sums;
  CHECK(twice.k3.count == 8);
  CHECK(twice.k3.mean() == sums.k3.mean());
}

TEST_CASE("kl: of sequences is unbiased from sums and from tokens", "[objective][kl]") {
  // Two tokens of an alphabet of two, the second given the first: nine numbers, all four sequences.
  std::vector<double> const p1 = {0.7, 0.3}, q1 = {0.4, 0.6};
  std::vector<std::vector<double>> const p2 = {{0.9, 0.1}, {0.2, 0.8}};
  std::vector<std::vector<double>> const q2 = {{0.5, 0.5}, {0.3, 0.7}};
  double exact = 0, sum_k3 = 0, token_k1 = 0, token_k3 = 0;
  for (std::size_t a = 0; a < 2; ++a) {
    for (std::size_t b = 0; b < 2; ++b) {
      double const share = p1[a] * p2[a][b];
      exact += share * std::log(share / (q1[a] * q2[a][b]));
      std::vector<double> const policy = {std::log(p1[a]), std::log(p2[a][b])};
      std::vector<double> const reference = {std::log(q1[a]), std::log(q2[a][b])};
      std::vector<double> const policy_sum = {policy[0] + policy[1]};
      std::vector<double> const reference_sum = {reference[0] + reference[1]};
      auto const whole = prefer::estimate_kl(policy_sum, reference_sum);
      auto const tokens =
          prefer::estimate_token_kl(policy, reference, std::vector<std::size_t>{0, 2});
      CHECK(tokens.k1.count == 1);
      CHECK(tokens.k1.sum == Approx(whole.k1.sum).epsilon(1e-14));
      sum_k3 += share * whole.k3.sum;
      token_k1 += share * tokens.k1.sum;
      token_k3 += share * tokens.k3.sum;
    }
  }
  CHECK(sum_k3 == Approx(exact).epsilon(1e-14));
  CHECK(token_k1 == Approx(exact).epsilon(1e-14));
  CHECK(token_k3 == Approx(exact).epsilon(1e-14));
}

TEST_CASE("kl: token estimates count completions, empty ones too", "[objective][kl]") {
  std::vector<double> const policy = {-1, -2, -3};
  std::vector<double> const reference = {-2, -2, -1};
  std::vector<std::size_t> const offset = {0, 2, 2, 3};
  auto const sums = prefer::estimate_token_kl(policy, reference, offset);
  CHECK(sums.k1.count == 3);
  CHECK(sums.k1.sum == -1);  // 1 + 0, nothing, -2
  CHECK(sums.k2.sum == 2.5);
}

TEST_CASE("kl: shapes that disagree are refused", "[objective][kl]") {
  using offsets = std::vector<std::size_t>;
  std::vector<double> const two = {-1, -2};
  std::vector<double> const one = {-1};
  auto const refusal = [&](offsets const& offset) {
    return small::message_of([&] { (void)prefer::estimate_token_kl(two, two, offset); });
  };
  CHECK(small::message_of([&] { (void)prefer::estimate_kl(two, one); }) ==
        "estimate_kl: reference has 1 elements, expected 2");
  CHECK(refusal({}) ==
        "estimate_token_kl: offset is empty; it has one element more than there are completions");
  CHECK(refusal({0, 1}) == "estimate_token_kl: policy has 2 elements, expected 1");
  CHECK(refusal({1, 2}) ==
        "estimate_token_kl: the part of policy before the first completion has 1 elements, "
        "expected 0");
  CHECK(refusal({0, 3, 2}) == "estimate_token_kl: offset falls from 3 to 2");
}
