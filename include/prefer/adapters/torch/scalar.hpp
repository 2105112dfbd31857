// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/add.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/div.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/where.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/adapters/torch/column.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/scalar/scalar.hpp>

// A tensor as a scalar of formulas: torch differentiates them, op by op.

namespace prefer::inline v0_1::torch {

/// What a comparison of scalar<T> gives.
template <std::floating_point T>
struct mask {
  at::Tensor holds;
};

/// A handle to a tensor of any shape, with its history: a `Scalar`, so that every formula of the catalogue runs on it. T is the
/// type in which it overflows: float for tensors of float, double for double.
template <std::floating_point T>
class scalar {
 public:
  using value_type = T;

  scalar() : scalar(0.0) {}
  explicit scalar(at::Tensor numbers) : numbers_(std::move(numbers)) {}
  /// A constant: a number, or a hyper-parameter, which is a type that converts to one.
  template <std::convertible_to<double> C>
  scalar(C const& constant)  // NOLINT(google-explicit-constructor): formulas write constants
      : numbers_(
            at::scalar_tensor(static_cast<double>(constant), c10::CppTypeToScalarType<T>::value)) {}

  [[nodiscard]] at::Tensor const& tensor() const { return numbers_; }

  friend scalar operator-(scalar const& a) { return scalar(at::neg(a.numbers_)); }
  friend scalar operator+(scalar const& a, scalar const& b) {
    return scalar(at::add(a.numbers_, b.numbers_));
  }
  friend scalar operator-(scalar const& a, scalar const& b) {
    return scalar(at::sub(a.numbers_, b.numbers_));
  }
  friend scalar operator*(scalar const& a, scalar const& b) {
    return scalar(at::mul(a.numbers_, b.numbers_));
  }
  friend scalar operator/(scalar const& a, scalar const& b) {
    return scalar(at::div(a.numbers_, b.numbers_));
  }
  friend mask<T> operator>(scalar const& a, scalar const& b) {
    return {at::gt(a.numbers_, b.numbers_)};
  }
  friend mask<T> operator<(scalar const& a, scalar const& b) {
    return {at::lt(a.numbers_, b.numbers_)};
  }
  friend scalar exp(scalar const& a) { return scalar(at::exp(a.numbers_)); }
  friend scalar expm1(scalar const& a) { return scalar(at::expm1(a.numbers_)); }
  friend scalar log(scalar const& a) { return scalar(at::log(a.numbers_)); }
  friend scalar sigmoid(scalar const& a) { return scalar(at::sigmoid(a.numbers_)); }
  friend scalar log_sigmoid(scalar const& a) { return scalar(at::log_sigmoid(a.numbers_)); }
  /// Not at::softplus, which is a straight line from 20 on: an error of 2e-9.
  friend scalar softplus(scalar const& a) { return -log_sigmoid(-a); }
  /// log(1 - exp(a)). Each branch sees numbers of its own side only: where autograd multiplies the derivative of the branch
  /// that is not taken by 0, that derivative is finite.
  friend scalar log1mexp(scalar const& a) {
    double const minus_log_2 = -0.6931471805599453;
    mask<T> const near_zero = a > scalar(minus_log_2);
    scalar const nearer = select(near_zero, a, scalar(minus_log_2));
    scalar const farther = select(near_zero, scalar(minus_log_2), a);
    return select(near_zero, log(-expm1(nearer)),
                  scalar(at::log1p(at::neg(at::exp(farther.numbers_)))));
  }
  friend scalar square(scalar const& a) { return a * a; }
  friend scalar relu(scalar const& a) { return scalar(at::relu(a.numbers_)); }
  friend scalar clamp(scalar const& a, double low, double high) {
    return scalar(at::clamp(a.numbers_, low, high));
  }
  friend scalar value_of(scalar const& a) { return scalar(a.numbers_.detach()); }

 private:
  at::Tensor numbers_;
};

/// Also between constants: select(u > 0.0, 1.0, -1.0).
template <std::floating_point T>
[[nodiscard]] scalar<T> select(mask<T> const& condition, std::type_identity_t<scalar<T>> const& a,
                               std::type_identity_t<scalar<T>> const& b) {
  return scalar<T>(at::where(condition.holds, a.tensor(), b.tensor()));
}

}  // namespace prefer::inline v0_1::torch

namespace prefer::inline v0_1::detail {

/// A column as scalars. Of lists, element i is completion i of every list; of all else, element 0 is the whole column.
template <class T>
class torch_scalars {
 public:
  using offsets = std::span<std::size_t const>;

  torch_scalars() = default;
  torch_scalars(at::Tensor const& numbers, std::size_t list_size) : numbers_(numbers) {
    auto const type = numbers.scalar_type();
    if (!at::isFloatingType(type)) numbers_ = numbers.to(c10::CppTypeToScalarType<T>::value);
    if (list_size != 0) numbers_ = numbers_.reshape({-1, static_cast<std::int64_t>(list_size)});
  }
  [[nodiscard]] bool present() const { return numbers_.defined(); }
  [[nodiscard]] torch::scalar<T> operator[](std::size_t i) const {
    return torch::scalar<T>(numbers_.dim() == 2 ? numbers_.select(1, static_cast<std::int64_t>(i))
                                                : numbers_);
  }

