// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Puts the `most` best items into `out`, the best first: higher scores first, the lower number first where scores tie,
/// and what has no score (NaN) behind everything that has one. Items of `hidden` (ascending) do not take part.
///
/// The rule for ties makes a ranking a function of its scores. It is not a fair one: a policy that scores everything alike
/// gets the order of the numbers.
template <class T>
void best_items(std::span<T const> score, std::span<std::uint32_t const> hidden, std::size_t most,
                std::vector<std::uint32_t>& out) {
  auto const before = [&](std::uint32_t a, std::uint32_t b) {
    bool const a_has_none = score[a] != score[a];
    bool const b_has_none = score[b] != score[b];
    if (a_has_none != b_has_none) return b_has_none;
    if (a_has_none || score[a] == score[b]) return a < b;
    return score[a] > score[b];
  };
  out.clear();  // a heap of the best so far, its worst in front: memory grows with `most`, not with items
  std::size_t h = 0;
  for (std::uint32_t i = 0; i < score.size(); ++i) {
    while (h < hidden.size() && hidden[h] < i) ++h;
    if ((h < hidden.size() && hidden[h] == i) || most == 0) continue;
    if (out.size() == most) {
      if (!before(i, out.front())) continue;
      std::pop_heap(out.begin(), out.end(), before);
      out.back() = i;
    } else {
      out.push_back(i);
    }
    std::push_heap(out.begin(), out.end(), before);
  }
  std::sort_heap(out.begin(), out.end(), before);
}

/// How well the first `cut` places of a ranking show what was to be found.
///
/// R is the set of what was to be found; rel(r) is 1 if place r, from 1, holds one of it; k is the cut, whether or not
/// the ranking has as many places.
///
///   ndcg             = sum_{r <= k} rel(r) / log2(r + 1)  /  sum_{r <= min(k, |R|)} 1 / log2(r + 1)
///   hit_rate         = 1 if any rel(r) with r <= k
///   recall           = sum_{r <= k} rel(r) / |R|
///   precision        = sum_{r <= k} rel(r) / k
///   reciprocal_rank  = 1 / the first r <= k with rel(r), 0 if there is none
///
/// Source  Järvelin and Kekäläinen 2002 (NDCG), with gains of 0 and 1
struct ranking_quality {
  double ndcg = 0.0;
  double hit_rate = 0.0;
  double recall = 0.0;
  double precision = 0.0;
  double reciprocal_rank = 0.0;
};

/// What a ranking, the best first and each item once, is worth to someone who was to find `relevant`: different items,
/// ascending. What is hidden from a ranking cannot be found in it, and does not belong in there (`items_not_in`).
///
/// Errors  precondition_error if there is nothing to be found, for which no quality is defined, or the cut is 0
template <class = on_demand>
[[nodiscard]] ranking_quality quality_of(std::span<std::uint32_t const> ranking,
                                         std::span<std::uint32_t const> relevant, std::size_t cut) {
  expects(!relevant.empty(), "quality_of: there is nothing to be found");
  expects(cut > 0, "quality_of: the cut must be greater than zero");
  auto const discount = [](std::size_t place) {
    return 1.0 / std::log2(static_cast<double>(place) + 2.0);
  };
  ranking_quality out;
  double gain = 0.0;
  double best = 0.0;
  double found = 0.0;
  for (std::size_t place = 0; place < cut; ++place) {
    if (place < relevant.size()) best += discount(place);
    if (place >= ranking.size()) continue;
    if (!std::binary_search(relevant.begin(), relevant.end(), ranking[place])) continue;
    if (found == 0.0) out.reciprocal_rank = 1.0 / (static_cast<double>(place) + 1.0);
    gain += discount(place);
    ++found;
  }
  out.ndcg = gain / best;
  out.hit_rate = found > 0.0 ? 1.0 : 0.0;
  out.recall = found / static_cast<double>(relevant.size());
  out.precision = found / static_cast<double>(cut);
  return out;
}

/// The items, different and ascending, that are not in `hidden`, ascending too.
template <class = on_demand>
[[nodiscard]] std::vector<std::uint32_t> items_not_in(std::span<std::uint32_t const> items,
                                                      std::span<std::uint32_t const> hidden) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t const item : items) {
    if (!std::binary_search(hidden.begin(), hidden.end(), item)) out.push_back(item);
  }
  return out;
}

}  // namespace prefer::inline v0_1
