// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/pair_order.hpp>
#include <prefer/batch/probe_record.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/bounded.hpp>
#include <prefer/loss/example_of.hpp>
#include <prefer/loss/parts.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer::inline v0_1 {

/// Arity of a loss over lists of completions, whose length varies.
inline constexpr std::size_t dynamic_arity = 0;

namespace detail {

template <class L>
concept has_arity = requires {
  { L::arity } -> std::convertible_to<std::size_t>;
};

template <class L>
constexpr auto probe_record() {
  if constexpr (L::arity == 1) {
    return probe_unpaired();
  } else if constexpr (L::arity == 2) {
    return probe_pair();
  } else {
    return probe_list(list_size_of<L>() == 0 ? 2 : list_size_of<L>());
  }
}

template <class L>
using probe_record_for = decltype(probe_record<L>());

template <class L>
concept matches_rows = requires(L const& loss, batch_statistics<pair_columns> const& batch,
                                pair_order& order) { loss.match(batch, order); };

/// Whether a loss, or a part of it, puts rows together in its own way.
template <class L>
[[nodiscard]] constexpr bool matches_of();
template <class... P>
[[nodiscard]] constexpr bool any_matches(part_list<P...>) {
  return (matches_of<P>() || ...);
}
template <class L>
[[nodiscard]] constexpr bool matches_of() {
  return matches_rows<L> || any_matches(parts_of_t<L>{});
}
template <class L>
inline constexpr bool matches = matches_of<L>();

/// A loss whose value is a sum of its parts' values times numbers: each part then has its own rows.
template <class L>
inline constexpr bool is_weighted_sum = false;

/// Whether one order of the rows is right for all of a loss, its own statistic included.
template <class L>
[[nodiscard]] constexpr bool has_one_order();
template <class... P>
[[nodiscard]] constexpr bool have_one_order(part_list<P...>) {
  return sizeof...(P) <= 1 && (has_one_order<P>() && ...);
}
template <class L>
[[nodiscard]] constexpr bool has_one_order() {
  if constexpr (!any_matches(parts_of_t<L>{})) {
    return true;
  } else {
    return !matches_rows<L> && std::same_as<own_state_t<L>, nothing> &&
           have_one_order(parts_of_t<L>{});
  }
}
template <class... P>
[[nodiscard]] constexpr bool each_has_one_order(part_list<P...>);
template <class L>
[[nodiscard]] constexpr bool terms_have_one_order() {
  if constexpr (is_weighted_sum<L>) {
    return each_has_one_order(parts_of_t<L>{});
  } else {
    return has_one_order<L>();
  }
}
template <class... P>
[[nodiscard]] constexpr bool each_has_one_order(part_list<P...>) {
  return (terms_have_one_order<P>() && ...);
}

/// The rows that a loss, or the part of it that has an order, puts together.
template <class L, class Statistics, class Order>
void match_rows(L const& loss, Statistics const& batch, Order& order) {
  if constexpr (matches_rows<L>) {
    loss.match(batch, order);
  } else if constexpr (matches<L>) {
    L::parts(loss, [&](auto const& part) { match_rows(part, batch, order); });
  }
}

template <std::size_t Arity, class... P>
[[nodiscard]] constexpr bool arities_are(part_list<P...>) {
  return ((P::arity == Arity) && ...);
}

// The pieces of a composed loss's fitness; true of a loss without parts.
template <class L>
concept parts_of_one_arity = arities_are<L::arity>(parts_of_t<L>{});
template <class L>
concept parts_of_one_list_size = list_sizes_agree<L>(parts_of_t<L>{});
template <class L>
concept parts_in_one_order = terms_have_one_order<L>();
template <class L>
concept parts_of_one_example = examples_are<find_example<L>()>(parts_of_t<L>{});
template <class L>
concept parts_fit = parts_of_one_arity<L> && parts_of_one_list_size<L> && parts_in_one_order<L> &&
                    parts_of_one_example<L>;

/// Whether a type is a template over losses: what it forwards of them is known only if it names them.
template <class L>
inline constexpr bool wraps_a_loss = false;
template <class L>
concept names_its_parts = has_parts<L> || !wraps_a_loss<L>;

}  // namespace detail

