// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <prefer/lm/model/llama.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/policy/value_model.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/reward/scalar_head.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>

#include "gradient_facts.hpp"
#include "list_and_pair.hpp"
#include "support/temporary_folder.hpp"
#include "tiny_models.hpp"
#include "train/small_problem.hpp"

// A scalar head on a llama as a value model, and policy gradients on a llama.

using namespace prefer;
using lm::llama;
using lm::lora_options;
using value_head = scalar_head<llama<double>>;
using head_on_policy = scalar_head<borrowed_backbone<llama<double>>>;

static_assert(StepBackbone<llama<double>, choice_batch>);
static_assert(ValueModel<value_head, choice_batch>);
static_assert(ValueModel<head_on_policy, choice_batch>);
static_assert(!ValueModel<scalar_head<transition_counts<double>>, choice_batch>);

namespace {

using numbers = std::vector<double>;

// Of the completions of list_and_pair: the second and the last were cut off, the others have a state after their end.
std::vector<std::size_t> const steps = {0, 5, 7, 11, 13, 18, 19};

numbers values_of(value_head& model, choice_batch const& batch,
                  std::vector<std::size_t> const& step_offset) {
  numbers out(step_offset.back());
  model.values(batch, step_offset, out);
  return out;
}

// One completion of a prompt, of tokens.
struct alone {
  alone(std::uint32_t prompt, std::uint32_t completion) {
    data.add_labelled(prompt, completion, true);
  }
  choice_data data;
};

}  // namespace

TEST_CASE("scalar_head of a llama: gradients of values are those of differences",
          "[lm][llama][value]") {
  test::list_and_pair const of;
  bool const checkpoint = GENERATE(false, true);
  lm::llama_options<double> const options{.checkpoint = checkpoint};
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  auto const check = [&](value_head model) {
    test::fill_at_random({model.parameters().back()}, 5);
    auto const batch = of.data.batch();
    numbers coefficient(steps.back());
    fill_normal(std::span<double>(coefficient), {.seed = 11}, 0, 1);
    numbers value(steps.back());
    auto const total = [&] {
      model.learn_values(batch, steps, value);
      double out = 0;
      for (std::size_t k = 0; k != value.size(); ++k) out += coefficient[k] * value[k];
      return out;
    };
    (void)total();
    CHECK(values_of(model, batch, steps) == value);  // whether anything is kept or not, to the bit
    model.backward_values(batch, steps, coefficient);  // behind values: computed again
    model.finish_backward();
    test::check_gradients_of(model, total);
  };
  SECTION("all weights") {
    check(value_head(llama<double>(*base, of.texts, lm::full_fine_tuning{}, options)));
  }
  SECTION("an adapter") {
    llama<double> backbone(base, of.texts, test::uneven_adapter(), options);
    test::fill_at_random(backbone.parameters(), 7);
    check(value_head(std::move(backbone)));
  }
}

TEST_CASE("scalar_head of a llama: the value of a step is the score of what was written before it",
          "[lm][llama][value]") {
  test::list_and_pair of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  value_head model(llama<double>(base, of.texts, lora_options{.rank = 2}));
  test::fill_at_random(model.parameters(), 3);
  auto const batch = of.data.batch();
  auto const value = values_of(model, batch, steps);
  for (std::size_t g = 0; g != of.data.size(); ++g) {
    for (std::size_t i = of.data.offset[g]; i != of.data.offset[g + 1]; ++i) {
      auto const y = of.texts.completions.tokens(of.data.completion[i]);
      test::token_list const written(y.begin(), y.end());
      std::size_t const count = steps[i + 1] - steps[i];
      alone const one(of.data.prompt[g], of.data.completion[i]);
      auto const by_itself = values_of(model, one.data.batch(), {0, count});
      for (std::size_t t = 0; t != count; ++t) {
        CHECK(by_itself[t] == value[steps[i] + t]);
        if (t == 0) continue;
        alone const beginning(of.data.prompt[g],
                              of.texts.completions.add(std::span(written).first(t)));
        double score = 0;
        model.log_prob(beginning.data.batch(), std::span<double>(&score, 1));
        CHECK(score == value[steps[i] + t]);
      }
    }
  }
  // Before anything is written there is the prompt alone, and prompts differ.
  CHECK(value[steps[0]] == value[steps[1]]);
  CHECK(value[steps[0]] != value[steps[4]]);
  numbers few(steps.back() - 1);
  CHECK_THROWS_WITH(model.values(batch, steps, few),
                    "llama::step_features: features has 144 elements, expected 152");
}

