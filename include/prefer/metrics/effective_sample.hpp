// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/scalar/math.hpp>

namespace prefer::inline v0_1 {

namespace detail {

struct is_active_pair {
  reward_rule rule;

  constexpr auto operator()(auto const& pair) const {
    auto const z = reward_margin_by(rule, pair);
    return where(sigmoid(-z) > 0.05, std::remove_const_t<decltype(z)>(1.0));
  }
};
/// |c| and c^2 of a coefficient, given as a log-probability.
struct size_and_square {
  constexpr auto operator()(auto const& example) const {
    auto const c = example.log_prob;
    using S = std::remove_const_t<decltype(c)>;
    return std::array<S, 2>{select(c < 0.0, -c, c), c * c};
  }
};

}  // namespace detail

/// The pairs that still teach something: sigmoid(-z), the size of DPO's coefficient relative to its largest, is
/// above 0.05, that is z < 2.94. Few of them mean a saturated loss.
///
/// Errors  precondition_error for sizes that disagree
template <class C = column>
[[nodiscard]] sum_and_count active_share(basic_pair_columns<C> const& batch, reward_rule rule) {
  double const active =
      detail::ruled(batch, rule, "active_share").sums(detail::is_active_pair{rule});
  return {active, static_cast<double>(batch.size())};
}

/// Kish's effective sample size of coefficients c: as many examples of equal weight would have a mean of
/// the same variance.
///
///   size = (sum |c|)^2 / sum c^2, between 1 and the number of examples
///
/// Source  Kish 1965, "Survey Sampling"
struct effective_sample {
  double count = 0.0;
  double sum = 0.0;             ///< of |c|
  double sum_of_squares = 0.0;  ///< of c

  /// 0 where all coefficients are 0.
  [[nodiscard]] double size() const {
    return sum_of_squares > 0.0 ? sum * sum / sum_of_squares : 0.0;
  }
  [[nodiscard]] double share() const { return count > 0.0 ? size() / count : 0.0; }

  friend effective_sample operator+(effective_sample const& a, effective_sample const& b) {
    return {a.count + b.count, a.sum + b.sum, a.sum_of_squares + b.sum_of_squares};
  }
};

/// Of the coefficients that `evaluate` gives, for chosen completions, say: a backend's column, or numbers that are a
/// `column`. A common factor cancels.
template <class Numbers>
[[nodiscard]] effective_sample effective_sample_of(Numbers const& coefficients) {
  detail::column_of_numbers<Numbers> const coefficient = coefficients;
  basic_unpaired_columns<detail::column_of_numbers<Numbers>> const batch{.policy = coefficient};
  auto const sums = batch_statistics(batch, "effective_sample_of").sums(detail::size_and_square{});
  return {static_cast<double>(coefficient.size()), sums[0], sums[1]};
}

}  // namespace prefer::inline v0_1
