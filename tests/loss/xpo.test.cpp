// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/compose.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/xpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::optimism;
using prefer::xpo;

std::vector<prefer::pair_record<double>> const from_both = [] {
  auto pairs = some_pairs();
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].chosen_from_reference = i % 2 == 0;
  return pairs;
}();

TEST_CASE("xpo: value and derivatives are dpo's and those of the reference's completion",
          "[loss][xpo]") {
  double const beta = 0.5, alpha = 0.125;
  for (auto const& pair : from_both) {
    paper_numbers const n(pair);
    bool const w = pair.chosen_from_reference;
    long double const z = beta * (n.r_w - n.r_l);
    compare(at(xpo{.beta = beta, .alpha = alpha}, pair),
            {sp(-z) + alpha * (w ? n.a_w : n.a_l), -beta * sig(-z) + (w ? alpha : 0),
             beta * sig(-z) + (w ? 0 : alpha)},
            n, {.floor = 1.0});
  }
}

TEST_CASE("optimism: only the completion that the reference wrote is pushed down", "[loss][xpo]") {
  auto pair = pair_with_margin(0.0);
  pair.chosen_from_reference = true;
  auto const chosen = at(optimism{}, pair);
  CHECK(chosen.value == -20.0);
  CHECK(chosen.chosen == 1.0);
  CHECK(chosen.rejected == 0.0);
  pair.chosen_from_reference = false;
  auto const rejected = at(optimism{}, pair);
  CHECK(rejected.value == -30.0);
  CHECK(rejected.chosen == 0.0);
  CHECK(rejected.rejected == 1.0);
}

TEST_CASE("xpo: with another loss it is a sum", "[loss][xpo]") {
  auto pair = pair_with_margin(3.0);
  pair.chosen_from_reference = true;
  auto const sum = prefer::ipo_sum{.beta = 0.25} + 0.5 * optimism{};
  CHECK(at(sum, pair).value == 1.0 - 0.5 * 17.0);  // (3 - 2)^2
  CHECK(prefer::needs<decltype(sum)>.contains(prefer::column_name::chosen_from_reference));
}

TEST_CASE("xpo: parameters out of range are refused", "[loss][xpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(xpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(xpo{.alpha = -1e-5}),
                  prefer::precondition_error);
}

}  // namespace
