// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/batch/token_table.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/train/annotators.hpp>
#include <prefer/train/any_source.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

#include "small_problem.hpp"

// Online training with a policy and a reward small enough that the best policy is known exactly.

namespace {

using namespace prefer;
using ids = std::vector<std::uint32_t>;
using chain = bigram<double>;

// Two tokens of {0, 1, 2} after the prompt 3, which is never written: the first token has a row of logits to itself, and
// so has the second after each first, so the policy can be any distribution over the nine completions.
constexpr std::uint32_t prompt = 3;
constexpr std::size_t tokens = 3;

std::vector<double> reference_logits() {
  double const never = -std::numeric_limits<double>::infinity();
  return {0.5, 0, -0.5, never, 0, 0.25, 0, never, -0.25, 0, 0.5, never, 0, -0.5, 0.25, never};
}

double reward(std::uint32_t, std::span<std::uint32_t const> y) {
  static constexpr double of[tokens][tokens] = {{0, 1, -1}, {2, -0.5, 0.5}, {-1, 0, 1.5}};
  return of[y[0]][y[1]];
}

/// Probabilities of the nine completions.
std::vector<double> distribution(chain const& policy) {
  std::vector<double> first(4), second(4), out;
  policy.token_log_probs(prompt, first);
  for (std::uint32_t a = 0; a != tokens; ++a) {
    policy.token_log_probs(a, second);
    for (std::uint32_t b = 0; b != tokens; ++b) out.push_back(std::exp(first[a] + second[b]));
  }
  return out;
}

double reward_of(std::size_t y) {
  std::uint32_t const both[] = {static_cast<std::uint32_t>(y / tokens),
                                static_cast<std::uint32_t>(y % tokens)};
  return reward(prompt, both);
}

/// What RLHF maximises: expected reward - beta * KL(policy || reference).
double objective(std::vector<double> const& policy, std::vector<double> const& reference,
                 double beta) {
  double sum = 0;
  for (std::size_t y = 0; y != policy.size(); ++y) {
    sum += policy[y] * (reward_of(y) - beta * std::log(policy[y] / reference[y]));
  }
  return sum;
}

double expected_reward(std::vector<double> const& policy) {
  double sum = 0;
  for (std::size_t y = 0; y != policy.size(); ++y) sum += policy[y] * reward_of(y);
  return sum;
}

/// Its maximum: reference * exp(reward / beta) / Z.
std::vector<double> optimum(std::vector<double> const& reference, double beta) {
  std::vector<double> out;
  double total = 0;
  for (std::size_t y = 0; y != reference.size(); ++y) {
    out.push_back(reference[y] * std::exp(reward_of(y) / beta));
    total += out.back();
  }
  for (double& each : out) each /= total;
  return out;
}

struct fresh {
  token_table table;
  chain policy{4, table, reference_logits()};
  frozen<chain> reference{policy};
};

}  // namespace

TEST_CASE("online DPO: the expected reward rises to that of reference * exp(reward / beta) / Z",
          "[train][online]") {
  double const beta = 1.0;
  fresh problem;
  sampled source(problem.policy, problem.table, ids(64, prompt),
                 drawn_preference{bradley_terry_preference{&reward}},
                 {.prompts_per_step = 64, .sampling = {.max_tokens = 2}, .seed = 3});
  trainer run(problem.policy, dpo{.beta = beta}, problem.reference, source,
              {.steps = 400,
               .rate = learning_rate::linear({.peak = 0.05, .steps = 400}),
               .reference_is_start = true});
  auto const start = distribution(problem.policy);
  auto const best = optimum(start, beta);
  double const gap = objective(best, start, beta) - objective(start, start, beta);
  run.run();
  auto const end = distribution(problem.policy);
  // beta * KL(policy || optimum) is what is missing. DPO under the Bradley-Terry model has the same optimum (Rafailov et
  // al. 2023), and 25,600 noisy comparisons come within a twentieth of it.
  double const left = objective(best, start, beta) - objective(end, start, beta);
  CHECK(left > 0);
  CHECK(left < gap / 20);
  CHECK(expected_reward(end) == Approx(expected_reward(best)).margin(0.1));
  CHECK(expected_reward(start) < expected_reward(best) - 0.5);
}

