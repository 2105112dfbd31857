// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/lm/model/llama.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/without_adapter.hpp>

#include "gradient_facts.hpp"
#include "support/message_of.hpp"
#include "tiny_models.hpp"

// What a llama is as a policy, on a model that is small enough to be asked for everything.

using namespace prefer;
using lm::llama;
using lm::lora_options;
using test::token_list;

namespace {
// Pairs that share a prompt, a beginning, everything but the last token, and nothing; and one list.
struct some_texts {
  some_texts() {
    auto const group = [&](token_list const& x, std::vector<token_list> const& ys) {
      prompt.push_back(texts.prompts.add(x));
      for (auto const& y : ys) completion.push_back(texts.completions.add(y));
      offset.push_back(completion.size());
    };
    group({1}, {{2, 3, 4}, {5}});
    group({3, 1, 4}, {{1, 5, 9, 2}, {1, 5, 9, 6}});
    group({2, 7}, {{1, 8, 2, 8}, {1, 8}, {1, 8, 4}, {5, 9}});
    group({6, 6, 6, 6, 6}, {{10, 9, 8, 7, 6, 5}});
  }
  [[nodiscard]] choice_batch batch() const {
    return {.prompt = prompt, .completion = completion, .offset = offset};
  }

  token_sequences texts;
  std::vector<std::uint32_t> prompt, completion;
  std::vector<std::size_t> offset = {0};
};

std::vector<double> drawn(std::size_t count, std::uint64_t seed) {
  std::vector<double> out(count);
  fill_normal(std::span<double>(out), {.seed = seed}, 0, 1);
  return out;
}
void set_at_random(std::vector<parameter<double>> const& parameters, std::uint64_t seed) {
  for (auto const& each : parameters) {
    auto const numbers = drawn(each.value.size(), seed++);
    for (std::size_t k = 0; k != numbers.size(); ++k) each.value[k] = 0.3 * numbers[k];
  }
}

// A number of everything that a policy takes a gradient of, and its gradient by backward.
struct everything {
  explicit everything(some_texts const& of)
      : batch(of.batch()),
        tokens(of.texts.completions.token().size()),
        of_sum(drawn(batch.completions(), 11)),
        of_token(drawn(tokens, 12)),
        of_divergence(drawn(batch.completions(), 13)),
        weight(drawn(tokens, 14)) {}

  double value(llama<double>& policy, llama<double> const& reference) const {
    std::vector<double> sum(batch.completions()), token(tokens), divergence(batch.completions());
    policy.evaluate(batch,
                    {.log_prob = sum,
                     .token_log_prob = token,
                     .divergence = divergence,
                     .token_weight = weight},
                    reference);
    double out = 0;
    for (std::size_t i = 0; i != sum.size(); ++i) {
      out += of_sum[i] * sum[i] + of_divergence[i] * divergence[i];
    }
    for (std::size_t t = 0; t != tokens; ++t) out += of_token[t] * token[t];
    return out;
  }
  void backward(llama<double>& policy, llama<double> const& reference) const {
    policy.backward(batch,
                    {.log_prob = of_sum,
                     .token_log_prob = of_token,
                     .divergence = of_divergence,
                     .token_weight = weight},
                    reference);
    policy.finish_backward();
  }

  choice_batch batch;
  std::size_t tokens;
  std::vector<double> of_sum, of_token, of_divergence, weight;
};

void check_gradients(llama<double>& policy, llama<double> const& reference, some_texts const& of) {
  everything const f(of);
  f.value(policy, reference);
  f.backward(policy, reference);
  test::check_gradients_of(policy, [&] { return f.value(policy, reference); });
}

}  // namespace

TEST_CASE("llama: gradients of every kind of tensor are those of differences", "[lm][llama]") {
  some_texts const of;
  bool const checkpoint = GENERATE(false, true);
  lm::llama_options<double> const options{.checkpoint = checkpoint};
  auto config = test::smallest_config();
  SECTION("all weights, the embedding tied, with biases and norms of heads") {
    auto const base = test::random_base<double>(config, 1);
    llama<double> const reference(test::random_base<double>(config, 2), of.texts);
    llama<double> policy(*base, of.texts, lm::full_fine_tuning{}, options);
    check_gradients(policy, reference, of);
  }
  SECTION("all weights, an output of its own, a window, positions scaled as Llama 3 has them") {
    config.tied_output = config.query_key_value_bias = config.query_key_norm = false;
    config.window = 3;
    config.rope_scaling = lm::llama3_rope{.factor = 4, .original_context = 16};
    auto const base = test::random_base<double>(config, 3);
    llama<double> const reference(base, of.texts);
    llama<double> policy(*base, of.texts, lm::full_fine_tuning{}, options);
    set_at_random(policy.parameters(), 4);
    check_gradients(policy, reference, of);
  }
  SECTION("an adapter over a frozen base, with itself without it as what it is compared with") {
    auto const base = test::random_base<double>(config, 5);
    llama<double> policy(base, of.texts,
                         lora_options{.rank = 3, .alpha = 1, .rank_stabilised = true}, options);
    set_at_random(policy.parameters(), 6);
    check_gradients(policy, llama<double>(base, of.texts), of);
  }
  SECTION("an adapter of some maps") {
    auto const base = test::random_base<double>(config, 7);
    llama<double> policy(base, of.texts,
                         lora_options{.rank = 2, .alpha = 1, .targets = {"v_proj", "down_proj"}},
                         options);
    CHECK(policy.parameters().size() == 8);  // two matrices of two maps in two layers
    set_at_random(policy.parameters(), 8);
    check_gradients(policy, llama<double>(base, of.texts), of);
  }
}

