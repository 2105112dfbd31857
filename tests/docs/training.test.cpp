// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/prefer.hpp>
#include <string>
#include <vector>

namespace {

using factors = prefer::matrix_factorization<float>;

/// Users 0 to 19 prefer even items to odd ones.
prefer::choice_data preferences() {
  prefer::choice_data data;
  for (std::uint32_t user = 0; user < 20; ++user) {
    for (std::uint32_t k = 0; k < 5; ++k) data.add_pair(user, 2 * k, 2 * ((k + user) % 5) + 1);
  }
  return data;
}

factors start_model() {
  factors policy(20, 10, 4);
  std::uint64_t step = 0;
  for (auto const& parameter : policy.parameters()) {
    prefer::fill_normal(
        parameter.value,
        {.seed = 7, .purpose = prefer::random_purpose::initial_values, .step = step++}, 0.0, 0.1);
  }
  return policy;
}

std::vector<float> values_of(factors& policy) {
  std::vector<float> out;
  for (auto const& each : policy.parameters()) {
    out.insert(out.end(), each.value.begin(), each.value.end());
  }
  return out;
}

std::vector<float> trained(prefer::train_options const& options) {
  auto const data = preferences();
  auto policy = start_model();
  auto reference = prefer::frozen(policy);
  prefer::trainer(policy, prefer::dpo{.beta = 0.5}, reference, data, options).run();
  return values_of(policy);
}

}  // namespace

TEST_CASE("training: a run reports every step", "[docs][training]") {
  // [run]
  prefer::choice_data const data = preferences();
  prefer::matrix_factorization<float> policy = start_model();
  auto reference = prefer::frozen(policy);

  prefer::trainer training(
      policy, prefer::dpo{.beta = 0.5}, reference, data,
      {.batch_size = 32,
       .epochs = 10,
       .seed = 1,
       .rate = prefer::learning_rate::cosine({.peak = 0.02, .steps = 40, .warm_up = {.steps = 4}}),
       .optimizer = {.weight_decay = 0.01},
       .max_gradient_norm = 1.0,
       .reference_is_start = true});
  prefer::run_outcome const outcome = training.run([](prefer::step_report const& r) {
    if (r.step % 10 == 0) {
      std::printf("step %2llu of %llu: loss %.4f, accuracy %.3f, margin %.3f nats\n",
                  static_cast<unsigned long long>(r.step), static_cast<unsigned long long>(r.steps),
                  r.loss, r.accuracy, r.reward_margin);
    }
  });
  // [/run]
  CHECK(outcome == prefer::run_outcome::finished);
  CHECK(training.steps_done() == 40);  // 100 pairs: 3 batches of 32 and one of 4, times 10
}

TEST_CASE("training: a group of parameters has its own decay, rate, or rest", "[docs][training]") {
  auto const data = preferences();
  auto policy = start_model();
  auto reference = prefer::frozen(policy);
  auto const before = values_of(policy);
  // [groups]
  prefer::trainer training(
      policy, prefer::dpo{.beta = 0.5}, reference, data,
      {.rate = 0.01,
       .optimizer = {.weight_decay = 0.1,  // not of biases
                     .groups = {{.parameters = "user", .frozen = true},
                                {.parameters = "item*", .rate_factor = 0.1},
                                {.parameters = "bias", .weight_decay = 0.01}}}});
  // [/groups]
  training.step();
  // The first step of Adam moves a number by its rate, decay aside: users by nothing, items by a tenth of biases.
  auto const after = values_of(policy);
  CHECK(std::equal(after.begin(), after.begin() + 80, before.begin()));
  float item = 0;
  float bias = 0;
  for (std::size_t i = 80; i < 120; ++i) item = std::max(item, std::abs(after[i] - before[i]));
  for (std::size_t i = 120; i < 130; ++i) bias = std::max(bias, std::abs(after[i] - before[i]));
  CHECK(item == Approx(0.001).epsilon(0.1));
  CHECK(bias == Approx(0.01).epsilon(0.1));
}