TEST_CASE("online: a policy that was tuned by preferences judges another by its implicit reward",
          "[train][online]") {
  // Tuned to reference * exp(reward / beta) / Z, so that its implicit reward is the reward, less beta log Z.
  double const beta = 0.5;
  auto const best = optimum(distribution(fresh().policy), beta);
  auto logits = reference_logits();
  for (std::uint32_t a = 0; a != tokens; ++a) {
    double first = 0;
    for (std::uint32_t b = 0; b != tokens; ++b) first += best[a * tokens + b];
    logits[prompt * 4 + a] = std::log(first);
    for (std::uint32_t b = 0; b != tokens; ++b) logits[a * 4 + b] = std::log(best[a * tokens + b]);
  }
  // The same draws and preferences that are equal to rounding: the same pairs, and the same bits.
  auto const taught_by = [&](auto const& reward_on) {
    fresh problem;
    chain tuned(4, problem.table, logits);
    implicit_reward implicit(tuned, problem.reference, beta);
    sampled source(problem.policy, problem.table, ids(64, prompt),
                   drawn_preference{bradley_terry_preference{reward_on(implicit)}},
                   {.prompts_per_step = 64, .sampling = {.max_tokens = 2}, .seed = 3});
    trainer run(problem.policy, dpo{}, problem.reference, source, {.steps = 20, .rate = 0.05});
    run.run();
    return distribution(problem.policy);
  };
  auto const by_policy = taught_by([](auto& implicit) { return learned_reward(implicit); });
  auto const by_reward = taught_by([](auto&) { return &reward; });
  CHECK(by_policy == by_reward);
  CHECK(expected_reward(by_policy) > expected_reward(distribution(fresh().policy)) + 0.1);
}

TEST_CASE("online: the best against the worst of four, and ranked lists, raise the reward",
          "[train][online]") {
  fresh pairs;
  sampled of_pairs(pairs.policy, pairs.table, ids(32, prompt), best_and_worst{&reward},
                   {.completions = 4, .sampling = {.max_tokens = 2}});
  double const before = expected_reward(distribution(pairs.policy));
  trainer run(pairs.policy, ipo{}, pairs.reference, of_pairs, {.steps = 100, .rate = 0.02});
  run.run();
  CHECK(expected_reward(distribution(pairs.policy)) > before + 0.5);

  fresh lists;
  sampled of_lists(lists.policy, lists.table, ids(32, prompt), ranked{&reward},
                   {.completions = 4, .sampling = {.max_tokens = 2}});
  trainer other(lists.policy, plackett_luce{.beta = 1.0}, lists.reference, of_lists,
                {.steps = 100, .rate = 0.02});
  other.run();
  CHECK(expected_reward(distribution(lists.policy)) > before + 0.5);
}

TEST_CASE("online: a run that is resumed writes the same completions and reaches the same bits",
          "[train][online]") {
  auto const path = std::filesystem::temp_directory_path() / "prefer_online_resume.ckpt";
  std::vector<double> whole, resumed;
  double loss_of_whole = 0;
  double loss_of_resumed = 0;
  for (bool const interrupted : {false, true}) {
    fresh problem;
    auto const make = [&](auto&& work) {
      sampled source(problem.policy, problem.table, ids(10, prompt), best_and_worst{&reward},
                     {.prompts_per_step = 4, .completions = 3, .sampling = {.max_tokens = 2}});
      trainer run(problem.policy, dpo{}, problem.reference, source, {.steps = 9, .rate = 0.05});
      work(run);
    };
    if (interrupted) {
      make([&](auto& run) {
        for (int step = 0; step != 4; ++step) run.step();
        run.save(path.string());
        run.step();  // lost
      });
    }
    make([&](auto& run) {
      if (interrupted) run.resume(path.string());
      run.run(
          [&](step_report const& r) { (interrupted ? loss_of_resumed : loss_of_whole) = r.loss; });
    });
    (interrupted ? resumed : whole) = small::state_of(problem.policy);
    // The completions of a step take the place of those of the step before: at most 4 prompts times 3 for each source.
    CHECK(problem.table.size() <= (interrupted ? 24 : 12));
  }
  CHECK(whole == resumed);
  CHECK(loss_of_whole == loss_of_resumed);
  std::filesystem::remove(path);
}