// The test to read: what is shared is computed once and is as if it had not been shared.
TEST_CASE("llama: a batch of trees is what one sequence at a time gives, forward and backward",
          "[lm][llama]") {
  some_texts const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> together(*base, of.texts, lm::full_fine_tuning{});
  llama<double> alone(*base, of.texts, lm::full_fine_tuning{});
  auto const coefficient = drawn(of.completion.size(), 2);

  std::vector<double> ours(of.completion.size());
  together.log_prob(of.batch(), ours);
  together.backward(of.batch(), coefficient);
  together.finish_backward();

  for (std::size_t g = 0; g != of.prompt.size(); ++g) {
    for (std::size_t i = of.offset[g]; i != of.offset[g + 1]; ++i) {
      std::size_t const whole[] = {0, 1};
      choice_batch const one{.prompt = std::span(of.prompt).subspan(g, 1),
                             .completion = std::span(of.completion).subspan(i, 1),
                             .offset = whole};
      double theirs[1];
      alone.log_prob(one, theirs);
      CHECK(ours[i] == Approx(theirs[0]).epsilon(1e-13));
      alone.backward(one, std::span(coefficient).subspan(i, 1));
    }
  }
  alone.finish_backward();
  auto const mine = together.parameters();
  auto const others = alone.parameters();
  for (std::size_t p = 0; p != mine.size(); ++p) {
    for (std::size_t k = 0; k != mine[p].value.size(); ++k) {
      REQUIRE(mine[p].gradient[k] == Approx(others[p].gradient[k]).epsilon(1e-11).margin(1e-13));
    }
  }
}

TEMPLATE_TEST_CASE("llama: no bit depends on what else is in the batch, nor on threads",
                   "[lm][llama]", float, double) {
  using T = TestType;
  some_texts const of;
  auto const base = test::random_base<T>(test::smallest_config(), 1);
  llama<T> policy(base, of.texts, lora_options{.rank = 2});
  thread_pool threads(3);
  std::vector<T> together(of.completion.size());
  policy.use(threads.executor());
  policy.evaluate(of.batch(), {.log_prob = together});
  policy.use({});
  std::vector<T> asked(of.completion.size());
  policy.log_prob(of.batch(), asked);
  CHECK(asked == together);
  for (std::size_t g = 0; g != of.prompt.size(); ++g) {
    std::size_t const count = of.offset[g + 1] - of.offset[g];
    std::size_t const offset[] = {0, count};
    std::vector<T> alone(count);
    policy.evaluate({.prompt = std::span(of.prompt).subspan(g, 1),
                     .completion = std::span(of.completion).subspan(of.offset[g], count),
                     .offset = offset},
                    {.log_prob = alone});
    for (std::size_t i = 0; i != count; ++i) CHECK(alone[i] == together[of.offset[g] + i]);
  }
}

TEST_CASE(
    "llama: an adapter that begins changes nothing, and what it learns belongs to its copy alone",
    "[lm][llama]") {
  some_texts const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> policy(base, of.texts, lora_options{.rank = 2});
  std::vector<double> of_base(of.completion.size()), now(of.completion.size());
  llama<double>(base, of.texts).log_prob(of.batch(), of_base);
  policy.log_prob(of.batch(), now);
  CHECK(now == of_base);

  llama<double> const start = policy;
  set_at_random(policy.parameters(), 3);
  policy.log_prob(of.batch(), now);
  CHECK(now != of_base);
  std::vector<double> without(of.completion.size()), before(of.completion.size());
  without_adapter(policy).log_prob(of.batch(), without);
  CHECK(without == of_base);
  frozen(start).log_prob(of.batch(), before);
  CHECK(before == of_base);
  // One base: each policy holds it, and so does whoever made it.
  CHECK(base.use_count() == 3);
}

