// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1::data {

/// `chosen` was preferred to `rejected`, both by number.
struct comparison {
  std::uint32_t chosen = 0;
  std::uint32_t rejected = 0;
};

/// What the comparisons of one person say of items, directly and along chains: a over b and b over c put a over c.
///
///   prefer::data::preference_order const order(comparisons);
///   order.over(c);  // everything that is over c: what no negative of c may be
///
/// Items that lie on a cycle (a over b, b over a, or a longer one) are over each other and over themselves: the
/// comparisons say both, so neither follows.
///
/// Cost    memory grows with the number of comparisons; `over` walks along those above the item
class preference_order {
 public:
  explicit preference_order(std::span<comparison const> comparisons) {
    for (comparison const& each : comparisons) {
      items_.push_back(each.chosen);
      items_.push_back(each.rejected);
    }
    sort_and_deduplicate(items_);
    edges_.reserve(comparisons.size());
    for (comparison const& each : comparisons) {
      edges_.push_back({place_of(each.rejected), place_of(each.chosen)});
    }
    sort_and_deduplicate(edges_);
    first_.assign(items_.size() + 1, 0);
    for (auto const& [below, above] : edges_) ++first_[below + 1];
    for (std::size_t i = 0; i < items_.size(); ++i) first_[i + 1] += first_[i];
    reached_.assign(items_.size(), 0);
    find_cycles();
  }

  /// The items that are over this one, ascending; this one among them if it lies on a cycle.
  [[nodiscard]] std::vector<std::uint32_t> over(std::uint32_t item) {
    std::vector<std::uint32_t> out;
    auto const found = std::lower_bound(items_.begin(), items_.end(), item);
    if (found == items_.end() || *found != item) return out;
    ++walk_;
    waiting_.assign(1, place_of(item));
    while (!waiting_.empty()) {
      std::size_t const at = waiting_.back();
      waiting_.pop_back();
      for (std::size_t e = first_[at]; e < first_[at + 1]; ++e) {
        std::size_t const above = edges_[e].second;
        if (reached_[above] == walk_) continue;
        reached_[above] = walk_;
        out.push_back(items_[above]);
        waiting_.push_back(above);
      }
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  /// Whether the comparisons say the opposite of this one too, directly or along a chain.
  [[nodiscard]] bool contradicts(comparison const& each) const {
    auto const chosen = std::lower_bound(items_.begin(), items_.end(), each.chosen);
    auto const rejected = std::lower_bound(items_.begin(), items_.end(), each.rejected);
    expects(chosen != items_.end() && *chosen == each.chosen && rejected != items_.end() &&
                *rejected == each.rejected,
            "preference_order::contradicts: this is none of the comparisons");
    return component_[static_cast<std::size_t>(chosen - items_.begin())] ==
           component_[static_cast<std::size_t>(rejected - items_.begin())];
  }

 private:
  template <class T>
  static void sort_and_deduplicate(std::vector<T>& all) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }

  [[nodiscard]] std::size_t place_of(std::uint32_t item) const {
    return static_cast<std::size_t>(std::lower_bound(items_.begin(), items_.end(), item) -
                                    items_.begin());
  }

  // Strongly connected components (Tarjan 1972) without recursion, whose depth would be that of the longest chain. Both ends
  // of a comparison lie in one component just if it lies on a cycle.
  void find_cycles() {
    constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::vector<std::size_t> number(items_.size(), none);
    std::vector<std::size_t> lowest(items_.size(), 0);
    std::vector<std::size_t> next(first_.begin(), first_.end());
    std::vector<std::size_t> path;  // from the root to where the walk is
    std::vector<std::size_t> open;  // reached, and not yet in a component
    component_.assign(items_.size(), none);
    std::size_t reached = 0;
    std::size_t components = 0;
    for (std::size_t root = 0; root < items_.size(); ++root) {
      if (number[root] != none) continue;
      path.assign(1, root);
      while (!path.empty()) {
        std::size_t const at = path.back();
        if (number[at] == none) {
          number[at] = lowest[at] = reached++;
          open.push_back(at);
        }
        if (next[at] < first_[at + 1]) {
          std::size_t const above = edges_[next[at]++].second;
          if (number[above] == none) {
            path.push_back(above);
          } else if (component_[above] == none) {
            lowest[at] = std::min(lowest[at], number[above]);
          }
          continue;
        }
        path.pop_back();
        if (!path.empty()) lowest[path.back()] = std::min(lowest[path.back()], lowest[at]);
        if (lowest[at] != number[at]) continue;
        for (std::size_t member = none; member != at;) {
          member = open.back();
          open.pop_back();
          component_[member] = components;
        }
        ++components;
      }
    }
  }

  std::vector<std::uint32_t> items_;                        // ascending; by place below
  std::vector<std::pair<std::size_t, std::size_t>> edges_;  // {below, above}, ascending
  std::vector<std::size_t> first_;                          // edges of a place begin here
  std::vector<std::size_t> component_;                      // of the graph's cycles
  std::vector<std::size_t> reached_;                        // in which walk
  std::vector<std::size_t> waiting_;
  std::size_t walk_ = 0;
};

}  // namespace prefer::inline v0_1::data
