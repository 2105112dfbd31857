// SPDX-License-Identifier: MIT
//
// Methods find what they look for, and findings are arithmetic.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <sweep/bandit.hpp>
#include <sweep/method_findings.hpp>
#include <sweep/methods/arena.hpp>
#include <sweep/methods/method.hpp>
#include <sweep/methods/run_meter.hpp>
#include <sweep/objective.hpp>
#include <thread>
#include <vector>

namespace {

using sweep::numbers;

std::shared_ptr<sweep::method const> named(std::string const& name) {
  for (auto const& each : sweep::all_methods()) {
    if (each->name() == name) return each;
  }
  return nullptr;
}

/// A bandit of 4 actions, and plenty of samples.
struct plenty {
  explicit plenty(std::size_t pairs, std::uint64_t amount)
      : task(4, pairs), problem(task.make(3, {})), numbers_of(sweep::draw_bandit(4, 3)) {
    options.budget = sweep::budget_kind::samples;
    options.amount = amount;
    options.batch = 128;
    options.loss = sweep::describe_loss("dpo");
  }

  sweep::bandit task;
  std::shared_ptr<sweep::problem const> problem;
  sweep::exact_numbers numbers_of;
  sweep::method_options options;

  [[nodiscard]] sweep::progress_point end_of(std::string const& name, double number) const {
    sweep::arena const on(task, problem, 3, options);
    return named(name)->run(on, number).points.back();
  }

  /// KL(policy || start * exp(r / beta) / Z) of a policy with this reward and KL to the start, r = 2 R. For any policy
  ///   E[r] - beta KL(policy || start) = beta log Z - beta KL(policy || optimum).
  [[nodiscard]] double from_optimum(sweep::judgement const& of, double beta) const {
    double z = 0.0;
    for (std::size_t y = 0; y < 4; ++y) {
      z += std::exp(numbers_of.start[y] + 2.0 * numbers_of.reward[y] / beta);
    }
    return std::log(z) - 2.0 * of.reward / beta + of.kl_start;
  }
};

}  // namespace

TEST_CASE("sweep: with plenty of samples methods reach start * exp(r / beta) / Z",
          "[examples][sweep][methods]") {
  // The tolerance is the one stated for a large budget, 1e-2 nats: 400 steps of 128 completions, or 25600 pairs, whose
  // estimate of r has a variance of about 4 / (pairs * p) per action, p = 0.03 for the rarest: KL 4 / 768 / 2 * p each.
  plenty const at(25600, 51200);
  for (std::string const name :
       {"dpo", "iterative_dpo", "online_dpo", "xpo", "ppo", "rloo", "reinforce"}) {
    auto const end = at.end_of(name, 2.0);
    INFO(name);
    CHECK(at.from_optimum(end.quality, 2.0) >= -1e-12);
    CHECK(at.from_optimum(end.quality, 2.0) < 1e-2);
    CHECK(end.spent.scored == 51200);
  }
}

