// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/kernels.cuh>

#include <cstddef>
#include <cstdint>
#include <string>

#include <prefer/expects.hpp>

// From numbers of tokens to numbers of completions, and back.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// A warp for each completion: the sum of its tokens' numbers, 0 of an empty one; in the same order always.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    sum_of_tokens(input of_tokens, std::size_t const* offset, output of_completions,
                  std::size_t completions) {
  std::size_t const b = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (b >= completions) return;  // a whole warp
  S sum = 0.0;
  for (std::size_t t = offset[b] + threadIdx.x % 32; t < offset[b + 1]; t += 32) {
    sum += loads<S>::load(of_tokens + t);
  }
  for (unsigned by = 16; by > 0; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
  if (threadIdx.x % 32 == 0) of_completions.write(b, sum);
}
/// Each token has the number of its completion.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    number_of_completion(input of_completions, std::size_t const* offset, output of_tokens,
                         std::size_t completions) {
  std::size_t const b = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (b >= completions) return;
  S const number = loads<S>::load(of_completions + b);
  for (std::size_t t = offset[b] + threadIdx.x % 32; t < offset[b + 1]; t += 32) {
    of_tokens.write(t, number);
  }
}

inline output expect_rows(mutable_column const& to, std::size_t rows, char const* function,
                          char const* argument) {
  if (!to.present()) return {};
  expects_size(to.size(), rows, function, argument);
  return {to.data(), to.stored_as()};
}
inline input expect_numbers(column const& from, std::size_t rows, char const* function,
                            char const* argument) {
  expects_size(from.size(), rows, function, argument);
  return {from.data(), from.stored_as()};
}
/// Offsets of completions among tokens, which may be empty: ascending, from 0 to the number of tokens.
inline void expect_completions(list_offsets const& offset, std::size_t tokens,
                               char const* function) {
  bool good = !offset.empty() && offset.front() == 0 && offset.back() == tokens;
  for (std::size_t b = 0; good && b + 1 < offset.size(); ++b) good = offset[b] <= offset[b + 1];
  if (!good) {
    refuse(std::string(function) + ": offset must ascend from 0 to the number of tokens, " +
           std::to_string(tokens));
  }
}

/// The numbers of tokens added up for each completion: log_prob of completions from those of their tokens. Those of
/// completion b are [offset[b], offset[b + 1]); the sum of an empty one is 0.
inline void sum_over_tokens(column const& of_tokens, list_offsets const& offset,
                            mutable_column const& of_completions) {
  char const* const here = "sum_over_tokens";
  expect_completions(offset, of_tokens.size(), here);
  std::size_t const completions = offset.size() - 1;
  launch(of_tokens.stream(), (completions * 32 + threads_of_block - 1) / threads_of_block,
         threads_of_block, here, &sum_of_tokens<double>,
         expect_numbers(of_tokens, of_tokens.size(), here, "of_tokens"),
         offset.on_device(of_tokens.stream()),
         expect_rows(of_completions, completions, here, "of_completions"), completions);
}
/// The transpose: every token gets the number of its completion, as coefficients go back.
inline void spread_over_tokens(column const& of_completions, list_offsets const& offset,
                               mutable_column const& of_tokens) {
  char const* const here = "spread_over_tokens";
  expect_completions(offset, of_tokens.size(), here);
  std::size_t const completions = offset.size() - 1;
  launch(of_completions.stream(), (completions * 32 + threads_of_block - 1) / threads_of_block,
         threads_of_block, here, &number_of_completion<double>,
         expect_numbers(of_completions, completions, here, "of_completions"),
         offset.on_device(of_completions.stream()),
         expect_rows(of_tokens, of_tokens.size(), here, "of_tokens"), completions);
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
