// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/metrics/calibration.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::calibration_of;
using prefer::pair_columns;
using small::message_of;

namespace {

// Pairs whose reward margins, with beta 1 and no reference, are the given numbers.
struct margins {
  std::vector<double> chosen;
  std::vector<double> rejected;
  std::vector<double> weight = {};

  explicit margins(std::vector<double> const& z) : chosen(z), rejected(z.size(), 0.0) {}
  [[nodiscard]] pair_columns columns() const {
    pair_columns out{.policy = {chosen, rejected}};
    if (!weight.empty()) out.weight = weight;
    return out;
  }
};

double const log3 = std::log(3.0);  // sigmoid(log 3) = 3/4

}  // namespace

TEST_CASE("calibration: who claims 3/4 and is right three times of four is calibrated",
          "[objective][calibration]") {
  margins const at({log3, log3, -log3, log3});
  auto const c = calibration_of(at.columns(), {});
  CHECK(c.expected_error() < 1e-15);
  // Brier: 3/4 (1/4)^2 + 1/4 (3/4)^2 = 3/16; log-loss: the entropy of (3/4, 1/4).
  CHECK(c.brier.mean() == Approx(3.0 / 16).epsilon(1e-14));
  CHECK(c.log_loss.mean() == Approx(-0.75 * std::log(0.75) - 0.25 * std::log(0.25)).epsilon(1e-14));
  CHECK(c.total().mean_confidence() == Approx(0.75));
  CHECK(c.total().accuracy() == 0.75);
}

TEST_CASE("calibration: the error is the gap of each bin, by its weight",
          "[objective][calibration]") {
  // Confidence 3/4, right in one of two: gap 1/4 on two pairs. Confidence 9/10, right in three of three:
  // gap 1/10 on three. The gaps do not cancel: 2/5 * 1/4 + 3/5 * 1/10 = 4/25.
  double const log9 = std::log(9.0);
  margins const at({log3, -log3, log9, log9, log9});
  auto const c = calibration_of(at.columns(), {});
  CHECK(c.expected_error() == Approx(0.16).epsilon(1e-14));
  // In one bin they do: mean confidence 84/100, four of five right: 1/25.
  CHECK(calibration_of(at.columns(), {}, 1).expected_error() == Approx(0.04).epsilon(1e-13));
}

TEST_CASE("calibration: bins have equal width over confidences from 1/2 to 1",
          "[objective][calibration]") {
  // Five bins of width 1/10: sigmoid(|z|) of 1/2, 11/20, 3/4, 1.
  margins const at({0.0, std::log(0.55 / 0.45), -log3, 800.0});
  auto const c = calibration_of(at.columns(), {}, 5);
  REQUIRE(c.bins.size() == 5);
  CHECK(c.bins[0].weight == 2);
  CHECK(c.bins[0].correct == 1.5);  // a tie counts half
  CHECK(c.bins[0].mean_confidence() == Approx(0.525));
  CHECK(c.bins[1].weight == 0);
  CHECK(c.bins[1].accuracy() == 0);
  CHECK(c.bins[2].weight == 1);
  CHECK(c.bins[2].accuracy() == 0);
  CHECK(c.bins[4].weight == 1);  // 1 itself belongs to the last
  CHECK(c.bins[4].mean_confidence() == 1);
}

TEST_CASE("calibration: a weight counts as so many pairs", "[objective][calibration]") {
  margins at({log3, -log3});
  at.weight = {3, 1};
  auto const c = calibration_of(at.columns(), {});
  CHECK(c.expected_error() < 1e-15);
  CHECK(c.brier.mean() == Approx(3.0 / 16).epsilon(1e-14));
  CHECK(c.log_loss.count == 4);
}

TEST_CASE("calibration: beta and reference are in the margin", "[objective][calibration]") {
  std::vector<double> const policy = {-1};
  std::vector<double> const reference = {-1 - 2 * log3};
  std::vector<double> const zero = {0};
  auto const c =
      calibration_of({.policy = {policy, zero}, .reference = {reference, zero}}, {.beta = 0.5});
  CHECK(c.total().mean_confidence() == Approx(0.75));
}

TEST_CASE("calibration: parts add up", "[objective][calibration]") {
  margins const left({log3, log3});
  margins const right({-log3, log3});
  auto const c = calibration_of(left.columns(), {}) + calibration_of(right.columns(), {});
  CHECK(c.expected_error() < 1e-15);
  CHECK(c.brier.mean() == Approx(3.0 / 16).epsilon(1e-14));
  CHECK(message_of([&] {
          (void)(calibration_of(left.columns(), {}, 5) + calibration_of(right.columns(), {}, 6));
        }) == "calibration: bins of the second has 6 elements, expected 5");
}

TEST_CASE("calibration: NaN shows in the scores and is in no bin", "[objective][calibration]") {
  margins const at({log3, std::numeric_limits<double>::quiet_NaN()});
  auto const c = calibration_of(at.columns(), {});
  CHECK(std::isnan(c.brier.mean()));
  CHECK(c.total().weight == 1);
}

TEST_CASE("calibration: refuses no bins and weights of another size", "[objective][calibration]") {
  margins at({log3});
  CHECK(message_of([&] { (void)calibration_of(at.columns(), {}, 0); }) ==
        "calibration_of: bins must be at least 1");
  at.weight = {1, 1};
  CHECK(message_of([&] { (void)calibration_of(at.columns(), {}); }) ==
        "calibration_of: weight has 2 elements, expected 1");
}
