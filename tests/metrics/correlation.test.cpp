// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/metrics/correlation.hpp>

using prefer::correlation;

TEST_CASE("correlation: of numbers on a line is 1 or -1", "[objective][correlation]") {
  correlation up, down;
  for (double const x : {1.0, 2.0, 5.0, -3.0}) {
    up.add(x, 3 * x + 1);
    down.add(x, -x);
  }
  CHECK(up.value() == Approx(1).epsilon(1e-15));
  CHECK(down.value() == Approx(-1).epsilon(1e-15));
  CHECK(up.mean_x() == Approx(1.25).epsilon(1e-15));
  CHECK(up.mean_y() == Approx(4.75).epsilon(1e-15));
}

TEST_CASE("correlation: means, deviations and coefficient of four points",
          "[objective][correlation]") {
  // x: 0 0 2 2, y: 0 2 2 4. Deviations from the means 1 and 2: products 2, 0, 0, 2; squares 4 and 8.
  correlation c;
  c.add(0, 0);
  c.add(0, 2);
  c.add(2, 2);
  c.add(2, 4);
  CHECK(c.count() == 4);
  CHECK(c.deviation_x() == Approx(1));                   // sqrt(4 / 4)
  CHECK(c.deviation_y() == Approx(std::sqrt(2.0)));      // sqrt(8 / 4)
  CHECK(c.value() == Approx(4 / std::sqrt(4.0 * 8.0)));  // 1 / sqrt(2)
}

TEST_CASE("correlation: parts add up to the whole", "[objective][correlation]") {
  correlation whole, left, right;
  for (int i = 0; i < 20; ++i) {
    double const x = std::sin(i);
    double const y = std::cos(3 * i) + 0.5 * x;
    whole.add(x, y);
    (i < 7 ? left : right).add(x, y);
  }
  auto const sum = left + right;
  CHECK(sum.count() == 20);
  // The same numbers, rounded in another order: some 20 additions of numbers of order 1.
  CHECK(sum.mean_x() == Approx(whole.mean_x()).margin(1e-14));
  CHECK(sum.deviation_y() == Approx(whole.deviation_y()).epsilon(1e-14));
  CHECK(sum.value() == Approx(whole.value()).epsilon(1e-13));
  CHECK((correlation() + whole).value() == whole.value());
  CHECK((whole + correlation()).value() == whole.value());
}

TEST_CASE("correlation: a large common offset does not cost the digits of a small spread",
          "[objective][correlation]") {
  // Spread 1 around 1e8: sums of squares would have kept no digit of it.
  correlation c;
  for (double const d : {-1.0, 1.0, -1.0, 1.0}) c.add(1e8 + d, 1e8 - d);
  CHECK(c.deviation_x() == Approx(1).epsilon(1e-7));
  CHECK(c.value() == Approx(-1).epsilon(1e-7));
}

TEST_CASE("correlation: is NaN where something does not vary", "[objective][correlation]") {
  correlation c;
  CHECK(std::isnan(c.value()));
  c.add(1, 2);
  c.add(1, 3);
  CHECK(std::isnan(c.value()));
  CHECK(c.deviation_x() == 0);
}
