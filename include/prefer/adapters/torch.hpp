// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <concepts>
#include <string>
#include <utility>
#include <vector>

#include <prefer/adapters/torch/column.hpp>
#include <prefer/expects.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/executor.hpp>

// LibTorch's tensors as columns, and a loss as a node of its graph.
//
//   at::Tensor chosen = ..., rejected = ...;  // log-probabilities of completions, with their history
//   at::Tensor loss = prefer::torch::loss(prefer::dpo{.beta = 0.1}, prefer::torch::pair_columns{
//       .policy = {chosen, rejected}, .reference = {reference_chosen, reference_rejected}});
//   loss.backward();

namespace prefer::inline v0_1::detail {

/// What a loss says of a batch: its mean, and its derivative by each number that carries a gradient.
struct torch_derivatives {
  double mean = 0.0;
  std::vector<at::Tensor> by;            ///< the tensors that carry one
  std::vector<at::Tensor> coefficients;  ///< of the type of each

  /// Where the derivative by `column` goes; nowhere if there is no such column.
  [[nodiscard]] mutable_column result(torch::column const& column, torch_place where) {
    if (!column.present()) return {};
    by.push_back(column.tensor());
    coefficients.push_back(at::empty_like(column.tensor(), c10::MemoryFormat::Contiguous));
    mutable_column out;
    with_torch_element(coefficients.back(), where,
                       [&]<class E>(E) { out = torch_numbers<E>(coefficients.back()); });
    return out;
  }
};

template <class L>
[[nodiscard]] pair_results torch_results(torch::pair_columns const& batch, torch_derivatives& to) {
  pair_results out{.chosen = to.result(batch.policy.chosen, {"policy", column_side::chosen}),
                   .rejected = to.result(batch.policy.rejected, {"policy", column_side::rejected})};
  if constexpr (differentiates_divergence<L>) {
    out.chosen_divergence = to.result(batch.divergence.chosen, {"divergence", column_side::chosen});
    out.rejected_divergence =
        to.result(batch.divergence.rejected, {"divergence", column_side::rejected});
  }
  return out;
}
template <class L>
[[nodiscard]] unpaired_results torch_results(torch::unpaired_columns const& batch,
                                             torch_derivatives& to) {
  unpaired_results out{.coefficient = to.result(batch.policy, {"policy"})};
  if constexpr (differentiates_value<L>) {
    out.value_estimate = to.result(batch.value_estimate, {"value_estimate"});
  }
  return out;
}
template <class L>
[[nodiscard]] list_results torch_results(torch::list_columns const& batch, torch_derivatives& to) {
  return {.coefficient = to.result(batch.policy, {"policy"})};
}

/// The node: its derivatives are known before it is made.
struct torch_loss_node : ::torch::autograd::Function<torch_loss_node> {
  static at::Tensor forward(::torch::autograd::AutogradContext* context, at::TensorList by,
                            torch_derivatives const& derivatives) {
    context->save_for_backward(derivatives.coefficients);
    // Of 16 bits the mean of many would lose digits that matter.
    auto const type = by.front().scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return at::scalar_tensor(derivatives.mean, by.front().options().dtype(type));
  }
  static ::torch::autograd::variable_list backward(
      ::torch::autograd::AutogradContext* context,
      ::torch::autograd::variable_list const& gradient) {
    expects(!at::GradMode::is_enabled(),
            "torch::loss has no second derivatives (create_graph): use torch::loss_by_autograd");
    ::torch::autograd::variable_list out = context->get_saved_variables();
    // Where the loss is the whole of what is differentiated, the coefficients are the gradient.
    if (gradient.front().item<double>() != 1.0) {
      for (at::Tensor& each : out) each = at::mul(each, gradient.front().to(each.scalar_type()));
    }
    out.emplace_back();  // for `derivatives`
    return out;
  }
};

}  // namespace prefer::inline v0_1::detail

namespace prefer::inline v0_1::torch {

/// The mean of a loss over a batch, as one node of the graph: backward multiplies its coefficients, which are computed
/// with it.
///
/// Returns   a tensor without dimensions, double if the policy's are and float else, nats (or the unit of the loss)
/// Gradient  to policy, divergence (of losses that read it) and value_estimate; never to a reference, as in the papers
/// Memory    of a loss that remembers: make a `loss_memory<L>` once and hand it over
/// Errors    as those of evaluate; precondition_error for tensors that are no columns, and for a second derivative
///
/// TRL computes the same op by op. Any loss, any element type; tensors lie in the memory of the CPU.
template <Loss L, template <class> class Kind, Communicator Processes = single_process>
[[nodiscard]] at::Tensor loss(L const& formula, Kind<column> const& batch, loss_memory<L>& memory,
                              executor const& threads = {}, Processes const& processes = {}) {
  detail::torch_batch<Kind> const view(batch);
  detail::torch_derivatives derivatives;
  auto const results = detail::torch_results<L>(batch, derivatives);
  auto const state = prepare(formula, view.columns(), memory, processes);
  derivatives.mean = evaluate_into(formula, view.columns(), results, state, {.threads = threads});
  return detail::torch_loss_node::apply(at::TensorList(derivatives.by), derivatives);
}

template <Loss L, template <class> class Kind>
[[nodiscard]] at::Tensor loss(L const& formula, Kind<column> const& batch,
                              executor const& threads = {}) {
  detail::expects_memory<L>();
  nothing memory;
  if constexpr (std::same_as<loss_memory<L>, nothing>) return loss(formula, batch, memory, threads);
}

}  // namespace prefer::inline v0_1::torch