/// A loss: a formula over records of log-probabilities, generic in their scalar.
///
/// Asked for   a `static constexpr` arity (1 unpaired, 2 pair, dynamic_arity list) and a const
///             `operator()(record)` or `operator()(record, state)`
/// Optional    `constexpr state prepare(auto const& batch, memory&) const` with nested types `state` and, if it
///             remembers, `memory` (else it is given `nothing`): what the formula needs to know of the batch as a whole,
///             from a batch_statistics. What its formulas read counts as read by the loss;
///             `match(batch, order)`: which rows it puts together, where that is not each with itself;
///             `coefficients(...)`, an analytic override for lists (see evaluate.hpp);
///             `list_size`, for lists that all have that many completions;
///             `example`, for a loss of arity 1 whose examples are tokens (see example_of);
///             `hyper_parameters(self, visit)`, which names the hyper-parameters for tools and for errors;
///             `metrics(state, visit)`, which names what a state has to report;
///             `rewards_per_token`, where rewards are not reported as what it reads suggests;
///             `compares_from`, of a list loss: the completions before it are not compared with others;
///             `batch_means`, a batch_meaning: what it takes scores and log-probabilities for, by which a data set is checked;
///             `parts(self, visit)`, for a loss made of losses: returns visit(part, part, ...). Its formula takes the
///             parts last, each to be called with a record: `operator()(record, part...)`, or with a state of its own
///             `operator()(record, state, part...)`. States, memories, matches, list sizes, columns, metrics,
///             hyper-parameters and the reward rule of the parts follow
/// Semantics   the value is per example, in nats or squared nats, before weights and the mean; the same
///             arguments give the same value; nothing is captured by reference
template <class L>
concept Loss =
    detail::has_arity<L> && detail::names_its_parts<L> && detail::parts_fit<L> &&
    detail::formula_over<L, detail::probe_record_for<L>> && std::is_trivially_copyable_v<L>;

namespace detail {

template <template <class...> class Wrapper, class... A>
inline constexpr bool wraps_a_loss<Wrapper<A...>> = (Loss<A> || ...);

}  // namespace detail

template <class L>
concept UnpairedLoss = Loss<L> && L::arity == 1;
template <class L>
concept PairLoss = Loss<L> && L::arity == 2;
template <class L>
concept ListLoss = Loss<L> && L::arity == dynamic_arity;

namespace detail {

/// What `prepare` is given: the statistics of a batch. Those of lists are over completions.
template <class C, Communicator Processes>
[[nodiscard]] auto statistics_of(basic_pair_columns<C> const& batch, Processes const& processes) {
  return batch_statistics(batch, processes);
}
template <class C, Communicator Processes>
[[nodiscard]] auto statistics_of(basic_unpaired_columns<C> const& batch,
                                 Processes const& processes) {
  return batch_statistics(batch, processes);
}
template <class C, Communicator Processes>
[[nodiscard]] auto statistics_of(basic_list_columns<C> const& batch, Processes const& processes) {
  return batch_statistics(basic_unpaired_columns<C>{.policy = batch.policy,
                                                    .reference = batch.reference,
                                                    .length = batch.length,
                                                    .score = batch.score},
                          processes);
}

template <class L, class Statistics>
[[nodiscard]] constexpr own_state_t<L> prepare_own(L const& loss, Statistics const& batch,
                                                   own_memory_t<L>& memory) {
  if constexpr (requires { loss.prepare(batch, memory); }) {
    return loss.prepare(batch, memory);
  } else {
    static_assert(std::same_as<own_state_t<L>, nothing>,
                  "prefer: this loss has a state but no prepare(auto const& batch, memory&) const; "
                  "the batch is a batch_statistics, which adds up over processes");
    return {};
  }
}

template <std::size_t Is, class T, class Whole, class Make>
constexpr void keep(Whole& whole, Make const& make) {
  if constexpr (!std::same_as<T, nothing>) kept_at<Is, T>(whole) = make();
}

/// The place of a part's memory, or one that nobody keeps.
template <std::size_t Is, class T, class Whole, class Use>
constexpr auto with_memory(Whole& whole, Use const& use) {
  if constexpr (std::same_as<T, nothing>) {
    nothing none;
    return use(none);
  } else {
    return use(kept_at<Is, T>(whole));
  }
}

}  // namespace detail

