// SPDX-License-Identifier: MIT
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/metrics.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/metrics/rewards.hpp>

#include "adapters/torch/pairs.hpp"
#include "support/message_of.hpp"

namespace {

using namespace prefer;
using Catch::Matchers::Contains;

using namespace prefer::test;

}  // namespace

TEST_CASE("torch: value and gradient are those of the formula, in every type of element",
          "[torch]") {
  // What the type of the gradient rounds, relative to coefficients below 1/12.
  struct type {
    at::ScalarType element;
    double tolerance;
    at::ScalarType of_mean;
  };
  for (auto const& each :
       {type{at::kDouble, 1e-15, at::kDouble}, type{at::kFloat, 1e-7, at::kFloat},
        type{at::kHalf, 0x1p-11, at::kFloat}, type{at::kBFloat16, 0x1p-8, at::kFloat}}) {
    auto const batch = pairs(each.element);
    auto const loss = prefer::torch::loss(dpo{.beta = beta}, batch);
    CHECK(loss.value().scalar_type() == each.of_mean);
    CHECK(loss.value().item<double>() == Approx(mean_loss()).epsilon(1e-6));
    CHECK(loss.read() == Approx(mean_loss()).epsilon(each.element == at::kDouble ? 1e-14 : 1e-6));
    loss.backward();
    for (std::size_t i = 0; i != margins.size(); ++i) {
      double const expected = -beta * sigmoid_of(-beta * margins[i]) / 3;
      auto const at = static_cast<std::int64_t>(i);
      auto const chosen = batch.policy.chosen.tensor().grad();
      CHECK(chosen.scalar_type() == each.element);
      CHECK(std::fabs(chosen[at].item<double>() - expected) <= each.tolerance);
      CHECK(std::fabs(batch.policy.rejected.tensor().grad()[at].item<double>() + expected) <=
            each.tolerance);
    }
    CHECK_FALSE(batch.reference.chosen.tensor().grad().defined());
  }
}

TEST_CASE("torch: a loss is one term of a graph", "[torch]") {
  // log-probabilities are twice a parameter's numbers, and the loss is counted three times.
  auto const parameter = with_history({-0.5, -1.0, -1.5});
  auto batch = pairs();
  batch.policy.chosen = parameter * 2.0;
  auto const total = prefer::torch::loss(dpo{.beta = beta}, batch).value() * 3.0 + parameter.sum();
  total.backward();
  for (std::size_t i = 0; i != margins.size(); ++i) {
    double const expected = 3 * 2 * -beta * sigmoid_of(-beta * margins[i]) / 3 + 1;
    CHECK(parameter.grad()[static_cast<std::int64_t>(i)].item<double>() ==
          Approx(expected).epsilon(1e-14));
  }
  // Without a history there is nothing to go back to.
  auto const plain = prefer::torch::loss(
      dpo{}, prefer::torch::pair_columns{.policy = {numbers({-1.0}), numbers({-2.0})},
                                         .reference = {numbers({-1.0}), numbers({-1.0})}});
  CHECK_FALSE(plain.value().requires_grad());
  CHECK_THAT(message_of([&] { plain.backward(); }), Contains("asks for a gradient"));
}

TEST_CASE("torch: columns with steps, and integers as lengths and labels", "[torch]") {
  auto const table = numbers({-1.0, -2.0, -3.0, -2.0, -2.5, -1.0}).reshape({2, 3}).t().contiguous();
  auto const lengths = at::tensor(std::vector<std::int64_t>{2, 4, 1}, at::kLong);
  auto const chosen = table.select(1, 0);
  REQUIRE(chosen.stride(0) == 2);
  auto const by_steps = prefer::torch::loss(
      simpo{}, prefer::torch::pair_columns{.policy = {chosen, table.select(1, 1)},
                                           .length = {lengths, lengths}});
  auto const expected = prefer::torch::loss(
      simpo{},
      prefer::torch::pair_columns{.policy = {chosen.contiguous(), table.select(1, 1).contiguous()},
                                  .length = {numbers({2, 4, 1}), numbers({2, 4, 1})}});
  CHECK(by_steps.read() == expected.read());

  auto const log_probs = numbers({-1.0, -2.0, -3.0});
  auto const of = [&](at::Tensor const& label) {
    return prefer::torch::loss(
               kto{}, prefer::torch::unpaired_columns{.policy = log_probs,
                                                      .reference = numbers({-1.5, -1.5, -2.0}),
                                                      .label = label,
                                                      .kl_examples = {log_probs, log_probs}})
        .read();
  };
  auto const as_bool = of(at::tensor(std::vector<std::int64_t>{1, 0, 1}, at::kLong).to(at::kBool));
  CHECK(as_bool == of(at::tensor(std::vector<std::int64_t>{1, 0, 1}, at::kLong)));
  CHECK(as_bool != of(at::tensor(std::vector<std::int64_t>{0, 1, 0}, at::kLong)));
}

TEST_CASE("torch: a loss that remembers updates its memory", "[torch]") {
  loss_memory<bco_pair> memory{}, expected_memory{};
  auto const batch = pairs();
  auto const view = prefer::torch::in_memory(batch);
  for (int step = 0; step != 2; ++step) {
    double const expected = evaluate(bco_pair{}, view.columns(), expected_memory).loss;
    CHECK(prefer::torch::loss(bco_pair{}, batch, memory).read() == expected);
  }
}

TEST_CASE("torch: second derivatives by autograd, and refused by the node", "[torch]") {
  auto const batch = pairs();
  auto const& chosen = batch.policy.chosen.tensor();
  auto const twice = [&](at::Tensor const& loss) {
    auto const first = ::torch::autograd::grad({loss}, {chosen}, {}, true, true);
    return ::torch::autograd::grad({first[0].sum()}, {chosen})[0];
  };
  auto const second = twice(prefer::torch::loss_by_autograd(dpo{.beta = beta}, batch));
  for (std::size_t i = 0; i != margins.size(); ++i) {
    double const p = sigmoid_of(beta * margins[i]);
    CHECK(second[static_cast<std::int64_t>(i)].item<double>() ==
          Approx(beta * beta * p * (1 - p) / 3).epsilon(1e-13));
  }
  CHECK_THAT(
      message_of([&] { (void)twice(prefer::torch::loss(dpo{.beta = beta}, batch)); }),
      Contains(
          "torch::loss has no second derivatives (create_graph): use torch::loss_by_autograd"));
}

TEST_CASE("torch: metrics of tensors", "[torch]") {
  auto const batch = pairs();
  auto const view = prefer::torch::in_memory(batch);
  for (pair_metrics const& said :
       {metrics(view.columns(), beta), prefer::torch::metrics(batch, reward_rule{.beta = beta})}) {
    CHECK(said.accuracy.mean() == Approx(2.0 / 3));
    CHECK(said.reward_margin.mean() == Approx(beta * (1.0 + 0.75 - 0.5) / 3));
  }
}
