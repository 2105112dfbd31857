// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include <prefer/loss/kto.hpp>
#include <prefer/objective/evaluate.hpp>

#include "loss/closed_form.hpp"

namespace {

using prefer::kto;
using prefer::kto_pair;
using prefer::unpaired_columns;
using prefer::test::near;

std::vector<double> const policy = {-10.0, -10.0};
std::vector<double> const reference = {-12.0, -12.0};  // log_ratio 2 each
std::array<bool, 2> const label = {true, false};

unpaired_columns batch(std::vector<double> const& kl_policy,
                       std::vector<double> const& mismatched_reference) {
  return {.policy = policy,
          .reference = reference,
          .label = label,
          .kl_examples = {kl_policy, mismatched_reference}};
}

TEST_CASE("kto: loss is 1/2 for both labels at the baseline", "[loss][kto]") {
  std::vector<double> const p = {-1.0, -3.0}, r = {-2.0, -6.0};  // log-ratios 1 and 3, mean 2
  auto const y = evaluate(kto{}, batch(p, r));
  CHECK(y.value == std::vector<double>{0.5, 0.5});
  CHECK(y.loss == 0.5);
  // d/dx (1 - sigmoid(beta (x - 2))) = -beta / 4 at x = 2, divided by the two examples.
  CHECK(near(y.coefficient[0], -0.1 / 4.0 / 2.0, 1e-15));
  CHECK(near(y.coefficient[1], 0.1 / 4.0 / 2.0, 1e-15));
}

TEST_CASE("kto: the baseline is the mean kl_examples log_ratio, and no less than zero",
          "[loss][kto]") {
  std::vector<double> const low = {-5.0}, high = {-2.0};  // log_ratio -3
  prefer::nothing memory;
  CHECK(prefer::prepare(kto{}, batch(low, high), memory).baseline == 0.0);
  CHECK(prefer::prepare(kto{}, batch(high, low), memory).baseline == 3.0);
  auto const y = evaluate(kto{.beta = 0.5}, batch(low, high));  // gain = 0.5 * (2 - 0)
  CHECK(near(y.value[0], 1.0 / (1.0 + std::exp(1.0)), 1e-15));
  CHECK(near(y.value[1], 1.0 / (1.0 + std::exp(-1.0)), 1e-15));
}

TEST_CASE("kto: weights multiply their kind of example alone", "[loss][kto]") {
  std::vector<double> const zero = {0.0};
  auto const one = evaluate(kto{}, batch(zero, zero));
  auto const weighted =
      evaluate(kto{.desirable_weight = 3.0, .undesirable_weight = 0.0}, batch(zero, zero));
  CHECK(near(weighted.value[0], 3.0 * one.value[0], 1e-15));
  CHECK(weighted.value[1] == 0.0);
  CHECK(weighted.coefficient[1] == 0.0);
}

TEST_CASE("kto: NaN among the KL examples is refused", "[loss][kto]") {
  std::vector<double> const p = {std::nan("")}, r = {0.0};
  CHECK_THROWS_WITH(evaluate(kto{}, batch(p, r)), Catch::Matchers::Contains("KL example 0"));
}

// Log-ratios 1 and -4 of chosen, 0.5 and 2 of rejected completions.
std::vector<double> const chosen = {1.0, -4.0}, rejected = {0.5, 2.0}, none = {0.0, 0.0};

TEST_CASE("kto_pair: each half is held against the other half's mean log_ratio, no less than zero",
          "[loss][kto]") {
  prefer::nothing memory;
  auto const state = prefer::prepare(
      kto_pair{}, prefer::pair_columns{.policy = {chosen, rejected}, .reference = {none, none}},
      memory);
  CHECK(state.chosen_baseline == 0.0);  // the mean is -1.5
  CHECK(state.rejected_baseline == 1.25);
}

TEST_CASE("kto_pair: value and derivatives are the paper's, the baselines constant",
          "[loss][kto]") {
  using namespace prefer::test;
  // ((1 - sigmoid(b (r_w - z_l))) + (1 - sigmoid(b (z_w - r_l)))) / 2
  double const beta = 0.5;
  kto_pair::state const state{.chosen_baseline = 1.5, .rejected_baseline = 0.25};
  for (auto const& pair : some_pairs()) {
    paper_numbers const n(pair);
    long double const w = beta * (n.r_w - 0.25L), l = beta * (1.5L - n.r_l);
    compare(at(kto_pair{.beta = beta}, pair, state),
            {(sig(-w) + sig(-l)) / 2, -beta * sig(w) * sig(-w) / 2, beta * sig(l) * sig(-l) / 2}, n,
            {});
  }
}

TEST_CASE("kto: parameters out of range are refused", "[loss][kto]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(kto_pair{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(kto{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(kto{.desirable_weight = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(
      prefer::expects_hyper_parameters_in_range(kto{.undesirable_weight = std::nan("")}),
      prefer::precondition_error);
}

}  // namespace
