// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>
#include <bit>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/scalar.hpp>

// Eigen's vectors and arrays as columns, and Eigen's packets as lanes.
//
//   Eigen::VectorXd chosen, rejected;
//   auto const result = prefer::evaluate(prefer::dpo{}, prefer::pair_columns{
//       .policy = {.chosen = chosen, .rejected = rejected}, .reference = {.chosen = table.col(2), ...}});

namespace prefer::inline v0_1 {

namespace detail {

template <class D>
D const& eigen_expression(Eigen::DenseBase<D> const&);

// Deduced from the base, because a segment's type derives from a block and not from DenseBase of itself.
template <class E>
concept eigen_dense = requires(E const& e) { eigen_expression(e); };

template <class E>
inline constexpr bool is_eigen_ref_to_const = false;
template <class V, int Options, class Stride>
inline constexpr bool is_eigen_ref_to_const<Eigen::Ref<V const, Options, Stride>> = true;

template <class E>
inline constexpr bool eigen_in_memory =
    (static_cast<unsigned>(E::Flags) & Eigen::DirectAccessBit) != 0;
template <class E>
inline constexpr bool eigen_writable = (static_cast<unsigned>(E::Flags) & Eigen::LvalueBit) != 0;

template <class E>
concept eigen_column = eigen_dense<E> && bool(E::IsVectorAtCompileTime) && eigen_in_memory<E> &&
                       is_element<typename E::Scalar>;

/// Maps and blocks are views of numbers that others keep; a Ref to const may keep a copy of its own.
template <class E>
inline constexpr bool eigen_view =
    !std::is_base_of_v<Eigen::PlainObjectBase<E>, E> && !is_eigen_ref_to_const<E>;

}  // namespace detail

/// Eigen vectors and arrays of one dimension, maps of them, blocks, rows and columns of matrices, with their steps: in place,
/// never copied. Expressions without memory are no columns; as_column says why.
template <detail::eigen_column E>
struct column_traits<E> {
  static constexpr bool borrowed = detail::eigen_view<E>;

  static strided<typename E::Scalar const> numbers(E const& vector) {
    return {vector.data(), static_cast<std::size_t>(vector.size()), vector.innerStride()};
  }
  static strided<typename E::Scalar> numbers(E& vector)
    requires detail::eigen_writable<E>
  {
    return {vector.data(), static_cast<std::size_t>(vector.size()), vector.innerStride()};
  }
};

/// Matrices and expressions.
template <class E>
  requires(detail::eigen_dense<E> && !detail::eigen_column<E>)
struct column_traits<E> {
  static constexpr bool refused = true;
};

template <>
struct element_traits<Eigen::half> {
  static constexpr storage stored = storage::float16;
};
template <>
struct element_traits<Eigen::bfloat16> {
  static constexpr storage stored = storage::bfloat16;
};

/// An Eigen vector as a column, where a wrong one is told why; a right one converts by itself.
template <class E>
[[nodiscard]] column as_column(Eigen::DenseBase<E> const& vector) {
  static_assert(bool(E::IsVectorAtCompileTime),
                "prefer: a column has one dimension; take m.col(i) of a matrix, or m.reshaped()");
  static_assert(
      detail::eigen_in_memory<E>,
      "prefer: this Eigen expression has no memory of its own; keep its .eval() and pass that");
  static_assert(
      detail::is_element<typename E::Scalar>,
      "prefer: a column is float, double or of 16 bits (labels: bool, lengths: int); keep its "
      ".cast<double>().eval()");
  if constexpr (detail::eigen_column<E>) {
    return column(vector.derived());
  } else {
    return {};
  }
}

/// N numbers that travel together through a formula as Eigen's packets: a Scalar, so every loss runs on it.
///
///   evaluate_on<eigen_lane<double, 16>>(dpo{}, batch, results);
///
/// For hosts that want Eigen's own arithmetic, its threads of fixed-size arrays or its processors; the
/// library's lanes are faster where both run, because Eigen's `select` works element by element.
template <std::floating_point T, std::size_t N>
class eigen_lane {
 public:
  static_assert(std::has_single_bit(N), "prefer: a lane's width is a power of two");
  using value_type = T;
  using array = Eigen::Array<T, static_cast<int>(N), 1>;
  static constexpr std::size_t width = N;

  struct mask {
    Eigen::Array<bool, static_cast<int>(N), 1> holds;

