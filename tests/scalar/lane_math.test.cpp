// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>
#include <prefer/scalar/math.hpp>

#include "support/near.hpp"

// Compiled twice: here with the compilers' vector types, and in tests/scalar_portable with plain arrays.

namespace {

using prefer::lane;
using prefer::test::same_bits;
using prefer::test::ulps;

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T not_a_number_of = std::numeric_limits<T>::quiet_NaN();

/// Calls f(x) for one number: directly, or in every element of a lane, whose results must be the same bits.
template <class S, class F, class T>
T apply(F const& f, T x) {
  if constexpr (std::floating_point<S>) {
    return f(x);
  } else {
    S const y = f(S(static_cast<double>(x)));
    for (std::size_t i = 1; i < S::width; ++i) {
      if (!same_bits<T>(y[i], y[0])) return not_a_number_of<T>;
    }
    return y[0];
  }
}

template <class T>
std::vector<T> evenly(double from, double to, int count) {
  std::vector<T> out;
  for (int i = 0; i <= count; ++i) out.push_back(static_cast<T>(from + (to - from) * i / count));
  return out;
}

/// Positive numbers of every magnitude from 2^from to 2^to, at mantissas that differ from one to the next.
template <class T>
std::vector<T> magnitudes(int from, int to, int sign) {
  std::vector<T> out;
  for (int e = from; e < to; ++e) {
    for (int k = 0; k < 13; ++k) {
      out.push_back(static_cast<T>(sign * std::ldexp(1.0 + (k + 0.37 * (e & 1)) / 13.5, e)));
    }
  }
  return out;
}

template <class S, class T, class F, class Exact>
double worst(std::vector<T> const& grid, F const& f, Exact const& exact) {
  double most = 0.0;
  for (T const x : grid)
    most = std::max(most, ulps<T>(apply<S>(f, x), exact(static_cast<long double>(x))));
  return most;
}

struct names {
  static constexpr auto exp = [](auto x) {
    using prefer::exp;
    return exp(x);
  };
  static constexpr auto expm1 = [](auto x) {
    using prefer::expm1;
    return expm1(x);
  };
  static constexpr auto log = [](auto x) {
    using prefer::log;
    return log(x);
  };
  static constexpr auto log1mexp = [](auto x) {
    using prefer::log1mexp;
    return log1mexp(x);
  };
  static constexpr auto softplus = [](auto x) {
    using prefer::softplus;
    return softplus(x);
  };
  static constexpr auto sigmoid = [](auto x) {
    using prefer::sigmoid;
    return sigmoid(x);
  };
  static constexpr auto log_sigmoid = [](auto x) {
    using prefer::log_sigmoid;
    return log_sigmoid(x);
  };
  static constexpr auto sqrt = [](auto x) {
    using prefer::sqrt;
    return sqrt(x);
  };
  static constexpr auto relu = [](auto x) {
    using prefer::relu;
    return relu(x);
  };
  static constexpr auto square = [](auto x) {
    using prefer::square;
    return square(x);
  };
  static constexpr auto clamp = [](auto x) {
    using prefer::clamp;
    return clamp(x, -1.0, 2.0);
  };
};

long double exact_softplus(long double x) {
  return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::fabs(x)));
}
long double exact_sigmoid(long double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
long double exact_log1mexp(long double x) {
  return x > -0.7L ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

template <class S>
struct value_type_of {
  using type = S;
};
template <class T, std::size_t W>
struct value_type_of<lane<T, W>> {
  using type = T;
};

template <class T>
constexpr double largest_exponent = sizeof(T) == 4 ? 88.7 : 709.7;  // exp stays finite
template <class T>
constexpr double least_exponent =
    sizeof(T) == 4 ? -86.5 : -707.4;  // exp stays normal, and not cut to 0

}  // namespace

#define PREFER_SCALARS float, double, lane<float>, lane<double>, (lane<float, 2>)

// The bounds are what was measured, rounded up to the next tenth or so: a change that costs precision fails.
TEMPLATE_TEST_CASE("primitives: errors stay below the stated units in the last place",
                   "[scalar][lane]", PREFER_SCALARS) {
  using S = TestType;
  using T = typename value_type_of<S>::type;
  constexpr int least = std::numeric_limits<T>::min_exponent;
  constexpr int most = std::numeric_limits<T>::max_exponent;

  auto wide = evenly<T>(least_exponent<T>, largest_exponent<T>, 20011);
  for (T const x : evenly<T>(-1.5, 1.5, 10007)) wide.push_back(x);
  for (T const x : magnitudes<T>(-60, 6, 1)) wide.push_back(x);
  for (T const x : magnitudes<T>(-60, 6, -1)) wide.push_back(x);
  auto mirrored = wide;
  for (T& x : mirrored) x = -x;
  auto negative = evenly<T>(least_exponent<T>, -1e-3, 20011);
  for (T const x : evenly<T>(-1.5, -1e-5, 10007)) negative.push_back(x);
  for (T const x : magnitudes<T>(-100, 6, -1)) negative.push_back(x);
  auto positive = magnitudes<T>(least, most, 1);
  for (T const x : evenly<T>(0.25, 4.0, 30011)) positive.push_back(x);

  auto const all = [](auto f) { return [f](long double x) { return f(x); }; };
  CHECK(worst<S>(wide, names::exp, all([](long double x) { return std::exp(x); })) <= 1.3);
  CHECK(worst<S>(wide, names::expm1, all([](long double x) { return std::expm1(x); })) <= 2.1);
  CHECK(worst<S>(wide, names::softplus, exact_softplus) <= 3.2);
  CHECK(worst<S>(mirrored, names::log_sigmoid, [](long double x) { return -exact_softplus(-x); }) <=
        3.2);
  CHECK(worst<S>(wide, names::sigmoid, exact_sigmoid) <= 2.4);
  CHECK(worst<S>(negative, names::log1mexp, exact_log1mexp) <= 3.3);
  CHECK(worst<S>(positive, names::log, all([](long double x) { return std::log(x); })) <= 2.5);
  CHECK(worst<S>(positive, names::sqrt, all([](long double x) { return std::sqrt(x); })) <= 0.8);
}

TEMPLATE_TEST_CASE("primitives: infinities, zeros and NaN give the limits of the function",
                   "[scalar][lane]", PREFER_SCALARS) {
  using S = TestType;
  using T = typename value_type_of<S>::type;
  T const inf = infinity<T>;
  auto const at = [](auto const& f, T x) { return apply<S>(f, x); };
  CHECK(at(names::exp, inf) == inf);
  CHECK(at(names::exp, -inf) == 0);
  CHECK(at(names::exp, T(0)) == 1);
  CHECK(at(names::exp, T(1e4)) == inf);
  CHECK(at(names::exp, T(-1e4)) == 0);
  CHECK(at(names::expm1, inf) == inf);
  CHECK(at(names::expm1, -inf) == -1);
  CHECK(at(names::expm1, T(0)) == 0);
  CHECK(at(names::expm1, T(1e-30)) == T(1e-30));
  CHECK(at(names::log, T(0)) == -inf);
  CHECK(at(names::log, inf) == inf);
  CHECK(at(names::log, T(1)) == 0);
  CHECK(std::isnan(at(names::log, T(-1))));
  CHECK(at(names::log1mexp, T(0)) == -inf);
  CHECK(at(names::log1mexp, -inf) == 0);
  CHECK(std::isnan(at(names::log1mexp, T(1))));
  CHECK(at(names::softplus, inf) == inf);
  CHECK(at(names::softplus, -inf) == 0);
  CHECK(at(names::softplus, T(1e4)) == T(1e4));
  CHECK(at(names::sigmoid, inf) == 1);
  CHECK(at(names::sigmoid, -inf) == 0);
  CHECK(at(names::sigmoid, T(0)) == T(0.5));
  CHECK(at(names::log_sigmoid, inf) == 0);
  CHECK(at(names::log_sigmoid, -inf) == -inf);
  CHECK(at(names::log_sigmoid, T(-1e4)) == T(-1e4));
  CHECK(at(names::sqrt, T(0)) == 0);
  CHECK(at(names::sqrt, T(4)) == 2);
  CHECK(at(names::sqrt, inf) == inf);
  CHECK(std::isnan(at(names::sqrt, T(-4))));
  CHECK(at(names::relu, T(-3)) == 0);
  CHECK(at(names::relu, T(3)) == 3);
  CHECK(at(names::relu, inf) == inf);
  CHECK(at(names::square, T(-3)) == 9);
  CHECK(at(names::clamp, T(-3)) == -1);
  CHECK(at(names::clamp, T(0.25)) == T(0.25));
  CHECK(at(names::clamp, inf) == 2);

  // A NaN must reach the loss, where a report shows it.
  T const not_a_number = not_a_number_of<T>;
  CHECK(std::isnan(at(names::exp, not_a_number)));
  CHECK(std::isnan(at(names::expm1, not_a_number)));
  CHECK(std::isnan(at(names::log, not_a_number)));
  CHECK(std::isnan(at(names::log1mexp, not_a_number)));
  CHECK(std::isnan(at(names::softplus, not_a_number)));
  CHECK(std::isnan(at(names::sigmoid, not_a_number)));
  CHECK(std::isnan(at(names::log_sigmoid, not_a_number)));
  CHECK(std::isnan(at(names::sqrt, not_a_number)));
  CHECK(std::isnan(at(names::relu, not_a_number)));
  CHECK(std::isnan(at(names::square, not_a_number)));
  CHECK(std::isnan(at(names::clamp, not_a_number)));
}

TEMPLATE_TEST_CASE("lane: elements do not touch each other", "[scalar][lane]", lane<float>,
                   lane<double>) {
  using S = TestType;
  using T = typename S::value_type;
  std::array<T, S::width> in{};
  std::array<T, S::width> out{};
  for (std::size_t i = 0; i < S::width; ++i) in[i] = static_cast<T>(i) - T(1.25);
  S const a = S::load(in.data());
  auto const check = [&](S const& result, auto const& expected) {
    result.store(out.data());
    for (std::size_t i = 0; i < S::width; ++i) CHECK(out[i] == expected(in[i]));
  };
  check(a, [](T x) { return x; });
  check(a + S(2.0), [](T x) { return x + 2; });
  check(a - S(2.0), [](T x) { return x - 2; });
  check(a * 3.0, [](T x) { return x * 3; });
  check(1.0 / a, [](T x) { return 1 / x; });
  check(-a, [](T x) { return -x; });
  check(abs(a), [](T x) { return x < 0 ? -x : x; });
  check(max(a, S(0.5)), [](T x) { return x > T(0.5) ? x : T(0.5); });
  check(select(a > S(0.0), a, S(7.0)), [](T x) { return x > 0 ? x : T(7); });
  check(select(a > S(0.0), 1.0, -1.0), [](T x) { return x > 0 ? T(1) : T(-1); });
  check(select(!(a > S(0.0)), 1.0, -1.0), [](T x) { return x > 0 ? T(-1) : T(1); });
  check(select((a > S(-1.0)) & (a < S(0.0)), 1.0, 0.0),
        [](T x) { return x > -1 && x < 0 ? T(1) : T(0); });
  check(select((a < S(-1.0)) | (a > S(0.0)), 1.0, 0.0),
        [](T x) { return x < -1 || x > 0 ? T(1) : T(0); });
}

TEST_CASE("lane: sum adds halves onto halves", "[scalar][lane]") {
  // 2^53 + 1 is not a double: (2^53 + 1) + (1 + 0) by halves is [2^53 + 1, 1 + 0] = [2^53, 1] -> 2^53, and
  // left to right it would be 2^53 too; with the ones first in one half it is 2^53 + 2.
  double const big = 0x1p53;
#if defined(PREFER_PORTABLE_LANES) || defined(__AVX__)
  double const halves[] = {big, 1.0, 0.0, 1.0};
  CHECK(sum(lane<double, 4>::load(halves)) == big + 2.0);
#endif
  double const two[] = {big, 2.0};
  CHECK(sum(lane<double, 2>::load(two)) == big + 2.0);
}
