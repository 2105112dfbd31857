// SPDX-License-Identifier: MIT
#pragma once

#include <c10/core/DeviceGuard.h>

#include <cstddef>

#include <prefer/adapters/torch/column.hpp>
#include <prefer/adapters/torch/on_device.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/rewards.hpp>

// The metrics of tensors, wherever they lie.

namespace prefer::inline v0_1::detail {

/// On a device, in the order of `stream`.
template <std::size_t Arity, template <class> class Kind>
[[nodiscard]] auto torch_metrics_on_device(Kind<torch::column> const& batch, reward_rule rule,
                                           void* stream) {
  torch_device_batch<Kind> const view(batch);
  expects(metrics_on_device<Arity> != nullptr,
          "torch: this program has no kernels of metrics for this kind of batch: instantiate "
          "prefer::cuda::for_torch of a loss over such batches in a .cu file "
          "(adapters/cuda/for_torch.cuh)");
  return metrics_on_device<Arity>(view.columns(), rule, stream);
}
template <std::size_t Arity, template <class> class Kind>
[[nodiscard]] auto torch_metrics(Kind<torch::column> const& batch, reward_rule rule) {
  if (c10::Device const device = torch_device(batch); device.is_cuda()) {
    c10::DeviceGuard const on(device);
    return torch_metrics_on_device<Arity>(batch, rule, current_stream(device));
  }
  return metrics(torch_batch<Kind>(batch).columns(), rule);
}

}  // namespace prefer::inline v0_1::detail

namespace prefer::inline v0_1::torch {

/// Those of prefer::metrics, from tensors. On a device by kernels of the program, see adapters/cuda/for_torch.cuh; waits for it.
///
///   auto const said = prefer::torch::metrics(batch, prefer::reward_rule_of(loss));
///
/// Errors  as those of prefer::metrics; precondition_error for tensors that are no columns
[[nodiscard]] inline pair_metrics metrics(pair_columns const& batch, reward_rule rule) {
  return detail::torch_metrics<2>(batch, rule);
}
[[nodiscard]] inline pair_metrics metrics(list_columns const& batch, reward_rule rule) {
  return detail::torch_metrics<dynamic_arity>(batch, rule);
}
[[nodiscard]] inline unpaired_metrics metrics(unpaired_columns const& batch, reward_rule rule) {
  return detail::torch_metrics<1>(batch, rule);
}

}  // namespace prefer::inline v0_1::torch