TEST_CASE("llama: the divergence from itself is 0, and from its start what two distributions say",
          "[lm][llama]") {
  some_texts const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> policy(base, of.texts, lora_options{.rank = 2});
  std::vector<double> divergence(of.completion.size(), 1.0);
  policy.evaluate(of.batch(), {.divergence = divergence}, frozen(policy));
  for (double const each : divergence) CHECK(each == Approx(0).margin(1e-14));

  set_at_random(policy.parameters(), 3);
  std::vector<double> again(of.completion.size());
  policy.evaluate(of.batch(), {.divergence = divergence}, without_adapter(policy));
  policy.evaluate(of.batch(), {.divergence = again}, llama<double>(base, of.texts));
  CHECK(divergence == again);

  // Of a completion of one token, from log-probabilities of each of the vocabulary after its prompt.
  token_sequences every;
  std::vector<std::uint32_t> ids;
  std::vector<std::size_t> const offset = {0, 11};
  every.prompts.add(of.texts.prompts.tokens(of.prompt[0]));
  for (std::uint32_t v = 0; v != 11; ++v) ids.push_back(every.completions.add(token_list{v}));
  std::vector<std::uint32_t> const prompt = {0};
  choice_batch const all{.prompt = prompt, .completion = ids, .offset = offset};
  llama<double> same(base, every, lora_options{.rank = 2});
  set_at_random(same.parameters(), 3);
  std::vector<double> p(11), q(11), entropy(11), alignment(11), accuracy(11), kl(11);
  same.evaluate(all,
                {.log_prob = p,
                 .divergence = kl,
                 .alignment = alignment,
                 .entropy = entropy,
                 .token_accuracy = accuracy},
                without_adapter(same));
  same.log_prob_without_adapter(all, q);
  double mass = 0, expected = 0, of_p = 0, squares = 0;
  std::size_t best = 0;
  for (std::size_t v = 0; v != 11; ++v) {
    mass += std::exp(p[v]);
    expected += std::exp(q[v]) * (q[v] - p[v]);
    of_p -= std::exp(p[v]) * p[v];
    squares += std::exp(2 * p[v]);
    if (p[v] > p[best]) best = v;
  }
  CHECK(mass == Approx(1).epsilon(1e-13));
  for (std::size_t v = 0; v != 11; ++v) {
    CHECK(kl[v] == Approx(expected).epsilon(1e-11));
    CHECK(entropy[v] == Approx(of_p).epsilon(1e-12));
    CHECK(alignment[v] == Approx(p[v] - std::log(squares)).epsilon(1e-12));
    CHECK(accuracy[v] == (v == best ? 1.0 : 0.0));
  }
}

TEST_CASE("llama: logits moved toward a reference by all of their difference are the reference's",
          "[lm][llama]") {
  some_texts const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> policy(base, of.texts, lora_options{.rank = 2});
  set_at_random(policy.parameters(), 3);
  std::size_t const n = of.completion.size();
  std::vector<double> ours(n), theirs(n), toward(n), away(n);
  policy.log_prob_without_adapter(of.batch(), theirs);
  policy.evaluate(of.batch(), {.perturbed_toward = toward, .perturbation = 1},
                  without_adapter(policy));
  for (std::size_t i = 0; i != n; ++i) CHECK(toward[i] == Approx(theirs[i]).epsilon(1e-12));
  policy.evaluate(
      of.batch(),
      {.log_prob = ours, .perturbed_toward = toward, .perturbed_away = away, .perturbation = 0},
      without_adapter(policy));
  for (std::size_t i = 0; i != n; ++i) {
    CHECK(toward[i] == Approx(ours[i]).epsilon(1e-12));
    CHECK(away[i] == Approx(ours[i]).epsilon(1e-12));
  }
}

TEST_CASE("llama: dropout is of the training pass, drawn by step and row, and the same for any cut",
          "[lm][llama]") {
  some_texts const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  llama<double> policy(base, of.texts, lora_options{.rank = 2, .alpha = 1, .dropout = 0.5});
  set_at_random(policy.parameters(), 3);
  std::size_t const n = of.completion.size();
  choice_batch batch = of.batch();
  std::vector<std::size_t> const row = {4, 0, 2, 7};
  batch.row = row;
  batch.draw = 5;
  std::vector<double> trained(n), again(n), asked(n), next(n);
  policy.evaluate(batch, {.log_prob = trained});
  policy.evaluate(batch, {.log_prob = again});
  CHECK(trained == again);
  policy.log_prob(batch, asked);
  CHECK(asked != trained);
  batch.draw = 6;
  policy.evaluate(batch, {.log_prob = next});
  CHECK(next != trained);

  // The last group alone, by its number in the data.
  std::size_t const offset[] = {0, 1};
  double alone[1];
  policy.evaluate({.prompt = std::span(of.prompt).last(1),
                   .completion = std::span(of.completion).last(1),
                   .offset = offset,
                   .row = std::span(row).last(1),
                   .draw = 6},
                  {.log_prob = alone});
  CHECK(alone[0] == next.back());

  everything const f(of);
  check_gradients(policy, llama<double>(base, of.texts), of);
}

