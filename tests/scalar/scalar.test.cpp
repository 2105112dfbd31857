// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <string>

#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>
#include <prefer/scalar/probe.hpp>
#include <prefer/scalar/scalar.hpp>

#include "support/archetypes.hpp"

namespace {

using prefer::Scalar;
using prefer::test::scalar_archetype;
using prefer::test::scalar_lacks;

TEST_CASE("Scalar: every number that formulas run on is one", "[scalar][concept]") {
  STATIC_REQUIRE(Scalar<float>);
  STATIC_REQUIRE(Scalar<double>);
  STATIC_REQUIRE(Scalar<prefer::lane<float>>);
  STATIC_REQUIRE(Scalar<prefer::lane<double>>);
  STATIC_REQUIRE(Scalar<prefer::dual<double, 1>>);
  STATIC_REQUIRE(Scalar<prefer::dual<prefer::lane<float>, 2>>);
  STATIC_REQUIRE(Scalar<prefer::probe>);
  STATIC_REQUIRE(!Scalar<std::string>);
  STATIC_REQUIRE(!Scalar<bool>);
}

TEST_CASE("Scalar: asks for nothing that its archetype lacks", "[scalar][concept]") {
  STATIC_REQUIRE(Scalar<scalar_archetype<>>);
}

TEST_CASE("Scalar: asks for every member of its archetype", "[scalar][concept]") {
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::plus>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::minus>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::times>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::divide>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::negate>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::plus_double>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::double_minus>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::times_double>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::double_divide>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::softplus>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::sigmoid>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::log_sigmoid>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::exp>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::expm1>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::log>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::log1mexp>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::square>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::relu>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::clamp>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::greater>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::select>>);
}

TEST_CASE("primal_t: a dual's is the scalar underneath, any other's is itself",
          "[scalar][concept]") {
  STATIC_REQUIRE(std::same_as<prefer::primal_t<double>, double>);
  STATIC_REQUIRE(
      std::same_as<prefer::primal_t<prefer::dual<prefer::lane<float>, 2>>, prefer::lane<float>>);
  STATIC_REQUIRE(std::same_as<prefer::primal_t<prefer::probe>, prefer::probe>);
}

}  // namespace
