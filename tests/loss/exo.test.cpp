// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/exo.hpp>

#include "loss/closed_form.hpp"
#include "loss/one_list.hpp"

namespace {

using namespace prefer::test;
using prefer::exo;
using prefer::exo_pair;

TEST_CASE("exo_pair: value and derivatives are the paper's", "[loss][exo]") {
  // q log(q / (1 - e)) + (1 - q) log((1 - q) / e) with q = sigmoid(z), and sigmoid'(z) (z - log((1 - e) / e)). The value
  // has a double root, near which the sum of its terms cancels here: floor 1e-2.
  double const beta = 0.5, e = 0.125;
  has_closed_form(
      exo_pair{.beta = beta, .label_smoothing = e},
      [&](paper_numbers const& n) {
        long double const z = beta * (n.r_w - n.r_l);
        long double const value =
            sig(z) * (-sp(-z) - std::log(1.0L - e)) + sig(-z) * (-sp(z) - std::log(1.0L * e));
        return of_margin(value, sig(z) * sig(-z) * (z - std::log((1.0L - e) / e)), beta);
      },
      some_pairs(), {.floor = 1e-2});
}

TEST_CASE("exo_pair: loss and slope are 0 where the policy's preference is the smoothed label",
          "[loss][exo]") {
  auto const y = at(exo_pair{.beta = 1.0, .label_smoothing = 0.2}, pair_with_margin(std::log(4.0)));
  CHECK(std::fabs(y.value) < 1e-15);
  CHECK(std::fabs(y.chosen) < 1e-15);
}

TEST_CASE("exo_pair: the slope vanishes on both sides, so that a very wrong pair is given up",
          "[loss][exo]") {
  auto const wrong = at(exo_pair{.beta = 1.0}, pair_with_margin(-60.0));
  auto const right = at(exo_pair{.beta = 1.0}, pair_with_margin(80.0));
  CHECK(near(wrong.value, std::log(1000.0), 1e-14));  // q -> 0: log(1 / e)
  CHECK(near(right.value, -std::log1p(-1e-3), 1e-11));
  CHECK((wrong.chosen < 0.0 && wrong.chosen > -1e-22));
  CHECK((right.chosen > 0.0 && right.chosen < 1e-30));
}

TEST_CASE("exo: value and derivatives are the divergence's", "[loss][exo]") {
  // KL(q || p); d / d s_i = q_i (log(q_i / p_i) - KL).
  auto const list = list_point::of({0.5, -1.25, 3.0, 0.0, -2.5}, {2.0, 0.25, -1.0, 1.0, 0.5});
  double const beta = 0.5, reward_beta = 2.0;
  auto const q = softmax(scaled(list.log_ratios(), beta));
  auto const p = softmax(scaled(list.score, 1 / reward_beta));
  long double kl = 0;
  for (std::size_t i = 0; i < q.size(); ++i) kl += q[i] * std::log(q[i] / p[i]);
  auto const y = at_list(exo{.beta = beta, .reward_beta = reward_beta}, list);
  CHECK(near(y.value, static_cast<double>(kl), 1e-14));
  for (std::size_t i = 0; i < q.size(); ++i) {
    CHECK(near(y.slope[i], static_cast<double>(beta * q[i] * (std::log(q[i] / p[i]) - kl)), 1e-13));
  }
}

TEST_CASE("exo: at log_ratio = score / (beta reward_beta) the loss is 0, and far from it finite",
          "[loss][exo]") {
  auto const there = at_list(exo{.beta = 0.5, .reward_beta = 2.0},
                             list_point::of({2.0, -1.0, 0.5}, {2.0, -1.0, 0.5}));
  CHECK(std::fabs(there.value) < 1e-15);
  CHECK(std::fabs(there.slope[1]) < 1e-15);
  auto const far = at_list(exo{.beta = 1.0}, list_point::of({900.0, -900.0, 0.0}, {0.0, 0.0, 0.0}));
  CHECK(near(far.value, std::log(3.0), 1e-14));  // all on one: log(1 / (1/3))
  CHECK(at_list(exo{}, list_point::of({-3.0}, {1.0})).value == 0.0);
}

TEST_CASE("exo: parameters out of range are refused", "[loss][exo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(exo_pair{.beta = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(exo_pair{.label_smoothing = 0.0}),
                  prefer::precondition_error);  // infinite
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(exo_pair{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(exo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(exo{.reward_beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
