// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// LiPO-lambda: all pairs of a list, weighted by what exchanging them would change in a ranking measure (DCG).
///
///   loss = sum over i, j with score_i > score_j of weight_ij * softplus(-(s_i - s_j)),  s = beta * log_ratio
///   weight_ij = |2^score_i - 2^score_j| * |1 / log(1 + rank_i) - 1 / log(1 + rank_j)|
///
/// rank: 1 for the largest s in the list, ties in the list's order. Weights carry no gradient.
///
/// Reads   policy and reference log_prob of every completion, and its score: a graded relevance, any finite number; beta per list
///         where given
/// Units   nats; scores are graded relevances, small numbers such as 0 to 4
/// Errors  beta <= 0 is refused
/// Time    quadratic in the length of a list
/// Source  Liu et al. 2024, eq. 8, arXiv:2402.01878 (secondary source: two independent reproductions). Some copies divide
///         by the number of pairs
/// TRL     none
struct lipo {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "lipo";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  positive beta = 0.1;

  constexpr auto operator()(auto const& list) const {
    auto const u = [](auto const& y) { return y.log_ratio(); };
    auto const shift = shared_shift(list, u);
    auto const s = [&](std::size_t i) { return list.beta_or(beta) * (u(list[i]) - shift); };
    auto const discount = [&](std::size_t i) {
      auto const own = value_of(s(i));
      using number = std::remove_cvref_t<decltype(own)>;
      number rank = 1.0;
      for (std::size_t j = 0; j < list.size(); ++j) {
        auto const other = value_of(s(j));
        // A tie counts for whoever comes first.
        rank = rank + number(j < i ? select(other < own, 0.0, 1.0) : select(other > own, 1.0, 0.0));
      }
      return 1.0 / log(1.0 + rank);
    };
    auto total = weighted(0.0, s(0));
    for (std::size_t i = 0; i < list.size(); ++i) {
      for (std::size_t j = 0; j < list.size(); ++j) {
        if (i == j) continue;
        auto const gain = expm1(ln2 * list[i].score) - expm1(ln2 * list[j].score);
        auto const change = discount(i) - discount(j);
        auto const size = select(change > 0.0, change, -change);
        // gain > 0 exactly where score_i > score_j
        total = total + weighted(relu(gain) * size, softplus(s(j) - s(i)));
      }
    }
    return total;
  }

  /// The loss, and d loss / d log_prob_i into `out`, in time quadratic in the length of a list, with the gains and the
  /// discounts of all completions in `room`:
  ///
  ///   beta * (sum over j with score_j > score_i of weight_ij * sigmoid(-(s_j - s_i))
  ///           - sum over j with score_i > score_j of weight_ij * sigmoid(-(s_i - s_j)))
  static constexpr std::size_t coefficient_room = 2;
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out,
                                         std::span<S> room) const {
    std::size_t const count = list.size();
    std::span<S> const gain = room.first(count);
    std::span<S> const discount = room.subspan(count);
    S const list_beta = list.beta_or(beta);
    for (std::size_t i = 0; i < count; ++i) {
      auto const own = list[i].log_ratio();
      S rank = 1.0;
      for (std::size_t j = 0; j < count; ++j) {
        auto const other = list[j].log_ratio();
        rank = rank + (j < i ? select(other < own, 0.0, 1.0) : select(other > own, 1.0, 0.0));
      }
      discount[i] = 1.0 / log(1.0 + rank);
      gain[i] = expm1(ln2 * list[i].score);
      out[i] = 0.0;
    }
    S loss = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = i + 1; j < count; ++j) {
        S const gap = gain[i] - gain[j];
        S const change = discount[i] - discount[j];
        S const sign = select(gap > 0.0, S(1.0), S(-1.0));  // +1 where i is the better one
        S const size = sign * gap * select(change > 0.0, change, -change);
        S const margin = sign * list_beta * (list[i].log_ratio() - list[j].log_ratio());
        auto const both = softplus_with_derivative(-margin);
        S const slope = sign * list_beta * weighted(size, both.derivative);
        loss = loss + weighted(size, both.value);
        out[i] = out[i] - slope;
        out[j] = out[j] + slope;
      }
    }
    return loss;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }

 private:
  static constexpr double ln2 = 0.69314718055994530942;
};

}  // namespace prefer::inline v0_1
