// SPDX-License-Identifier: MIT
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch/policy.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "adapters/torch/table_model.hpp"
#include "support/message_of.hpp"

// A language model in LibTorch with a memory of one token, beside the bigram policy, which computes the same by other means.

namespace {

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;

using double_policy = prefer::torch::policy<table_model, double>;
static_assert(TokenPolicy<double_policy, choice_batch>);
static_assert(!std::is_copy_constructible_v<double_policy>);

}  // namespace

TEST_CASE("torch policy: log-probabilities and gradients are those of the same model",
          "[torch][policy]") {
  auto const tokens = sequences();
  auto const pairs = data();
  choice_batch const batch{
      .prompt = pairs.prompt, .completion = pairs.completion, .offset = pairs.offset};
  auto const table = table_of(logits());
  double_policy policy(table_model{table}, {{"table", table}}, tokens);
  bigram<double> expected(vocabulary, tokens.completions, logits());

  std::size_t const n = pairs.completion.size();
  std::vector<double> got(n), want(n);
  policy.log_prob(batch, got);
  expected.log_prob(batch, want);
  for (std::size_t i = 0; i != n; ++i) CHECK(std::fabs(got[i] - want[i]) < 1e-14);

  std::vector<double> coefficient;
  for (std::size_t i = 0; i != n; ++i)
    coefficient.push_back(0.25 * static_cast<double>(i % 7) - 0.5);
  policy.backward(batch, coefficient);
  expected.backward(batch, coefficient);
  expected.finish_backward();
  auto const mine = policy.parameters()[0].gradient;
  auto const theirs = expected.parameters()[0].gradient;
  for (std::size_t k = 0; k != mine.size(); ++k) CHECK(std::fabs(mine[k] - theirs[k]) < 1e-13);
}

TEST_CASE("torch policy: the trainer trains it to the parameters of the same model",
          "[torch][policy]") {
  auto const tokens = sequences();
  auto const pairs = data();
  train_options options{.batch_size = 5, .epochs = 3, .rate = 0.05};
  options.micro_batch_tokens = 9;

  auto const table = table_of(logits());
  auto const start = table_of(logits(), false);
  double_policy policy(table_model{table}, {{"table", table}}, tokens);
  prefer::torch::reference<table_model, double> reference(table_model{start}, {{"table", start}},
                                                          tokens);
  trainer(policy, dpo{.beta = 0.5}, reference, pairs, options).run();

  bigram<double> expected(vocabulary, tokens.completions, logits());
  auto frozen_reference = frozen(expected);
  auto without_micro_batches = options;
  without_micro_batches.micro_batch_tokens = 0;
  trainer(expected, dpo{.beta = 0.5}, frozen_reference, pairs, without_micro_batches).run();

  auto const mine = policy.parameters()[0].value;
  auto const theirs = expected.parameters()[0].value;
  double moved = 0;
  for (std::size_t k = 0; k != mine.size(); ++k) {
    CHECK(std::fabs(mine[k] - theirs[k]) < 1e-10);
    moved = std::fmax(moved, std::fabs(mine[k] - logits()[k]));
  }
  CHECK(moved > 0.1);
}

TEST_CASE("torch policy: more tokens than a block, and logits of 16 bits", "[torch][policy]") {
  auto const tokens = sequences();
  choice_data many;
  for (std::uint32_t i = 0; i != 100; ++i) many.add_pair(i % vocabulary, i % 8, (i + 1) % 8);
  choice_batch const batch{
      .prompt = many.prompt, .completion = many.completion, .offset = many.offset};
  std::vector<double> want(many.completion.size());
  bigram<double>(vocabulary, tokens.completions, logits()).log_prob(batch, want);

  auto const table = table_of(logits()).to(at::kFloat).detach().requires_grad_(true);
  auto const narrow = [&](at::Tensor const& ids) {
    return at::embedding(table, ids).to(at::kBFloat16);
  };
  prefer::torch::policy policy(narrow, {{"table", table}}, tokens);
  std::vector<float> got(want.size());
  policy.log_prob(batch, got);
  // The logits are multiples of 1/8 below 1, which bfloat16 holds exactly: what is left is float's rounding of three tokens.
  for (std::size_t i = 0; i != got.size(); ++i)
    CHECK(std::fabs(static_cast<double>(got[i]) - want[i]) < 2e-6);
}

TEST_CASE("torch policy: frozen tensors, identities and what is refused", "[torch][policy]") {
  auto const tokens = sequences();
  auto const pairs = data();
  auto const table = table_of(logits());
  auto const fixed = at::tensor({1.0, 2.0}, at::kDouble);
  double_policy policy(table_model{table}, {{"table", table}, {"fixed", fixed}}, tokens);
  CHECK_FALSE(policy.parameters()[0].frozen);
  CHECK(policy.parameters()[1].frozen);
  CHECK(policy.parameters()[1].gradient.empty());

  auto const identity_with = [&](double value) {
    return double_policy(table_model{table}, {{"fixed", at::tensor({value}, at::kDouble)}}, tokens)
        .identity();
  };
  CHECK(identity_with(1.0) == identity_with(1.0));
  CHECK(identity_with(1.0) != identity_with(2.0));

  CHECK_THAT(message_of([&] {
               double_policy(table_model{table}, {{"ids", at::empty({2}, at::kLong)}}, tokens);
             }),
             Contains("the tensor 'ids' is Long on cpu; it must be Double, contiguous, in the "
                      "memory of the CPU"));
  choice_batch const batch{
      .prompt = pairs.prompt, .completion = pairs.completion, .offset = pairs.offset};
  std::vector<double> numbers(pairs.completion.size());
  CHECK_THAT(message_of([&] { policy.backward(batch, numbers); }),
             Contains("follows the forward pass of the same batch"));
  auto const flat = [&](at::Tensor const& ids) { return at::embedding(table, ids).flatten(0, 1); };
  CHECK_THAT(
      message_of([&] {
        prefer::torch::policy<decltype(flat), double>(flat, {}, tokens).log_prob(batch, numbers);
      }),
      Contains("gives logits [rows, positions, vocabulary]"));
  auto const narrow = [&](at::Tensor const& ids) {
    return at::embedding(table, ids).narrow(2, 0, 2);
  };
  CHECK_THAT(message_of([&] {
               prefer::torch::policy<decltype(narrow), double>(narrow, {}, tokens)
                   .log_prob(batch, numbers);
             }),
             Contains("beyond the vocabulary"));
}
