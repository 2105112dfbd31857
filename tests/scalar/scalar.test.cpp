// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <concepts>
#include <limits>
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
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::less>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::select_of_constants>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::default_condition>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::from_double>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::parameters>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::value_of>>);
  STATIC_REQUIRE(!Scalar<scalar_archetype<scalar_lacks::precision>>);
}

TEST_CASE("primal_t: a dual's is the scalar underneath, any other's is itself",
          "[scalar][concept]") {
  STATIC_REQUIRE(std::same_as<prefer::primal_t<double>, double>);
  STATIC_REQUIRE(
      std::same_as<prefer::primal_t<prefer::dual<prefer::lane<float>, 2>>, prefer::lane<float>>);
  STATIC_REQUIRE(std::same_as<prefer::primal_t<prefer::probe>, prefer::probe>);
}

/// Eight bytes that stand for floats: what a handle to a tensor is.
struct float_handle {
  using value_type = float;
  void* numbers = nullptr;
};
/// The same by a specialisation, for a type of somebody else's that cannot be changed.
struct foreign_handle {
  void* numbers = nullptr;
};

}  // namespace

template <>
struct prefer::scalar_traits<foreign_handle> {
  using primal = foreign_handle;
  using precision = float;
};

namespace {

TEST_CASE("precision_t: what a scalar computes in, whatever its size is", "[scalar][concept]") {
  STATIC_REQUIRE(std::same_as<prefer::precision_t<double>, double>);
  STATIC_REQUIRE(std::same_as<prefer::precision_t<prefer::dual<prefer::lane<float>, 2>>, float>);
  STATIC_REQUIRE(std::same_as<prefer::precision_t<prefer::probe>, double>);
  STATIC_REQUIRE(sizeof(float_handle) == sizeof(double));
  STATIC_REQUIRE(std::same_as<prefer::precision_t<float_handle>, float>);
  // exp(75) has room to spare in float, exp(690) in double.
  STATIC_REQUIRE(prefer::exponent_bound_of<float_handle>().exponent == 75.0);
  STATIC_REQUIRE(prefer::exponent_bound_of<foreign_handle>().exponent == 75.0);
  STATIC_REQUIRE(prefer::exponent_bound_of<prefer::lane<double>>().exponent == 690.0);
}

TEST_CASE("smoothed_logistic: the mean of both labels' losses, also where the margin is infinite",
          "[scalar]") {
  for (double const e : {0.0, 0.1, 0.25, -0.5}) {
    for (double const z : {-700.0, -3.0, -0.5, 0.0, 0.5, 3.0, 700.0}) {
      CAPTURE(e, z);
      // As it is written in papers; a few units in the last place of either term.
      double const expected = (1.0 - e) * prefer::softplus(-z) + e * prefer::softplus(z);
      CHECK(std::fabs(prefer::smoothed_logistic(z, e) - expected) <=
            8 * 0x1p-53 * (1.0 + std::fabs(z)));
      using dual = prefer::dual<double, 1>;
      auto const y = prefer::smoothed_logistic(dual::variable(z, 0), e);
      CHECK(std::fabs(y.value - expected) <= 8 * 0x1p-53 * (1.0 + std::fabs(z)));
      CHECK(std::fabs(y.partial[0] - (e - prefer::sigmoid(-z))) <= 4 * 0x1p-53);
    }
  }
  double const infinity = std::numeric_limits<double>::infinity();
  struct limit {
    double z, e, value, slope;
  };
  for (auto const& at :
       {limit{infinity, 0.0, 0.0, 0.0}, limit{infinity, 0.1, infinity, 0.1},
        limit{-infinity, 0.0, infinity, -1.0}, limit{-infinity, 0.1, infinity, -0.9},
        limit{infinity, -0.5, -infinity, -0.5}, limit{-infinity, -0.5, infinity, -1.5}}) {
    CAPTURE(at.z, at.e);
    CHECK(prefer::smoothed_logistic(at.z, at.e) == at.value);
    auto const y = prefer::smoothed_logistic(prefer::dual<double, 1>::variable(at.z, 0), at.e);
    CHECK(y.value == at.value);
    CHECK(y.partial[0] == at.slope);
  }
}

TEST_CASE("with_slope: the value as given, and the slope times the derivative of x", "[scalar]") {
  using dual = prefer::dual<double, 1>;
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK(prefer::with_slope(3.0, 5.0, 7.0) == 5.0);
  CHECK(prefer::with_slope(-infinity, 5.0, 7.0) == 5.0);
  for (double const x : {3.0, -infinity}) {
    auto const y = prefer::with_slope(2.0 * dual::variable(x, 0), 5.0, 7.0);
    CHECK(y.value == 5.0);
    CHECK(y.partial[0] == 14.0);
  }
}

TEST_CASE("weighted: a weight of 0 takes a term out, whatever it is", "[scalar]") {
  double const infinity = std::numeric_limits<double>::infinity();
  using lane = prefer::lane<float>;
  CHECK(prefer::weighted(0.0, infinity) == 0.0);
  CHECK(prefer::weighted(0.5, infinity) == infinity);
  CHECK(prefer::weighted(-0.5, 4.0) == -2.0);
  CHECK(prefer::weighted(lane(0.0), lane(infinity))[0] == 0.0f);
  CHECK(prefer::weighted(lane(2.0), lane(infinity))[0] == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(prefer::weighted(lane(std::nan("")), lane(1.0))[0]));
  // A probe's term counts at every weight: another value of the parameter reads what it reads.
  CHECK(prefer::weighted(0.0, prefer::probe::column(prefer::column_name::score)).reads() ==
        prefer::column_set(prefer::column_name::score));
}

TEST_CASE("log_add_exp: log(exp(a) + exp(b)) for numbers of any size", "[scalar]") {
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK(prefer::log_add_exp(0.0, 0.0) == Approx(std::log(2.0)));
  CHECK(prefer::log_add_exp(1.0, 3.0) == Approx(std::log(std::exp(1.0) + std::exp(3.0))));
  CHECK(prefer::log_add_exp(1000.0, 1000.0) == Approx(1000.0 + std::log(2.0)));
  CHECK(prefer::log_add_exp(-infinity, 2.0) == 2.0);
  CHECK(prefer::log_add_exp(2.0, -infinity) == 2.0);
}

}  // namespace
