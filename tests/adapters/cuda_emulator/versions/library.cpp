// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/token_sums.cuh>

#include <vector>

// A library that has kernels of whatever version it is compiled with.

/// What a token of a completion gets whose number is 41: that, or what the kernel of this version makes of it.
extern "C" float number_of_token() {
  namespace gpu = prefer::cuda;
  cudaStream_t const stream = nullptr;
  gpu::device_column<float> const completions(std::vector<float>{41.0f}, stream);
  gpu::device_column<float> tokens(1, stream);
  gpu::spread_over_tokens(completions, gpu::list_offsets({0, 1}, stream), tokens);
  return tokens.to_host()[0];
}
