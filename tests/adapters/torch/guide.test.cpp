// SPDX-License-Identifier: MIT
#include <ATen/ops/tensor.h>

#include <cmath>
#include <cstdio>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/metrics/rewards.hpp>

// What docs/guides/torch.md says.

TEST_CASE("torch: the guide", "[torch][docs]") {
  auto const chosen = at::tensor({-12.0, -9.0}, at::kDouble).requires_grad_(true);
  auto const rejected = at::tensor({-8.0, -9.0}, at::kDouble).requires_grad_(true);
  auto const reference_chosen = at::tensor({-12.0, -11.0}, at::kDouble);
  auto const reference_rejected = at::tensor({-8.0, -7.0}, at::kDouble);
  // Margins are 0 and 2 - (-2) nats.
  double const expected = (std::log(2.0) + std::log1p(std::exp(-0.1 * 4.0))) / 2;
  {
    // [node]
    at::Tensor const loss = prefer::torch::loss(
        prefer::dpo{.beta = 0.1},
        prefer::torch::pair_columns{
            .policy = {chosen, rejected},  // log-probabilities, with their history
            .reference = {reference_chosen, reference_rejected}});
    loss.backward();
    // [/node]
    CHECK(loss.item<double>() == Approx(expected).epsilon(1e-14));
    CHECK(chosen.grad()[0].item<double>() == Approx(-0.1 / 2 / 2).epsilon(1e-14));
  }
  prefer::torch::pair_columns const batch{.policy = {chosen, rejected},
                                          .reference = {reference_chosen, reference_rejected}};
  {
    // [metrics]
    auto const view = prefer::torch::in_memory(batch);
    auto const said = prefer::metrics(view.columns(), 0.1);
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
