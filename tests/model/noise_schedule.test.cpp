// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include <prefer/model/noise_schedule.hpp>

using prefer::noise_schedule;

TEST_CASE("noise_schedule: variance is preserved, from pure data to hardly any",
          "[policy][noise_schedule]") {
  noise_schedule const levels(40);
  CHECK(levels.steps() == 40);
  CHECK(levels.signal(0) == 1);
  CHECK(levels.noise(0) == 0);
  for (std::size_t t = 1; t <= 40; ++t) {
    double const signal = levels.signal(t);
    CHECK(signal < levels.signal(t - 1));
    CHECK(signal * signal + levels.noise(t) * levels.noise(t) == Approx(1).epsilon(1e-14));
  }
  // The integral of rates that grow from 0.1 to 20 is their mean.
  CHECK(levels.signal(40) == Approx(std::exp(-10.05 / 2)).epsilon(1e-14));
}

TEST_CASE("noise_schedule: a thousand steps are about the usual linear betas 1e-4 to 0.02",
          "[policy][noise_schedule]") {
  noise_schedule const levels(1000);
  for (std::size_t t = 1; t <= 1000; t += 37) {
    double const factor = levels.signal(t) / levels.signal(t - 1);
    double const beta = 1 - factor * factor;
    double const usual = 1e-4 + (0.02 - 1e-4) * static_cast<double>(t - 1) / 999;
    // 1 - exp(-b) is below b by b^2 / 2 <= 2e-4, and b is the mean over a step, whose half is 1e-5.
    CHECK(std::fabs(beta - usual) < 2.2e-4);
  }
}

TEST_CASE("noise_schedule: the step back is Bayes' rule", "[policy][noise_schedule]") {
  noise_schedule const levels(25);
  for (std::size_t t = 2; t <= 25; ++t) {
    // Precisions of x_{t-1} add up: from x_0, and from x_t = a x_{t-1} + sqrt(1 - a^2) eps.
    double const a = levels.signal(t) / levels.signal(t - 1);
    double const from_x0 = 1 / (levels.noise(t - 1) * levels.noise(t - 1));
    double const from_xt = a * a / (1 - a * a);
    auto const back = levels.back(t);
    CHECK(back.deviation == Approx(1 / std::sqrt(from_x0 + from_xt)).epsilon(1e-10));
    CHECK(back.x0 == Approx(levels.signal(t - 1) * from_x0 / (from_x0 + from_xt)).epsilon(1e-10));
    CHECK(back.xt == Approx(from_xt / a / (from_x0 + from_xt)).epsilon(1e-10));
  }
  auto const last = levels.back(1);
  CHECK(last.deviation == 0);
  CHECK(last.x0 == Approx(1));
  CHECK(last.xt == 0);
}

TEST_CASE("noise_schedule: what makes no sense is refused", "[policy][noise_schedule]") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_WITH(noise_schedule(0), Contains("steps must be greater than zero"));
  CHECK_THROWS_WITH(noise_schedule(5, 0), Contains("rates are 0.0"));
  CHECK_THROWS_WITH(noise_schedule(5, 3, 2), Contains("expected 0 < low <= high"));
  CHECK_THROWS_AS(noise_schedule(5, std::numeric_limits<double>::quiet_NaN()),
                  prefer::precondition_error);
  CHECK_THROWS_AS(noise_schedule(5, 1, std::numeric_limits<double>::infinity()),
                  prefer::precondition_error);
}
