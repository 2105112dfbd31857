// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Rank Responses to align Human Feedback: a hinge on every pair of a list in the wrong order, and the likelihood of the
/// best completion.
///
///   loss = weight * sum over i, j with score_i > score_j of max(0, p_j - p_i) - log_prob_first / length_first,
///   p = log_prob / length^length_power
///
/// Lists come best first.
///
/// Reads   policy log_prob and length of every completion, and its score: a reward that does not rise along the list
/// Units   nats per token; with length_power 0 the ranking term is of sums
/// Errors  weight < 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Yuan et al. 2023, arXiv:2304.05302. The authors' code has a weight of 100, their scripts 1; its likelihood
///         divides by the padded length
/// TRL     none
struct rrhf {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "rrhf";
  static constexpr batch_meaning batch_means = {.score = score_kind::ordered_reward};

  non_negative weight = 1.0;
  double length_power = 1.0;

  constexpr auto operator()(auto const& list) const {
    auto const p = [&](std::size_t i) {
      return list[i].log_prob * exp(-length_power * log(list[i].completion_length));
    };
    auto total = -list[0].mean_log_prob();
    for (std::size_t i = 0; i < list.size(); ++i) {
      for (std::size_t j = 0; j < list.size(); ++j) {
        if (i == j) continue;
        auto const better = select(list[i].score > list[j].score, 1.0, 0.0);
        total = total + weighted(weight * better, relu(p(j) - p(i)));
      }
    }
    return total;
  }

  /// The loss, and its derivatives into `out`, with 1 / length^length_power of each completion and p in `room`:
  ///
  ///   length_i^-length_power * weight * (number of better j with p_i > p_j - number of worse j with p_j > p_i)
  ///   - [i = 0] / length_first
  static constexpr std::size_t coefficient_room = 2;
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out,
                                         std::span<S> room) const {
    std::size_t const count = list.size();
    std::span<S> const scale = room.first(count);
    std::span<S> const p = room.subspan(count);
    for (std::size_t i = 0; i < count; ++i) {
      scale[i] = exp(-length_power * log(list[i].completion_length));
      p[i] = list[i].log_prob * scale[i];
      out[i] = 0.0;
    }
    S ranking = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = i + 1; j < count; ++j) {
        S const lead = p[j] - p[i];
        auto const first_better = list[i].score > list[j].score;
        auto const second_better = list[j].score > list[i].score;
        S const miss = select(first_better, lead, select(second_better, -lead, S(0.0)));
        ranking = ranking + relu(miss);
        S const slope = select(miss > 0.0, select(first_better, S(1.0), S(-1.0)), S(0.0));
        out[i] = out[i] - slope;
        out[j] = out[j] + slope;
      }
    }
    for (std::size_t i = 0; i < count; ++i) out[i] = out[i] * (weight * scale[i]);
    S const per_token = S(1.0) / list[0].completion_length;
    out[0] = out[0] - per_token;
    return weighted(weight, ranking) - list[0].log_prob * per_token;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("length_power", self.length_power);
  }
};

}  // namespace prefer::inline v0_1
