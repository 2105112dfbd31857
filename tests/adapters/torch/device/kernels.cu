// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/sort.cuh>

#include "adapters/torch/device/losses.hpp"

// [kernels]
#include <prefer/adapters/cuda/for_torch.cuh>
#include <prefer/loss/dpo.hpp>

template struct prefer::cuda::for_torch<prefer::dpo>;
// [/kernels]

namespace gpu = prefer::cuda;

template struct gpu::for_torch<prefer::test::dpo_and_nll>;
template struct gpu::for_torch<prefer::orpo>;
template struct gpu::for_torch<prefer::tdpo2>;         // divergence
template struct gpu::for_torch<prefer::kto_pair>;      // a state
template struct gpu::for_torch<prefer::beta_dpo<>>;    // memory and random keys
template struct gpu::for_torch<prefer::aot_unpaired>;  // sorts
template struct gpu::for_torch<prefer::kto>;
template struct gpu::for_torch<prefer::bco>;
template struct gpu::for_torch<prefer::test::squared_value_error>;
template struct gpu::for_torch<prefer::lipo>;           // by dual numbers
template struct gpu::for_torch<prefer::plackett_luce>;  // by its own rule
