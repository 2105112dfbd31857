// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>

#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>

#include "support/finite_difference.hpp"
#include "support/near.hpp"

namespace prefer {  // so that the primitives of long double are found, too
namespace {

using prefer::test::near;

template <class S>
double first(S const& x) {
  if constexpr (std::floating_point<S>) {
    return static_cast<double>(x);
  } else {
    return static_cast<double>(x[0]);
  }
}

/// f's value and derivative at x, by dual numbers over S.
template <class S, class F>
prefer::value_and_derivative<double> differentiate(F const& f, double x) {
  auto const y = f(dual<S, 1>::variable(S(x), 0));
  return {first(y.value), first(y.partial[0])};
}

TEMPLATE_TEST_CASE("dual: every primitive's derivative is that of finite differences",
                   "[scalar][dual]", double, lane<double>) {
  // Both sides are good to 1e-13 relative: the difference by its own bound (finite_difference.hpp), the dual
  // to some units in the last place.
  auto const check = [](auto const& f, double from, double to) {
    for (int i = 0; i <= 40; ++i) {
      double const x = from + (to - from) * i / 40;
      CAPTURE(x);
      auto const y = differentiate<TestType>(f, x);
      CHECK(near(y.value, static_cast<double>(f(static_cast<long double>(x))), 2e-15, 1.0));
      double const expected = static_cast<double>(
          prefer::test::derivative([&](long double t) -> long double { return f(t); }, x));
      CHECK(near(y.derivative, expected, 1e-12, 1e-2));
    }
  };
  check([](auto x) { return softplus(x); }, -20.0, 20.0);
  check([](auto x) { return sigmoid(x); }, -20.0, 20.0);
  check([](auto x) { return log_sigmoid(x); }, -20.0, 20.0);
  check([](auto x) { return exp(x); }, -5.0, 3.0);
  check([](auto x) { return expm1(x); }, -5.0, 3.0);
  check([](auto x) { return log(x); }, 0.5, 9.0);
  check([](auto x) { return log1mexp(x); }, -9.0, -0.5);
  check([](auto x) { return square(x); }, -3.0, 3.0);
  check([](auto x) { return relu(x); }, 0.25, 3.0);
  check([](auto x) { return relu(x); }, -3.0, -0.25);
  check([](auto x) { return clamp(x, -1.0, 1.0); }, -0.9, 0.9);
  check([](auto x) { return clamp(x, -1.0, 1.0); }, 1.1, 2.0);
  check([](auto x) { return -x; }, -3.0, 3.0);
  check([](auto x) { return x * x + x; }, -3.0, 3.0);
  check([](auto x) { return (x - 1.0) / (x * x + 2.0); }, -3.0, 3.0);
  check([](auto x) { return 1.0 - 2.0 * x + x / 4.0; }, -3.0, 3.0);
  check([](auto x) { return 3.0 / x - (x - 0.5 * x); }, 0.5, 3.0);
  check([](auto x) { return select(x > 0.0, x * x, 2.0 * x); }, 0.5, 2.0);
  check([](auto x) { return select(x < 0.0, x * x, 2.0 * x); }, 0.5, 2.0);
}

TEST_CASE("dual: partials of a function of two variables are kept apart", "[scalar][dual]") {
  auto const x = dual<double, 2>::variable(3.0, 0);
  auto const y = dual<double, 2>::variable(-2.0, 1);
  auto const f = x * x * y + x / y;  // df/dx = 2xy + 1/y, df/dy = x^2 - x/y^2
  CHECK(f.value == -18.0 - 1.5);
  CHECK(f.partial[0] == -12.0 - 0.5);
  CHECK(f.partial[1] == 9.0 - 0.75);
}

TEMPLATE_TEST_CASE("dual: a constant has no derivative", "[scalar][dual]", double, lane<float>,
                   lane<double>) {
  dual<TestType, 1> const c = 2.5;
  CHECK(first(c.value) == 2.5);
  CHECK(first(c.partial[0]) == 0.0);
  auto const f = [](auto x) { return 0.0 * x + 4.0; };
  CHECK(differentiate<TestType>(f, 3.0).derivative == 0.0);
}

TEST_CASE("dual: value_of stops the derivative", "[scalar][dual]") {
  auto const f = [](auto x) { return value_of(x) * x; };
  auto const y = differentiate<double>(f, 3.0);
  CHECK(y.value == 9.0);
  CHECK(y.derivative == 3.0);  // not 6
}

TEMPLATE_TEST_CASE("dual: derivatives keep their relative precision in the tails", "[scalar][dual]",
                   double, lane<double>) {
  using S = TestType;
  double const tiny = std::exp(-700.0);  // 9.9e-305
  auto const softplus_at = [](double x) {
    return differentiate<S>([](auto t) { return softplus(t); }, x);
  };
  auto const sigmoid_at = [](double x) {
    return differentiate<S>([](auto t) { return sigmoid(t); }, x);
  };
  auto const log1mexp_at = [](double x) {
    return differentiate<S>([](auto t) { return log1mexp(t); }, x);
  };

  // softplus' = sigmoid: e^x far left, 1 far right.
  CHECK(near(softplus_at(-700.0).derivative, tiny, 1e-15));
  CHECK(near(softplus_at(-700.0).value, tiny, 1e-15));
  CHECK(softplus_at(700.0).derivative == 1.0);
  CHECK(softplus_at(700.0).value == 700.0);
  // sigmoid' = sigmoid(x) sigmoid(-x) is e^-|x| on both sides; as s * (1 - s) it would be 0 on the right.
  CHECK(near(sigmoid_at(-700.0).derivative, tiny, 1e-15));
  CHECK(near(sigmoid_at(700.0).derivative, tiny, 1e-15));
  CHECK(near(sigmoid_at(40.0).derivative, std::exp(-40.0), 1e-15));
  // log1mexp' = e^x / (e^x - 1): -e^x far left, 1/x + 1/2 + x/12 near 0.
  CHECK(near(log1mexp_at(-700.0).derivative, -tiny, 1e-15));
  CHECK(near(log1mexp_at(-0x1p-30).derivative, -0x1p30 + 0.5, 1e-15));
  // Beyond the range of exp nothing overflows or turns to NaN.
  for (double const x : {-1e4, 1e4, -1e300, 1e300}) {
    CHECK(softplus_at(x).derivative == (x > 0.0 ? 1.0 : 0.0));
    CHECK(sigmoid_at(x).derivative == 0.0);
  }
}

TEST_CASE("dual: kinks have the stated one-sided derivative", "[scalar][dual]") {
  CHECK(differentiate<double>([](auto x) { return relu(x); }, 0.0).derivative == 0.0);
  CHECK(differentiate<double>([](auto x) { return clamp(x, 0.0, 1.0); }, 0.0).derivative == 0.0);
  CHECK(differentiate<double>([](auto x) { return clamp(x, 0.0, 1.0); }, 1.0).derivative == 0.0);
}

TEMPLATE_TEST_CASE("dual: NaN reaches the value", "[scalar][dual]", double, lane<double>) {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  auto const check = [&](auto const& f) {
    CHECK(std::isnan(differentiate<TestType>(f, nan).value));
  };
  check([](auto x) { return softplus(x); });
  check([](auto x) { return sigmoid(x); });
  check([](auto x) { return relu(1.0 - x); });
  check([](auto x) { return clamp(x, -1.0, 1.0); });
  check([](auto x) { return log1mexp(x); });
}

}  // namespace
}  // namespace prefer
