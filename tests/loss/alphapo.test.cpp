// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/alphapo.hpp>
#include <prefer/loss/simpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::alphapo;

// Per token -0.25 to -12.
std::vector<prefer::pair_record<double>> const per_token = [] {
  std::vector<prefer::pair_record<double>> out;
  for (double const w : {-0.25, -1.0, -2.5, -12.0}) {
    for (double const l : {-0.5, -2.0, -11.5}) {
      auto pair = pair_with_margin(0.0);
      pair.rejected.completion_length = 8.0;
      pair.chosen.log_prob = 4.0 * w;
      pair.rejected.log_prob = 8.0 * l;
      out.push_back(pair);
    }
  }
  return out;
}();

TEST_CASE("alphapo: value and derivatives are the paper's", "[loss][alphapo]") {
  // s(a) = (1 - p^-alpha) / alpha with p = exp(a); s'(a) = p^-alpha. Powers of exp(12) are rounded: 2^-52 * e^6 / alpha
  // for the margin, times beta.
  double const beta = 2.0, gamma = 0.5;
  for (double const alpha : {0.5, 0.25, -0.25}) {
    CAPTURE(alpha);
    has_closed_form(alphapo{.beta = beta, .gamma = gamma, .alpha = alpha},
                    [&](paper_numbers const& n) {
                      auto const power = [&](long double a) {
                        return std::pow(std::exp(a), -alpha);
                      };
                      auto const s = [&](long double a) { return (1 - power(a)) / alpha; };
                      long double const w = n.a_w / n.n_w, l = n.a_l / n.n_l;
                      long double const z = beta * (s(w) - s(l)) - gamma;
                      return closed_form{sp(-z), -beta * sig(-z) * power(w) / n.n_w,
                                         beta * sig(-z) * power(l) / n.n_l};
                    },
                    per_token, {.relative = 1e-12});
  }
}

TEST_CASE("alphapo: with alpha = 0 it is simpo, and it tends to it", "[loss][alphapo]") {
  for (auto const& pair : per_token) {
    auto const simpo = at(prefer::simpo{.gamma = 0.5}, pair);
    auto const zero = at(alphapo{.gamma = 0.5, .alpha = 0.0}, pair);
    CHECK(zero.value == simpo.value);
    CHECK(zero.chosen == simpo.chosen);
    // s = a - alpha a^2 / 2: at most 144 * 2^-21 * beta from it.
    auto const close = at(alphapo{.gamma = 0.5, .alpha = 0x1p-20}, pair);
    CHECK(std::fabs(close.value - simpo.value) < 2e-4);
  }
}

TEST_CASE("alphapo: where powers of exp(mean_log_prob) overflow it is finite", "[loss][alphapo]") {
  auto pair = pair_with_margin(0.0);
  pair.chosen.log_prob = -4000.0;    // -1000 per token: p is 0 in double
  pair.rejected.log_prob = -5500.0;  // -1100
  auto const y = at(alphapo{.alpha = 1.0}, pair);
  CHECK(std::isfinite(y.value));
  CHECK(y.chosen == 0.0);  // both rewards are at their bound
  auto const usual = at(alphapo{.beta = 1.0, .gamma = 0.0, .alpha = 0.25}, pair);
  // s = 4 (1 - e^250) and 4 (1 - e^275): the margin is 4 (e^275 - e^250), and chosen has won.
  CHECK(usual.value == 0.0);
}

TEST_CASE("alphapo: label smoothing is the two-term form", "[loss][alphapo]") {
  for (auto const& pair : per_token) {
    auto const right = at(alphapo{.beta = 0.125}, pair).value;
    auto swapped = pair;
    swapped.chosen = pair.rejected;
    swapped.rejected = pair.chosen;
    auto const wrong = at(alphapo{.beta = 0.125, .gamma = -0.1}, swapped).value;  // sp(z)
    CHECK(near(at(alphapo{.beta = 0.125, .label_smoothing = 0.25}, pair).value,
               0.75 * right + 0.25 * wrong, 1e-14, 1.0));
  }
}

TEST_CASE("alphapo: parameters out of range are refused, any alpha is taken", "[loss][alphapo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(alphapo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(alphapo{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_NOTHROW(alphapo{.gamma = -1.0, .alpha = -0.5});
}

}  // namespace
