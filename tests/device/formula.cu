// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/loss/dpo.hpp>

// The instructions of one kernel are looked at: with -DLEFT_OUT those of a formula that calls a host function, behind the
// check that is taken away by calling the kernel itself.

namespace {

namespace gpu = prefer::cuda;

[[maybe_unused]] inline float host_exp(float x) { return std::exp(x); }

struct left_out {
  template <class Pair>
  constexpr auto operator()(Pair const& pair) const {
    return host_exp(pair.log_ratio_margin());
  }
};

template <std::size_t N, class F>
void const* kernel_of() {
  return reinterpret_cast<void const*>(&gpu::map_records<float, gpu::pair_columns, ~0u, N, F>);
}

}  // namespace

void const* kernel() {
#if defined(LEFT_OUT)
  return kernel_of<1, left_out>();
#else
  return kernel_of<prefer::detail::pair_outputs, prefer::detail::pair_pass<prefer::dpo>>();
#endif
}
