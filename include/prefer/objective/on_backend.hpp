// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/loss_pass.hpp>
#include <prefer/objective/matched.hpp>

// The loss pass on columns of another backend than the host, whose lanes have kernels of their own.

namespace prefer::inline v0_1 {

namespace detail {

template <class C>
concept column_elsewhere = BackendColumn<C> && !std::same_as<C, column>;

/// 1/B for the mean, in front of every coefficient.
[[nodiscard]] inline double scale_of(evaluate_options const& options, std::size_t examples) {
  return options.reduce == reduction::mean ? 1.0 / static_cast<double>(examples) : 1.0;
}

template <class L, class C, class R>
[[nodiscard]] auto sum_of_pairs(L const& loss, loss_state<L> const& state,
                                basic_pair_columns<C> const& batch,
                                basic_pair_results<R> const& results, double scale) {
  std::array<R, pair_outputs> const targets = {results.value, results.chosen, results.rejected,
                                               results.chosen_divergence,
                                               results.rejected_divergence};
  auto const sums =
      backend_of_batch(batch).for_each_record(batch, pair_pass<L>{loss, state, scale}, targets);
  return sums[0];
}

/// Rows put together as the loss asks for it; the coefficients of rejected completions go back to theirs.
template <class L, class C, class R>
[[nodiscard]] auto sum_in_one_order(L const& loss, loss_state<L> const& state,
                                    basic_pair_columns<C> const& batch,
                                    basic_pair_results<R> const& results, double scale) {
  auto const on = backend_of_batch(batch);
  using rows = typename backend_of_t<C>::rows;
  basic_pair_order<rows> order;
  match_rows(loss, batch_statistics(batch, "evaluate"), order);
  matched_rows<basic_pair_columns<C>> const matched(batch, order);
  if (order.rejected.empty() || !results.rejected.present()) {
    return sum_of_pairs(loss, state, matched.columns(), results, scale);
  }
  auto const in_order = on.room(batch.size());
  auto own = results;
  own.rejected = in_order.result();
  auto const sum = sum_of_pairs(loss, state, matched.columns(), own, scale);
  auto const back = on.scatter(in_order.view(), order.rejected);
  (void)on.for_each_record(basic_unpaired_columns<C>{.policy = back.view()}, copied_number{},
                           std::array<R, 1>{results.rejected});
  return sum;
}

/// A loss of which a term matches rows of its batch: each term on its own, then added up.
template <class L, class C, class R>
[[nodiscard]] auto sum_of_matched(L const& loss, loss_state<L> const& state,
                                  basic_pair_columns<C> const& batch,
                                  basic_pair_results<R> const& results, double scale) {
  static_assert(!differentiates_divergence<L>,
                "prefer: a loss that matches rows of its batch cannot read divergence");
  if constexpr (!is_weighted_sum<L>) {
    return sum_in_one_order(loss, state, batch, results, scale);
  } else {
    sum_of_results<C> sum(backend_of_batch(batch), batch.size());
    for_each_term(1.0, loss, state, [&](auto const& term, auto const& its_state) {
      (void)sum_in_one_order(term, its_state, batch, sum.of_term(), scale);
      sum.add();
    });
    return sum.write_to(results);
  }
}

}  // namespace detail

/// Value and coefficients of a pair loss over columns of a backend, written there; returns the mean loss, which stays
/// there too: a number of the backend.
///
/// Formulas and errors as on the host. Only losses with a state wait for numbers, in `prepare`
template <PairLoss L, detail::column_elsewhere C, class R>
auto evaluate_into(L const& loss, basic_pair_columns<C> const& batch,
                   basic_pair_results<R> const& results, loss_state<L> const& state,
                   evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  double const scale = detail::scale_of(options, batch.size());
  auto const sum = [&] {
    if constexpr (detail::matches<L>) {
      return detail::sum_of_matched(loss, state, batch, results, scale);
    } else {
      return detail::sum_of_pairs(loss, state, batch, results, scale);
    }
  }();
  return sum / static_cast<double>(batch.size());
}

/// The same for a loss over labelled completions.
template <UnpairedLoss L, detail::column_elsewhere C, class R>
auto evaluate_into(L const& loss, basic_unpaired_columns<C> const& batch,
                   basic_unpaired_results<R> const& results, loss_state<L> const& state,
                   evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  detail::unpaired_pass<L> const pass{loss, state, detail::scale_of(options, batch.size())};
  std::array<R, detail::unpaired_outputs<L>> to{results.value, results.coefficient};
  if constexpr (detail::differentiates_value<L>) to[2] = results.value_estimate;
  auto const sums = detail::backend_of_batch(batch).for_each_record(batch, pass, to);
  return sums[0] / static_cast<double>(batch.size());
}

/// The same for a loss over lists; the mean is over lists.
template <ListLoss L, detail::column_elsewhere C, class R>
auto evaluate_into(L const& loss, basic_list_columns<C> const& batch,
                   basic_list_results<R> const& results, loss_state<L> const& state,
                   evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  detail::list_pass<L> const pass{loss, state, detail::scale_of(options, batch.size())};
  return detail::backend_of_batch(batch).for_each_list(batch, pass, results.value,
                                                       results.coefficient) /
         static_cast<double>(batch.size());
}

}  // namespace prefer::inline v0_1
