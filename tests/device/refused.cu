// expect: prefer: on a device a formula is constexpr, and so is all that it calls
// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>

struct mine {
  static constexpr std::size_t arity = 2;
  auto operator()(auto const& pair) const { return -pair.log_ratio_margin(); }
};
double loss(prefer::cuda::pair_columns const& batch) {
  return prefer::cuda::evaluate(mine{}, batch).loss.read();
}