 private:
  at::Tensor numbers_;
};

/// The batch as columns of scalars; `list_size` of each list, 0 where there are no lists.
template <class T, template <class> class Kind>
[[nodiscard]] Kind<torch_scalars<T>> as_scalars(Kind<torch::column> const& batch,
                                                std::size_t list_size) {
  return converted_columns<torch_scalars<T>>(
      batch, [&](auto, per each, torch_place, torch::column const& one) {
        return torch_scalars<T>(one.tensor(), each == per::completion ? list_size : 0);
      });
}

/// How many completions each list of a batch has.
[[nodiscard]] inline std::size_t equal_list_size(std::span<std::size_t const> offset) {
  std::size_t const size = offset[1];
  for (std::size_t g = 1; g + 1 < offset.size(); ++g) {
    if (offset[g + 1] - offset[g] == size) continue;
    broken("torch::loss_by_autograd: list " + std::to_string(g) + " has " +
           std::to_string(offset[g + 1] - offset[g]) + " completions and list 0 has " +
           std::to_string(size) + "; lists of different lengths take torch::loss");
  }
  return size;
}

template <class S, class L, class C>
[[nodiscard]] S torch_values(L const& loss, basic_pair_columns<C> const& batch,
                             loss_state<L> const& state, std::size_t) {
  pair_record<S> record;
  load_row<column_side::chosen>(record.chosen, batch, 0, per::completion);
  load_row<column_side::rejected>(record.rejected, batch, 0, per::completion);
  load_row(record, batch, 0, per::example);
  return apply(loss, record, state);
}
template <class S, class L, class C>
[[nodiscard]] S torch_values(L const& loss, basic_unpaired_columns<C> const& batch,
                             loss_state<L> const& state, std::size_t) {
  unpaired_record<S> record;
  load_row(record, batch, 0, per::completion);
  load_row(record, batch, 0, per::example);
  return apply(loss, record, state);
}
template <class S, class L, class C>
[[nodiscard]] S torch_values(L const& loss, basic_list_columns<C> const& batch,
                             loss_state<L> const& state, std::size_t list_size) {
  auto const at = [&](std::size_t i) {
    completion_record<S> out;
    load_row(out, batch, i, per::completion);
    return out;
  };
  list_record<S, decltype(at)> list(list_size, at);
  load_row(list, batch, 0, per::example);
  return apply(loss, list, state);
}

template <class T, class L, class Kind>
[[nodiscard]] at::Tensor torch_mean(L const& loss, Kind const& batch, loss_state<L> const& state) {
  std::size_t list_size = 0;
  if constexpr (requires { batch.offset; }) list_size = equal_list_size(batch.offset);
  auto const columns = as_scalars<T>(batch, list_size);
  torch::scalar<T> value = torch_values<torch::scalar<T>>(loss, columns, state, list_size);
  if (columns.weight.present()) value = value * columns.weight[0];
  return at::mean(value.tensor());
}

}  // namespace prefer::inline v0_1::detail

namespace prefer::inline v0_1::torch {

/// The same mean as `loss`, by torch's autograd through the formula: one op for each operation of it. For second derivatives, and
/// for whoever composes a formula with torch code; slower, and NaN where autograd multiplies 0 by an infinite derivative.
///
/// Statistics of the batch are constants, as in `loss`.
///
/// Errors  as those of `loss`; precondition_error for lists of different lengths. Losses that put the rows of a batch together
///         in their own way (aot) do not compile
template <Loss L, template <class> class Kind>
[[nodiscard]] at::Tensor loss_by_autograd(L const& formula, Kind<column> const& batch,
                                          loss_memory<L>& memory) {
  static_assert(!detail::matches<L>,
                "prefer: this loss puts the rows of a batch together in its own way, which no "
                "formula says: use "
                "prefer::torch::loss");
  detail::torch_batch<Kind> const view(batch);
  if constexpr (L::arity == 1) {
    detail::check_batch(formula, view.columns(), unpaired_results{});
  } else if constexpr (L::arity == 2) {
    detail::check_batch(formula, view.columns(), pair_results{});
  } else {
    detail::check_batch(formula, view.columns(), list_results{});
  }
  auto const state = prepare(formula, view.columns(), memory);
  bool const in_double = detail::policy_of(batch).tensor().scalar_type() == at::kDouble;
  return in_double ? detail::torch_mean<double>(formula, batch, state)
                   : detail::torch_mean<float>(formula, batch, state);
}

template <Loss L, template <class> class Kind>
  requires std::same_as<loss_memory<L>, nothing>
[[nodiscard]] at::Tensor loss_by_autograd(L const& formula, Kind<column> const& batch) {
  nothing memory;
  return loss_by_autograd(formula, batch, memory);
}

}  // namespace prefer::inline v0_1::torch