namespace detail {

/// The states of a loss and of its parts, all from the same statistics.
template <Loss L, class Statistics>
[[nodiscard]] constexpr loss_state<L> prepare_all(L const& loss, Statistics const& batch,
                                                  loss_memory<L>& memory) {
  if constexpr (has_parts<L>) {
    loss_state<L> out{};
    keep<0, own_state_t<L>>(out, [&] {
      return with_memory<0, own_memory_t<L>>(
          memory, [&](auto& own) { return prepare_own(loss, batch, own); });
    });
    for_each_part(loss, [&]<std::size_t Is, class P>(place<Is>, P const& part) {
      keep<Is, loss_state<P>>(out, [&] {
        return with_memory<Is, loss_memory<P>>(
            memory, [&](auto& its) { return prepare_all(part, batch, its); });
      });
    });
    return out;
  } else {
    return prepare_own(loss, batch, memory);
  }
}

/// The columns that the batch statistics of a loss and of its parts are made from.
template <Loss L>
[[nodiscard]] constexpr column_set prepare_reads_of(L const& loss) {
  column_set read;
  if constexpr (!std::same_as<loss_state<L>, nothing>) {
    using columns = std::conditional_t<L::arity == 2, pair_columns, unpaired_columns>;
    probed_statistics<columns> const batch(read);
    loss_memory<L> memory{};
    (void)prepare_all(loss, batch, memory);
  }
  return read;
}

}  // namespace detail

/// The state that a batch gives to the loss's formula and to its parts. With several processes each calls it with its
/// own part of the batch, and all get the state of the whole.
///
/// Errors  precondition_error for a hyper-parameter out of its range
template <Loss L, class Columns, Communicator Processes = single_process>
[[nodiscard]] loss_state<L> prepare(L const& loss, Columns const& columns, loss_memory<L>& memory,
                                    Processes const& processes = {}) {
  expects_hyper_parameters_in_range(loss);
  if constexpr (std::same_as<loss_state<L>, nothing>) {
    return {};
  } else {
    return detail::prepare_all(loss, detail::statistics_of(columns, processes), memory);
  }
}

/// What the formula yields on a probe: the columns it reads, and whether only their difference matters.
template <Loss L>
[[nodiscard]] constexpr probe probe_of(L const& loss) {
  return detail::apply(loss, detail::probe_record<L>(), loss_state<L>{});
}

/// The columns that this loss reads; those a batch may do without (beta, target_margin) included.
template <Loss L>
[[nodiscard]] constexpr column_set reads(L const& loss) {
  return probe_of(loss).reads() | detail::prepare_reads_of(loss);
}

/// What a batch may do without although a loss reads it: the loss's own number stands for it then.
inline constexpr column_set optional_columns = column_name::beta | column_name::target_margin;

namespace detail {

template <class L>
concept probed_at_compile_time = std::default_initializable<L> && requires {
  typename std::bool_constant<(static_cast<void>(reads(L{})), probe_of(L{}).margin_only())>;
};

}  // namespace detail

/// The policy enters this loss only through the difference of log-probabilities within a pair or list, so
/// a normaliser shared by its completions cancels and one partial derivative serves both sides.
///
/// Known at compile time for losses that can be default-constructed; false for the others.
template <Loss L>
inline constexpr bool margin_only = [] {
  if constexpr (detail::probed_at_compile_time<L>) {
    return probe_of(L{}).margin_only();
  } else {
    return false;
  }
}();

