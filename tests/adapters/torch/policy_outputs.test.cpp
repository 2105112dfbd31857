// SPDX-License-Identifier: MIT
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch/policy.hpp>
#include <prefer/aggregation/ld_dpo_weights.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/tdpo.hpp>
#include <prefer/loss/wpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "adapters/torch/table_model.hpp"
#include "support/message_of.hpp"

// What a policy says besides log-probabilities, with its gradient, beside the bigram policy, which computes the same by other means.

namespace {

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;

using of_torch = prefer::torch::policy<table_model, double>;
using reference_of_torch = prefer::torch::reference<table_model, double>;

// Whatever loss the token policy of the core can train, by what the loss reads.
static_assert(outputs_of<of_torch>() == outputs_of<bigram<double>>());
static_assert(DivergencePolicy<of_torch, reference_of_torch, choice_batch>);
static_assert(PerturbablePolicy<of_torch, reference_of_torch, choice_batch>);
static_assert(AlignmentPolicy<of_torch, choice_batch>);

std::vector<double> reference_logits() {
  auto out = logits();
  for (std::size_t k = 0; k != out.size(); ++k) out[k] += static_cast<double>(k * 13 % 7) / 16;
  return out;
}

/// Both models of the same numbers, with their references.
struct models {
  token_sequences tokens = sequences();
  at::Tensor table = table_of(logits());
  of_torch policy{table_model{table}, {{"table", table}}, tokens};
  reference_of_torch reference{table_model{table_of(reference_logits(), false)}, {}, tokens};
  bigram<double> expected{vocabulary, tokens.completions, logits()};
  frozen<bigram<double>> expected_reference{
      bigram<double>(vocabulary, tokens.completions, reference_logits())};
};

/// Every output of both, into columns of its own.
struct columns {
  std::vector<std::vector<double>> of;

  completion_outputs<double> wanted(std::size_t completions, std::size_t tokens) {
    completion_outputs<double> out{.perturbation = 0.1};
    of.assign(9, {});
    std::size_t at = 1;
    of[0].resize(completions);
    out.log_prob = of[0];
    completion_outputs<double>::describe(out, [&](auto is, std::span<double>& column) {
      if (is.output == completion_output::value) return;
      of[at].resize(is.per_token ? tokens : completions);
      column = of[at++];
    });
    return out;
  }
};

void check_near(std::span<double const> got, std::span<double const> want, double tolerance) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i != got.size(); ++i) CHECK(std::fabs(got[i] - want[i]) <= tolerance);
}

}  // namespace

TEST_CASE("torch policy: every output is that of the same model", "[torch][policy]") {
  models both;
  auto const pairs = data();
  choice_batch const batch{
      .prompt = pairs.prompt, .completion = pairs.completion, .offset = pairs.offset};
  std::vector<std::size_t> offset;
  both.expected.token_offsets(batch, offset);
  std::vector<double> weight(offset.back());
  for (std::size_t t = 0; t != weight.size(); ++t) weight[t] = static_cast<double>(t % 3) / 2;

  columns got, want;
  auto ask = got.wanted(batch.completions(), offset.back());
  auto ask_expected = want.wanted(batch.completions(), offset.back());
  ask.token_weight = ask_expected.token_weight = weight;
  both.policy.evaluate(batch, ask, both.reference);
  both.expected.evaluate(batch, ask_expected, both.expected_reference);
  for (std::size_t k = 0; k != got.of.size(); ++k) {
    INFO("output " << k);
    // Of up to three tokens, each of sums over five; no number is beyond some nats.
    check_near(got.of[k], want.of[k], 1e-14);
  }

  // And all that comes back: by log_prob with weights, by tokens and by divergence.
  std::vector<double> by_log_prob, by_divergence, by_token;
  for (std::size_t i = 0; i != batch.completions(); ++i) {
    by_log_prob.push_back(0.25 * static_cast<double>(i % 7) - 0.5);
    by_divergence.push_back(0.5 - 0.125 * static_cast<double>(i % 5));
  }
  for (std::size_t t = 0; t != offset.back(); ++t)
    by_token.push_back(0.125 * static_cast<double>(t % 4));
  completion_gradients<double> const given{.log_prob = by_log_prob,
                                           .token_log_prob = by_token,
                                           .divergence = by_divergence,
                                           .token_weight = weight};
  both.policy.backward(batch, given, both.reference);
  both.expected.backward(batch, given, both.expected_reference);
  both.expected.finish_backward();
  check_near(both.policy.parameters()[0].gradient, both.expected.parameters()[0].gradient, 1e-13);
}

