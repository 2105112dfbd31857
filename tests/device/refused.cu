// expect: prefer: on a device a formula is constexpr, and so is all that it calls
// SPDX-License-Identifier: MIT
#include "device/kernels.cuh"

struct mine {
  static constexpr std::size_t arity = 2;
  auto operator()(auto const& pair) const { return -pair.log_ratio_margin(); }
};
void const* kernel() {
  return reinterpret_cast<void const*>(&prefer::test::device::pair_kernel<mine>);
}
