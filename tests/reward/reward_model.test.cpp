// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/metrics/scored_pairs.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/reward/scalar_head.hpp>
#include <prefer/train/trainer.hpp>

#include "support/message_of.hpp"

namespace {

using namespace prefer;
using numbers = std::vector<double>;
using prefer::test::message_of;
using table_of_scores = logit_score<tabular<double>>;

/// Completions 0 and 1 of one prompt: 0 is chosen `won` times, and 1 `lost` times.
choice_data duels(int won, int lost) {
  choice_data data;
  for (int i = 0; i != won; ++i) data.add_pair(0, 0, 1);
  for (int i = 0; i != lost; ++i) data.add_pair(0, 1, 0);
  return data;
}

template <class M, Loss L>
void fit(M& model, L const& loss, choice_data const& data, std::uint64_t steps = 400) {
  no_reference<double> none;
  trainer(model, loss, none, data, {.batch_size = data.size(), .steps = steps, .rate = 0.05}).run();
}

numbers scores_of(auto& model, choice_batch const& batch) {
  numbers out(batch.completions());
  model.log_prob(batch, std::span<double>(out));
  return out;
}

/// Scores that are given.
struct given_scores {
  using value_type = double;
  numbers score;
  void log_prob(choice_batch const& batch, std::span<double> out) const {
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = score[batch.completion[i]];
  }
};
static_assert(RewardModel<given_scores, choice_batch>);
static_assert(RewardModel<reward_ensemble<given_scores>, choice_batch>);
static_assert(Policy<table_of_scores, choice_batch>);
static_assert(Policy<scalar_head<transition_counts<double>>, choice_batch>);
static_assert(!Backbone<tabular<double>, choice_batch>);

}  // namespace

TEST_CASE("logit_score: fitted, the difference of scores is the log-odds of the labels",
          "[reward]") {
  auto const data = duels(15, 5);
  table_of_scores model(tabular<double>(1, 2));
  fit(model, bradley_terry{.centering = 0.01}, data);
  auto const score = scores_of(model, duels(1, 0).batch());
  CHECK(score[0] - score[1] == Approx(std::log(3.0)).margin(1e-3));
  CHECK(score[0] + score[1] == Approx(0.0).margin(1e-6));  // what centering asks for
}

TEST_CASE("logit_score: a margin moves the odds by itself", "[reward]") {
  auto const data = duels(15, 5);
  table_of_scores model(tabular<double>(1, 2));
  fit(model, bradley_terry{.margin = 0.5}, data);
  auto const score = scores_of(model, duels(1, 0).batch());
  // 0 = -15 sigmoid(1/2 - d) + 5 sigmoid(1/2 + d) at the difference d.
  double const d = score[0] - score[1];
  auto const sigma = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  CHECK(15 * sigma(0.5 - d) == Approx(5 * sigma(0.5 + d)).epsilon(2e-3));
}

TEST_CASE("reward_ensemble: the mean, less where members disagree", "[reward]") {
  std::vector<given_scores> const members = {{{1.0, 0.0}}, {{2.0, 0.0}}, {{6.0, 0.0}}};
  auto const data = duels(1, 0);
  reward_ensemble plain(members);
  CHECK(scores_of(plain, data.batch()) == numbers{3.0, 0.0});
  reward_ensemble careful(members, 2.0);
  auto const score = scores_of(careful, data.batch());
  CHECK(score[0] == Approx(3.0 - 2.0 * std::sqrt(7.0)).epsilon(1e-15));
  CHECK(score[1] == 0.0);
  CHECK(message_of([] { reward_ensemble<given_scores> const none({}); }) ==
        "reward_ensemble: there are no members");
  CHECK(message_of([] { reward_ensemble<given_scores> const one({{{1.0}}}, 1.0); }) ==
        "reward_ensemble: one member has no deviation; expected at least 2, or deviations of 0");
  CHECK(message_of([&] { reward_ensemble const bad(members, -1.0); }) ==
        "reward_ensemble: deviations is -1, expected a finite number, zero or greater");
}

TEST_CASE("implicit_reward: beta times the log-ratio, whatever the reference's type", "[reward]") {
  tabular<double> policy(1, 2, {std::log(3.0), 0.0});
  tabular<float> reference(1, 2);
  implicit_reward model(policy, reference, 0.5);
  auto const data = duels(1, 0);
  auto const score = scores_of(model, data.batch());
  CHECK(score[0] == Approx(0.5 * std::log(0.75 / 0.5)).epsilon(1e-6));  // of a float
  CHECK(score[0] - score[1] == Approx(0.5 * std::log(3.0)).epsilon(1e-12));
  CHECK(message_of([&] { implicit_reward const bad(policy, reference, 0.0); }) ==
        "implicit_reward: beta is 0, expected a finite number greater than zero");
}

