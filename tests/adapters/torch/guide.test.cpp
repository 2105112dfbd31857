// SPDX-License-Identifier: MIT
#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/metrics.hpp>
#include <prefer/adapters/torch/policy.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/train/trainer.hpp>

// What docs/guides/torch.md says.

namespace {

/// Stands for the reader's module: next-token logits from a table.
struct module {
  at::Tensor weight;
  at::Tensor operator()(at::Tensor const& ids) const { return at::embedding(weight, ids); }
};

}  // namespace

TEST_CASE("torch: the guide", "[torch][docs]") {
  auto const chosen = at::tensor({-12.0, -9.0}, at::kDouble).requires_grad_(true);
  auto const rejected = at::tensor({-8.0, -9.0}, at::kDouble).requires_grad_(true);
  auto const reference_chosen = at::tensor({-12.0, -11.0}, at::kDouble);
  auto const reference_rejected = at::tensor({-8.0, -7.0}, at::kDouble);
  // Margins are 0 and 2 - (-2) nats.
  double const expected = (std::log(2.0) + std::log1p(std::exp(-0.1 * 4.0))) / 2;
  {
    // [node]
    auto const loss = prefer::torch::loss(
        prefer::dpo{.beta = 0.1},
        prefer::torch::pair_columns{
            .policy = {chosen, rejected},  // log-probabilities, with their history
            .reference = {reference_chosen, reference_rejected}});
    loss.backward();
    // [/node]
    CHECK(loss.read() == Approx(expected).epsilon(1e-14));
    CHECK(chosen.grad()[0].item<double>() == Approx(-0.1 / 2 / 2).epsilon(1e-14));
  }
  prefer::torch::pair_columns const batch{.policy = {chosen, rejected},
                                          .reference = {reference_chosen, reference_rejected}};
  {
    // [metrics]
    auto const said = prefer::torch::metrics(batch, {.beta = 0.1});
    std::printf("accuracy %.3f, margin %.3f nats\n", said.accuracy.mean(),
                said.reward_margin.mean());
    // [/metrics]
    CHECK(said.accuracy.mean() == 0.5);  // a tie is a miss
    CHECK(said.reward_margin.mean() == Approx(0.2));
  }
  {
    // [autograd]
    at::Tensor const loss = prefer::torch::loss_by_autograd(prefer::dpo{.beta = 0.1}, batch);
    // [/autograd]
    CHECK(loss.item<double>() == Approx(expected).epsilon(1e-14));
  }
}

TEST_CASE("torch: the guide's policy", "[torch][docs]") {
  module const model{at::zeros({4, 4}).requires_grad_(true)};
  module const start{at::zeros({4, 4})};
  prefer::token_sequences texts;
  texts.prompts.add(std::vector<std::uint32_t>{0});
  texts.completions.add(std::vector<std::uint32_t>{1, 2});
  texts.completions.add(std::vector<std::uint32_t>{3});
  prefer::choice_data pairs;
  pairs.add_pair(0, 0, 1);
  // [policy]
  prefer::torch::policy policy([&](at::Tensor const& ids) { return model(ids); },
                               {{"weight", model.weight}}, texts);
  prefer::torch::reference reference([&](at::Tensor const& ids) { return start(ids); },
                                     {{"weight", start.weight}}, texts);
  prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, pairs, {.rate = 0.01});
  training.run();
  // [/policy]
  CHECK(model.weight[0][1].item<float>() > 0);
  CHECK(model.weight[0][3].item<float>() < 0);
  CHECK(start.weight[0][1].item<float>() == 0);
}
