// SPDX-License-Identifier: MIT
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/lipo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/metrics/rewards.hpp>

#include "support/message_of.hpp"

namespace {

using namespace prefer;
using Catch::Matchers::Contains;

at::Tensor numbers(std::vector<double> const& values, at::ScalarType type = at::kDouble) {
  return at::tensor(values, at::kDouble).to(type);
}
at::Tensor with_history(std::vector<double> const& values, at::ScalarType type = at::kDouble) {
  return numbers(values, type).requires_grad_(true);
}

/// Three pairs whose numbers 16 bits hold exactly.
prefer::torch::pair_columns pairs(at::ScalarType type = at::kDouble) {
  return {
      .policy = {with_history({-1.0, -2.0, -3.0}, type), with_history({-2.0, -2.5, -1.0}, type)},
      .reference = {numbers({-1.5, -2.5, -3.0}, type), numbers({-1.5, -2.25, -1.5}, type)}};
}

double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// log_ratio of chosen minus of rejected of `pairs`, nats.
std::vector<double> const margins = {1.0, 0.75, -0.5};
constexpr double beta = 0.5;

double mean_loss() {
  double sum = 0;
  for (double const m : margins) sum += std::log1p(std::exp(-beta * m));
  return sum / 3;
}

using test::message_of;

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
    CHECK(loss.scalar_type() == each.of_mean);
    CHECK(loss.item<double>() == Approx(mean_loss()).epsilon(1e-6));
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
  auto const total = prefer::torch::loss(dpo{.beta = beta}, batch) * 3.0 + parameter.sum();
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
  CHECK_FALSE(plain.requires_grad());
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
  CHECK(by_steps.item<double>() == expected.item<double>());

  auto const log_probs = numbers({-1.0, -2.0, -3.0});
  auto const of = [&](at::Tensor const& label) {
    return prefer::torch::loss(
               kto{}, prefer::torch::unpaired_columns{.policy = log_probs,
                                                      .reference = numbers({-1.5, -1.5, -2.0}),
                                                      .label = label,
                                                      .kl_examples = {log_probs, log_probs}})
        .item<double>();
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
    CHECK(prefer::torch::loss(bco_pair{}, batch, memory).item<double>() == expected);
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
  auto const said = metrics(view.columns(), beta);
  CHECK(said.accuracy.mean() == Approx(2.0 / 3));
  CHECK(said.reward_margin.mean() == Approx(beta * (1.0 + 0.75 - 0.5) / 3));
}

TEST_CASE("torch: tensors that are no columns are refused by name", "[torch]") {
  auto const refused = [&](auto const& change) {
    auto batch = pairs();
    change(batch);
    return message_of([&] { (void)prefer::torch::loss(dpo{}, batch); });
  };
  CHECK_THAT(refused([](auto& b) {
               b.policy.chosen = at::ones({3, 1}, at::kDouble);
             }),
             Contains("the tensor policy.chosen has 2 dimensions; a column has one"));
  CHECK_THAT(
      refused([](auto& b) { b.policy.rejected = at::zeros({3}, at::kLong); }),
      Contains(
          "the tensor policy.rejected is of Long; it must be Float, Double, Half or BFloat16"));
  CHECK_THAT(refused([](auto& b) { b.reference.chosen = at::empty({3}, at::device(at::kMeta)); }),
             Contains("the tensor reference.chosen lies on meta"));
  CHECK_THAT(refused([](auto& b) { b.policy.chosen = at::ones({3}, at::kDouble).to_sparse(); }),
             Contains("policy.chosen") && Contains("use .to_dense()"));
  CHECK_THAT(refused([](auto& b) { b.reference.rejected = at::ones({4}, at::kDouble); }),
             Contains("reference.rejected"));
  CHECK_THAT(refused([](auto& b) { b.reference = {}; }), Contains("reference"));
  auto const ragged = [&] {
    std::vector<std::size_t> const offset = {0, 2, 5};
    return message_of([&] {
      (void)prefer::torch::loss_by_autograd(
          lipo{}, prefer::torch::list_columns{.policy = numbers({-1, -2, -3, -4, -5}),
                                              .reference = numbers({-1, -2, -3, -4, -5}),
                                              .score = numbers({2, 1, 3, 2, 1}),
                                              .offset = offset});
    });
  }();
  CHECK_THAT(ragged, Contains("list 1 has 3 completions and list 0 has 2"));
}
