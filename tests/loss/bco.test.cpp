// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <vector>

#include <prefer/loss/bco.hpp>

#include "loss/closed_form.hpp"
#include "loss/one_example.hpp"

namespace {

using namespace prefer::test;
using prefer::bco;
using prefer::bco_pair;

TEST_CASE("bco_pair: value and derivatives are the paper's", "[loss][bco]") {
  double const beta = 0.5;
  has_closed_form(bco_pair{.beta = beta}, [&](paper_numbers const& n) {
    long double const w = beta * n.r_w, l = beta * n.r_l;
    return closed_form{sp(-w) + sp(l), -beta * sig(-w), beta * sig(l)};
  });
}

TEST_CASE("bco_pair: it is an upper bound of dpo's loss, and no reward is shifted", "[loss][bco]") {
  for (auto const& pair : some_pairs()) {
    paper_numbers const n(pair);
    CHECK(at(bco_pair{.beta = 0.5}, pair).value >=
          static_cast<double>(sp(-0.5L * (n.r_w - n.r_l))) * (1.0 - 1e-15));
  }
  CHECK(near(at(bco_pair{}, pair_with_margin(0.0)).value, 2.0 * std::log(2.0), 1e-15));
}

// Three batches of log-ratios to a reference at 0, of different sizes.
std::vector<std::vector<double>> const batches = {{2.0, -1.0}, {0.5, 7.0, -3.25, 1.0}, {-9.0}};
std::vector<double> const zeros(4, 0.0);

prefer::unpaired_columns columns(std::vector<double> const& policy) {
  return {.policy = policy, .reference = std::span(zeros).first(policy.size()), .label = policy};
}

TEST_CASE("bco: the threshold is the mean reward over all batches so far, of good and bad alike",
          "[loss][bco]") {
  bco const loss{.beta = 0.25};
  bco::memory memory;
  std::vector<double> all;
  for (auto const& batch : batches) {
    auto const state = prefer::prepare(loss, columns(batch), memory);
    all.insert(all.end(), batch.begin(), batch.end());
    long double sum = 0, squares = 0;
    for (double const r : all) sum += 0.25L * r;
    long double const mean = sum / static_cast<long double>(all.size());
    for (double const r : all) squares += (0.25L * r - mean) * (0.25L * r - mean);
    CHECK(near(state.threshold, static_cast<double>(mean), 1e-14));
    CHECK(near(memory.standard_deviation(),
               static_cast<double>(std::sqrt(squares / static_cast<long double>(all.size() - 1))),
               1e-14));
  }
  CHECK(memory.count == 7.0);
}

TEST_CASE("bco: the spread of fewer than two rewards is not a number", "[loss][bco]") {
  bco::memory memory;
  CHECK(std::isnan(memory.standard_deviation()));
  (void)prefer::prepare(bco{}, columns({1.0}), memory);
  CHECK(std::isnan(memory.standard_deviation()));
}

TEST_CASE("bco: an example's own beta makes its reward", "[loss][bco]") {
  std::vector<double> const policy = {2.0, -1.0}, beta = {0.5, 4.0};
  auto batch = columns(policy);
  batch.beta = beta;
  bco::memory memory;
  CHECK(prefer::prepare(bco{}, batch, memory).threshold == (0.5 * 2.0 - 4.0) / 2.0);
}

TEST_CASE("bco: value and derivative are the paper's, with the threshold constant", "[loss][bco]") {
  double const beta = 0.5, delta = 1.25;
  for (double const r : {-1300.0, -8.0, -0.5, 0.0, 2.5, 30.0, 1300.0}) {
    CAPTURE(r);
    long double const u = static_cast<long double>(beta) * r - delta;
    auto const good = at_example(bco{.beta = beta}, {r, true}, {.threshold = delta});
    CHECK(near(good.value, static_cast<double>(sp(-u)), 1e-14, 1e-300));
    CHECK(near(good.slope, static_cast<double>(-beta * sig(-u)), 1e-14, 1e-300));
    auto const bad = at_example(bco{.beta = beta}, {r, false}, {.threshold = delta});
    CHECK(near(bad.value, static_cast<double>(sp(u)), 1e-14, 1e-300));
    CHECK(near(bad.slope, static_cast<double>(beta * sig(u)), 1e-14, 1e-300));
  }
}

TEST_CASE("bco: at the reference the first batch's loss is log 2", "[loss][bco]") {
  bco::memory memory;
  auto const state = prefer::prepare(bco{}, columns({0.0, 0.0, 0.0}), memory);
  CHECK(state.threshold == 0.0);
  CHECK(near(at_example(bco{}, {0.0, true}, state).value, std::log(2.0), 1e-15));
}

TEST_CASE("density_ratio_weight: the odds of the prompt, between its bounds", "[loss][bco]") {
  CHECK(prefer::density_ratio_weight(0.75) == 3.0);
  CHECK(prefer::density_ratio_weight(0.5) == 1.0);
  CHECK(prefer::density_ratio_weight(0.1) == 0.5);    // 1/9
  CHECK(prefer::density_ratio_weight(0.99) == 10.0);  // 99
  CHECK(prefer::density_ratio_weight(1.0) == 10.0);
  CHECK(prefer::density_ratio_weight(0.0) == 0.5);
  CHECK(prefer::density_ratio_weight(0.1, 0.0, 1.0) == 0.1 / 0.9);
  CHECK_THROWS_AS(prefer::density_ratio_weight(1.5), prefer::precondition_error);
  CHECK_THROWS_AS(prefer::density_ratio_weight(-0.1), prefer::precondition_error);
  CHECK_THROWS_AS(prefer::density_ratio_weight(std::nan("")), prefer::precondition_error);
}

TEST_CASE("bco: beta out of range is refused", "[loss][bco]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(bco_pair{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(bco{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
