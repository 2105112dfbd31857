// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/reference/none.hpp>

#include "support/finite_difference.hpp"
#include "train/rollout_problem.hpp"

// One step of the trainer by policy gradients, without sampling: a policy under which all sequences are equally probable
// writes each of them once, so that means over what it wrote are expectations.

namespace {

using namespace prefer;
using numbers = std::vector<double>;

constexpr std::size_t three = 3;

struct enumerating : bigram<double> {
  using bigram<double>::bigram;

  /// Sequence i in lexicographic order for the i-th address.
  void sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
              random_address const& from, token_table& into, std::span<std::uint32_t> ids) const {
    for (std::size_t i = 0; i != prompts.size(); ++i) {
      std::vector<std::uint32_t> tokens(how.max_tokens);
      std::size_t rest = from.index + i;
      for (std::size_t t = how.max_tokens; t-- != 0; rest /= three) {
        tokens[t] = static_cast<std::uint32_t>(rest % three);
      }
      ids[i] = into.add(tokens);
    }
  }
};

double reward(std::uint32_t, std::span<std::uint32_t const> y) {
  double out = 0.0;
  for (std::uint32_t const token : y) out = std::cos(1.7 * token + 2.0 * out);
  return out;
}

struct problem {
  std::size_t tokens = 2;
  token_table table = {};
  enumerating policy{three, table, numbers(three* three)};
  frozen<bigram<double>> reference{bigram<double>(three, table, start_logits())};
  state_values<double> values{three, table, 2};
  double kl = std::numeric_limits<double>::quiet_NaN();
  numbers advantage = {};

  static numbers start_logits() {
    numbers out;
    for (std::size_t i = 0; i != three * three; ++i) {
      out.push_back(0.5 * std::sin(2.1 * static_cast<double>(i + 1)));
    }
    return out;
  }
  [[nodiscard]] std::size_t sequences() const { return tokens == 1 ? 3 : 9; }

  /// What the parameters have moved in so many steps down the gradient, divided by the rate.
  template <class L>
  numbers moved(L const& loss, auto method, std::uint64_t steps = 1, double rate = 1.0) {
    auto const before = small::state_of(policy);
    rollouts source(policy, table, std::vector<std::uint32_t>{0}, &reward, reference, method,
                    {.prompts = 1,
                     .completions = sequences(),
                     .epochs = steps,
                     .sampling = {.max_tokens = tokens}});
    trainer run(policy, loss, reference, source,
                {.steps = steps,
                 .rate = rate * small::gradient_descent_scale,
                 .optimizer = small::gradient_descent});
    run.run();
    kl = source.last().kl;
    advantage = source.current().advantage;
    auto out = small::state_of(policy);
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = (out[i] - before[i]) / rate;
    return out;
  }

  /// Expected reward - beta * KL(policy || reference) over all sequences.
  double objective(double beta) {
    token_table const all = token_table::all_of_length(three, tokens);
    numbers ours(three), theirs(three);
    double out = 0.0;
    for (std::uint32_t y = 0; y != all.size(); ++y) {
      double log_prob = 0.0;
      double log_ratio = 0.0;
      std::uint32_t state = 0;
      for (std::uint32_t const token : all.tokens(y)) {
        policy.token_log_probs(state, ours);
        reference.policy().token_log_probs(state, theirs);
        log_prob += ours[token];
        log_ratio += ours[token] - theirs[token];
        state = token;
      }
      out += std::exp(log_prob) * (reward(0, all.tokens(y)) - beta * log_ratio);
    }
    return out;
  }
  /// Its derivative by the logits, by differences.
  numbers slope(double beta) {
    auto const logits = policy.parameters()[0];
    numbers out;
    for (double& x : logits.value) {
      double const at = x;
      out.push_back(static_cast<double>(test::derivative(
          [&](long double to) -> long double {
            x = static_cast<double>(to);
            return objective(beta);
          },
          at, 0x1p-8L)));
      x = at;
    }
    return out;
  }
};

/// The largest distance of a from factor * b. small::gradient_descent errs by 1e-8 of a gradient, which is below 1.
double distance(numbers const& a, numbers const& b, double factor = 1.0) {
  double out = 0.0;
  for (std::size_t i = 0; i != a.size(); ++i) out = std::fmax(out, std::fabs(a[i] - factor * b[i]));
  return out;
}
constexpr double tolerance = 1e-8;

}  // namespace