TEST_CASE("online: a checkpoint belongs to its source", "[train][online]") {
  auto const path = std::filesystem::temp_directory_path() / "prefer_online_source.ckpt";
  fresh problem;
  auto const with = [&](sampled_options const& options, auto&& work) {
    sampled source(problem.policy, problem.table, ids(10, prompt), best_and_worst{&reward},
                   options);
    trainer run(problem.policy, dpo{}, problem.reference, source, {.steps = 9});
    work(run);
  };
  sampled_options const options{.sampling = {.max_tokens = 2}};
  with(options, [&](auto& run) { run.save(path.string()); });
  with(options, [&](auto& run) { CHECK_NOTHROW(run.resume(path.string())); });
  auto const refused = [&](sampled_options const& other) {
    with(other, [&](auto& run) { CHECK_THROWS_AS(run.resume(path.string()), backend_error); });
  };
  refused({.completions = 3, .sampling = {.max_tokens = 2}});
  refused({.sampling = {.max_tokens = 3}});
  refused({.sampling = {.max_tokens = 2, .temperature = 0.5}});
  refused({.sampling = {.max_tokens = 2}, .seed = 9});
  std::filesystem::remove(path);
}

TEST_CASE(
    "online: a checkpoint belongs to the reward model that the run found, whatever was written "
    "since",
    "[train][online]") {
  auto const path = std::filesystem::temp_directory_path() / "prefer_online_judge.ckpt";
  auto const with = [&](double fitted, auto&& work) {
    fresh problem;
    chain model(4, problem.table, reference_logits());
    learned_reward const judge(model);
    model.parameters().front().value[0] = fitted;  // after the judge was made
    sampled source(problem.policy, problem.table, ids(10, prompt), best_and_worst{judge},
                   {.completions = 3, .sampling = {.max_tokens = 2}});
    trainer run(problem.policy, dpo{}, problem.reference, source, {.steps = 9});
    work(run);
  };
  with(1.5, [&](auto& run) {
    for (int step = 0; step != 4; ++step) run.step();  // which write into the model's table
    run.save(path.string());
  });
  with(1.5, [&](auto& run) { CHECK_NOTHROW(run.resume(path.string())); });
  with(2.5, [&](auto& run) { CHECK_THROWS_AS(run.resume(path.string()), backend_error); });
  std::filesystem::remove(path);
}

TEST_CASE("online: a step without an example leaves the parameters and counts", "[train][online]") {
  fresh problem;
  sampled source(problem.policy, problem.table, ids(4, prompt),
                 best_and_worst{[](std::uint32_t, auto) { return 1.0; }},
                 {.sampling = {.max_tokens = 2}});
  trainer run(problem.policy, dpo{}, problem.reference, source,
              {.optimizer = {.weight_decay = 0.5}});
  auto const before = distribution(problem.policy);
  step_report const report = run.step();
  CHECK(std::isnan(report.loss));
  CHECK(report.step == 1);
  CHECK(run.steps_done() == 1);
  CHECK(run.done());
  CHECK(distribution(problem.policy) == before);
}

TEST_CASE("online: what does not fit is refused", "[train][online]") {
  fresh problem;
  auto const message = [&](auto&& action) { return small::message_of(action); };
  auto const make = [&](ids prompts, sampled_options const& options) {
    return sampled(problem.policy, problem.table, prompts, best_and_worst{&reward}, options);
  };
  CHECK(message([&] { make({}, {}); }) == "sampled: there is no prompt");
  CHECK(message([&] { make({prompt}, {.prompts_per_step = 0}); }) ==
        "sampled: prompts_per_step must be at least 1");
  CHECK(message([&] { make({prompt}, {.completions = 0}); }) ==
        "sampled: completions must be at least 1");

  // A loss over pairs and examples of one completion.
  sampled singles(problem.policy, problem.table, ids(4, prompt), with_advantage{&reward},
                  {.sampling = {.max_tokens = 2}});
  trainer wrong_kind(problem.policy, dpo{}, problem.reference, singles);
  CHECK(message([&] { wrong_kind.step(); }) ==
        "trainer: row 0 has 1 completions; this loss takes 2");

  // Rows of a cache are those of a data set, and these completions are none.
  choice_data data;
  ids const both = {problem.table.add(ids{0, 1}), problem.table.add(ids{1, 1})};
  for (int i = 0; i != 4; ++i) data.add_pair(prompt, both[0], both[1]);
  auto cache = cached<double>::of(problem.reference, data, 1);
  auto source = make(ids(4, prompt), {.sampling = {.max_tokens = 2}});
  trainer run(problem.policy, dpo{}, cache, source);
  CHECK(message([&] { run.step(); }) ==
        "cached::log_prob: the batch was written in this step, and is no part of a data set");
}