/// The columns that every batch must have for this loss, where that is known at compile time.
template <Loss L>
inline constexpr column_set needs = [] {
  if constexpr (detail::probed_at_compile_time<L>) {
    return reads(L{}) - optional_columns;
  } else {
    return column_set{};
  }
}();

namespace detail {

/// The columns that this loss can read at all; every one where that is not known at compile time.
template <Loss L>
inline constexpr column_set may_read = [] {
  if constexpr (probed_at_compile_time<L>) {
    return reads(L{});
  } else {
    return column_set{~0u};
  }
}();

}  // namespace detail

/// log(sum over completions i >= first of exp(score(completion))), without overflow.
[[nodiscard]] constexpr auto log_sum_exp(auto const& list, std::size_t first, auto const& score) {
  auto largest = value_of(score(list[first]));
  for (std::size_t i = first + 1; i < list.size(); ++i) {
    auto const s = value_of(score(list[i]));
    largest = select(s > largest, s, largest);
  }
  auto total = exp(score(list[first]) - largest);
  for (std::size_t i = first + 1; i < list.size(); ++i) {
    total = total + exp(score(list[i]) - largest);
  }
  return largest + log(total);
}

/// What to subtract from all u(completion) before their exponentials, so that a list loss is one of differences: the
/// largest, which is finite where any is. It carries no derivative, because what is subtracted everywhere cancels; a probe
/// gets the first, so that it sees differences.
[[nodiscard]] constexpr auto shared_shift(auto const& list, auto const& u) {
  using number = std::remove_cvref_t<decltype(u(list[0]))>;
  if constexpr (std::same_as<number, probe>) {
    return u(list[0]);
  } else {
    auto largest = value_of(u(list[0]));
    for (std::size_t i = 1; i < list.size(); ++i) {
      auto const other = value_of(u(list[i]));
      largest = select(other > largest, other, largest);
    }
    return largest;
  }
}

namespace check {

/// For the first line of a "bring your own loss" file: static_assert(prefer::check::loss<mine>());
template <class L>
consteval bool loss() {
  static_assert(detail::has_arity<L>,
                "prefer: a loss has `static constexpr std::size_t arity` (1, 2 or "
                "prefer::dynamic_arity); a lambda becomes "
                "one by prefer::pair_loss(lambda), unpaired_loss(lambda) or list_loss(lambda)");
  static_assert(detail::names_its_parts<L>,
                "prefer: a loss made of losses names them: static constexpr auto parts(auto& self, "
                "auto&& visit) "
                "{ return visit(self.loss); }");
  if constexpr (detail::has_arity<L> && detail::names_its_parts<L>) {
    static_assert(detail::parts_of_one_arity<L>,
                  "prefer: a loss and its parts have the same arity (pairs with pairs, ...)");
    static_assert(detail::parts_of_one_example<L>,
                  "prefer: a loss and its parts have the same examples (tokens with tokens, ...)");
    static_assert(detail::parts_of_one_list_size<L>,
                  "prefer: the parts of this loss take lists of different sizes");
    static_assert(
        detail::parts_in_one_order<L>,
        "prefer: a part of this loss matches rows of its batch, which only sums and multiples, and "
        "formulas around one part that take no statistic of the batch, can follow");
    static_assert(!detail::has_parts<L> || detail::formula_over<L, detail::probe_record_for<L>>,
                  "prefer: a loss made of losses has a const operator() that takes a record, then "
                  "its own state if "
                  "it has one, then its parts, each to be called with a record");
    static_assert(detail::has_parts<L> || detail::formula_over<L, detail::probe_record_for<L>>,
                  "prefer: a loss has a const operator() that takes a record of any Scalar");
    static_assert(
        std::is_trivially_copyable_v<L>,
        "prefer: a loss is trivially copyable: hyper-parameters by value, no pointers to own");
  }
  return true;
}

}  // namespace check

}  // namespace prefer::inline v0_1
