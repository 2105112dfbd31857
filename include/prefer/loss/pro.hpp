// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/list_exponentials.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Preference Ranking Optimization: each completion against all worse ones, sharper where rewards differ more.
///
///   loss = sum over k < K of log(exp(T_kk a_k) + sum over i > k of exp(T_ki a_i)) - T_kk a_k
///          - sft_weight * (K - 1)^2 * log_prob_first
///   a = mean_log_prob,  T_ki = score_k - score_i,  T_kk = max over i > k of T_ki
///
/// Lists come best first. T are inverse temperatures in the paper's terms.
///
/// Reads   policy log_prob and length of every completion, and its score: a reward that does not rise along the list
/// Units   nats
/// Errors  sft_weight < 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Song et al. 2023, arXiv:2306.17492, with the weights of the authors' code. There 1e-10 is added to the sum
///         inside the logarithm
/// TRL     none
struct pro {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "pro";
  static constexpr batch_meaning batch_means = {.score = score_kind::ordered_reward};

  non_negative sft_weight = 0.05;

  constexpr auto operator()(auto const& list) const {
    auto const gap = [&](std::size_t k, std::size_t i) { return list[k].score - list[i].score; };
    auto const others = static_cast<double>(list.size() - 1);
    auto total = -weighted(sft_weight * others * others, list[0].log_prob);
    for (std::size_t k = 0; k + 1 < list.size(); ++k) {
      auto sharpest = gap(k, k + 1);
      for (std::size_t i = k + 2; i < list.size(); ++i) {
        sharpest = select(gap(k, i) > sharpest, gap(k, i), sharpest);
      }
      auto const scaled = [&](std::size_t i) {
        return weighted(gap(k, i), list[i].mean_log_prob());
      };
      auto log_sum = scaled(k + 1);  // log of the sum over those behind
      for (std::size_t i = k + 2; i < list.size(); ++i) log_sum = log_add_exp(log_sum, scaled(i));
      total = total + softplus(log_sum - weighted(sharpest, list[k].mean_log_prob()));
    }
    return total;
  }

  /// The loss, and its derivatives into `out`: of each k by a_k and all a_i behind it
  ///
  ///   -share_k T_kk  and  share_k T_ki softmax_{i > k}(T_ki a_i),  share_k = sigmoid(log_sum_k - T_kk a_k)
  ///
  /// where log_sum is the logarithm of the sum over those behind; with 1 / length, a and one exponential of each
  /// completion in `room`, and one more exponential and one logarithm for each k.
  static constexpr std::size_t coefficient_room = 3;
  template <class S>
  [[nodiscard]] constexpr S coefficients(auto const& list, std::span<S> out,
                                         std::span<S> room) const {
    std::size_t const count = list.size();
    std::span<S> const per_token = room.first(count);
    std::span<S> const a = room.subspan(count, count);
    std::span<S> const scaled = room.subspan(2 * count);  // T_ki a_i, then its exponential
    for (std::size_t i = 0; i < count; ++i) {
      per_token[i] = S(1.0) / list[i].completion_length;
      a[i] = list[i].log_prob * per_token[i];
      out[i] = 0.0;
    }
    auto const gap = [&](std::size_t k, std::size_t i) { return list[k].score - list[i].score; };
    auto const others = static_cast<double>(count - 1);
    double const likelihood = sft_weight * others * others;
    S loss = -weighted(likelihood, list[0].log_prob);
    for (std::size_t k = 0; k + 1 < count; ++k) {
      S sharpest = gap(k, k + 1);
      S largest = weighted(sharpest, a[k + 1]);
      scaled[k + 1] = largest;
      for (std::size_t i = k + 2; i < count; ++i) {
        S const temperature = gap(k, i);
        sharpest = select(temperature > sharpest, temperature, sharpest);
        scaled[i] = weighted(temperature, a[i]);
        largest = select(scaled[i] > largest, scaled[i], largest);
      }
      S total = 1.0;  // of one, which may be minus infinity
      scaled[k + 1] = k + 2 == count ? S(1.0) : S(exp(scaled[k + 1] - largest));
      if (k + 2 < count) total = scaled[k + 1];
      for (std::size_t i = k + 2; i < count; ++i) {
        scaled[i] = exp(scaled[i] - largest);
        total = total + scaled[i];
      }
      S const lead = weighted(sharpest, a[k]) - largest;
      auto const ahead = lead > 0.0;
      S const smaller = exp(select(ahead, -lead, lead));
      S const side = select(ahead, smaller, S(1.0));
      auto const sum = sum_with_own(select(ahead, S(1.0), smaller), side * total, ahead);
      loss = loss + (sum.logarithm + relu(-lead));
      S const share = side * sum.inverse;
      out[k] = out[k] - share * total * sharpest;
      for (std::size_t i = k + 1; i < count; ++i) out[i] = out[i] + share * scaled[i] * gap(k, i);
    }
    for (std::size_t i = 0; i < count; ++i) out[i] = out[i] * per_token[i];
    out[0] = out[0] - likelihood;
    return loss;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("sft_weight", self.sft_weight);
  }
};

}  // namespace prefer::inline v0_1