    friend mask operator&(mask const& a, mask const& b) { return {a.holds && b.holds}; }
    friend mask operator|(mask const& a, mask const& b) { return {a.holds || b.holds}; }
    friend mask operator!(mask const& a) { return {!a.holds}; }
    friend eigen_lane select(mask const& m, eigen_lane const& a, eigen_lane const& b) {
      return eigen_lane(m.holds.select(a.v, b.v));
    }
  };

  array v;

  eigen_lane() = default;
  template <std::convertible_to<double> C>
  eigen_lane(C const& broadcast)  // NOLINT(google-explicit-constructor): formulas mix both
      : v(array::Constant(static_cast<T>(static_cast<double>(broadcast)))) {}
  template <class E>
  explicit eigen_lane(Eigen::ArrayBase<E> const& expression) : v(expression) {}

  [[nodiscard]] static eigen_lane load(T const* from) {
    return eigen_lane(Eigen::Map<array const>(from));
  }
  void store(T* to) const { Eigen::Map<array>{to} = v; }
  [[nodiscard]] T operator[](std::size_t i) const { return v[static_cast<Eigen::Index>(i)]; }

  // Values, never expressions: an expression would point at temporaries of the formula.
  friend eigen_lane operator+(eigen_lane const& a, eigen_lane const& b) {
    return eigen_lane(a.v + b.v);
  }
  friend eigen_lane operator-(eigen_lane const& a, eigen_lane const& b) {
    return eigen_lane(a.v - b.v);
  }
  friend eigen_lane operator*(eigen_lane const& a, eigen_lane const& b) {
    return eigen_lane(a.v * b.v);
  }
  friend eigen_lane operator/(eigen_lane const& a, eigen_lane const& b) {
    return eigen_lane(a.v / b.v);
  }
  friend eigen_lane operator-(eigen_lane const& a) { return eigen_lane(-a.v); }
  friend mask operator>(eigen_lane const& a, eigen_lane const& b) { return {a.v > b.v}; }
  friend mask operator<(eigen_lane const& a, eigen_lane const& b) { return {a.v < b.v}; }

  friend eigen_lane exp(eigen_lane const& x) { return eigen_lane(x.v.exp()); }
  friend eigen_lane expm1(eigen_lane const& x) { return eigen_lane(x.v.expm1()); }
  friend eigen_lane log(eigen_lane const& x) { return eigen_lane(x.v.log()); }
  friend eigen_lane log1p(eigen_lane const& x) { return eigen_lane(x.v.log1p()); }
  friend eigen_lane sqrt(eigen_lane const& x) { return eigen_lane(x.v.sqrt()); }
  friend eigen_lane abs(eigen_lane const& x) { return eigen_lane(x.v.abs()); }
  friend eigen_lane square(eigen_lane const& x) { return eigen_lane(x.v.square()); }
  friend eigen_lane max(eigen_lane const& a, eigen_lane const& b) { return select(a > b, a, b); }
  friend eigen_lane relu(eigen_lane const& x) { return select(x < 0.0, 0.0, x); }
  friend eigen_lane clamp(eigen_lane const& x, double low, double high) {
    return select(x < low, low, select(x > high, high, x));
  }
  friend value_and_derivative<eigen_lane> softplus_with_derivative(eigen_lane const& x) {
    eigen_lane const e = exp(-abs(x));
    mask const positive = x > 0.0;
    return {select(positive, x, 0.0) + log1p(e), select(positive, 1.0, e) / (1.0 + e)};
  }
  friend eigen_lane softplus(eigen_lane const& x) { return softplus_with_derivative(x).value; }
  friend value_and_derivative<eigen_lane> sigmoid_with_derivative(eigen_lane const& x) {
    eigen_lane const e = exp(-abs(x));
    eigen_lane const inverse = 1.0 / (1.0 + e);
    return {select(x < 0.0, e, 1.0) * inverse, e * inverse * inverse};
  }
  friend eigen_lane sigmoid(eigen_lane const& x) { return sigmoid_with_derivative(x).value; }
  friend eigen_lane log_sigmoid(eigen_lane const& x) { return -softplus(-x); }
  friend eigen_lane log1mexp(eigen_lane const& x) {
    return select(x > -0.69314718055994530942, log(-expm1(x)), log1p(-exp(x)));
  }
  friend eigen_lane value_of(eigen_lane const& x) { return x; }

  /// The elements added up in a fixed order: halves onto halves, as lanes do.
  friend T sum(eigen_lane const& x) {
    array part = x.v;
    for (Eigen::Index half = static_cast<Eigen::Index>(N) / 2; half > 0; half /= 2) {
      for (Eigen::Index i = 0; i < half; ++i) part[i] += part[i + half];
    }
    return part[0];
  }
};

}  // namespace prefer::inline v0_1
