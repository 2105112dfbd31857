// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <prefer/bounded.hpp>
#include <prefer/scalar/probe.hpp>

// What a loss is made of. A loss made of losses names them in one place,
//
//   static constexpr auto parts(auto& self, auto&& visit) { return visit(self.first, self.second); }
//
// and what they keep, take from a batch, read and are called follows from it.

namespace prefer::inline v0_1 {

/// The memory or state of a loss that has none.
struct nothing {
  friend constexpr bool operator==(nothing, nothing) = default;
};

namespace detail {

template <class... P>
struct part_list {};

struct list_parts {
  template <class... P>
  constexpr part_list<std::remove_const_t<P>...> operator()(P&...) const {
    return {};
  }
};

template <class T>
inline constexpr bool is_part_list = false;
template <class... P>
inline constexpr bool is_part_list<part_list<P...>> = true;

/// A loss that names its parts.
template <class L>
concept has_parts =
    requires(L const& loss) { requires is_part_list<decltype(L::parts(loss, list_parts{}))>; };

template <class L>
struct parts_of {
  using type = part_list<>;
};
template <has_parts L>
struct parts_of<L> {
  using type = decltype(L::parts(std::declval<L const&>(), list_parts{}));
};
template <class L>
using parts_of_t = typename parts_of<L>::type;

/// One thing of several that are kept side by side in Whole; what is nothing takes no room.
template <class Whole, std::size_t Is, class T>
struct kept {
  T value = {};
};
template <class Whole, std::size_t Is>
struct kept<Whole, Is, nothing> {};

template <class Indices, class... T>
struct kept_together;
template <std::size_t... Is, class... T>
struct kept_together<std::index_sequence<Is...>, T...>
    : kept<kept_together<std::index_sequence<Is...>, T...>, Is, T>... {};

/// The first that is not nothing; nothing if all are.
template <class... T>
struct first_kept {
  using type = nothing;
};
template <class First, class... Rest>
struct first_kept<First, Rest...> {
  using type = First;
};
template <class... Rest>
struct first_kept<nothing, Rest...> : first_kept<Rest...> {};

/// Several things as one. One alone is itself: `0.5 * kto_pair{}` has the state of kto_pair.
template <class... T>
using side_by_side = std::conditional_t<((std::same_as<T, nothing> ? 0 : 1) + ... + 0) <= 1,
                                        typename first_kept<T...>::type,
                                        kept_together<std::index_sequence_for<T...>, T...>>;

/// Number I of what is kept side by side, of type T.
template <std::size_t Is, class T, class Whole>
[[nodiscard]] constexpr decltype(auto) kept_at([[maybe_unused]] Whole& whole) {
  using plain = std::remove_const_t<Whole>;
  if constexpr (std::same_as<T, nothing>) {
    return nothing{};
  } else if constexpr (std::same_as<T, plain>) {
    return (whole);
  } else if constexpr (std::is_const_v<Whole>) {
    return (static_cast<kept<plain, Is, T> const&>(whole).value);
  } else {
    return (static_cast<kept<plain, Is, T>&>(whole).value);
  }
}

/// What a loss says of itself, without its parts.
template <class L>
struct own_state {
  using type = nothing;
};
template <class L>
  requires requires { typename L::state; }
struct own_state<L> {
  using type = typename L::state;
};
template <class L>
using own_state_t = typename own_state<L>::type;

template <class L>
struct own_memory {
  using type = nothing;
};
template <class L>
  requires requires { typename L::memory; }
struct own_memory<L> {
  using type = typename L::memory;
};
template <class L>
using own_memory_t = typename own_memory<L>::type;

// Its own first, then those of its parts in order.
template <class L, class Parts = parts_of_t<L>>
struct state_of {
  using type = own_state_t<L>;
};
template <class L, class First, class... Rest>
struct state_of<L, part_list<First, Rest...>> {
  using type = side_by_side<own_state_t<L>, typename state_of<First>::type,
                            typename state_of<Rest>::type...>;
};
template <class L, class Parts = parts_of_t<L>>
struct memory_of {
  using type = own_memory_t<L>;
};
template <class L, class First, class... Rest>
struct memory_of<L, part_list<First, Rest...>> {
  using type = side_by_side<own_memory_t<L>, typename memory_of<First>::type,
                            typename memory_of<Rest>::type...>;
};

}  // namespace detail

/// What a loss keeps from batch to batch (a running mean, say), its parts included; `nothing` for most.
template <class L>
using loss_memory = typename detail::memory_of<L>::type;

/// What `prepare` hands to the formula, its parts included: statistics of the batch, without gradient; `nothing` for
/// most.
template <class L>
using loss_state = typename detail::state_of<L>::type;

/// The state that belongs to the loss itself, of the state of a loss and its parts.
template <class L>
[[nodiscard]] constexpr decltype(auto) own_state_of(L const& /*loss*/, loss_state<L> const& state) {
  if constexpr (detail::has_parts<L>) {
    return detail::kept_at<0, detail::own_state_t<L>>(state);
  } else {
    return (state);
  }
}

namespace detail {

/// Where a part is kept beside the others; 0 is the place of the loss's own.
template <std::size_t Is>
using place = std::integral_constant<std::size_t, Is>;

template <class Visit, std::size_t... Is, class... P>
constexpr void visit_parts(Visit const& visit, std::index_sequence<Is...>, P&... part) {
  (visit(place<Is + 1>{}, part), ...);
}
/// Calls visit(its place, part) for each part in order, not for the parts of parts; nothing for a loss without.
template <class L, class Visit>
constexpr void for_each_part([[maybe_unused]] L& loss, [[maybe_unused]] Visit const& visit) {
  using plain = std::remove_const_t<L>;
  if constexpr (has_parts<plain>) {
    plain::parts(loss, [&](auto&... part) {
      visit_parts(visit, std::make_index_sequence<sizeof...(part)>{}, part...);
    });
  }
}

/// The formula's value, whether it takes a state or parts or not.
template <class L, class Record>
[[nodiscard]] constexpr auto apply(L const& loss, Record const& record, loss_state<L> const& state);

/// A part as the formula around it sees it: its value on a record.
template <class P>
struct part_with_state {
  P const& part;
  std::conditional_t<std::same_as<loss_state<P>, nothing>, nothing, loss_state<P> const&> state;

