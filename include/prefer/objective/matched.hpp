// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/pair_order.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/kernel.hpp>

// Losses that put the rows of a batch together in their own way (quantile matching): rows are gathered in the order
// that the loss asks for, evaluated like any others, and the coefficients go back to the rows that they belong to.

namespace prefer::detail {

/// One column in another order.
template <class T>
class gathered_column {
 public:
  [[nodiscard]] column of(column const& from, std::span<std::uint32_t const> order) {
    if (!from.present() || order.empty()) return from;
    values_.resize(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) values_[i] = static_cast<T>(from[order[i]]);
    return values_;
  }

 private:
  std::vector<T> values_;
};

inline void expects_rows(std::vector<std::uint32_t> const& order, std::size_t n) {
  if (order.empty()) return;
  expects_size(order.size(), n, "evaluate", "the order of a loss that matches its batch");
  for (std::uint32_t const row : order) {
    expects(row < n, "evaluate: a loss matches a row that the batch does not have");
  }
}

/// A batch of pairs with its rows put together in another order, as one loss asks for it. T is what is computed in.
template <class T, class Columns = pair_columns>
class matched_rows {
 public:
  matched_rows(Columns const& batch, pair_order const& order) : together_(batch) {
    expects_rows(order.rejected, batch.size());
    expects_rows(order.reference, batch.size());
    // The reference of the rejected completion follows the pair's reference, or else its own completion.
    auto const& rejected_reference = order.reference.empty() ? order.rejected : order.reference;
    std::size_t next = 0;
    for_each_column(together_, [&](auto is, per, column_side side, column& one) {
      bool const of_rejected = side == column_side::rejected;
      gathered_column<T>& room = gathered_[next++];
      if constexpr (is.name == column_name::reference) {
        one = room.of(one, of_rejected ? rejected_reference : order.reference);
      } else if (of_rejected) {
        one = room.of(one, order.rejected);
      }
    });
  }
  matched_rows(matched_rows const&) = delete;  // together_ points into gathered_
  matched_rows& operator=(matched_rows const&) = delete;

  [[nodiscard]] Columns const& columns() const { return together_; }

 private:
  Columns together_;
  gathered_column<T> gathered_[inputs_of<Columns>];
};

/// factor * loss for a loss that matches rows of its batch, or that does not; adds to `value` and coefficients.
template <class Lane, class Term>
[[nodiscard]] double add_term(Term const& term, loss_state<Term> const& state,
                              pair_columns const& batch, std::span<double> value,
                              std::span<double> chosen, std::span<double> rejected,
                              evaluate_options const& options) {
  using T = typename Lane::value_type;
  std::size_t const n = batch.size();
  pair_order order;
  match_rows(term, batch, order);
  matched_rows<T> const matched(batch, order);

  std::vector<double> own_value(n), own_chosen(n), own_rejected(n);
  double const total = evaluate_pairs<Lane>(
      term, state, matched.columns(),
      {.value = own_value, .chosen = own_chosen, .rejected = own_rejected}, options);
  for (std::size_t i = 0; i < n; ++i) {
    value[i] += own_value[i];
    chosen[i] += own_chosen[i];
    rejected[order.rejected.empty() ? i : order.rejected[i]] += own_rejected[i];
  }
  return total;
}

/// Calls visit(term, its state) for the terms of a sum, each with the factors in front of it.
template <class L, class Visit>
void for_each_term(double factor, L const& loss, loss_state<L> const& state, Visit const& visit) {
  if constexpr (is_weighted_sum<L>) {
    double own = factor;
    if constexpr (requires { loss.weight; }) own = factor * loss.weight;
    for_each_part(loss, [&]<std::size_t I, class P>(place<I>, P const& part) {
      for_each_term(own, part, kept_at<I, loss_state<P>>(state), visit);
    });
  } else {
    visit(factor * loss, state);  // a multiple has no state of its own
  }
}

/// A loss of which a term matches rows of its batch: each term on its own, then added up.
template <class Lane, PairLoss L>
[[nodiscard]] double evaluate_matched(L const& loss, loss_state<L> const& state,
                                      pair_columns const& batch, pair_results const& results,
                                      evaluate_options const& options) {
  static_assert(!differentiates_divergence<L>,
                "prefer: a loss that matches rows of its batch cannot read divergence");
  std::size_t const n = batch.size();
  std::vector<double> value(n), chosen(n), rejected(n);
  double total = 0.0;
  for_each_term(1.0, loss, state, [&](auto const& term, auto const& its_state) {
    total += add_term<Lane>(term, its_state, batch, value, chosen, rejected, options);
  });
  if (results.value.present()) results.value.assign(0, n, value.data());
  if (results.chosen.present()) results.chosen.assign(0, n, chosen.data());
  if (results.rejected.present()) results.rejected.assign(0, n, rejected.data());
  return total;
}

}  // namespace prefer::detail
