// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include <prefer/loss/compose.hpp>
#include <prefer/loss/lipo.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/objective/evaluate.hpp>

#include "loss/closed_form.hpp"
#include "loss/one_list.hpp"

namespace {

using namespace prefer::test;
using prefer::lipo;

// The sum over pairs with score_i > score_j of D_ij sp(-(s_i - s_j)), ranks found by sorting.
list_value by_sorting(list_point const& list, double beta) {
  auto const s = scaled(list.log_ratios(), beta);
  std::size_t const n = s.size();
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return s[a] > s[b]; });
  std::vector<long double> rank(n), slope(n, 0);
  for (std::size_t k = 0; k < n; ++k) rank[order[k]] = static_cast<long double>(k + 1);
  long double value = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (!(list.score[i] > list.score[j])) continue;
      long double const weight =
          std::fabs(std::pow(2.0L, list.score[i]) - std::pow(2.0L, list.score[j])) *
          std::fabs(1 / std::log(1 + rank[i]) - 1 / std::log(1 + rank[j]));
      value += weight * sp(-(s[i] - s[j]));
      slope[i] -= weight * sig(-(s[i] - s[j])) * beta;
      slope[j] += weight * sig(-(s[i] - s[j])) * beta;
    }
  }
  list_value out{static_cast<double>(value), {}};
  for (long double const each : slope) out.slope.push_back(static_cast<double>(each));
  return out;
}

TEST_CASE("lipo: value and derivatives are the paper's, weights constant", "[loss][lipo]") {
  // Sums of up to ten terms of either sign: floor 0.1.
  for (auto const& list :
       {list_point::of({0.5, -1.25, 3.0, 0.25, -2.5}, {4.0, 0.0, 1.0, 3.0, 2.0}),
        list_point::of({0.0, 0.0, 0.0}, {2.0, 1.0, 0.0}),  // ties keep the list's order
        list_point::of({1.0, 5.0, 1.0, 5.0}, {0.0, 3.0, 1.0, 0.0}),
        list_point::of({-900.0, 900.0, 30.0}, {1.0, 0.0, 0.5})}) {
    auto const exact = by_sorting(list, 0.5);
    for (auto const& y :
         {at_list(lipo{.beta = 0.5}, list), at_list_by_rule(lipo{.beta = 0.5}, list)}) {
      CHECK(near(y.value, exact.value, 1e-13));
      for (std::size_t i = 0; i < y.slope.size(); ++i) {
        CAPTURE(i);
        CHECK(near(y.slope[i], exact.slope[i], 1e-13, 0.1));
      }
    }
  }
}

TEST_CASE("lipo: the coefficients of a list of two thousand are the paper's", "[loss][lipo]") {
  std::uint32_t state = 1;
  auto const next = [&] { return state = state * 1664525u + 1013904223u; };
  std::vector<double> log_ratios, scores;
  for (int i = 0; i < 2000; ++i) {
    log_ratios.push_back(static_cast<double>(next() >> 8) * 0x1p-22 - 2.0);
    scores.push_back(static_cast<double>(next() >> 29));
  }
  auto const many = list_point::of(log_ratios, scores);
  auto const exact = by_sorting(many, 0.5);
  auto const y = at_list_by_rule(lipo{.beta = 0.5}, many);
  // Each slope is a sum of 2,000 terms below 128 * 0.5; their roundings add up like a random walk at worst like 2,000.
  CHECK(near(y.value, exact.value, 1e-10));
  for (std::size_t i = 0; i < y.slope.size(); ++i) {
    CAPTURE(i);
    CHECK(near(y.slope[i], exact.slope[i], 1e-10, 0.1));
  }
}

TEST_CASE("lipo: multiples and sums take its rule, bit for bit", "[loss][lipo]") {
  std::vector<double> const log_prob = {-3.0, -1.5, -7.25, -2.0, -4.0, -0.5},
                            reference = {-2.0, -2.5, -6.0, -2.0, -5.0, -1.0},
                            score = {4.0, 0.5, 3.0, 1.0, 2.0, 0.0};
  std::vector<std::size_t> const offset = {0, 6};
  prefer::list_columns const batch{
      .policy = log_prob, .reference = reference, .score = score, .offset = offset};
  auto const bare = prefer::evaluate(lipo{.beta = 0.5}, batch);
  auto const softmax = prefer::evaluate(prefer::plackett_luce{}, batch);
  auto const half = prefer::evaluate(0.5 * lipo{.beta = 0.5}, batch);
  auto const sum = prefer::evaluate(
      prefer::plackett_luce{} + 2.0 * (lipo{.beta = 0.5} + 0.5 * lipo{.beta = 0.5}), batch);
  auto const none = prefer::evaluate(0.0 * lipo{.beta = 0.5}, batch);
  CHECK(half.loss == 0.5 * bare.loss);
  CHECK(sum.loss == softmax.loss + 2.0 * (bare.loss + 0.5 * bare.loss));
  for (std::size_t i = 0; i < log_prob.size(); ++i) {
    double const own = bare.coefficient[i];
    CHECK(half.coefficient[i] == 0.5 * own);
    CHECK(sum.coefficient[i] == softmax.coefficient[i] + 2.0 * (own + 0.5 * own));
    CHECK(none.coefficient[i] == 0.0);
  }
  // Not by dual numbers, whose time is cubic in the length of a list.
  using both = decltype(0.5 * lipo{} + prefer::plackett_luce{});
  STATIC_REQUIRE(prefer::detail::has_list_rule<both, prefer::lane<double>>());
  STATIC_REQUIRE(prefer::detail::coefficient_room<both>() == lipo::coefficient_room + 1);
}

TEST_CASE("lipo: two completions by hand", "[loss][lipo]") {
  // Scores 2 and 0: gain 3. Ranks 1 and 2: 1 / ln 2 - 1 / ln 3.
  double const weight = 3.0 * (1.0 / std::log(2.0) - 1.0 / std::log(3.0));
  auto const y = at_list(lipo{.beta = 1.0}, list_point::of({std::log(3.0), 0.0}, {2.0, 0.0}));
  CHECK(near(y.value, weight * std::log(4.0 / 3.0), 1e-14));
  CHECK(near(y.slope[0], -weight / 4.0, 1e-14));
  CHECK(near(y.slope[1], weight / 4.0, 1e-14));
}

TEST_CASE("lipo: equal scores, and a list of one, have loss 0", "[loss][lipo]") {
  CHECK(at_list(lipo{}, list_point::of({1.0, -2.0, 0.5}, {1.0, 1.0, 1.0})).value == 0.0);
  CHECK(at_list(lipo{}, list_point::of({1.0}, {1.0})).value == 0.0);
}

TEST_CASE("lipo: beta out of range is refused", "[loss][lipo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(lipo{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
