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
constexpr T nan = std::numeric_limits<T>::quiet_NaN();

/// Calls f(x) for one number: directly, or in every element of a lane, whose results must be the same bits.
template <class S, class F, class T>
T apply(F const& f, T x) {
  if constexpr (std::floating_point<S>) {
    return f(x);
  } else {
    S const y = f(S(static_cast<double>(x)));
    for (std::size_t i = 1; i < S::width; ++i) {
      if (!same_bits<T>(y[i], y[0])) return nan<T>;
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
  for (T const x : grid) most = std::max(most, ulps<T>(apply<S>(f, x), exact(static_cast<long double>(x))));
  return most;
}

struct names {
  static constexpr auto exp = [](auto x) { using prefer::exp; return exp(x); };
  static constexpr auto expm1 = [](auto x) { using prefer::expm1; return expm1(x); };
  static constexpr auto log = [](auto x) { using prefer::log; return log(x); };
  static constexpr auto log1mexp = [](auto x) { using prefer::log1mexp; return log1mexp(x); };
  static constexpr auto softplus = [](auto x) { using prefer::softplus; return softplus(x); };
  static constexpr auto sigmoid = [](auto x) { using prefer::sigmoid; return sigmoid(x); };
  static constexpr auto log_sigmoid = [](auto x) { using prefer::log_sigmoid; return log_sigmoid(x); };
  static constexpr auto sqrt = [](auto x) { using prefer::sqrt; return sqrt(x); };
  static constexpr auto relu = [](auto x) { using prefer::relu; return relu(x); };
  static constexpr auto square = [](auto x) { using prefer::square; return square(x); };
  static constexpr auto clamp = [](auto x) { using prefer::clamp; return clamp(x, -1.0, 2.0); };
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
constexpr double least_exponent = sizeof(T) == 4 ? -86.5 : -707.4;  // exp stays normal, and not cut to 0

}  // namespace

#define PREFER_SCALARS                                                                          \
  float, double, lane<float>, lane<double>, (lane<float, 2>)

// The bounds are what was measured, rounded up to the next tenth or so: a change that costs precision fails.
TEMPLATE_TEST_CASE("primitives: errors stay below the stated units in the last place", "[scalar][lane]",
                   PREFER_SCALARS) {
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
  CHECK(worst<S>(wide, names::exp, all([](long double x) { return std::exp(x); })) <= 1.0);
  CHECK(worst<S>(wide, names::expm1, all([](long double x) { return std::expm1(x); })) <= 1.2);
  CHECK(worst<S>(wide, names::softplus, exact_softplus) <= 2.5);
  CHECK(worst<S>(mirrored, names::log_sigmoid, [](long double x) { return -exact_softplus(-x); }) <= 2.5);
  CHECK(worst<S>(wide, names::sigmoid, exact_sigmoid) <= 2.0);
  CHECK(worst<S>(negative, names::log1mexp, exact_log1mexp) <= 2.3);
  CHECK(worst<S>(positive, names::log, all([](long double x) { return std::log(x); })) <= 1.2);
  CHECK(worst<S>(positive, names::sqrt, all([](long double x) { return std::sqrt(x); })) <= 1.0);
}
