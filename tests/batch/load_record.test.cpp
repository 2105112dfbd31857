// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/batch/columns.hpp>
#include <prefer/scalar/dual.hpp>

namespace {

TEST_CASE("pair_record: margins are differences of chosen and rejected", "[batch][record]") {
  prefer::pair_record<double> const pair{
      .chosen = {.log_prob = -10.0, .reference_log_prob = -12.0, .completion_length = 4.0},
      .rejected = {.log_prob = -9.0, .reference_log_prob = -8.0, .completion_length = 2.0}};
  CHECK(pair.chosen.log_ratio() == 2.0);
  CHECK(pair.rejected.log_ratio() == -1.0);
  CHECK(pair.log_ratio_margin() == 3.0);
  CHECK(pair.log_prob_margin() == -1.0);
  CHECK(pair.chosen.mean_log_prob() == -2.5);
  CHECK(pair.rejected.mean_log_ratio() == -0.5);
}

TEST_CASE("pair_record: a pair's own beta and target margin replace the loss's",
          "[batch][record]") {
  prefer::pair_record<double> pair{.chosen = {-1.0}, .rejected = {-2.0}};
  CHECK(pair.beta_or(0.1) == 0.1);
  CHECK(pair.target_margin_or(1.4) == 1.4);
  pair.pair_beta = {true, 0.5};
  pair.pair_target_margin = {true, 0.0};
  CHECK(pair.beta_or(0.1) == 0.5);
  CHECK(pair.target_margin_or(1.4) == 0.0);
}

TEST_CASE("pair_record: only the policy's log-probabilities carry derivatives", "[batch][record]") {
  using S = prefer::dual<double, 2>;
  prefer::pair_record<S> pair;
  pair.chosen = {S::variable(-10.0, 0), -12.0, 4.0};
  pair.rejected = {S::variable(-9.0, 1), -8.0, 2.0};
  auto const margin = pair.log_ratio_margin();
  CHECK(margin.value == 3.0);
  CHECK(margin.partial[0] == 1.0);
  CHECK(margin.partial[1] == -1.0);
  CHECK(pair.chosen.mean_log_prob().partial[0] == 0.25);
}

TEST_CASE("list_record: completions are made on demand", "[batch][record]") {
  auto const at = [](std::size_t i) {
    return prefer::completion_record<double>{.log_prob = -1.0 - static_cast<double>(i)};
  };
  prefer::list_record<double, decltype(at)> const list(3, at, {});
  CHECK(list.size() == 3);
  CHECK(list[2].log_prob == -3.0);
  CHECK(list.beta_or(0.25) == 0.25);
}

}  // namespace
