// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>

// What tests of aggregations share.
namespace prefer::test {

/// Groups of completions of which only the lengths matter; completion i of the batch has the number i.
struct lengths_only {
  choice_data data;
  std::vector<std::size_t> token_offset = {0};
  std::vector<std::size_t> row;
  std::uint64_t draw = 0;

  explicit lengths_only(std::vector<std::vector<std::size_t>> const& groups) {
    for (auto const& group : groups) {
      std::vector<std::uint32_t> ids;
      for (std::size_t const length : group) {
        ids.push_back(static_cast<std::uint32_t>(token_offset.size() - 1));
        token_offset.push_back(token_offset.back() + length);
      }
      row.push_back(data.size());
      data.add_list(0, ids);
    }
  }
  [[nodiscard]] choice_batch batch() const {
    auto out = data.batch();
    out.row = row;
    out.draw = draw;
    return out;
  }
};

template <class A>
std::vector<double> weights_of(A const& aggregation, lengths_only const& of) {
  // Not a weight: whatever is not written shows.
  std::vector<double> out(of.token_offset.back(), -1);
  aggregation.weights(of.batch(), of.token_offset, out);
  return out;
}

}  // namespace prefer::test
