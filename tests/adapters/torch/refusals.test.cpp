// SPDX-License-Identifier: MIT
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/metrics.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/lipo.hpp>
#include <prefer/loss/simpo.hpp>

#include "adapters/torch/pairs.hpp"
#include "support/message_of.hpp"

// What does not fit gets a sentence that names the tensor. LibTorch's device "meta", which has no memory, is a second device here.

namespace {

using namespace prefer::test;
using Catch::Matchers::Contains;

at::Tensor elsewhere() { return at::empty({3}, at::device(at::kMeta)); }

std::string refused(prefer::Loss auto const& loss, auto const& change) {
  auto batch = pairs();
  change(batch);
  std::string const by_node = message_of([&] { (void)prefer::torch::loss(loss, batch); });
  // The other way refuses in the same words.
  CHECK(message_of([&] { (void)prefer::torch::loss_by_autograd(loss, batch); }) == by_node);
  return by_node;
}

}  // namespace

TEST_CASE("torch: tensors that are no columns are refused by name", "[torch]") {
  prefer::dpo const loss;
  CHECK_THAT(refused(loss,
                     [](auto& b) {
                       b.policy.chosen = at::ones({3, 1}, at::kDouble);
                     }),
             Contains("the tensor policy.chosen has 2 dimensions; a column has one"));
  CHECK_THAT(
      refused(loss, [](auto& b) { b.policy.chosen = at::ones({3}, at::kDouble).to_sparse(); }),
      Contains("the tensor policy.chosen is sparse; use .to_dense()"));
}

TEST_CASE("torch: tensors of another type are refused by name", "[torch]") {
  prefer::dpo const loss;
  CHECK_THAT(
      refused(loss, [](auto& b) { b.policy.rejected = at::zeros({3}, at::kLong); }),
      Contains(
          "the tensor policy.rejected is of Long; it must be Float, Double, Half or BFloat16"));
  CHECK_THAT(refused(loss, [](auto& b) { b.reference.chosen = at::zeros({3}, at::kInt); }),
             Contains("the tensor reference.chosen is of Int; it must be Float"));
  CHECK_THAT(refused(loss, [](auto& b) { b.policy.chosen = at::zeros({3}, at::kComplexDouble); }),
             Contains("the tensor policy.chosen is of ComplexDouble; it must be Float"));
  CHECK_THAT(refused(loss, [](auto& b) { b.weight = at::ones({3}, at::kBool); }),
             Contains("the tensor weight is of Bool; it must be Float"));
}

TEST_CASE("torch: tensors on different devices are refused by name", "[torch]") {
  prefer::dpo const loss;
  CHECK_THAT(refused(loss, [](auto& b) { b.reference.chosen = elsewhere(); }),
             Contains("the tensor reference.chosen lies on meta and the policy's on cpu; all "
                      "columns of a batch lie on one device: use .to(...)"));
  CHECK_THAT(refused(loss, [](auto& b) { b.policy.rejected = elsewhere(); }),
             Contains("the tensor policy.rejected lies on meta and the policy's on cpu"));
  CHECK_THAT(refused(loss, [](auto& b) { b.policy.chosen = elsewhere(); }),
             Contains("the policy's tensors lie on meta"));
  auto batch = pairs();
  batch.policy.chosen = elsewhere();
  CHECK_THAT(message_of([&] { (void)prefer::torch::metrics(batch, {}); }),
             Contains("the policy's tensors lie on meta"));
}

TEST_CASE("torch: lengths that do not add up, and columns that are missing, are named", "[torch]") {
  prefer::dpo const loss;
  CHECK_THAT(refused(loss, [](auto& b) { b.reference.rejected = at::ones({4}, at::kDouble); }),
             Contains("reference.rejected has 4 elements, expected 3"));
  CHECK_THAT(refused(loss, [](auto& b) { b.weight = at::ones({2}); }),
             Contains("weight has 2 elements, expected 3"));
  CHECK_THAT(refused(loss, [](auto& b) { b.reference = {}; }),
             Contains("this loss reads policy, reference; the batch lacks reference"));
  CHECK_THAT(refused(loss, [](auto& b) { b.reference.rejected = {}; }),
             Contains("reference is given for chosen completions only"));
  CHECK_THAT(refused(loss, [](auto& b) { b.policy = {}; }), Contains("the batch lacks policy"));
  CHECK_THAT(refused(prefer::simpo{}, [](auto&) {}), Contains("the batch lacks length"));
  CHECK_THAT(refused(loss,
                     [](auto& b) {
                       for (auto* each : {&b.policy.chosen, &b.policy.rejected, &b.reference.chosen,
                                          &b.reference.rejected})
                         *each = at::ones({0});
                     }),
             Contains("the batch is empty"));
}

TEST_CASE("torch: offsets that do not fit lists are refused", "[torch]") {
  auto const refused_with = [&](std::vector<std::size_t> const& offset, auto const& evaluate) {
    auto const five = numbers({-1, -2, -3, -4, -5});
    prefer::torch::list_columns const lists{
        .policy = five, .reference = five, .score = numbers({2, 1, 3, 2, 1}), .offset = offset};
    return message_of([&] { evaluate(lists); });
  };
  auto const by_node = [](auto const& lists) { (void)prefer::torch::loss(prefer::lipo{}, lists); };
  CHECK_THAT(refused_with({0, 2, 4}, by_node),
             Contains("offset must run from 0 to the number of completions, 5"));
  CHECK_THAT(refused_with({0, 5, 5}, by_node), Contains("list 1 is empty"));
  CHECK(refused_with({0, 2, 5}, by_node).empty());
  CHECK_THAT(refused_with({0, 2, 5},
                          [](auto const& lists) {
                            (void)prefer::torch::loss_by_autograd(prefer::lipo{}, lists);
                          }),
             Contains("list 1 has 3 completions and list 0 has 2"));
}
