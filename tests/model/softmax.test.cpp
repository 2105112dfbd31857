// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include <prefer/model/softmax.hpp>

#include "choice_policy.hpp"

using namespace prefer;

TEMPLATE_TEST_CASE("softmax: normalisers of every length agree with the definition",
                   "[policy][softmax]", float, double) {
  using T = TestType;
  double const epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (std::size_t n = 1; n != 100; ++n) {
    auto logit = test::numbers<T>(n, n);
    for (T& each : logit) each *= T(30);
    long double high = logit[0];
    for (T const each : logit) high = std::fmax(high, static_cast<long double>(each));
    long double total = 0;
    for (T const each : logit) total += std::exp(static_cast<long double>(each) - high);

    auto const normaliser = normalise(std::span<T const>(logit));
    CHECK(static_cast<long double>(normaliser.max) == high);
    CHECK(static_cast<double>(normaliser.sum) ==
          Approx(static_cast<double>(total)).epsilon(40 * epsilon));
    CHECK(static_cast<double>(normaliser.log_prob(logit[0])) ==
          Approx(static_cast<double>(static_cast<long double>(logit[0]) - high - std::log(total)))
              .margin(80 * epsilon)
              .epsilon(4 * epsilon));

    auto exponentials = logit;
    exponentiate(std::span<T>(exponentials), normaliser.max);
    auto to = test::numbers<T>(n, 1000 + n);
    auto const before = to;
    add_exponentials(std::span<T const>(logit), normaliser.max, T(-0.5), std::span<T>(to));
    // Differences of up to 60 are rounded before they are exponents.
    for (std::size_t j = 0; j != n; ++j) {
      double const e = static_cast<double>(std::exp(static_cast<long double>(logit[j]) - high));
      CHECK(static_cast<double>(exponentials[j]) == Approx(e).epsilon(70 * epsilon).margin(1e-37));
      CHECK(static_cast<double>(to[j]) ==
            Approx(static_cast<double>(before[j]) - 0.5 * e).margin(40 * epsilon));
    }
  }
}

TEST_CASE("softmax: the same row has the same bits wherever it lies", "[policy][softmax]") {
  auto const row = test::numbers<float>(77, 1);
  auto const expected = normalise(std::span<float const>(row));
  std::vector<float> memory(77 + 32);
  for (std::size_t shift = 0; shift != 32; ++shift) {
    std::copy(row.begin(), row.end(), memory.begin() + static_cast<std::ptrdiff_t>(shift));
    auto const moved = normalise(std::span<float const>(memory).subspan(shift, 77));
    CHECK(moved.max == expected.max);
    CHECK(moved.sum == expected.sum);
    CHECK(moved.log_sum == expected.log_sum);
  }
}

TEST_CASE("softmax: infinities follow the definition", "[policy][softmax]") {
  double const infinity = std::numeric_limits<double>::infinity();
  std::vector<double> const none(5, -infinity);
  CHECK(std::isnan(normalise(std::span<double const>(none)).log_prob(-infinity)));
  std::vector<double> const high = {0, infinity, 0};
  CHECK(std::isnan(normalise(std::span<double const>(high)).log_prob(0)));
  std::vector<double> const low = {0, -infinity, 0};
  CHECK(normalise(std::span<double const>(low)).log_prob(0) == Approx(-std::log(2.0)));
}
