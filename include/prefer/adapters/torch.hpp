// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include <concepts>
#include <memory>
#include <utility>

#include <prefer/adapters/torch/column.hpp>
#include <prefer/adapters/torch/gradient.hpp>
#include <prefer/adapters/torch/on_device.hpp>
#include <prefer/expects.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/executor.hpp>

// LibTorch's tensors as columns, and a loss as a part of its graph.
//
//   at::Tensor chosen = ..., rejected = ...;  // log-probabilities of completions, with their history
//   auto const loss = prefer::torch::loss(prefer::dpo{.beta = 0.1}, prefer::torch::pair_columns{
//       .policy = {chosen, rejected}, .reference = {reference_chosen, reference_rejected}});
//   loss.backward();

namespace prefer::inline v0_1::torch {

/// What a loss says of a batch: its mean, and where backward goes from it.
class loss_value {
 public:
  loss_value(double mean, at::TensorOptions const& scalar,
             std::shared_ptr<detail::torch_gradient> gradient)
      : mean_(mean), scalar_(scalar), gradient_(std::move(gradient)) {}
  loss_value(at::Tensor mean, at::TensorOptions const& scalar,
             std::shared_ptr<detail::torch_gradient> gradient)
      : on_device_(std::move(mean)), scalar_(scalar), gradient_(std::move(gradient)) {}

  /// d mean / d column, added to the gradients of all leaves before the columns: torch's graph is entered at the columns,
  /// with the coefficients.
  ///
  /// Errors  precondition_error where no column asks for a gradient, and for a second time without `retain_graph`
  void backward(bool retain_graph = false) const {
    expects(!gradient_->empty(),
            "torch: no column that this loss has a derivative by asks for a gradient");
    gradient_->go_back(retain_graph);
  }
  /// The mean as a tensor of the graph, without dimensions: for whoever goes on in torch. Double if the policy's numbers are, and
  /// float else.
  [[nodiscard]] at::Tensor value() const {
    if (!value_.defined()) value_ = made_value();
    return value_;
  }
  operator at::Tensor() const { return value(); }  // NOLINT(google-explicit-constructor)
  /// The mean as a number; of tensors on a device this waits for it.
  [[nodiscard]] double read() const {
    return on_device_.defined() ? on_device_.item<double>() : mean_;
  }

 private:
  [[nodiscard]] at::Tensor made_value() const {
    at::Tensor const number =
        on_device_.defined() ? on_device_.to(scalar_.dtype()) : at::scalar_tensor(mean_, scalar_);
    return gradient_->empty()
               ? number
               : detail::torch_loss_node::apply(at::TensorList(gradient_->by()),
                                                detail::torch_known_value{number, gradient_.get()});
  }

  double mean_ = 0.0;
  at::Tensor on_device_;
  at::TensorOptions scalar_;
  std::shared_ptr<detail::torch_gradient> gradient_;
  mutable at::Tensor value_;
};

}  // namespace prefer::inline v0_1::torch

