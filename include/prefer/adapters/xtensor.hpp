// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>

// xtensor 0.27, which vcpkg has, keeps its headers in folders; Debian 12 has 0.24.
#if __has_include(<xtensor/core/xexpression.hpp>)
#include <xtensor/containers/xbuffer_adaptor.hpp>
#include <xtensor/core/xexpression.hpp>
#include <xtensor/core/xtensor_forward.hpp>
#include <xtensor/utils/xutils.hpp>
#include <xtensor/views/xstrided_view.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xbuffer_adaptor.hpp>
#include <xtensor/xexpression.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor_forward.hpp>
#include <xtensor/xutils.hpp>
#include <xtensor/xview.hpp>
#endif

#include <prefer/batch/column.hpp>
#include <prefer/expects.hpp>

// xtensor's arrays and tensors of one dimension, what it adapts, and its views with steps, as columns.
//
//   xt::xtensor<float, 2> table, coefficient = xt::zeros<float>({n, std::size_t{2}});
//   prefer::evaluate_into(prefer::dpo{},
//       prefer::pair_columns{.policy = {.chosen = xt::col(table, 0), .rejected = xt::col(table, 1)}, .reference = {...}},
//       prefer::pair_results{.chosen = xt::col(coefficient, 0), .rejected = xt::col(coefficient, 1)});

namespace prefer::inline v0_1 {

namespace detail {

template <class X>
concept xtensor_expression = xt::is_xexpression<X>::value;

/// The dimensions where the type fixes them, else 1, which is then checked at run time.
template <class X>
inline constexpr std::size_t xtensor_rank =
    xt::get_rank<X>::value == SIZE_MAX ? 1 : xt::get_rank<X>::value;

template <class X>
concept xtensor_in_memory = xtensor_expression<X> && requires(X const& x) {
  { x.data() } -> std::convertible_to<typename X::value_type const*>;
  { x.strides()[0] } -> std::convertible_to<std::ptrdiff_t>;
};

template <class X>
concept xtensor_column =
    xtensor_in_memory<X> && xtensor_rank<X> == 1 && is_element<typename X::value_type>;

// Views of what has a name, and adapted memory that others keep. A view of a temporary array keeps the array.
template <class X>
inline constexpr bool is_xtensor_view = false;
template <class T, class... S>
inline constexpr bool is_xtensor_view<xt::xview<T&, S...>> = true;
template <class T, class S, xt::layout_type L, class F>
inline constexpr bool is_xtensor_view<xt::xstrided_view<T&, S, L, F>> = true;
template <class T>
inline constexpr bool is_others_memory = std::is_lvalue_reference_v<T>;
template <class P, class A>
inline constexpr bool is_others_memory<xt::xbuffer_adaptor<P, xt::no_ownership, A>> = true;
template <class C, xt::layout_type L, class S, class G>
inline constexpr bool is_xtensor_view<xt::xarray_adaptor<C, L, S, G>> = is_others_memory<C>;
template <class C, std::size_t N, xt::layout_type L, class G>
inline constexpr bool is_xtensor_view<xt::xtensor_adaptor<C, N, L, G>> = is_others_memory<C>;

template <class X, class E>
[[nodiscard]] strided<E> xtensor_numbers(X& of, E* first) {
  if (of.dimension() != 1) {
    broken("column: this xtensor expression has " + std::to_string(of.dimension()) +
           " dimensions, a column has one: take xt::col(m, i), xt::row(m, i) or xt::view");
  }
  return {first + of.data_offset(), of.size(), static_cast<std::ptrdiff_t>(of.strides()[0])};
}

}  // namespace detail

/// Arrays and tensors of one dimension, adapted memory, rows, columns and views with steps: in place.
///
/// Errors  precondition_error for an xarray that has not one dimension
template <detail::xtensor_column X>
struct column_traits<X> {
  static constexpr bool borrowed = detail::is_xtensor_view<X>;

  static strided<typename X::value_type const> numbers(X const& of) {
    return detail::xtensor_numbers<X const, typename X::value_type const>(of, of.data());
  }
  static strided<typename X::value_type> numbers(X& of)
    requires std::convertible_to<decltype(of.data()), typename X::value_type*>
  {
    return detail::xtensor_numbers<X, typename X::value_type>(of, of.data());
  }
};

/// Expressions without memory, other dimensions, other elements.
template <class X>
  requires(detail::xtensor_expression<X> && !detail::xtensor_column<X>)
struct column_traits<X> {
  static constexpr bool refused = true;
};

/// An xtensor expression as a column, where a wrong one is told why; a right one converts by itself.
///
/// Errors  precondition_error for an xarray that has not one dimension
template <detail::xtensor_expression X>
[[nodiscard]] column as_column(X const& of) {
  static_assert(
      detail::xtensor_in_memory<X>,
      "prefer: this xtensor expression has no memory of its own; keep its xt::eval and pass "
      "that");
  static_assert(
      !detail::xtensor_in_memory<X> || detail::xtensor_rank<X> == 1,
      "prefer: a column has one dimension; take xt::col(m, i), xt::row(m, i) or xt::view");
  static_assert(!detail::xtensor_in_memory<X> || detail::is_element<typename X::value_type>,
                "prefer: a column is float or double (labels: bool, lengths: int); keep "
                "xt::eval(xt::cast<float>(x)) and pass that");
  if constexpr (detail::xtensor_column<X>) {
    return column(of);
  } else {
    return {};
  }
}

}  // namespace prefer::inline v0_1
