// SPDX-License-Identifier: MIT
#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <type_traits>

#include <prefer/bounded.hpp>

namespace {

using namespace prefer;

double const nan = std::numeric_limits<double>::quiet_NaN();
double const infinity = std::numeric_limits<double>::infinity();

/// The largest double below x, and the smallest above.
double below(double x) { return std::nextafter(x, -infinity); }
double above(double x) { return std::nextafter(x, infinity); }

TEST_CASE("bounded: each has its range, ends in or out", "[bounded]") {
  CHECK_FALSE(positive(0.0).in_range());
  CHECK(positive(above(0.0)).in_range());
  CHECK_FALSE(non_negative(below(0.0)).in_range());
  CHECK(non_negative(0.0).in_range());
  CHECK(flip_probability(0.0).in_range());
  CHECK(flip_probability(below(0.5)).in_range());
  CHECK_FALSE(flip_probability(0.5).in_range());
  CHECK_FALSE(smoothing(0.0).in_range());
  CHECK(smoothing(below(0.5)).in_range());
  CHECK_FALSE(smoothing(0.5).in_range());
  CHECK_FALSE(share(0.0).in_range());
  CHECK(share(1.0).in_range());
  CHECK_FALSE(share(above(1.0)).in_range());
  CHECK(fraction(0.0).in_range());
  CHECK(fraction(1.0).in_range());
  CHECK_FALSE(fraction(above(1.0)).in_range());
}

TEST_CASE("bounded: in memory a number in range stands once, and a compiler may not double it",
          "[bounded]") {
  // Of {x, x, 0, 0}, g++ 12 with AVX-512 makes {x, x, x, x}: a label_smoothing of beta.
  CHECK(std::bit_cast<std::array<double, 2>>(positive(0.3)) == std::array{0.3, 0.0});
  struct two {
    positive first = 0.1;
    flip_probability second = 0.0;
  };
  CHECK(std::bit_cast<std::array<double, 4>>(two{.first = 0.3}) == std::array{0.3, 0.0, 0.0, 0.0});
}

TEMPLATE_TEST_CASE("bounded: no range holds NaN or an infinity", "[bounded]", positive,
                   non_negative, flip_probability, smoothing, share, fraction) {
  CHECK_FALSE(TestType(nan).in_range());
  CHECK_FALSE(TestType(infinity).in_range());
  CHECK_FALSE(TestType(-infinity).in_range());
  STATIC_REQUIRE(std::is_trivially_copyable_v<TestType>);
}

TEST_CASE("bounded: in range it is its number, out of range it is no number", "[bounded]") {
  CHECK(positive(0.25) == 0.25);
  CHECK(2.0 * share(0.25) == 0.5);
  positive const rejected(-1.0);
  CHECK(std::isnan(static_cast<double>(rejected)));
  CHECK(std::isnan(rejected * 2.0));
  CHECK(rejected.given() == -1.0);
  positive changed = rejected;
  changed = 3.0;
  CHECK(changed == 3.0);
}

TEST_CASE("expects_in_range: names owner, number and range, and passes over what has none",
          "[bounded]") {
  CHECK_THROWS_WITH(expects_in_range(positive(-1.0), "dpo", "beta"),
                    "dpo: beta is -1, expected a finite number greater than zero");
  CHECK_THROWS_WITH(expects_in_range(non_negative(-0.5), "cpo", "alpha"),
                    "cpo: alpha is -0.5, expected a finite number, zero or greater");
  CHECK_THROWS_WITH(expects_in_range(flip_probability(0.5), "dpo", "label_smoothing"),
                    "dpo: label_smoothing is 0.5, expected at least 0 and less than 0.5");
  CHECK_THROWS_WITH(expects_in_range(smoothing(0.0), "exo", "label_smoothing"),
                    "exo: label_smoothing is 0, expected greater than 0 and less than 0.5");
  CHECK_THROWS_WITH(expects_in_range(share(nan), "ema", "rate"),
                    "ema: rate is nan, expected greater than 0 and at most 1");
  CHECK_THROWS_WITH(expects_in_range(fraction(1.5), "ld_dpo_weights", "alpha"),
                    "ld_dpo_weights: alpha is 1.5, expected at least 0 and at most 1");
  CHECK_NOTHROW(expects_in_range(positive(0.1), "dpo", "beta"));
  CHECK_NOTHROW(expects_in_range(-1.0, "simpo", "gamma"));
}

// A constant is refused where it stands (compile_fail/beta_of_zero.cpp); the others are known to the compiler.
static_assert(positive(0.5) == 0.5);
static_assert(non_negative(0.0).given() == 0.0);

}  // namespace
