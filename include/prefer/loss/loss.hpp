// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/pair_order.hpp>
#include <prefer/batch/record.hpp>
#include <prefer/bounded.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer {

/// Arity of a loss over lists of completions, whose length varies.
inline constexpr std::size_t dynamic_arity = 0;

/// The memory or state of a loss that has none.
struct nothing {
  friend constexpr bool operator==(nothing, nothing) = default;
};

namespace detail {

template <class L>
concept has_arity = requires {
  { L::arity } -> std::convertible_to<std::size_t>;
};

template <class L>
struct memory_of {
  using type = nothing;
};
template <class L>
  requires requires { typename L::memory; }
struct memory_of<L> {
  using type = typename L::memory;
};

template <class Record, class L>
constexpr auto state_type_for() {
  if constexpr (requires { typename L::state; }) {
    return std::type_identity<typename L::state>{};
  } else {
    return std::type_identity<nothing>{};
  }
}

/// How many completions a loss over lists takes: `list_size` where it says so, else any number, here 0.
template <class L>
constexpr std::size_t list_size_of() {
  if constexpr (requires { L::list_size; }) {
    return L::list_size;
  } else {
    return 0;
  }
}

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

}  // namespace detail

/// What a loss keeps from batch to batch (a running mean, say); `nothing` for most.
template <class L>
using loss_memory = typename detail::memory_of<L>::type;

/// What `prepare` hands to the formula: statistics of the batch, without gradient; `nothing` for most.
template <class L>
using loss_state = typename decltype(detail::state_type_for<void, L>())::type;

namespace detail {

template <class L, class Record>
concept formula_over = requires(L const& loss, Record const& record) { loss(record); } ||
                       requires(L const& loss, Record const& record, loss_state<L> const& state) {
                         loss(record, state);
                       };

/// The formula's value, whether it takes a state or not.
template <class L, class Record, class State>
constexpr auto apply(L const& loss, Record const& record, State const& state) {
  if constexpr (requires { loss(record, state); }) {
    return loss(record, state);
  } else {
    return loss(record);
  }
}

}  // namespace detail

/// A loss: a formula over records of log-probabilities, generic in their scalar.
///
/// Asked for   a `static constexpr` arity (1 unpaired, 2 pair, dynamic_arity list) and a const
///             `operator()(record)` or `operator()(record, state)`
/// Optional    `prepare(columns, memory, processes) -> state` with nested types `state` and, if it remembers,
///             `memory`; `processes` is a Communicator, and a loss for one process leaves it out;
///             `match(columns, order)`: which rows it puts together, where that is not each with itself;
///             `coefficients(...)`, an analytic override for lists (see evaluate.hpp);
///             `prepare_reads`, the columns that `prepare` takes its statistic from;
///             `list_size`, for lists that all have that many completions;
///             `parameters(self, visit)`, which names the hyper-parameters for tools
///             `metrics(state, visit)`, which names what a state has to report
/// Semantics   the value is per example, in nats or squared nats, before weights and the mean; the same
///             arguments give the same value; nothing is captured by reference
template <class L>
concept Loss = detail::has_arity<L> && detail::formula_over<L, detail::probe_record_for<L>> &&
               std::is_trivially_copyable_v<L>;

template <class L>
concept UnpairedLoss = Loss<L> && L::arity == 1;
template <class L>
concept PairLoss = Loss<L> && L::arity == 2;
template <class L>
concept ListLoss = Loss<L> && L::arity == dynamic_arity;

/// The state that a batch gives to the loss's formula. With several processes each calls it with its own part of
/// the batch, and all get the state of the whole.
///
/// Errors  precondition_error for several processes and a loss whose `prepare` knows of one only
template <Loss L, class Columns, Communicator Processes = single_process>
[[nodiscard]] loss_state<L> prepare(L const& loss, Columns const& columns, loss_memory<L>& memory,
                                    Processes const& processes = {}) {
  if constexpr (requires { loss.prepare(columns, memory, processes); }) {
    return loss.prepare(columns, memory, processes);
  } else if constexpr (requires { loss.prepare(columns, memory); }) {
    expects(processes.size() == 1,
            "prepare: this loss takes a statistic of one process's batch; give its prepare a third "
            "argument, the communicator");
    return loss.prepare(columns, memory);
  } else {
    static_assert(std::same_as<loss_state<L>, nothing>,
                  "prefer: this loss has a state but no prepare(columns, memory) for this batch");
    return {};
  }
}

/// What the formula yields on a probe: the columns it reads, and whether only their difference matters.
template <Loss L>
[[nodiscard]] constexpr probe probe_of(L const& loss) {
  return detail::apply(loss, detail::probe_record<L>(), loss_state<L>{});
}

namespace detail {

/// What the batch statistics of a loss are made from, beyond what its formula reads.
template <class L>
inline constexpr column_set prepare_reads = [] {
  if constexpr (requires { L::prepare_reads; }) {
    return column_set{L::prepare_reads};
  } else {
    return column_set{};
  }
}();

}  // namespace detail

/// The columns that this loss reads; those a batch may do without (beta, target_margin) included.
template <Loss L>
[[nodiscard]] constexpr column_set reads(L const& loss) {
  return probe_of(loss).reads() | detail::prepare_reads<L>;
}

