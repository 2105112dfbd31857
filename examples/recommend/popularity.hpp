// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/reference/per_prompt.hpp>
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
  [[nodiscard]] float of(std::uint32_t, std::uint32_t item) const { return log_prob_[item]; }

 private:
  std::vector<float> log_prob_;
};

static_assert(prefer::Reference<popularity, prefer::choice_batch>);

/// Items by how often some people met them, backed off to a wider reference: the fewer events these people have, the more
/// the wider one says.
///
///   log_prob(item | x) = log((count_g(item) + weight * exp(wider(item | x))) / (events_g + weight)),  g = row[x]
///
/// A row is a group of people, or one person. Memory grows with events, not with rows x items.
template <class Wider>
class backed_off {
 public:
  using value_type = float;

  backed_off(interactions const& data, std::vector<std::uint32_t> row, Wider wider, double weight)
      : row_(std::move(row)), wider_(std::move(wider)), weight_(weight) {
    std::uint32_t rows = 0;
    for (std::uint32_t const g : row_) rows = std::max(rows, g + 1);
    met_.resize(rows);
    for (std::size_t x = 0; x < row_.size(); ++x) {
      auto const& items = data.people[x].train_items;
      met_[row_[x]].insert(met_[row_[x]].end(), items.begin(), items.end());
    }
    for (auto& items : met_) std::sort(items.begin(), items.end());
  }

  void log_prob(prefer::choice_batch const& batch, std::span<float> out) const {
    for (std::size_t g = 0; g < batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        out[i] = of(batch.prompt[g], batch.completion[i]);
      }
    }
  }
  [[nodiscard]] float of(std::uint32_t x, std::uint32_t item) const {
    auto const& items = met_[row_[x]];
    auto const [first, last] = std::equal_range(items.begin(), items.end(), item);
    double const wider = std::exp(static_cast<double>(wider_.of(x, item)));
    return static_cast<float>(std::log((static_cast<double>(last - first) + weight_ * wider) /
                                       (static_cast<double>(items.size()) + weight_)));
  }

 private:
  std::vector<std::uint32_t> row_;               // of a person
  std::vector<std::vector<std::uint32_t>> met_;  // of a row, ascending, again where met again
  Wider wider_;
  double weight_;
};

/// Weights of the wider reference, in events.
inline constexpr double weight_of_everybody = 1000.0;
inline constexpr double weight_of_group = 50.0;
/// Who met fewer items than this has no reference of their own.
inline constexpr std::size_t cold_below = 10;

using group_popularity = backed_off<popularity>;
using own_history = backed_off<group_popularity>;

/// A reference for each group: its popularity; who belongs to no group has everybody's.
using per_group = prefer::per_prompt<popularity, group_popularity>;
/// A reference for each person: their history; who is new has their group's, or else everybody's.
using per_person = prefer::per_prompt<popularity, group_popularity, own_history>;

/// What the two are made of. Who belongs to no group is in a row of their own kind, which nobody is asked about.
class personal_references {
 public:
  explicit personal_references(interactions const& data);

  [[nodiscard]] per_group of_groups() const;
  [[nodiscard]] per_person of_people() const;
  /// People who have a reference of their own, that of their group, and everybody's.
  [[nodiscard]] std::vector<std::size_t> counts() const;

 private:
  popularity all_;
  group_popularity groups_;
  own_history people_;
  std::vector<std::uint32_t> by_group_;   // which of the parts of per_group
  std::vector<std::uint32_t> by_person_;  // of per_person
};

}  // namespace recommend
