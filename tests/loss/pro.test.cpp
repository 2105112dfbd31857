// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>

#include <prefer/loss/pro.hpp>

#include "loss/one_list.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::pro;

// As the paper has it, in long double: softmaxes of T times the log-probability per token.
list_value by_softmax(list_point const& list, double sft_weight) {
  std::size_t const n = list.log_prob.size();
  std::vector<long double> a(n), slope(n, 0);
  for (std::size_t i = 0; i < n; ++i)
    a[i] = static_cast<long double>(list.log_prob[i]) / list.length[i];
  long double const factor = sft_weight * static_cast<long double>((n - 1) * (n - 1));
  long double value = -factor * list.log_prob[0];
  slope[0] -= factor;
  for (std::size_t k = 0; k + 1 < n; ++k) {
    std::vector<long double> t(n, 0);
    for (std::size_t i = k + 1; i < n; ++i) {
      t[i] = static_cast<long double>(list.score[k]) - list.score[i];
      if (i == k + 1 || t[i] > t[k]) t[k] = t[i];
    }
    long double total = 0;
    for (std::size_t i = k; i < n; ++i) total += std::exp(t[i] * a[i]);
    value += std::log(total) - t[k] * a[k];
    for (std::size_t i = k; i < n; ++i) {
      slope[i] += t[i] * (std::exp(t[i] * a[i]) / total - (i == k ? 1 : 0)) / list.length[i];
    }
  }
  list_value out{static_cast<double>(value), {}};
  for (long double const each : slope) out.slope.push_back(static_cast<double>(each));
  return out;
}

TEST_CASE("pro: value and derivatives are the authors'", "[loss][pro]") {
  for (auto const& list :
       {list_point{{-6.0, -8.0, -1.0, -3.0}, {2.0, 4.0, 1.0, 2.0}, {3.0, 2.5, 1.0, 0.25}},
        list_point{{-1.0, -0.5}, {1.0, 1.0}, {1.0, 0.5}},
        list_point{{-2.0, -9.0, -7.5}, {2.0, 1.0, 8.0}, {1.0, 1.0, 1.0}}}) {  // no gap: T = 0
    auto const exact = by_softmax(list, 0.25);
    auto const y = at_list(pro{.sft_weight = 0.25}, list);
    CHECK(near(y.value, exact.value, 1e-14));
    for (std::size_t i = 0; i < y.slope.size(); ++i) {
      CHECK(near(y.slope[i], exact.slope[i], 1e-13, 0.1));
    }
  }
}

TEST_CASE("pro: three completions by hand", "[loss][pro]") {
  // One token each; log-probabilities -ln 2, -ln 4, -ln 8; scores 2, 1, 0.
  // k = 1: T = 2 (its own, the largest), 1, 2: terms 1/4, 1/4, 1/64. k = 2: T = 1, 1: terms 1/4, 1/8.
  list_point const list{
      {-std::log(2.0), -std::log(4.0), -std::log(8.0)}, {1.0, 1.0, 1.0}, {2.0, 1.0, 0.0}};
  double const first = std::log((0.25 + 0.25 + 1.0 / 64.0) / 0.25);
  double const second = std::log((0.25 + 0.125) / 0.25);
  CHECK(near(at_list(pro{.sft_weight = 0.0}, list).value, first + second, 1e-14));
  // sft_weight * (3 - 1)^2 * ln 2
  CHECK(near(at_list(pro{.sft_weight = 0.5}, list).value, first + second + 2.0 * std::log(2.0),
             1e-14));
}

TEST_CASE("pro: it is finite where the authors' 1e-10 inside the logarithm would show",
          "[loss][pro]") {
  // Both terms are exp(-400): log(1e-10 + ...) + 400 would be 377.
  list_point const list{{-100.0, -100.0}, {1.0, 1.0}, {4.0, 0.0}};
  CHECK(near(at_list(pro{.sft_weight = 0.0}, list).value, std::log(2.0), 1e-13));
  list_point const wrong{{-1e5, -1.0}, {1.0, 1.0}, {4.0, 0.0}};
  CHECK(at_list(pro{.sft_weight = 0.0}, wrong).value == 4.0 * 99999.0);
}

TEST_CASE("pro: a list of one has loss 0", "[loss][pro]") {
  CHECK(at_list(pro{}, list_point{{-3.0}, {1.0}, {1.0}}).value == 0.0);
}

TEST_CASE("pro: parameters out of range are refused", "[loss][pro]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(pro{.sft_weight = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
