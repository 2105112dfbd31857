// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include <prefer/policy/parameter.hpp>
#include <prefer/random/distributions.hpp>

#include "tiny_models.hpp"

namespace prefer::test {

/// A list whose completions begin alike, one of which is what another begins with, and a pair.
struct list_and_pair {
  list_and_pair() {
    auto const id = [&](token_list const& y) { return texts.completions.add(y); };
    std::vector<std::uint32_t> const list = {id({1, 8, 2, 8}), id({1, 8}), id({1, 8, 4}), id({5})};
    data.add_list(texts.prompts.add(token_list{2, 7}), list);
    std::uint32_t const x = texts.prompts.add(token_list{3, 1, 4});
    std::uint32_t const y = id({1, 5, 9, 2});
    data.add_pair(x, y, id({6}));
  }
  token_sequences texts;
  choice_data data;
};

inline void fill_at_random(std::vector<parameter<double>> const& parameters, std::uint64_t seed) {
  for (auto const& each : parameters) {
    fill_normal(each.value, {.seed = seed++}, 0, 0.3);
  }
}

}  // namespace prefer::test
