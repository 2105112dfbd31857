// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::data::detail {

/// Whether "is preferred to" among the completions of one prompt runs in a circle.
class preference_cycles {
 public:
  /// Completion `better` is preferred to completion `worse`; every pair is added once.
  void add(std::uint64_t better, std::uint64_t worse) { edges_.emplace_back(better, worse); }

  /// Whether the edges since the last call form a circle; starts anew.
  ///
  /// Takes away, again and again, a completion that nothing is preferred to: a circle is what cannot be taken away. Needs
  /// no recursion, so that a set whose rows all have one prompt is judged, too.
  bool found_and_cleared() {
    if (edges_.size() < 3) {  // no pair has edges both ways, so that a circle has three
      edges_.clear();
      return false;
    }
    completions_.clear();
    for (auto const& [better, worse] : edges_) {
      completions_.push_back(better);
      completions_.push_back(worse);
    }
    std::sort(completions_.begin(), completions_.end());
    completions_.erase(std::unique(completions_.begin(), completions_.end()), completions_.end());
    std::sort(edges_.begin(), edges_.end());

    std::vector<std::size_t> preferred_to_it(completions_.size(), 0);
    for (auto const& edge : edges_) ++preferred_to_it[index_of(edge.second)];
    std::vector<std::size_t> best;
    for (std::size_t i = 0; i < completions_.size(); ++i) {
      if (preferred_to_it[i] == 0) best.push_back(i);
    }
    std::size_t taken = 0;
    while (!best.empty()) {
      std::uint64_t const completion = completions_[best.back()];
      best.pop_back();
      ++taken;
      auto edge =
          std::lower_bound(edges_.begin(), edges_.end(), std::pair(completion, std::uint64_t{0}));
      for (; edge != edges_.end() && edge->first == completion; ++edge) {
        std::size_t const worse = index_of(edge->second);
        if (--preferred_to_it[worse] == 0) best.push_back(worse);
      }
    }
    edges_.clear();
    return taken != completions_.size();
  }

 private:
  [[nodiscard]] std::size_t index_of(std::uint64_t completion) const {
    return static_cast<std::size_t>(
        std::lower_bound(completions_.begin(), completions_.end(), completion) -
        completions_.begin());
  }

  std::vector<std::pair<std::uint64_t, std::uint64_t>> edges_;
  std::vector<std::uint64_t> completions_;
};

}  // namespace prefer::inline v0_1::data::detail
