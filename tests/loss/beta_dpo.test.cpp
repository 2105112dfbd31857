// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::beta_dpo;

struct batch {
  std::vector<double> margin;  // log-ratios of chosen; those of rejected are 0
  std::vector<double> uniform;
  std::vector<double> zero = std::vector<double>(margin.size(), 0.0);

  [[nodiscard]] prefer::pair_columns columns() const {
    return {.policy = {margin, zero}, .reference = {zero, zero}, .uniform = uniform};
  }
  [[nodiscard]] prefer::pair_record<double> pair(std::size_t i) const {
    auto out = pair_with_margin(0.0);
    out.chosen = {.log_prob = margin[i]};
    out.rejected = {.log_prob = 0.0};
    out.uniform = uniform[i];
    return out;
  }
};

std::vector<double> draws(std::size_t count, std::uint64_t step) {
  prefer::random_stream numbers(
      {.seed = 9, .purpose = prefer::random_purpose::selection, .step = step});
  std::vector<double> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(prefer::uniform01_float(numbers));
  return out;
}

batch some_batch(std::size_t count, std::uint64_t step) {
  batch out{{}, draws(count, step)};
  for (std::size_t i = 0; i < count; ++i)
    out.margin.push_back(static_cast<double>(i * 7 % 11) / 2 - 2.0);
  out.zero.assign(count, 0.0);
  return out;
}

struct moments {
  long double mean = 0, spread = 0;
};
moments moments_of(std::vector<double> const& x) {
  moments out;
  auto const n = static_cast<long double>(x.size());
  for (double const each : x) out.mean += each / n;
  long double squares = 0;
  for (double const each : x) squares += (each - out.mean) * (each - out.mean);
  out.spread = x.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
  return out;
}

TEST_CASE(
    "beta_dpo: mean and spread are moving averages of the batches', from zero, this batch included",
    "[loss][beta_dpo]") {
  beta_dpo<> const loss;
  beta_dpo<>::memory memory;
  long double mean = 0, spread = 0;
  for (std::uint64_t step = 0; step < 3; ++step) {
    auto const b = some_batch(5 + 4 * step, step);
    auto const state = prefer::prepare(loss, b.columns(), memory);
    auto const m = moments_of(b.margin);
    mean = 0.9L * mean + 0.1L * m.mean;
    spread = 0.9L * spread + 0.1L * m.spread;
    CHECK(near(memory.mean, static_cast<double>(mean), 1e-14, 1.0));
    CHECK(near(memory.spread, static_cast<double>(spread), 1e-14));
    CHECK(state.mean == memory.mean);
    CHECK(near(state.precision, static_cast<double>(1 / spread), 1e-14));
  }
}

TEST_CASE(
    "beta_dpo: 80 % of the pairs stay, beta follows their mean, and the loss is the mean over them",
    "[loss][beta_dpo]") {
  double const beta = 0.5, a = 0.25;
  auto const b = some_batch(20, 7);
  beta_dpo<> const loss{.loss = {.beta = beta}, .sensitivity = a};
  beta_dpo<>::memory memory;
  auto const state = prefer::prepare(loss, b.columns(), memory);

  std::vector<bool> kept;
  long double sum = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    kept.push_back(at(loss, b.pair(i), state).value != 0.0);
    if (kept.back()) sum += b.margin[i];
  }
  REQUIRE(std::count(kept.begin(), kept.end(), true) == 16);
  long double const beta_batch = beta * (1 + a * (sum / 16 - 0.1L * moments_of(b.margin).mean));
  REQUIRE(beta_batch > 1e-3L);
  double mean = 0.0;
  long double exact = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    auto const pair = b.pair(i);
    long double const z = beta_batch * b.margin[i];
    closed_form const own{20.0L / 16 * sp(-z), -beta_batch * 20 / 16 * sig(-z),
                          beta_batch * 20 / 16 * sig(-z)};
    compare(at(loss, pair, state), kept[i] ? own : closed_form{0, 0, 0}, paper_numbers(pair), {});
    mean += at(loss, pair, state).value / 20.0;
    if (kept[i]) exact += sp(-z) / 16;
  }
  CHECK(near(mean, static_cast<double>(exact), 1e-14));
}

