// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/distributions.hpp>

#include "support/message_of.hpp"
#include "tiny_models.hpp"

using namespace prefer;
using test::tiny_model;
using test::token_list;

static_assert(check::sampling_policy<lm::llama<float>>());

namespace {

// Prompts of 1 to 9 tokens, and a copy of each as if somebody asked twice.
token_sequences prompts_of(std::size_t vocabulary) {
  token_sequences texts;
  random_stream numbers({.seed = 3});
  for (std::size_t length = 1; length != 10; ++length) {
    token_list prompt;
    while (prompt.size() != length) {
      prompt.push_back(static_cast<std::uint32_t>(below(numbers, vocabulary)));
    }
    texts.prompts.add(prompt);
  }
  return texts;
}

// An adapter that does something: as it begins, it adds nothing.
template <class T>
void move_adapter(lm::llama<T>& policy) {
  std::uint64_t step = 0;
  for (auto const& each : policy.parameters())
    fill_normal(each.value, {.seed = 8, .step = ++step}, 0, 0.3);
}

template <class T>
std::vector<token_list> sampled(lm::llama<T>& policy, std::vector<std::uint32_t> const& prompts,
                                sampling_options const& how, std::uint64_t index = 0) {
  token_table into;
  std::vector<std::uint32_t> ids(prompts.size());
  policy.sample(prompts, how, {.seed = 5, .purpose = random_purpose::completion, .index = index},
                into, ids);
  std::vector<token_list> out;
  for (std::uint32_t const id : ids)
    out.emplace_back(into.tokens(id).begin(), into.tokens(id).end());
  return out;
}

// What a decoder that reads a prompt and then token by token gives each token.
std::vector<double> decoded_log_probs(lm::llama_view<double> const& model,
                                      lm::arithmetic<double> const& by, token_list const& prompt,
                                      token_list const& completion) {
  lm::llama_decoder<double> decoder(model.weights->config);
  lm::llama_pass<double> pass(model.weights->config);
  token_table read;
  read.add(prompt);
  std::vector<lm::key_value_cache<double>> cache;
  std::vector<double> behind_prompt;
  decoder.read(model, by, pass, read, cache, behind_prompt);
  std::span<double const> logits = behind_prompt;
  std::vector<double> out;
  for (std::uint32_t const token : completion) {
    double total = 0;
    for (double const each : logits) total += std::exp(each - logits[token]);
    out.push_back(-std::log(total));
    lm::key_value_cache<double>* const only[] = {&cache.front()};
    decoder.step(model, {}, only, {&token, 1});
    logits = decoder.logits();
  }
  return out;
}

}  // namespace

TEST_CASE("llama: the most likely continuations are those of the golden files", "[lm][sampling]") {
  for (char const* const name : test::tiny_models) {
    INFO(name);
    tiny_model const model(name);
    auto const expected = model.golden.at("greedy").get<std::vector<token_list>>();
    sampling_options const greedy{.max_tokens = 12, .top_k = 1};
    std::vector<std::uint32_t> const prompts = {0, 1, 2, 3};
    lm::llama<double> policy(model.base<double>(), model.pairs.texts);
    CHECK(sampled(policy, prompts, greedy) == expected);
    lm::llama<float> single(model.base<float>(), model.pairs.texts);
    CHECK(sampled(single, prompts, greedy) == expected);
  }
}

TEST_CASE("llama: tokens are drawn from what a forward pass over all of them gives them",
          "[lm][sampling]") {
  for (char const* const name : test::tiny_models) {
    for (bool const adapted : {false, true}) {
      INFO(name << (adapted ? " with an adapter" : ""));
      tiny_model const model(name);
      lm::llama<double> policy(model.base<double>(), model.pairs.texts,
                               lm::lora_options{.rank = 3});
      move_adapter(policy);
      choice_batch const batch = model.pairs.data.batch();
      std::vector<std::size_t> offset;
      policy.token_offsets(batch, offset);
      std::vector<double> expected(offset.back());
      if (adapted) {
        policy.token_log_prob(batch, expected);
      } else {
        policy.token_log_prob_without_adapter(batch, expected);
      }
      double worst = 0;
      for (std::size_t i = 0; i != batch.completions(); ++i) {
        auto const prompt = model.pairs.texts.prompts.tokens(batch.prompt[i / 2]);
        auto const completion = model.pairs.texts.completions.tokens(batch.completion[i]);
        auto const found = decoded_log_probs(
            adapted ? policy.view() : policy.view_without_adapter(), policy.options().by,
            {prompt.begin(), prompt.end()}, {completion.begin(), completion.end()});
        for (std::size_t t = 0; t != found.size(); ++t) {
          worst = std::fmax(worst, std::fabs(found[t] - expected[offset[i] + t]));
        }
      }
      CHECK(worst < 1e-10);
    }
  }
}

