// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/train/annotators.hpp>
#include <prefer/train/judges.hpp>

#include "support/message_of.hpp"

namespace {

using namespace prefer;
using ids = std::vector<std::uint32_t>;
using prefer::test::message_of;

/// The first token, plus the prompt.
struct first_token {
  double operator()(std::uint32_t prompt, std::span<std::uint32_t const> tokens) const {
    return static_cast<double>(tokens[0]) + static_cast<double>(prompt);
  }
};

struct written {
  token_table table;
  ids id;
  explicit written(std::vector<ids> const& completions) {
    for (auto const& each : completions) id.push_back(table.add(each));
  }
  [[nodiscard]] written_completions shown() const {
    return {.prompt = 0,
            .completion = id,
            .table = table,
            .address = {.seed = 3, .purpose = random_purpose::preference}};
  }
};

double sigma(double x) { return 1.0 / (1.0 + std::exp(-x)); }

static_assert(WrittenPreference<greater_reward<first_token>>);
static_assert(GroupReward<length_biased<first_token>> && Reward<first_token>);
static_assert(!GroupReward<first_token> && !RewardFunction<length_biased<first_token>>);
static_assert(Judge<drawn_preference<noisy_annotator<bradley_terry_preference<first_token>>>>);
static_assert(Judge<best_and_worst<learned_reward<tabular<double>>>>);

}  // namespace

TEST_CASE("annotators: what each prefers, and by how much", "[train][annotators]") {
  written const two({{3}, {1, 1, 1}});
  auto const shown = two.shown();
  CHECK(greater_reward{first_token{}}(shown) == 1.0);
  CHECK(greater_reward{first_token{}}(written({{1}, {3}}).shown()) == 0.0);
  CHECK(greater_reward{first_token{}}(written({{2, 0}, {2}}).shown()) == 0.5);

  CHECK(noisy_annotator{greater_reward{first_token{}}, 0.2}(shown) == Approx(0.8));
  CHECK(noisy_annotator{bradley_terry_preference{first_token{}}, 0.25}(shown) ==
        Approx(0.75 * sigma(2.0) + 0.25 * sigma(-2.0)).epsilon(1e-14));

  // 3 + c against 1 + 3 c: at c = 1 it does not know.
  CHECK(bradley_terry_preference{length_biased{first_token{}, 1.0}}(shown) == 0.5);
  CHECK(bradley_terry_preference{length_biased{first_token{}, 0.25}}(shown) ==
        Approx(sigma(2.0 - 0.5)).epsilon(1e-14));
  CHECK(message_of([&] {
          (void)noisy_annotator{greater_reward{first_token{}}, 0.5}(shown);
        }) == "noisy_annotator: flip is 0.5, expected at least 0 and less than 0.5");
}

TEST_CASE("learned_reward: a model's scores of what was written", "[train][annotators]") {
  written const two({{3}, {1}});
  tabular<double> policy(1, 2, {std::log(4.0), 0.0});
  learned_reward const reward(policy);
  std::vector<double> out(2);
  reward(two.shown(), out);
  CHECK(out[0] - out[1] == Approx(std::log(4.0)).epsilon(1e-14));
  CHECK(bradley_terry_preference{reward}(two.shown()) == Approx(0.8).epsilon(1e-14));
  choice_data pairs;
  best_and_worst{reward}(two.shown(), pairs);
  CHECK(pairs.completion == two.id);
}

TEST_CASE("best_and_worst: of equal rewards the first", "[train][annotators]") {
  written const four({{1, 0}, {3, 0}, {3, 1}, {1, 1}});
  choice_data pairs;
  best_and_worst{first_token{}}(four.shown(), pairs);
  CHECK(pairs.completion == ids{four.id[1], four.id[0]});
  CHECK(pairs.score == std::vector<float>{3.0F, 1.0F});
}

TEST_CASE("with_advantage: beyond the mean of the others, who are not there for one alone",
          "[train][annotators]") {
  written const three({{3}, {1}, {2}});
  choice_data examples;
  with_advantage{first_token{}}(three.shown(), examples);
  CHECK(examples.score == std::vector<float>{1.5F, -1.5F, 0.0F});
  written const one(std::vector<ids>{{3}});
  choice_data alone;
  with_advantage{first_token{}}(one.shown(), alone);
  CHECK(alone.score == std::vector<float>{3.0F});
}

TEST_CASE(
    "drawn_preference: a reward of groups makes the pairs that the same reward of tokens makes",
    "[train][annotators]") {
  std::vector<ids> completions;
  for (std::uint32_t i = 0; i != 40; ++i) completions.push_back({i * i % 5, i});
  written const many(completions);
  choice_data by_tokens;
  choice_data by_groups;
  drawn_preference{bradley_terry_preference{first_token{}}}(many.shown(), by_tokens);
  drawn_preference{bradley_terry_preference{length_biased{first_token{}, 0.0}}}(many.shown(),
                                                                                by_groups);
  CHECK(by_tokens.size() == 20);
  CHECK(by_tokens.completion == by_groups.completion);
}

TEST_CASE("learned_reward: another model, or the same one trained on, is another identity",
          "[train][annotators]") {
  token_table table;
  bigram<double> model(2, table, {0.0, 0.5, 0.0, 0.0});
  bigram<double> same(2, table, {0.0, 0.5, 0.0, 0.0});
  bigram<double> other(2, table, {0.0, 0.5, 0.0, 0.25});
  learned_reward const judge(model);
  auto const identity = best_and_worst{judge}.identity();
  CHECK(best_and_worst{learned_reward(same)}.identity() == identity);
  CHECK(best_and_worst{learned_reward(other)}.identity() != identity);
  reward_ensemble two(std::vector{model, other}, 0.5);
  reward_ensemble careless(std::vector{model, other}, 0.0);
  implicit_reward implicit(other, model, 0.5);
  implicit_reward stronger(other, model, 1.0);
  std::vector<std::uint64_t> const all = {identity, best_and_worst{learned_reward(two)}.identity(),
                                          best_and_worst{learned_reward(careless)}.identity(),
                                          best_and_worst{learned_reward(implicit)}.identity(),
                                          best_and_worst{learned_reward(stronger)}.identity()};
  for (std::size_t i = 0; i != all.size(); ++i) {
    for (std::size_t j = 0; j != i; ++j) CHECK(all[i] != all[j]);
  }
  model.parameters().front().value[3] = 0.25;
  CHECK(best_and_worst{judge}.identity() == best_and_worst{learned_reward(other)}.identity());
  struct nameless {
    using value_type = double;
    void log_prob(choice_batch const&, std::span<double>) const {}
  };
  static_assert(!detail::identified<learned_reward<nameless> const>);
}

TEST_CASE("annotators: another number or another reward is another identity",
          "[train][annotators]") {
  struct named : first_token {
    [[nodiscard]] std::uint64_t identity() const { return 7; }
  };
  std::vector<std::uint64_t> const all = {
      greater_reward{first_token{}}.identity(),
      greater_reward{named{}}.identity(),
      noisy_annotator{greater_reward{named{}}, 0.1}.identity(),
      noisy_annotator{greater_reward{named{}}, 0.2}.identity(),
      length_biased{named{}, 0.5}.identity(),
      length_biased{named{}, -0.5}.identity(),
      bradley_terry_preference{length_biased{named{}, 0.5}}.identity(),
      bradley_terry_preference{length_biased{named{}, -0.5}}.identity()};
  for (std::size_t i = 0; i != all.size(); ++i) {
    for (std::size_t j = 0; j != i; ++j) CHECK(all[i] != all[j]);
  }
}
