// SPDX-License-Identifier: MIT
//
// The means and standard errors of every program.

#include <catch2/catch.hpp>
#include <cmath>
#include <language/statistics.hpp>
#include <program/estimate.hpp>
#include <vector>

TEST_CASE("program: a mean's standard error is that of values which are independent",
          "[examples][estimate]") {
  // Mean 5 and squares 16 + 0 + 16 = 32 of three: variance 16, and 16 / 3 of their mean.
  std::vector<double> const values = {1.0, 5.0, 9.0};
  auto const of = program::moments_of(values);
  CHECK(of.count == 3);
  CHECK(of.mean == 5.0);
  CHECK(of.variance == 16.0);
  CHECK(of.standard_deviation() == 4.0);
  CHECK(of.standard_error() == std::sqrt(16.0 / 3.0));
  CHECK(program::estimate_of(values).mean == 5.0);
  CHECK(program::estimate_of(values).error == of.standard_error());
  CHECK(language::mean_of(values).standard_error == of.standard_error());
  // Differences 1, 1, 1 and no spread, though both spread.
  auto const apart = program::paired_difference(values, std::vector<double>{0.0, 4.0, 8.0});
  CHECK(apart.mean == 1.0);
  CHECK(apart.error == 0.0);
}

TEST_CASE("program: one value has a mean, and of none there is nothing to say",
          "[examples][estimate]") {
  std::vector<double> const one = {7.0};
  CHECK(program::estimate_of(one).mean == 7.0);
  CHECK(program::estimate_of(one).error == 0.0);
  CHECK(language::in_words(language::mean_of(one)) == "7.000");
  CHECK(std::isnan(program::estimate_of({}).mean));
  CHECK(language::mean_of({}).count == 0);
}