TEST_CASE("llama: completions come as often as their probabilities say", "[lm][sampling]") {
  auto config = test::smallest_config();
  config.vocabulary = 5;
  constexpr std::uint32_t stop = 2;
  token_sequences texts;
  texts.prompts.add(token_list{1, 4, 0});
  texts.completions = token_table::all_of_length(config.vocabulary, 2);
  lm::llama<double> policy(test::random_base<double>(config, 4), texts,
                           lm::lora_options{.rank = 2});
  move_adapter(policy);
  constexpr std::size_t draws = 3000;
  auto const found =
      sampled(policy, std::vector<std::uint32_t>(draws, 0), {.max_tokens = 2, .stop_token = stop});
  std::vector<double> count(25);
  for (auto const& each : found) {
    CHECK(each.size() == (each.front() == stop ? 1U : 2U));
    // All that would follow the stop token are one outcome, counted with the first of them.
    count[each.front() * 5 + (each.size() == 2 ? each.back() : 0)] += 1;
  }
  choice_data data;
  std::vector<std::uint32_t> every;
  for (std::uint32_t y = 0; y != 25; ++y) every.push_back(y);
  data.add_list(0, every);
  std::vector<double> log_prob(25);
  policy.log_prob(data.batch(), log_prob);
  std::vector<double> probability;
  for (double const each : log_prob) probability.push_back(std::exp(each));
  for (std::size_t y = stop * 5 + 1; y != stop * 5 + 5; ++y) {
    probability[stop * 5] += probability[y];
    probability[y] = 0;
  }
  double statistic = 0;
  double total = 0;
  for (std::size_t y = 0; y != 25; ++y) {
    total += probability[y];
    if (probability[y] == 0) continue;
    double const expected = draws * probability[y];
    statistic += (count[y] - expected) * (count[y] - expected) / expected;
  }
  CHECK(total == Approx(1.0).epsilon(1e-12));
  // 21 outcomes: mean 20, variance 40; five standard deviations above.
  CHECK(statistic < 20 + 5 * std::sqrt(40.0));
}

TEST_CASE("llama: a completion has its bits in any batch, on any threads, and as a stream",
          "[lm][sampling]") {
  auto config = test::smallest_config();
  auto const texts = prompts_of(config.vocabulary);
  auto const base = test::random_base<float>(config, 6);
  lm::llama<float> policy(base, texts, lm::lora_options{.rank = 2});
  move_adapter(policy);
  // More than go on together, with prompts that several share, and some that end early.
  std::vector<std::uint32_t> prompts;
  for (std::uint32_t i = 0; i != 45; ++i) prompts.push_back(i * 7 % 9 / 2);
  sampling_options const how{.max_tokens = 20,
                             .stop_token = 1,
                             .temperature = 1.3,
                             .top_k = 6,
                             .top_p = 0.95,
                             .side_by_side = 32};
  auto const together = sampled(policy, prompts, how);
  thread_pool pool(3);
  lm::llama<float> parallel = policy;
  parallel.use(pool.executor());
  CHECK(sampled(parallel, prompts, how) == together);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < prompts.size(); i += 4) {
    wrong += sampled(policy, {prompts[i]}, how, i).front() != together[i];
    lm::llama_stream<float> stream(policy.view(), policy.options().by,
                                   texts.prompts.tokens(prompts[i]), how,
                                   {.seed = 5, .purpose = random_purpose::completion, .index = i});
    token_list streamed;
    while (auto const token = stream.next()) streamed.push_back(*token);
    wrong += streamed != together[i];
  }
  CHECK(wrong == 0);
}

