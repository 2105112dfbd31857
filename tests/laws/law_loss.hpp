// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/loss/xpo.hpp>

#include "laws/problem.hpp"

namespace prefer::test {

/// The loss as the laws take it: with its defaults, but for parameters whose default hides a term.
template <Loss L>
[[nodiscard]] constexpr L law_loss() {
  if constexpr (std::is_same_v<L, bradley_terry>) {
    return {.centering = 0.01};
  } else if constexpr (std::is_same_v<L, xpo>) {
    return {.alpha = 0.01};
  } else {
    return {};
  }
}

/// Denoising errors are squared noise per coordinate, small numbers, and beta is large to match.
template <Loss L>
inline constexpr double unit_of = std::is_same_v<L, diffusion_dpo> ? 0x1p-12 : 1.0;

/// What the batches of this loss look like.
template <Loss L>
[[nodiscard]] constexpr batch_shape shape_of() {
  return {.arity = L::arity,
          .list_size = prefer::list_size_of<L>(),
          .divergence = needs<L>.contains(column_name::divergence),
          .unit = unit_of<L>};
}

}  // namespace prefer::test