namespace {

constexpr std::uint32_t stop = 3;
constexpr double beta = 0.3;

double reward_of(std::uint32_t prompt, std::span<std::uint32_t const> y) {
  double out = prompt;
  for (std::uint32_t const token : y) out = std::cos(1.7 * token + 2.0 * out);
  return out;
}

// A policy and a value model, two adapters of one base.
struct two_adapters {
  two_adapters() {
    for (test::token_list const& x : std::vector<test::token_list>{{2, 7}, {5}, {1, 4, 9}}) {
      prompts.push_back(texts.prompts.add(x));
    }
    test::fill_at_random(policy.parameters(), 3);
    test::fill_at_random(values.parameters(), 30);
    policy.parameters_moved();
    values.parameters_moved();
  }
  two_adapters(two_adapters const&) = delete;
  two_adapters& operator=(two_adapters const&) = delete;

  [[nodiscard]] rollout_options rollout() const {
    return {.prompts = 3,
            .completions = 2,
            .epochs = 2,
            .minibatches = 2,
            .sampling = {.max_tokens = 4, .stop_token = stop},
            .seed = 5};
  }
  [[nodiscard]] auto source(ppo_options const& how, rollout_options const& written) {
    return std::make_unique<rollouts<llama<double>, decltype(&reward_of),
                                     without_adapter<llama<double>>, ppo_method<value_head>>>(
        policy, texts.completions, prompts, &reward_of, reference, ppo_method(values, how),
        written);
  }

  std::shared_ptr<lm::llama_base<double> const> base =
      test::random_base<double>(test::smallest_config(), 1);
  token_sequences texts;
  std::vector<std::uint32_t> prompts;
  llama<double> policy{base, texts, lora_options{.rank = 2}};
  without_adapter<llama<double>> reference{policy};
  value_head values{llama<double>(base, texts, lora_options{.rank = 1, .seed = 2})};
};

// How far parameters have moved down a gradient, whose step was the gradient itself.
void check_moved(numbers const& before, numbers const& after, numbers const& gradient) {
  REQUIRE(before.size() == gradient.size());
  double largest = 0;
  for (std::size_t i = 0; i != gradient.size(); ++i) {
    // small::gradient_descent goes g / (1 + |g| / 1e8); the difference of two numbers below 2 errs by 2e-16.
    double const error = 1.01e-8 * gradient[i] * gradient[i] + 1e-12;
    CHECK(before[i] - after[i] == Approx(gradient[i]).epsilon(0).margin(error));
    largest = std::max(largest, std::abs(gradient[i]));
  }
  CHECK(largest > 1e-2);
}

numbers gradient_of(auto& model) {
  numbers out;
  for (auto const& each : model.parameters()) {
    out.insert(out.end(), each.gradient.begin(), each.gradient.end());
  }
  return out;
}

}  // namespace