TEST_CASE("llama: whoever leaves and joins, a completion is the same, and is told of once",
          "[lm][sampling]") {
  auto const config = test::smallest_config();
  auto const texts = prompts_of(config.vocabulary);
  lm::llama<double> policy(test::random_base<double>(config, 6), texts,
                           lm::lora_options{.rank = 2});
  move_adapter(policy);
  // Completions in a row share a prompt that some begin later with than others; the stop token ends some early.
  std::vector<std::uint32_t> prompts;
  for (std::uint32_t i = 0; i != 24; ++i) prompts.push_back(i / 5);
  prompts.push_back(0);
  sampling_options how{.max_tokens = 9, .stop_token = 1, .top_k = 8, .side_by_side = 1};
  auto const alone = sampled(policy, prompts, how);
  std::size_t early = 0;
  for (auto const& each : alone) early += each.size() < how.max_tokens;
  CHECK((0 < early && early < alone.size()));
  for (std::size_t const side_by_side : {2u, 3u, 7u, 64u}) {
    INFO(side_by_side);
    how.side_by_side = side_by_side;
    std::vector<std::vector<token_list>> heard(prompts.size());
    auto const hear = [&](std::span<lm::finished_completion const> finished) {
      for (auto const& each : finished) {
        heard[each.number].emplace_back(each.tokens.begin(), each.tokens.end());
      }
    };
    token_table into;
    std::vector<std::uint32_t> ids(prompts.size());
    policy.sample(prompts, how, {.seed = 5, .purpose = random_purpose::completion}, into, ids,
                  lm::sampling_listener(hear));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i != ids.size(); ++i) {
      wrong += heard[i] != std::vector<token_list>{alone[i]};
      wrong += token_list(into.tokens(ids[i]).begin(), into.tokens(ids[i]).end()) != alone[i];
    }
    CHECK(wrong == 0);
  }
  // Who hears may end it: nothing is written, and the policy is as it was.
  auto const stop = [](std::span<lm::finished_completion const> finished) {
    if (!finished.empty()) throw std::runtime_error("enough");
  };
  token_table into;
  std::vector<std::uint32_t> ids(prompts.size());
  CHECK_THROWS_WITH(
      policy.sample(prompts, how, {.seed = 5}, into, ids, lm::sampling_listener(stop)), "enough");
  CHECK(into.size() == 0);
  CHECK(sampled(policy, prompts, how) == alone);
}

TEST_CASE("llama_decoder: logits of a sequence have their bits whoever is beside it",
          "[lm][sampling]") {
  auto const config = test::smallest_config();
  auto const texts = prompts_of(config.vocabulary);
  lm::llama<double> policy(test::random_base<double>(config, 6), texts,
                           lm::lora_options{.rank = 2});
  move_adapter(policy);
  using cache = lm::key_value_cache<double>;
  lm::llama_decoder<double> decoder(config);
  lm::llama_pass<double> pass(config);
  std::vector<cache> read;
  std::vector<double> logits;
  decoder.read(policy.view(), policy.options().by, pass, texts.prompts, read, logits);
  // Two copies of each prompt, which share what they read; copy s goes on with tokens s, s + 1 and so on.
  std::size_t const vocabulary = config.vocabulary;
  auto const go_on = [&](std::vector<std::size_t> const& who) {
    std::vector<cache> mine;
    std::vector<cache*> going;
    for (std::size_t const s : who) mine.push_back(read[s / 2]);
    for (auto& each : mine) going.push_back(&each);
    std::vector<std::vector<double>> out(who.size());
    for (std::size_t t = 0; t != 3; ++t) {
      std::vector<std::uint32_t> tokens;
      for (std::size_t const s : who) {
        tokens.push_back(static_cast<std::uint32_t>((s + t) % vocabulary));
      }
      decoder.step(policy.view(), {}, going, tokens);
      for (std::size_t i = 0; i != who.size(); ++i) {
        auto const row = decoder.logits().subspan(i * vocabulary, vocabulary);
        out[i].insert(out[i].end(), row.begin(), row.end());
      }
    }
    return out;
  };
  std::vector<std::size_t> everybody;
  for (std::size_t s = 2 * read.size(); s-- != 0;) everybody.push_back(s);
  auto const together = go_on(everybody);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i != everybody.size(); ++i) {
    wrong += go_on({everybody[i]}).front() != together[i];
  }
  CHECK(wrong == 0);
}

TEST_CASE("llama: what takes more positions than there are is not begun", "[lm][sampling]") {
  auto const config = test::smallest_config();
  auto const texts = prompts_of(config.vocabulary);
  lm::llama<float> policy(test::random_base<float>(config, 6), texts);
  CHECK(test::message_of([&] { sampled(policy, {8}, {.max_tokens = 33}); }) ==
        "llama::sample: prompt 8 has 9 tokens, and 33 after them take 41 positions, the model's "
        "context is 40");
  CHECK(test::message_of([&] { sampled(policy, {8}, {.max_tokens = 0}); }) ==
        "llama::sample: max_tokens must be at least 1");
  CHECK(test::message_of([&] { sampled(policy, {8}, {.max_tokens = 1, .side_by_side = 0}); }) ==
        "llama::sample: side_by_side must be at least 1");
  CHECK(sampled(policy, {8}, {.max_tokens = 32}).front().size() == 32);
}
