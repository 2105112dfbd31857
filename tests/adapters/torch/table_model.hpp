// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>

// A language model in LibTorch with a memory of one token, and texts for it.

namespace prefer::test {

inline constexpr std::size_t vocabulary = 5;

/// logits of the next token = row of the current one.
struct table_model {
  at::Tensor table;
  at::Tensor operator()(at::Tensor const& ids) const { return at::embedding(table, ids); }
};

/// Prompts are one or two tokens, of which the bigram sees the last; completions one to three tokens.
inline token_sequences sequences() {
  token_sequences out;
  for (std::uint32_t x = 0; x != vocabulary; ++x) {
    out.prompts.add(x % 2 == 0 ? std::vector<std::uint32_t>{x}
                               : std::vector<std::uint32_t>{4 - x, x});
  }
  for (std::uint32_t y = 0; y != 8; ++y) {
    std::vector<std::uint32_t> tokens;
    for (std::uint32_t t = 0; t != 1 + y % 3; ++t)
      tokens.push_back((3 * y + 2 * t + 1) % vocabulary);
    out.completions.add(tokens);
  }
  return out;
}

inline choice_data data() {
  choice_data out;
  for (std::uint32_t i = 0; i != 12; ++i)
    out.add_pair(i % vocabulary, (3 * i) % 8, (3 * i + 5) % 8);
  return out;
}

inline std::vector<double> logits() {
  std::vector<double> out;
  for (std::size_t k = 0; k != vocabulary * vocabulary; ++k)
    out.push_back(static_cast<double>(k * 37 % 11) / 8 - 0.5);
  return out;
}

inline at::Tensor table_of(std::vector<double> const& values, bool trains = true) {
  auto const n = static_cast<std::int64_t>(vocabulary);
  return at::tensor(values, at::kDouble).reshape({n, n}).clone().requires_grad_(trains);
}

}  // namespace prefer::test
