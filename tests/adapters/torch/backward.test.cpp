// SPDX-License-Identifier: MIT
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/loss/dpo.hpp>

#include "adapters/torch/pairs.hpp"
#include "support/message_of.hpp"

// backward() begins at the columns, where that of a tensor begins at the loss: what it leaves behind is the same.

namespace {

using namespace prefer::test;
using Catch::Matchers::Contains;

auto loss_of(prefer::torch::pair_columns const& batch) {
  return prefer::torch::loss(prefer::dpo{.beta = beta}, batch);
}
at::Tensor gradient(prefer::torch::column const& column) { return column.tensor().grad(); }

/// `at` times what the formula gives for the chosen completions.
void check(at::Tensor const& got, double at, double tolerance = 1e-15) {
  REQUIRE(got.defined());
  for (std::size_t i = 0; i != margins.size(); ++i) {
    double const expected = at * -beta * sigmoid_of(-beta * margins[i]) / 3;
    CHECK(std::fabs(got[static_cast<std::int64_t>(i)].item<double>() - expected) <= tolerance);
  }
}

}  // namespace

TEST_CASE("torch backward: the first gradient of a leaf, and what is added to it", "[torch]") {
  auto const batch = pairs();
  loss_of(batch).backward();
  check(gradient(batch.policy.chosen), 1);
  check(gradient(batch.policy.rejected), -1);
  loss_of(batch).backward();
  check(gradient(batch.policy.chosen), 2);
  CHECK_FALSE(gradient(batch.reference.chosen).defined());
}

TEST_CASE("torch backward: through what made the columns, and one column twice", "[torch]") {
  auto const parameter = with_history({-0.5, -1.0, -1.5});
  auto batch = pairs();
  batch.policy.chosen = parameter * 2.0;
  loss_of(batch).backward();
  check(parameter.grad(), 2);
  check(gradient(batch.policy.rejected), -1);

  auto twice = pairs();
  twice.policy.rejected = twice.policy.chosen;
  loss_of(twice).backward();
  for (std::int64_t i = 0; i != 3; ++i)
    CHECK(gradient(twice.policy.chosen)[i].item<double>() == 0.0);
}

TEST_CASE("torch backward: leaves with steps keep their own layout", "[torch]") {
  auto batch = pairs();
  auto const table = at::empty({3, 2}, at::kDouble);
  auto const leaf = table.select(1, 0).copy_(batch.policy.chosen.tensor().detach()).detach();
  batch.policy.chosen = leaf.requires_grad_(true);
  REQUIRE(leaf.stride(0) == 2);
  loss_of(batch).backward();
  check(leaf.grad(), 1);
}

TEST_CASE("torch backward: hooks see and change gradients", "[torch]") {
  auto const batch = pairs();
  int seen = 0;
  batch.policy.chosen.tensor().register_hook([&](at::Tensor const& by) {
    ++seen;
    return by * 10.0;
  });
  loss_of(batch).backward();
  CHECK(seen == 1);
  check(gradient(batch.policy.chosen), 10, 1e-14);

  auto const parameter = with_history({-0.5, -1.0, -1.5});
  auto through = pairs();
  through.policy.chosen = parameter * 2.0;
  through.policy.chosen.tensor().register_hook([&](at::Tensor const& by) { return by * 10.0; });
  loss_of(through).backward();
  check(parameter.grad(), 20, 1e-14);
}

TEST_CASE("torch backward: once, or as often as derivatives are kept", "[torch]") {
  auto const batch = pairs();
  auto const once = loss_of(batch);
  once.backward();
  CHECK_THAT(message_of([&] { once.backward(); }),
             Contains("backward(true) keeps its derivatives"));
  CHECK_THAT(message_of([&] { (void)once.value(); }),
             Contains("backward(true) keeps its derivatives"));
  CHECK(once.read() == Approx(mean_loss()));
  check(gradient(batch.policy.chosen), 1);

  auto const other = pairs();
  auto const kept = loss_of(other);
  kept.backward(true);
  gradient(other.policy.chosen).zero_();  // is the leaf's own
  kept.backward(true);
  check(gradient(other.policy.chosen), 1);
  kept.value().backward();
  check(gradient(other.policy.chosen), 2);

  // The tensor's node has the derivatives too, so that a leaf does not take them for its own.
  auto const shared = pairs();
  auto const both = loss_of(shared);
  auto const value = both.value();
  both.backward();
  gradient(shared.policy.chosen).zero_();
  value.backward();
  check(gradient(shared.policy.chosen), 1);
}

TEST_CASE("torch backward: of columns that ask for no gradient there is none", "[torch]") {
  auto batch = pairs();
  batch.policy.rejected = batch.policy.rejected.tensor().detach();
  auto const half = loss_of(batch);
  CHECK(half.read() == Approx(mean_loss()).epsilon(1e-14));
  half.backward();
  check(gradient(batch.policy.chosen), 1);
  CHECK_FALSE(gradient(batch.policy.rejected).defined());

  auto const quiet = pairs();
  at::NoGradGuard const guard;
  auto const plain = loss_of(quiet);
  CHECK(plain.read() == Approx(mean_loss()).epsilon(1e-14));
  CHECK_FALSE(plain.value().requires_grad());
  CHECK_THAT(message_of([&] { plain.backward(); }), Contains("asks for a gradient"));
}

TEST_CASE("torch backward: a scale against underflow is beyond half's largest number", "[torch]") {
  auto const batch = pairs(at::kHalf);
  double const scale = 65536;
  (loss_of(batch).value() * scale).backward();
  // Coefficients are float until they have been multiplied; 65536 itself is infinite in half.
  check(gradient(batch.policy.chosen), scale, scale / 12 * 0x1p-11);
}
