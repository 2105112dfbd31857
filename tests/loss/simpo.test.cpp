// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>

#include <prefer/loss/simpo.hpp>

#include "loss/one_pair.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::simpo;

TEST_CASE("simpo: hand-computed point", "[loss][simpo]") {
  // Per token: -20 / 4 = -5 and -30 / 5 = -6, so z = 2 * 1 - (2 - ln 3) = ln 3.
  auto const y = at(simpo{.beta = 2.0, .gamma = 2.0 - std::log(3.0)}, pair_with_margin(0.0));
  CHECK(near(y.value, std::log(4.0 / 3.0), 1e-14));
  CHECK(near(y.chosen, -2.0 * 0.25 / 4.0, 1e-14));
  CHECK(near(y.rejected, 2.0 * 0.25 / 5.0, 1e-14));
}

TEST_CASE("simpo: the reference does not enter", "[loss][simpo]") {
  auto pair = pair_with_margin(1.5);
  auto const before = at(simpo{}, pair).value;
  pair.chosen.reference_log_prob = -1.0;
  pair.rejected.reference_log_prob = -99.0;
  CHECK(at(simpo{}, pair).value == before);
}

TEST_CASE("simpo: label smoothing is the two-term form", "[loss][simpo]") {
  for (double const margin : {-60.0, 0.0, 8.0}) {
    double const z = 2.5 * ((-20.0 + margin) / 4.0 + 6.0) - 1.4;
    double const two_terms = 0.9 * std::log1p(std::exp(-z)) + 0.1 * std::log1p(std::exp(z));
    CHECK(
        near(at(simpo{.label_smoothing = 0.1}, pair_with_margin(margin)).value, two_terms, 1e-13));
  }
}

TEST_CASE("simpo: a pair's own target margin replaces gamma", "[loss][simpo]") {
  auto pair = pair_with_margin(0.0);
  auto const expected = at(simpo{.gamma = 0.25}, pair).value;
  pair.pair_target_margin = {true, 0.25};
  CHECK(at(simpo{.gamma = 7.0}, pair).value == expected);
}

TEST_CASE("simpo: extreme margins have their limits", "[loss][simpo]") {
  CHECK(at(simpo{.beta = 2.0, .gamma = 0.0}, pair_with_margin(-4e4)).value == 2.0 * 9999.0);  // -z
  CHECK(at(simpo{.beta = 2.0, .gamma = 0.0}, pair_with_margin(4e4)).value == 0.0);
}

TEST_CASE("simpo: beta out of range is refused, any gamma is taken", "[loss][simpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(simpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_NOTHROW(simpo{.gamma = -1.0});
}

}  // namespace