TEST_CASE("sweep: nash_md and grpo reach policies of their own", "[examples][sweep][methods]") {
  plenty const at(8, 51200);
  auto const& start = at.numbers_of.start;
  auto const& reward = at.numbers_of.reward;
  auto const value_of = [&](numbers const& policy) { return sweep::expectation(policy, reward); };

  // nash_md: log(policy / start) = P(y beats the mixture) / beta + c, the mixture being sqrt(policy * start).
  double const beta = 0.5;
  numbers policy = start;
  for (int i = 0; i < 300; ++i) {
    numbers mixture(4);
    for (std::size_t y = 0; y < 4; ++y) mixture[y] = 0.5 * (policy[y] + start[y]);
    mixture = sweep::log_softmax(mixture);
    numbers wins(4);
    for (std::size_t y = 0; y < 4; ++y) {
      for (std::size_t z = 0; z < 4; ++z) {
        wins[y] += std::exp(mixture[z]) / (1.0 + std::exp(-2.0 * (reward[y] - reward[z])));
      }
    }
    policy = sweep::tilted(start, wins, 1.0 / beta);
  }
  auto const nash = at.end_of("nash_md", beta);
  CHECK(nash.quality.kl_start == Approx(sweep::divergence(policy, start)).margin(1e-2));
  CHECK(nash.quality.reward == Approx(value_of(policy)).margin(2e-2));

  // grpo: the gradient of k3 is that of KL(start || policy), so policy (r - E r) + beta' (start - policy) = 0, or
  // policy = beta' start / (lambda - r) for the lambda with which it sums to 1. A group's mean holds the completion itself,
  // a quarter of it, which leaves 3/4 of the reward: beta' = 4/3 beta.
  double const pull = 2.0 * 4.0 / 3.0;
  double low = 2.0 * *std::max_element(reward.begin(), reward.end());
  double high = low + 100.0;
  auto const sum = [&](double lambda) {
    double out = 0.0;
    for (std::size_t y = 0; y < 4; ++y) {
      out += pull * std::exp(start[y]) / (lambda - 2.0 * reward[y]);
    }
    return out;
  };
  for (int i = 0; i < 200; ++i) {
    double const middle = 0.5 * (low + high);
    (sum(middle) > 1.0 ? low : high) = middle;
  }
  for (std::size_t y = 0; y < 4; ++y) {
    policy[y] = std::log(pull) + start[y] - std::log(high - 2.0 * reward[y]);
  }
  auto const group = at.end_of("grpo", 2.0);
  CHECK(group.quality.kl_start == Approx(sweep::divergence(policy, start)).margin(1e-2));
  CHECK(group.quality.reward == Approx(value_of(policy)).margin(2e-2));
}

TEST_CASE("sweep: with reward models that are fitted alike, RLHF of beta 1 is dpo of beta 1",
          "[examples][sweep][methods]") {
  // Logits start + s under dpo and scores s under Bradley-Terry have the same slopes at beta 1, so the same descent; and
  // start * exp(s) / Z is the policy with logits start + s.
  plenty at(200, 200);
  at.options.budget = sweep::budget_kind::labels;
  auto const dpo = at.end_of("dpo", 1.0);
  auto const rlhf = at.end_of("rlhf_optimum", 1.0);
  // 200 steps of 4 over sums of 200 terms, each rounded to 1e-16 of numbers below 10.
  CHECK(rlhf.quality.reward == Approx(dpo.quality.reward).margin(1e-9));
  CHECK(rlhf.quality.kl_start == Approx(dpo.quality.kl_start).margin(1e-9));
  CHECK(rlhf.spent.labels == dpo.spent.labels);
}

TEST_CASE("sweep: a fitted reward is centred on the start, and ranks as labels do",
          "[examples][sweep][methods]") {
  sweep::bandit const task(4, 2000);
  auto const problem = task.make(1, {});
  auto const& exact = dynamic_cast<sweep::exact_problem const&>(*problem);
  for (auto const fit : {sweep::reward_fit::descent, sweep::reward_fit::adamw}) {
    auto const fitted = sweep::fit_reward(exact, fit);
    CHECK(fitted.parameters == 4);
    CHECK(sweep::expectation(exact.all().start, fitted.reward) == Approx(0.0).margin(1e-12));
    for (std::size_t y = 0; y < 4; ++y) {
      for (std::size_t z = 0; z < 4; ++z) {
        // Of gaps above 1 nat hundreds of labels say 73 % or more.
        double const gap = 2.0 * (exact.all().reward[y] - exact.all().reward[z]);
        if (gap > 1.0) CHECK(fitted.reward[y] > fitted.reward[z]);
      }
    }
  }
}

