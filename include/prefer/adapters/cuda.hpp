// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/dialect.cuh>

#include <prefer/adapters/cuda/backend.cuh>
#include <prefer/adapters/cuda/column.cuh>
#include <prefer/adapters/cuda/evaluation.cuh>
#include <prefer/adapters/cuda/runtime.cuh>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/on_backend.hpp>

// Columns on a device: every loss of the catalogue, its statistics and its metrics run there, in the order of a stream.
//
//   prefer::cuda::device_column<float> chosen(...), rejected(...);
//   auto const result = prefer::cuda::evaluate(prefer::dpo{.beta = 0.1}, prefer::cuda::pair_columns{
//       .policy = {.chosen = chosen, .rejected = rejected}, .reference = {...}});
//
// In .cu files, with -std=c++20 --expt-relaxed-constexpr. Losses that sort their batch also need adapters/cuda/sort.cuh.
