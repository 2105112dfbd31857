// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <vector>

#include <prefer/adapters/torch/column.hpp>

// Three pairs of which everything is known by hand.

namespace prefer::test {

inline at::Tensor numbers(std::vector<double> const& values, at::ScalarType type = at::kDouble) {
  return at::tensor(values, at::kDouble).to(type);
}
inline at::Tensor with_history(std::vector<double> const& values,
                               at::ScalarType type = at::kDouble) {
  return numbers(values, type).requires_grad_(true);
}

/// Three pairs whose numbers 16 bits hold exactly.
inline prefer::torch::pair_columns pairs(at::ScalarType type = at::kDouble) {
  return {
      .policy = {with_history({-1.0, -2.0, -3.0}, type), with_history({-2.0, -2.5, -1.0}, type)},
      .reference = {numbers({-1.5, -2.5, -3.0}, type), numbers({-1.5, -2.25, -1.5}, type)}};
}

inline double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// log_ratio of chosen minus of rejected of `pairs`, nats.
inline std::vector<double> const margins = {1.0, 0.75, -0.5};
inline constexpr double beta = 0.5;

inline double mean_loss() {
  double sum = 0;
  for (double const m : margins) sum += std::log1p(std::exp(-beta * m));
  return sum / 3;
}

}  // namespace prefer::test