TEST_CASE("training: micro-batches and threads do not change the bits", "[docs][training]") {
  // [micro_batch]
  prefer::thread_pool pool(2);
  prefer::train_options const whole{.batch_size = 32, .epochs = 3, .rate = 0.01};
  prefer::train_options cut = whole;
  cut.micro_batch_size = 5;  // scored five pairs at a time, one optimizer step per 32
  cut.threads = pool.executor();
  bool const same = trained(whole) == trained(cut);  // same bits
  // [/micro_batch]
  CHECK(same);
}

TEST_CASE("training: a resumed run reaches the bits of an uninterrupted one", "[docs][training]") {
  auto const folder = std::filesystem::temp_directory_path() / "prefer_docs_training";
  std::filesystem::create_directories(folder);
  std::string const path = (folder / "checkpoint.prefer").string();
  auto const data = preferences();
  prefer::train_options const options{.batch_size = 32, .epochs = 3, .rate = 0.01};
  prefer::dpo const loss{.beta = 0.5};
  auto const start = start_model();
  {
    auto policy = start_model();
    auto reference = prefer::frozen(start);
    // [save]
    prefer::trainer training(policy, loss, reference, data, options);
    training.run([&](prefer::step_report const& report) {
      if (report.step % 5 == 0) training.save(path);  // replaces the last one, whole or not at all
      return report.step != 7;                        // false interrupts
    });
    // [/save]
    CHECK(training.steps_done() == 7);
  }
  auto policy = start_model();
  auto reference = prefer::frozen(start);
  // [resume]
  prefer::trainer training(policy, loss, reference, data, options);
  training.resume(path);  // parameters, optimizer, step 5
  training.run();
  // [/resume]
  CHECK(values_of(policy) == trained(options));
  std::filesystem::remove_all(folder);
}

TEST_CASE("training: a run stops when an evaluation no longer improves", "[docs][training]") {
  auto const data = preferences();
  auto policy = start_model();
  auto reference = prefer::frozen(policy);
  prefer::trainer training(policy, prefer::dpo{.beta = 0.5}, reference, data,
                           {.batch_size = 32, .epochs = 100, .rate = 0.05});
  int evaluations = 0;
  auto const quality = [&](prefer::matrix_factorization<float>&) {
    return ++evaluations <= 3 ? evaluations : 0;
  };
  // [evaluate]
  prefer::evaluation_plan const plan{.every = 4, .patience = 2, .restore_best = true};
  auto const outcome = training.run([](prefer::step_report const&) {}, plan,
                                    [&](prefer::matrix_factorization<float>& p) {
                                      return quality(p);
                                    });  // the higher, the better
  // [/evaluate]
  CHECK(outcome == prefer::run_outcome::stopped_early);
  CHECK(evaluations == 5);  // three that improve, then as many as the patience
  CHECK(training.steps_done() == 20);
  CHECK(training.best_evaluation() == 3.0);
}

TEST_CASE("training: beta follows a schedule", "[docs][training]") {
  auto const data = preferences();
  auto policy = start_model();
  auto reference = prefer::frozen(policy);
  // [beta]
  prefer::trainer training(policy, prefer::dpo{}, reference, data, {.batch_size = 50, .steps = 11},
                           prefer::linear_beta{.from = 1.0, .to = 0.5, .steps = 10});
  double const first = training.step().beta;   // 1
  double const second = training.step().beta;  // 0.95
  // [/beta]
  CHECK(first == 1.0);
  CHECK(second == Approx(0.95));
}

TEST_CASE("training: beta follows the distance to the reference", "[docs][training]") {
  auto const data = preferences();
  auto policy = start_model();
  auto reference = prefer::frozen(policy);
  prefer::train_options const options{.batch_size = 100, .steps = 4000, .rate = 0.003};
  // [adaptive]
  prefer::choice_data all;  // every item for every user
  std::vector<std::uint32_t> const items = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (std::uint32_t user = 0; user < 20; ++user) all.add_list(user, items);

  prefer::adaptive_beta const rule(
      prefer::kl_target{.kl = 0.25, .beta = 1.0, .every = 5},
      [&](auto& p, auto& r) { return prefer::kl_divergence(p, r, all.batch()); });
  prefer::trainer training(policy, prefer::ipo_sum{}, reference, data, options, rule);
  training.run();
  double const distance = prefer::kl_divergence(policy, reference, all.batch());  // 0.25 nats
  // [/adaptive]
  CHECK(distance == Approx(0.25).epsilon(0.02));
}
