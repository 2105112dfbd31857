// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/metrics/kl_divergence.hpp>
#include <prefer/model/tabular.hpp>
#include <vector>

using prefer::choice_data;
using prefer::kl_divergence;

namespace {

using table = prefer::tabular<double>;

choice_data everything(std::uint32_t prompts, std::uint32_t completions) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t y = 0; y < completions; ++y) all.push_back(y);
  choice_data data;
  for (std::uint32_t x = 0; x < prompts; ++x) data.add_list(x, all);
  return data;
}
table of_odds(std::vector<double> const& odds) {
  std::vector<double> logits;
  for (double const each : odds) logits.push_back(std::log(each));
  return {1, odds.size(), logits};
}

}  // namespace

TEST_CASE("kl_divergence: of a coin", "[objective][divergence]") {
  auto const all = everything(1, 2);
  auto policy = of_odds({3, 1});
  auto reference = of_odds({1, 1});
  double const expected = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  CHECK(kl_divergence(policy, reference, all.batch()) == Approx(expected).epsilon(1e-14));
  double const reversed = -0.5 * std::log(1.5) - 0.5 * std::log(0.5);
  CHECK(kl_divergence(reference, policy, all.batch()) == Approx(reversed).epsilon(1e-14));
  CHECK(kl_divergence(policy, policy, all.batch()) == 0.0);
}

TEST_CASE("kl_divergence: is the mean over prompts", "[objective][divergence]") {
  auto const all = everything(2, 2);
  table policy(2, 2, {std::log(3.0), 0.0, 0.0, 0.0});
  table uniform(2, 2);
  double const first = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  CHECK(kl_divergence(policy, uniform, all.batch()) == Approx(first / 2).epsilon(1e-14));
}

TEST_CASE(
    "kl_divergence: of what the policy never does is 0, of what the reference never does infinite",
    "[objective][divergence]") {
  auto const all = everything(1, 3);
  auto never = of_odds({1, 1, 0});
  auto uniform = of_odds({1, 1, 1});
  CHECK(kl_divergence(never, uniform, all.batch()) == Approx(std::log(1.5)).epsilon(1e-14));
  CHECK(kl_divergence(never, never, all.batch()) == 0.0);
  CHECK(kl_divergence(uniform, never, all.batch()) == std::numeric_limits<double>::infinity());
}

TEST_CASE("kl_divergence: refuses a list that is not of all completions",
          "[objective][divergence]") {
  table policy(1, 4);
  choice_data three;
  three.add_list(0, std::vector<std::uint32_t>{0, 1, 2});
  CHECK_THROWS_WITH(kl_divergence(policy, policy, three.batch()),
                    "kl_divergence: the probabilities of prompt 0 sum to 0.750000, expected 1; the "
                    "batch lists every completion of a prompt once");
  CHECK_THROWS_AS(kl_divergence(policy, policy, choice_data().batch()), prefer::precondition_error);
}
