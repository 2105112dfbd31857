// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/ops/empty.h>

#include <cstddef>
#include <vector>

#include <prefer/adapters/torch/column.hpp>

namespace prefer::test {

/// A batch as tensors of T; those that carry a gradient ask for one. The numbers are copied.
template <class T, template <class> class Kind>
[[nodiscard]] Kind<torch::column> tensors_of(Kind<column> const& batch) {
  auto const type = c10::CppTypeToScalarType<T>::value;
  std::vector<torch::column> columns;
  detail::for_each_column(batch, [&](auto is, per, column_side, column const& one) {
    if (!one.present()) return columns.emplace_back(), void();
    at::Tensor numbers = at::empty({static_cast<std::int64_t>(one.size())}, type);
    for (std::size_t i = 0; i != one.size(); ++i) numbers.data_ptr<T>()[i] = static_cast<T>(one[i]);
    bool const derives = is.name == column_name::policy || is.name == column_name::divergence ||
                         is.name == column_name::value_estimate;
    columns.emplace_back(numbers.requires_grad_(derives));
  });
  Kind<torch::column> out{};
  std::size_t next = 0;
  detail::for_each_column(
      out, [&](auto, per, column_side, torch::column& one) { one = columns[next++]; });
  if constexpr (requires { out.offset; }) out.offset = batch.offset;
  return out;
}

/// The gradient that backward has left, as double; empty if there is none.
[[nodiscard]] inline std::vector<double> gradient_of(torch::column const& column) {
  std::vector<double> out;
  if (!column.present() || !column.tensor().grad().defined()) return out;
  at::Tensor const gradient = column.tensor().grad().to(at::kDouble).contiguous();
  out.assign(gradient.data_ptr<double>(), gradient.data_ptr<double>() + gradient.numel());
  return out;
}

}  // namespace prefer::test
