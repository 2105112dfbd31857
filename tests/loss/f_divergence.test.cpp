// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/apo.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/discopop.hpp>
#include <prefer/loss/dpop.hpp>
#include <prefer/loss/exo.hpp>
#include <prefer/loss/f_divergence.hpp>
#include <prefer/loss/gpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/ln_dpo.hpp>
#include <prefer/loss/nca.hpp>
#include <prefer/loss/robust_dpo.hpp>
#include <prefer/loss/sppo.hpp>

#include "loss/closed_form.hpp"

namespace {

constexpr long double ln2 = std::numbers::ln2_v<long double>;

using namespace prefer::test;
using prefer::alpha_divergence;
using prefer::dpo;
using prefer::f_dpo;
using prefer::forward_kl;
using prefer::js_divergence;

// sp(-beta (phi_w - phi_l)), with phi' for both derivatives. The arguments are rounded once or twice here, and reach 40:
// 40 * 2^-52 is 1e-14, a few of those are 1e-13.
template <class L, class Phi, class Slope>
void is_dpo_on(L const& loss, double beta, Phi const& phi, Slope const& slope) {
  has_closed_form(
      loss,
      [&](paper_numbers const& n) {
        long double const z = beta * (phi(n.r_w) - phi(n.r_l));
        return closed_form{sp(-z), -beta * sig(-z) * slope(n.r_w), beta * sig(-z) * slope(n.r_l)};
      },
      near_pairs(), {.relative = 1e-13});
}

TEST_CASE("f_dpo_forward_kl: dpo on 1 - exp(-u)", "[loss][f_divergence]") {
  is_dpo_on(
      f_dpo<forward_kl>{.loss = {.beta = 0.5}}, 0.5, [](long double u) { return -std::expm1(-u); },
      [](long double u) { return std::exp(-u); });
}

TEST_CASE("f_dpo: a completion as likely as under the reference scores 0 under every divergence",
          "[loss][f_divergence]") {
  CHECK(forward_kl::score(0.0) == 0.0);
  CHECK(js_divergence::score(0.0) == 0.0);
  CHECK(alpha_divergence{.coefficient = 0.3}.score(0.0) == 0.0);
}

TEST_CASE("f_dpo_js: dpo on log 2 + log sigmoid(u)", "[loss][f_divergence]") {
  is_dpo_on(
      f_dpo<js_divergence>{.loss = {.beta = 0.5}}, 0.5, [](long double u) { return ln2 - sp(-u); },
      [](long double u) { return sig(-u); });
}

TEST_CASE("f_dpo_alpha: dpo on expm1((c - 1) u) / (c - 1)", "[loss][f_divergence]") {
  for (double const c : {0.5, 0.25, -1.0, 2.0}) {
    CAPTURE(c);
    is_dpo_on(
        f_dpo<alpha_divergence>{.loss = {.beta = 0.5}, .divergence = {.coefficient = c}}, 0.5,
        [c](long double u) { return std::expm1((c - 1) * u) / (c - 1); },
        [c](long double u) { return std::exp((c - 1) * u); });
  }
}

TEST_CASE("f_dpo: alpha divergence is the reverse KL at 1, and tends to it",
          "[loss][f_divergence]") {
  for (auto const& pair : near_pairs()) {
    auto const reverse = at(dpo{.beta = 0.5}, pair);
    auto const there = at(
        f_dpo<alpha_divergence>{.loss = {.beta = 0.5}, .divergence = {.coefficient = 1.0}}, pair);
    CHECK(there.value == reverse.value);
    CHECK(there.chosen == reverse.chosen);
    // expm1(h u) / h = u + h u^2 / 2: with h = 2^-20 and |u| <= 4 the margin moves by 1e-5.
    auto const close = at(f_dpo<alpha_divergence>{.loss = {.beta = 0.5},
                                                  .divergence = {.coefficient = 1.0 + 0x1p-20}},
                          pair);
    CHECK(std::fabs(close.value - reverse.value) < 1e-5);
    CHECK(std::fabs(close.chosen - reverse.chosen) < 1e-5);
  }
}

TEST_CASE("f_dpo: alpha divergence is the forward KL at coefficient 0", "[loss][f_divergence]") {
  for (auto const& pair : near_pairs()) {
    auto const alpha = at(f_dpo<alpha_divergence>{.divergence = {.coefficient = 0.0}}, pair);
    auto const forward = at(f_dpo<forward_kl>{}, pair);
    CHECK(alpha.value == forward.value);
    CHECK(alpha.chosen == forward.chosen);
  }
}

TEST_CASE("f_dpo: a policy that drops a completion explodes under the forward KL, within bounds",
          "[loss][f_divergence]") {
  auto const at_40 = at(f_dpo<forward_kl>{.loss = {.beta = 1.0}}, pair_with_log_ratios(-40.0, 0.0));
  CHECK(near(at_40.value, std::exp(40.0), 1e-14));
  CHECK(near(at_40.chosen, -std::exp(40.0), 1e-14));
  // Beyond exponents of 690 the score goes on along its tangent, so that order and direction are kept.
  auto const at_900 =
      at(f_dpo<forward_kl>{.loss = {.beta = 1.0}}, pair_with_log_ratios(-900.0, 0.0));
  CHECK(near(at_900.value, 211.0 * std::exp(690.0), 1e-12));
  CHECK(near(at_900.chosen, -std::exp(690.0), 1e-12));
  auto const both_far =
      at(f_dpo<forward_kl>{.loss = {.beta = 1.0}}, pair_with_log_ratios(-900.0, -1200.0));
  CHECK(both_far.value == 0.0);  // the rejected one is further down
}

TEST_CASE("f_dpo: Jensen-Shannon saturates where the policy has gone far above the reference",
          "[loss][f_divergence]") {
  auto const y = at(f_dpo<js_divergence>{.loss = {.beta = 1.0}}, pair_with_log_ratios(60.0, 50.0));
  CHECK(near(y.value, std::log(2.0), 1e-15));  // both scores are log 2
  CHECK(near(y.chosen, -0.5 * std::exp(-60.0), 1e-14));
}

TEST_CASE("alpha_divergence: exponents stop where they are told to, as TRL's do at 80",
          "[loss][f_divergence]") {
  auto const trl = f_dpo<alpha_divergence>{
      .loss = {.beta = 1.0}, .divergence = {.coefficient = 2.0, .largest_exponent = 80.0}};
  auto const y = at(trl, pair_with_log_ratios(0.0, 100.0));
  CHECK(near(y.value, std::exp(80.0), 1e-14));
  CHECK(y.rejected == 0.0);
  auto const ours =
      at(f_dpo<alpha_divergence>{.loss = {.beta = 1.0}, .divergence = {.coefficient = 2.0}},
         pair_with_log_ratios(0.0, 100.0));
  CHECK(near(ours.value, std::exp(100.0), 1e-14));
  CHECK(near(ours.rejected, std::exp(100.0), 1e-14));
}

TEST_CASE("f_dpo: any loss of the margin takes the map, lengths and smoothing included",
          "[loss][f_divergence]") {
  long double const beta = 0.5L;
  auto const phi = [](long double u) { return ln2 - sp(-u); };
  tolerance const t{.relative = 1e-13, .floor = 1.0};
  has_closed_form(
      f_dpo<js_divergence, prefer::hinge>{.loss = {.beta = 0.5}},
      [&](paper_numbers const& n) {
        long double const z = beta * (phi(n.r_w) - phi(n.r_l));
        long double const active = z < 1 ? 1 : 0;
        return closed_form{active * (1 - z), -active * beta * sig(-n.r_w),
                           active * beta * sig(-n.r_l)};
      },
      near_pairs(), t);
  has_closed_form(
      f_dpo<js_divergence, prefer::ipo>{.loss = {.beta = 0.5}},
      [&](paper_numbers const& n) {
        long double const h = phi(n.r_w) / n.n_w - phi(n.r_l) / n.n_l - 1;
        return closed_form{h * h, 2 * h * sig(-n.r_w) / n.n_w, -2 * h * sig(-n.r_l) / n.n_l};
      },
      near_pairs(), t);
  has_closed_form(
      f_dpo<js_divergence>{.loss = {.beta = 0.5, .label_smoothing = 0.25}},
      [&](paper_numbers const& n) {
        long double const z = beta * (phi(n.r_w) - phi(n.r_l));
        long double const slope = beta * (sig(z) - 0.75L);
        return closed_form{0.75L * sp(-z) + 0.25L * sp(z), slope * sig(-n.r_w),
                           -slope * sig(-n.r_l)};
      },
      near_pairs(), t);
}

TEST_CASE("f_dpo: losses of the margin take a divergence, losses of absolute log-ratios do not",
          "[loss][f_divergence]") {
  using prefer::TakesScoreMap;
  STATIC_REQUIRE(TakesScoreMap<dpo>);
  STATIC_REQUIRE(TakesScoreMap<prefer::robust_dpo>);
  STATIC_REQUIRE(TakesScoreMap<prefer::hinge>);
  STATIC_REQUIRE(TakesScoreMap<prefer::ipo>);
  STATIC_REQUIRE(TakesScoreMap<prefer::ipo_sum>);
  STATIC_REQUIRE(TakesScoreMap<prefer::exo_pair>);
  STATIC_REQUIRE(TakesScoreMap<prefer::discopop>);
  STATIC_REQUIRE(TakesScoreMap<prefer::ln_dpo>);
  STATIC_REQUIRE(TakesScoreMap<prefer::gpo_savage>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::apo_zero>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::apo_down>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::aot>);  // sorts log-ratios themselves
  STATIC_REQUIRE(!TakesScoreMap<prefer::aot_unpaired>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::nca_pair>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::bco_pair>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::sppo_hard>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::dpop>);
  STATIC_REQUIRE(!TakesScoreMap<prefer::kto_pair>);
}

TEST_CASE("f_dpo: parameters out of range are refused", "[loss][f_divergence]") {
  CHECK_THROWS_WITH(
      prefer::expects_hyper_parameters_in_range(f_dpo<forward_kl>{.loss = {.beta = 0.0}}),
      "dpo: beta is 0, expected a finite number greater than zero");
  CHECK_THROWS_AS(
      prefer::expects_hyper_parameters_in_range(alpha_divergence{.largest_exponent = 0.0}),
      prefer::precondition_error);
}

}  // namespace
