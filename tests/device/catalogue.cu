// SPDX-License-Identifier: MIT
#include <prefer/loss/catalogue.hpp>

#include "device/kernels.cuh"

// Every loss of the catalogue as a kernel, to be compiled: tests/device/compile.cmake.

namespace {

// Functors with names: nvcc's front end takes no generic lambda here.
struct take_kernel {
  void const** to;

  template <prefer::Loss L>
  void operator()(L const&, prefer::loss_info const&) const {
    using namespace prefer::test::device;
    if constexpr (L::arity == 1) {
      *to = reinterpret_cast<void const*>(&unpaired_kernel<L>);
    } else if constexpr (L::arity == 2) {
      *to = reinterpret_cast<void const*>(&pair_kernel<L>);
    } else {
      *to = reinterpret_cast<void const*>(&list_kernel<L>);
    }
  }
};

}  // namespace

void const* last_kernel() {
  void const* kernel = nullptr;
  prefer::for_each_loss(take_kernel{&kernel});
  return kernel;
}
