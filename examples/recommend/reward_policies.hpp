// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/parallel/executor.hpp>

#include "interactions.hpp"
#include "ranking.hpp"

namespace recommend {

/// What a start model says and how a reward model scores, from which policies follow without training.
struct start_and_reward {
  item_log_probs start;
  item_log_probs reward;
  std::size_t items = 0;
  prefer::executor threads = {};
};

/// start * exp(reward / beta) / Z: what maximises the expected reward minus beta times the divergence from the start.
[[nodiscard]] item_log_probs optimum_of(start_and_reward const& of, double beta);

/// The item of the highest reward among n that the start draws, exactly.
[[nodiscard]] item_log_probs best_of_n(start_and_reward const& of, std::size_t n);

/// Those who are asked about what is drawn.
[[nodiscard]] std::vector<std::uint32_t> people_with_preferences(interactions const& data);

}  // namespace recommend
