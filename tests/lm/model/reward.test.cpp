// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <prefer/lm/files/dequantise.hpp>
#include <prefer/lm/files/safetensors.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reward/scalar_head.hpp>
#include <prefer/train/trainer.hpp>

#include "gradient_facts.hpp"
#include "list_and_pair.hpp"
#include "tiny_models.hpp"

// A scalar head on a llama: a reward model.

using namespace prefer;
using lm::llama;
using lm::lora_options;
using reward_model = scalar_head<llama<double>>;

static_assert(Backbone<llama<double>, choice_batch>);
static_assert(Policy<reward_model, choice_batch>);

namespace {

using numbers = std::vector<double>;
using test::fill_at_random;
using test::list_and_pair;

numbers scores_of(reward_model& model, choice_batch const& batch) {
  numbers out(batch.completions());
  model.log_prob(batch, out);
  return out;
}

void check_gradients(reward_model& model, choice_batch const& batch) {
  numbers coefficient(batch.completions());
  fill_normal(std::span<double>(coefficient), {.seed = 11}, 0, 1);
  numbers score(batch.completions());
  auto const value = [&] {
    model.evaluate(batch, {.log_prob = score});
    double out = 0;
    for (std::size_t i = 0; i != score.size(); ++i) out += coefficient[i] * score[i];
    return out;
  };
  (void)value();
  CHECK(scores_of(model, batch) == score);  // whether it keeps anything or not, to the bit
  (void)value();
  model.backward(batch, coefficient);
  model.finish_backward();
  test::check_gradients_of(model, value);
}

}  // namespace

TEST_CASE("scalar_head of a llama: gradients of every kind of tensor are those of differences",
          "[lm][llama][reward]") {
  list_and_pair const of;
  bool const checkpoint = GENERATE(false, true);
  lm::llama_options<double> const options{.checkpoint = checkpoint};
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  SECTION("all weights") {
    reward_model model(llama<double>(*base, of.texts, lm::full_fine_tuning{}, options));
    auto const all = model.parameters();
    fill_at_random({all.back()}, 5);
    check_gradients(model, of.data.batch());
  }
  SECTION("an adapter") {
    reward_model model(llama<double>(base, of.texts, test::uneven_adapter(), options));
    fill_at_random(model.parameters(), 7);
    check_gradients(model, of.data.batch());
  }
}

TEST_CASE("scalar_head of a llama: a completion's score is the same bits in any batch",
          "[lm][llama][reward]") {
  list_and_pair of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  reward_model model(llama<double>(base, of.texts, lora_options{.rank = 2}));
  fill_at_random(model.parameters(), 3);
  auto const together = scores_of(model, of.data.batch());
  for (std::size_t g = 0, i = 0; g != of.data.size(); ++g) {
    for (; i != of.data.offset[g + 1]; ++i) {
      choice_data alone;
      alone.add_labelled(of.data.prompt[g], of.data.completion[i], true);
      CHECK(scores_of(model, alone.batch())[0] == together[i]);
    }
  }
  // The prompt and the completion's last token both matter: nothing above was a constant.
  CHECK(together[0] != together[2]);
  CHECK(together[3] != together[5]);
}

TEST_CASE("scalar_head of a llama: a backward pass behind log_prob is the one behind evaluate",
          "[lm][llama][reward]") {
  list_and_pair const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  reward_model a(llama<double>(base, of.texts, lora_options{.rank = 2}));
  fill_at_random(a.parameters(), 3);
  reward_model b(a);
  // The second group has coefficients of 0, and is left out.
  numbers const coefficient = {1, -2, 0.5, 1, 0, 0};
  numbers score(coefficient.size());
  auto const batch = of.data.batch();
  a.evaluate(batch, {.log_prob = score});
  a.backward(batch, coefficient);
  b.log_prob(batch, score);
  b.backward(batch, coefficient);
  auto const ours = a.parameters();
  auto const theirs = b.parameters();
  for (std::size_t p = 0; p != ours.size(); ++p) {
    CHECK(std::ranges::equal(ours[p].gradient, theirs[p].gradient));
  }
  CHECK(a.backbone().groups_left_out() == 1);
}