TEST_CASE("reward_is_score: accuracy and calibration of a reward model on held-out pairs",
          "[reward]") {
  // It says log 3, three quarters; of twelve held-out pairs nine agree.
  given_scores model{{std::log(3.0), 0.0}};
  no_reference<double> none;
  auto const scored = score_pairs(model, none, duels(9, 3));
  auto const pairs = scored.columns();
  CHECK(metrics(pairs, reward_is_score).accuracy.mean() == 0.75);
  auto const calibration = calibration_of(pairs, reward_is_score);
  CHECK(calibration.expected_error() == Approx(0.0).margin(1e-15));
  CHECK(calibration.brier.mean() == Approx(0.75 * 0.0625 + 0.25 * 0.5625).epsilon(1e-14));
  CHECK(calibration.log_loss.mean() == Approx(std::log(4.0) - 0.75 * std::log(3.0)).epsilon(1e-14));
}

TEST_CASE("scalar_head: on counts of transitions it finds what each is worth", "[reward]") {
  // All sequences of two tokens out of two; the prompt is token 0. Every pair of them is shown with the log-odds that a reward
  // of transitions gives, as a weight of each outcome.
  auto const table = token_table::all_of_length(2, 2);
  double const worth[] = {0.5, -1.0, 0.25, 1.5};  // of 00, 01, 10, 11
  auto const reward = [&](std::uint32_t y) {
    auto const tokens = table.tokens(y);
    return worth[tokens[0]] + worth[2 * tokens[0] + tokens[1]];
  };
  choice_data data;
  for (std::uint32_t a = 0; a != 4; ++a) {
    for (std::uint32_t b = 0; b != 4; ++b) {
      if (a == b) continue;
      data.add_pair(0, a, b);
      data.weight.push_back(static_cast<float>(1.0 / (1.0 + std::exp(reward(b) - reward(a)))));
    }
  }
  scalar_head model(transition_counts<double>(2, table));
  fit(model, bradley_terry{}, data, 800);
  choice_data all;
  all.add_list(0, std::vector<std::uint32_t>{0, 1, 2, 3});
  auto const score = scores_of(model, all.batch());
  for (std::uint32_t y = 1; y != 4; ++y) {
    CHECK(score[y] - score[0] == Approx(reward(y) - reward(0)).margin(1e-3));
  }
}

TEST_CASE("scalar_head: backward is the transpose of the scores' derivative", "[reward]") {
  /// feature_f = theta_f * (1 + y)^f, so that the backbone has a gradient too.
  struct powers {
    using value_type = double;
    numbers theta = {0.5, -1.5, 2.0};
    numbers gradient = {0.0, 0.0, 0.0};
    [[nodiscard]] std::size_t width() const { return 3; }
    static double power(choice_batch const& batch, std::size_t k) {
      return std::pow(1.0 + batch.completion[k / 3], static_cast<double>(k % 3));
    }
    void features(choice_batch const& batch, std::span<double> out) const {
      for (std::size_t k = 0; k != out.size(); ++k) out[k] = theta[k % 3] * power(batch, k);
    }
    void backward_features(choice_batch const& batch, std::span<double const> by_feature) {
      for (std::size_t k = 0; k != by_feature.size(); ++k) {
        gradient[k % 3] += by_feature[k] * power(batch, k);
      }
    }
    std::vector<parameter<double>> parameters() {
      return {{.name = "theta", .value = theta, .gradient = gradient}};
    }
  };
  scalar_head model{powers{}};
  auto const parameters = model.parameters();
  for (std::size_t f = 0; f != 3; ++f) parameters[1].value[f] = 0.25 + 0.5 * static_cast<double>(f);
  choice_data data;
  data.add_pair(0, 2, 1);
  numbers const coefficient = {0.75, -1.25};
  auto const objective = [&] {
    auto const score = scores_of(model, data.batch());
    return coefficient[0] * score[0] + coefficient[1] * score[1];
  };
  (void)objective();
  model.backward(data.batch(), coefficient);
  for (auto const& each : parameters) {
    for (std::size_t f = 0; f != 3; ++f) {
      double const at = each.value[f];
      double const h = 0.5;  // linear in each number, so a difference of any width is exact
      each.value[f] = at + h;
      double const above = objective();
      each.value[f] = at - h;
      double const below = objective();
      each.value[f] = at;
      CHECK(each.gradient[f] == Approx((above - below) / (2 * h)).epsilon(1e-13));
    }
  }
}
