// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::test {

/// One example that every loss has a finite value on: moderate numbers, no two of them the same, so that an operand that
/// is taken for another changes the result. The first completion is the best.
struct example_numbers {
  double log_prob[3] = {-5.25, -7.5, -8.75};
  double reference_log_prob[3] = {-6.5, -7.0, -8.0};
  double completion_length[3] = {6.0, 9.0, 7.0};
  double score[3] = {0.875, 0.5, 0.125};
  double divergence[2] = {0.75, 1.5};
  double alignment[2] = {-0.5, -0.25};
  double perturbed_toward_log_prob[2] = {-5.5, -7.375};
  double perturbed_away_log_prob[2] = {-5.0, -7.75};
  double uniform = 0.625;
};

/// How many partial derivatives this loss has on that example: log-probabilities, then divergences.
template <Loss L>
inline constexpr std::size_t example_partials =
    L::arity == 1               ? 1
    : L::arity == dynamic_arity ? (prefer::list_size_of<L>() == 0 ? 3 : prefer::list_size_of<L>())
                                : (needs<L>.contains(column_name::divergence) ? 4 : 2);

/// Completion i of the example; `place(number, which)` makes the scalar number `which`.
template <class S, class Place>
struct example_at {
  Place place;
  example_numbers numbers = {};

  constexpr completion_record<S> operator()(std::size_t i) const {
    using primal = primal_t<S>;
    completion_record<S> out{.log_prob = place(numbers.log_prob[i], i)};
    out.reference_log_prob = primal(numbers.reference_log_prob[i]);
    out.completion_length = primal(numbers.completion_length[i]);
    out.score = primal(numbers.score[i]);
    return out;
  }
};

/// The loss's formula on the example, from a state that no batch has touched.
template <class S, Loss L, class Place>
[[nodiscard]] constexpr S on_example(L const& loss, Place const& place) {
  using primal = primal_t<S>;
  example_at<S, Place> const at{place};
  example_numbers const& from = at.numbers;
  loss_state<L> const state{};
  auto const apply = [&](auto const& record) { return prefer::detail::apply(loss, record, state); };
  if constexpr (L::arity == 1) {
    return apply(unpaired_record<S>{at(0), primal(1.0) > primal(0.0), {}});
  } else if constexpr (L::arity == 2) {
    pair_record<S> record{.chosen = at(0), .rejected = at(1)};
    for (std::size_t side = 0; side < 2; ++side) {
      completion_record<S>& to = side == 0 ? record.chosen : record.rejected;
      to.divergence = place(from.divergence[side], 2 + side);
      to.alignment = primal(from.alignment[side]);
      to.perturbed_toward_log_prob = primal(from.perturbed_toward_log_prob[side]);
      to.perturbed_away_log_prob = primal(from.perturbed_away_log_prob[side]);
    }
    record.chosen_from_reference = primal(1.0) > primal(0.0);
    record.uniform = primal(from.uniform);
    return apply(record);
  } else {
    return apply(list_record<S, example_at<S, Place>>(example_partials<L>, at, {}));
  }
}

/// The same with its derivatives.
template <class T, Loss L>
[[nodiscard]] constexpr auto derivatives_on_example(L const& loss) {
  constexpr std::size_t partials = example_partials<L>;
  using S = dual<T, partials>;
  return on_example<S>(loss, [](double number, std::size_t which) {
    T const value = static_cast<T>(number);
    return which < partials ? S::variable(value, which) : S(value);
  });
}

}  // namespace prefer::test