TEST_CASE("online: another judge or reward is another source, where the reward says which it is",
          "[train][online]") {
  struct named_reward {
    std::uint64_t version = 1;
    double operator()(std::uint32_t, std::span<std::uint32_t const>) const { return 0.0; }
    [[nodiscard]] std::uint64_t identity() const { return version; }
  };
  fresh problem;
  auto const identity_with = [&](auto const& judge) {
    return sampled(problem.policy, problem.table, ids(4, prompt), judge).identity();
  };
  std::set<std::uint64_t> const different = {
      identity_with(best_and_worst{named_reward{}}),
      identity_with(best_and_worst{named_reward{2}}),
      identity_with(ranked{named_reward{}}),
      identity_with(with_advantage{named_reward{}}),
      identity_with(drawn_preference{bradley_terry_preference{named_reward{}}}),
      identity_with(drawn_preference{bradley_terry_preference{named_reward{2}}}),
      identity_with(best_and_worst{&reward})};
  CHECK(different.size() == 7);
  CHECK(identity_with(ranked{named_reward{}}) == identity_with(ranked{named_reward{}}));
}

TEST_CASE(
    "online: a source behind a handle gives the same bits and checkpoints, and its data are "
    "checked at once",
    "[train][online]") {
  auto const path = std::filesystem::temp_directory_path() / "prefer_online_handle.ckpt";
  auto const trained = [&](auto const& with) {
    fresh problem;
    sampled source(problem.policy, problem.table, ids(10, prompt), best_and_worst{&reward},
                   {.prompts_per_step = 4, .completions = 3, .sampling = {.max_tokens = 2}});
    with(problem, source, train_options{.steps = 6, .rate = 0.05});
    return small::state_of(problem.policy);
  };
  auto const whole = trained([&](fresh& problem, auto& source, train_options const& how) {
    trainer run(problem.policy, dpo{}, problem.reference, source, how);
    run.step();
    run.save(path.string());
    run.run();
  });
  auto const behind = trained([&](fresh& problem, auto& source, train_options const& how) {
    any_source handle(source);
    CHECK(handle.data() == nullptr);
    trainer run(problem.policy, dpo{}, problem.reference, handle, how);
    run.resume(path.string());
    run.run();
  });
  CHECK(whole == behind);
  std::filesystem::remove(path);

  // Examples that are all there are refused before the first step, as without the handle.
  fresh problem;
  choice_data twice;
  ids const same = {problem.table.add(ids{0, 1}), problem.table.add(ids{0, 1})};
  twice.add_pair(prompt, same[0], same[1]);
  shuffled rows(twice, 1, 1);
  any_source handle(rows);
  CHECK_THAT(small::message_of(
                 [&] { trainer(problem.policy, dpo{}, problem.reference, handle, {.steps = 1}); }),
             Catch::Contains("prefers a completion to itself"));
}

TEST_CASE("online: a judge that looks is shown what it will judge of a step, in order",
          "[train][online]") {
  struct looking {
    std::vector<std::vector<std::uint32_t>>* shown;
    std::vector<std::size_t>* judged;

    void look(std::span<written_completions const> all) const {
      shown->clear();
      judged->push_back(0);
      for (auto const& each : all)
        shown->emplace_back(each.completion.begin(), each.completion.end());
    }
    void operator()(written_completions const& written, choice_data&) const {
      REQUIRE(judged->back() < shown->size());
      CHECK((*shown)[judged->back()++] ==
            ids(written.completion.begin(), written.completion.end()));
    }
  };
  fresh problem;
  std::vector<std::vector<std::uint32_t>> shown;
  std::vector<std::size_t> judged;
  sampled source(problem.policy, problem.table, ids(5, prompt), looking{&shown, &judged},
                 {.prompts_per_step = 3, .completions = 2, .sampling = {.max_tokens = 2}});
  choice_minibatch batch;
  for (std::uint64_t const step : {0U, 1U}) source.gather(step, {}, batch);
  CHECK(judged == std::vector<std::size_t>{3, 2});
}
