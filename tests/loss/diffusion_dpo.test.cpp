// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/loss/dpo.hpp>

#include "loss/one_pair.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::diffusion_dpo;
using prefer::dpo;

TEST_CASE("diffusion_dpo: loss is log 2 when policy equals reference", "[loss][diffusion_dpo]") {
  auto const y = at(diffusion_dpo{}, pair_with_margin(0.0));
  CHECK(near(y.value, std::numbers::ln2, 1e-15));
  CHECK(y.chosen == -1250.0);  // -beta / 2 * sigmoid(0), beta = 5000
  CHECK(y.rejected == 1250.0);
}

TEST_CASE("diffusion_dpo: hand-computed point", "[loss][diffusion_dpo]") {
  // Errors 0.5 and 0.9 where the reference has 0.6 and 0.7: chosen is better denoised by 0.1,
  // rejected worse by 0.2. z = 20 / 2 * 0.3 = 3.
  prefer::pair_record<double> const pair = {
      .chosen = {.log_prob = -0.5, .reference_log_prob = -0.6},
      .rejected = {.log_prob = -0.9, .reference_log_prob = -0.7}};
  auto const y = at(diffusion_dpo{.beta = 20.0}, pair);
  CHECK(near(y.value, std::log1p(std::exp(-3.0)), 1e-14));
  CHECK(near(y.chosen, -10.0 / (1.0 + std::exp(3.0)), 1e-14));
}

TEST_CASE("diffusion_dpo: is dpo with half of beta, bit for bit", "[loss][diffusion_dpo]") {
  for (double const margin : {-2.0, -0.3, 0.0, 0.01, 0.7, 400.0}) {
    for (double const beta : {0.1, 1.0, 2000.0, 5000.0}) {
      auto pair = pair_with_margin(margin);
      auto const ours = at(diffusion_dpo{.beta = beta}, pair);
      auto const theirs = at(dpo{.beta = beta / 2}, pair);
      CHECK(ours.value == theirs.value);
      CHECK(ours.chosen == theirs.chosen);
      CHECK(ours.rejected == theirs.rejected);

      pair.pair_beta = {true, beta};
      CHECK(at(diffusion_dpo{.beta = 7.0}, pair).value == ours.value);
    }
  }
}

TEST_CASE("diffusion_dpo: beta must be a positive number", "[loss][diffusion_dpo]") {
  diffusion_dpo loss;
  CHECK_THROWS_AS(loss.beta = 0.0, prefer::precondition_error);
  CHECK_THROWS_AS(loss.beta = -1.0, prefer::precondition_error);
}

}  // namespace
