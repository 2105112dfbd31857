// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/orpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::odds_ratio;
using prefer::orpo;

// Log-probabilities per token from almost certain to hopeless; the reference is not read.
std::vector<prefer::pair_record<double>> const certain_and_not = [] {
  std::vector<prefer::pair_record<double>> out;
  for (double const w : {-0x1p-40, -0.125, -0.6875, -0.75, -3.0, -40.0, -600.0}) {
    for (double const l : {-0x1p-30, -0.5, -0.75, -9.0, -200.0}) {
      auto pair = pair_with_margin(0.0);
      pair.chosen.completion_length = 4.0;
      pair.rejected.completion_length = 8.0;
      pair.chosen.log_prob = 4.0 * w;
      pair.rejected.log_prob = 8.0 * l;
      out.push_back(pair);
    }
  }
  return out;
}();

long double log_odds(long double a) { return a - std::log(-std::expm1(a)); }

TEST_CASE("odds_ratio: value and derivatives are the paper's", "[loss][orpo]") {
  // Both log-odds are rounded; they reach 600 and so does z: 600 * 2^-52 is 1.3e-13.
  double const lambda = 0.5;
  has_closed_form(odds_ratio{.beta = lambda},
                  [&](paper_numbers const& n) {
                    long double const w = n.a_w / n.n_w, l = n.a_l / n.n_l;
                    long double const z = log_odds(w) - log_odds(l);
                    return closed_form{lambda * sp(-z),
                                       -lambda * sig(-z) / (-std::expm1(w) * n.n_w),
                                       lambda * sig(-z) / (-std::expm1(l) * n.n_l)};
                  },
                  certain_and_not, {.relative = 1e-12});
}

TEST_CASE("odds_ratio: completions that are almost certain keep their digits", "[loss][orpo]") {
  // 1 - p = 2^-60, where 1 - exp(a) in double would be 0 and the log-odds infinite.
  auto pair = pair_with_margin(0.0);
  pair.chosen.log_prob = -4.0 * 0x1p-60;
  pair.rejected.log_prob = -5.0 * std::log(2.0);  // odds of 1
  // z = 60 ln 2, so the odds ratio's logistic loss is log(1 + 2^-60).
  CHECK(near(at(odds_ratio{.beta = 1.0}, pair).value, 0x1p-60, 1e-13));
}

TEST_CASE("orpo: it is the odds ratio and the likelihood per token", "[loss][orpo]") {
  for (auto const& pair : certain_and_not) {
    auto const whole = at(orpo{.beta = 0.5}, pair);
    auto const odds = at(odds_ratio{.beta = 0.5}, pair);
    CHECK(near(whole.value, odds.value - pair.chosen.log_prob / 4.0, 1e-15));
    CHECK(near(whole.chosen, odds.chosen - 0.25, 1e-15));
    CHECK(whole.rejected == odds.rejected);
  }
}

TEST_CASE("orpo: the reference is not read", "[loss][orpo]") {
  CHECK(prefer::needs<orpo> == (prefer::column_name::policy | prefer::column_name::length));
}

TEST_CASE("orpo: a pair's own beta is the weight of its odds ratio", "[loss][orpo]") {
  auto pair = certain_and_not[7];
  auto const expected = at(orpo{.beta = 2.0}, pair).value;
  pair.pair_beta = {true, 2.0};
  CHECK(at(orpo{}, pair).value == expected);
}

TEST_CASE("orpo: beta out of range is refused", "[loss][orpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(orpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(odds_ratio{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
