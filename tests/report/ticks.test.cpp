// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/report/ticks.hpp>

namespace report = prefer::report;
using values = std::vector<double>;
using labels = std::vector<std::string>;

TEST_CASE("linear_ticks: steps are 1, 2 or 5 times a power of ten", "[report][ticks]") {
  // 10 / 5 = 2: the step fits exactly.
  CHECK(report::linear_ticks(0, 10, 5) == values{0, 2, 4, 6, 8, 10});
  // 0.27 / 5 = 0.054, the next step up is 0.1.
  CHECK(report::linear_ticks(0.43, 0.70, 5) == values{0.5, 0.6, 0.7});
  // 0.27 / 6 = 0.045, the next step up is 0.05.
  CHECK(report::linear_ticks(0.43, 0.70, 6) == values{0.45, 0.5, 0.55, 0.6, 0.65, 0.7});
  // 30 / 4 = 7.5, the next step up is 10: a new decade.
  CHECK(report::linear_ticks(-12, 18, 4) == values{-10, 0, 10});
}

TEST_CASE("linear_ticks: values are the decimal numbers themselves", "[report][ticks]") {
  // 3 * 0.1 would be 0.30000000000000004.
  CHECK(report::linear_ticks(0, 0.5, 5) == values{0, 0.1, 0.2, 0.3, 0.4, 0.5});
  CHECK(report::linear_ticks(0, 3e20, 3) == values{0, 1e20, 2e20, 3e20});
  CHECK(report::linear_ticks(0, 3e-12, 3) == values{0, 1e-12, 2e-12, 3e-12});
}

TEST_CASE("log_ticks: three or more decades are shown as decades", "[report][ticks]") {
  CHECK(report::log_ticks(0.008, 12, 8) == values{0.01, 0.1, 1, 10});
  CHECK(report::log_ticks(0.01, 1, 8) == values{0.01, 0.1, 1});  // both ends belong to the range
}

TEST_CASE("log_ticks: more decades than labels fit are thinned evenly", "[report][ticks]") {
  // Nine decades, ticks -8 to 0, at most 4: every third, counted from 10^0.
  CHECK(report::log_ticks(1e-8, 1, 4) == values{1e-6, 1e-3, 1});
}

TEST_CASE("log_ticks: fewer decades show 1, 2 and 5 of each", "[report][ticks]") {
  CHECK(report::log_ticks(0.03, 0.6, 8) == values{0.05, 0.1, 0.2, 0.5});
  CHECK(report::log_ticks(1, 10, 8) == values{1, 2, 5, 10});
}

TEST_CASE("log_ticks: a narrow range has linear ticks", "[report][ticks]") {
  // Of 1, 2, 5 only 5 lies inside; 2 / 4 = 0.5.
  CHECK(report::log_ticks(4, 6, 4) == values{4, 4.5, 5, 5.5, 6});
}

TEST_CASE("log_minor_ticks: 2 to 9 of every decade inside the range", "[report][ticks]") {
  CHECK(report::log_minor_ticks(0.5, 3) == values{0.5, 0.6, 0.7, 0.8, 0.9, 2, 3});
}

TEST_CASE("tick_labels: numbers look as a person writes them", "[report][ticks]") {
  using report::decimals;
  CHECK(report::tick_labels({0.0001, 0.01, 0.1, 1, 5, 100000}, decimals::as_needed) ==
        labels{"0.0001", "0.01", "0.1", "1", "5", "100000"});
  CHECK(report::tick_labels({0, 0.5, 1}, decimals::same) == labels{"0.0", "0.5", "1.0"});
  CHECK(report::tick_labels({0.05, 0.1}, decimals::same) == labels{"0.05", "0.10"});
}

TEST_CASE("tick_labels: a minus is the typographic one and zero has none", "[report][ticks]") {
  CHECK(report::tick_labels(report::linear_ticks(-0.2, 0.1, 3), report::decimals::same) ==
        labels{"\u22120.2", "\u22120.1", "0.0", "0.1"});
}

TEST_CASE("tick_labels: very small and very large axes use powers of ten", "[report][ticks]") {
  using report::decimals;
  CHECK(report::tick_labels({0, 5e-7, 1e-6}, decimals::same) ==
        labels{"0", "5\u00D710\u207B\u2077", "10\u207B\u2076"});
  CHECK(report::tick_labels({1, 10, 1e3, 2.5e6}, decimals::as_needed) ==
        labels{"1", "10", "10\u00B3", "2.5\u00D710\u2076"});
  CHECK(report::tick_labels({-1e-6}, decimals::same) == labels{"\u221210\u207B\u2076"});
  // Seven digits that differ in the last: powers of ten would only hide them.
  CHECK(report::tick_labels({1000001, 1000002}, decimals::same) == labels{"1000001", "1000002"});
}
