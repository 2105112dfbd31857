// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/pair_order.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/kernel.hpp>

// Losses that put the rows of a batch together in their own way (quantile matching): rows are gathered in the order
// that the loss asks for, evaluated like any others, and the coefficients go back to the rows that they belong to.

namespace prefer::inline v0_1::detail {

/// What a backend's gather returns for a column.
template <class Columns>
using gathered_by = decltype(backend_of_batch(std::declval<Columns const&>())
                                 .gather(std::declval<Columns const&>().weight,
                                         std::declval<typename decltype(backend_of_batch(
                                             std::declval<Columns const&>()))::rows const&>()));

template <class = on_demand>
void expects_rows(std::vector<std::uint32_t> const& order, std::size_t n) {
  if (order.empty()) return;
  expects_size(order.size(), n, "evaluate", "the order of a loss that matches its batch");
  for (std::uint32_t const row : order) {
    expects(row < n, "evaluate: a loss matches a row that the batch does not have");
  }
}

/// A batch of pairs with its rows put together as a loss asks for it.
template <class Columns = pair_columns>
class matched_rows {
 public:
  template <class Order>
  matched_rows(Columns const& batch, Order const& order) : together_(batch) {
    auto const on = backend_of_batch(batch);
    // The reference of the rejected completion follows the pair's reference, or else its own completion.
    auto const& rejected_reference = order.reference.empty() ? order.rejected : order.reference;
    std::size_t next = 0;
    for_each_column(together_, [&](auto is, per, column_side side, auto& one) {
      bool const of_rejected = side == column_side::rejected;
      auto& room = gathered_[next++];
      auto const put_together = [&](auto const& rows) {
        if (!one.present() || rows.empty()) return;
        room = on.gather(one, rows);
        one = room.view();
      };
      if constexpr (is.name == column_name::reference) {
        put_together(of_rejected ? rejected_reference : order.reference);
      } else if (of_rejected) {
        put_together(order.rejected);
      }
    });
  }
  matched_rows(matched_rows const&) = delete;  // together_ points into gathered_
  matched_rows& operator=(matched_rows const&) = delete;

  [[nodiscard]] Columns const& columns() const { return together_; }

 private:
  Columns together_;
  gathered_by<Columns> gathered_[inputs_of<Columns>];
};

/// The rows that a loss puts together, all of them rows of the batch.
template <class Term>
[[nodiscard]] pair_order order_of(Term const& term, pair_columns const& batch) {
  pair_order order;
  match_rows(term, batch_statistics(batch, "evaluate"), order);
  expects_rows(order.rejected, batch.size());
  expects_rows(order.reference, batch.size());
  return order;
}

/// A loss with one order: results go where they belong, those of rejected completions to the rows that they come from.
template <class Lane, class L>
[[nodiscard]] double evaluate_in_one_order(L const& loss, loss_state<L> const& state,
                                           pair_columns const& batch, pair_results const& results,
                                           evaluate_options const& options) {
  using T = typename Lane::value_type;
  pair_order const order = order_of(loss, batch);
  matched_rows<> const matched(batch, order);
  if (order.rejected.empty() || !results.rejected.present()) {
    return evaluate_pairs<Lane>(loss, state, matched.columns(), results, options);
  }
  std::vector<T> rejected(batch.size());
  pair_results own = results;
  own.rejected = rejected;
  double const total = evaluate_pairs<Lane>(loss, state, matched.columns(), own, options);
  auto const back =
      host::scatter(rejected, order.rejected);  // a row that is taken twice gets the sum
  results.rejected.assign(0, back.made.size(), back.made.data());
  return total;
}

/// Calls visit(term, its state) for the terms of a sum, each with the factors in front of it.
template <class L, class Visit>
void for_each_term(double factor, L const& loss, loss_state<L> const& state, Visit const& visit) {
  if constexpr (is_weighted_sum<L>) {
    double own = factor;
    if constexpr (requires { loss.weight; }) own = factor * loss.weight;
    for_each_part(loss, [&]<std::size_t Is, class P>(place<Is>, P const& part) {
      for_each_term(own, part, kept_at<Is, loss_state<P>>(state), visit);
    });
  } else {
    visit(factor * loss, state);  // a multiple has no state of its own
  }
}

// Named, because a device's compiler takes no lambda of the host.
struct sum_of_two_numbers {
  constexpr auto operator()(auto const& y) const { return y.log_prob + y.reference_log_prob; }
};

/// The results of a sum's terms, added up on the backend that the batch is on.
template <class C>
class sum_of_results {
 public:
  using backend = backend_of_t<C>;
  using result = typename backend::result;
  using number = typename backend::number;

  sum_of_results(backend const& on, std::size_t pairs)
      : on_(on),
        own_{on.room(pairs), on.room(pairs), on.room(pairs)},
        sum_{on.room(pairs), on.room(pairs), on.room(pairs)},
        next_(on.room(pairs)) {}

  /// Where a term's results go before `add`.
  [[nodiscard]] basic_pair_results<result> of_term() {
    return {.value = own_[0].result(), .chosen = own_[1].result(), .rejected = own_[2].result()};
  }
  void add() {
    for (std::size_t n = 0; n < 3; ++n) {
      (void)on_.for_each_record(
          basic_unpaired_columns<C>{.policy = own_[n].view(), .reference = sum_[n].view()},
          sum_of_two_numbers{}, std::array<result, 1>{next_.result()});
      std::swap(sum_[n], next_);
    }
  }
  /// Returns the sum of all values.
  number write_to(basic_pair_results<result> const& results) const {
    auto const total = write(0, results.value);
    if (results.chosen.present()) (void)write(1, results.chosen);
    if (results.rejected.present()) (void)write(2, results.rejected);
    return total;
  }

 private:
  [[nodiscard]] number write(std::size_t n, result const& to) const {
    return on_.for_each_record(basic_unpaired_columns<C>{.policy = sum_[n].view()}, copied_number{},
                               std::array<result, 1>{to})[0];
  }

  using room = decltype(std::declval<backend const&>().room(0));

  backend on_;
  room own_[3];
  room sum_[3];
  room next_;
};

/// A loss of which a term matches rows of its batch: each term on its own, then added up.
template <class Lane, PairLoss L>
[[nodiscard]] double evaluate_matched(L const& loss, loss_state<L> const& state,
                                      pair_columns const& batch, pair_results const& results,
                                      evaluate_options const& options) {
  static_assert(!differentiates_divergence<L>,
                "prefer: a loss that matches rows of its batch cannot read divergence");
  if constexpr (!is_weighted_sum<L>) {
    return evaluate_in_one_order<Lane>(loss, state, batch, results, options);
  } else {
    sum_of_results<column> sum(host{options.threads}, batch.size());
    double total = 0.0;
    for_each_term(1.0, loss, state, [&](auto const& term, auto const& its_state) {
      total += evaluate_in_one_order<Lane>(term, its_state, batch, sum.of_term(), options);
      sum.add();
    });
    (void)sum.write_to(results);
    return total;
  }
}

}  // namespace prefer::inline v0_1::detail