TEST_CASE("rollouts: a step over all sequences is the gradient of reward - beta * KL",
          "[train][rollouts]") {
  for (double const beta : {0.0, 0.3}) {
    kl_control const kl{.coefficient = beta};
    problem exact;
    auto const slope = exact.slope(beta);
    REQUIRE(distance(slope, exact.slope(0.6)) > 1e-2);  // a coefficient that is ignored would show

    problem by_reinforce;
    CHECK(distance(by_reinforce.moved(reinforce{}, reinforce_method({.kl = kl})), slope) <
          tolerance);
    // Leaving one of nine out stretches what is told apart by 9 / 8.
    problem by_rloo;
    CHECK(distance(by_rloo.moved(rloo{}, rloo_method({.kl = kl})), slope, 9.0 / 8) < tolerance);

    // A mean over tokens, of which each sequence has two. With lambda 1 the values cancel.
    ppo_options plain{.kl = kl, .horizon = {.lambda = 1.0}, .whiten_advantages = false};
    problem by_ppo;
    CHECK(distance(by_ppo.moved(clipped_surrogate{}, ppo_method(by_ppo.values, plain)), slope,
                   0.5) < tolerance);
    // Whitening shifts all by one number, which cancels, and divides by one.
    plain.whiten_advantages = true;
    double mean = 0.0, squares = 0.0;
    for (double const each : by_ppo.advantage) mean += each / 18;
    for (double const each : by_ppo.advantage) squares += (each - mean) * (each - mean) / 17;
    problem whitened;
    CHECK(distance(whitened.moved(clipped_surrogate{}, ppo_method(whitened.values, plain)), slope,
                   0.5 / std::sqrt(squares + 1e-8)) < tolerance);
    REQUIRE(std::fabs(std::sqrt(squares) - 1.0) > 0.1);
  }
  // GRPO's advantages without its KL term: the deviation of nine rewards, 1e-4 added.
  token_table const all = token_table::all_of_length(three, 2);
  double mean = 0.0, squares = 0.0;
  for (std::uint32_t y = 0; y != 9; ++y) mean += reward(0, all.tokens(y)) / 9;
  for (std::uint32_t y = 0; y != 9; ++y) {
    squares += std::pow(reward(0, all.tokens(y)) - mean, 2) / 8;
  }
  problem by_grpo;
  auto const slope = by_grpo.slope(0.0);
  CHECK(distance(by_grpo.moved(clipped_surrogate{}, grpo_method()), slope,
                 0.5 / (std::sqrt(squares) + 1e-4)) < tolerance);
}

TEST_CASE("rollouts: what has moved too far in a rollout is moved no further",
          "[train][rollouts]") {
  // After one long step every ratio whose advantage is not 0 is beyond its clip, in the direction that was asked for.
  problem once{.tokens = 1}, twice{.tokens = 1}, free{.tokens = 1};
  auto const method = [] { return rloo_method({.kl = {.coefficient = 0.0}}); };
  auto const first = once.moved(rloo{}, method(), 1, 4.0);
  CHECK(twice.moved(rloo{}, method(), 2, 4.0) == first);
  CHECK(distance(free.moved(rloo{.clip_low = 1.0, .clip_high = 100.0}, method(), 2, 4.0), first) >
        1e-2);
  for (double const each : once.advantage) REQUIRE(std::fabs(each) > 1e-3);
}

TEST_CASE("rollouts: a KL coefficient follows its target, and each rollout says what it paid",
          "[train][rollouts]") {
  problem p;
  kl_control const kl{.coefficient = 0.3, .target = 0.1, .gain = 0.5};
  rollouts source(p.policy, p.table, std::vector<std::uint32_t>{0}, &reward, p.reference,
                  rloo_method({.kl = kl}),
                  {.prompts = 1, .completions = 9, .sampling = {.max_tokens = 2}});
  trainer run(p.policy, rloo{}, p.reference, source, {.steps = 2, .rate = 0.01});
  run.step();
  double const first = source.last().kl;
  CHECK(source.last().number == 1);
  CHECK(source.last().tokens == 18);
  CHECK(source.last().kl_coefficient == 0.3);
  // All sequences, each once, so that the mean is no estimate.
  double exact = 0.0;
  numbers theirs(three);
  for (std::uint32_t state = 0; state != three; ++state) {
    p.reference.policy().token_log_probs(state, theirs);
    for (double const each : theirs) {
      exact += (state == 0 ? 4.0 / 3 : 1.0 / 3) * (-std::log(3.0) - each) / 3;
    }
  }
  CHECK(first == Approx(exact).epsilon(1e-12));
  run.step();
  double error = first / 0.1 - 1.0;
  error = error > 0.2 ? 0.2 : error < -0.2 ? -0.2 : error;
  REQUIRE(error != 0.0);
  CHECK(source.last().number == 2);
  CHECK(source.last().kl_coefficient == Approx(0.3 * (1.0 + 0.5 * error)).epsilon(1e-14));
}

