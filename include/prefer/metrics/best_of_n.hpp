// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// The policy that writes n completions and keeps the one with the highest score, the first of equals.
template <class = on_demand>
struct basic_best_of_n {
  std::vector<double> probability;  ///< of each completion to be the one that is kept
  double score = 0.0;               ///< expected score
  double kl = 0.0;                  ///< KL(this policy || the one that writes), nats
  double kl_bound = 0.0;            ///< log n - (n - 1) / n, which kl is never above, nats

  /// What is expected of what is kept in another respect: the true reward, where the score is a learned one.
  [[nodiscard]] double expected(std::span<double const> reward) const {
    expects_size(reward.size(), probability.size(), "best_of_n", "reward");
    double out = 0.0;
    for (std::size_t y = 0; y != reward.size(); ++y) out += probability[y] * reward[y];
    return out;
  }
};
using best_of_n = basic_best_of_n<>;

namespace detail {

/// Numbers of completions, the lowest score first.
template <class = on_demand>
[[nodiscard]] std::vector<std::size_t> by_score(std::span<double const> score, char const* where) {
  std::vector<std::size_t> out(score.size());
  for (std::size_t i = 0; i != score.size(); ++i) {
    if (!std::isfinite(score[i])) {
      broken(std::string(where) + ": score " + std::to_string(i) + " is " +
             std::to_string(score[i]) + "; expected a finite number");
    }
    out[i] = i;
  }
  std::stable_sort(out.begin(), out.end(),
                   [&](std::size_t a, std::size_t b) { return score[a] < score[b]; });
  return out;
}

/// Calls visit(begin, end) for every run of completions of one score, in that order.
template <class = on_demand>
void for_each_tie(std::span<double const> score, std::vector<std::size_t> const& order,
                  auto&& visit) {
  for (std::size_t begin = 0, end = 0; begin != order.size(); begin = end) {
    while (end != order.size() && score[order[end]] == score[order[begin]]) ++end;
    visit(begin, end);
  }
}

}  // namespace detail

/// Best-of-n exactly, of a prompt whose completions can be listed.
///
///   probability(y) = (F(y)^n - F-(y)^n) * p(y) / P(y)
///
/// F is the probability of a score that is at most that of y, F- of a lower one, and P = F - F- of the same: of equal scores
/// the first that was written is kept, which is each with its share. So log(probability / p) depends on the score alone.
///
/// Reads   log_prob of all completions under the policy that writes, nats; one score for each
/// Errors  precondition_error for n = 0, for sizes that disagree, for scores that are not finite, and for probabilities that
///         do not sum to 1 (to 1e-3, as rounding leaves them; they are taken by their sum)
/// Source  Beirami et al. 2024, arXiv:2401.01879, where scores are all different, and where the bound is shown to be an upper
///         bound and no more, though it is often quoted as the KL divergence (Stiennon et al. 2020, arXiv:2009.01325)
template <class = on_demand>
[[nodiscard]] best_of_n exact_best_of_n(std::span<double const> log_prob,
                                        std::span<double const> score, std::size_t n) {
  expects(n > 0, "exact_best_of_n: n must be at least 1");
  expects(!log_prob.empty(), "exact_best_of_n: there are no completions");
  expects_size(score.size(), log_prob.size(), "exact_best_of_n", "score");
  auto const order = detail::by_score(score, "exact_best_of_n");
  auto const many = static_cast<double>(n);
  best_of_n out{.probability = std::vector<double>(score.size()),
                .kl_bound = std::log(many) - (many - 1.0) / many};
  auto const of_tie = [&](std::size_t begin, std::size_t end) {
    double here = 0.0;
    for (std::size_t i = begin; i != end; ++i) here += std::exp(log_prob[order[i]]);
    return here;
  };
  double total = 0.0;
  detail::for_each_tie(score, order,
                       [&](std::size_t begin, std::size_t end) { total += of_tie(begin, end); });
  if (!(std::abs(total - 1.0) <= 1e-3)) {
    detail::broken("exact_best_of_n: the probabilities sum to " + std::to_string(total) +
                   ", expected 1; every completion of the prompt is listed once");
  }
  // What rounding leaves of a sum of 1 would be taken to the power of n: by the sum itself, F ends at 1 exactly.
  double below = 0.0;  // F-, times the sum
  detail::for_each_tie(score, order, [&](std::size_t begin, std::size_t end) {
    double const here = of_tie(begin, end);
    if (here == 0.0) return;
    double const up_to = below + here;
    // F^n - F-^n without the difference of two numbers that are nearly equal: F^n (1 - (1 - P / F)^n).
    double const kept =
        std::pow(up_to / total, many) * -std::expm1(many * std::log1p(-here / up_to));
    for (std::size_t i = begin; i != end; ++i) {
      out.probability[order[i]] = kept * std::exp(log_prob[order[i]]) / here;
    }
    out.score += kept * score[order[begin]];
    if (kept > 0.0) out.kl += kept * std::log(kept * total / here);
    below = up_to;
  });
  return out;
}

/// What best-of-n can be expected to get, from N >= n completions of one prompt: without bias, and with less variance than the
/// best of n of them.
///
///   sum over i of C(i - 1, n - 1) / C(N, n) * reward_(i),  in ascending order of scores
///
/// The mean over all choices of n completions out of N. `reward` may be another number than what is chosen by; of equal scores
/// each is kept as often as the others.
///
/// Errors  precondition_error for n = 0, for fewer than n completions, for sizes that disagree and for scores that are not
///         finite
/// Source  Nakano et al. 2021 (WebGPT), arXiv:2112.09332; Gao et al. 2022, arXiv:2210.10760
template <class = on_demand>
[[nodiscard]] double estimate_best_of_n(std::span<double const> score,
                                        std::span<double const> reward, std::size_t n) {
  expects(n > 0, "estimate_best_of_n: n must be at least 1");
  expects_size(reward.size(), score.size(), "estimate_best_of_n", "reward");
  if (score.size() < n) {
    detail::broken("estimate_best_of_n: " + std::to_string(score.size()) +
                   " completions; expected at least n, " + std::to_string(n));
  }
  auto const order = detail::by_score(score, "estimate_best_of_n");
  // C(i - 1, n - 1) / C(N, n) from the last to the first: n / N, then times (i - n) / (i - 1).
  std::vector<double> weight(score.size());
  double next = static_cast<double>(n) / static_cast<double>(score.size());
  for (std::size_t i = score.size(); i >= n; --i) {
    weight[i - 1] = next;
    if (i > 1) next *= static_cast<double>(i - n) / static_cast<double>(i - 1);
    if (i == n) break;
  }
  double out = 0.0;
  detail::for_each_tie(score, order, [&](std::size_t begin, std::size_t end) {
    double kept = 0.0;
    double total = 0.0;
    for (std::size_t i = begin; i != end; ++i) {
      kept += weight[i];
      total += reward[order[i]];
    }
    out += kept * total / static_cast<double>(end - begin);
  });
  return out;
}

}  // namespace prefer::inline v0_1
