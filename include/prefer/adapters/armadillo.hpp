// SPDX-License-Identifier: MIT
#pragma once

#include <armadillo>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>

#include <prefer/batch/column.hpp>
#include <prefer/expects.hpp>

// Armadillo's vectors, and the columns, rows and diagonals of its matrices, as columns.
//
//   arma::fmat table, coefficient(n, 2);
//   prefer::evaluate_into(prefer::dpo{},
//       prefer::pair_columns{.policy = {.chosen = table.col(0), .rejected = table.col(1)}, .reference = {...}},
//       prefer::pair_results{.chosen = coefficient.col(0), .rejected = coefficient.col(1)});

namespace prefer::inline v0_1 {

namespace detail {

template <class E, class X>
X const& armadillo_expression(arma::Base<E, X> const&);

// Deduced from the base, because a fixed vector derives from a vector, and a column of a matrix from a subview.
template <class X>
concept armadillo_dense = requires(X const& x) { armadillo_expression(x); };
template <class X>
concept armadillo_matrix =
    armadillo_dense<X> && std::derived_from<X, arma::Mat<typename X::elem_type>>;
template <class X>
concept armadillo_subview =
    armadillo_dense<X> && std::derived_from<X, arma::subview<typename X::elem_type>>;
template <class X>
concept armadillo_diagonal =
    armadillo_dense<X> && std::same_as<X, arma::diagview<typename X::elem_type>>;

template <class X>
concept armadillo_in_memory = armadillo_matrix<X> || armadillo_subview<X> || armadillo_diagonal<X>;
template <class X>
concept armadillo_column = armadillo_in_memory<X> && is_element<typename X::elem_type>;

/// Cubes and sparse matrices are no Base.
template <class E>
void armadillo_cube_or_sparse(arma::Cube<E> const&);
template <class E, class X>
void armadillo_cube_or_sparse(arma::SpBase<E, X> const&);
template <class X>
concept armadillo_other = requires(X const& x) { armadillo_cube_or_sparse(x); };

/// Armadillo keeps matrices column by column, so that a row steps over as many elements as they have rows.
template <class E, armadillo_column X>
[[nodiscard]] strided<E> armadillo_numbers(X const& of) {
  using number = std::remove_const_t<E>;
  if constexpr (armadillo_diagonal<X>) {
    number const* const first = of.m.memptr() + of.row_offset + of.col_offset * of.m.n_rows;
    return {const_cast<number*>(first), of.n_elem, static_cast<std::ptrdiff_t>(of.m.n_rows + 1)};
  } else {
    if (of.n_rows != 1 && of.n_cols != 1 && of.n_elem != 0) {
      broken("column: this Armadillo matrix is " + std::to_string(of.n_rows) + " x " +
             std::to_string(of.n_cols) + ", a column has one dimension: take m.col(i) or m.row(i)");
    }
    if constexpr (armadillo_subview<X>) {
      number const* const first = of.m.memptr() + of.aux_row1 + of.aux_col1 * of.m.n_rows;
      auto const step = static_cast<std::ptrdiff_t>(of.n_cols == 1 ? 1 : of.m.n_rows);
      return {const_cast<number*>(first), of.n_elem, step};
    } else {
      return {const_cast<number*>(of.memptr()), of.n_elem};
    }
  }
}

}  // namespace detail

/// Vectors, matrices that are one, and subviews: in place, with their steps.
///
/// Errors  precondition_error for a matrix or a subview of several rows and columns
template <detail::armadillo_column X>
struct column_traits<X> {
  static constexpr bool borrowed = !detail::armadillo_matrix<X>;

  static strided<typename X::elem_type const> numbers(X const& of) {
    return detail::armadillo_numbers<typename X::elem_type const>(of);
  }
  static strided<typename X::elem_type> numbers(X& of) {
    return detail::armadillo_numbers<typename X::elem_type>(of);
  }
};

/// Expressions, other elements, cubes and sparse matrices.
template <class X>
  requires((detail::armadillo_dense<X> && !detail::armadillo_column<X>) ||
           detail::armadillo_other<X>)
struct column_traits<X> {
  static constexpr bool refused = true;
};

/// An Armadillo vector as a column, where a wrong one is told why; a right one converts by itself.
///
/// Errors  precondition_error for a matrix or a subview of several rows and columns
template <class X>
  requires detail::armadillo_dense<X> || detail::armadillo_other<X>
[[nodiscard]] column as_column(X const& of) {
  static_assert(
      !detail::armadillo_other<X>,
      "prefer: a column is dense and has one dimension; take c.slice(i).col(j) of a cube, "
      "arma::vec(m.col(i)) of a sparse matrix");
  static_assert(!detail::armadillo_dense<X> || detail::armadillo_in_memory<X>,
                "prefer: this Armadillo expression has no memory of its own; keep its .eval() and "
                "pass that");
  static_assert(!detail::armadillo_in_memory<X> || detail::armadillo_column<X>,
                "prefer: a column is float or double (labels: bool, lengths: int); keep "
                "arma::conv_to<arma::fvec>::from(v) and pass that");
  if constexpr (detail::armadillo_column<X>) {
    return column(of);
  } else {
    return {};
  }
}

}  // namespace prefer::inline v0_1