namespace prefer::inline v0_1::detail {

/// Where derivatives by a column go; nowhere if there is none, or none is asked for. R is how results are seen.
[[nodiscard]] inline mutable_column torch_result(torch::column const& column, torch_place where,
                                                 torch_gradient& gradient, mutable_column*) {
  if (!gradient.asked_of(column)) return {};
  mutable_column out;
  at::Tensor const& to = gradient.add(column.tensor());
  with_torch_element(to, where, [&]<class E>(E) { out = torch_numbers<E>(to); });
  return out;
}
[[nodiscard]] inline device_numbers torch_result(torch::column const& column, torch_place where,
                                                 torch_gradient& gradient, device_numbers*) {
  if (!gradient.asked_of(column)) return {};
  return numbers_on_device(gradient.add(column.tensor()), where);
}

template <class L, class R>
[[nodiscard]] basic_pair_results<R> torch_results(torch::pair_columns const& batch,
                                                  torch_gradient& to) {
  auto const place = [&](torch::column const& one, torch_place where) {
    return torch_result(one, where, to, static_cast<R*>(nullptr));
  };
  basic_pair_results<R> out{
      .chosen = place(batch.policy.chosen, {"policy", column_side::chosen}),
      .rejected = place(batch.policy.rejected, {"policy", column_side::rejected})};
  if constexpr (differentiates_divergence<L>) {
    out.chosen_divergence = place(batch.divergence.chosen, {"divergence", column_side::chosen});
    out.rejected_divergence =
        place(batch.divergence.rejected, {"divergence", column_side::rejected});
  }
  return out;
}
template <class L, class R>
[[nodiscard]] basic_unpaired_results<R> torch_results(torch::unpaired_columns const& batch,
                                                      torch_gradient& to) {
  basic_unpaired_results<R> out{
      .coefficient = torch_result(batch.policy, {"policy"}, to, static_cast<R*>(nullptr))};
  if constexpr (differentiates_value<L>) {
    out.value_estimate =
        torch_result(batch.value_estimate, {"value_estimate"}, to, static_cast<R*>(nullptr));
  }
  return out;
}
template <class L, class R>
[[nodiscard]] basic_list_results<R> torch_results(torch::list_columns const& batch,
                                                  torch_gradient& to) {
  return {.coefficient = torch_result(batch.policy, {"policy"}, to, static_cast<R*>(nullptr))};
}

/// How the mean of a batch is stored as a tensor. Of 16 bits the mean of many would lose digits that matter.
[[nodiscard]] inline at::TensorOptions scalar_like(at::Tensor const& policy) {
  return policy.options()
      .dtype(policy.scalar_type() == at::kDouble ? at::kDouble : at::kFloat)
      .requires_grad(false);
}
/// The loss of tensors on a device, in the order of `stream`.
template <Loss L, template <class> class Kind, Communicator Processes>
[[nodiscard]] torch::loss_value torch_loss_on_device(L const& formula,
                                                     Kind<torch::column> const& batch, void* stream,
                                                     loss_memory<L>& memory,
                                                     Processes const& processes) {
  torch_device_batch<Kind> const view(batch);
  auto gradient = std::make_shared<torch_gradient>();
  auto const results = torch_results<L, device_numbers>(batch, *gradient);
  check_batch(formula, view.columns(), results);
  auto mean = torch_pass_on_device(formula, view.columns(), results, view.device(), stream, memory,
                                   any_processes(processes));
  return {std::move(mean), scalar_like(policy_of(batch).tensor()), std::move(gradient)};
}

}  // namespace prefer::inline v0_1::detail

namespace prefer::inline v0_1::torch {

/// The mean of a loss over a batch, and its derivatives, which are computed with it.
///
/// Returns   a loss_value: `backward()`, or `value()` as one node of a graph that goes on
/// Gradient  to policy, divergence (of losses that read it) and value_estimate, where they ask for one; never to a reference, as
///           in the papers. Those of 16 bits are rounded once, after what comes back through the graph
/// Memory    of a loss that remembers: make a `loss_memory<L>` once and hand it over
/// Devices   of the CPU, on `threads`; on CUDA by kernels of the program, see adapters/cuda/for_torch.cuh, in the order of
///           LibTorch's current stream. There nobody waits, but in `read` and for a loss that has a state
/// Errors    as those of evaluate; precondition_error for tensors that are no columns, a loss without a kernel, and a second
///           derivative
///
/// TRL computes the same op by op. Any loss, any element type.
template <Loss L, template <class> class Kind, Communicator Processes = single_process>
[[nodiscard]] loss_value loss(L const& formula, Kind<column> const& batch, loss_memory<L>& memory,
                              executor const& threads = {}, Processes const& processes = {}) {
  if (c10::Device const device = detail::torch_device(batch); device.is_cuda()) {
    c10::DeviceGuard const on(device);
    return detail::torch_loss_on_device(formula, batch, detail::current_stream(device), memory,
                                        processes);
  }
  detail::torch_batch<Kind> const view(batch);
  auto gradient = std::make_shared<detail::torch_gradient>();
  auto const results = detail::torch_results<L, mutable_column>(batch, *gradient);
  auto const state = prepare(formula, view.columns(), memory, processes);
  double const mean = evaluate_into(formula, view.columns(), results, state, {.threads = threads});
  return {mean, detail::scalar_like(detail::policy_of(batch).tensor()), std::move(gradient)};
}

template <Loss L, template <class> class Kind>
[[nodiscard]] loss_value loss(L const& formula, Kind<column> const& batch,
                              executor const& threads = {}) {
  detail::expects_memory<L>();
  nothing memory;
  if constexpr (std::same_as<loss_memory<L>, nothing>) return loss(formula, batch, memory, threads);
}

}  // namespace prefer::inline v0_1::torch
