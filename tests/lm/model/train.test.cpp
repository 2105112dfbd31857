// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

#include <prefer/lm/model/llama.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/orpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/tdpo.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/train/trainer.hpp>

#include "support/temporary_folder.hpp"
#include "tiny_models.hpp"

// The core's trainer trains a llama as it trains any policy.

using namespace prefer;
using lm::llama;
using lm::lora_options;
using test::token_list;

namespace {

test::token_pairs some_pairs() {
  test::token_pairs out;
  out.add({1, 2}, {3, 4, 5}, {3, 6});
  out.add({7}, {8, 9, 10, 1, 2}, {8, 9, 3});
  out.add({4, 4, 4, 5}, {6}, {7});
  out.add({1, 2}, {10, 10}, {9, 9, 9, 9});
  out.add({5, 6, 7, 8, 9}, {1}, {2, 3, 4});
  return out;
}

template <class T>
std::vector<T> all_values(llama<T>& policy) {
  std::vector<T> out;
  for (auto const& each : policy.parameters()) {
    out.insert(out.end(), each.value.begin(), each.value.end());
  }
  return out;
}

train_options const few_steps = {
    .batch_size = 4, .epochs = 3, .rate = 0.02, .max_gradient_norm = 1.0};

// Five pairs in batches of four: six steps, half of them on one pair alone.
template <class T>
std::vector<T> train(llama<T> policy, test::token_pairs const& pairs,
                     train_options const& options) {
  frozen reference(policy);
  trainer training(policy, dpo{}, reference, pairs.data, options);
  training.run();
  return all_values(policy);
}

}  // namespace

TEMPLATE_TEST_CASE("llama: micro-batches, threads, checkpointing and resuming change no bit",
                   "[lm][llama][train]", float, double) {
  using T = TestType;
  auto const pairs = some_pairs();
  auto const base = test::random_base<T>(test::smallest_config(), 1);
  auto const made = [&](bool whole, bool checkpoint) {
    lm::llama_options<T> const options{.checkpoint = checkpoint};
    return whole ? llama<T>(*base, pairs.texts, lm::full_fine_tuning{}, options)
                 : llama<T>(base, pairs.texts, lora_options{.rank = 2, .dropout = 0.25}, options);
  };
  bool const whole = GENERATE(true, false);
  auto const expected = train(made(whole, false), pairs, few_steps);

  auto options = few_steps;
  for (std::size_t const size : {1U, 3U}) {
    options.micro_batch_size = size;
    CHECK(train(made(whole, false), pairs, options) == expected);
  }
  options.micro_batch_size = 0;
  options.micro_batch_tokens = 9;
  CHECK(train(made(whole, true), pairs, options) == expected);
  thread_pool threads(3);
  options.threads = threads.executor();
  CHECK(train(made(whole, false), pairs, options) == expected);

  temporary_folder const folder;
  {
    auto policy = made(whole, false);
    frozen reference(policy);
    trainer training(policy, dpo{}, reference, pairs.data, few_steps);
    training.run([](step_report const& report) { return report.step < 3; });
    training.save(folder / "checkpoint");
  }
  auto policy = made(whole, true);
  frozen reference(policy);
  trainer training(policy, dpo{}, reference, pairs.data, few_steps);
  training.resume(folder / "checkpoint");
  training.run();
  CHECK(all_values(policy) == expected);
}

TEST_CASE(
    "llama: held near its base, an adapter begins with a loss of log 2 and leaves the base alone",
    "[lm][llama][train]") {
  auto const pairs = some_pairs();
  auto const base = test::random_base<float>(test::smallest_config(), 1);
  llama<float> policy(base, pairs.texts, lora_options{.rank = 2});
  without_adapter reference(policy);
  auto options = few_steps;
  options.reference_is_start = true;
  std::vector<float> before(10), after(10);
  reference.log_prob(pairs.data.batch(), std::span<float>(before));
  trainer training(policy, dpo{}, reference, pairs.data, options);
  CHECK(training.step().loss == Approx(std::numbers::ln2));
  training.run();
  reference.log_prob(pairs.data.batch(), std::span<float>(after));
  CHECK(after == before);
}

