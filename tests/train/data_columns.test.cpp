// SPDX-License-Identifier: MIT
#include <cmath>
#include <numbers>

#include <catch2/catch.hpp>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

using Catch::Matchers::Contains;
using prefer::choice_data;
using prefer::trainer;

namespace {

choice_data two_pairs() {
  choice_data data;
  data.add_pair(0, 2, 1);
  data.add_pair(1, 0, 2);
  return data;
}

}  // namespace

TEST_CASE("trainer: a loss that reads lengths is refused where the data has none",
          "[train][trainer]") {
  prefer::tabular<double> policy(2, 3);
  prefer::no_reference<double> none;
  choice_data data = two_pairs();
  CHECK_THROWS_WITH((trainer(policy, prefer::simpo{}, none, data)),
                    Contains("this loss reads length, which the data does not have"));
  data.length = {1.0F, 1.0F, 1.0F, 1.0F};
  CHECK_NOTHROW((trainer(policy, prefer::simpo{}, none, data)));
}

TEST_CASE("trainer: lengths reach the loss and its reported rewards", "[train][trainer]") {
  prefer::tabular<double> policy(2, 3);  // uniform: every log_prob is -ln 3
  prefer::no_reference<double> none;
  choice_data data = two_pairs();
  data.length = {1.0F, 2.0F, 1.0F, 2.0F};
  trainer run(policy, prefer::simpo{.beta = 2.0, .gamma = 0.0}, none, data, {.batch_size = 2});
  auto const report = run.step();
  // Per token, chosen has -ln 3 and rejected -ln 3 / 2: the margin is 2 * (-ln 3 / 2) = -ln 3.
  CHECK(report.reward_margin == Approx(-std::log(3.0)).epsilon(1e-14));
  CHECK(report.loss == Approx(std::log(1.0 + 3.0)).epsilon(1e-14));  // softplus(ln 3)
}

TEST_CASE("trainer: a target margin per pair reaches the loss, or is refused", "[train][trainer]") {
  auto const with_margin = prefer::pair_loss([](auto const& pair) {
    return softplus(pair.target_margin_or(0.0) - pair.log_ratio_margin());
  });
  prefer::tabular<double> policy(2, 3);
  prefer::no_reference<double> none;
  choice_data data = two_pairs();
  data.target_margin = {1.0F, 3.0F};
  CHECK_THROWS_WITH((trainer(policy, prefer::dpo{}, none, data)), Contains("target_margin"));
  trainer run(policy, with_margin, none, data, {.batch_size = 2});
  double const expected = (std::log1p(std::exp(1.0)) + std::log1p(std::exp(3.0))) / 2.0;
  CHECK(run.step().loss == Approx(expected).epsilon(1e-14));  // the policy's own margins are 0
}

TEST_CASE("cached: logits of the start policy give margins of exactly 0", "[reference][cached]") {
  // With log_prob on one side and logits on the other, ties would be broken by rounding.
  prefer::matrix_factorization<float> policy(3, 40, 7);
  std::uint64_t step = 0;
  for (auto const& each : policy.parameters()) {
    prefer::fill_normal(each.value, {.seed = 3, .step = step++}, 0.0, 0.5);
  }
  choice_data data;
  for (std::uint32_t i = 0; i != 30; ++i) data.add_pair(i % 3, i, i + 7);
  auto reference = prefer::cached<float>::of(policy, data, prefer::fingerprint_of(data));
  trainer run(policy, prefer::dpo{.beta = 0.7}, reference, data, {.batch_size = 30});
  auto const report = run.step();
  CHECK(report.reward_margin == 0.0);
  CHECK(report.accuracy == 0.0);  // ties are misses
  CHECK(report.loss == Approx(std::numbers::ln2).epsilon(1e-6));
}
