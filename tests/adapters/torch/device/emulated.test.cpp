// SPDX-License-Identifier: MIT
#include <ATen/TensorOperators.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/loss/hinge.hpp>

#include "adapters/cuda_emulator/machine.hpp"
#include "adapters/torch/device/same_as_host.hpp"
#include "support/message_of.hpp"

// Tensors through the kernels of a device, emulated: LibTorch's memory is the emulator's, so that what lies on the CPU to LibTorch lies
// on the device to the kernels. Only the question for LibTorch's current stream is not asked here.

namespace {

using namespace prefer::test;
using Catch::Matchers::Contains;

/// LibTorch's memory from the emulator's; what LibTorch itself writes there the emulator does not see, and so takes for written.
class emulated_memory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) const override {
    void* const at = bytes == 0 ? nullptr : cuda_emulator::allocate(bytes);
    if (at != nullptr) cuda_emulator::written_from_outside(at, bytes);
    return {at, at, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }

 private:
  static void release(void* at) {
    if (at != nullptr) (void)cuda_emulator::release(at);
  }
};
/// From now on, for all of this program: tensors outlive their test in LibTorch's own caches.
void use_emulated_memory() {
  static emulated_memory memory;
  c10::SetCPUAllocator(&memory, 1);
}

/// Every pass is in the order of this stream.
void* const stream = nullptr;

auto const loss_of = [](auto const& formula, auto const& batch, auto& memory) {
  return prefer::detail::torch_loss_on_device(formula, batch, stream, memory,
                                              prefer::single_process{});
};
auto const metrics_of = []<template <class> class Kind>(Kind<prefer::torch::column> const& batch,
                                                        prefer::reward_rule rule) {
  constexpr std::size_t arity = requires { batch.policy.chosen; } ? 2
                                : requires { batch.offset; }      ? prefer::dynamic_arity
                                                                  : 1;
  return prefer::detail::torch_metrics_on_device<arity>(batch, rule, stream);
};

}  // namespace

TEST_CASE("torch on a device: losses of every kind and type are those of the host",
          "[torch][cuda]") {
  use_emulated_memory();
  every_kind_is_the_same([](at::Tensor const& tensor) { return tensor; }, loss_of, metrics_of);
}

TEST_CASE("torch on a device: nobody waits but for a number", "[torch][cuda]") {
  use_emulated_memory();
  problem<double> p({}, 40);
  auto const batch = tensors_of<float>(p.columns<2>());
  auto& now = cuda_emulator::state();
  std::size_t const waits = now.synchronisations, launches = now.launches;
  prefer::nothing none;
  auto const loss =
      loss_of(prefer::dpo{}, prefer::torch::pair_columns{batch.policy, batch.reference}, none);
  loss.backward();
  CHECK(now.synchronisations == waits);
  CHECK(now.launches == launches + 3);  // the pass, the sum of its blocks, and their mean
}

TEST_CASE("torch on a device: what does not fit is refused by name", "[torch][cuda]") {
  use_emulated_memory();
  problem<double> p({}, 4);
  auto const tensors = tensors_of<float>(p.columns<2>());
  prefer::torch::pair_columns const good{tensors.policy, tensors.reference};
  auto const refused = [&](auto const& formula, auto const& change) {
    auto batch = good;
    change(batch);
    prefer::nothing none;
    std::size_t const launches = cuda_emulator::state().launches;
    std::string const said = message_of([&] { (void)loss_of(formula, batch, none); });
    CHECK(cuda_emulator::state().launches == launches);
    return said;
  };
  prefer::dpo const dpo;
  CHECK(message_of([&] {
          prefer::nothing none;
          (void)loss_of(dpo, good, none);
        }).empty());
  CHECK_THAT(refused(dpo, [](auto& b) { b.reference.chosen = at::empty({8}).slice(0, 0, 8, 2); }),
             Contains("the tensor reference.chosen steps over 2 elements; on a device numbers lie "
                      "one after another: use .contiguous()"));
  CHECK_THAT(
      refused(dpo, [](auto& b) { b.reference.chosen = at::empty({4}, at::device(at::kMeta)); }),
      Contains("the tensor reference.chosen lies on meta and the policy's on cpu"));
  CHECK_THAT(refused(dpo, [](auto& b) { b.policy.chosen = at::empty({4}, at::kLong); }),
             Contains("the tensor policy.chosen is of Long"));
  CHECK_THAT(refused(dpo, [](auto& b) { b.weight = at::empty({4}, at::kBool); }),
             Contains("the tensor weight is of Bool"));
  CHECK_THAT(refused(dpo, [](auto& b) { b.reference = {}; }),
             Contains("this loss reads policy, reference; the batch lacks reference"));
  CHECK_THAT(refused(prefer::hinge{}, [](auto&) {}),
             Contains("this program has no kernel of hinge for tensors on cpu: instantiate "
                      "prefer::cuda::for_torch of its type in a .cu file"));
}

TEST_CASE("torch on a device: where its memory is not enough nothing is lost", "[torch][cuda]") {
  use_emulated_memory();
  problem<double> p({}, 500);
  auto const tensors = tensors_of<float>(p.columns<2>());
  prefer::torch::pair_columns const batch{tensors.policy, tensors.reference};
  auto& now = cuda_emulator::state();
  std::size_t const before = now.allocated;
  prefer::nothing none;
  std::size_t refused = 0;
  for (std::size_t room = 4100; room < 12'000; room += 300) {
    now.limit = before + room;
    std::string const said =
        message_of([&] { (void)loss_of(prefer::aot_unpaired{}, batch, none); });
    now.limit = ~std::size_t{0};
    if (said.empty()) continue;
    ++refused;
    CHECK_THAT(said, Contains("cudaMallocAsync") || Contains("alloc"));
    CHECK(now.allocated == before);
    CHECK_FALSE(batch.policy.chosen.tensor().grad().defined());
  }
  CHECK(refused > 3);
}