TEST_CASE("llama: a moving reference moves the adapter alone", "[lm][llama][train]") {
  auto const pairs = some_pairs();
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> policy(base, pairs.texts, lora_options{.rank = 2});
  auto const start = all_values(policy);
  moving_average reference(policy, ema{.rate = 1.0});
  trainer training(policy, dpo{}, reference, pairs.data, few_steps);
  training.run();
  llama<double> follower = reference.policy();
  CHECK(all_values(follower) == all_values(policy));
  CHECK(all_values(policy) != start);
}

TEST_CASE("llama: a loss that reads the divergence from a reference trains", "[lm][llama][train]") {
  auto const pairs = some_pairs();
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> policy(base, pairs.texts, lora_options{.rank = 2});
  without_adapter reference(policy);
  trainer training(policy, tdpo2{}, reference, pairs.data, few_steps);
  CHECK(training.step().loss == Approx(std::numbers::ln2));
  double last = 0;
  training.run([&](step_report const& report) { last = report.loss; });
  CHECK(last < std::numbers::ln2);
}

TEST_CASE("llama: two processes train to what one does, each with the same bits",
          "[lm][llama][train]") {
  auto const pairs = some_pairs();
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> const start(*base, pairs.texts, lm::full_fine_tuning{});
  auto const alone = train(start, pairs, few_steps);
  std::vector<std::vector<double>> of(2);
  thread_processes::run(2, [&](auto const& mine) {
    llama<double> policy = start;
    frozen reference(policy);
    trainer training(policy, dpo{}, reference, pairs.data, few_steps, {}, mine);
    training.run();
    of[mine.rank()] = all_values(policy);
  });
  CHECK(of[0] == of[1]);
  // AdamW divides by the root of a square, so a last bit of a gradient may become the sixth digit of its step.
  for (std::size_t k = 0; k != alone.size(); ++k) {
    REQUIRE(of[0][k] == Approx(alone[k]).epsilon(1e-6).margin(1e-8));
  }
}

namespace {

// A bandit: two prompts, and each of five tokens may be said, once. A table of logits knows the same policies as the
// model, so both have the same optimum.
constexpr std::size_t arms = 5;

struct bandit {
  bandit() {
    for (std::uint32_t x = 0; x != 2; ++x) texts.prompts.add(token_list{x});
    for (std::uint32_t y = 0; y != arms; ++y) texts.completions.add(token_list{y});
  }
  // Of the table and of the model: (x, y).
  [[nodiscard]] std::vector<double> log_probs(auto& policy) const {
    std::vector<std::uint32_t> const prompt = {0, 1};
    std::vector<std::uint32_t> completion;
    for (std::uint32_t y = 0; y != 2 * arms; ++y) completion.push_back(y % arms);
    std::vector<std::size_t> const offset = {0, arms, 2 * arms};
    std::vector<double> out(2 * arms);
    policy.log_prob({.prompt = prompt, .completion = completion, .offset = offset},
                    std::span<double>(out));
    return out;
  }
  // Every two arms in both orders, as often as Bradley and Terry say.
  [[nodiscard]] choice_data pairs() const {
    choice_data out;
    for (std::uint32_t x = 0; x != 2; ++x) {
      for (std::uint32_t a = 0; a != arms; ++a) {
        for (std::uint32_t b = 0; b != arms; ++b) {
          if (a == b) continue;
          out.add_pair(x, a, b);
          out.weight.push_back(static_cast<float>(1 / (1 + std::exp(reward[x][b] - reward[x][a]))));
        }
      }
    }
    out.length.assign(out.completion.size(), 1.0f);
    return out;
  }