TEST_CASE("llama: a step of PPO is what one sequence at a time comes to",
          "[lm][llama][value][train]") {
  two_adapters of;
  llama<double> policy(of.policy);
  value_head values(of.values);
  auto const weights = small::state_of(of.policy);
  auto const critic = small::state_of(of.values);
  auto written = of.rollout();
  written.epochs = written.minibatches = 1;
  auto const source = of.source(
      {.kl = {.coefficient = beta},
       .horizon = {.discount = 0.9, .lambda = 0.8},
       .value = {.rate = small::gradient_descent_scale, .optimizer = small::gradient_descent}},
      written);
  trainer training(
      of.policy, clipped_surrogate{}, of.reference, *source,
      {.steps = 1, .rate = small::gradient_descent_scale, .optimizer = small::gradient_descent});
  training.run();

  auto const& all = source->current();
  auto const& step = source->method().steps();
  auto const tokens = static_cast<double>(all.token_offset.back());
  numbers advantage;
  numbers target;
  bool ended = false;
  bool cut = false;
  for (std::size_t i = 0; i != all.size(); ++i) {
    alone const one(all.prompt[i], all.completion[i]);
    auto const y = of.texts.completions.tokens(all.completion[i]);
    (y.back() == stop && y.size() < 4 ? ended : cut) = true;
    numbers ours(y.size());
    numbers theirs(y.size());
    policy.token_log_prob_without_adapter(one.data.batch(), theirs);
    policy.token_log_prob(one.data.batch(), ours);
    std::size_t const count = y.size() + (y.size() < 4 ? 1 : 0);
    REQUIRE(count == step[i + 1] - step[i]);
    auto value = values_of(values, one.data.batch(), {0, count});
    for (std::size_t t = 0; t != y.size(); ++t) {
      CHECK(all.behaviour[all.token_offset[i] + t] == ours[t]);
      CHECK(all.reference[all.token_offset[i] + t] == theirs[t]);
    }
    for (std::size_t t = 0; t != count; ++t) {
      CHECK(source->method().behaviour_values()[step[i] + t] == value[t]);
    }
    // Schulman et al. 2016, eq. 16, as a sum.
    value.push_back(0);
    numbers surprise(count);
    for (std::size_t t = 0; t != count; ++t) {
      double const reward = (t < y.size() ? -beta * (ours[t] - theirs[t]) : 0.0) +
                            (t + 1 == count ? reward_of(all.prompt[i], y) : 0.0);
      surprise[t] = reward + 0.9 * value[t + 1] - value[t];
    }
    for (std::size_t t = 0; t != count; ++t) {
      double sum = 0;
      for (std::size_t k = t; k != count; ++k) {
        sum += std::pow(0.9 * 0.8, static_cast<double>(k - t)) * surprise[k];
      }
      if (t < y.size()) advantage.push_back(sum);
      target.push_back(sum + value[t]);
    }
  }
  REQUIRE((ended && cut));  // steps of both kinds were written
  double mean = 0;
  for (double const each : advantage) mean += each / tokens;
  double variance = 1e-8;
  for (double const each : advantage) variance += (each - mean) * (each - mean) / (tokens - 1);
  for (double& each : advantage) each = (each - mean) / std::sqrt(variance);

  // The ratio is 1 and the value what it was: -advantage / tokens and (value - target) / steps.
  for (std::size_t i = 0; i != all.size(); ++i) {
    alone const one(all.prompt[i], all.completion[i]);
    numbers coefficient;
    for (std::size_t t = all.token_offset[i]; t != all.token_offset[i + 1]; ++t) {
      CHECK(all.advantage[t] == Approx(advantage[t]).epsilon(1e-10).margin(1e-10));
      coefficient.push_back(-advantage[t] / tokens);
    }
    policy.token_backward(one.data.batch(), coefficient);
    std::vector<std::size_t> const mine = {0, step[i + 1] - step[i]};
    auto slope = values_of(values, one.data.batch(), mine);
    for (std::size_t t = 0; t != slope.size(); ++t) {
      slope[t] = (slope[t] - target[step[i] + t]) / static_cast<double>(step.back());
    }
    values.backward_values(one.data.batch(), mine, slope);
  }
  check_moved(weights, small::state_of(of.policy), gradient_of(policy));
  check_moved(critic, small::state_of(of.values), gradient_of(values));
}