  [[nodiscard]] constexpr auto operator()(auto const& record) const {
    return detail::apply(part, record, state);
  }
};

template <class L, class Record, std::size_t... Is, class... P>
[[nodiscard]] constexpr auto apply_with_parts(L const& loss, Record const& record,
                                              loss_state<L> const& state,
                                              std::index_sequence<Is...>, P const&... part) {
  if constexpr (std::same_as<own_state_t<L>, nothing>) {
    return loss(record, part_with_state<P>{part, kept_at<Is + 1, loss_state<P>>(state)}...);
  } else {
    return loss(record, kept_at<0, own_state_t<L>>(state),
                part_with_state<P>{part, kept_at<Is + 1, loss_state<P>>(state)}...);
  }
}

template <class L, class Record>
[[nodiscard]] constexpr auto apply(L const& loss, Record const& record,
                                   loss_state<L> const& state) {
  if constexpr (has_parts<L>) {
    return L::parts(loss, [&](auto const&... part) {
      return apply_with_parts(loss, record, state, std::make_index_sequence<sizeof...(part)>{},
                              part...);
    });
  } else if constexpr (requires { loss(record, state); }) {
    return loss(record, state);
  } else {
    return loss(record);
  }
}

template <class L, class Record, class Parts>
inline constexpr bool takes_parts = false;
template <class L, class Record, class... P>
inline constexpr bool takes_parts<L, Record, part_list<P...>> =
    std::same_as<own_state_t<L>, nothing>
        ? requires(L const& loss, Record const& record,
                   part_with_state<P> const&... part) { loss(record, part...); }
        : requires(L const& loss, Record const& record, own_state_t<L> const& state,
                   part_with_state<P> const&... part) { loss(record, state, part...); };

template <class L, class Record>
concept formula_over =
    (has_parts<L> && takes_parts<L, Record, parts_of_t<L>>) ||
    (!has_parts<L> && (
                          requires(L const& loss, Record const& record) { loss(record); } ||
                          requires(L const& loss, Record const& record,
                                   loss_state<L> const& state) { loss(record, state); }));

}  // namespace detail

/// How many completions a loss over lists takes: what it or its parts say, else any number, here 0.
template <class L>
[[nodiscard]] constexpr std::size_t list_size_of() {
  if constexpr (requires { L::list_size; }) {
    return L::list_size;
  } else {
    return []<class... P>(detail::part_list<P...>) {
      std::size_t size = 0;
      ((size = size == 0 ? list_size_of<P>() : size), ...);
      return size;
    }(detail::parts_of_t<L>{});
  }
}

namespace detail {

template <class L, class... P>
[[nodiscard]] constexpr bool list_sizes_agree(part_list<P...>) {
  return ((list_size_of<P>() == 0 || list_size_of<P>() == list_size_of<L>()) && ...);
}

}  // namespace detail

/// Calls `visit(name, value)` for each hyper-parameter of a loss, those of its parts before its own; `value` converts from
/// and to double. Nothing for a loss that names none.
template <class L>
constexpr void for_each_hyper_parameter(L&& loss, auto&& visit) {
  using plain = std::remove_cvref_t<L>;
  detail::for_each_part(loss, [&](auto, auto& part) { for_each_hyper_parameter(part, visit); });
  if constexpr (requires { plain::hyper_parameters(loss, visit); })
    plain::hyper_parameters(loss, visit);
}

namespace detail {

template <class P>
constexpr char const* name_of_parts(part_list<P>);
template <class... P>
constexpr char const* name_of_parts(part_list<P...>) {
  return "this loss";
}

}  // namespace detail

/// What a loss is called in sentences and tables: its `name`; one without a name that is made of one loss, as that;
/// else "this loss".
template <class L>
[[nodiscard]] constexpr char const* name_of() {
  if constexpr (requires { L::name; }) {
    return L::name;
  } else {
    return detail::name_of_parts(detail::parts_of_t<L>{});
  }
}

namespace detail {

template <class P>
constexpr char const* name_of_parts(part_list<P>) {
  return name_of<P>();
}

}  // namespace detail

/// Throws precondition_error for a hyper-parameter out of its range, of a loss or of a part of it: "dpo: beta is -1,
/// expected a finite number greater than zero". Whatever takes a loss asks this first.
template <class L>
constexpr void expects_hyper_parameters_in_range(L const& loss) {
  detail::for_each_part(loss,
                        [](auto, auto const& part) { expects_hyper_parameters_in_range(part); });
  auto const check = [](char const* name, auto const& value) {
    expects_in_range(value, name_of<L>(), name);
  };
  if constexpr (requires { L::hyper_parameters(loss, check); }) L::hyper_parameters(loss, check);
}

}  // namespace prefer::inline v0_1
