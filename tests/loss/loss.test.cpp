// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>

#include "loss/lists.hpp"
#include "loss/one_pair.hpp"
#include "support/archetypes.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer;
using namespace prefer::test;

TEST_CASE("Loss: asks for what its archetype has, and for each of it", "[loss][concept]") {
  STATIC_REQUIRE(UnpairedLoss<loss_archetype<1>>);
  STATIC_REQUIRE(PairLoss<loss_archetype<2>>);
  STATIC_REQUIRE(ListLoss<loss_archetype<dynamic_arity>>);
  STATIC_REQUIRE(PairLoss<remembering_archetype>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::arity>>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::formula>>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::const_formula>>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::trivial_copies>>);
  STATIC_REQUIRE(!Loss<double>);
}

TEST_CASE("Loss: arities are kept apart", "[loss][concept]") {
  STATIC_REQUIRE(PairLoss<dpo>);
  STATIC_REQUIRE(!UnpairedLoss<dpo>);
  STATIC_REQUIRE(!ListLoss<dpo>);
  STATIC_REQUIRE(UnpairedLoss<kto>);
  STATIC_REQUIRE(ListLoss<softmax_dpo>);
  STATIC_REQUIRE(check::loss<dpo>());
}

TEST_CASE("Loss: what each reads follows from its formula", "[loss][needs]") {
  auto const policy = column_set(column_name::policy);
  auto const both = policy | column_name::reference;
  CHECK(needs<dpo> == both);
  CHECK(needs<hinge> == both);
  CHECK(needs<ipo_sum> == both);
  CHECK(needs<ipo> == (both | column_name::length));
  CHECK(needs<simpo> == (policy | column_name::length));
  CHECK(needs<nll> == policy);
  CHECK(needs<nll_per_token> == (policy | column_name::length));
  CHECK(needs<kto> == (both | column_name::label));
  CHECK(needs<softmax_dpo> == both);
  CHECK(reads(simpo{}) == (needs<simpo> | column_name::beta | column_name::target_margin));
  CHECK(needs<decltype(dpo{} + 0.1 * nll_per_token{})> == (both | column_name::length));
}

TEST_CASE("Loss: which see only the margin follows from their formulas", "[loss][needs]") {
  CHECK(margin_only<dpo>);
  CHECK(margin_only<hinge>);
  CHECK(margin_only<ipo_sum>);
  CHECK(!margin_only<ipo>);  // each side has its own length
  CHECK(!margin_only<simpo>);
  CHECK(!margin_only<nll>);
  CHECK(margin_only<decltype(0.5 * dpo{} + 2.0 * hinge{})>);
  CHECK(!margin_only<decltype(dpo{} + 0.1 * nll{})>);
}

TEST_CASE("log_sum_exp: sums from the given rank on without overflow", "[loss][list]") {
  auto const from = [](std::size_t first, std::vector<double> const& log_prob) {
    auto const at = [&](std::size_t i) {
      return completion_record<double>{.log_prob = log_prob[i]};
    };
    list_record<double, decltype(at)> const list(log_prob.size(), at, {});
    return log_sum_exp(list, first, [](auto const& c) { return c.log_prob; });
  };
  CHECK(near(from(0, {std::log(1.0), std::log(2.0), std::log(3.0)}), std::log(6.0), 1e-15));
  CHECK(near(from(1, {std::log(1.0), std::log(2.0), std::log(3.0)}), std::log(5.0), 1e-15));
  CHECK(near(from(0, {1000.0, 1000.0}), 1000.0 + std::log(2.0), 1e-15));
  CHECK(near(from(0, {-1000.0, -1000.0}), -1000.0 + std::log(2.0), 1e-15));
}

}  // namespace