TEST_CASE("llama: PPO comes to the same bits on threads, in parts, and after a resume",
          "[lm][llama][value][train]") {
  temporary_folder const folder;
  std::string const checkpoint = folder / "run";
  thread_pool pool(2);
  struct way {
    std::size_t at_once = 0;  // completions of the value model's passes
    std::size_t micro_tokens = 0;
    executor threads = {};
    std::uint64_t stops_after = 0;
  };
  auto const run = [&](way const& how) {
    two_adapters of;
    ppo_options const options{.kl = {.coefficient = beta},
                              .value = {.rate = 0.01, .micro_batch = how.at_once}};
    of.policy.use(how.threads);
    of.values.use(how.threads);
    auto const train = [&](bool resumes) {
      auto const source = of.source(options, of.rollout());
      trainer training(of.policy, clipped_surrogate{}, of.reference, *source,
                       {.micro_batch_tokens = how.micro_tokens,
                        .steps = 6,
                        .rate = 0.01,
                        .threads = how.threads});
      if (resumes) training.resume(checkpoint);
      training.run([&](step_report const& at) { return resumes || at.step != how.stops_after; });
      if (how.stops_after != 0 && !resumes) training.save(checkpoint);
    };
    train(false);
    if (how.stops_after != 0) {
      test::fill_at_random(of.policy.parameters(), 100);  // the checkpoint has them
      test::fill_at_random(of.values.parameters(), 200);
      train(true);
    }
    auto out = small::state_of(of.policy);
    auto const critic = small::state_of(of.values);
    out.insert(out.end(), critic.begin(), critic.end());
    return out;
  };
  auto const whole = run({});
  CHECK(run({.at_once = 1, .micro_tokens = 7}) == whole);
  CHECK(run({.at_once = 2, .threads = pool.executor()}) == whole);
  CHECK(run({.stops_after = 2}) == whole);  // inside of a rollout
  CHECK(run({.stops_after = 4}) == whole);  // between two
}

TEST_CASE("llama: PPO, RLOO and REINFORCE come near reference * exp(reward / beta) / Z",
          "[lm][llama][value][train]") {
  // A bandit: one prompt, one token, and a reward for one of the eleven.
  constexpr std::uint32_t good = 5;
  constexpr double coefficient = 0.25;
  auto const reward = [](std::uint32_t, std::span<std::uint32_t const> y) {
    return y[0] == good ? 1.0 : 0.0;
  };
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  token_sequences texts;
  std::uint32_t const prompt = texts.prompts.add(test::token_list{2, 7});
  std::uint32_t const answer = texts.completions.add(test::token_list{good});
  llama<double> policy(*base, texts, lm::full_fine_tuning{});
  frozen<llama<double>> reference(policy);
  alone const asked(prompt, answer);
  double log_prob = 0;
  reference.log_prob(asked.data.batch(), std::span<double>(&log_prob, 1));
  double const start = std::exp(log_prob);
  double const best =
      start * std::exp(1 / coefficient) / (start * std::exp(1 / coefficient) + 1 - start);
  REQUIRE(best > 3 * start);

  auto const learn = [&](auto method, auto const& loss) {
    rollouts source(policy, texts.completions, {prompt}, reward, reference, std::move(method),
                    {.prompts = 1, .completions = 32, .sampling = {.max_tokens = 1}});
    trainer training(policy, loss, reference, source,
                     {.steps = 100, .rate = learning_rate::linear({.peak = 0.02, .steps = 100})});
    training.run();
    policy.log_prob(asked.data.batch(), std::span<double>(&log_prob, 1));
    return std::exp(log_prob);
  };
  kl_control const kl{.coefficient = coefficient};
  double reached = 0;
  SECTION("PPO, with a head on the policy's own hidden states") {
    head_on_policy values{borrowed_backbone(policy)};
    reached = learn(ppo_method(values, {.kl = kl, .value = {.rate = 0.05}}), clipped_surrogate{});
  }
  SECTION("RLOO") { reached = learn(rloo_method({.kl = kl}), rloo{}); }
  SECTION("REINFORCE") { reached = learn(reinforce_method({.kl = kl}), reinforce{}); }
  CHECK(reached == Approx(best).margin(0.01));
}
