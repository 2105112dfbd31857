// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/model/row_layout.hpp>

namespace prefer::inline v0_1::lm {

// Hidden states as features of what a batch was asked for, and their gradients back to the rows.

/// Errors  precondition_error for features of another number than the batch's completions or steps have
inline void expects_features(choice_batch const& batch, row_question const& asked,
                             std::size_t features, std::size_t width, char const* where) {
  std::size_t count = batch.completions();
  if (asked.scoring == row_scoring::steps) {
    expects_size(asked.step_offset.size(), count + 1, where, "step_offset");
    count = asked.step_offset.back() - asked.step_offset.front();
  }
  expects_size(features, count * width, where, "features");
}

/// Writes the hidden state [scored rows, width] of each scored token to the beginning of `out`. How many numbers that are.
template <std::floating_point T>
std::size_t tell_features(row_layout const& layout, std::span<T const> hidden, std::size_t width,
                          std::span<T> out) {
  std::size_t told = 0;
  for (std::uint32_t const row : layout.scored_from()) {
    auto const of_row = hidden.subspan(row * width, width);
    std::copy(of_row.begin(), of_row.end(), out.begin() + static_cast<std::ptrdiff_t>(told));
    told += width;
  }
  return told;
}

/// The gradient of each scored row [scored rows, width] from those of the scored tokens, several of which one row may serve.
template <std::floating_point T>
void add_features(row_layout const& layout, std::span<T const> gradient, std::size_t width,
                  std::vector<T>& of_rows) {
  of_rows.assign(layout.scored_rows().size() * width, T(0));
  for (std::size_t k = 0; k != gradient.size(); ++k) {
    of_rows[layout.scored_from()[k / width] * width + k % width] += gradient[k];
  }
}

/// Of each row a number of its own, the same in any batch: what is drawn for it is drawn there.
inline void number_rows(row_layout const& layout, choice_batch const& batch,
                        std::vector<std::uint64_t>& out) {
  out.clear();
  for (std::size_t g = 0; g != batch.size(); ++g) {
    std::uint64_t const row = batch.row.empty() ? g : batch.row[g];
    for (std::size_t r = layout.group_rows()[g]; r != layout.group_rows()[g + 1]; ++r) {
      out.push_back(row << 24 | (r - layout.group_rows()[g]));
    }
  }
}

}  // namespace prefer::inline v0_1::lm