TEST_CASE("sweep: rewards at a KL lie on the line over its root", "[examples][sweep][methods]") {
  // From (0, 1) over (1, 3) to (4, 5): sqrt(KL) is 0, 1, 2.
  std::vector<sweep::kl_and_reward> const policies = {{4.0, 5.0}, {1.0, 3.0}};
  CHECK(*sweep::reward_at(policies, 1.0, 0.25) == Approx(2.0).epsilon(1e-12));
  CHECK(*sweep::reward_at(policies, 1.0, 1.0) == Approx(3.0).epsilon(1e-12));
  CHECK(*sweep::reward_at(policies, 1.0, 2.25) == Approx(4.0).epsilon(1e-12));
  CHECK_FALSE(sweep::reward_at(policies, 1.0, 4.01));
  CHECK_FALSE(sweep::reward_at({{std::nan(""), 9.0}}, 1.0, 0.5));
}

TEST_CASE("sweep: a turn is a fall beyond two standard errors while the learned reward rises",
          "[examples][sweep][methods]") {
  // Falls of 0.4 and 0.6 have the mean 0.5 and the standard error 0.1.
  std::vector<sweep::curve_point> along = {
      {.number = 1, .step = 1, .truth = {0.0, 0.0}, .learned = {0.0, 0.0}, .kl = {0.1, 0.1}},
      {.number = 2, .step = 2, .truth = {1.0, 1.0}, .learned = {1.0, 1.0}, .kl = {0.4, 0.6}},
      {.number = 4, .step = 4, .truth = {0.6, 0.4}, .learned = {2.0, 2.5}, .kl = {1.0, 1.0}}};
  auto const turn = sweep::turn_of(along);
  CHECK(turn.found);
  CHECK(turn.number == 2);
  CHECK(turn.step == 2);
  CHECK(turn.kl == Approx(0.5));
  CHECK(turn.drop.mean == Approx(0.5));
  CHECK(turn.drop.error == Approx(0.1));
  CHECK(turn.learned_gain == Approx(1.25));

  along[2].truth = {1.1, 0.3};  // 0.3 with an error of 0.4
  CHECK_FALSE(sweep::turn_of(along).found);
  along[2].truth = {0.6, 0.4};
  along[2].learned = {0.9, 0.9};
  CHECK_FALSE(sweep::turn_of(along).found);
}

TEST_CASE("sweep: where people judge, a mean has their error beside that over seeds",
          "[examples][sweep][methods]") {
  // Seeds 1 and 2: mean 3/2, error 1/2. Tenths 1 and 2 of each, means over seeds 1 and 3: error 1.
  std::vector<sweep::judged> const seeds = {{1.0, {0.0, 2.0}}, {2.0, {2.0, 4.0}}};
  auto const mean = sweep::estimate_of(seeds);
  CHECK(mean.mean == Approx(1.5));
  CHECK(mean.error == Approx(std::sqrt(0.25 + 1.0)));
  // What all people and seeds share is in no difference.
  auto const apart = sweep::paired_difference(
      seeds, std::vector<sweep::judged>{{0.5, {-1.0, 1.5}}, {1.5, {1.0, 3.5}}});
  CHECK(apart.mean == Approx(0.5));
  CHECK(apart.error == Approx(0.25));  // of the differences 1 and 1/2 of the parts
}

TEST_CASE("sweep: a meter has the most bytes that were held at once, judging left out",
          "[examples][sweep][methods]") {
  struct alignas(128) wide {
    char bytes[128] = {};
  };
  auto const before = std::make_unique<std::vector<char>>(10000);
  sweep::run_meter meter;
  { std::vector<char> const one(1000); }
  std::vector<char> const kept(400);
  { std::vector<wide> const two(4); }
  meter.hold();
  CHECK(meter.peak_bytes() == 1000);
  std::vector<char> const judging(5000);
  before->clear();
  before->shrink_to_fit();
  meter.go();
  { std::vector<char> const three(550); }
  meter.hold();
  CHECK(meter.peak_bytes() == 1000);
  meter.go();
  { std::vector<wide> const four(5); }  // 640 beside 400
  std::thread([] { std::vector<char> const elsewhere(7000); }).join();
  meter.hold();
  CHECK(meter.peak_bytes() == 1040);
  CHECK(meter.seconds() >= 0.0);
}
