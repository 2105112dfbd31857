// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/hinge.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/wpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::wpo;

std::vector<prefer::pair_record<double>> const aligned = [] {
  auto pairs = some_pairs();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].chosen.alignment = 0.25 - static_cast<double>(i % 7);
    pairs[i].rejected.alignment = 0.5 - static_cast<double>(i % 3);
  }
  return pairs;
}();

TEST_CASE("wpo: value and derivatives are dpo's, times a weight that carries no gradient",
          "[loss][wpo]") {
  double const beta = 0.5;
  for (auto const& pair : aligned) {
    paper_numbers const n(pair);
    long double const product =
        std::exp(static_cast<long double>(pair.chosen.alignment) + pair.rejected.alignment);
    long double const weight = product < 1 ? product : 1;
    long double const z = beta * (n.r_w - n.r_l);
    compare(at(wpo<>{.loss = {.beta = beta}}, pair),
            of_margin(weight * sp(-z), -weight * sig(-z), beta), n, {});
  }
}

TEST_CASE("wpo: the weight is bounded by largest_weight, as a product and not side by side",
          "[loss][wpo]") {
  auto pair = pair_with_margin(0.0);
  pair.chosen.alignment = 2.0;     // e^2 alone would be clipped to 1
  pair.rejected.alignment = -2.5;  // so that one side's clip would leave e^-2.5
  CHECK(near(at(wpo<>{}, pair).value, std::exp(-0.5) * std::log(2.0), 1e-15));
  pair.rejected.alignment = 1.0;
  CHECK(near(at(wpo<>{}, pair).value, std::log(2.0), 1e-15));
  CHECK(near(at(wpo<>{.largest_weight = 1e6}, pair).value, std::exp(3.0) * std::log(2.0), 1e-14));
}

TEST_CASE("wpo: any pair loss is weighted, one with a batch statistic included", "[loss][wpo]") {
  auto pair = pair_with_margin(1.0);
  pair.chosen.alignment = -1.0;
  auto const plain = at(prefer::hinge{.beta = 0.5}, pair);
  auto const weighted = at(wpo<prefer::hinge>{.loss = {.beta = 0.5}}, pair);
  CHECK(near(weighted.value, std::exp(-1.0) * plain.value, 1e-15));
  CHECK(near(weighted.chosen, std::exp(-1.0) * plain.chosen, 1e-15));
  prefer::kto_pair::state const state{.chosen_baseline = 0.5, .rejected_baseline = 0.25};
  CHECK(near(at(wpo<prefer::kto_pair>{}, pair, state).value,
             std::exp(-1.0) * at(prefer::kto_pair{}, pair, state).value, 1e-15));
}

TEST_CASE("wpo: what it reads follows from its formula", "[loss][wpo]") {
  using prefer::column_name;
  CHECK(prefer::needs<wpo<>> ==
        (column_name::policy | column_name::reference | column_name::alignment));
}

TEST_CASE("wpo: parameters out of range are refused", "[loss][wpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(wpo<>{.largest_weight = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(wpo<>{.loss = {.beta = 0.0}}),
                  prefer::precondition_error);
}

}  // namespace