TEST_CASE(
    "llama: groups without a coefficient are left out of the backward pass, which changes no bit",
    "[lm][llama]") {
  some_texts const of;
  auto const base = test::random_base<double>(test::smallest_config(), 1);
  bool const whole = GENERATE(true, false), checkpoint = GENERATE(true, false);
  lm::llama_options<double> const options{.checkpoint = checkpoint};
  lora_options const adapter{.rank = 2, .dropout = 0.2};
  auto policy = whole ? llama<double>(*base, of.texts, lm::full_fine_tuning{}, options)
                      : llama<double>(base, of.texts, adapter, options);
  if (!whole) set_at_random(policy.parameters(), 3);
  auto const gradient = [&](std::vector<double> const& coefficient) {
    auto const all = policy.parameters();
    zero_gradients<double>(all);
    std::vector<double> sum(of.completion.size());
    policy.evaluate(of.batch(), {.log_prob = sum});
    policy.backward(of.batch(), coefficient);
    policy.finish_backward();
    std::vector<double> out;
    for (auto const& each : all) out.insert(out.end(), each.gradient.begin(), each.gradient.end());
    return out;
  };
  double const nothing = 1e-300;  // beside what groups of 2, 2, 4 and 1 add
  auto const left_out = gradient({0, 0, 0.2, 0.3, 0, 0, 0, 0, -1});
  CHECK(policy.groups_left_out() == 2);
  auto const passed = gradient({nothing, 0, 0.2, 0.3, 0, nothing, 0, 0, -1});
  CHECK(policy.groups_left_out() == 2);
  for (std::size_t k = 0; k != passed.size(); ++k) {
    REQUIRE(std::abs(left_out[k] - passed[k]) < 1e-290);
  }
  auto const of_none = gradient(std::vector<double>(of.completion.size()));
  CHECK(policy.groups_left_out() == 6);
  CHECK(of_none == std::vector<double>(of_none.size()));
}

TEST_CASE("llama: what does not fit is refused in a sentence", "[lm][llama]") {
  some_texts const of;
  auto config = test::smallest_config();
  auto const base = test::random_base<double>(config, 1);
  std::vector<double> out(of.completion.size());
  CHECK(test::message_of([&] {
          lm::lora_adapter<double>(config, {.targets = {"q_proj", "lm_head"}});
        }) ==
        "lora: target 'lm_head' is not one of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, "
        "down_proj");
  CHECK(test::message_of([&] { lm::lora_adapter<double>(config, {.rank = 0}); }) ==
        "lora: rank must be at least 1");
  CHECK(test::message_of([&] {
          llama<double>(base, of.texts).log_prob_without_adapter(of.batch(), out);
        }) == "llama: it has no adapter that could be left out");
  config.context = 9;
  llama<double> shorter(test::random_base<double>(config, 1), of.texts);
  CHECK(test::message_of([&] { shorter.log_prob(of.batch(), out); }) ==
        "llama::log_prob: row 3 (prompt 3, completion 8) takes 10 positions, the model's context "
        "is 9");
  config.vocabulary = 10;
  config.context = 40;
  llama<double> fewer(test::random_base<double>(config, 1), of.texts);
  CHECK(
      test::message_of([&] { fewer.log_prob(of.batch(), out); }) ==
      "llama::log_prob: row 3 (prompt 3, completion 8) has token 10, the model's vocabulary is 10");
  llama<double> policy(base, of.texts, lora_options{});
  CHECK(test::message_of([&] { policy.evaluate(of.batch(), {.divergence = out}, fewer); }) ==
        "llama::evaluate: the reference has a vocabulary of 10, expected 11");
  CHECK(test::message_of([&] {
          lm::llama_base<double>(
              test::smallest_config(), 1,
              [](std::string const&) {
                return lm::weight_matrix<double>(1, 2, {1, 2});
              },
              [](std::string const&) { return std::vector<double>(8); });
        }) ==
        "llama_base: tensor 'model.embed_tokens.weight' has shape [1, 2], expected [11, 8] by the "
        "configuration");
  CHECK(test::message_of([&] {
          lm::llama_base<double>(
              test::smallest_config(), 1,
              [](std::string const&) {
                std::vector<double> values(88);
                values[30] = std::nan("");
                return lm::weight_matrix<double>(11, 8, values);
              },
              [](std::string const&) { return std::vector<double>(8); });
        }) ==
        "llama_base: tensor \"model.embed_tokens.weight\" has NaN in row 3, column 6, expected "
        "finite numbers");
}