TEST_CASE("scalar_head of a llama: bradley_terry teaches it which of two tokens wins",
          "[lm][llama][reward][train]") {
  test::token_pairs pairs;
  for (std::uint32_t t = 1; t != 6; ++t) {
    pairs.add({t, 7}, {t, 8, 9}, {t, 8, 10});
    pairs.add({7, t}, {9}, {10});
  }
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  bool const head_alone = GENERATE(false, true);
  reward_model model(head_alone ? llama<double>(base, pairs.texts)
                                : llama<double>(base, pairs.texts, lora_options{.rank = 2}));
  no_reference<double> none;
  trainer training(
      model, bradley_terry{.centering = 0.01}, none, pairs.data,
      {.batch_size = 4, .micro_batch_tokens = 12, .epochs = 20, .rate = head_alone ? 0.1 : 0.02});
  training.run();
  auto const score = scores_of(model, pairs.data.batch());
  for (std::size_t g = 0; g != pairs.data.size(); ++g) CHECK(score[2 * g] > score[2 * g + 1]);
}

TEST_CASE("scalar_head of a llama: six forms of the family agree with transformers' own head",
          "[lm][llama][reward][golden]") {
  for (char const* const name : test::tiny_models) {
    INFO(name);
    test::tiny_model const tiny(name);
    std::ifstream stream(tiny.folder + "/reward.json");
    auto const golden = nlohmann::json::parse(stream);
    llama<double> policy(tiny.base<double>(), tiny.pairs.texts,
                         lora_options{.rank = 4, .alpha = 6});
    lm::safetensors_file const file(tiny.folder + "/adapter/adapter_model.safetensors");
    for (auto const& each : policy.parameters()) {
      auto const* const entry = file.find(std::string(each.name));
      REQUIRE(entry != nullptr);
      lm::dequantise<double>(entry->type, file.bytes(*entry), each.value);
    }
    policy.parameters_moved();
    reward_model model(std::move(policy));
    auto const weight = golden.at("weight").get<numbers>();
    REQUIRE(weight.size() == model.weight().size());
    std::ranges::copy(weight, model.weight().begin());
    auto const batch = tiny.pairs.data.batch();
    numbers score(batch.completions());
    model.evaluate(batch, {.log_prob = score});
    numbers chosen, rejected;
    for (std::size_t g = 0; g != batch.size(); ++g) {
      auto const& row = golden.at("scores").at(g);
      chosen.push_back(score[2 * g]);
      rejected.push_back(score[2 * g + 1]);
      CHECK(chosen.back() == Approx(row.at("chosen").get<double>()).epsilon(1e-9).margin(1e-9));
      CHECK(rejected.back() == Approx(row.at("rejected").get<double>()).epsilon(1e-9).margin(1e-9));
    }
    auto const result = prefer::evaluate(
        bradley_terry{.centering = golden.at("center_rewards_coefficient").get<double>()},
        pair_columns{.policy = {.chosen = chosen, .rejected = rejected}});
    CHECK(result.loss == Approx(golden.at("loss").get<double>()).epsilon(1e-9));
    numbers coefficient;
    for (std::size_t g = 0; g != batch.size(); ++g) {
      coefficient.push_back(result.coefficient.chosen[g]);
      coefficient.push_back(result.coefficient.rejected[g]);
    }
    model.backward(batch, coefficient);
    model.finish_backward();
    std::size_t compared = 0;
    for (auto const& each : model.parameters()) {
      std::string const wrapper = "base_model.model.";
      std::string const own(each.name);
      auto const& theirs =
          golden.at("gradients").at(own.starts_with(wrapper) ? own.substr(wrapper.size()) : own);
      for (auto const& sample : theirs.at("samples")) {
        INFO(own);
        CHECK(each.gradient[sample.at(0).get<std::size_t>()] ==
              Approx(sample.at(1).get<double>()).epsilon(1e-8).margin(1e-10));
        ++compared;
      }
    }
    CHECK(compared >= 5 * golden.at("gradients").size());
  }
}
