// SPDX-License-Identifier: MIT
//
// Where losses are at rest: closed forms, and for discopop numbers that were found apart from this library.
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/scalar/dual.hpp>

namespace {

using namespace prefer;

struct slopes {
  double value;
  double chosen;
  double rejected;
};

/// A pair with these log-ratios, of 4 and 5 tokens.
template <class L>
slopes at(L const& loss, double chosen, double rejected, double score = 0.0) {
  using S = dual<double, 2>;
  pair_record<S> pair;
  pair.chosen = {.log_prob = S::variable(-20.0 + chosen, 0),
                 .reference_log_prob = -20.0,
                 .completion_length = 4.0,
                 .score = score};
  pair.rejected = {.log_prob = S::variable(-30.0 + rejected, 1),
                   .reference_log_prob = -30.0,
                   .completion_length = 5.0};
  S const y = loss(pair);
  return {y.value, y.partial[0], y.partial[1]};
}

/// A loss is at rest in chosen's direction at x, a minimum: the slope changes its sign from - to +.
template <class L>
void check_minimum(L const& loss, double x) {
  double const rounding = 1e-14 * (30.0 + std::fabs(x));  // of log-ratios that are differences
  CHECK(std::fabs(at(loss, x, 0.0).chosen) <= rounding);
  CHECK(at(loss, x - 0.5, 0.0).chosen < -rounding);
  CHECK(at(loss, x + 0.5, 0.0).chosen > rounding);
}

double logit(double p) { return std::log(p / (1.0 - p)); }

TEST_CASE("stationary: nca_pair at a chosen reward of ln 2", "[laws][stationary]") {
  for (double const beta : {0.1, 1.0}) check_minimum(nca_pair{.beta = beta}, std::log(2.0) / beta);
}

TEST_CASE("stationary: exo_pair and smoothed dpo at the log-odds of the smoothed label",
          "[laws][stationary]") {
  for (double const e : {1e-3, 0.05, 0.4}) {
    for (double const beta : {0.1, 1.0}) {
      double const margin = logit(1.0 - e) / beta;
      check_minimum(dpo{.beta = beta, .label_smoothing = e}, margin);
      check_minimum(exo_pair{.beta = beta, .label_smoothing = e}, margin);
      CHECK(std::fabs(at(exo_pair{.beta = beta, .label_smoothing = e}, margin, 0.0).value) <=
            1e-14);
      // The entropy of the label is the least that smoothed dpo reaches.
      CHECK(at(dpo{.beta = beta, .label_smoothing = e}, margin, 0.0).value ==
            Approx(-e * std::log(e) - (1 - e) * std::log1p(-e)).epsilon(1e-12));
    }
  }
}

TEST_CASE("stationary: squared losses at their targets", "[laws][stationary]") {
  for (double const beta : {0.1, 1.0}) {
    double const target = 1.0 / (2.0 * beta);
    check_minimum(ipo_sum{.beta = beta}, target);
    check_minimum(ipo{.beta = beta}, 4.0 * target);  // of 4 tokens
    check_minimum(gpo_squared{.beta = beta}, 1.0 / beta);
    check_minimum(sppo_hard{.beta = beta}, target);
    CHECK(at(sppo_hard{.beta = beta}, target, -target).value == Approx(0.0).margin(1e-24));
  }
  // log_ratio_margin = eta * (difference of scores)
  auto const regressed = at(rebel{.eta = 2.0}, 1.5, 0.0, 0.75);
  CHECK(regressed.value == 0.0);
  CHECK(regressed.chosen == 0.0);
}

TEST_CASE("stationary: cal_dpo beyond its targets by what dpo pulls there", "[laws][stationary]") {
  // r_chosen - 1 / (2 beta) = sigmoid(-margin) = -(r_rejected + 1 / (2 beta)): a fixed point, found by iteration,
  // which contracts by 2 sigmoid' <= 1/2.
  for (double const beta : {0.1, 0.5, 2.0}) {
    double const target = 1.0 / (2.0 * beta);
    double excess = 0.0;
    for (int i = 0; i < 100; ++i) excess = 1.0 / (1.0 + std::exp(2.0 * (target + excess)));
    auto const rest = at(cal_dpo{.beta = beta}, target + excess, -target - excess);
    CHECK(std::fabs(rest.chosen) < 1e-14);
    CHECK(std::fabs(rest.rejected) < 1e-14);
  }
}

TEST_CASE("stationary: apo_down lets chosen rest at the reference", "[laws][stationary]") {
  CHECK(at(apo_down{.beta = 0.3}, 0.0, 0.0).chosen == 0.0);
  CHECK(at(apo_down{.beta = 0.3}, 0.0, 0.0).rejected == Approx(0.3 / 4).epsilon(1e-14));
}

TEST_CASE(
    "stationary: discopop has a local minimum left of the reference and a barrier right of it",
    "[laws][stationary]") {
  discopop const loss{.beta = 1.0};
  auto const slope = [&](double z) { return at(loss, z, 0.0).chosen; };
  // (1 - ln 2) / (4 temperature) - 3/4 at the reference
  CHECK(slope(0.0) == Approx((1.0 - std::log(2.0)) / 0.2 - 0.75).epsilon(1e-12));
  auto const zero_between = [&](double low, double high) {
    for (int i = 0; i < 60; ++i) {
      double const middle = 0.5 * (low + high);
      (slope(middle) > 0.0) == (slope(high) > 0.0) ? high = middle : low = middle;
    }
    return low;
  };
  double const minimum = zero_between(-0.3, 0.0);
  double const barrier = zero_between(0.0, 0.2);
  CHECK(minimum == Approx(-0.119).margin(0.0005));
  CHECK(at(loss, minimum, 0.0).value == Approx(0.786).margin(0.0005));
  CHECK(barrier == Approx(0.072).margin(0.0005));
  CHECK(at(loss, barrier, 0.0).value == Approx(0.878).margin(0.0005));
  CHECK(slope(-0.3) < 0.0);
  CHECK(slope(0.2) < 0.0);
}

TEST_CASE("stationary: robust_dpo has no minimum", "[laws][stationary]") {
  // -e / (1 - 2 e) * z for large z: -0.1 / 0.8 * 500
  robust_dpo const loss{.beta = 1.0, .label_smoothing = 0.1};
  CHECK(at(loss, 500.0, 0.0).value == Approx(-62.5).epsilon(1e-14));
  CHECK(at(loss, 500.0, 0.0).chosen == Approx(-0.125).epsilon(1e-14));
}

/// The value and all three derivatives of a list with these log-ratios and scores.
template <class L>
std::array<double, 4> on_list(L const& loss, std::array<double, 3> const& log_ratio,
                              std::array<double, 3> const& score) {
  using S = dual<double, 3>;
  auto const completion = [&](std::size_t i) {
    completion_record<S> out;
    out.log_prob = S::variable(log_ratio[i], i);
    out.score = score[i];
    return out;
  };
  S const y = loss(list_record<S, decltype(completion)>(3, completion, {}));
  return {y.value, y.partial[0], y.partial[1], y.partial[2]};
}

TEST_CASE("stationary: losses over scored lists where rewards are the scores' softmax",
          "[laws][stationary]") {
  double const beta = 0.5;
  std::array<double, 3> const score = {1.5, 0.25, -1.0};
  double z = 0.0;
  for (double const s : score) z += std::exp(s);
  std::array<double, 3> shifted{}, absolute{};
  double entropy = 0.0;
  for (std::size_t i = 0; i < 3; ++i) {
    double const p = std::exp(score[i]) / z;
    shifted[i] = (score[i] + 7.0) / beta;    // softmax(s) = p, whatever is added to all
    absolute[i] = std::log(3.0 * p) / beta;  // p sigmoid(-s) = sigmoid(s) / K: odds of K p
    entropy -= p * std::log(p);
  }
  auto const by_info_nca = on_list(info_nca{.beta = beta}, shifted, score);
  auto const by_exo = on_list(exo{.beta = beta}, shifted, score);
  auto const by_nca = on_list(nca{.beta = beta}, absolute, score);
  CHECK(by_info_nca[0] == Approx(entropy).epsilon(1e-13));
  CHECK(std::fabs(by_exo[0]) < 1e-14);
  for (std::size_t k = 1; k < 4; ++k) {
    CHECK(std::fabs(by_info_nca[k]) < 1e-14);
    CHECK(std::fabs(by_exo[k]) < 1e-14);
    CHECK(std::fabs(by_nca[k]) < 1e-14);
  }
  CHECK(std::fabs(on_list(nca{.beta = beta}, shifted, score)[1]) > 0.01);  // nca does not shift
}

}  // namespace
