// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::aot;
using prefer::aot_unpaired;

// Log-probabilities in steps of 1/4, with ties among policy margins, reference margins and log-ratios.
struct batch {
  std::vector<double> policy_chosen, policy_rejected, reference_chosen, reference_rejected;

  explicit batch(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      policy_chosen.push_back(-10.0 - static_cast<double>(i * 7 % 13) / 4);
      policy_rejected.push_back(-11.0 - static_cast<double>(i * 5 % 9) / 4);
      reference_chosen.push_back(-10.5 - static_cast<double>(i * 3 % 7) / 4);
      reference_rejected.push_back(-11.0 + static_cast<double>(i * 11 % 5) / 4);
    }
  }
  [[nodiscard]] std::size_t size() const { return policy_chosen.size(); }
  [[nodiscard]] prefer::pair_columns columns() const {
    return {.policy = {policy_chosen, policy_rejected},
            .reference = {reference_chosen, reference_rejected}};
  }
  [[nodiscard]] double policy_margin(std::size_t i) const {
    return policy_chosen[i] - policy_rejected[i];
  }
  [[nodiscard]] double reference_margin(std::size_t i) const {
    return reference_chosen[i] - reference_rejected[i];
  }
  [[nodiscard]] double chosen_ratio(std::size_t i) const {
    return policy_chosen[i] - reference_chosen[i];
  }
  [[nodiscard]] double rejected_ratio(std::size_t i) const {
    return policy_rejected[i] - reference_rejected[i];
  }
};

// Rows in ascending order of a number, ties in their order.
template <class F>
std::vector<std::size_t> sorted_rows(std::size_t n, F const& number) {
  std::vector<std::size_t> rows(n);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  std::stable_sort(rows.begin(), rows.end(),
                   [&](std::size_t a, std::size_t b) { return number(a) < number(b); });
  return rows;
}

long double smoothed(long double z, double e) { return (1 - e) * sp(-z) + e * sp(z); }
long double slope_of_smoothed(long double z, double e) { return sig(z) - (1 - e); }

TEST_CASE("aot: each pair gets the reference margin of its rank, ties in the batch's order",
          "[loss][aot]") {
  batch const b(23);
  double const beta = 0.5, e = 0.125;
  auto const by_policy = sorted_rows(b.size(), [&](std::size_t i) { return b.policy_margin(i); });
  auto const by_reference =
      sorted_rows(b.size(), [&](std::size_t i) { return b.reference_margin(i); });
  auto const result = evaluate(aot{.beta = beta, .label_smoothing = e}, b.columns());
  long double total = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    std::size_t const row = by_policy[k];
    CAPTURE(k, row);
    long double const z = static_cast<long double>(beta) *
                          (b.policy_margin(row) - b.reference_margin(by_reference[k]));
    long double const slope = beta * slope_of_smoothed(z, e) / 23;
    CHECK(near(result.value[row], static_cast<double>(smoothed(z, e)), 1e-14));
    CHECK(near(result.coefficient.chosen[row], static_cast<double>(slope), 1e-14));
    CHECK(near(result.coefficient.rejected[row], static_cast<double>(-slope), 1e-14));
    total += smoothed(z, e) / 23;
  }
  CHECK(near(result.loss, static_cast<double>(total), 1e-14));
}

TEST_CASE(
    "aot_unpaired: log-ratios of one rank are compared, and coefficients go back to their own rows",
    "[loss][aot]") {
  batch const b(23);
  double const beta = 0.5, e = 0.125;
  auto const by_chosen = sorted_rows(b.size(), [&](std::size_t i) { return b.chosen_ratio(i); });
  auto const by_rejected =
      sorted_rows(b.size(), [&](std::size_t i) { return b.rejected_ratio(i); });
  auto const result = evaluate(aot_unpaired{.beta = beta, .label_smoothing = e}, b.columns());
  for (std::size_t k = 0; k < b.size(); ++k) {
    CAPTURE(k);
    long double const z = static_cast<long double>(beta) *
                          (b.chosen_ratio(by_chosen[k]) - b.rejected_ratio(by_rejected[k]));
    long double const slope = beta * slope_of_smoothed(z, e) / 23;
    CHECK(near(result.value[by_chosen[k]], static_cast<double>(smoothed(z, e)), 1e-14));
    CHECK(near(result.coefficient.chosen[by_chosen[k]], static_cast<double>(slope), 1e-14));
    CHECK(near(result.coefficient.rejected[by_rejected[k]], static_cast<double>(-slope), 1e-14));
  }
}

TEST_CASE("aot_unpaired: who was compared with whom does not matter", "[loss][aot]") {
  batch b(23);
  auto const before = evaluate(aot_unpaired{}, b.columns());
  std::rotate(b.policy_rejected.begin(), b.policy_rejected.begin() + 5, b.policy_rejected.end());
  std::rotate(b.reference_rejected.begin(), b.reference_rejected.begin() + 5,
              b.reference_rejected.end());
  auto const after = evaluate(aot_unpaired{}, b.columns());
  CHECK(near(after.loss, before.loss, 1e-14));
}

TEST_CASE("aot: of one pair, and wherever the ranks agree, it is dpo", "[loss][aot]") {
  batch const one(1);
  auto const dpo = evaluate(prefer::dpo{.beta = 0.5}, one.columns());
  CHECK(evaluate(aot{.beta = 0.5}, one.columns()).value == dpo.value);
  CHECK(evaluate(aot_unpaired{.beta = 0.5}, one.columns()).value == dpo.value);
  batch agreeing(6);
  for (std::size_t i = 0; i < 6; ++i) {
    double const step = static_cast<double>(i * 5 % 6);
    agreeing.policy_chosen[i] = agreeing.policy_rejected[i] + step;
    agreeing.reference_chosen[i] = agreeing.reference_rejected[i] + step * step;
  }
  auto const expected = evaluate(prefer::dpo{.beta = 0.5}, agreeing.columns());
  auto const matched = evaluate(aot{.beta = 0.5}, agreeing.columns());
  CHECK(matched.value == expected.value);
  CHECK(matched.coefficient.chosen == expected.coefficient.chosen);
}

TEST_CASE("aot: at the reference every pair meets its own margin, and the loss is log 2",
          "[loss][aot]") {
  batch b(9);
  b.policy_chosen = b.reference_chosen;
  b.policy_rejected = b.reference_rejected;
  CHECK(near(evaluate(aot{}, b.columns()).loss, std::log(2.0), 1e-14));
}

TEST_CASE("aot: parameters out of range are refused", "[loss][aot]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(aot{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(aot{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(aot_unpaired{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(aot_unpaired{.label_smoothing = -0.1}),
                  prefer::precondition_error);
}

}  // namespace
