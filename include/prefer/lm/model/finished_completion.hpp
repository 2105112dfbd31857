// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/lm/layers/listener.hpp>

namespace prefer::inline v0_1::lm {

/// A completion that is ready: its number among those of the call, and its tokens.
struct finished_completion {
  std::size_t number;
  std::span<std::uint32_t const> tokens;
};
/// Who is told after each round of tokens which completions it finished, if any. What it throws ends the sampling, and
/// nothing is written.
using sampling_listener = listener<std::span<finished_completion const>>;

}  // namespace prefer::inline v0_1::lm
