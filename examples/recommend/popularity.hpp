// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/reference/reference.hpp>

#include "interactions.hpp"

namespace recommend {

/// A reference that a user of the library writes: items by how often they were met, the same for everybody.
///
///   log_prob(item) = log((count + 1) / (all counts + items))
class popularity {
 public:
  using value_type = float;

  explicit popularity(interactions const& data) : log_prob_(data.items) {
    std::vector<double> count(data.items, 1.0);
    double total = static_cast<double>(data.items);
    for (person const& each : data.people) {
      for (std::uint32_t const item : each.train_items) ++count[item];
      total += static_cast<double>(each.train_items.size());
    }
    for (std::size_t i = 0; i < count.size(); ++i) {
      log_prob_[i] = static_cast<float>(std::log(count[i] / total));
    }
  }

  void log_prob(prefer::choice_batch const& batch, std::span<float> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = log_prob_[batch.completion[i]];
  }

  /// log_prob of the chosen minus of the rejected item, nats.
  [[nodiscard]] double margin(preference const& pair) const {
    return static_cast<double>(log_prob_[pair.chosen]) -
           static_cast<double>(log_prob_[pair.rejected]);
  }

 private:
  std::vector<float> log_prob_;
};

static_assert(prefer::Reference<popularity, prefer::choice_batch>);

}  // namespace recommend
