// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <vector>

#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/ipo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::epsilon_dpo;

// The margin of log-probabilities nearer the reference, here, and farther from it; and the step that it makes.
struct course {
  double perturbed_toward, here, perturbed_away, step;
};
std::vector<course> const courses = {
    {1.0, 2.0, 3.0, 1.0}, {3.0, 2.0, 1.0, -1.0}, {1.0, 2.0, 1.5, 0.0}, {3.0, 2.0, 2.5, 0.0},
    {2.0, 2.0, 3.0, 0.0}, {1.0, 2.0, 2.0, 0.0},  {2.0, 2.0, 2.0, 0.0}, {-9.0, -8.5, 40.0, 1.0}};

prefer::pair_record<double> pair_on(course const& c) {
  auto pair = pair_with_margin(0.0);
  pair.chosen.log_prob = pair.rejected.log_prob + c.here;
  pair.rejected.perturbed_toward_log_prob = -7.0;
  pair.chosen.perturbed_toward_log_prob = c.perturbed_toward - 7.0;
  pair.rejected.perturbed_away_log_prob = -5.0;
  pair.chosen.perturbed_away_log_prob = c.perturbed_away - 5.0;
  return pair;
}

TEST_CASE(
    "epsilon_dpo: beta shrinks where the margin rises along the perturbation, grows where it "
    "falls, and stays where it does neither",
    "[loss][epsilon_dpo]") {
  double const beta = 0.5, epsilon = 0.25, factor = 2.0;
  for (auto const& c : courses) {
    auto const pair = pair_on(c);
    paper_numbers const n(pair);
    double const own = beta * factor / (1.0 + epsilon * c.step);
    long double const z = static_cast<long double>(own) * (n.r_w - n.r_l);
    compare(at(epsilon_dpo<>{.loss = {.beta = beta}, .perturbation = epsilon}, pair, {factor}),
            of_margin(sp(-z), -sig(-z), own), n, {});
  }
}

TEST_CASE("epsilon_dpo: the kept factor follows the mean step, after the batch that made it",
          "[loss][epsilon_dpo]") {
  std::vector<double> here, perturbed_toward, perturbed_away, zero(courses.size(), 0.0);
  double mean = 0.0;
  for (auto const& c : courses) {
    here.push_back(c.here);
    perturbed_toward.push_back(c.perturbed_toward);
    perturbed_away.push_back(c.perturbed_away);
    mean += c.step / static_cast<double>(courses.size());
  }
  REQUIRE(mean == 0.125);
  prefer::pair_columns const batch{.policy = {here, zero},
                                   .perturbed_toward = {perturbed_toward, zero},
                                   .perturbed_away = {perturbed_away, zero}};
  epsilon_dpo<> const loss{.perturbation = 0.25};
  epsilon_dpo<>::memory memory;
  CHECK(prefer::prepare(loss, batch, memory).factor == 1.0);
  CHECK(near(prefer::prepare(loss, batch, memory).factor, 1.0 / 1.03125, 1e-15));  // 1 + 0.25 / 8
  CHECK(near(memory.factor, 1.0 / (1.03125 * 1.03125), 1e-15));
}

TEST_CASE("epsilon_dpo: a pair's own beta is what the factors multiply", "[loss][epsilon_dpo]") {
  auto pair = pair_on(courses[0]);
  auto const expected = at(epsilon_dpo<>{.loss = {.beta = 0.75}}, pair).value;
  pair.pair_beta = {true, 0.75};
  CHECK(at(epsilon_dpo<>{}, pair).value == expected);
}

TEST_CASE("epsilon_dpo: other losses with a beta take the rule, smoothing included",
          "[loss][epsilon_dpo]") {
  auto const pair = pair_on(courses[1]);                      // step -1: beta / (1 - 1/4)
  double const margin = 2.0 + pair.rejected.log_prob + 20.0;  // its reference is at -20 and -30
  auto const ipo =
      at(epsilon_dpo<prefer::ipo_sum>{.loss = {.beta = 0.375}, .perturbation = 0.25}, pair);
  CHECK(near(ipo.value, (margin - 1.0) * (margin - 1.0), 1e-14));  // 1 / (2 * 0.5)
  auto const smooth = at(
      epsilon_dpo<>{.loss = {.beta = 0.375, .label_smoothing = 0.25}, .perturbation = 0.25}, pair);
  long double const z = 0.5L * margin;
  CHECK(near(smooth.value, static_cast<double>(0.75L * sp(-z) + 0.25L * sp(z)), 1e-14));
}

TEST_CASE("epsilon_dpo: what it reads follows from its formula", "[loss][epsilon_dpo]") {
  using prefer::column_name;
  CHECK(prefer::needs<epsilon_dpo<>> ==
        (column_name::policy | column_name::reference | column_name::perturbed_toward |
         column_name::perturbed_away));
}

TEST_CASE("epsilon_dpo: parameters out of range are refused", "[loss][epsilon_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(epsilon_dpo<>{.perturbation = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(epsilon_dpo<>{.loss = {.beta = 0.0}}),
                  prefer::precondition_error);
}

}  // namespace