TEST_CASE("rollouts: each epoch has every completion once, in an order of its own",
          "[train][rollouts]") {
  problem p;
  rollouts source(p.policy, p.table, std::vector<std::uint32_t>{0}, &reward, p.reference,
                  rloo_method(),
                  {.prompts = 1,
                   .completions = 9,
                   .epochs = 2,
                   .minibatches = 4,
                   .sampling = {.max_tokens = 2}});
  CHECK(source.steps_each() == 8);
  choice_minibatch batch;
  std::vector<std::vector<std::size_t>> orders(2);
  for (std::uint64_t step = 0; step != 8; ++step) {
    source.gather(step, {}, batch);
    CHECK(batch.size() >= 2);
    auto& order = orders[static_cast<std::size_t>(step / 4)];
    for (std::size_t i = 0; i != batch.size(); ++i) {
      order.push_back(batch.row()[i]);
      CHECK(batch.numbers().score[i] == source.current().advantage[batch.row()[i]]);
    }
    source.after_step(step + 1, single_process{});
  }
  CHECK(orders[0] != orders[1]);
  for (auto& order : orders) {
    std::vector<bool> seen(9);
    for (std::size_t const row : order) seen[row] = true;
    CHECK(order.size() == 9);
    CHECK(seen == std::vector<bool>(9, true));
  }
}

TEST_CASE("rollouts: what has no meaning is refused in a sentence", "[train][rollouts]") {
  problem p;
  std::vector<std::uint32_t> const two = {0, 1};
  auto const message = [&](auto const& method, rollout_options const& how = {},
                           std::vector<std::uint32_t> prompts = {0, 1}) {
    return small::message_of(
        [&] { rollouts(p.policy, p.table, prompts, &reward, p.reference, method(), how); });
  };
  auto const rloo_of = [] { return rloo_method(); };
  auto const ppo_of = [&] { return ppo_method(p.values); };
  CHECK(message(ppo_of, {}, {}) == "rollouts: there is no prompt");
  CHECK(message(ppo_of, {.prompts = 0}) == "rollouts: prompts must be at least 1");
  CHECK(message(ppo_of, {.completions = 0}) == "rollouts: completions must be at least 1");
  CHECK(message(ppo_of, {.epochs = 0}) == "rollouts: epochs must be at least 1");
  CHECK(message(ppo_of, {.minibatches = 0}) == "rollouts: minibatches must be at least 1");
  CHECK(message(ppo_of, {.completions = 2, .minibatches = 5}) ==
        "rollouts: minibatches is 5, more than the 4 completions of the smallest rollout");
  CHECK_THAT(message(rloo_of, {.completions = 1}),
             Catch::StartsWith("rloo_method: completions must be at least 2"));
  CHECK_THAT(message([] { return grpo_method(); }, {.completions = 1}),
             Catch::StartsWith("grpo_method: completions must be at least 2"));
  CHECK(message([] { return rloo_method({.kl = {.coefficient = -0.1}}); }) ==
        "rloo_method: kl.coefficient is -0.1, expected a finite number, zero or greater");
  CHECK_THAT(message([] { return rloo_method({.kl = {.estimator = kl_estimator::k3}}); }),
             Catch::StartsWith("rloo_method: kl.estimator is k3"));
  CHECK_THAT(message([] { return reinforce_method({.decay = 1.0}); }),
             Catch::StartsWith("running_baseline: decay is 1"));
  CHECK_THAT(message([&] { return ppo_method(p.values, {.horizon = {.lambda = 1.5}}); }),
             Catch::StartsWith("ppo_method: horizon.lambda is 1.5"));
  CHECK_THAT(message([&] { return ppo_method(p.values, {.kl = {.coefficient = -1.0}}); }),
             Catch::StartsWith("ppo_method: kl.coefficient is -1"));
  CHECK_THAT(message([&] { return ppo_method(p.values, {.value = {.clip = -1.0}}); }),
             Catch::StartsWith("ppo_method: value.clip is -1"));

  no_reference<double> none;
  CHECK(
      small::message_of([&] { rollouts(p.policy, p.table, two, &reward, none, rloo_method()); }) ==
      "rollouts: there is no reference to be paid for being away from; the KL coefficient must "
      "be 0");
  struct : no_reference<double> {
    static bool normalised() { return false; }
  } shifted;
  CHECK_THAT(
      small::message_of([&] { rollouts(p.policy, p.table, two, &reward, shifted, rloo_method()); }),
      Catch::StartsWith("rollouts: this reference is not normalised"));

  // A loss over tokens and advantages of completions, and a step in the middle.
  rollouts of_completions(p.policy, p.table, two, &reward, p.reference, rloo_method(),
                          {.epochs = 2, .sampling = {.max_tokens = 2}});
  trainer over_tokens(p.policy, clipped_surrogate{}, p.reference, of_completions);
  CHECK_THAT(small::message_of([&] { over_tokens.step(); }),
             Catch::StartsWith("trainer: the source gives 8 numbers of score for 16 examples"));
  choice_minibatch batch;
  CHECK_THAT(small::message_of([&] { of_completions.gather(3, {}, batch); }),
             Catch::StartsWith("rollouts: step 4 is inside of a rollout"));
  rollouts endless(p.policy, p.table, two, [](std::uint32_t, auto) { return NAN; }, p.reference,
                   rloo_method(), {.sampling = {.max_tokens = 2}});
  CHECK(small::message_of([&] { endless.gather(0, {}, batch); }) ==
        "judge: a reward is not finite");
}
