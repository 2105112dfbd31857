// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <utility>

#include <prefer/loss/rebel.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::rebel;

TEST_CASE("rebel: value and derivatives are the paper's", "[loss][rebel]") {
  double const eta = 4.0;
  has_closed_form(rebel{.eta = eta}, [&](paper_numbers const& n) {
    long double const miss = (n.r_w - n.r_l) / eta - (n.score_w - n.score_l);
    return closed_form{miss * miss, 2 * miss / eta, -2 * miss / eta};
  });
}

TEST_CASE("rebel: the authors' code has eta^2 times this", "[loss][rebel]") {
  // (margin - eta * score margin)^2 = (3 - 0.25 * 0.5)^2
  auto pair = pair_with_margin(3.0);
  pair.chosen.score = 0.5;
  CHECK(near(0.25 * 0.25 * at(rebel{.eta = 0.25}, pair).value, 2.875 * 2.875, 1e-14));
}

TEST_CASE("rebel: which completion is called chosen does not matter", "[loss][rebel]") {
  for (auto pair : near_pairs()) {
    auto const one = at(rebel{}, pair);
    std::swap(pair.chosen, pair.rejected);
    auto const other = at(rebel{}, pair);
    CHECK(one.value == other.value);
    CHECK(one.chosen == other.rejected);
  }
}

TEST_CASE("rebel: eta out of range is refused", "[loss][rebel]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(rebel{.eta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