namespace detail {

inline constexpr column_set optional_columns = column_name::beta | column_name::target_margin;

template <class L>
concept probed_at_compile_time = std::default_initializable<L> && requires {
  typename std::bool_constant<probe_of(L{}).margin_only()>;
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
    return reads(L{}) - detail::optional_columns;
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

template <class L>
concept matches_rows = requires(L const& loss, pair_columns const& columns, pair_order& order) {
  loss.match(columns, order);
};

/// Whether a loss, or a term of it, puts rows together in its own way.
template <class L>
inline constexpr bool matches = matches_rows<L>;

}  // namespace detail

/// A generic callable as a loss over pairs:
///
///   auto const mine = prefer::pair_loss([](auto const& p) { return softplus(-0.1 * p.log_ratio_margin()); });
template <class F>
struct pair_loss {
  static constexpr std::size_t arity = 2;
  F formula;

  constexpr pair_loss()
    requires std::default_initializable<F>
      : formula() {}
  constexpr explicit pair_loss(F f) : formula(f) {}
  constexpr auto operator()(auto const& pair) const { return formula(pair); }
};

/// A generic callable as a loss over labelled completions.
template <class F>
struct unpaired_loss {
  static constexpr std::size_t arity = 1;
  F formula;

  constexpr unpaired_loss()
    requires std::default_initializable<F>
      : formula() {}
  constexpr explicit unpaired_loss(F f) : formula(f) {}
  constexpr auto operator()(auto const& example) const { return formula(example); }
};

/// A generic callable as a loss over lists.
template <class F>
struct list_loss {
  static constexpr std::size_t arity = dynamic_arity;
  F formula;

  constexpr list_loss()
    requires std::default_initializable<F>
      : formula() {}
  constexpr explicit list_loss(F f) : formula(f) {}
  constexpr auto operator()(auto const& list) const { return formula(list); }
};

/// weight * loss.
template <Loss L>
struct scaled_loss {
  static constexpr std::size_t arity = L::arity;
  using state = loss_state<L>;
  using memory = loss_memory<L>;

  double weight = 1.0;
  L loss;

  [[nodiscard]] state prepare(auto const& columns, memory& kept, auto const& processes) const {
    return prefer::prepare(loss, columns, kept, processes);
  }
  void match(pair_columns const& columns, pair_order& order) const
    requires detail::matches_rows<L>
  {
    loss.match(columns, order);
  }
  constexpr auto operator()(auto const& record, state const& s) const {
    return weight * detail::apply(loss, record, s);
  }
  static constexpr void parameters(auto& self, auto&& visit) {
    visit("weight", self.weight);
    if constexpr (requires { L::parameters(self.loss, visit); }) L::parameters(self.loss, visit);
  }
};

/// first + second, on the same records.
template <Loss A, Loss B>
struct sum_of_losses {
  static_assert(A::arity == B::arity,
                "prefer: losses that are added must have the same arity (pairs with pairs, ...)");
  static constexpr std::size_t arity = A::arity;
  struct state {
    loss_state<A> first = {};
    loss_state<B> second = {};
  };
  struct both_memories {
    loss_memory<A> first = {};
    loss_memory<B> second = {};
  };
  static constexpr bool remembers =
      !std::same_as<loss_memory<A>, nothing> || !std::same_as<loss_memory<B>, nothing>;
  using memory = std::conditional_t<remembers, both_memories, nothing>;

  A first;
  B second;

  [[nodiscard]] state prepare(auto const& columns, memory& kept, auto const& processes) const {
    if constexpr (remembers) {
      return {prefer::prepare(first, columns, kept.first, processes),
              prefer::prepare(second, columns, kept.second, processes)};
    } else {
      return {prefer::prepare(first, columns, kept, processes),
              prefer::prepare(second, columns, kept, processes)};
    }
  }
  constexpr auto operator()(auto const& record, state const& s) const {
    return detail::apply(first, record, s.first) + detail::apply(second, record, s.second);
  }
  static constexpr void parameters(auto& self, auto&& visit) {
    if constexpr (requires { A::parameters(self.first, visit); }) A::parameters(self.first, visit);
    if constexpr (requires { B::parameters(self.second, visit); })
      B::parameters(self.second, visit);
  }
};

namespace detail {

template <class L>
inline constexpr column_set prepare_reads<scaled_loss<L>> = prepare_reads<L>;
template <class A, class B>
inline constexpr column_set prepare_reads<sum_of_losses<A, B>> =
    prepare_reads<A> | prepare_reads<B>;
template <class L>
inline constexpr bool matches<scaled_loss<L>> = matches<L>;
template <class A, class B>
inline constexpr bool matches<sum_of_losses<A, B>> = matches<A> || matches<B>;

}  // namespace detail

template <Loss L>
[[nodiscard]] constexpr scaled_loss<L> operator*(double weight, L const& loss) {
  return {weight, loss};
}
template <Loss A, Loss B>
[[nodiscard]] constexpr sum_of_losses<A, B> operator+(A const& a, B const& b) {
  return {a, b};
}

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
  static_assert(
      detail::has_arity<L>,
      "prefer: a loss has `static constexpr std::size_t arity` (1, 2 or prefer::dynamic_arity)");
  if constexpr (detail::has_arity<L>) {
    static_assert(detail::formula_over<L, detail::probe_record_for<L>>,
                  "prefer: a loss has a const operator() that takes a record of any Scalar");
    static_assert(std::is_trivially_copyable_v<L>,
                  "prefer: a loss is trivially copyable: parameters by value, no pointers to own");
  }
  return true;
}

}  // namespace check

}  // namespace prefer
