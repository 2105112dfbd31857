// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/metrics/displacement.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::displacement_of;
using prefer::pair_columns;
using small::message_of;

namespace {

// Log-ratios: chosen -1, -3, 0, 2, -2; rejected -2, 1, -1, 1, 0.
struct five_pairs {
  std::vector<double> policy_chosen = {-2, -5, -3, -1, -3};
  std::vector<double> policy_rejected = {-4, -1, -2, -1, -7};
  std::vector<double> reference_chosen = {-1, -2, -3, -3, -1};
  std::vector<double> reference_rejected = {-2, -2, -1, -2, -7};
  std::vector<int> length = {2, 4, 8, 1, 1};
  [[nodiscard]] pair_columns columns() const {
    return {.policy = {policy_chosen, policy_rejected},
            .reference = {reference_chosen, reference_rejected}};
  }
};

}  // namespace

TEST_CASE("displacement: counts completions below the reference and how far they fell",
          "[objective][displacement]") {
  five_pairs const at;
  auto const d = displacement_of(at.columns());
  CHECK(d.chosen.fell.mean() == 0.6);    // three of five; a log-ratio of 0 did not fall
  CHECK(d.chosen.fall.mean() == 2);      // (1 + 3 + 2) / 3: over those that fell
  CHECK(d.rejected.fell.mean() == 0.4);  // two of five
  CHECK(d.rejected.fall.mean() == 1.5);  // (2 + 1) / 2
  CHECK(d.chosen.log_ratio.sum == -4);
  CHECK(d.rejected.log_ratio.sum == -1);
  CHECK(d.chosen.fall_per_token.count == 0);  // no lengths
}

TEST_CASE("displacement: the table of both sides adds up to all pairs",
          "[objective][displacement]") {
  five_pairs const at;
  auto const d = displacement_of(at.columns());
  CHECK(d.both_fell.sum == 1);           // the first
  CHECK(d.only_chosen_fell.sum == 2);    // second and last
  CHECK(d.only_rejected_fell.sum == 1);  // third
  CHECK(d.neither_fell.sum == 1);        // fourth
  CHECK(d.both_fell.count == 5);
}

TEST_CASE("displacement: a fall per token is the mean over those that fell",
          "[objective][displacement]") {
  five_pairs const at;
  auto columns = at.columns();
  columns.length = {at.length, at.length};
  auto const d = displacement_of(columns);
  CHECK(d.chosen.fall_per_token.mean() == Approx((0.5 + 0.75 + 2) / 3));
  CHECK(d.rejected.fall_per_token.mean() == Approx((1 + 0.125) / 2));
  auto const twice = d + displacement_of(at.columns());
  CHECK(twice.chosen.fell.count == 10);
  CHECK(twice.chosen.fall_per_token.count == 3);
  CHECK(twice.only_chosen_fell.mean() == 0.4);
}

TEST_CASE("displacement: needs a reference, and both lengths if any", "[objective][displacement]") {
  five_pairs const at;
  CHECK(message_of([&] { (void)displacement_of({.policy = at.columns().policy}); }) ==
        "displacement_of: it is measured from a reference; give one");
  auto columns = at.columns();
  columns.length.chosen = at.length;
  CHECK(message_of([&] { (void)displacement_of(columns); }) ==
        "displacement_of: length.rejected has 0 elements, expected 5");
}
