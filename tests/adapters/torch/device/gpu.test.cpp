// SPDX-License-Identifier: MIT
#include <ATen/TensorOperators.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <catch2/catch.hpp>

#include "adapters/torch/device/same_as_host.hpp"
#include "support/message_of.hpp"

// Tensors on a GPU, where there is one: what emulated.test.cpp shows of the emulator, with LibTorch's current stream.

namespace {

using namespace prefer::test;
using Catch::Matchers::Contains;

at::Tensor on_gpu(at::Tensor const& tensor) { return tensor.to(at::kCUDA); }

auto const loss_of = [](auto const& formula, auto const& batch, auto& memory) {
  return prefer::torch::loss(formula, batch, memory);
};
auto const metrics_of = [](auto const& batch, prefer::reward_rule rule) {
  return prefer::torch::metrics(batch, rule);
};

}  // namespace

TEST_CASE("torch on a GPU: losses of every kind and type are those of the host", "[torch][gpu]") {
  every_kind_is_the_same(&on_gpu, loss_of, metrics_of);
}

TEST_CASE("torch on a GPU: work is given to the stream that is current", "[torch][gpu]") {
  auto const stream = c10::cuda::getStreamFromPool();
  c10::cuda::CUDAStreamGuard const guard(stream);
  CHECK(prefer::detail::current_stream(stream.device()) == static_cast<void*>(stream.stream()));
  every_kind_is_the_same(&on_gpu, loss_of, metrics_of);
}

TEST_CASE("torch on a GPU: columns of two devices, and with steps, are refused by name",
          "[torch][gpu]") {
  problem<double> p({}, 4);
  auto const tensors = tensors_of<float>(p.columns<2>());
  auto const refused = [&](at::Tensor const& chosen, at::Tensor const& rejected) {
    return message_of([&] {
      (void)prefer::torch::loss(
          prefer::dpo{},
          prefer::torch::pair_columns{.policy = {chosen, rejected},
                                      .reference = {on_gpu(tensors.reference.chosen.tensor()),
                                                    on_gpu(tensors.reference.rejected.tensor())}});
    });
  };
  at::Tensor const here = tensors.policy.chosen.tensor(), there = on_gpu(here.detach());
  CHECK(refused(there, there).empty());
  CHECK_THAT(refused(there, here),
             Contains("the tensor policy.rejected lies on cpu and the policy's on cuda:0"));
  CHECK_THAT(refused(here, here), Contains("the tensor reference.chosen lies on cuda:0"));
  CHECK_THAT(refused(there, there.expand({2, 4}).transpose(0, 1).contiguous().select(1, 0)),
             Contains("the tensor policy.rejected steps over 2 elements"));
}
