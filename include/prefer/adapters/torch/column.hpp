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

/// Which column of a batch a tensor is: its name is spelled where it is refused.
struct torch_place {
  char const* spelling;
  column_side side = column_side::only;
};

[[noreturn]] inline void torch_refused(torch_place where, std::string const& sentence) {
  broken("torch: the tensor " + label_of(where.spelling, where.side) + " " + sentence);
}

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

/// Calls use(element) with a number of the type in which this tensor holds numbers of 16 bits or more.
template <class Use>
auto with_torch_element(at::Tensor const& of, torch_place where, Use&& use) {
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

/// The column that says on which device a batch is, and of which type.
template <class Kind>
[[nodiscard]] torch::column const& policy_of(Kind const& batch) {
  if constexpr (requires { batch.policy.chosen; }) {
    return batch.policy.chosen;
  } else {
    return batch.policy;
  }
}
template <class Kind>
[[nodiscard]] c10::Device torch_device(Kind const& batch) {
  torch::column const& policy = policy_of(batch);
  return policy.present() ? policy.tensor().device() : c10::Device(c10::kCPU);
}

/// A tensor of one dimension on that device, with numbers of a type that its column may have; integers are converted, and the
/// copy is kept in `kept`.
template <class Rule>
[[nodiscard]] at::Tensor const& torch_checked(torch::column const& from, torch_place where,
                                              Rule rule, c10::Device device,
                                              std::vector<at::Tensor>& kept) {
  at::Tensor const& tensor = from.tensor();
  if (tensor.dim() != 1) {
    torch_refused(where, "has " + std::to_string(tensor.dim()) +
                             " dimensions; a column has one: use .flatten() or .select(...)");
  }
  if (tensor.device() != device) {
    torch_refused(where, "lies on " + tensor.device().str() + " and the policy's on " +
                             device.str() +
                             "; all columns of a batch lie on one device: use .to(...)");
  }
  if (tensor.layout() != c10::kStrided) torch_refused(where, "is sparse; use .to_dense()");
  bool const is_log_prob = rule == column_rule::log_prob || rule == column_rule::divergence;
  if (!is_log_prob && tensor.scalar_type() != at::kBool &&
      at::isIntegralType(tensor.scalar_type(), false)) {
    kept.push_back(tensor.to(at::kDouble));
    return kept.back();
  }
  return tensor;
}

/// A tensor as numbers in memory.
template <class Rule>
[[nodiscard]] column torch_view(torch::column const& from, torch_place where, Rule rule,
                                std::vector<at::Tensor>& kept) {
  at::Tensor const& tensor = torch_checked(from, where, rule, c10::Device(c10::kCPU), kept);
  if (tensor.scalar_type() == at::kBool && rule == column_rule::truth) {
    return strided<bool const>(static_cast<bool const*>(tensor.data_ptr()),
                               static_cast<std::size_t>(tensor.numel()), tensor.stride(0));
  }
  return with_torch_element(tensor, where,
                            [&]<class E>(E) -> column { return torch_numbers<E const>(tensor); });
}

/// A batch with what `make(description, per, place, column)` makes of its columns in their places; absent ones stay so.
template <class To, template <class> class Kind, class Make>
[[nodiscard]] Kind<To> converted_columns(Kind<torch::column> const& batch, Make const& make) {
  std::vector<To> made;
  made.reserve(inputs_of<Kind<To>> + 2);  // and completions of other prompts
  for_each_column(batch, [&](auto is, per each, column_side side, torch::column const& one) {
    made.push_back(one.present() ? make(is, each, torch_place{is.spelling, side}, one) : To());
  });
  Kind<To> out{};
  std::size_t next = 0;
  for_each_column(out, [&](auto, per, column_side, To& one) { one = std::move(made[next++]); });
  if constexpr (requires { out.offset = batch.offset; }) out.offset = batch.offset;
  return out;
}

/// A batch of tensors as columns in memory, for as long as this and the tensors live.
template <template <class> class Kind>
class torch_batch {
 public:
  explicit torch_batch(Kind<torch::column> const& tensors) {
    if (c10::Device const device = torch_device(tensors); !device.is_cpu()) {
      broken("torch: the policy's tensors lie on " + device.str() +
             "; in memory are those of the CPU: use .cpu()");
    }
    columns_ = converted_columns<column>(
        tensors, [&](auto is, per, torch_place where, torch::column const& one) {
          return torch_view(one, where, is.rule, kept_);
        });
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
