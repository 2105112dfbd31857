// SPDX-License-Identifier: MIT
#include <prefer/loss/dpo.hpp>

#include "device/kernels.cuh"

// The instructions of one kernel are looked at: with -DLEFT_OUT those of a formula that calls a host function, behind a
// check that is taken away.

namespace {

[[maybe_unused]] inline float host_exp(float x) { return std::exp(x); }

struct left_out {
  template <class Pair>
  constexpr auto operator()(Pair const& pair) const {
    return host_exp(pair.log_ratio_margin());
  }
};

template <class L>
__global__ void unchecked_kernel(L loss, float const* chosen, float const* rejected, float* out) {
  prefer::pair_record<float> record;
  record.chosen.log_prob = chosen[threadIdx.x];
  record.rejected.log_prob = rejected[threadIdx.x];
  out[threadIdx.x] = loss(record);
}

}  // namespace

void const* kernel() {
#if defined(LEFT_OUT)
  return reinterpret_cast<void const*>(&unchecked_kernel<left_out>);
#else
  return reinterpret_cast<void const*>(&unchecked_kernel<prefer::dpo>);
#endif
}