  double reward[2][arms] = {{0.8, -0.4, 0.1, -1.0, 0.5}, {-0.7, 0.9, 0.3, 0.0, -0.5}};
  token_sequences texts;
};

lm::llama_config bandit_config() {
  auto config = test::smallest_config();
  config.vocabulary = arms;
  config.layers = 1;
  config.tied_output = false;
  return config;
}

// Until it stays where it is: the rate falls to nothing.
void train_long(auto& policy, auto const& loss, auto& reference, choice_data const& data,
                double rate) {
  trainer training(policy, loss, reference, data,
                   {.batch_size = data.size(),
                    .epochs = 200,
                    .rate = learning_rate::cosine({.peak = rate, .steps = 200})});
  training.run();
}

// The model's distributions at the end are those of a table that is trained with the same loss.
template <class Loss>
std::vector<double> compare_with_table(bandit const& of, Loss const& loss, bool reads_reference) {
  auto const base = test::random_base<double>(bandit_config(), 3);
  llama<double> policy(*base, of.texts, lm::full_fine_tuning{});
  auto const start = of.log_probs(policy);
  tabular<double> table(2, arms, start);
  auto const data = of.pairs();
  if (reads_reference) {
    frozen of_policy(policy);
    frozen of_table(table);
    train_long(policy, loss, of_policy, data, 0.02);
    train_long(table, loss, of_table, data, 0.1);
  } else {
    no_reference<double> none;
    train_long(policy, loss, none, data, 0.02);
    train_long(table, loss, none, data, 0.1);
  }
  auto ours = of.log_probs(policy);
  auto const theirs = of.log_probs(table);
  for (std::size_t i = 0; i != ours.size(); ++i) {
    CHECK(ours[i] == Approx(theirs[i]).margin(0.02));
    ours[i] -= start[i];
  }
  return ours;
}

}  // namespace

TEST_CASE("llama: DPO goes to the start times exp(reward / beta)", "[lm][llama][train][slow]") {
  bandit const of;
  double const beta = 0.5;
  auto const log_ratio = compare_with_table(of, dpo{.beta = beta}, true);
  for (std::size_t x = 0; x != 2; ++x) {
    for (std::size_t y = 1; y != arms; ++y) {
      CHECK(beta * (log_ratio[x * arms + y] - log_ratio[x * arms]) ==
            Approx(of.reward[x][y] - of.reward[x][0]).margin(0.02));
    }
  }
}

TEST_CASE("llama: IPO goes to margins of (2 p - 1) / 2 beta, as near as differences can be",
          "[lm][llama][train][slow]") {
  // The least squares of margins u_a - u_b against those are u_a = mean over b of them.
  bandit const of;
  double const beta = 0.5;
  auto const log_ratio = compare_with_table(of, ipo{.beta = beta}, true);
  for (std::size_t x = 0; x != 2; ++x) {
    auto const u = [&](std::size_t a) {
      double sum = 0;
      for (std::size_t b = 0; b != arms; ++b) {
        sum += std::tanh((of.reward[x][a] - of.reward[x][b]) / 2) / (2 * beta);
      }
      return sum / arms;
    };
    for (std::size_t y = 1; y != arms; ++y) {
      CHECK(log_ratio[x * arms + y] - log_ratio[x * arms] == Approx(u(y) - u(0)).margin(0.02));
    }
  }
}

TEST_CASE("llama: SimPO and ORPO go where a table goes", "[lm][llama][train][slow]") {
  bandit const of;
  compare_with_table(of, simpo{.beta = 1.0, .gamma = 0.5}, false);
  compare_with_table(of, orpo{.beta = 1.0}, false);
}

TEST_CASE("llama: KTO leaves nothing to what is not desirable", "[lm][llama][train][slow]") {
  // Of one arm's loss s (1 - p) + (1 - s) p, s the share that its value function gives it, nothing holds s back.
  bandit const of;
  auto const base = test::random_base<double>(bandit_config(), 3);
  llama<double> policy(*base, of.texts, lm::full_fine_tuning{});
  frozen reference(policy);
  choice_data data;
  for (std::uint32_t x = 0; x != 2; ++x) {
    for (std::uint32_t y = 0; y != arms; ++y) data.add_labelled(x, y, of.reward[x][y] > 0);
  }
  data.length.assign(data.completion.size(), 1.0f);
  data.pair_with_others();
  auto const start = of.log_probs(policy);
  train_long(policy, kto{.beta = 0.5}, reference, data, 0.02);
  auto const end = of.log_probs(policy);
  for (std::size_t x = 0; x != 2; ++x) {
    double left = 0;
    for (std::size_t y = 0; y != arms; ++y) {
      if (of.reward[x][y] <= 0) left += std::exp(end[x * arms + y]);
    }
    CHECK(left < 0.02);
  }
}
