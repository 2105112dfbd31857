// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/scalar/math.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

/// How likely the policy finds a batch of pairs, per token: what TRL's CPO and ORPO trainers report besides
/// rewards. TRL's names in quotes.
struct likelihood_metrics {
  sum_and_count nll = {};  ///< "nll_loss": of chosen completions, nats; the count is in tokens
  sum_and_count log_odds_ratio = {};   ///< "log_odds_ratio": log sigmoid(log odds margin)
  sum_and_count log_odds_margin = {};  ///< "log_odds_chosen": log odds of chosen minus of rejected

  friend likelihood_metrics operator+(likelihood_metrics const& a, likelihood_metrics const& b) {
    return {a.nll + b.nll, a.log_odds_ratio + b.log_odds_ratio,
            a.log_odds_margin + b.log_odds_margin};
  }
};

/// log(p / (1 - p)) of a completion, where log p is its log-probability per token.
template <Scalar S>
[[nodiscard]] constexpr S log_odds(S const& mean_log_prob) {
  return mean_log_prob - log1mexp(mean_log_prob);
}
[[nodiscard]] constexpr double log_odds(double mean_log_prob) {
  return log_odds<double>(mean_log_prob);
}

namespace detail {

/// Of a pair: the NLL and the length of the chosen completion, log sigmoid of the margin of log odds, and that margin.
struct likelihood_of_pair {
  constexpr auto operator()(auto const& pair) const {
    auto const margin =
        log_odds(pair.chosen.mean_log_prob()) - log_odds(pair.rejected.mean_log_prob());
    using S = std::remove_const_t<decltype(margin)>;
    return std::array<S, 4>{-pair.chosen.log_prob, S(pair.chosen.completion_length),
                            log_sigmoid(margin), margin};
  }
};

}  // namespace detail

/// NLL and log odds of a batch of pairs.
///
///   nll             = -sum log_prob_chosen / sum length_chosen: every token counts the same
///   log_odds_margin = log_odds(log_prob_chosen / length_chosen) - log_odds(the same of rejected)
///
/// A completion whose probability per token rounds to 1 has infinite odds.
/// Source  Hong et al. 2024, eqs. 4 to 7, arXiv:2403.07691
/// TRL     CPOTrainer averages the NLL over completion tokens as here; ORPOTrainer over those of the prompt too
/// Errors  precondition_error for sizes that disagree, and without lengths
template <class C = column>
[[nodiscard]] likelihood_metrics likelihood(basic_pair_columns<C> const& batch) {
  detail::expects_lengths(batch, "likelihood");
  auto const sums = batch_statistics(batch, "likelihood").sums(detail::likelihood_of_pair{});
  auto const n = static_cast<double>(batch.size());
  return {{sums[0], sums[1]}, {sums[2], n}, {sums[3], n}};
}

inline constexpr metric_name<likelihood_metrics> likelihood_metric_names[] = {
    {"nll_loss", &likelihood_metrics::nll},
    {"log_odds_ratio", &likelihood_metrics::log_odds_ratio},
    {"log_odds_chosen", &likelihood_metrics::log_odds_margin}};

void for_each_metric(likelihood_metrics const& sums, auto&& visit) {
  detail::visit_metrics(sums, likelihood_metric_names, visit);
}

}  // namespace prefer::inline v0_1
