// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/strided.hpp>
#include <prefer/expects.hpp>
#include <prefer/scalar/half.hpp>

namespace prefer::inline v0_1::torch {

/// A tensor as a column: one dimension, of float, double, half or bfloat16; labels may be bool, and labels, lengths and other
/// numbers that carry no gradient integers. An undefined tensor is an absent column.
class column {
 public:
  using offsets = std::span<std::size_t const>;

  column() = default;
  column(at::Tensor numbers)
      : numbers_(std::move(numbers)) {}  // NOLINT(google-explicit-constructor): tensors are columns

  [[nodiscard]] bool present() const { return numbers_.defined(); }
  [[nodiscard]] std::size_t size() const {
    return present() ? static_cast<std::size_t>(numbers_.numel()) : 0;
  }
  [[nodiscard]] at::Tensor const& tensor() const { return numbers_; }

 private:
  at::Tensor numbers_;
};

using completions = basic_completions<column>;
using pair_columns = basic_pair_columns<column>;
using unpaired_columns = basic_unpaired_columns<column>;
using list_columns = basic_list_columns<column>;

}  // namespace prefer::inline v0_1::torch

namespace prefer::inline v0_1::detail {

template <class T>
[[nodiscard]] strided<T> torch_numbers(at::Tensor const& of) {
  auto const size = static_cast<std::size_t>(of.numel());
  auto const stride = static_cast<std::ptrdiff_t>(of.stride(0));
  using number = std::remove_const_t<T>;
  if constexpr (sizeof(number) == 2) {
    return {bits_as<number>(static_cast<std::uint16_t*>(of.data_ptr()), size).data(), size, stride};
  } else {
    return {static_cast<number*>(of.data_ptr()), size, stride};
  }
}

/// Which column of a batch a tensor is: its name is spelled where it is refused.
struct torch_place {
  char const* spelling;
  column_side side = column_side::only;
};

[[noreturn]] inline void torch_refused(torch_place where, std::string const& sentence) {
  broken("torch: the tensor " + label_of(where.spelling, where.side) + " " + sentence);
}

/// Calls use(element) with a number of the type in which this tensor holds numbers of 16 bits or more.
template <class Use>
void with_torch_element(at::Tensor const& of, torch_place where, Use&& use) {
  switch (of.scalar_type()) {
    case at::kDouble:
      return use(double{});
    case at::kFloat:
      return use(float{});
    case at::kHalf:
      return use(half{});
    case at::kBFloat16:
      return use(bfloat16{});
    default:
      torch_refused(where, std::string("is of ") + c10::toString(of.scalar_type()) +
                               "; it must be Float, Double, Half or BFloat16: use .to(at::kFloat)");
  }
}

/// A tensor as numbers in memory; null elements for an absent one. Integers are copied, and the copy is kept in `kept`.
template <class Rule>
[[nodiscard]] column torch_view(torch::column const& from, torch_place where, Rule rule,
                                std::vector<at::Tensor>& kept) {
  at::Tensor tensor = from.tensor();
  if (tensor.dim() != 1) {
    torch_refused(where, "has " + std::to_string(tensor.dim()) +
                             " dimensions; a column has one: use .flatten() or .select(...)");
  }
  if (!tensor.device().is_cpu()) {
    torch_refused(where, "lies on " + tensor.device().str() +
                             "; all columns lie in the memory of the CPU here: use .cpu()");
  }
  if (tensor.layout() != c10::kStrided) torch_refused(where, "is sparse; use .to_dense()");
  bool const is_log_prob = rule == column_rule::log_prob || rule == column_rule::divergence;
  if (!is_log_prob && tensor.scalar_type() == at::kBool) {
    return strided<bool const>(static_cast<bool const*>(tensor.data_ptr()),
                               static_cast<std::size_t>(tensor.numel()), tensor.stride(0));
  }
  if (!is_log_prob && at::isIntegralType(tensor.scalar_type(), false)) {
    kept.push_back(tensor.to(at::kDouble));
    tensor = kept.back();
  }
  column out;
  with_torch_element(tensor, where, [&]<class E>(E) { out = torch_numbers<E const>(tensor); });
  return out;
}

/// A batch of tensors as columns in memory, for as long as this and the tensors live.
template <template <class> class Kind>
class torch_batch {
 public:
  explicit torch_batch(Kind<torch::column> const& tensors) {
    std::vector<column> views;
    for_each_column(tensors, [&](auto is, per, column_side side, torch::column const& one) {
      views.push_back(one.present() ? torch_view(one, {is.spelling, side}, is.rule, kept_)
                                    : column());
    });
    std::size_t next = 0;
    for_each_column(columns_, [&](auto, per, column_side, column& one) { one = views[next++]; });
    if constexpr (requires { columns_.offset; }) columns_.offset = tensors.offset;
  }
  torch_batch(torch_batch const&) = delete;
  torch_batch& operator=(torch_batch const&) = delete;

  [[nodiscard]] Kind<column> const& columns() const { return columns_; }

 private:
  std::vector<at::Tensor> kept_;
  Kind<column> columns_{};
};

}  // namespace prefer::inline v0_1::detail

namespace prefer::inline v0_1::torch {

/// A batch of tensors as columns of this library, without a copy but of integers: for `metrics`, `diagnose`, `evaluate`.
///
///   auto const view = prefer::torch::in_memory(batch);
///   auto const said = prefer::metrics(view.columns(), 0.1);
///
/// Errors  precondition_error for a tensor that is no column: several dimensions, another element, another device
template <template <class> class Kind>
[[nodiscard]] detail::torch_batch<Kind> in_memory(Kind<column> const& batch) {
  return detail::torch_batch<Kind>(batch);
}

}  // namespace prefer::inline v0_1::torch