TEST_CASE("torch policy: losses that read more than log-probabilities train as on the same model",
          "[torch][policy]") {
  train_options const options{.batch_size = 5, .epochs = 2, .rate = 0.05};
  auto const pairs = data();
  auto const trained_alike = [&](auto const& loss) {
    INFO(loss.name);
    models both;
    trainer(both.policy, loss, both.reference, pairs, options).run();
    trainer(both.expected, loss, both.expected_reference, pairs, options).run();
    auto const mine = both.policy.parameters()[0].value;
    check_near(mine, both.expected.parameters()[0].value, 1e-10);
    double moved = 0;
    for (std::size_t k = 0; k != mine.size(); ++k)
      moved = std::fmax(moved, std::fabs(mine[k] - logits()[k]));
    CHECK(moved > 0.05);
  };
  trained_alike(tdpo2{});          // divergence, with a gradient
  trained_alike(wpo<dpo>{});       // alignment
  trained_alike(epsilon_dpo<>{});  // perturbed policies
}

TEST_CASE("torch policy: tokens are weighed by an aggregation", "[torch][policy]") {
  models both;
  auto const pairs = data();
  choice_batch const batch{
      .prompt = pairs.prompt, .completion = pairs.completion, .offset = pairs.offset};
  ld_dpo_weights const weights{.alpha = 0.25};
  std::vector<double> got(batch.completions()), want(batch.completions());
  aggregated<of_torch&, ld_dpo_weights> mine(both.policy, weights);
  aggregated<bigram<double>&, ld_dpo_weights> theirs(both.expected, weights);
  mine.log_prob(batch, got);
  theirs.log_prob(batch, want);
  check_near(got, want, 1e-14);
  mine.backward(batch, got);
  theirs.backward(batch, got);
  both.expected.finish_backward();
  check_near(both.policy.parameters()[0].gradient, both.expected.parameters()[0].gradient, 1e-13);
}

TEST_CASE("torch policy: outputs that it does not give are refused by name", "[torch][policy]") {
  models both;
  auto const pairs = data();
  choice_batch const batch{
      .prompt = pairs.prompt, .completion = pairs.completion, .offset = pairs.offset};
  std::vector<double> numbers(batch.completions());
  CHECK_THAT(message_of([&] { both.policy.evaluate(batch, {.value = numbers}); }),
             Contains("torch::policy::evaluate: this policy does not give value"));
  CHECK_THAT(message_of([&] { both.policy.evaluate(batch, {.divergence = numbers}); }),
             Contains("this policy does not give divergence, or not against this reference"));
  both.policy.log_prob(batch, numbers);
  CHECK_THAT(
      message_of([&] { both.policy.backward(batch, {.divergence = numbers}, both.reference); }),
      Contains("a derivative by divergence, which the forward pass was not asked for"));
  auto const wider = [](at::Tensor const& ids) {
    return at::embedding(at::zeros({5, 6}, at::kDouble), ids);
  };
  prefer::torch::reference<decltype(wider), double> other(wider, {}, both.tokens);
  CHECK_THAT(message_of([&] { both.policy.evaluate(batch, {.divergence = numbers}, other); }),
             Contains("both read the same texts with one vocabulary"));
}