TEST_CASE("beta_dpo: who stays is drawn without replacement by the weights", "[loss][beta_dpo]") {
  // One of two stays: each with its weight over the sum of both, exp(-((m - mean) / spread)^2 / 2). Of 4000 draws the
  // share has a standard deviation below 0.008: five of them are 0.04.
  batch b{{0.5, 2.0}, {}};
  beta_dpo<> const loss{.kept_share = 0.5};
  beta_dpo<>::memory const before{.mean = 0.5, .spread = 1.0};  // under which either has a chance
  auto const m = moments_of(b.margin);
  long double const mean = 0.9L * 0.5L + 0.1L * m.mean, spread = 0.9L + 0.1L * m.spread;
  auto const weight = [&](double margin) {
    long double const x = (margin - mean) / spread;
    return std::exp(-0.5L * x * x);
  };
  double const share = static_cast<double>(weight(0.5) / (weight(0.5) + weight(2.0)));
  int first = 0;
  for (std::uint64_t step = 0; step < 4000; ++step) {
    b.uniform = draws(2, step);
    auto memory = before;
    auto const state = prefer::prepare(loss, b.columns(), memory);
    first += at(loss, b.pair(0), state).value != 0.0 ? 1 : 0;
  }
  CHECK(std::fabs(first / 4000.0 - share) < 0.04);
}

TEST_CASE("beta_dpo: at the reference, where the authors' weights are 0 / 0, nothing is NaN",
          "[loss][beta_dpo]") {
  batch b{std::vector<double>(10, 0.0), draws(10, 3)};
  beta_dpo<> const loss{.loss = {.beta = 0.5}};
  beta_dpo<>::memory memory;
  auto const state = prefer::prepare(loss, b.columns(), memory);
  CHECK(memory.spread == 0.0);
  double mean = 0.0;
  for (std::size_t i = 0; i < 10; ++i) mean += at(loss, b.pair(i), state).value / 10.0;
  CHECK(near(mean, std::log(2.0), 1e-15));  // over kept pairs
}

TEST_CASE("beta_dpo: one pair has no spread and stays", "[loss][beta_dpo]") {
  batch const b{{3.0}, {0.25}};
  beta_dpo<> const loss{.loss = {.beta = 0.5}, .sensitivity = 0.5};
  beta_dpo<>::memory memory;
  auto const state = prefer::prepare(loss, b.columns(), memory);
  // mean = 0.3: beta = 0.5 * (1 + 0.5 * 2.7)
  CHECK(near(at(loss, b.pair(0), state).value, std::log1p(std::exp(-3.0 * 0.5 * 2.35)), 1e-14));
}

TEST_CASE("beta_dpo: beta stays above 0.001, however bad a batch is", "[loss][beta_dpo]") {
  batch const b{{-100.0, -100.0}, {0.25, 0.75}};
  beta_dpo<> const loss{.kept_share = 1.0};
  beta_dpo<>::memory memory;
  auto const state = prefer::prepare(loss, b.columns(), memory);
  CHECK(near(at(loss, b.pair(0), state).chosen, -0.001 / (1.0 + std::exp(-0.1)), 1e-13));
}

TEST_CASE("beta_dpo: u = 0 and u near 1 are drawn like any other", "[loss][beta_dpo]") {
  batch const b{{1.0, 1.0, 1.0}, {0.0, 1.0 - 0x1p-24, 0.5}};
  beta_dpo<> const loss{.kept_share = 0.67};
  beta_dpo<>::memory memory;
  auto const state = prefer::prepare(loss, b.columns(), memory);
  CHECK(std::isfinite(state.threshold));
  CHECK(at(loss, b.pair(0), state).value == 0.0);  // the smallest key of all
  CHECK(at(loss, b.pair(1), state).value > 0.0);
  CHECK(at(loss, b.pair(2), state).value > 0.0);
}

TEST_CASE("beta_dpo: another loss with a beta takes the rule", "[loss][beta_dpo]") {
  batch const b{{1.0, -1.0}, {0.25, 0.75}};
  beta_dpo<prefer::hinge> const loss{.loss = {.beta = 0.5}, .kept_share = 1.0};
  beta_dpo<prefer::hinge>::memory memory;
  auto const state = prefer::prepare(loss, b.columns(), memory);
  CHECK(near(at(loss, b.pair(0), state).value, 0.5,
             1e-15));  // all kept: their mean is the batch's, 0
  CHECK(near(at(loss, b.pair(1), state).value, 1.5, 1e-15));
}

TEST_CASE("beta_dpo: what it reads is what its loss reads, and a random number",
          "[loss][beta_dpo]") {
  using prefer::column_name;
  CHECK(prefer::needs<beta_dpo<>> ==
        (column_name::policy | column_name::reference | column_name::uniform));
}

TEST_CASE("beta_dpo: parameters out of range are refused", "[loss][beta_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(beta_dpo<>{.loss = {.beta = 0.0}}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(beta_dpo<>{.kept_share = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(beta_dpo<>{.kept_share = 1.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(beta_dpo<>{.rate = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
